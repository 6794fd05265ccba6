/*
 * Values of a tracepoint's record, as programs that are attached to it find them.
 */
#ifndef RECORD_TPFIELDS_H
#define RECORD_TPFIELDS_H

#include "record/probe.h"
#include "record/tpformat.h"

/*
 * By the name of a field, or of an element of one ("args[2]").  -ENOENT: no such;
 * -EINVAL with d set: no such element.  `system` is the tracepoint's.
 */
int tpfields_find(const struct tpformat *f, const char *system, const char *name,
		  struct probe_value *out, struct diag *d);
/*
 * System calls: "__filename_val" is the text that the argument "filename" points to.
 * NULL: not so.
 */
const struct tpformat_field *tpfields_pointed(const struct tpformat *f,
					      const struct tpformat_field *field);
/* The names of all values, in order; an array of a few numbers has one each. */
int tpfields_names(const struct tpformat *f, const char *system, probe_name_fn fn, void *ctx);
/* "prev_comm:string, prev_pid:pid_t": allocated, or NULL. */
char *tpfields_text(const struct tpformat *f);

#endif
