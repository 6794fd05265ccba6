/* Static probes that programs and libraries bring along (USDT). */
#define _GNU_SOURCE
#include "record/probe.h"

#include "record/uprobeattach.h"
#include "record/usdtargs.h"
#include "record/usdtfind.h"

#include <errno.h>
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

static struct usdtargs parse_args(const struct usdtfind_match *m)
{
	struct libfind_file file = *m->file;
	struct usdtargs args;

	usdtargs_parse(&args, m->note->args, m->note->address, find_symbol, &file);
	return args;
}

static struct spot *spot_new(const struct usdtfind_match *m, size_t nr)
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
static size_t same_args(const struct usdtfind_match *m, size_t nr)
{
	size_t same = 1;

	if (parse_args(m).is_relative)
		return 1;
	while (same < nr && m[same].file == m->file && !strcmp(m[same].note->args, m->note->args))
		same++;
	return same;
}

static int check_semaphores(const struct usdtfind *x, const struct usdtfind_match *m, size_t nr,
			    struct diag *d)
{
	for (size_t i = 0; i < nr; i++)
		if (m[i].note->bad_semaphore)
			return diag_set(d, -EINVAL, "cannot trace 'usdt:%s:%s:%s': its semaphore in "
					"'%s' cannot be written", x->file_name,
					m->note->provider, m->note->name, m[i].file->path);
	return 0;
}

static int add_event(struct probes *set, const struct usdtfind *x,
		     const struct usdtfind_match *m, size_t nr, struct diag *d)
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
	p = probe_add(set, &kind_usdt, name, nr_variants);
	for (size_t i = 0; p && variant < nr_variants; variant++) {
		size_t same = same_args(m + i, nr - i);

		p->variants[variant].private = spot_new(m + i, same);
		if (!p->variants[variant].private)
			p = NULL;
		i += same;
	}
	return p ? uprobeattach_choose(set, p, nr, d) :
		   diag_set(d, -ENOMEM, "out of memory");
}

static int expand(struct probes *set, const struct probe_spec *spec, struct diag *d)
{
	struct usdtfind x = { .text = spec->text, .pids = set->pids, .nr_pids = set->nr_pids };
	size_t nr_events = 0, same;
	int err;

	err = usdtfind_open(&x, spec->what, d);
	for (size_t i = 0; !err && i < x.nr; i += same) {
		same = usdtfind_same_name(x.matches + i, x.nr - i);
		if (nr_events++ == MAX_EVENTS)
			err = diag_set(d, -E2BIG, "'%s' matches more than %d static probes: "
				       "narrow it", spec->text, MAX_EVENTS);
		else
			err = add_event(set, &x, x.matches + i, same, d);
	}
	usdtfind_release(&x);
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
	struct usdtfind x = { .text = glob };
	int ret;

	/* Every file of the machine may have some: only those of a named one are listed. */
	if (!glob)
		return 0;
	ret = usdtfind_open(&x, glob, d);
	for (size_t i = 0; !ret && i < x.nr; i += usdtfind_same_name(x.matches + i, x.nr - i)) {
		const struct usdtfind_match *m = &x.matches[i];
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
	usdtfind_release(&x);
	return ret;
}

const struct probe_kind kind_usdt = {
	.name = "usdt", .aliases = "U",
	.summary = "a static probe of a program or library: usdt:python3:function__entry",
	.expand = expand, .find = find, .names = names, .attach = attach,
	.release = release, .list = list,
};
