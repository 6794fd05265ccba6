/*
 * A diagnostic is the one sentence that says what failed, on what, and what to
 * do about it.  The caller owns it; the library fills it in where the knowledge
 * is, and only cmd/ prints it.  Passing NULL is legal and costs nothing.
 */
#ifndef FORMAT_DIAG_H
#define FORMAT_DIAG_H

struct diag {
	char text[512];
};

/*
 * Sets the text, unless an earlier and so more exact one is already there, and
 * returns err, so that `return diag_set(d, -ENOENT, "cannot ...", ...)` reads
 * well.  The text is lower case and has no full stop and no newline.
 */
int diag_set(struct diag *d, int err, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

#endif
