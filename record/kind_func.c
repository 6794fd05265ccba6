/*
 * Functions as spans, from entry to return: `func:vfs_read`, `func:libc:malloc`.  They
 * are made of the kinds for entries and returns; recursion and longjmp do no harm, since
 * a call's frame is a key.
 */
#define _GNU_SOURCE
#include "record/probe_private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "record/kfuncs.h"

#define KEYS "tid,frame"
#define MAX_FUNCTIONS 2000

/* "vfs_read", "ext4:ext4_sync_file": of the kernel; else a file is named. */
static bool is_kernels(const char *what)
{
	const char *colon = strchr(what, ':');
	char path[256];

	if (!colon)
		return true;
	if (memchr(what, '/', (size_t)(colon - what)))
		return false;
	snprintf(path, sizeof(path), "/sys/module/%.*s", (int)(colon - what), what);
	return access(path, F_OK) == 0;
}

static int pair(struct probes *set, const struct probe_spec *spec, const char *what,
		const char *entry, const char *returns, struct diag *d)
{
	struct probe_spec start = *spec, end = *spec;
	char name[4096];

	start.fields = end.fields = NULL;
	start.kind = strdup(entry);
	end.kind = strdup(returns);
	start.what = end.what = strdup(what);
	start.keys = end.keys = NULL;
	snprintf(name, sizeof(name), "func:%s", what);
	if (start.kind && end.kind && start.what) {
		int err = probe_span_pair(set, spec, &start, &end, name, KEYS, d);

		free(start.kind);
		free(end.kind);
		free(start.what);
		return err;
	}
	free(start.kind);
	free(end.kind);
	free(start.what);
	return diag_set(d, -ENOMEM, "out of memory");
}

/* Takes the last probe of the set away again. */
static void drop_last(struct probes *set)
{
	probe_free(set->list[--set->nr]);
}

/* Trampolines for both sides, or breakpoints for both: else frames are not alike. */
static int pair_kernel(struct probes *set, const struct probe_spec *spec, const char *what,
		       struct diag *d)
{
	const char *use = set->use;
	const struct probe *p;
	int err = pair(set, spec, what, "fentry", "fexit", d);

	if (err)
		return err;
	p = set->list[set->nr - 1];
	if (p->variants[0].prog_type == p->span->start->variants[0].prog_type)
		return 0;
	drop_last(set);
	if (!probe_may_use(set, "kprobe"))
		return diag_set(d, -EOPNOTSUPP, "'%s': entry and return cannot both be traced by "
				"fentry and fexit", spec->text);
	set->use = "kprobe";
	err = pair(set, spec, what, "fentry", "fexit", d);
	set->use = use;
	return err;
}

/* --- globs ---------------------------------------------------------------------------- */

struct many {
	struct probes *set;
	const struct probe_spec *spec;
	const char *last;
	size_t nr, nr_refused;
	struct diag why;		/* of the first that was refused */
};

/* Some may not be probed; it is enough that others may. */
static int take_result(struct many *m, int err, const struct diag *why)
{
	if (!err) {
		m->nr++;
		return 0;
	}
	if (err == -ENOMEM || err == -EMFILE)
		return err;
	if (!m->nr_refused++)
		m->why = *why;
	return 0;
}

static int end_many(struct many *m, int err, struct diag *d)
{
	if (!err && !m->nr && m->nr_refused)
		return diag_set(d, -EINVAL, "%s", m->why.text);
	if (!err && !m->nr)
		return diag_set(d, -ENOENT, "no function matches '%s'", m->spec->text);
	if (!err && m->nr_refused && !*m->set->note)
		snprintf(m->set->note, sizeof(m->set->note), "%zu of %zu functions of '%s' are "
			 "left out: %.300s", m->nr_refused, m->nr_refused + m->nr,
			 m->spec->text, m->why.text);
	return err ? diag_set(d, err, "%s", m->why.text[0] ? m->why.text : strerror(-err)) : 0;
}

static int expand_kernel_glob(struct probes *set, const struct probe_spec *spec, struct diag *d)
{
	const char *colon = strrchr(spec->what, ':');
	char *module = colon ? strndup(spec->what, (size_t)(colon - spec->what)) : NULL;
	struct many m = { .set = set, .spec = spec };
	struct kfuncs found = { 0 };
	int err = kfuncs_find(&found, module, colon ? colon + 1 : spec->what, true, d);

	if (!err && found.nr > MAX_FUNCTIONS)
		err = diag_set(d, -E2BIG, "'%s' matches %zu functions: as spans at most %d are "
			       "recorded (try kprobe:%s)", spec->text, found.nr, MAX_FUNCTIONS,
			       spec->what);
	for (size_t i = 0; !err && i < found.nr; i++) {
		struct diag why = { "" };

		/* Functions of one name: the first is what the name alone means. */
		if (i && !strcmp(found.list[i].name, found.list[i - 1].name))
			continue;
		if (set->progress && set->progress(set->progress_ctx, spec->text, i, found.nr))
			err = diag_set(d, -EINTR, "interrupted");
		else
			err = take_result(&m, pair_kernel(set, spec, found.list[i].name, &why),
					  &why);
	}
	kfuncs_release(&found);
	free(module);
	return err == -EINTR ? err : end_many(&m, err, d);
}

static int take_function(void *ctx, const struct probe_listing *l)
{
	struct many *m = ctx;
	const char *what = strchr(l->name, ':') + 1;
	struct diag why = { "" };

	if (m->nr + m->nr_refused == MAX_FUNCTIONS) {
		snprintf(m->why.text, sizeof(m->why.text), "'%s' matches more than %d functions: "
			 "as spans no more are recorded (try uprobe:%s)", m->spec->text,
			 MAX_FUNCTIONS, m->spec->what);
		return -E2BIG;
	}
	return take_result(m, pair(m->set, m->spec, what, "uprobe", "uretprobe", &why), &why);
}

static int expand_user_glob(struct probes *set, const struct probe_spec *spec, struct diag *d)
{
	const struct probe_kind *k = probe_find_kind("uprobe", strlen("uprobe"));
	struct many m = { .set = set, .spec = spec };

	return end_many(&m, k->list(k, spec->what, false, take_function, &m, d), d);
}

static bool is_glob(const char *what)
{
	const char *slash = strrchr(what, '/');

	return strpbrk(slash ? slash : what, "*?") != NULL;
}

static int expand(struct probes *set, const struct probe_spec *spec, struct diag *d)
{
	bool kernels = is_kernels(spec->what);

	if (is_glob(spec->what))
		return kernels ? expand_kernel_glob(set, spec, d) : expand_user_glob(set, spec, d);
	return kernels ? pair_kernel(set, spec, spec->what, d) :
			 pair(set, spec, spec->what, "uprobe", "uretprobe", d);
}

/* --- listing -------------------------------------------------------------------------- */

struct lister {
	probe_list_fn fn;
	void *ctx;
};

/* "kprobe:vfs_read" is func:vfs_read. */
static int tell(void *ctx, const struct probe_listing *l)
{
	struct lister *to = ctx;
	struct probe_listing row = *l;
	char name[4096];

	snprintf(name, sizeof(name), "func:%s", strchr(l->name, ':') + 1);
	row.name = name;
	return to->fn(to->ctx, &row);
}

static int list(const struct probe_kind *k, const char *glob, bool verbose, probe_list_fn fn,
		void *ctx, struct diag *d)
{
	const char *kind = !glob || is_kernels(glob) ? "kprobe" : "uprobe";
	struct lister to = { fn, ctx };

	k = probe_find_kind(kind, strlen(kind));
	return k->list(k, glob, verbose, tell, &to, d);
}

const struct probe_kind kind_func = {
	.name = "func",
	.summary = "span: a function, from entry to return: func:vfs_read, func:libc:getaddrinfo",
	.expand = expand,
	.list = list,
};
