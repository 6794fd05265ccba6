/*
 * Where a view writes: a buffered stream over an fd or a file that is put in
 * place under its name only when it is whole.  Errors stick; the one check is
 * output_close().
 */
#ifndef REPORT_OUTPUT_H
#define REPORT_OUTPUT_H

#include "format/bytebuf.h"
#include "format/diag.h"

#include <stddef.h>

struct output;

/* path NULL or "-": standard output. */
int output_open(struct output **out, const char *path, struct diag *d);
void output_bytes(struct output *o, const void *bytes, size_t size_bytes);
void output_text(struct output *o, const char *text);
void output_format(struct output *o, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/*
 * A buffer that is written out and emptied when it is large: the fast way to
 * append many small pieces.  Call output_settle() now and then, at least once a record.
 */
struct bytebuf *output_buffer(struct output *o);
void output_settle(struct output *o);
/* An error so far (a closed pipe: -EPIPE): a view may stop early. */
int output_error(const struct output *o);
/* Flushes, closes, renames into place.  0 or -errno with d set. */
int output_close(struct output *o, struct diag *d);
/* Closes without putting the file in place: its view failed half way. */
void output_abandon(struct output *o);

#endif
