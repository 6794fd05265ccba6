#define _GNU_SOURCE
#include "record/probe_private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* --- kinds ---------------------------------------------------------------------------- */

#define PROBE_KIND(x) extern const struct probe_kind kind_##x;
#include "record/probe_kinds.def"
#undef PROBE_KIND

static const struct probe_kind *const kinds[] = {
#define PROBE_KIND(x) &kind_##x,
#include "record/probe_kinds.def"
#undef PROBE_KIND
	NULL,
};

/* Whether a comma-separated list has the word. */
static bool list_has(const char *list, const char *word, size_t len_bytes)
{
	while (list && *list) {
		size_t n = strcspn(list, ",");

		if (n == len_bytes && !strncmp(list, word, n))
			return true;
		list += n + (list[n] == ',');
	}
	return false;
}

const struct probe_kind *probe_find_kind(const char *name, size_t len_bytes)
{
	for (size_t i = 0; kinds[i]; i++)
		if (list_has(kinds[i]->name, name, len_bytes) ||
		    list_has(kinds[i]->aliases, name, len_bytes))
			return kinds[i];
	return NULL;
}

const struct probe_kind *probe_kind_at(size_t i)
{
	return i < sizeof(kinds) / sizeof(*kinds) ? kinds[i] : NULL;
}

bool probe_may_use(const struct probes *set, const char *way)
{
	return !set->use || list_has(set->use, way, strlen(way));
}

/* --- what every probe has ---------------------------------------------------------------- */

struct builtin {
	const char *name;
	uint8_t op, size;
	bool is_free;
};

static const struct builtin builtins[] = {
	{ "pid", FETCH_PID, 4, true },
	{ "tid", FETCH_TID, 4, true },
	{ "uid", FETCH_UID, 4, false },
	{ "gid", FETCH_GID, 4, false },
	{ "comm", 0, 0, true },
	{ "cpu", FETCH_CPU, 4, true },
	{ "cgroup", FETCH_CGROUP, 8, false },
};

static const struct builtin *find_builtin(const char *name)
{
	for (size_t i = 0; i < sizeof(builtins) / sizeof(*builtins); i++)
		if (!strcmp(builtins[i].name, name))
			return &builtins[i];
	return NULL;
}

int probe_builtin(const char *name, struct probe_value *out)
{
	const struct builtin *b = find_builtin(name);

	if (!b)
		return -ENOENT;
	memset(out, 0, sizeof(*out));
	if (!b->op) {
		out->result = RESULT_COMM;
		out->max_bytes = 16;
		out->class = CLASS_COMMAND;
		return 0;
	}
	out->result = RESULT_NUMBER;
	out->size = b->size;
	out->steps[0].op = b->op;
	out->nr_steps = 1;
	return 0;
}

bool probe_builtin_is_free(const char *name)
{
	const struct builtin *b = find_builtin(name);

	return b && b->is_free;
}

int probe_lookup(const struct probe *p, const struct probe_variant *v, const char *name,
		 struct probe_value *out, struct diag *d)
{
	int err;

	memset(out, 0, sizeof(*out));
	err = p->kind->find(p, v, name, out, d);
	return err == -ENOENT && !d->text[0] ? probe_builtin(name, out) : err;
}

struct joiner {
	char *to;
	size_t size_bytes, len;
};

/* An event may have a field that is called like a builtin one. */
static bool is_in(const char *list, const char *name)
{
	size_t len = strlen(name);

	for (const char *at = strstr(list, name); at; at = strstr(at + len, name))
		if ((at == list || at[-1] == ' ') && (!at[len] || at[len] == ','))
			return true;
	return false;
}

static int join(void *ctx, const char *name)
{
	struct joiner *j = ctx;
	int n;

	if (is_in(j->to, name))
		return 0;
	n = snprintf(j->to + j->len, j->size_bytes - j->len, "%s%s", j->len ? ", " : "", name);

	if (n < 0 || (size_t)n >= j->size_bytes - j->len) {
		j->to[j->len] = '\0';
		return 1;
	}
	j->len += (size_t)n;
	return 0;
}

void probe_join_names(const struct probe *p, char *to, size_t size_bytes)
{
	struct joiner j = { to, size_bytes, 0 };

	*to = '\0';
	if (p->kind->names(p, false, join, &j))
		return;
	for (size_t i = 0; i < sizeof(builtins) / sizeof(*builtins); i++)
		if (join(&j, builtins[i].name))
			return;
}

/* --- sets ------------------------------------------------------------------------------------ */

int probe_append(struct probes *set, struct probe *p)
{
	if (set->nr == set->cap) {
		size_t cap = set->cap ? set->cap * 2 : 16;
		struct probe **list = realloc(set->list, cap * sizeof(*list));

		if (!list)
			return -ENOMEM;
		set->list = list;
		set->cap = cap;
	}
	set->list[set->nr++] = p;
	return 0;
}

struct probe *probe_add(struct probes *set, const struct probe_kind *kind, const char *name,
			size_t nr_variants)
{
	struct probe *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->kind = kind;
	p->name = strdup(name);
	p->variants = calloc(nr_variants, sizeof(*p->variants));
	if (!p->name || !p->variants || probe_append(set, p)) {
		free(p->name);
		free(p->variants);
		free(p);
		return NULL;
	}
	p->nr_variants = nr_variants;
	for (size_t i = 0; i < nr_variants; i++)
		p->variants[i].prog_fd = -1;
	return p;
}

void probe_free(struct probe *p)
{
	if (!p)
		return;
	probe_span_free(p->span);
	tally_free(p->tally);
	if (p->kind->release)
		p->kind->release(p);
	for (size_t i = 0; i < p->nr_variants; i++) {
		if (p->variants[i].prog_fd >= 0)
			close(p->variants[i].prog_fd);
		free(p->variants[i].values);
		free(p->variants[i].filter_values);
		free(p->variants[i].condition_values);
		free(p->variants[i].keys);
	}
	for (size_t i = 0; i < p->nr_fields; i++) {
		free(p->fields[i].name);
		free(p->fields[i].source);
		free(p->fields[i].own_values);
	}
	expr_free(p->filter);
	expr_free(p->condition);
	free(p->fields);
	free(p->variants);
	free(p->format);
	free(p->name);
	free(p);
}

void probe_release_all(struct probes *set)
{
	for (size_t i = 0; i < set->nr; i++)
		probe_free(set->list[i]);
	free(set->list);
	set->list = NULL;
	set->nr = set->cap = 0;
}

/* --- from a spec to probes ---------------------------------------------------------------- */

static int set_filter(struct probe *p, const struct probe_spec *spec, struct diag *d)
{
	char *both;
	int err;

	if (!spec->filter || !spec->condition) {
		const char *text = spec->filter ? spec->filter : spec->condition;

		return text ? probe_fields_filter(p, text, d) : 0;
	}
	if (asprintf(&both, "(%s) && (%s)", spec->filter, spec->condition) < 0)
		return diag_set(d, -ENOMEM, "out of memory");
	err = probe_fields_filter(p, both, d);
	free(both);
	return err;
}

static int finish(struct probe *p, const struct probe_spec *spec, const struct probe_lists *l,
		  struct diag *d)
{
	if (l->end.task)
		return diag_set(d, -EINVAL, "'%s' has no field 'task': it is no span, and its "
				"records are about who runs", p->name);
	if (!spec->tally) {
		p->kernel_stack = spec->kernel_stack || l->end.kernel_stack;
		p->user_stack = spec->user_stack || l->end.user_stack;
	}
	probe_fields_layout(p, 0);
	return set_filter(p, spec, d);
}

static int resolve_lists(struct probe *p, const struct probe_spec *spec,
			 const struct tally_spec *tally, struct probe_lists *l, struct diag *d)
{
	int err = probe_lists_collect(l, p, spec, d);

	if (!err && p->span)
		err = probe_span_keys(p, spec, l, d);
	if (!err && spec->tally)
		err = probe_tally_choose(l, tally, d);
	if (!err && p->span)
		err = probe_fields_set(&l->start, d);
	if (!err)
		err = probe_fields_set(&l->end, d);
	if (!err)
		err = p->span ? probe_span_finish(p, spec, l, d) : finish(p, spec, l, d);
	return err;
}

static int set_name(struct probe *p, const struct probe_spec *spec)
{
	const char *name = spec->name ? spec->name : p->span ? p->span->name : NULL;
	char *copy;

	if (!name)
		return 0;
	copy = strdup(name);
	if (!copy)
		return -ENOMEM;
	free(p->name);
	p->name = copy;
	return 0;
}

static int resolve_one(struct probe *p, const struct probe_spec *spec, struct diag *d)
{
	struct tally_spec tally = { 0 };
	struct probe_lists lists = { 0 };
	int err = spec->tally ? tally_parse(&tally, spec->tally, d) : 0;

	if (!err && !p->span && (spec->min_ns || spec->max_ns))
		err = diag_set(d, -EINVAL, "'%s' has no duration that --min or --max could be asked "
			       "of: they are for spans (A..B, func:NAME, syscall:NAME)", p->name);
	if (!err)
		err = resolve_lists(p, spec, &tally, &lists, d);
	if (!err)
		err = set_name(p, spec);
	if (!err && spec->tally)
		err = tally_bind(p, &tally, d);
	probe_lists_release(&lists);
	tally_spec_release(&tally);
	return err ? diag_set(d, err, "out of memory") : 0;
}

static int expand(struct probes *set, const struct probe_spec *spec, struct diag *d)
{
	const struct probe_kind *k = probe_find_kind(spec->kind, strlen(spec->kind));

	if (!k)
		return diag_set(d, -EINVAL, "unknown kind of event '%s'", spec->kind);
	return spec->start ? probe_span_expand(set, spec, d) : k->expand(set, spec, d);
}

int probe_resolve(struct probes *set, const struct probe_spec *spec, struct diag *d)
{
	size_t first = set->nr;
	int err = expand(set, spec, d);

	if (!err && spec->name && set->nr > first + 1)
		return diag_set(d, -EINVAL, "'%s' are %zu events, which cannot all be called '%s'",
				spec->text, set->nr - first, spec->name);
	for (size_t i = first; !err && i < set->nr; i++)
		/* A named span is resolved already, way by way. */
		if (!set->list[i]->variants[0].values)
			err = resolve_one(set->list[i], spec, d);
	return err;
}
