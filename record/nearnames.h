/*
 * The few of many names that are nearest to a mistyped one: "did you mean ...?".
 */
#ifndef RECORD_NEARNAMES_H
#define RECORD_NEARNAMES_H

#include <stddef.h>

#define NEARNAMES_MAX 4
#define NEARNAMES_BYTES 64		/* longer names are not looked at */

struct nearnames {
	char word[NEARNAMES_BYTES];
	unsigned int nr;
	unsigned int distances[NEARNAMES_MAX];		/* ascending */
	char names[NEARNAMES_MAX][NEARNAMES_BYTES];	/* copies */
};

void nearnames_begin(struct nearnames *n, const char *word);
/* Less than a microsecond for names of another length. */
void nearnames_try(struct nearnames *n, const char *candidate);
/* " (did you mean 'a' or 'b'?)", or "". */
void nearnames_text(const struct nearnames *n, char *to, size_t size_bytes);

#endif
