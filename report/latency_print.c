#include "report/latency_print.h"

#include "report/number.h"

/* What a row of many groups is called. */
#define MORE "(more)"

static const struct {
	const char *name;
	double part;
} parts[LATENCY_PRINT_PARTS] = { { "p50", 0.5 }, { "p90", 0.9 }, { "p99", 0.99 } };

const char *latency_print_part_name(size_t i)
{
	return parts[i].name;
}

bool latency_print_numbers(const struct latency_values *v, struct latency_print_numbers *out)
{
	double asked[LATENCY_PRINT_PARTS];

	if (!v || !v->count)
		return false;
	for (size_t i = 0; i < LATENCY_PRINT_PARTS; i++)
		asked[i] = parts[i].part;
	out->count = v->count;
	out->most = v->most;
	latency_values_percentiles(v, asked, LATENCY_PRINT_PARTS, out->parts);
	return true;
}

const char *latency_print_column(enum latency_column column)
{
	static const char *const names[LATENCY_NR_COLUMNS] = {
		[LATENCY_ON_USER] = "user", [LATENCY_ON_KERNEL] = "kernel",
		[LATENCY_ON_CPU] = "on_cpu", [LATENCY_INTERRUPTED] = "interrupted",
		[LATENCY_RUNQ] = "runq", [LATENCY_OFF_SKIPPED] = "skipped",
		[LATENCY_UNEXPLAINED] = "unexplained",
	};

	return names[column];
}

void latency_print_count(struct output *o, uint64_t nr, const char *noun)
{
	char number[NUMBER_BYTES];

	output_format(o, "%s %s%s", number_grouped(number, nr), noun, nr == 1 ? "" : "s");
}

size_t latency_print_nr_rows(const struct latency_print *p)
{
	const struct latency_row *total = latency_total(p->latency), *rows;
	size_t nr, shown = 0;

	rows = latency_rows(p->latency, &nr);
	if (p->max_rows && nr > p->max_rows)
		nr = p->max_rows;
	if (!p->has_limit)
		return nr;
	while (shown < nr && number_percent(rows[shown].wall_ns - rows[shown].idle_ns -
					    rows[shown].still_ns, total->wall_ns) >= p->percent_limit)
		shown++;
	return shown;
}

void latency_print_key(const struct latency_print *p, const struct latency_row *row, size_t key,
		       struct bytebuf *to, enum fieldtext_style style)
{
	if (row->group < LATENCY_MAX_ROWS)
		groups_put(latency_groups(p->latency), row->group, key, to, style);
	else if (style == FIELDTEXT_JSON)
		bytebuf_text(to, "null");
	else if (style == FIELDTEXT_TERMINAL)
		bytebuf_text(to, MORE);
}

const char *latency_print_comm(const struct latency_print *p, const struct latency_row *row)
{
	struct trace *t = query_trace(p->query);
	const struct trace_task *task = trace_task(t, row->task);
	const char *comm = task ? trace_text(t, task->comm) : "";

	if (row->group == LATENCY_MAX_ROWS)
		return MORE;
	return *comm ? comm : "[unknown]";
}
