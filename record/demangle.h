/*
 * Readable names of C++ and Rust symbols, without parameter lists, as perf
 * prints them.  Symbols are untrusted: some expand without end, and are cut
 * off.
 */
#ifndef RECORD_DEMANGLE_H
#define RECORD_DEMANGLE_H

#include <stdbool.h>
#include <stddef.h>

/* False, and nothing written, when the name is not a mangled one. */
bool demangle_name(const char *name, char *to, size_t size_bytes);

#endif
