/*
 * Typed field values as text, the same in every view: an errno by its name, an
 * address of the internet with its dots, an address of code as symbol+offset.
 */
#ifndef REPORT_FIELDTEXT_H
#define REPORT_FIELDTEXT_H

#include "format/bytebuf.h"
#include "format/trace.h"
#include "report/names.h"
#include "report/nametexts.h"

#include <stddef.h>
#include <stdint.h>

enum fieldtext_style {
	/*
	 * For people, harmless on a terminal: strings in quotes, flags in
	 * hexadecimal, times with a fitting unit.
	 */
	FIELDTEXT_TERMINAL,
	/*
	 * The same without quotes, and NOT escaped: for keys that a view escapes
	 * in its own way.
	 */
	FIELDTEXT_RAW,
	/* A whole JSON value: integers of all 64 bits, strings, or null. */
	FIELDTEXT_JSON,
	/* A whole CSV field: what JSON has, without quotes where none are needed. */
	FIELDTEXT_CSV,
};

/* For people, in place of a text that could not be read; strings have quotes. */
#define FIELDTEXT_UNREAD "?"

/* What a field holds: a number or id, or the bytes of a FIELD_BYTES. */
struct fieldtext_value {
	uint64_t number;
	const uint8_t *bytes;
	size_t len_bytes;
};

/*
 * What ids are looked up in.  `names` may be NULL for fields without code; with
 * `nametexts`, not NULL, many fields take less time.
 */
struct fieldtext {
	struct trace *trace;
	struct names *names;
	struct nametexts *nametexts;
};

void fieldtext_put(const struct fieldtext *ft, struct bytebuf *to, const struct field_desc *f,
		   const struct fieldtext_value *v, enum fieldtext_style style);
/* A stack as folded text, outermost frame first; the deepest frames are cut off. */
void fieldtext_put_folded(const struct fieldtext *ft, struct bytebuf *to, uint32_t stack);

#endif
