#define _GNU_SOURCE
#include "record/uprobefind.h"

#include "record/demangle.h"
#include "record/elffuncs.h"
#include "record/nearnames.h"

#include <elf.h>
#include <errno.h>
#include <stdio.h>
#include <fnmatch.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define MAX_PATTERN_BYTES 256
#define MAX_DEMANGLED_BYTES 1024

/* --- what was typed ------------------------------------------------------------------------ */

static int parse_number(const char *text, uint64_t *to)
{
	char *end;

	errno = 0;
	*to = strtoull(text, &end, 0);
	return errno || end == text || *end || *text == '-' ? -EINVAL : 0;
}

/* "f|g*": but a '|' may be the operator of C++ that a function is. */
static bool has_alternatives(const char *name)
{
	return strchr(name, '|') && !strstr(name, "operator");
}

int uprobefind_parse(struct uprobefind_what *what, const char *text, struct diag *d)
{
	const char *plus = strrchr(text, '+');

	*what = (struct uprobefind_what){ 0 };
	if (text[0] >= '0' && text[0] <= '9') {
		if (parse_number(text, &what->offset))
			return diag_set(d, -EINVAL, "'%s' is no offset (write: 0x1234)", text);
		return 0;
	}
	/* "operator+" is a name. */
	if (plus && plus > text && plus[1] >= '0' && plus[1] <= '9') {
		if (parse_number(plus + 1, &what->offset))
			return diag_set(d, -EINVAL, "'%s' is no offset (write: %.*s+0x10)",
					plus + 1, (int)(plus - text), text);
		what->name = strndup(text, (size_t)(plus - text));
	} else {
		what->name = strdup(text);
	}
	if (!what->name)
		return diag_set(d, -ENOMEM, "out of memory");
	what->is_glob = strpbrk(what->name, "*?") || has_alternatives(what->name);
	if (!*what->name || (what->is_glob && what->offset)) {
		uprobefind_forget(what);
		return diag_set(d, -EINVAL, "'%s' is no function (write: f, f+0x10, 0x1234 or f*)",
				text);
	}
	return 0;
}

void uprobefind_forget(struct uprobefind_what *what)
{
	free(what->name);
	what->name = NULL;
}

/* --- functions that match ---------------------------------------------------------------------- */

struct finder {
	const struct uprobefind_what *what;
	struct uprobefind_places *places;
	size_t cap;
	bool too_many, is_indirect, is_imported;
	bool superseded_only;	/* so far */
};

static bool matches(const struct uprobefind_what *what, const char *name)
{
	char part[MAX_PATTERN_BYTES];

	if (!strcmp(name, what->name) || !what->is_glob)
		return !strcmp(name, what->name);
	if (!has_alternatives(what->name))
		return !fnmatch(what->name, name, FNM_NOESCAPE);
	for (const char *at = what->name; *at; at += *at == '|') {
		size_t len = strcspn(at, "|");

		snprintf(part, sizeof(part), "%.*s", (int)len, at);
		at += len;
		if (len < sizeof(part) && !fnmatch(part, name, FNM_NOESCAPE))
			return true;
	}
	return false;
}

/* The pieces of functions that compilers move away from the rest are none. */
static bool is_piece(const char *name)
{
	const char *dot = strstr(name, ".cold");

	return dot && (!dot[5] || dot[5] == '.');
}

static void forget_places(struct finder *f)
{
	uprobefind_release(f->places);
	f->cap = 0;
}

static int add_place(struct finder *f, uint64_t offset, const char *symbol)
{
	struct uprobefind_places *to = f->places;

	if (to->nr == f->cap) {
		size_t cap = f->cap ? f->cap * 2 : 16;
		struct uprobefind_place *list = realloc(to->list, cap * sizeof(*list));

		if (!list)
			return -ENOMEM;
		to->list = list;
		f->cap = cap;
	}
	to->list[to->nr] = (struct uprobefind_place){ offset, symbol ? strdup(symbol) : NULL };
	if (symbol && !to->list[to->nr].symbol)
		return -ENOMEM;
	to->nr++;
	return 0;
}

static int take_func(void *ctx, const struct elffuncs_func *func)
{
	struct finder *f = ctx;
	char readable[MAX_DEMANGLED_BYTES];
	const char *name = func->name;

	if (!matches(f->what, name)) {
		if (!demangle_name(name, readable, sizeof(readable)) ||
		    !matches(f->what, readable))
			return 0;
		name = readable;
	}
	if (f->what->is_glob && (is_piece(name) || func->indirect || func->imported))
		return 0;
	/* Of several versions of a name, the one that new programs get is meant. */
	if (!f->what->is_glob && func->superseded && !f->superseded_only &&
	    (f->places->nr || f->is_indirect))
		return 0;
	if (!f->what->is_glob && !func->superseded && f->superseded_only)
		forget_places(f);
	f->superseded_only = func->superseded;
	f->is_indirect |= func->indirect;
	f->is_imported |= func->imported;
	if (func->indirect || func->imported)
		return 0;
	/* Twice the limit: most functions are in two tables. */
	f->too_many = f->places->nr >= 2 * UPROBEFIND_MAX_PLACES;
	return f->too_many ? -E2BIG : add_place(f, func->offset, name);
}

static int compare(const void *va, const void *vb)
{
	const struct uprobefind_place *a = va, *b = vb;

	return a->offset < b->offset ? -1 : a->offset > b->offset;
}

/* Two names of one place are one probe. */
static void sort_places(struct uprobefind_places *places)
{
	size_t kept = 0;

	if (!places->nr)
		return;
	qsort(places->list, places->nr, sizeof(*places->list), compare);
	for (size_t i = 1; i < places->nr; i++) {
		if (places->list[i].offset == places->list[kept].offset)
			free(places->list[i].symbol);
		else
			places->list[++kept] = places->list[i];
	}
	places->nr = kept + 1;
}

void uprobefind_release(struct uprobefind_places *places)
{
	for (size_t i = 0; i < places->nr; i++)
		free(places->list[i].symbol);
	free(places->list);
	*places = (struct uprobefind_places){ 0 };
}

/* --- when nothing matches ----------------------------------------------------------------------- */

static int try_name(void *ctx, const struct elffuncs_func *func)
{
	char readable[MAX_DEMANGLED_BYTES];

	if (!func->imported && !func->indirect)
		nearnames_try(ctx, demangle_name(func->name, readable, sizeof(readable)) ?
			      readable : func->name);
	return 0;
}

static int complain_missing(const struct finder *f, const struct libfind_file *file,
			    const struct elfid *id, const struct elffuncs_tables *tables,
			    struct diag *d)
{
	const char *name = f->what->name;
	struct elffuncs_tables again;
	struct nearnames near;
	char near_text[320];

	if (f->is_indirect)
		return diag_set(d, -EINVAL, "'%s' in '%s' is not one function but picks one of "
				"several when the program starts (IFUNC): it cannot be probed by "
				"that name (see: kymo list 'uprobe:%s:*%s*')", name, file->path,
				file->path, name);
	nearnames_begin(&near, name);
	elffuncs_each(file, id, try_name, &near, &again);
	nearnames_text(&near, near_text, sizeof(near_text));
	if (f->is_imported)
		return diag_set(d, -ENOENT, "'%s' has no function '%s' of its own, it calls the "
				"one of a library%s", file->path, name, near_text);
	if (!tables->symtab && !tables->nr)
		return diag_set(d, -ENOENT, "'%s' is stripped: no symbol table; give an offset: "
				"uprobe:%s:0x1234", file->path, file->path);
	if (!tables->symtab)
		return diag_set(d, -ENOENT, "'%s' has no function '%s'%s; it is stripped: only "
				"what it exports has a name, for the rest give an offset: "
				"uprobe:%s:0x1234", file->path, name, near_text, file->path);
	return diag_set(d, -ENOENT, "'%s' has no function '%s'%s", file->path, name, near_text);
}

/* --- all together ---------------------------------------------------------------------------------- */

/* Beyond the file an offset may be meant as an address of a program without PIE. */
static int find_offset(struct finder *f, const struct libfind_file *file, const struct elfid *id,
		       struct diag *d)
{
	uint64_t offset = f->what->offset;

	if (!elffuncs_is_code(id, file->fd, offset) &&
	    (!elfid_offset(id, f->what->offset, &offset) ||
	     !elffuncs_is_code(id, file->fd, offset)))
		return diag_set(d, -EINVAL, "offset 0x%" PRIx64 " of '%s' is not in its code",
				f->what->offset, file->path);
	return add_place(f, offset, NULL) ? diag_set(d, -ENOMEM, "out of memory") : 0;
}

static int check_place(const struct uprobefind_place *place, const struct libfind_file *file,
		       const struct elfid *id, struct diag *d)
{
	if (!elffuncs_is_code(id, file->fd, place->offset))
		return diag_set(d, -EINVAL, "offset 0x%" PRIx64 " of '%s' is not in its code",
				place->offset, file->path);
	if (id->machine == EM_AARCH64 && place->offset % 4)
		return diag_set(d, -EINVAL, "offset 0x%" PRIx64 " of '%s' is not that of an "
				"instruction", place->offset, file->path);
	return 0;
}

static int find_named(struct finder *f, const struct libfind_file *file, const struct elfid *id,
		      struct diag *d)
{
	struct elffuncs_tables tables;
	int err = elffuncs_each(file, id, take_func, f, &tables);

	sort_places(f->places);
	if (f->too_many || f->places->nr > UPROBEFIND_MAX_PLACES)
		return diag_set(d, -E2BIG, "'%s' matches more than %d functions of '%s': narrow it",
				f->what->name, UPROBEFIND_MAX_PLACES, file->path);
	if (err)
		return diag_set(d, err, "cannot read the symbols of '%s': %s", file->path,
				strerror(-err));
	if (!f->places->nr)
		return complain_missing(f, file, id, &tables, d);
	for (size_t i = 0; i < f->places->nr; i++)
		f->places->list[i].offset += f->what->offset;
	return 0;
}

int uprobefind_places(struct uprobefind_places *out, const struct libfind_file *file,
		      const struct elfid *id, const struct uprobefind_what *what,
		      struct diag *d)
{
	struct finder f = { .what = what, .places = out };
	int err;

	*out = (struct uprobefind_places){ 0 };
	err = what->name ? find_named(&f, file, id, d) : find_offset(&f, file, id, d);
	for (size_t i = 0; !err && i < out->nr; i++)
		err = check_place(&out->list[i], file, id, d);
	if (err)
		uprobefind_release(out);
	return err;
}
