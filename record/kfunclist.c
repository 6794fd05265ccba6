#define _GNU_SOURCE
#include "record/kfuncprobe.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "format/expr.h"
#include "record/rights.h"

/* The functions that types are known of, by name. */
struct typed {
	const char *name;
	uint32_t id;
};

struct index {
	struct btftypes *types;
	struct typed *list;
	size_t nr;
};

struct listing {
	const struct probe_kind *kind;
	bool is_fentry, is_return, verbose;
	struct index *indexes;		/* the kernel's, and those of modules */
	size_t nr_indexes;
	const char *missing;
	probe_list_fn fn;
	void *ctx;
};

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct typed *)a)->name, ((const struct typed *)b)->name);
}

static int fill_index(struct index *x, const char *module)
{
	int err = btftypes_get(&x->types, *module ? module : NULL, NULL);
	uint32_t first, last;

	if (err)
		return err;
	first = btftypes_first_own(x->types);
	last = btftypes_last(x->types);
	x->list = calloc(last - first + 1, sizeof(*x->list));
	if (!x->list)
		return -ENOMEM;
	for (uint32_t id = first; id <= last; id++) {
		if (btftypes_kind(x->types, id) != BTF_KIND_FUNC)
			continue;
		x->list[x->nr].name = btftypes_name(x->types, id);
		x->list[x->nr++].id = id;
	}
	qsort(x->list, x->nr, sizeof(*x->list), by_name);
	return 0;
}

/* One that stays empty where there are no types.  NULL: out of memory. */
static struct index *find_index(struct listing *l, const char *module)
{
	struct index *x;

	for (size_t i = 0; i < l->nr_indexes; i++)
		if (l->indexes[i].types && !strcmp(btftypes_module(l->indexes[i].types), module))
			return &l->indexes[i];
	x = realloc(l->indexes, (l->nr_indexes + 1) * sizeof(*x));
	if (!x)
		return NULL;
	l->indexes = x;
	x += l->nr_indexes;
	memset(x, 0, sizeof(*x));
	if (fill_index(x, module)) {
		btftypes_put(x->types);
		free(x->list);
		memset(x, 0, sizeof(*x));
	} else {
		l->nr_indexes++;
	}
	return x;
}

static void add_field(char *to, size_t size_bytes, const char *name, const struct btftypes *b,
		      uint32_t type)
{
	size_t len = strlen(to);
	char text[96];

	btftypes_text(b, type, text, sizeof(text));
	snprintf(to + len, size_bytes - len, "%s%s:%s", len ? ", " : "", name, text);
}

static void describe(const struct listing *l, const struct btftypes *b, uint32_t func, char *to,
		     size_t size_bytes)
{
	uint32_t prototype = btftypes_prototype(b, func);
	uint32_t nr = btftypes_nr_members(b, prototype), result = btftypes_target(b, prototype);

	if (l->is_return && result)
		add_field(to, size_bytes, "retval", b, result);
	for (uint32_t i = 0; i < nr && (!l->is_return || l->is_fentry); i++) {
		struct btftypes_member m = btftypes_member_at(b, prototype, i);

		add_field(to, size_bytes, *m.name ? m.name : "...", b, m.type);
	}
}

static int tell(struct listing *l, const struct kfunc *f)
{
	struct probe_listing row = { .missing = l->missing };
	struct typed key = { .name = f->name }, *typed = NULL;
	char name[256], fields[1024] = "";

	if (l->verbose || l->is_fentry) {
		struct index *x = find_index(l, f->module);

		if (!x)
			return -ENOMEM;
		if (x->nr)
			typed = bsearch(&key, x->list, x->nr, sizeof(key), by_name);
		if (l->is_fentry && !typed)
			return 0;
		if (typed && l->verbose)
			describe(l, x->types, typed->id, fields, sizeof(fields));
	}
	snprintf(name, sizeof(name), "%s:%s%s%s", l->kind->name, f->module,
		 *f->module ? ":" : "", f->name);
	row.name = name;
	row.fields = l->verbose && typed ? fields : NULL;
	return l->fn(l->ctx, &row);
}

/* Tells once what is missing of the kind as a whole. */
static void find_missing(struct listing *l, const struct kfuncs *found, char *to,
			 size_t size_bytes)
{
	char lacking[RIGHTS_TEXT_BYTES];
	struct diag d = { "" };
	struct index *kernel;

	if (kfunctry_kprobe(&d))
		l->missing = to;
	snprintf(to, size_bytes, "%s", d.text);
	if (!l->is_fentry)
		return;
	l->missing = NULL;
	if (rights_lacks_bpf(lacking)) {
		snprintf(to, size_bytes, "%s", lacking);
		l->missing = to;
		return;
	}
	kernel = find_index(l, "");
	for (size_t i = 0; kernel && i < found->nr; i++) {
		struct typed key = { .name = found->list[i].name }, *typed;
		uint32_t refused;
		int err;

		if (*found->list[i].module || !kernel->nr)
			continue;
		typed = bsearch(&key, kernel->list, kernel->nr, sizeof(key), by_name);
		if (!typed)
			continue;
		err = kfunctry_fentry(typed->id, 0, l->is_return, 0, &refused);
		if (err && l->missing == NULL && d.text[0]) {
			snprintf(to, size_bytes, "this kernel has no %s (%s)", l->kind->name,
				 strerror(-err));
			l->missing = to;
		}
		return;
	}
}

/* "kprobe:vfs_*" for this kind, or "vfs_*" for any; NULL: another kind is meant. */
static const char *function_glob(const struct probe_kind *k, const char *glob)
{
	const char *colon = glob ? strchr(glob, ':') : NULL;

	if (!glob)
		return "*";
	if (!colon)
		return glob;
	return expr_glob(glob, (size_t)(colon - glob), k->name, strlen(k->name)) ? colon + 1
										 : NULL;
}

static void release(struct listing *l)
{
	for (size_t i = 0; i < l->nr_indexes; i++) {
		btftypes_put(l->indexes[i].types);
		free(l->indexes[i].list);
	}
	free(l->indexes);
}

int kfunclist_list(const struct probe_kind *k, const char *glob, bool verbose,
		   probe_list_fn fn, void *ctx, struct diag *d)
{
	struct listing l = { .kind = k, .verbose = verbose, .fn = fn, .ctx = ctx,
			     .is_fentry = k->name[0] == 'f',
			     .is_return = !strcmp(k->name, "kretprobe") ||
					  !strcmp(k->name, "fexit") };
	const char *function = function_glob(k, glob), *colon;
	char missing[512], module[64] = "";
	struct kfuncs found = { 0 };
	int err;

	if (!function)
		return 0;
	colon = strchr(function, ':');
	if (colon) {
		snprintf(module, sizeof(module), "%.*s", (int)(colon - function), function);
		function = colon + 1;
	}
	err = kfuncs_find(&found, *module ? module : NULL, function, true, d);
	if (!err && found.nr)
		find_missing(&l, &found, missing, sizeof(missing));
	for (size_t i = 0; i < found.nr && !err; i++)
		err = tell(&l, &found.list[i]);
	kfuncs_release(&found);
	release(&l);
	return err;
}
