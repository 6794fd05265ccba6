#include "record/specnames.h"

#include "record/probespec.h"
#include "record/tally.h"

struct wanted {
	probe_name_fn fn;
	void *ctx;
};

static void in_filter(const struct wanted *w, const char *text)
{
	struct expr *filter;

	/* Whoever compiles the filter says what is wrong with it. */
	if (!text || expr_parse(&filter, text, NULL))
		return;
	for (uint32_t i = 0; i < expr_nr_vars(filter); i++)
		w->fn(w->ctx, expr_var_name(filter, i));
	expr_free(filter);
}

static void in_fields(const struct wanted *w, const char *text)
{
	struct probespec_field *fields;
	size_t nr;

	if (!text || probespec_fields(&fields, &nr, text, NULL))
		return;
	for (size_t i = 0; i < nr; i++)
		w->fn(w->ctx, fields[i].source);
	probespec_free_fields(fields, nr);
}

static void in_tally(const struct wanted *w, const char *text)
{
	struct tally_spec tally;

	if (!text || tally_parse(&tally, text, NULL))
		return;
	in_fields(w, tally.by);
	in_fields(w, tally.hist);
	in_fields(w, tally.sum);
	tally_spec_release(&tally);
}

void specnames_each(const struct probe_spec *spec, probe_name_fn fn, void *ctx)
{
	const struct wanted w = { .fn = fn, .ctx = ctx };

	in_fields(&w, spec->fields);
	in_filter(&w, spec->filter);
	in_filter(&w, spec->condition);
	in_tally(&w, spec->tally);
	if (spec->is_side)
		in_fields(&w, spec->keys);
}
