/*
 * What the files of the probes share; private to them.
 */
#ifndef RECORD_PROBE_PRIVATE_H
#define RECORD_PROBE_PRIVATE_H

#include "record/probe.h"
#include "record/probespec.h"
#include "record/tally.h"

/* pid, tid, comm ...: what every probe has.  -ENOENT for any other name. */
int probe_builtin(const char *name, struct probe_value *out);
/* True when every record of the file has it anyway, without a field of its own. */
bool probe_builtin_is_free(const char *name);

int probe_append(struct probes *set, struct probe *p);

/*
 * By name: the event's own value, else one that every probe has.  -ENOENT without
 * words in d.
 */
int probe_lookup(const struct probe *p, const struct probe_variant *v, const char *name,
		 struct probe_value *out, struct diag *d);
/* "a, b, c" of all values of the probe, cut to fit. */
void probe_join_names(const struct probe *p, char *to, size_t size_bytes);

/* --- probe_hints.c -------------------------------------------------------------------- */

/* Makes the value what the field's hint says. */
int probe_hint(struct probe_value *v, const struct probespec_field *f, struct diag *d);
/* What a pointer to char becomes unless a hint says otherwise. */
void probe_hint_text(struct probe_value *v);

/* --- probe_lists.c -------------------------------------------------------------------- */

/* What is to be recorded of one side: of a plain probe there is but one. */
struct probe_list {
	struct probe *p;		/* NULL: no such side */
	struct probespec_field *list;
	size_t nr;
	bool is_usual;			/* nobody asked for just these */
	bool keep_all;			/* even what every record has anyway */
	bool kernel_stack, user_stack, task;	/* words in it */
};

struct probe_lists {
	struct probe_list start, end;	/* a plain probe is an end */
	bool kernel_stack, user_stack;	/* of a span, wherever it is usual */
};

/*
 * From what was typed, or what is usual; after that no two fields have one name.
 * Release it in any case.
 */
int probe_lists_collect(struct probe_lists *l, struct probe *p, const struct probe_spec *spec,
			struct diag *d);
void probe_lists_release(struct probe_lists *l);
/* The field of that name in it, or NULL. */
const struct probespec_field *probe_lists_find(const struct probe_list *l, const char *name);
/* Of which side an element is that stands in a list for both of them.  -EINVAL with d set. */
int probe_lists_side(struct probe_lists *l, const struct probespec_field *f,
		     struct probe_list **out, struct diag *d);
int probe_lists_append(struct probe_list *l, const struct probespec_field *f, struct diag *d);
/* "stack", "kstack", "ustack", "task", unless the probe has a field of that name. */
bool probe_lists_word(const struct probe *p, const struct probespec_field *f,
		      bool *kernel_stack, bool *user_stack, bool *task);

/* --- probe_tally.c --------------------------------------------------------------------- */

/*
 * Leaves in the lists what a tally needs: fields of its key and what it measures, of
 * those that are there or of any others.
 */
int probe_tally_choose(struct probe_lists *l, const struct tally_spec *tally, struct diag *d);

/* --- probe_fields.c ------------------------------------------------------------------ */

/* The value of a field in one variant. */
int probe_fields_value(const struct probe *p, const struct probe_variant *v,
		       const struct probespec_field *f, struct probe_value *out, struct diag *d);
/* Fields from a list, values of all variants.  What every record has anyway is left out. */
int probe_fields_set(const struct probe_list *l, struct diag *d);
/* Where each field lies in a record, from an offset on; returns where they end. */
uint32_t probe_fields_layout(struct probe *p, uint32_t from);
/* Parses the filter and finds its values in all variants. */
int probe_fields_filter(struct probe *p, const char *text, struct diag *d);
int probe_fields_condition(struct probe *p, const char *text, struct diag *d);

/* --- probe_span.c ---------------------------------------------------------------------- */

/* "A..B": one probe with its start, without fields. */
int probe_span_expand(struct probes *set, const struct probe_spec *spec, struct diag *d);
/*
 * Adds the probe `end` with the start `start`, paired by these keys (comma-separated) of
 * both; messages are about whole->text.
 */
int probe_span_pair(struct probes *set, const struct probe_spec *whole,
		    const struct probe_spec *start, const struct probe_spec *end,
		    const char *name, const char *keys, struct diag *d);
/* Gives p, which has been added, a start; it is p's from then on, also after a failure. */
int probe_span_join(struct probe *p, struct probe *start, const char *name, const char *keys);
/* Stacks, layout, filter: what is left when the fields are known. */
int probe_span_finish(struct probe *p, const struct probe_spec *spec,
		      const struct probe_lists *l, struct diag *d);
void probe_span_free(struct probe_span *s);

/* --- probe_span_keys.c ------------------------------------------------------------------ */

/* The keys, by the lists of both sides. */
int probe_span_keys(struct probe *p, const struct probe_spec *spec, struct probe_lists *l,
		    struct diag *d);

/* --- probe_span_filter.c ---------------------------------------------------------------- */

/* What was said of the whole, taken apart, and of each side. */
int probe_span_filter_set(struct probe *p, const struct probe_spec *spec, struct diag *d);
/* A name in the filter of an end that is the start's, or `duration`.  -ENOENT: neither. */
int probe_span_filter_variable(const struct probe *p, const char *name,
			       struct probe_value *out, struct diag *d);

#endif
