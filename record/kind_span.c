/*
 * Spans that have a name (record/spans.def): the first of their ways that this kernel
 * has.  Fields that are asked for choose of those that the way has, or are more of its
 * start's or end's.
 */
#include "record/probe_private.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/bytebuf.h"
#include "record/spans.h"

static int parse_way(const char *way, struct probe_spec **out, struct diag *d)
{
	size_t nr;
	int err = probespec_parse(out, &nr, way, d);

	if (err || nr == 1)
		return err;
	probespec_free(*out, nr);
	return diag_set(d, -EINVAL, "'%s' is more than one event", way);
}

static void drop_probes(struct probes *set, size_t from)
{
	while (set->nr > from)
		probe_free(set->list[--set->nr]);
}

/* Whether the way is there, whatever else is asked for. */
static int try_way(const struct probes *set, const struct probe_spec *way, struct diag *d)
{
	struct probes scratch = *set;
	int err;

	scratch.list = NULL;
	scratch.nr = scratch.cap = 0;
	err = probe_resolve(&scratch, way, d);
	probe_release_all(&scratch);
	return err;
}

static int take_way(struct probes *set, struct probe_spec *way, const struct probe_spec *spec,
		    struct diag *d)
{
	size_t before = set->nr;
	int err;

	way->chosen = spec->fields;
	way->filter = spec->filter;
	way->tally = spec->tally;
	way->min_ns = spec->min_ns;
	way->max_ns = spec->max_ns;
	way->kernel_stack = spec->kernel_stack;
	way->user_stack = spec->user_stack;
	err = probe_resolve(set, way, d);
	if (err)
		drop_probes(set, before);
	return err;
}

/* Takes over `name`, which is the event's. */
static int name_way(struct probe_spec *way, const char *name, struct diag *d)
{
	free(way->name);
	way->name = strdup(name);
	return way->name ? 0 : diag_set(d, -ENOMEM, "out of memory");
}

static int expand(struct probes *set, const struct probe_spec *spec, struct diag *d)
{
	const struct spans_row *row = spans_find(spec->what, strlen(spec->what));
	struct diag first = { "" };

	if (!row)
		return diag_set(d, -ENOENT, "no span has the name '%s' (see: kymo list 'span:*')",
				spec->what);
	for (size_t i = 0; row->ways[i]; i++) {
		struct diag why = { "" };
		struct probe_spec *way;
		int err = parse_way(row->ways[i], &way, d);

		if (!err)
			err = name_way(way, spec->name ? spec->name : row->name, d);
		if (err)
			return err;
		err = try_way(set, way, &why);
		if (!err) {
			err = take_way(set, way, spec, d);
			probespec_free(way, 1);
			return err;
		}
		if (!first.text[0])
			first = why;
		probespec_free(way, 1);
	}
	return diag_set(d, -EOPNOTSUPP, "'%s' cannot be recorded here: %.400s", row->name,
			first.text);
}

/* --- listing -------------------------------------------------------------------------- */

static void add_fields(struct bytebuf *text, const struct probe *p, bool *any)
{
	for (size_t i = 0; i < p->nr_fields; i++) {
		bytebuf_text(text, *any ? ", " : "");
		bytebuf_text(text, p->fields[i].name);
		*any = true;
	}
}

static void add_side(struct bytebuf *text, const struct probe_spec *s)
{
	if (strcmp(s->kind, "tracepoint")) {
		bytebuf_text(text, s->kind);
		bytebuf_text(text, ":");
	}
	bytebuf_text(text, s->what);
}

/* A way without its fields. */
static void add_way(struct bytebuf *text, const char *way)
{
	struct probe_spec *spec;

	if (parse_way(way, &spec, NULL))
		return;
	if (spec->start) {
		add_side(text, spec->start);
		bytebuf_text(text, "..");
	}
	add_side(text, spec);
	bytebuf_text(text, spec->keys ? "@" : "");
	bytebuf_text(text, spec->keys ? spec->keys : "");
	probespec_free(spec, 1);
}

/* What the way that is taken here records, and which ways there are. */
static char *describe(const struct spans_row *row, size_t used, const struct probe *p)
{
	struct bytebuf text;
	bool any = false;

	bytebuf_init(&text);
	if (p->span)
		add_fields(&text, p->span->start, &any);
	add_fields(&text, p, &any);
	for (size_t i = 0; row->ways[i]; i++) {
		bytebuf_text(&text, i == used ? "; here by " : i < used ? "; not here: " :
								       "; else by ");
		add_way(&text, row->ways[i]);
	}
	return bytebuf_take_text(&text);
}

static int list_row(const struct spans_row *row, bool verbose, probe_list_fn fn, void *ctx)
{
	struct probe_listing l = { .name = row->name, .summary = row->summary };
	struct diag first = { "" };
	struct probes set = { 0 };
	char *text = NULL;
	bool found = false;
	int ret;

	for (size_t i = 0; row->ways[i] && !found; i++) {
		struct diag why = { "" };
		struct probe_spec *way;

		if (!parse_way(row->ways[i], &way, &why)) {
			found = !probe_resolve(&set, way, &why);
			probespec_free(way, 1);
		}
		if (found && verbose)
			text = describe(row, i, set.list[0]);
		if (!first.text[0])
			first = why;
		probe_release_all(&set);
	}
	l.fields = text;
	l.missing = found ? NULL : first.text;
	ret = fn(ctx, &l);
	free(text);
	return ret;
}

static int list(const struct probe_kind *k, const char *glob, bool verbose, probe_list_fn fn,
		void *ctx, struct diag *d)
{
	const struct spans_row *row;
	int err = 0;

	(void)k;
	(void)d;
	for (size_t i = 0; !err && (row = spans_at(i)); i++)
		if (!glob || !fnmatch(glob, row->name, 0))
			err = list_row(row, verbose, fn, ctx);
	return err;
}

const struct probe_kind kind_span = {
	.name = "span",
	.summary = "spans that have a name: blockio, net:connect, fs:read",
	.expand = expand,
	.list = list,
};
