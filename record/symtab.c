#define _GNU_SOURCE
#include "record/symtab.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MAX_SYMBOLS (64u << 20)
#define RENAMED 0x80000000u
#define NO_OUTER UINT32_MAX

/* Of symbols within symbols that a search looks at: tables are untrusted. */
#define MAX_DEPTH 1000

struct raw {
	uint64_t start, end, limit;	/* end == start: not known */
	uint32_t name;
	int8_t binding;
	bool untyped;
};

struct sym {
	uint32_t start, size_bytes;	/* start: from the lowest */
	uint32_t name;			/* in the pool, with RENAMED */
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

	if (t->names_len + len >= RENAMED)
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
	err = add_name(t, e->name, &raw->name);
	if (!err)
		t->nr_raw++;
	return err;
}

static size_t leading_underscores(const char *name)
{
	return strspn(name, "_");
}

/*
 * Below 0 when a is the better name for the address both start at.  The rules
 * are those of perf (choose_best_symbol() in tools/perf/util/symbol.c), so that
 * both tools say the same name.
 */
static int compare_worth(const struct symtab *t, const struct raw *a, const struct raw *b)
{
	const char *name_a = t->names + a->name, *name_b = t->names + b->name;
	size_t len_a, len_b;

	if ((a->end > a->start) != (b->end > b->start))
		return a->end > a->start ? -1 : 1;
	if (a->untyped != b->untyped)
		return b->untyped ? -1 : 1;
	if ((a->binding == SYMTAB_WEAK) != (b->binding == SYMTAB_WEAK))
		return b->binding == SYMTAB_WEAK ? -1 : 1;
	if ((a->binding == SYMTAB_GLOBAL) != (b->binding == SYMTAB_GLOBAL))
		return a->binding == SYMTAB_GLOBAL ? -1 : 1;
	len_a = leading_underscores(name_a);
	len_b = leading_underscores(name_b);
	if (len_a != len_b)
		return len_a < len_b ? -1 : 1;
	len_a = strlen(name_a);
	len_b = strlen(name_b);
	if (len_a != len_b)
		return len_a > len_b ? -1 : 1;
	return 0;
}

static int compare(const void *va, const void *vb, void *ctx)
{
	const struct raw *a = va, *b = vb;
	int worth;

	if (a->start != b->start)
		return a->start < b->start ? -1 : 1;
	worth = compare_worth(ctx, a, b);
	if (worth)
		return worth;
	/* Names lie in the order in which they were added. */
	return a->name < b->name ? -1 : a->name > b->name;
}

/* Keeps the first of each address and gives every symbol an end. */
static void settle(struct symtab *t)
{
	size_t kept = 0;

	for (size_t i = 0; i < t->nr_raw; i++) {
		if (kept && t->raw[kept - 1].start == t->raw[i].start)
			continue;
		t->raw[kept++] = t->raw[i];
	}
	t->nr_raw = kept;
	for (size_t i = 0; i < kept; i++) {
		struct raw *raw = &t->raw[i];

		if (raw->end > raw->start)
			continue;
		raw->end = i + 1 < kept ? t->raw[i + 1].start : raw->limit;
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

int symtab_finish(struct symtab *t)
{
	if (t->nr_raw) {
		qsort_r(t->raw, t->nr_raw, sizeof(*t->raw), compare, t);
		settle(t);
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
			.name = t->raw[i].name,
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
	return t->names + (t->syms[i].name & ~RENAMED);
}

bool symtab_renamed(const struct symtab *t, size_t i)
{
	return t->syms[i].name & RENAMED;
}

int symtab_rename(struct symtab *t, size_t i, const char *name)
{
	uint32_t at = t->syms[i].name & ~RENAMED;
	int err = 0;

	if (strcmp(name, t->names + at))
		err = add_name(t, name, &at);
	if (!err)
		t->syms[i].name = at | RENAMED;
	return err;
}
