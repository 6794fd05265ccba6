/* Functions of programs and libraries: where they begin and where they return. */
#define _GNU_SOURCE
#include "record/probe.h"

#include "record/elffuncs.h"
#include "record/uprobeattach.h"
#include "record/uprobefind.h"
#include "record/uprobevalues.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Defined at the end. */
extern const struct probe_kind kind_uprobe, kind_uretprobe;

/* --- files and places ----------------------------------------------------------------- */

static void code_put(struct uprobe_code *c)
{
	if (!c || --c->nr_users)
		return;
	dwarfargs_close(c->dwarf);
	free(c->file.path);
	close(c->file.fd);
	free(c);
}

/* Takes over what the file holds. */
static struct uprobe_code *code_new(struct libfind_file *file, const struct elfid *id)
{
	struct uprobe_code *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->file = *file;
	c->id = *id;
	c->nr_users = 1;
	*file = (struct libfind_file){ .fd = -1 };
	return c;
}

static void spot_free(struct uprobe_spot *s)
{
	if (!s)
		return;
	dwarfargs_free(s->func);
	free(s->symbol);
	free(s->places.offsets);
	code_put(s->code);
	free(s);
}

static struct uprobe_spot *spot_new(struct uprobe_code *code,
				    const struct uprobefind_place *list, size_t nr, bool returns)
{
	struct uprobe_spot *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->code = code;
	code->nr_users++;
	s->places = (struct uprobeattach_places){
		.fd = code->file.fd, .path = code->file.path, .returns = returns, .nr = nr,
		.offsets = calloc(nr, sizeof(*s->places.offsets)),
	};
	if (nr == 1 && list->symbol)
		s->symbol = strdup(list->symbol);
	if (!s->places.offsets || (nr == 1 && list->symbol && !s->symbol)) {
		spot_free(s);
		return NULL;
	}
	for (size_t i = 0; i < nr; i++)
		s->places.offsets[i] = list[i].offset;
	return s;
}

/* --- from what was typed to probes ------------------------------------------------------- */

struct expansion {
	struct probes *set;
	const char *text;		/* whole, for messages */
	const struct probe_kind *kind;
	struct uprobefind_what what;
	char *file_name;
	const char *function;		/* of it, as typed */
	/* Where it is, file by file. */
	struct uprobe_code **codes;
	struct uprobefind_places *places;
	size_t nr;
};

static int add_file(struct expansion *x, struct libfind_file *file, struct diag *d)
{
	struct uprobefind_places places;
	struct elfid id;
	int err;

	err = elffuncs_identify(&id, file, d);
	if (!err)
		err = uprobefind_places(&places, file, &id, &x->what, d);
	if (err)
		return err;
	x->codes[x->nr] = code_new(file, &id);
	if (!x->codes[x->nr]) {
		uprobefind_release(&places);
		return diag_set(d, -ENOMEM, "out of memory");
	}
	x->places[x->nr++] = places;
	return 0;
}

static void forget_files(struct expansion *x)
{
	for (size_t i = 0; i < x->nr; i++) {
		code_put(x->codes[i]);
		uprobefind_release(&x->places[i]);
	}
	free(x->codes);
	free(x->places);
	x->codes = NULL;
	x->places = NULL;
	x->nr = 0;
}

/* Of the files of several processes, it is enough that one has the function. */
static int add_files(struct expansion *x, enum libfind_sense sense, struct diag *d)
{
	struct libfind_files files;
	int err;

	err = libfind_open(&files, x->file_name, sense, x->set->pids, x->set->nr_pids, d);
	if (!err) {
		x->codes = calloc(files.nr, sizeof(*x->codes));
		x->places = calloc(files.nr, sizeof(*x->places));
		if (!x->codes || !x->places)
			err = diag_set(d, -ENOMEM, "out of memory");
	}
	for (size_t i = 0; !err && i < files.nr; i++) {
		struct diag why = { "" };
		int failed = add_file(x, &files.list[i], &why);

		if (failed && (failed != -ENOENT || (i == files.nr - 1 && !x->nr)))
			err = diag_set(d, failed, "%s", why.text);
	}
	libfind_release(&files);
	return err;
}

/* A program of that name, else a library: the first that has the function. */
static int find_files(struct expansion *x, struct diag *d)
{
	struct diag first = { "" }, second = { "" };
	int err = add_files(x, LIBFIND_PROGRAM, &first), again;

	if (!err)
		return 0;
	forget_files(x);
	again = add_files(x, LIBFIND_LIBRARY, &second);
	if (!again)
		return 0;
	if (first.text[0])
		return diag_set(d, err, "%s", first.text);
	if (second.text[0])
		return diag_set(d, again, "%s", second.text);
	return diag_set(d, -ENOENT, "cannot trace '%s': there is no program or library '%s'%s",
			x->text, x->file_name,
			x->set->nr_pids ? " for that process" : "");
}

static struct uprobe *uprobe_new(const struct expansion *x)
{
	struct uprobe *u = calloc(1, sizeof(*u));

	if (!u)
		return NULL;
	u->returns = x->kind == &kind_uretprobe;
	u->is_glob = x->what.is_glob;
	u->is_entry = x->what.name && !x->what.offset;
	return u;
}

/* One event for everything that was found. */
static int add_probe(struct expansion *x, const char *name, size_t nr_variants,
		     struct probe **out, struct diag *d)
{
	char whole[4096];
	struct probe *p;

	snprintf(whole, sizeof(whole), "%s:%s:%s", x->kind->name, x->file_name, name);
	p = probe_add(x->set, x->kind, whole, nr_variants);
	if (p)
		p->private = uprobe_new(x);
	*out = p;
	return p && p->private ? 0 : diag_set(d, -ENOMEM, "out of memory");
}

static int set_spot(struct expansion *x, struct probe *p, size_t variant, size_t file,
		    size_t first, size_t nr, struct diag *d)
{
	struct uprobe_spot *s = spot_new(x->codes[file], x->places[file].list + first, nr,
				  x->kind == &kind_uretprobe);

	p->variants[variant].private = s;
	return s ? 0 : diag_set(d, -ENOMEM, "out of memory");
}

/*
 * A glob is one event with the function as a field, and one program for each file.
 * Else each place has its own: functions of one name may take other arguments.
 */
static int add_common(struct expansion *x, struct diag *d)
{
	size_t nr_places = 0, variant = 0;
	struct probe *p;
	int err;

	for (size_t i = 0; i < x->nr; i++)
		nr_places += x->places[i].nr;
	err = add_probe(x, x->function, x->what.is_glob ? x->nr : nr_places, &p, d);
	for (size_t i = 0; !err && i < x->nr; i++) {
		size_t step = x->what.is_glob ? x->places[i].nr : 1;

		for (size_t k = 0; !err && k < x->places[i].nr; k += step)
			err = set_spot(x, p, variant++, i, k, step, d);
	}
	return err ? err : uprobeattach_choose(x->set, p, nr_places, d);
}

/*
 * Where a function returns, registers do not tell which it was, and only for links of
 * many places does the kernel know: else each function becomes an event.
 */
static int add_single(struct expansion *x, struct diag *d)
{
	struct probe *p;
	int err = 0;

	for (size_t i = 0; !err && i < x->nr; i++) {
		for (size_t k = 0; !err && k < x->places[i].nr; k++) {
			err = add_probe(x, x->places[i].list[k].symbol, 1, &p, d);
			if (!err)
				err = set_spot(x, p, 0, i, k, 1, d);
			if (!err)
				((struct uprobe *)p->private)->is_glob = false;
			if (!err)
				err = uprobeattach_choose(x->set, p, 1, d);
		}
	}
	return err;
}

static int expand(struct probes *set, const struct probe_spec *spec,
		  const struct probe_kind *kind, struct diag *d)
{
	struct expansion x = { .set = set, .text = spec->text, .kind = kind };
	int err;

	err = libfind_split(spec->what, set->pids, set->nr_pids, &x.file_name, &x.function);
	if (err == -EINVAL)
		diag_set(d, err, "'%s' names no function (write: %s:FILE:FUNCTION)", spec->text,
			 kind->name);
	if (err)
		return diag_set(d, err, "out of memory");
	err = uprobefind_parse(&x.what, x.function, d);
	if (!err && kind == &kind_uretprobe && x.what.name && x.what.offset)
		err = diag_set(d, -EINVAL, "'%s': a function returns as a whole; write: "
			       "uretprobe:%s:%s", spec->text, x.file_name, x.what.name);
	if (!err)
		err = find_files(&x, d);
	if (!err && kind == &kind_uretprobe && x.what.is_glob && !spec->is_side &&
	    !uprobeattach_has_multi(set))
		err = add_single(&x, d);
	else if (!err)
		err = add_common(&x, d);
	forget_files(&x);
	uprobefind_forget(&x.what);
	free(x.file_name);
	return err;
}

static int expand_entry(struct probes *set, const struct probe_spec *spec, struct diag *d)
{
	return expand(set, spec, &kind_uprobe, d);
}

static int expand_return(struct probes *set, const struct probe_spec *spec, struct diag *d)
{
	return expand(set, spec, &kind_uretprobe, d);
}

static void release(struct probe *p)
{
	for (size_t i = 0; i < p->nr_variants; i++)
		spot_free(p->variants[i].private);
	free(p->private);
}

static int attach(struct probes *set, struct probe *p, struct probe_variant *v,
		  struct attachset *a, struct diag *d)
{
	struct uprobe_spot *s = v->private;

	return uprobeattach_attach(set, p, v, &s->places, a, d);
}

/* --- listing ------------------------------------------------------------------------------------ */

struct lister {
	const struct probe_kind *kind;
	const char *file_name;
	struct uprobe_code *code;
	bool verbose;
	probe_list_fn fn;
	void *ctx;
};

static int list_place(const struct lister *l, const struct uprobefind_place *place)
{
	struct probe_listing listing = { 0 };
	struct dwarfargs_func *func = NULL;
	char name[4096], fields[1024];
	uint64_t address;
	int ret;

	snprintf(name, sizeof(name), "%s:%s:%s", l->kind->name, l->file_name, place->symbol);
	listing.name = name;
	if (l->code->dwarf && elffuncs_address(&l->code->id, place->offset, &address) &&
	    !dwarfargs_find(l->code->dwarf, &func, address, place->symbol)) {
		dwarfargs_describe(func, l->kind == &kind_uretprobe, fields,
				   sizeof(fields));
		listing.fields = fields;
	}
	ret = l->fn(l->ctx, &listing);
	dwarfargs_free(func);
	return ret;
}

static int list(const struct probe_kind *k, const char *glob, bool verbose, probe_list_fn fn,
		void *ctx, struct diag *d)
{
	struct probes set = { 0 };
	struct expansion x = { .set = &set, .text = glob, .kind = k };
	int ret;

	/* Every file of the machine has functions: only those of a named one are listed. */
	if (!glob)
		return 0;
	ret = libfind_split(glob, NULL, 0, &x.file_name, &x.function);
	if (ret == -EINVAL)
		diag_set(d, ret, "functions are listed file by file: kymo list '%s:%s:*'", k->name,
			 *glob ? glob : "/bin/bash");
	if (ret)
		return diag_set(d, ret, "out of memory");
	ret = uprobefind_parse(&x.what, x.function, d);
	if (!ret)
		ret = find_files(&x, d);
	for (size_t i = 0; !ret && i < x.nr; i++) {
		struct lister l = { k, x.file_name, x.codes[i], verbose, fn, ctx };

		if (verbose && dwarfargs_open(&l.code->dwarf, &l.code->file, &l.code->id))
			l.code->dwarf = NULL;
		for (size_t n = 0; !ret && n < x.places[i].nr; n++)
			if (x.places[i].list[n].symbol)
				ret = list_place(&l, &x.places[i].list[n]);
	}
	forget_files(&x);
	uprobefind_forget(&x.what);
	free(x.file_name);
	return ret;
}

const struct probe_kind kind_uprobe = {
	.name = "uprobe", .aliases = "u",
	.summary = "a function of a program or library begins: uprobe:libc:getaddrinfo",
	.expand = expand_entry, .find = uprobevalues_find, .names = uprobevalues_names,
	.frame = uprobevalues_frame, .attach = attach, .release = release, .list = list,
};

const struct probe_kind kind_uretprobe = {
	.name = "uretprobe", .aliases = "ur",
	.summary = "a function of a program or library returns: uretprobe:/bin/bash:readline",
	.expand = expand_return, .find = uprobevalues_find, .names = uprobevalues_names,
	.frame = uprobevalues_frame, .attach = attach, .release = release, .list = list,
};
