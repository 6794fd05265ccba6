#define _GNU_SOURCE
#include "record/kfuncs.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/expr.h"
#include "record/nearnames.h"

#define TRACEABLE "available_filter_functions"

/* tracefs has a place of its own, or its old one below debugfs. */
static FILE *open_tracefs(const char *name)
{
	static const char *const folders[] = { "/sys/kernel/tracing", "/sys/kernel/debug/tracing" };
	char path[128];
	FILE *f = NULL;

	for (size_t i = 0; i < 2 && !f; i++) {
		snprintf(path, sizeof(path), "%s/%s", folders[i], name);
		f = fopen(path, "re");
	}
	return f;
}

static bool is_glob(const char *pattern)
{
	return strpbrk(pattern, "*?") != NULL;
}

struct match {
	const char *pattern, *module;
	bool is_glob;
};

static bool matches(const struct match *m, const char *name, const char *module)
{
	if (m->module && strcmp(m->module, module) != 0)
		return false;
	if (!m->is_glob)
		return !strcmp(m->pattern, name);
	return expr_glob(m->pattern, strlen(m->pattern), name, strlen(name));
}

/* --- the list -------------------------------------------------------------------------- */

static int append(struct kfuncs *f, const char *name, const char *module, uint64_t address)
{
	struct kfunc *k;

	if (f->nr == f->cap) {
		size_t cap = f->cap ? f->cap * 2 : 64;

		k = realloc(f->list, cap * sizeof(*k));
		if (!k)
			return -ENOMEM;
		f->list = k;
		f->cap = cap;
	}
	k = &f->list[f->nr];
	k->name = strdup(name);
	k->module = strdup(module);
	k->address = address;
	if (!k->name || !k->module) {
		free(k->name);
		free(k->module);
		return -ENOMEM;
	}
	f->nr++;
	return 0;
}

static void free_one(struct kfunc *k)
{
	free(k->name);
	free(k->module);
}

void kfuncs_release(struct kfuncs *f)
{
	for (size_t i = 0; i < f->nr; i++)
		free_one(&f->list[i]);
	free(f->list);
	memset(f, 0, sizeof(*f));
}

static int by_name(const void *a, const void *b)
{
	const struct kfunc *x = a, *y = b;
	int order = strcmp(x->name, y->name);

	if (!order)
		order = strcmp(x->module, y->module);
	return order ? order : (x->address > y->address) - (x->address < y->address);
}

static int by_name_only(const void *a, const void *b)
{
	return strcmp(((const struct kfunc *)a)->name, ((const struct kfunc *)b)->name);
}

/* Where addresses are hidden, functions of one name cannot be told apart. */
static void sort(struct kfuncs *f)
{
	size_t to = 0;

	if (f->nr)
		qsort(f->list, f->nr, sizeof(*f->list), by_name);
	for (size_t i = 0; i < f->nr; i++) {
		if (to && !by_name(&f->list[to - 1], &f->list[i]))
			free_one(&f->list[i]);
		else
			f->list[to++] = f->list[i];
	}
	f->nr = to;
}

static bool has(const struct kfuncs *f, const char *name)
{
	struct kfunc key = { .name = (char *)(uintptr_t)name };

	return f->nr && bsearch(&key, f->list, f->nr, sizeof(key), by_name_only);
}

/* --- where it comes from ------------------------------------------------------------------ */

/* "ffffffff81000000 T name\t[module]": of code, fn gets each. */
typedef int (*symbol_fn)(void *ctx, const char *name, const char *module, uint64_t address);

static int each_symbol(symbol_fn fn, void *ctx)
{
	FILE *f = fopen("/proc/kallsyms", "re");
	char *line = NULL;
	size_t room = 0;
	int err = 0;

	if (!f)
		return -errno;
	while (!err && getline(&line, &room, f) > 0) {
		char *type, *name, *module, *end;
		uint64_t address = strtoull(line, &type, 16);

		if (*type != ' ' || !strchr("tTwW", type[1]) || type[2] != ' ')
			continue;
		name = type + 3;
		end = name + strcspn(name, "\t\n");
		module = *end == '\t' && end[1] == '[' ? end + 2 : NULL;
		*end = '\0';
		if (module)
			module[strcspn(module, "]")] = '\0';
		/* Programs and trampolines of BPF are listed as if they were modules. */
		if (module && (!strcmp(module, "bpf") || !strncmp(module, "__builtin", 9)))
			continue;
		err = fn(ctx, name, module ? module : "", address);
	}
	free(line);
	fclose(f);
	return err;
}

struct search {
	struct match match;
	struct kfuncs *out;
};

static int take_symbol(void *ctx, const char *name, const char *module, uint64_t address)
{
	struct search *s = ctx;

	return matches(&s->match, name, module) ? append(s->out, name, module, address) : 0;
}

/* "name [module]".  -errno if it cannot be read. */
static int read_traceable(struct kfuncs *out, const struct match *m)
{
	FILE *f = open_tracefs(TRACEABLE);
	char *line = NULL;
	size_t room = 0;
	int err = 0;
	bool any = false;

	if (!f)
		return -errno;
	while (!err && getline(&line, &room, f) > 0) {
		char *end = line + strcspn(line, " \t\n");
		const char *module = "";

		any = true;
		if (*end == ' ' && end[1] == '[') {
			end[2 + strcspn(end + 2, "]\n")] = '\0';
			module = end + 2;
		}
		*end = '\0';
		if (matches(m, line, module))
			err = append(out, line, module, 0);
	}
	free(line);
	fclose(f);
	/* Lockdown lets it be opened, and shows nothing. */
	return err ? err : any ? 0 : -ENODATA;
}

/* "0xffffffff81000000-0xffffffff81000010\tname" */
static void read_blacklist(struct kfuncs *out, const struct match *m)
{
	FILE *f = fopen("/sys/kernel/debug/kprobes/blacklist", "re");
	char *line = NULL, *name;
	size_t room = 0;

	while (f && getline(&line, &room, f) > 0) {
		name = strchr(line, '\t');
		if (!name)
			continue;
		name++;
		name[strcspn(name, "\t\n ")] = '\0';
		if (matches(m, name, "") && append(out, name, "", 0))
			break;
	}
	free(line);
	if (f)
		fclose(f);
}

/* --- finding ------------------------------------------------------------------------------ */

static void drop_refused(struct kfuncs *f, const struct kfuncs *traceable,
			 const struct kfuncs *blacklist)
{
	size_t to = 0;

	for (size_t i = 0; i < f->nr; i++) {
		struct kfunc *k = &f->list[i];

		if ((f->is_filtered && !has(traceable, k->name)) || has(blacklist, k->name)) {
			free_one(k);
			f->nr_refused++;
		} else {
			f->list[to++] = *k;
		}
	}
	f->nr = to;
}

static int keep_traceable(struct kfuncs *f, const struct match *m)
{
	struct kfuncs traceable = { 0 }, blacklist = { 0 };
	struct match any_module = *m;
	int err = read_traceable(&traceable, m);

	f->is_filtered = !err;
	any_module.module = NULL;
	read_blacklist(&blacklist, &any_module);
	sort(&traceable);
	sort(&blacklist);
	if (err != -ENOMEM)
		drop_refused(f, &traceable, &blacklist);
	kfuncs_release(&traceable);
	kfuncs_release(&blacklist);
	return err == -ENOMEM ? err : 0;
}

int kfuncs_find(struct kfuncs *out, const char *module, const char *pattern,
		bool only_traceable, struct diag *d)
{
	struct search s = { { pattern, module, is_glob(pattern) }, out };
	int err = each_symbol(take_symbol, &s);

	if (!err) {
		sort(out);
		if (only_traceable && out->nr)
			err = keep_traceable(out, &s.match);
	}
	if (err) {
		kfuncs_release(out);
		return diag_set(d, err, "cannot list the kernel's functions (/proc/kallsyms): %s",
				strerror(-err));
	}
	return 0;
}

static int try_symbol(void *ctx, const char *name, const char *module, uint64_t address)
{
	(void)module;
	(void)address;
	nearnames_try(ctx, name);
	return 0;
}

void kfuncs_suggest(const char *name, char *to, size_t size_bytes)
{
	struct nearnames n;

	nearnames_begin(&n, name);
	each_symbol(try_symbol, &n);
	nearnames_text(&n, to, size_bytes);
}

const char *kfuncs_obstacle(const char *name)
{
	struct match m = { .pattern = name };
	struct kfuncs f = { 0 };
	const char *why = NULL;

	read_blacklist(&f, &m);
	if (f.nr)
		why = "it is on the kernel's blacklist of kprobes";
	else if (!read_traceable(&f, &m) && !f.nr)
		why = "the kernel is built so that it may not be traced (notrace)";
	kfuncs_release(&f);
	return why;
}
