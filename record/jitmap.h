/*
 * What a JIT compiler says of its code in /tmp/perf-PID.map: lines of start and
 * size in hexadecimal and a name.  Written by the process that is profiled, so
 * untrusted: lines that make no sense are left out, and size and number are
 * bounded.
 */
#ifndef RECORD_JITMAP_H
#define RECORD_JITMAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct jitmap;

struct jitmap_symbol {
	uint64_t start, size_bytes;
	const char *name;	/* borrowed until the next jitmap_read() */
};

int jitmap_new(struct jitmap **out);
void jitmap_free(struct jitmap *j);
/*
 * Reads what was appended since the last time; another file, or one that was
 * cut, from its beginning.  Later lines override the parts of earlier ones that
 * they overlap.  True if there was anything new.
 */
bool jitmap_read(struct jitmap *j, int fd);
bool jitmap_find(const struct jitmap *j, uint64_t address, struct jitmap_symbol *out);
size_t jitmap_nr(const struct jitmap *j);

#endif
