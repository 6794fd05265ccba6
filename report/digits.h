/*
 * Numbers as digits, without the cost of printf: for what is written once a
 * record.
 */
#ifndef REPORT_DIGITS_H
#define REPORT_DIGITS_H

#include "format/bytebuf.h"

#include <stdint.h>

void digits_put(struct bytebuf *to, uint64_t v);
/* At least `width` characters wide (at most 32), filled up with `fill` on the left. */
void digits_put_wide(struct bytebuf *to, uint64_t v, unsigned int width, char fill);
void digits_put_signed(struct bytebuf *to, int64_t v);
void digits_put_hex(struct bytebuf *to, uint64_t v, unsigned int width);
/* ns as seconds with 6 or 9 decimals, the whole at least `width` wide. */
void digits_put_seconds(struct bytebuf *to, uint64_t ns, unsigned int decimals,
			unsigned int width);

#endif
