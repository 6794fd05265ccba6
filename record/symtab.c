#define _GNU_SOURCE
#include "record/symtab.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MAX_SYMBOLS (64u << 20)
#define RENAMED 0x80000000u
#define RIVALS 0x40000000u
#define NAME_BITS 0x3fffffffu
#define NO_OUTER UINT32_MAX

/* Of symbols within symbols that a search looks at: tables are untrusted. */
#define MAX_DEPTH 1000

struct raw {
	uint64_t start, end, limit;	/* end == start: not known */
	uint32_t name;
	int8_t binding;
	bool untyped, rival;
};

struct sym {
	uint32_t start, size_bytes;	/* start: from the lowest */
	uint32_t name;			/* in the pool, with RENAMED and RIVALS */
	uint32_t outer;			/* an earlier symbol that reaches beyond start */
};

struct symtab {
	struct raw *raw;		/* until finished */
	size_t nr_raw, cap_raw;
	struct sym *syms;
	size_t nr;
	uint64_t base;
	char *names;
	size_t names_len, names_cap;
};

int symtab_new(struct symtab **out)
{
	*out = calloc(1, sizeof(**out));
	return *out ? 0 : -ENOMEM;
}

void symtab_free(struct symtab *t)
{
	if (!t)
		return;
	free(t->raw);
	free(t->syms);
	free(t->names);
	free(t);
}

static int add_name(struct symtab *t, const char *name, uint32_t *at)
{
	size_t len = strlen(name) + 1;

	if (t->names_len + len > NAME_BITS)
		return -E2BIG;
	if (t->names_len + len > t->names_cap) {
		size_t cap = t->names_cap ? t->names_cap : 4096;
		char *names;

		while (cap < t->names_len + len)
			cap *= 2;
		names = realloc(t->names, cap);
		if (!names)
			return -ENOMEM;
		t->names = names;
		t->names_cap = cap;
	}
	memcpy(t->names + t->names_len, name, len);
	*at = (uint32_t)t->names_len;
	t->names_len += len;
	return 0;
}

int symtab_add(struct symtab *t, const struct symtab_entry *e)
{
	struct raw *raw;
	int err;

	if (t->nr_raw == MAX_SYMBOLS || e->start + e->size_bytes < e->start)
		return -E2BIG;
	if (t->nr_raw == t->cap_raw) {
		size_t cap = t->cap_raw ? t->cap_raw * 2 : 256;

		raw = realloc(t->raw, cap * sizeof(*raw));
		if (!raw)
			return -ENOMEM;
		t->raw = raw;
		t->cap_raw = cap;
	}
	raw = &t->raw[t->nr_raw];
	raw->start = e->start;
	raw->end = e->start + e->size_bytes;
	raw->limit = e->limit;
	raw->binding = (int8_t)e->binding;
	raw->untyped = e->untyped;
	raw->rival = false;
	err = add_name(t, e->name, &raw->name);
	if (!err)
		t->nr_raw++;
	return err;
}

bool symtab_is_better_name(const char *a, const char *b)
{
	size_t underscores_a = strspn(a, "_"), underscores_b = strspn(b, "_");

	if (underscores_a != underscores_b)
		return underscores_b < underscores_a;
	return strlen(b) > strlen(a);
}

static bool is_mangled(const struct symtab *t, const struct raw *raw)
{
	const char *name = t->names + raw->name;

	return name[0] == '_' && (name[1] == 'Z' || name[1] == 'R');
}

/*
 * Below 0 when a is the better symbol for the address both start at, as far as
 * names do not matter.  The rules are those of perf (choose_best_symbol() in
 * tools/perf/util/symbol.c), so that both tools say the same name.
 */
static int compare_kind(const struct raw *a, const struct raw *b)
{
	if ((a->end > a->start) != (b->end > b->start))
		return a->end > a->start ? -1 : 1;
	if (a->untyped != b->untyped)
		return b->untyped ? -1 : 1;
	if ((a->binding == SYMTAB_WEAK) != (b->binding == SYMTAB_WEAK))
		return b->binding == SYMTAB_WEAK ? -1 : 1;
	if ((a->binding == SYMTAB_GLOBAL) != (b->binding == SYMTAB_GLOBAL))
		return a->binding == SYMTAB_GLOBAL ? -1 : 1;
	return 0;
}

static bool are_rivals(const struct symtab *t, const struct raw *a, const struct raw *b)
{
	return !compare_kind(a, b) && (is_mangled(t, a) || is_mangled(t, b)) &&
	       strcmp(t->names + a->name, t->names + b->name);
}

static int compare(const void *va, const void *vb, void *ctx)
{
	const struct raw *a = va, *b = vb;
	const struct symtab *t = ctx;
	int kind;

	if (a->start != b->start)
		return a->start < b->start ? -1 : 1;
	kind = compare_kind(a, b);
	if (kind)
		return kind;
	if (!is_mangled(t, a) && !is_mangled(t, b)) {
		if (symtab_is_better_name(t->names + a->name, t->names + b->name))
			return 1;
		if (symtab_is_better_name(t->names + b->name, t->names + a->name))
			return -1;
	}
	/* Names lie in the order in which they were added. */
	return a->name < b->name ? -1 : a->name > b->name;
}

/*
 * Keeps the best of each address.  A label within a function is a place in it
 * and no function of its own.
 */
static void drop_lesser(struct symtab *t)
{
	uint64_t covered = 0;
	size_t kept = 0, best = 0;

	for (size_t i = 0; i < t->nr_raw; i++) {
		struct raw *raw = &t->raw[i];

		if (raw->untyped && raw->end == raw->start && raw->start < covered)
			continue;
		if (raw->end > covered)
			covered = raw->end;
		if (kept && t->raw[best].start == raw->start) {
			if (!are_rivals(t, &t->raw[best], raw))
				continue;
			t->raw[best].rival = true;
			raw->rival = true;
		} else {
			best = kept;
		}
		t->raw[kept++] = *raw;
	}
	t->nr_raw = kept;
}

/* A symbol without a size reaches to the next one, within its section. */
static void set_ends(struct symtab *t)
{
	uint64_t next = 0;

	for (size_t i = t->nr_raw; i-- > 0;) {
		struct raw *raw = &t->raw[i];

		if (i + 1 < t->nr_raw && t->raw[i + 1].start > raw->start)
			next = t->raw[i + 1].start;
		if (raw->end > raw->start)
			continue;
		raw->end = next ? next : raw->limit;
		if (raw->limit && raw->end > raw->limit)
			raw->end = raw->limit;
		if (raw->end < raw->start)
			raw->end = raw->start;
	}
}

static uint64_t end_of(const struct sym *s)
{
	return (uint64_t)s->start + s->size_bytes;
}

/*
 * A symbol may lie within another one, or begin within it.  The chain of
 * outer symbols holds all that can hold an address behind this one's end.
 */
static void link_outer(struct symtab *t)
{
	for (size_t i = 0; i < t->nr; i++) {
		uint32_t outer = i ? (uint32_t)(i - 1) : NO_OUTER;

		while (outer != NO_OUTER && end_of(&t->syms[outer]) <= t->syms[i].start)
			outer = t->syms[outer].outer;
		t->syms[i].outer = outer;
	}
}

/* The kernel's table comes in order, and sorting it would be a tenth of the work. */
static bool is_sorted(struct symtab *t)
{
	for (size_t i = 1; i < t->nr_raw; i++)
		if (compare(&t->raw[i - 1], &t->raw[i], t) > 0)
			return false;
	return true;
}

int symtab_finish(struct symtab *t)
{
	if (t->nr_raw) {
		if (!is_sorted(t))
			qsort_r(t->raw, t->nr_raw, sizeof(*t->raw), compare, t);
		drop_lesser(t);
		set_ends(t);
		t->syms = malloc(t->nr_raw * sizeof(*t->syms));
		if (!t->syms)
			return -ENOMEM;
		t->base = t->raw[0].start;
	}
	for (size_t i = 0; i < t->nr_raw; i++) {
		uint64_t start = t->raw[i].start - t->base;
		uint64_t size_bytes = t->raw[i].end - t->raw[i].start;

		if (start > UINT32_MAX)
			break;
		t->syms[t->nr++] = (struct sym){
			.start = (uint32_t)start,
			.size_bytes = size_bytes < UINT32_MAX ? (uint32_t)size_bytes :
								UINT32_MAX,
			.name = t->raw[i].name | (t->raw[i].rival ? RIVALS : 0),
		};
	}
	free(t->raw);
	t->raw = NULL;
	t->nr_raw = t->cap_raw = 0;
	link_outer(t);
	return 0;
}

size_t symtab_nr(const struct symtab *t)
{
	return t->nr;
}

long symtab_find(const struct symtab *t, uint64_t address)
{
	size_t low = 0, high = t->nr;
	uint64_t at = address - t->base;
	uint32_t i;

	if (!t->nr || address < t->base)
		return -ENOENT;
	while (high - low > 1) {
		size_t mid = low + (high - low) / 2;

		if (t->syms[mid].start <= at)
			low = mid;
		else
			high = mid;
	}
	i = (uint32_t)low;
	for (int depth = 0; i != NO_OUTER && depth < MAX_DEPTH; depth++) {
		if (at < end_of(&t->syms[i]))
			return (long)i;
		i = t->syms[i].outer;
	}
	return -ENOENT;
}

void symtab_get(const struct symtab *t, size_t i, uint64_t *start, uint64_t *size_bytes)
{
	*start = t->base + t->syms[i].start;
	*size_bytes = t->syms[i].size_bytes;
}

const char *symtab_name(const struct symtab *t, size_t i)
{
	return t->names + (t->syms[i].name & NAME_BITS);
}

bool symtab_renamed(const struct symtab *t, size_t i)
{
	return t->syms[i].name & RENAMED;
}

int symtab_rename(struct symtab *t, size_t i, const char *name)
{
	uint32_t at = t->syms[i].name & NAME_BITS;
	int err = 0;

	if (strcmp(name, t->names + at))
		err = add_name(t, name, &at);
	if (!err)
		t->syms[i].name = at | RENAMED;
	return err;
}

size_t symtab_rivals(const struct symtab *t, size_t i, size_t *first)
{
	size_t past = i + 1;

	if (!(t->syms[i].name & RIVALS))
		return 0;
	while (i && t->syms[i - 1].start == t->syms[past - 1].start)
		i--;
	while (past < t->nr && t->syms[past].start == t->syms[i].start)
		past++;
	*first = i;
	return past - i;
}

void symtab_choose(struct symtab *t, size_t first, size_t nr, size_t best)
{
	for (size_t i = first; i < first + nr; i++) {
		t->syms[i].size_bytes = t->syms[best].size_bytes;
		t->syms[i].name = t->syms[best].name & ~RIVALS;
	}
}
