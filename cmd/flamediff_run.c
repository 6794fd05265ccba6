#include "cmd/flamediff_run.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "cmd/command.h"
#include "report/flamediff_folded.h"
#include "report/stacknotes.h"

void flamediff_run_init(struct flamediff_run *r)
{
	*r = (struct flamediff_run) { .width_of = FLAMEDIFF_NEW };
}

int flamediff_run_set_normalize(struct flamediff_run *r, const char *arg)
{
	static const char *const names[] = {
		[FLAMEDIFF_BY_TIME] = "time", [FLAMEDIFF_BY_TOTAL] = "total",
		[FLAMEDIFF_BY_NOTHING] = "none",
	};

	r->diff_only = "--normalize";
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(arg, names[i]))
			continue;
		r->normalize = (enum flamediff_normalize)i;
		r->normalize_chosen = true;
		return EXIT_OK;
	}
	command_complain("cannot normalize by '%s' (time, total or none)", arg);
	return EXIT_USAGE;
}

int flamediff_run_set_width_of(struct flamediff_run *r, const char *arg)
{
	r->diff_only = "--width-of";
	r->width_of = strcmp(arg, "base") ? FLAMEDIFF_NEW : FLAMEDIFF_BASE;
	if (!strcmp(arg, "base") || !strcmp(arg, "new"))
		return EXIT_OK;
	command_complain("there is no width of '%s' (new or base)", arg);
	return EXIT_USAGE;
}

int flamediff_run_check(struct flamediff_run *r, const struct view_opts *view, bool is_folded)
{
	if (!r->base && r->diff_only) {
		command_complain("%s has a meaning only with --diff", r->diff_only);
		return EXIT_USAGE;
	}
	if (!r->base)
		return EXIT_OK;
	if (is_folded && r->width_of == FLAMEDIFF_BASE) {
		command_complain("--width-of has no meaning with --folded");
		return EXIT_USAGE;
	}
	if (!strcmp(r->base, "-") && view->query.input && !strcmp(view->query.input, "-")) {
		command_complain("only one of the two traces can come from standard input");
		return EXIT_USAGE;
	}
	/* Other tools have their own ways to bring two columns to one scale. */
	if (is_folded && !r->normalize_chosen)
		r->normalize = FLAMEDIFF_BY_NOTHING;
	return EXIT_OK;
}

static void tell_left_out(const struct flamediff_input *in, const struct stacksum_left_out *l)
{
	char note[STACKNOTES_BYTES];

	if (l->events)
		command_complain("'%s': %u other event%s left out (choose with -e)", in->path,
				 l->events, l->events == 1 ? "" : "s");
	if (l->negative)
		command_complain("'%s': %" PRIu64 " negative value%s left out", in->path,
				 l->negative, l->negative == 1 ? "" : "s");
	for (int i = 0; i < STACKNOTES_NR; i++)
		if (*stacknotes_put(l, (enum stacknotes_kind)i, note))
			command_complain("'%s': %s", in->path, note);
}

static void tell(struct flamediff_run *r, const struct flamediff_opts *opts,
		 const struct flamediff_result *result)
{
	char line[512];

	for (int side = 0; side < FLAMEDIFF_SIDES; side++) {
		tell_left_out(&opts->inputs[side], &result->left_out[side]);
		if (result->empty[side])
			command_complain("'%s' has nothing to compare: no record passed%s",
					 opts->inputs[side].path, side == FLAMEDIFF_BASE
					 ? ", so all is new" : ", so nothing of the base is left");
	}
	if (result->same && !result->empty[FLAMEDIFF_NEW])
		command_complain("no difference: all stacks and their weights are the same");
	r->base_damaged = query_quality_line(opts->inputs[FLAMEDIFF_BASE].query, line,
					     sizeof(line));
	command_complain("base '%s': %s", r->base, line);
}

int flamediff_run_write(struct flamediff_run *r, const struct view_opts *view, struct query *q,
			const struct flamegraph_opts *graph, const struct folded_opts *folded,
			struct output *o, struct diag *d)
{
	struct query_opts base_opts = view->query;
	struct flamediff_opts opts = { .normalize = r->normalize, .width_of = r->width_of };
	struct flamediff_result result;
	struct diag why = { "" };
	struct query *base;
	int err;

	base_opts.input = r->base;
	err = query_open(&base, &base_opts, &why);
	if (err)
		return diag_set(d, err, "no base to compare with: %s", why.text);
	opts.inputs[FLAMEDIFF_BASE] = (struct flamediff_input) {
		.query = base, .path = r->base, .time = base_opts.time };
	opts.inputs[FLAMEDIFF_NEW] = (struct flamediff_input) {
		.query = q, .path = view->query.input ? view->query.input : "trace.kymo",
		.time = view->query.time };
	if (folded)
		err = flamediff_folded(&opts, folded, o, &result, d);
	else
		err = flamediff_write(&opts, graph, o, &result, d);
	if (!err)
		tell(r, &opts, &result);
	query_close(base);
	return err;
}
