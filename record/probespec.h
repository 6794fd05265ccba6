/*
 * Takes apart what users type after -e: "sched:sched_switch(prev_comm),kprobe:f",
 * with perf's and bpftrace's spellings.
 */
#ifndef RECORD_PROBESPEC_H
#define RECORD_PROBESPEC_H

#include "record/probe.h"

/*
 * Splits at commas outside of parentheses.  A part whose first word is a kind or
 * an alias of one is that kind; "a:b" is a tracepoint; a plain word is left to the
 * sampler, kind "sample".  -EINVAL with d set.
 */
int probespec_parse(struct probe_spec **out, size_t *nr, const char *text, struct diag *d);
void probespec_free(struct probe_spec *specs, size_t nr);

/* One element of a field list: "file->f_path.dentry->d_name.name:str(64)". */
struct probespec_field {
	char *source;		/* "file->f_path.dentry->d_name.name" */
	char *name;		/* of the field in the file: "as NAME", else the source */
	char *hint;		/* "str", or NULL */
	uint64_t hint_arg;	/* 64, or 0 */
};

int probespec_fields(struct probespec_field **out, size_t *nr, const char *text,
		     struct diag *d);
void probespec_free_fields(struct probespec_field *fields, size_t nr);

#endif
