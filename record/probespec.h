/*
 * Takes apart what users type after -e: "sched:sched_switch(prev_comm),kprobe:f",
 * with perf's and bpftrace's spellings, and spans "A(FIELDS)..B(FIELDS)@KEY,KEY as NAME".
 * Behind the fields may stand a condition of that probe alone: "A(FIELDS){prio < 100}".
 */
#ifndef RECORD_PROBESPEC_H
#define RECORD_PROBESPEC_H

#include "record/probe.h"

/*
 * Splits at commas outside of parentheses.  A part whose first word is a kind or
 * an alias of one is that kind; a name of record/spans.def is the kind "span"; "a:b" is
 * a tracepoint; a plain word is left to the sampler, kind "sample".  After the '@' of a
 * span, plain words that name no event are more keys of it.  -EINVAL with d set.
 */
int probespec_parse(struct probe_spec **out, size_t *nr, const char *text, struct diag *d);
void probespec_free(struct probe_spec *specs, size_t nr);

/*
 * One element of a field list: "file->f_path.dentry->d_name.name:str(64)",
 * "nr:u8:values(=0=HI 1=TIMER)", "name=retval".
 */
struct probespec_field {
	char *source;		/* "file->f_path.dentry->d_name.name" */
	char *name;		/* of the field in the file: before a '=', else the source */
	char *width;		/* "u8", if another hint follows it; else NULL */
	char *hint;		/* "str", or NULL */
	uint64_t hint_arg;	/* 64, or 0 */
	char *hint_text;	/* of "values", what is in its parentheses; else NULL */
	/* Of tallies: "kstack" or "ustack" as a number; who runs, whatever the event has. */
	bool is_stack, is_builtin;
};

int probespec_fields(struct probespec_field **out, size_t *nr, const char *text,
		     struct diag *d);
void probespec_free_fields(struct probespec_field *fields, size_t nr);

/* Of "dev,pid=next_pid": what the key is called at the start, and at the end of a span. */
struct probespec_key {
	char *start, *end;
};

/* At most PROBE_SPAN_MAX_KEYS. */
int probespec_keys(struct probespec_key **out, size_t *nr, const char *text, struct diag *d);
void probespec_free_keys(struct probespec_key *keys, size_t nr);

#endif
