/*
 * Untrusted text (comms, paths, symbols) made harmless, one function for each
 * kind of output.  Input is any bytes; output is valid UTF-8.  Each appends to
 * a byte buffer, whose err tells of a failed allocation.
 */
#ifndef REPORT_ESCAPE_H
#define REPORT_ESCAPE_H

#include "format/bytebuf.h"

#include <stddef.h>

/* No control characters, no escape sequences: \x1b style; invalid bytes too. */
void escape_terminal(struct bytebuf *to, const char *text, size_t len);
/* XML text and attribute values. */
void escape_xml(struct bytebuf *to, const char *text, size_t len);
/* The inside of a JSON string, without the quotes. */
void escape_json(struct bytebuf *to, const char *text, size_t len);
/* A whole CSV field (RFC 4180), quoted when needed; no formula starts it. */
void escape_csv(struct bytebuf *to, const char *text, size_t len);
/* A frame of a folded stack: ';' and newlines cannot appear in it. */
void escape_folded(struct bytebuf *to, const char *text, size_t len);

#endif
