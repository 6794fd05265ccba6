/*
 * Names of values (field_desc.values of format/schema.h): "RDONLY|CLOEXEC" instead of
 * 0x80000.  The text comes from the file; what is wrong in it is passed over.
 */
#ifndef REPORT_VALUENAMES_H
#define REPORT_VALUENAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* More of a text than this is not looked at. */
#define VALUENAMES_MAX_BYTES 16384

struct valuenames {
	uint64_t rest;		/* of flags: bits that have no name, so far */
	/* Private to valuenames.c. */
	uint64_t value, named;
	const char *at, *end;
	bool is_flags;
};

/* The text must live as long as it is gone through. */
void valuenames_begin(struct valuenames *n, const char *values, uint64_t value);
/*
 * The next name of the value, part of the text, not NUL-terminated; false: no more.
 * Of flags there may be many, else there is one at most.
 */
bool valuenames_next(struct valuenames *n, const char **name, size_t *len_bytes);

/*
 * The numbers that have the name: those whose bits in *mask are *bits.  Of flags it may be
 * several names with '|' between them: all of them.  -ENOENT: there is no such name;
 * -EINVAL: there are no names at all.
 */
int valuenames_find(const char *values, const char *name, size_t len_bytes, uint64_t *mask,
		    uint64_t *bits);
/* "A, B, C, ...": the names there are, as far as they fit. */
void valuenames_list(const char *values, char *to, size_t size_bytes);

#endif
