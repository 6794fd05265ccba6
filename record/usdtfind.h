/* Static probes (USDT) of a program or library by name: from what was typed to the notes. */
#ifndef RECORD_USDTFIND_H
#define RECORD_USDTFIND_H

#include "record/libfind.h"
#include "record/usdtnotes.h"

/* A note that was asked for. */
struct usdtfind_match {
	const struct usdtnotes_note *note;
	const struct libfind_file *file;
};

struct usdtfind {
	/* The caller's: */
	const char *text;		/* whole, for messages */
	const pid_t *pids;		/* whose libraries are meant; none: anyone's */
	size_t nr_pids;
	/* What was found: */
	char *file_name, *provider;	/* provider: NULL if left out */
	const char *name;		/* borrowed from what was typed */
	struct libfind_files files;
	struct usdtnotes *notes;	/* by file */
	struct usdtfind_match *matches;	/* by provider, name, file, arguments */
	size_t nr, cap;
};

/*
 * All that "FILE:PROVIDER:NAME" or "FILE:NAME" names, at least one.  -errno with d set;
 * release it in any case, and what was typed stays until then.
 */
int usdtfind_open(struct usdtfind *x, const char *what, struct diag *d);
void usdtfind_release(struct usdtfind *x);
/* How many of nr matches, from the first on, have its provider and name. */
size_t usdtfind_same_name(const struct usdtfind_match *m, size_t nr);

#endif
