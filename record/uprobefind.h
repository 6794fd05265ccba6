/*
 * Finds the places that "f", "f+0x10", "0x1234", "ns::f*", "f|g*" mean in a program or
 * library.
 */
#ifndef RECORD_UPROBEFIND_H
#define RECORD_UPROBEFIND_H

#include "format/diag.h"
#include "record/elfid.h"
#include "record/libfind.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define UPROBEFIND_MAX_PLACES 20000

struct uprobefind_place {
	uint64_t offset;	/* in the file */
	char *symbol;		/* readable name of the function; NULL: a bare offset */
};

struct uprobefind_places {
	struct uprobefind_place *list;	/* by offset, each once */
	size_t nr;
};

/* What was typed, taken apart. */
struct uprobefind_what {
	char *name;		/* of the function, maybe a glob; NULL: an offset alone */
	uint64_t offset;	/* from its beginning, or in the file */
	bool is_glob;
};

int uprobefind_parse(struct uprobefind_what *what, const char *text, struct diag *d);
void uprobefind_forget(struct uprobefind_what *what);

/* -ENOENT and others with a sentence in d. */
int uprobefind_places(struct uprobefind_places *out, const struct libfind_file *file,
		      const struct elfid *id, const struct uprobefind_what *what,
		      struct diag *d);
void uprobefind_release(struct uprobefind_places *places);

#endif
