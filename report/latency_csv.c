#include "report/latency_print.h"

#include <inttypes.h>
#include <string.h>

#include "report/escape.h"

struct csv {
	const struct latency_print *p;
	struct output *o;
};

static void put_text(struct output *o, const char *text)
{
	escape_csv(output_buffer(o), text, strlen(text));
	output_text(o, ",");
}

static void put_keys(struct csv *c, const struct latency_row *row)
{
	struct latency *l = c->p->latency;
	const struct profile_keys *keys = latency_keys(l);

	if (latency_is_of_processes(l))
		put_text(c->o, latency_print_comm(c->p, row));
	for (size_t k = 0; k < keys->nr; k++) {
		latency_print_key(c->p, row, k, output_buffer(c->o), FIELDTEXT_CSV);
		output_text(c->o, ",");
	}
	output_format(c->o, "%" PRIu64 ",%" PRIu64 ",", row->nr_threads, row->nr_spans);
}

/* A line; what follows the time is empty where there is no distribution. */
static void put_part(struct csv *c, const struct latency_row *row, const char *part,
		     const struct latency_wait *wait, uint64_t ns, const struct latency_values *v)
{
	struct latency_print_numbers n;

	put_keys(c, row);
	put_text(c->o, part);
	put_text(c->o, wait ? latency_reason(c->p->latency, wait->reason) : "");
	output_format(c->o, "%s,%" PRIu64, wait ? wait->idle ? "1" : "0" : "", ns);
	if (latency_print_numbers(v, &n)) {
		output_format(c->o, ",%" PRIu64, n.count);
		for (size_t i = 0; i < LATENCY_PRINT_PARTS; i++)
			output_format(c->o, ",%" PRIu64, n.parts[i]);
		output_format(c->o, ",%" PRIu64 "\n", n.most);
	} else {
		output_text(c->o, ",,,,,\n");
	}
	output_settle(c->o);
}

static void put_row(struct csv *c, const struct latency_row *row)
{
	put_part(c, row, "wall", NULL, row->wall_ns, row->values[LATENCY_OF_SPANS]);
	for (size_t i = 0; i < LATENCY_NR_COLUMNS; i++) {
		const struct latency_values *v = NULL;

		if (i == LATENCY_ON_CPU && row->ns[i])
			v = row->values[LATENCY_OF_ON_CPU];
		else if (i == LATENCY_INTERRUPTED)
			v = row->values[LATENCY_OF_INTERRUPTED];
		else if (i == LATENCY_RUNQ)
			v = row->values[LATENCY_OF_RUNQ];
		put_part(c, row, latency_print_column((enum latency_column)i), NULL, row->ns[i], v);
	}
	for (size_t i = 0; i < row->nr_waits; i++)
		put_part(c, row, "blocked", row->waits[i], row->waits[i]->ns,
			 row->waits[i]->values);
}

int latency_csv(const struct latency_print *p, struct output *o)
{
	struct csv c = { .p = p, .o = o };
	const struct profile_keys *keys = latency_keys(p->latency);
	size_t nr, shown = latency_print_nr_rows(p);
	const struct latency_row *rows = latency_rows(p->latency, &nr);

	if (latency_is_of_processes(p->latency))
		output_text(o, "comm,");
	for (size_t k = 0; k < keys->nr; k++)
		put_text(o, keys->list[k]->name);
	output_text(o, "threads,spans,part,reason,idle,ns,count");
	for (size_t i = 0; i < LATENCY_PRINT_PARTS; i++)
		output_format(o, ",%s_ns", latency_print_part_name(i));
	output_text(o, ",max_ns\n");
	for (size_t i = 0; i < shown && !output_error(o); i++)
		put_row(&c, &rows[i]);
	return 0;
}
