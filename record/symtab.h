/*
 * A symbol table: filled in any order, then finished, then searched.  Starts
 * lie within 4 GiB of the lowest.  16 bytes and the name per symbol.
 */
#ifndef RECORD_SYMTAB_H
#define RECORD_SYMTAB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Which of the names of one address is best; the order is that of perf. */
enum symtab_binding { SYMTAB_LOCAL = 0, SYMTAB_GLOBAL = 1, SYMTAB_WEAK = -1 };

struct symtab_entry {
	uint64_t start;
	uint64_t size_bytes;	/* 0: up to the next symbol, or the limit */
	uint64_t limit;		/* where its section ends */
	const char *name;	/* copied */
	enum symtab_binding binding;
	bool untyped;		/* a label of hand-written assembly */
};

struct symtab;

int symtab_new(struct symtab **out);
void symtab_free(struct symtab *t);
int symtab_add(struct symtab *t, const struct symtab_entry *e);
/*
 * Sorts; of the symbols of one address the best stays, or the best ones if they
 * are mangled.  To be called once, before the first search.
 */
int symtab_finish(struct symtab *t);
size_t symtab_nr(const struct symtab *t);
/* The innermost symbol that holds the address: its index, or -ENOENT. */
long symtab_find(const struct symtab *t, uint64_t address);
void symtab_get(const struct symtab *t, size_t i, uint64_t *start, uint64_t *size_bytes);
/* Borrowed until the next symtab_rename(). */
const char *symtab_name(const struct symtab *t, size_t i);
/* For names that are made readable when first asked for. */
bool symtab_renamed(const struct symtab *t, size_t i);
int symtab_rename(struct symtab *t, size_t i, const char *name);
/*
 * Mangled names of one address can only be compared when they are readable,
 * which is dear, so they all stay until one is asked for.  The number of
 * symbols that start where i does, if they are still to be compared, else 0;
 * the first of them in *first, in the order in which they were added.
 */
size_t symtab_rivals(const struct symtab *t, size_t i, size_t *first);
/* They all become the best of them. */
void symtab_choose(struct symtab *t, size_t first, size_t nr, size_t best);
/* The part of the rules that looks at the names alone: true if b is better. */
bool symtab_is_better_name(const char *a, const char *b);

#endif
