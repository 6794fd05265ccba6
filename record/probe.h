/*
 * Probes: what `-e` asks for, once it is understood.  A probe is one event of the
 * file: its fields, its filter, its stacks.  It has one or more variants, each of
 * which is one BPF program attached to one or more places; nearly always it is one
 * (places of a USDT probe keep their arguments in different registers).
 *
 * A kind of probe (kprobe, usdt, ...) is one file and one row in
 * record/probe_kinds.def.  It finds the places and says how each named value is
 * fetched; everything else (fields, hints, filters, programs, rings) is common.
 *
 * One thread at a time.
 */
#ifndef RECORD_PROBE_H
#define RECORD_PROBE_H

#include "format/diag.h"
#include "format/expr.h"
#include "format/schema.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* --- values ---------------------------------------------------------------------- */

/*
 * How a value is got: a few steps, each of which sets or changes one 64-bit
 * number.  Loads extend it from `size` bytes (1, 2, 4, 8), with the sign if
 * is_signed.  Memory that cannot be read gives 0.
 */
enum fetch_op {
	FETCH_CTX = 1,		/* load from the program's context, at offset `value` */
	FETCH_CTX_ADDRESS,	/* the context's address + value */
	FETCH_ADD_CTX,		/* + (8 bytes of the context at value) << shift */
	FETCH_DATA_LOC,		/* tracepoints: the address that the __data_loc at value means */
	FETCH_REL_LOC,		/* the same of a __rel_loc */
	FETCH_CONSTANT,
	FETCH_ADD,		/* + value */
	FETCH_KERNEL,		/* load from kernel memory at the number + value */
	FETCH_USER,		/* load from user memory */
	FETCH_TYPED,		/* load through a pointer whose type the verifier knows */
	FETCH_BITS,		/* bit field: (number >> shift), `size` bits of it */
	FETCH_CURRENT,		/* address of the running task_struct */
	FETCH_PID, FETCH_TID, FETCH_UID, FETCH_GID, FETCH_CPU, FETCH_CGROUP,
	/*
	 * If the number is `value`, the next `size` steps are the last ones; else they
	 * are left out.
	 */
	FETCH_IF_EQUAL,
	FETCH_FUNC_IP,		/* address of the probed function, by the helper (5.15 and later) */
	FETCH_AGE,		/* time of the clock of the trace - the number; 0 if that is 0 */
	FETCH_KERNEL_STACK, FETCH_USER_STACK,	/* an id of the tally's map of stacks, or -errno */
	/*
	 * For programs of the end of a span: load from what was kept of its start, `value` is
	 * an offset in probe_record.data; and how long the span took.
	 */
	FETCH_START,
	FETCH_DURATION,
};

struct fetch_step {
	uint8_t op, size, shift;
	bool is_signed;
	int64_t value;
};

#define FETCH_MAX_STEPS 16

enum probe_result {
	RESULT_NUMBER = 1,
	RESULT_STRING,		/* the number is the address of a NUL-terminated text */
	RESULT_BYTES,		/* the number is the address of max_bytes bytes */
	RESULT_DATA_LOC_BYTES,	/* as FETCH_DATA_LOC/REL_LOC says, address and length */
	RESULT_COMM,		/* name of the running thread; no steps */
};

/* Where an address points.  ANY: the upper half is the kernel's, told at run time. */
enum probe_space { SPACE_ANY, SPACE_KERNEL, SPACE_USER };

#define PROBE_STRING_BYTES 256	/* kept of a string unless the hint says otherwise */
#define PROBE_MAX_STRING_BYTES 4096

struct probe_value {
	struct fetch_step steps[FETCH_MAX_STEPS];
	uint32_t nr_steps;
	uint8_t result;			/* enum probe_result */
	uint8_t space;			/* of an address: strings, bytes, pointers */
	uint8_t size;			/* numbers: 1, 2, 4, 8 */
	bool is_signed;
	bool is_pointer;		/* a number that is an address */
	bool is_char_pointer;		/* ... of text: a string unless a hint says otherwise */
	bool is_code;			/* an address of code: shown by its name (FIELD_FRAME) */
	uint32_t max_bytes;		/* strings (NUL included), bytes */
	uint8_t hint, class;		/* format/schema.h */
	uint8_t role;			/* ROLE_RESULT, or ROLE_NONE */
	bool is_stack;			/* a number of FETCH_KERNEL_STACK or FETCH_USER_STACK */
	const char *unit;		/* static text; NULL is "" */
	const char *values;		/* names of values (struct field_desc), static text, or NULL */
};

/* --- probes ------------------------------------------------------------------------ */

struct probe_field {
	char *name;			/* as in the file */
	char *source;			/* what the kind is asked for: "file->f_pos" */
	uint8_t result, size;		/* common to all variants */
	bool is_signed;
	bool is_code;
	bool is_stack;
	uint8_t space, hint, class, role;
	uint32_t max_bytes;
	const char *unit, *values;
	char *own_values;		/* what values is, if the user named them; else NULL */
	uint32_t offset;		/* in probe_record.data: number, or __s32 length */
};

struct probe_variant {
	struct probe_value *values;	/* by field */
	struct probe_value *filter_values;	/* by variable of the filter */
	struct probe_value *condition_values;	/* by variable of the condition, or NULL */
	struct probe_value *keys;	/* of a side of a span: nr_keys numbers, or NULL */
	uint32_t prog_type;		/* enum bpf_prog_type */
	uint32_t expected_attach_type;	/* enum bpf_attach_type, or 0 */
	uint32_t attach_btf_id;		/* fentry, fexit, tp_btf; else 0 */
	int attach_btf_fd;		/* BTF of a module, or 0 */
	bool sleepable;
	int prog_fd;			/* -1 before probeprog_load() */
	void *private;			/* the kind's: its places */
};

struct probe_kind;
struct tally;

/*
 * A span: two probes paired by keys.  The probe that has one is the end of it; the start
 * is a probe of its own, with its own kind, fields, filter and variants, that stands in
 * no list and writes no records.
 *
 * A record of a span is laid out in probe_record.data as the duration (__u64 at
 * PROBE_DURATION_OFFSET), the fixed part of the start (fields, then counts of its
 * stacks), and that of the end; then the pieces of the start (texts, then stacks), then
 * those of the end.  All offsets of fields and counts, of either side, are in that.
 */
struct probe_span {
	struct probe *start;
	size_t nr_keys;			/* numbers of 64 bits, equal on both sides */
	char **key_names;		/* of the start, for the file's description */
	char *name;			/* of the event; p->name once it is resolved */
	bool by_thread;			/* one key is the thread: both sides run in it */
	bool by_frame;			/* one key is a call's address: never used twice at once */
	/*
	 * Spans of one family, not 0, never overlap in one thread (system calls): they may
	 * share a table.
	 */
	uint32_t family;
	uint64_t min_ns, max_ns;	/* shorter and longer ones are dropped; max 0: none */
	bool task_of_end;		/* whose the record is; else the start's */
	uint32_t image_bytes;		/* fixed part of the start, from data + 8; multiple of 8 */
	/* That side does not ask who runs: he need not be the one who is recorded. */
	bool start_is_anyones, end_is_anyones;
	/* Ends without a start say nothing, since starts were left out on purpose. */
	bool starts_are_chosen;
};

#define PROBE_DURATION_OFFSET 0
#define PROBE_SPAN_MAX_KEYS 4

struct probe {
	const struct probe_kind *kind;
	char *name;			/* the event's, in the file */
	char *format;			/* tracepoints: the kernel's format text, or NULL */
	struct probe_field *fields;
	size_t nr_fields;
	uint32_t kernel_count_offset, user_count_offset;	/* in probe_record.data */
	uint32_t fixed_bytes;		/* of probe_record.data */
	struct expr *filter;		/* NULL: everything */
	/*
	 * What a hit must be to start or end a span at all: asked before anything waits or is
	 * looked for.  NULL: every hit does.  The filter chooses of those that do.
	 */
	struct expr *condition;
	bool kernel_stack, user_stack;
	struct probe_span *span;	/* of the end of a span, else NULL */
	struct tally *tally;		/* summed up instead of recorded, else NULL; see tally.h */
	struct probe_variant *variants;
	size_t nr_variants;
	char method[64];		/* the way chosen: "tp_btf", "kprobe x 12", ... */
	void *private;			/* the kind's */
};

/* What kinds need to know, and where probes are collected. */
struct probes {
	struct probe **list;		/* index: probe_record.probe */
	size_t nr, cap;
	const pid_t *pids;		/* -p, or NULL: whose files and libraries are meant */
	size_t nr_pids;
	const char *use;		/* --use: the only ways allowed, comma-separated; NULL: all */
	/* Called now and then while many places are looked up; not 0: give up.  May be NULL. */
	int (*progress)(void *ctx, const char *what, size_t done, size_t all);
	void *progress_ctx;
	char note[512];			/* a sentence for the user, or "" */
};

/*
 * One `-e EVENT(FIELDS)`, taken apart by probespec.c.  Of a span `A..B@KEYS as NAME` it
 * is B, with A as its start.
 */
struct probe_spec {
	char *text;			/* whole, as typed, for messages */
	char *kind;			/* "kprobe", "tracepoint": names, not aliases */
	char *what;			/* the rest: "vfs_read", "/lib/x:f+0x10", "sched:sched_*" */
	char *fields;			/* the text in parentheses, or NULL: the usual ones */
	char *condition;		/* the text in braces, a filter of it alone, or NULL */
	char *name;			/* "as NAME", or NULL */
	struct probe_spec *start;	/* of a span, else NULL */
	char *keys;			/* "dev,sector", "pid=next_pid"; NULL: the thread */
	const char *filter;		/* or NULL; borrowed */
	const char *tally;		/* --tally, or NULL; borrowed */
	uint64_t min_ns, max_ns;	/* 0: none */
	bool kernel_stack, user_stack;
	/*
	 * For those who expand a side of a span: it is to become one probe, and `keys` are
	 * the side's own.
	 */
	bool is_side;
	const char *chosen;		/* of the fields of a named span, or NULL; borrowed */
};

/* False when --use forbids it. */
bool probe_may_use(const struct probes *set, const char *way);

/* --- kinds ---------------------------------------------------------------------------- */

struct attachset;

struct probe_listing {
	const char *name;		/* "sched:sched_switch", "kprobe:vfs_read" */
	const char *summary;		/* one line, or NULL */
	const char *fields;		/* "prev_comm:string, ..." or NULL; verbose only */
	const char *missing;		/* why it cannot be used here, or NULL */
};

/* Returns 0 to go on, else its value is returned. */
typedef int (*probe_list_fn)(void *ctx, const struct probe_listing *l);
typedef int (*probe_name_fn)(void *ctx, const char *name);

struct probe_kind {
	const char *name;
	const char *aliases;		/* "k,kp": comma-separated, or NULL */
	const char *summary;		/* one line for `kymo list` and help */
	/*
	 * Finds the places, appends one or more probes by probe_add() and gives each
	 * name, format, variants with program types, and private data.  With d set:
	 * unknown event (near names suggested), cannot be probed, missing right ...
	 */
	int (*expand)(struct probes *set, const struct probe_spec *spec, struct diag *d);
	/* A value by name.  -ENOENT: no such; -EINVAL with d set: there, but not like this. */
	int (*find)(const struct probe *p, const struct probe_variant *v, const char *name,
		    struct probe_value *out, struct diag *d);
	/* Names of the values there are, for messages; *usual: those taken without a list. */
	int (*names)(const struct probe *p, bool usual, probe_name_fn fn, void *ctx);
	/*
	 * Kinds that are entry or return of functions: a number that is the same at the entry
	 * and the return of one call, and of no other call under way in that thread.  -errno
	 * if there is none (fentry without fexit).  NULL: no function's.
	 */
	int (*frame)(const struct probe *p, const struct probe_variant *v,
		     struct probe_value *out);
	/* Attaches v->prog_fd to all its places; each fd goes into a. */
	int (*attach)(struct probes *set, struct probe *p, struct probe_variant *v,
		      struct attachset *a, struct diag *d);
	void (*release)(struct probe *p);	/* private data; may be NULL */
	/*
	 * Runs that the kernel left out of programs of the kind's own, in front of those of
	 * probes; may be NULL.
	 */
	uint64_t (*missed)(const struct probe *p);
	/* What this machine offers that matches the glob (NULL: all). */
	int (*list)(const struct probe_kind *k, const char *glob, bool verbose, probe_list_fn fn,
		    void *ctx, struct diag *d);
};

/* The table of kinds, by name or alias; NULL: none.  Row i, NULL past the last. */
const struct probe_kind *probe_find_kind(const char *name, size_t len_bytes);
const struct probe_kind *probe_kind_at(size_t i);

/* A new probe with `nr_variants` zeroed variants (prog_fd -1), or NULL: out of memory. */
struct probe *probe_add(struct probes *set, const struct probe_kind *kind, const char *name,
			size_t nr_variants);
/*
 * The whole way from a spec to probes with fields, layout and filter bound in
 * every variant.  -errno with d set.
 */
int probe_resolve(struct probes *set, const struct probe_spec *spec, struct diag *d);
/* A span's start that is not in the list; release it with its end. */
void probe_free(struct probe *p);
/* Frees all of it; harmless on zeroed memory. */
void probe_release_all(struct probes *set);

#endif
