/*
 * Gives equal texts equal numbers: dense ids from 1, in order of first sight.
 * A scope keeps texts of different kinds apart (the symbols of two modules).
 */
#ifndef REPORT_TEXTIDS_H
#define REPORT_TEXTIDS_H

#include <stddef.h>
#include <stdint.h>

struct textids;

int textids_new(struct textids **out);
void textids_free(struct textids *n);
/*
 * The id of the text, which must live as long as `n`.  0 when memory ran out.
 */
uint32_t textids_get(struct textids *n, uint32_t scope, const char *text, size_t len_bytes);
/* The text of an id that was given out. */
const char *textids_text(const struct textids *n, uint32_t id);
/* How many ids there are; the largest one. */
uint32_t textids_nr(const struct textids *n);

#endif
