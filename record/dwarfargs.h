/*
 * Arguments and return values of user functions by name, from DWARF: which
 * register or place on the stack the calling convention puts them into when a
 * function is entered, their types, and the way to members of what they point to.
 *
 * Files are untrusted.  One thread at a time.
 */
#ifndef RECORD_DWARFARGS_H
#define RECORD_DWARFARGS_H

#include "format/diag.h"
#include "record/elfid.h"
#include "record/libfind.h"
#include "record/probe.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct dwarfargs;		/* the debug information of one file */
struct dwarfargs_func;		/* one function of it */

/*
 * Opens the DWARF of the file itself or of its separate file of debug information.
 * -ENOENT: there is none.  The path stays the caller's.
 */
int dwarfargs_open(struct dwarfargs **out, const struct libfind_file *file,
		   const struct elfid *id);
void dwarfargs_close(struct dwarfargs *dw);

/* The function whose code begins at that ELF address; -ENOENT: not known. */
int dwarfargs_find(struct dwarfargs *dw, struct dwarfargs_func **out, uint64_t address,
		   const char *symbol);
void dwarfargs_free(struct dwarfargs_func *f);

/* Names of the parameters, in order; stops when fn returns other than 0. */
int dwarfargs_names(const struct dwarfargs_func *f, probe_name_fn fn, void *ctx);
/*
 * The value of "req->method" or "v[2].x" when the function is entered.  -ENOENT: no
 * parameter of that name; -EINVAL with d set: it cannot be had.
 */
int dwarfargs_value(const struct dwarfargs_func *f, const char *path,
		    struct probe_value *out, struct diag *d);
/* The same of "retval" and members of what it points to, when it returns. */
int dwarfargs_returned(const struct dwarfargs_func *f, const char *path,
		       struct probe_value *out, struct diag *d);
/* Whether it returns anything. */
bool dwarfargs_returns(const struct dwarfargs_func *f);
/* "node:const char *, flags:int" or "retval:int", cut to fit. */
void dwarfargs_describe(const struct dwarfargs_func *f, bool returned, char *to,
			size_t size_bytes);

#endif
