/*
 * Dense ids, from 1, for pairs of numbers and for strings: the same thing gets
 * the same id.  The things stay readable by id, so what was added since some
 * id can be written out.  Memory grows by doubling.
 */
#ifndef FORMAT_INTERN_H
#define FORMAT_INTERN_H

#include "format/arena.h"
#include "format/block.h"

#include <stddef.h>
#include <stdint.h>

struct intern_slot {
	uint32_t id;		/* 0: free */
	uint32_t hash;
};

struct intern_index {
	struct intern_slot *slots;
	size_t nr_slots;	/* a power of two */
};

struct intern_pair {
	uint64_t a, b;
};

struct intern_pairs {
	struct intern_index index;
	struct intern_pair *by_id;	/* [0] is not used */
	uint32_t nr, cap;		/* nr: one past the last id */
};

void intern_pairs_init(struct intern_pairs *p);
void intern_pairs_release(struct intern_pairs *p);
/* The id, or 0 when out of memory or ids. */
uint32_t intern_pair(struct intern_pairs *p, uint64_t a, uint64_t b);

struct intern_string {
	const char *text;
	uint32_t len_bytes;
	uint8_t class;
};

struct intern_strings {
	struct intern_index index;
	struct intern_string *by_id;	/* from id `base` on, which is the empty string */
	uint32_t base, nr, cap;		/* nr: one past the last id; cap: of by_id */
	struct arena texts;
};

void intern_strings_init(struct intern_strings *s);
void intern_strings_release(struct intern_strings *s);
/* The same text in another class is another string. */
uint32_t intern_string(struct intern_strings *s, uint8_t class, const void *text,
		       uint32_t len_bytes);
/* The string of an id that is known, or NULL. */
const struct intern_string *intern_string_at(const struct intern_strings *s, uint64_t id);
/* What all of them take. */
size_t intern_strings_bytes(const struct intern_strings *s);
/*
 * Gives the memory back.  Ids go on from where they are, so a text that comes again
 * gets another one.
 */
void intern_strings_forget(struct intern_strings *s);

#endif
