/*
 * Texts of names of values that were made lately: the same few flags come again and
 * again, and are dear to look up.
 */
#ifndef REPORT_NAMETEXTS_H
#define REPORT_NAMETEXTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NAMETEXTS_BYTES 40	/* longer ones are not kept */

struct nametext {
	const char *values;	/* NULL: free */
	uint64_t number;
	uint8_t style, len_bytes;
	bool has_names;		/* else the number has none */
	char text[NAMETEXTS_BYTES];
};

struct nametexts;

int nametexts_new(struct nametexts **out);
void nametexts_free(struct nametexts *n);
/*
 * The text kept, or NULL.  The address of `values` tells whose names they are: it must
 * live as long as what is kept.
 */
const struct nametext *nametexts_find(const struct nametexts *n, const char *values,
				      uint64_t number, uint8_t style);
void nametexts_keep(struct nametexts *n, const char *values, uint64_t number, uint8_t style,
		    bool has_names, const void *text, size_t len_bytes);

#endif
