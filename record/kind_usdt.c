/* Static probes that programs and libraries bring along (USDT). */
#define _GNU_SOURCE
#include "record/probe.h"

#include "record/elffuncs.h"
#include "record/libfind.h"
#include "record/nearnames.h"
#include "record/uprobeattach.h"
#include "record/usdtargs.h"
#include "record/usdtnotes.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Defined at the end. */
extern const struct probe_kind kind_usdt;

#define MAX_EVENTS 2000

/* What v->private is: places of one file that have their arguments in the same ones. */
struct spot {
	int fd;				/* of the file, its own */
	char *path;
	struct usdtargs args;
	struct uprobeattach_places places;
};

/* A note that was asked for. */
struct match {
	const struct usdtnotes_note *note;
	const struct libfind_file *file;
};

struct expansion {
	struct probes *set;
	const char *text;		/* whole, for messages */
	char *file_name, *provider;	/* provider: NULL if left out */
	const char *name;		/* borrowed from what was typed */
	struct libfind_files files;
	struct usdtnotes *notes;	/* by file */
	struct match *matches;		/* by provider, name, file, arguments */
	size_t nr, cap;
};

/* --- what matches ------------------------------------------------------------------------- */

static bool fits(const char *pattern, const char *text)
{
	return !strcmp(pattern, text) || !fnmatch(pattern, text, FNM_NOESCAPE);
}

static int add_matches(struct expansion *x, const struct libfind_file *file,
		       const struct usdtnotes *notes)
{
	for (size_t i = 0; i < notes->nr; i++) {
		const struct usdtnotes_note *n = &notes->list[i];

		if ((x->provider && !fits(x->provider, n->provider)) || !fits(x->name, n->name))
			continue;
		if (x->nr == x->cap) {
			size_t cap = x->cap ? x->cap * 2 : 64;
			struct match *list = realloc(x->matches, cap * sizeof(*list));

			if (!list)
				return -ENOMEM;
			x->matches = list;
			x->cap = cap;
		}
		x->matches[x->nr++] = (struct match){ n, file };
	}
	return 0;
}

static int compare_names(const struct match *a, const struct match *b)
{
	int order = strcmp(a->note->provider, b->note->provider);

	return order ? order : strcmp(a->note->name, b->note->name);
}

static int compare(const void *va, const void *vb)
{
	const struct match *a = va, *b = vb;
	int order = compare_names(a, b);

	if (!order)
		order = a->file < b->file ? -1 : a->file > b->file;
	if (!order)
		order = strcmp(a->note->args, b->note->args);
	if (!order)
		order = a->note->offset < b->note->offset ? -1 : a->note->offset > b->note->offset;
	return order;
}

static int complain_missing(const struct expansion *x, struct diag *d)
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

static int read_files(struct expansion *x, struct diag *d)
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

static void forget_files(struct expansion *x)
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
static int find_matches(struct expansion *x, struct diag *d)
{
	static const enum libfind_sense senses[] = { LIBFIND_PROGRAM, LIBFIND_LIBRARY };
	struct diag first = { "" };
	int first_err = 0;

	for (size_t i = 0; i < sizeof(senses) / sizeof(*senses); i++) {
		struct diag why = { "" };
		int err = libfind_open(&x->files, x->file_name, senses[i], x->set->pids,
				       x->set->nr_pids, &why);

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
			x->text, x->file_name, x->set->nr_pids ? " for that process" : "");
}

static int split(struct expansion *x, const char *what, struct diag *d)
{
	const char *colon;
	int err;

	err = libfind_split(what, x->set->pids, x->set->nr_pids, &x->file_name, &x->name);
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

static void expansion_release(struct expansion *x)
{
	forget_files(x);
	free(x->file_name);
	free(x->provider);
}

/* --- from notes to probes ------------------------------------------------------------------- */

static void spot_free(struct spot *s)
{
	if (!s)
		return;
	if (s->fd >= 0)
		close(s->fd);
	free(s->path);
	free(s->places.offsets);
	free(s->places.semaphores);
	free(s);
}

static bool find_symbol(void *ctx, const char *name, size_t len_bytes, uint64_t *address)
{
	const struct libfind_file *file = ctx;

	return usdtnotes_symbol(file->fd, name, len_bytes, address);
}

static struct usdtargs parse_args(const struct match *m)
{
	struct libfind_file file = *m->file;
	struct usdtargs args;

	usdtargs_parse(&args, m->note->args, m->note->address, find_symbol, &file);
	return args;
}

static struct spot *spot_new(const struct match *m, size_t nr)
{
	struct spot *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->args = parse_args(m);
	s->fd = dup(m->file->fd);
	s->path = strdup(m->file->path);
	s->places = (struct uprobeattach_places){
		.fd = s->fd, .path = s->path,
		.offsets = calloc(nr, sizeof(*s->places.offsets)),
		.semaphores = calloc(nr, sizeof(*s->places.semaphores)),
	};
	if (s->fd < 0 || !s->path || !s->places.offsets || !s->places.semaphores) {
		spot_free(s);
		return NULL;
	}
	for (size_t i = 0; i < nr; i++) {
		const struct usdtnotes_note *n = m[i].note;
		size_t last = s->places.nr - 1;

		/* The linker may have kept a note twice. */
		if (s->places.nr && s->places.offsets[last] == n->offset)
			continue;
		s->places.offsets[s->places.nr] = n->offset;
		s->places.semaphores[s->places.nr++] = n->semaphore;
	}
	return s;
}

/* How many of the matches, from the first on, have one file and the same arguments. */
static size_t same_args(const struct match *m, size_t nr)
{
	size_t same = 1;

	if (parse_args(m).is_relative)
		return 1;
	while (same < nr && m[same].file == m->file && !strcmp(m[same].note->args, m->note->args))
		same++;
	return same;
}

static size_t same_name(const struct match *m, size_t nr)
{
	size_t same = 1;

	while (same < nr && !compare_names(&m[same], m))
		same++;
	return same;
}

static int check_semaphores(const struct expansion *x, const struct match *m, size_t nr,
			    struct diag *d)
{
	for (size_t i = 0; i < nr; i++)
		if (m[i].note->bad_semaphore)
			return diag_set(d, -EINVAL, "cannot trace 'usdt:%s:%s:%s': its semaphore in "
					"'%s' cannot be written", x->file_name,
					m->note->provider, m->note->name, m[i].file->path);
	return 0;
}

static int add_event(struct expansion *x, const struct match *m, size_t nr, struct diag *d)
{
	size_t nr_variants = 0, variant = 0;
	struct probe *p;
	char name[4096];
	int err;

	err = check_semaphores(x, m, nr, d);
	if (err)
		return err;
	for (size_t i = 0; i < nr; i += same_args(m + i, nr - i))
		nr_variants++;
	snprintf(name, sizeof(name), "usdt:%s:%s:%s", x->file_name, m->note->provider,
		 m->note->name);
	p = probe_add(x->set, &kind_usdt, name, nr_variants);
	for (size_t i = 0; p && variant < nr_variants; variant++) {
		size_t same = same_args(m + i, nr - i);

		p->variants[variant].private = spot_new(m + i, same);
		if (!p->variants[variant].private)
			p = NULL;
		i += same;
	}
	return p ? uprobeattach_choose(x->set, p, nr, d) :
		   diag_set(d, -ENOMEM, "out of memory");
}

static int expand(struct probes *set, const struct probe_spec *spec, struct diag *d)
{
	struct expansion x = { .set = set, .text = spec->text };
	size_t nr_events = 0, same;
	int err;

	err = split(&x, spec->what, d);
	if (!err)
		err = find_matches(&x, d);
	for (size_t i = 0; !err && i < x.nr; i += same) {
		same = same_name(x.matches + i, x.nr - i);
		if (nr_events++ == MAX_EVENTS)
			err = diag_set(d, -E2BIG, "'%s' matches more than %d static probes: "
				       "narrow it", spec->text, MAX_EVENTS);
		else
			err = add_event(&x, x.matches + i, same, d);
	}
	expansion_release(&x);
	return err;
}

static void release(struct probe *p)
{
	for (size_t i = 0; i < p->nr_variants; i++)
		spot_free(p->variants[i].private);
}

static int attach(struct probes *set, struct probe *p, struct probe_variant *v,
		  struct attachset *a, struct diag *d)
{
	const struct spot *s = v->private;

	return uprobeattach_attach(set, p, v, &s->places, a, d);
}

/* --- values ------------------------------------------------------------------------------------ */

/* "arg0" is the first. */
static int arg_index(const char *name)
{
	size_t digits;

	if (strncmp(name, "arg", 3))
		return -1;
	digits = strspn(name + 3, "0123456789");
	return digits == 0 || digits > 2 || name[3 + digits] ? -1 : atoi(name + 3);
}

static int find(const struct probe *p, const struct probe_variant *v, const char *name,
		struct probe_value *out, struct diag *d)
{
	const struct spot *s = v->private;
	int i = arg_index(name);

	if (i < 0 || (size_t)i >= s->args.nr)
		return -ENOENT;
	if (s->args.list[i].why)
		return diag_set(d, -EINVAL, "'%s' of '%s' %s", name, p->name,
				s->args.list[i].why);
	*out = s->args.list[i].value;
	return 0;
}

static int names(const struct probe *p, bool usual, probe_name_fn fn, void *ctx)
{
	int ret = 0;

	(void)usual;
	for (size_t i = 0; !ret && i < USDTARGS_MAX; i++) {
		struct diag ignored = { "" };
		struct probe_value value;
		size_t v = 0;
		char name[16];

		snprintf(name, sizeof(name), "arg%zu", i);
		while (v < p->nr_variants && !find(p, &p->variants[v], name, &value, &ignored))
			v++;
		if (v == p->nr_variants)
			ret = fn(ctx, name);
	}
	return ret;
}

/* --- listing ------------------------------------------------------------------------------------- */

static void describe_args(const struct usdtargs *args, char *to, size_t size_bytes)
{
	size_t len = 0;

	*to = '\0';
	for (size_t i = 0; i < args->nr && len < size_bytes; i++) {
		const struct probe_value *v = &args->list[i].value;
		const char *comma = i ? ", " : "";

		if (args->list[i].why)
			len += (size_t)snprintf(to + len, size_bytes - len, "%sarg%zu:?", comma, i);
		else
			len += (size_t)snprintf(to + len, size_bytes - len, "%sarg%zu:%c%u", comma,
						i, v->is_signed ? 's' : 'u', v->size * 8u);
	}
}

static int list(const struct probe_kind *k, const char *glob, bool verbose, probe_list_fn fn,
		void *ctx, struct diag *d)
{
	struct probes set = { 0 };
	struct expansion x = { .set = &set, .text = glob };
	int ret;

	/* Every file of the machine may have some: only those of a named one are listed. */
	if (!glob)
		return 0;
	ret = split(&x, glob, d);
	if (!ret)
		ret = find_matches(&x, d);
	for (size_t i = 0; !ret && i < x.nr; i += same_name(x.matches + i, x.nr - i)) {
		const struct match *m = &x.matches[i];
		struct usdtargs args = parse_args(m);
		char name[4096], fields[512];
		struct probe_listing l = { .name = name };

		snprintf(name, sizeof(name), "%s:%s:%s:%s", k->name, x.file_name,
			 m->note->provider, m->note->name);
		describe_args(&args, fields, sizeof(fields));
		if (verbose)
			l.fields = fields;
		if (m->note->bad_semaphore)
			l.missing = "its semaphore cannot be written";
		ret = fn(ctx, &l);
	}
	expansion_release(&x);
	return ret;
}

const struct probe_kind kind_usdt = {
	.name = "usdt", .aliases = "U",
	.summary = "a static probe of a program or library: usdt:python3:function__entry",
	.expand = expand, .find = find, .names = names, .attach = attach,
	.release = release, .list = list,
};
