/*
 * Memory that is given back all at once.  Nothing in it moves, so pointers
 * into it live as long as the arena.
 */
#ifndef FORMAT_ARENA_H
#define FORMAT_ARENA_H

#include <stddef.h>

struct arena {
	struct arena_chunk *chunks;
	size_t used_bytes;	/* given out so far, for limits */
};

void arena_init(struct arena *a);
void arena_release(struct arena *a);
/* Aligned for any type, not cleared; NULL when out of memory. */
void *arena_alloc(struct arena *a, size_t size_bytes);
/* A copy of the bytes with a NUL after them, packed without alignment. */
char *arena_text(struct arena *a, const void *bytes, size_t len_bytes);

#endif
