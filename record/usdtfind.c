#define _GNU_SOURCE
#include "record/usdtfind.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "record/elffuncs.h"
#include "record/nearnames.h"

static bool fits(const char *pattern, const char *text)
{
	return !strcmp(pattern, text) || !fnmatch(pattern, text, FNM_NOESCAPE);
}

static int add_matches(struct usdtfind *x, const struct libfind_file *file,
		       const struct usdtnotes *notes)
{
	for (size_t i = 0; i < notes->nr; i++) {
		const struct usdtnotes_note *n = &notes->list[i];

		if ((x->provider && !fits(x->provider, n->provider)) || !fits(x->name, n->name))
			continue;
		if (x->nr == x->cap) {
			size_t cap = x->cap ? x->cap * 2 : 64;
			struct usdtfind_match *list = realloc(x->matches, cap * sizeof(*list));

			if (!list)
				return -ENOMEM;
			x->matches = list;
			x->cap = cap;
		}
		x->matches[x->nr++] = (struct usdtfind_match){ n, file };
	}
	return 0;
}

static int compare_names(const struct usdtfind_match *a, const struct usdtfind_match *b)
{
	int order = strcmp(a->note->provider, b->note->provider);

	return order ? order : strcmp(a->note->name, b->note->name);
}

static int compare(const void *va, const void *vb)
{
	const struct usdtfind_match *a = va, *b = vb;
	int order = compare_names(a, b);

	if (!order)
		order = a->file < b->file ? -1 : a->file > b->file;
	if (!order)
		order = strcmp(a->note->args, b->note->args);
	if (!order)
		order = a->note->offset < b->note->offset ? -1 : a->note->offset > b->note->offset;
	return order;
}

static int complain_missing(const struct usdtfind *x, struct diag *d)
{
	const char *path = x->files.list[0].path;
	struct nearnames near;
	char text[320];
	size_t nr = 0;

	nearnames_begin(&near, x->name);
	for (size_t i = 0; i < x->files.nr; i++) {
		nr += x->notes[i].nr;
		for (size_t k = 0; k < x->notes[i].nr; k++)
			nearnames_try(&near, x->notes[i].list[k].name);
	}
	nearnames_text(&near, text, sizeof(text));
	if (!nr)
		return diag_set(d, -ENOENT, "'%s' has no static probes (USDT)", path);
	return diag_set(d, -ENOENT, "'%s' has no static probe '%s%s%s'%s; it has %zu (see: kymo "
			"list 'usdt:%s:*')", path, x->provider ? x->provider : "",
			x->provider ? ":" : "", x->name, text, nr, x->file_name);
}

static int read_files(struct usdtfind *x, struct diag *d)
{
	int err = 0;

	x->notes = calloc(x->files.nr, sizeof(*x->notes));
	if (!x->notes)
		return diag_set(d, -ENOMEM, "out of memory");
	for (size_t i = 0; !err && i < x->files.nr; i++) {
		const struct libfind_file *file = &x->files.list[i];
		struct elfid id;

		err = elffuncs_identify(&id, file, d);
		if (err)
			return err;
		err = usdtnotes_read(&x->notes[i], file->fd, &id);
		if (!err)
			err = add_matches(x, file, &x->notes[i]);
		if (err)
			diag_set(d, err, "cannot read the static probes of '%s': %s", file->path,
				 strerror(-err));
	}
	if (!err && !x->nr)
		err = complain_missing(x, d);
	if (!err)
		qsort(x->matches, x->nr, sizeof(*x->matches), compare);
	return err;
}

static void forget_files(struct usdtfind *x)
{
	for (size_t i = 0; x->notes && i < x->files.nr; i++)
		usdtnotes_release(&x->notes[i]);
	libfind_release(&x->files);
	free(x->notes);
	free(x->matches);
	x->notes = NULL;
	x->matches = NULL;
	x->nr = x->cap = 0;
}

/* A program of that name, else a library: the first that has the probe. */
static int find_matches(struct usdtfind *x, struct diag *d)
{
	static const enum libfind_sense senses[] = { LIBFIND_PROGRAM, LIBFIND_LIBRARY };
	struct diag first = { "" };
	int first_err = 0;

	for (size_t i = 0; i < sizeof(senses) / sizeof(*senses); i++) {
		struct diag why = { "" };
		int err = libfind_open(&x->files, x->file_name, senses[i], x->pids,
				       x->nr_pids, &why);

		if (!err)
			err = read_files(x, &why);
		if (!err)
			return 0;
		forget_files(x);
		if (!first.text[0] && why.text[0]) {
			first = why;
			first_err = err;
		}
	}
	if (first.text[0])
		return diag_set(d, first_err, "%s", first.text);
	return diag_set(d, -ENOENT, "cannot trace '%s': there is no program or library '%s'%s",
			x->text, x->file_name, x->nr_pids ? " for that process" : "");
}

static int split(struct usdtfind *x, const char *what, struct diag *d)
{
	const char *colon;
	int err;

	err = libfind_split(what, x->pids, x->nr_pids, &x->file_name, &x->name);
	if (err == -EINVAL || (!err && !*x->name))
		return diag_set(d, -EINVAL, "'%s' names no static probe (write: "
				"usdt:FILE:PROVIDER:NAME or usdt:FILE:NAME)", x->text);
	colon = err ? NULL : strchr(x->name, ':');
	if (colon) {
		x->provider = strndup(x->name, (size_t)(colon - x->name));
		x->name = colon + 1;
	}
	return err || (colon && !x->provider) ? diag_set(d, -ENOMEM, "out of memory") : 0;
}

int usdtfind_open(struct usdtfind *x, const char *what, struct diag *d)
{
	int err = split(x, what, d);

	return err ? err : find_matches(x, d);
}

void usdtfind_release(struct usdtfind *x)
{
	forget_files(x);
	free(x->file_name);
	free(x->provider);
}

size_t usdtfind_same_name(const struct usdtfind_match *m, size_t nr)
{
	size_t same = 1;

	while (same < nr && !compare_names(&m[same], m))
		same++;
	return same;
}
