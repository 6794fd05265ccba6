#include "report/flamediff_read.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "report/number.h"
#include "report/query_time.h"

struct line_target {
	struct flamediff_tree *tree;
	enum flamediff_side side;
	const struct folded_sums *sums;
	uint32_t *names;	/* of its trees; NULL: none came yet */
};

static int add_line(void *ctx, const char *stack, size_t len_bytes, uint64_t count)
{
	const struct line_target *to = ctx;

	return flamediff_tree_add(to->tree, to->side, &(struct flamediff_line) {
		.stack = stack, .len_bytes = len_bytes, .count = count,
		.nr_levels = to->sums->levels });
}

static int add_tree(void *ctx, const struct folded_tree *tree)
{
	struct line_target *to = ctx;

	if (!to->names)
		to->names = calloc((size_t)textpool_nr(tree->names) + 1, sizeof(*to->names));
	if (!to->names)
		return -ENOMEM;
	return flamediff_tree_merge(to->tree, to->side, tree, to->sums->levels, to->names);
}

/* What of the recording the query has asked for. */
static uint64_t length_ns(const struct flamediff_input *in)
{
	const struct trace *t = query_trace(in->query);
	uint64_t start_ns = query_start_ns(in->query), first_ns, last_ns, from_ns, to_ns;
	struct query_time time;

	trace_time_range(t, &first_ns, &last_ns);
	if (query_time_parse(&time, in->time, NULL))
		return 0;
	query_time_resolve(&time, start_ns, last_ns, &from_ns, &to_ns);
	if (from_ns > first_ns)
		first_ns = from_ns;
	if (to_ns < last_ns)
		last_ns = to_ns;
	return last_ns > first_ns ? last_ns - first_ns : 0;
}

static int check_units(const struct flamediff_pair *p, bool events_chosen, struct diag *d)
{
	const struct folded_sums *base = &p->sums[FLAMEDIFF_BASE], *new = &p->sums[FLAMEDIFF_NEW];

	if (!base->event || !new->event)
		return 0;
	if (strcmp(base->unit, new->unit))
		return diag_set(d, -EINVAL, "cannot compare '%s' with '%s': the one measures %s in "
				"%s, the other %s in %s (choose with -e and --of what both have)",
				p->opts->inputs[FLAMEDIFF_NEW].path,
				p->opts->inputs[FLAMEDIFF_BASE].path, new->event, new->unit,
				base->event, base->unit);
	if (!events_chosen && strcmp(base->event, new->event))
		return diag_set(d, -EINVAL, "cannot compare '%s' with '%s': the first event with "
				"stacks is %s in the one and %s in the other (choose with -e)",
				p->opts->inputs[FLAMEDIFF_NEW].path,
				p->opts->inputs[FLAMEDIFF_BASE].path, new->event, base->event);
	return 0;
}

static void scale(struct flamediff_pair *p)
{
	static const char *const names[] = {
		[FLAMEDIFF_BY_TIME] = "per second of recording",
		[FLAMEDIFF_BY_TOTAL] = "shares of the whole",
		[FLAMEDIFF_BY_NOTHING] = "as recorded",
	};
	enum flamediff_normalize how = p->opts->normalize;
	double base = 1, new = 1;
	char lengths[FLAMEDIFF_SIDES][NUMBER_BYTES];

	if (how == FLAMEDIFF_BY_TIME) {
		base = (double)p->length_ns[FLAMEDIFF_BASE];
		new = (double)p->length_ns[FLAMEDIFF_NEW];
	} else if (how == FLAMEDIFF_BY_TOTAL) {
		base = (double)p->sums[FLAMEDIFF_BASE].total;
		new = (double)p->sums[FLAMEDIFF_NEW].total;
	}
	p->factor[FLAMEDIFF_NEW] = 1;
	p->factor[FLAMEDIFF_BASE] = base > 0 && new > 0 ? new / base : 1;
	for (int side = 0; side < FLAMEDIFF_SIDES; side++)
		number_ns(lengths[side], p->length_ns[side]);
	if (!(base > 0 && new > 0))
		snprintf(p->scale_text, sizeof(p->scale_text), "as recorded: there is no %s to "
			 "compare by", how == FLAMEDIFF_BY_TIME ? "length" : "sum");
	else
		snprintf(p->scale_text, sizeof(p->scale_text), "%s: base \xc3\x97 %.4g (%s against "
			 "%s)", names[how], p->factor[FLAMEDIFF_BASE], lengths[FLAMEDIFF_NEW],
			 lengths[FLAMEDIFF_BASE]);
}

static bool is_same(const struct flamediff_pair *p)
{
	size_t nr;
	const struct flamediff_node *nodes = flamediff_tree_nodes(p->tree, &nr);

	for (size_t i = 0; i < nr; i++)
		if (nodes[i].amount[FLAMEDIFF_BASE] != nodes[i].amount[FLAMEDIFF_NEW])
			return false;
	return true;
}

int flamediff_read(struct flamediff_pair *p, const struct flamediff_opts *opts,
		   const struct folded_opts *folded, bool reverse,
		   struct flamediff_result *result, struct diag *d)
{
	int err;

	*p = (struct flamediff_pair) { .opts = opts };
	*result = (struct flamediff_result) { .same = false };
	err = flamediff_tree_new(&p->tree, reverse);
	for (int side = 0; side < FLAMEDIFF_SIDES && !err; side++) {
		const struct flamediff_input *in = &opts->inputs[side];
		struct line_target to = { p->tree, (enum flamediff_side)side, &p->sums[side], NULL };

		err = folded_trees(in->query, folded, add_tree, add_line, &to, &p->sums[side], d);
		free(to.names);
		p->length_ns[side] = length_ns(in);
		result->left_out[side] = p->sums[side].left_out;
		result->empty[side] = p->sums[side].total == 0;
	}
	if (!err)
		err = check_units(p, folded->sum.all_events, d);
	if (!err) {
		scale(p);
		result->same = is_same(p);
	}
	return err;
}

void flamediff_read_release(struct flamediff_pair *p)
{
	flamediff_tree_free(p->tree);
	p->tree = NULL;
}
