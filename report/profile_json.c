#include "report/profile_print.h"

#include "report/number.h"
#include "report/query_json.h"

#include <errno.h>
#include <inttypes.h>

struct json {
	const struct profile_print *pp;
	const struct profile_table *table;
	struct output *o;
	unsigned int depth;		/* of the branch that is open; 0: the row */
};

static void put_tables(const struct profile_print *pp, struct output *o)
{
	output_text(o, "\"tables\": [");
	for (size_t i = 0; i < profile_nr_tables(pp->profile); i++) {
		const struct profile_table *t = profile_table_at(pp->profile, i);

		output_text(o, i ? ",\n  {\"event\": " : "\n  {\"event\": ");
		if (t->event)
			query_json_text(o, t->event);
		else
			output_text(o, "null");
		output_text(o, ", \"field\": ");
		query_json_text(o, t->field);
		output_text(o, ", \"unit\": ");
		query_json_text(o, t->unit);
		output_format(o, ", \"samples\": %" PRIu64 ", \"weight\": %" PRIu64
			      ", \"rows\": %zu}", t->samples, t->weight, t->nr_rows);
	}
	output_text(o, "\n]");
}

/* --- trees ------------------------------------------------------------------- */

/* Ends the open branch and those around it, down to the given depth. */
static void close_branches(struct json *j, unsigned int depth)
{
	if (j->depth < depth)
		return;
	output_text(j->o, "}");
	for (; j->depth > depth; j->depth--)
		output_text(j->o, "]}");
	j->depth--;
}

static int put_branch(void *ctx, const struct profile_branch *b)
{
	struct json *j = ctx;

	if (!b->depth)
		return 0;
	if (b->depth > j->depth) {
		output_format(j->o, ", \"%s\": [",
			      j->pp->direction == PROFILE_CALLEES ? "callees" : "callers");
	} else {
		close_branches(j, b->depth);
		output_text(j->o, ", ");
	}
	output_text(j->o, "{\"symbol\": ");
	query_json_text(j->o, b->frame->symbol);
	output_text(j->o, ", \"module\": ");
	query_json_text(j->o, b->frame->module);
	output_format(j->o, ", \"weight\": %" PRIu64, b->weight);
	j->depth = b->depth;
	output_settle(j->o);
	return 0;
}

static int put_tree(struct json *j, const struct profile_row *row)
{
	const struct profile_print *pp = j->pp;
	int err;

	j->depth = 0;
	err = profile_tree(pp->profile, row, pp->direction, !pp->children,
			   profile_print_min_weight(pp, j->table), put_branch, j);
	if (j->depth) {
		close_branches(j, 1);
		output_text(j->o, "]");
	}
	return err;
}

/* --- rows -------------------------------------------------------------------- */

/* Of what the row has itself; nothing where there are no values. */
static int put_numbers(struct json *j, const struct profile_row *row)
{
	struct profile_print_numbers n;

	if (profile_print_numbers(j->pp, row, &n))
		return -ENOMEM;
	if (n.any)
		output_format(j->o, ", \"mean\": %.15g, \"p50\": %.15g, \"p99\": %.15g", n.mean,
			      n.p50, n.p99);
	if (n.any && n.has_most)
		output_format(j->o, ", \"max\": %.15g", n.most);
	return 0;
}

static int put_row(struct json *j, const struct profile_row *row)
{
	const struct profile_print *pp = j->pp;
	bool has_event = false;
	int err = 0;

	output_text(j->o, "{");
	for (size_t k = 0; k < pp->keys->nr; k++) {
		struct profile_value v = profile_value(pp->profile, row, pp->keys->list[k]);

		has_event |= pp->keys->list[k]->of == PROFILE_OF_EVENT;
		output_format(j->o, "%s\"%s\": ", k ? ", " : "", pp->keys->list[k]->name);
		if (v.text)
			query_json_text(j->o, v.text);
		else if (v.field)
			profile_print_field(pp, output_buffer(j->o), v, FIELDTEXT_JSON);
		else
			output_format(j->o, "%" PRIu64, v.number);
	}
	if (!has_event) {
		output_text(j->o, ", \"event\": ");
		query_json_text(j->o, j->table->event);
	}
	output_format(j->o, ", \"samples\": %" PRIu64 ", \"self\": %" PRIu64
		      ", \"self_percent\": %.4f", row->samples, row->self,
		      number_percent(row->self, j->table->weight));
	if (pp->children)
		output_format(j->o, ", \"children\": %" PRIu64 ", \"children_percent\": %.4f",
			      row->children,
			      number_percent(row->children, j->table->weight));
	if (j->table->distributed)
		err = put_numbers(j, row);
	if (pp->tree && !err)
		err = put_tree(j, row);
	output_text(j->o, "}");
	output_settle(j->o);
	return err;
}

int profile_json(const struct profile_print *pp, struct output *o)
{
	struct json j = { .pp = pp, .o = o };
	const char *between = "\n  ";
	uint64_t first_ns, last_ns;
	int err = 0;

	trace_time_range(query_trace(pp->query), &first_ns, &last_ns);
	output_format(o, "{\"first_ns\": %" PRIu64 ", \"last_ns\": %" PRIu64 ",\n", first_ns,
		      last_ns);
	query_json_quality(pp->query, o);
	output_text(o, ",\n");
	put_tables(pp, o);
	output_text(o, ",\n\"rows\": [");
	for (size_t i = 0; i < profile_nr_tables(pp->profile) && !err; i++) {
		size_t nr;

		j.table = profile_table_at(pp->profile, i);
		nr = profile_print_nr_rows(pp, j.table);
		for (size_t r = 0; r < nr && !err && !output_error(o); r++) {
			output_text(o, between);
			between = ",\n  ";
			err = put_row(&j, &j.table->rows[r]);
		}
	}
	output_text(o, "\n]}\n");
	return err;
}
