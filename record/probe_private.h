/*
 * What the files of the probes share; private to them.
 */
#ifndef RECORD_PROBE_PRIVATE_H
#define RECORD_PROBE_PRIVATE_H

#include "record/probe.h"

/* pid, tid, comm ...: what every probe has.  -ENOENT for any other name. */
int probe_builtin(const char *name, struct probe_value *out);
/* True when every record of the file has it anyway, without a field of its own. */
bool probe_builtin_is_free(const char *name);

/*
 * By name: the event's own value, else one that every probe has.  -ENOENT without
 * words in d.
 */
int probe_lookup(const struct probe *p, const struct probe_variant *v, const char *name,
		 struct probe_value *out, struct diag *d);
/* "a, b, c" of all values of the probe, cut to fit. */
void probe_join_names(const struct probe *p, char *to, size_t size_bytes);

/* --- probe_hints.c -------------------------------------------------------------------- */

/* Makes the value what ":hint(arg)" says; `name` is for messages. */
int probe_hint(struct probe_value *v, const char *name, const char *hint, uint64_t arg,
	       struct diag *d);

/* --- probe_fields.c ------------------------------------------------------------------ */

/* Fields from the text of the spec (NULL: the usual ones), values of all variants. */
int probe_fields_set(struct probe *p, const char *text, struct diag *d);
/* Where each field lies in a record. */
void probe_fields_layout(struct probe *p);
/* Parses the filter and finds its values in all variants. */
int probe_fields_filter(struct probe *p, const char *text, struct diag *d);

#endif
