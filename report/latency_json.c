#include "report/latency_print.h"

#include <inttypes.h>

#include "report/escape.h"
#include "report/query_json.h"

struct json {
	const struct latency_print *p;
	struct output *o;
	struct latency_lines lines;
};

static void put_number(struct output *o, const char *name, uint64_t v)
{
	output_format(o, ", \"%s\": %" PRIu64, name, v);
}

/* False, and nothing, if there are no values. */
static bool put_numbers(struct json *j, const char *before, const char *name,
			const struct latency_values *v)
{
	struct latency_print_numbers n;

	if (!latency_print_numbers(v, &n))
		return false;
	output_format(j->o, "%s\"%s\": {\"count\": %" PRIu64, before, name, n.count);
	for (size_t i = 0; i < LATENCY_PRINT_PARTS; i++)
		output_format(j->o, ", \"%s_ns\": %" PRIu64, latency_print_part_name(i),
			      n.parts[i]);
	output_format(j->o, ", \"max_ns\": %" PRIu64 "}", n.most);
	return true;
}

/* --- stacks --------------------------------------------------------------------------------- */

static void put_text(struct json *j, uint32_t text)
{
	const struct intern_string *s = latency_lines_text(&j->lines, text);

	output_text(j->o, "\"");
	escape_json(output_buffer(j->o), s->text, s->len_bytes);
	output_text(j->o, "\"");
}

static void put_line(struct json *j, const struct latency_line *line)
{
	output_text(j->o, "{\"stack\": ");
	put_text(j, line->text);
	put_number(j->o, "ns", line->ns);
	put_number(j->o, "count", line->count);
	output_text(j->o, ", \"wakers\": [");
	for (size_t i = 0; i < line->nr_wakers; i++) {
		const struct latency_waker *w = &j->lines.wakers[line->first_waker + i];

		output_text(j->o, i ? ", {\"waker\": " : "{\"waker\": ");
		put_text(j, w->text);
		put_number(j->o, "ns", w->ns);
		put_number(j->o, "count", w->count);
		output_text(j->o, "}");
	}
	output_text(j->o, "]}");
	output_settle(j->o);
}

static int put_wait(struct json *j, const struct latency_wait *w)
{
	int err = latency_lines_make(&j->lines, latency_tops(j->p->latency), w);

	output_text(j->o, "\n      {\"reason\": ");
	query_json_text(j->o, latency_reason(j->p->latency, w->reason));
	output_format(j->o, ", \"idle\": %s", w->idle ? "true" : "false");
	put_number(j->o, "ns", w->ns);
	put_number(j->o, "count", w->count);
	put_numbers(j, ", ", "values", w->values);
	output_text(j->o, ", \"stacks\": [");
	for (size_t i = 0; i < j->lines.nr && !err; i++) {
		output_text(j->o, i ? ",\n        " : "\n        ");
		put_line(j, &j->lines.lines[i]);
	}
	output_text(j->o, "]}");
	return err;
}

/* --- rows ----------------------------------------------------------------------------------- */

static void put_keys(struct json *j, const struct latency_row *row)
{
	struct latency *l = j->p->latency;
	const struct profile_keys *keys = latency_keys(l);

	output_text(j->o, "\"keys\": {");
	if (latency_is_of_processes(l)) {
		output_text(j->o, "\"comm\": ");
		query_json_text(j->o, latency_print_comm(j->p, row));
		output_text(j->o, ", ");
	}
	for (size_t k = 0; k < keys->nr; k++) {
		output_text(j->o, k ? ", " : "");
		query_json_text(j->o, keys->list[k]->name);
		output_text(j->o, ": ");
		latency_print_key(j->p, row, k, output_buffer(j->o), FIELDTEXT_JSON);
	}
	output_text(j->o, "}, ");
}

static void put_sums(struct json *j, const struct latency_row *row)
{
	output_format(j->o, "\"threads\": %" PRIu64, row->nr_threads);
	put_number(j->o, "spans", row->nr_spans);
	put_number(j->o, "wall_ns", row->wall_ns);
	output_text(j->o, ", \"ns\": {");
	for (size_t i = 0; i < LATENCY_NR_COLUMNS; i++)
		output_format(j->o, "%s\"%s\": %" PRIu64, i ? ", " : "",
			      latency_print_column((enum latency_column)i), row->ns[i]);
	put_number(j->o, "blocked", row->blocked_ns);
	output_text(j->o, "}");
	put_number(j->o, "idle_ns", row->idle_ns);
}

static int put_row(struct json *j, const struct latency_row *row)
{
	static const char *const names[LATENCY_NR_VALUES] = {
		"spans", "on_cpu", "interrupted", "runq",
	};
	const char *before = "";
	int err = 0;

	output_text(j->o, "{");
	put_keys(j, row);
	put_sums(j, row);
	output_text(j->o, ", \"values\": {");
	for (size_t i = 0; i < LATENCY_NR_VALUES; i++) {
		if (put_numbers(j, before, names[i], row->values[i]))
			before = ", ";
	}
	before = "";
	output_text(j->o, "}, \"blocked\": [");
	for (size_t i = 0; i < row->nr_waits && !err; i++) {
		output_text(j->o, before);
		err = put_wait(j, row->waits[i]);
		before = ",";
	}
	output_text(j->o, "]}");
	output_settle(j->o);
	return err;
}

static void put_remarks(struct json *j)
{
	struct latency_remarks r;

	latency_get_remarks(j->p->latency, &r);
	output_format(j->o, "\"remarks\": {\"impossible\": %" PRIu64, r.nr_impossible);
	put_number(j->o, "overflow", r.nr_overflow);
	put_number(j->o, "unwoken", r.nr_unwoken);
	put_number(j->o, "unwoken_ns", r.unwoken_ns);
	put_number(j->o, "overlap_ns", r.overlap_ns);
	put_number(j->o, "no_room", r.nr_no_room);
	put_number(j->o, "cut", r.nr_cut);
	put_number(j->o, "no_task", r.nr_no_task);
	put_number(j->o, "forgotten", r.nr_forgotten);
	put_number(j->o, "early", r.nr_early);
	put_number(j->o, "more_groups", r.nr_more_groups);
	put_number(j->o, "stacks_dropped_ns", latency_tops(j->p->latency)->dropped_ns);
	output_text(j->o, "}");
}

int latency_json(const struct latency_print *p, struct output *o)
{
	struct json j = { .p = p, .o = o };
	size_t nr, shown = latency_print_nr_rows(p);
	const struct latency_row *rows = latency_rows(p->latency, &nr);
	uint64_t first_ns, last_ns;
	int err = latency_lines_init(&j.lines, query_trace(p->query), p->max_frames);

	latency_range(p->latency, &first_ns, &last_ns);
	output_format(o, "{\"first_ns\": %" PRIu64 ", \"last_ns\": %" PRIu64 ",\n", first_ns,
		      last_ns);
	query_json_quality(p->query, o);
	output_text(o, ",\n");
	put_remarks(&j);
	output_text(o, ",\n\"total\": {");
	put_sums(&j, latency_total(p->latency));
	output_text(o, "},\n\"rows\": [");
	for (size_t i = 0; i < shown && !err && !output_error(o); i++) {
		output_text(o, i ? ",\n  " : "\n  ");
		err = put_row(&j, &rows[i]);
	}
	output_text(o, "\n]}\n");
	latency_lines_release(&j.lines);
	return err;
}
