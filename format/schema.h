/*
 * What the numbers in a trace mean: types, roles and privacy classes of fields,
 * the columns of the dictionary blocks, and the special frames.  Values are
 * part of the file format and never change; new ones are added at the end.
 */
#ifndef FORMAT_SCHEMA_H
#define FORMAT_SCHEMA_H

#include <stdint.h>

/* What a field's number is. */
enum field_type {
	FIELD_UNSIGNED = 1,
	FIELD_SIGNED = 2,	/* two's complement, 64 bits */
	FIELD_STRING = 3,	/* an id in the string dictionary */
	FIELD_BYTES = 4,	/* inline bytes (LAYOUT_BYTES) */
	FIELD_TASK = 5,		/* an id in the task dictionary */
	FIELD_STACK = 6,	/* an id in the stack dictionary */
	FIELD_FLOAT = 7,	/* the bits of an IEEE 754 double */
	FIELD_FRAME = 8,	/* an id in the frame dictionary: an address of code */
};

/* What a field is for; a view works on every event that has the roles it needs. */
enum field_role {
	ROLE_NONE = 0,
	ROLE_TIME = 1,		/* ns on the trace clock; every event has one */
	ROLE_CPU = 2,
	ROLE_TASK = 3,		/* whom the record is about */
	ROLE_STACK = 4,
	ROLE_WEIGHT = 5,	/* how much the record counts, in the field's unit */
	ROLE_DURATION = 6,	/* the record is a span that ended at its time */
	ROLE_WAKER_STACK = 7,
	ROLE_WAKER = 8,
	ROLE_TARGET = 9,
	ROLE_COUNT = 10,
	ROLE_SUM = 11,
	ROLE_BUCKET = 12,
	ROLE_STATE = 13,	/* thread state, an ASCII letter as in ps(1) */
	/*
	 * Of a tally.  A record is one bucket of one key in one interval (or the whole key,
	 * if there is no ROLE_BUCKET): ROLE_BUCKET is an index of format/buckets.h, whose
	 * field is called like what was measured, and has its unit; ROLE_COUNT counts hits.
	 * What is of the whole key stands in the first of its records of the interval, and
	 * is 0 in the others: ROLE_SUM, ROLE_LEAST and ROLE_MOST of the values (those two
	 * mean nothing in records whose ROLE_FIRST is 0).  Its time is the interval's end.
	 */
	ROLE_LEAST = 14,
	ROLE_MOST = 15,
	ROLE_FIRST = 16,	/* 1: the first record of its key in the interval */
	ROLE_INTERVAL = 17,	/* length of the interval, ns */
	ROLE_RESULT = 18,	/* of a span: what was returned */
	ROLE_DEPTH = 19,	/* of a span: how many others of its thread it lies in */
	/*
	 * The story of a thread.  An event with ROLE_SLICE has one record for each time a
	 * thread got a CPU (at its ROLE_TIME), which tells what was since the record before:
	 * ROLE_SKIPPED of waits that have no record of their own, mixed with ROLE_SLICE on a
	 * CPU, then ROLE_DURATION off it.  The last ROLE_RUNNABLE of the duration it could
	 * have run, and waited for a CPU; before that it was blocked.  Its ROLE_STACK is where
	 * it left the CPU.  The records of a thread leave no gap: time - duration - slice -
	 * skipped is the time of the record before.  All in ns.
	 */
	ROLE_SLICE = 20,
	ROLE_RUNNABLE = 21,
	ROLE_SKIPPED = 22,
	/* Of the slice: as the kernel's ticks account for it, and for interrupts. */
	ROLE_USER_TIME = 23,
	ROLE_SYSTEM_TIME = 24,
	ROLE_INTERRUPTED = 25,
	ROLE_FROM_CPU = 26,	/* where the slice was */
	ROLE_REASON = 27,	/* why it was blocked: a number whose names are its values */
	ROLE_IDLE = 28,		/* 1: it merely waited for something to do */
	ROLE_WAKER_CPU = 29,
	ROLE_EDGE = 30,		/* enum field_edge: what is cut off */
	ROLE_WAKER_CONTEXT = 31,	/* what ran when it was woken: a number with names */
	ROLE_MAX,
};

/* Bits of a ROLE_EDGE. */
enum field_edge {
	EDGE_START = 1,		/* what it tells began before the recording: cut there */
	EDGE_END = 2,		/* it went on after the recording: cut there, at ROLE_TIME */
	EDGE_EXIT = 4,		/* the thread ended at ROLE_TIME */
};

/* How sensitive a string is: redaction works by class, on every event. */
enum privacy_class {
	CLASS_NONE = 0,		/* fixed words of the tools themselves */
	CLASS_COMMAND = 1,	/* comm names */
	CLASS_PATH = 2,
	CLASS_ARGUMENT = 3,	/* command lines */
	CLASS_SYMBOL = 4,
	CLASS_HOST = 5,		/* host, kernel, hardware */
	CLASS_USER = 6,		/* data of users: file contents, queries */
	CLASS_CGROUP = 7,
	CLASS_BUILD_ID = 8,	/* raw bytes, not text */
};

/* Hint for printing a number. */
enum field_hint {
	HINT_DECIMAL = 0,
	HINT_HEX = 1,
	HINT_CHAR = 2,		/* an ASCII letter */
	/*
	 * An address of the internet: of a number the four lowest bytes, the first
	 * octet lowest; 4 or 16 bytes of a FIELD_BYTES as they are sent.
	 */
	HINT_IP = 3,
	HINT_ERRNO = 4,		/* -4095..-1 is the negative of an errno */
	HINT_OCTAL = 5,
};

/* Columns by block type; ids as in kymo-format(5). S marks a string id. */
enum host_column { HOST_KEY = 1 /* S */, HOST_VALUE = 2 /* S */ };

enum clock_column {		/* all in ns, read at the same moment */
	CLOCK_TRACE = 1,	/* CLOCK_MONOTONIC */
	CLOCK_WALL = 2,		/* since 1970, UTC */
	CLOCK_BOOT = 3,
};

enum event_column {		/* one row a field, rows of one event adjacent */
	EVENT_ID = 1,
	EVENT_NAME = 2,		/* S */
	EVENT_FIELD = 3,	/* column id in BLOCK_RECORDS: 1, 2 ... */
	EVENT_FIELD_NAME = 4,	/* S */
	EVENT_FIELD_TYPE = 5,
	EVENT_FIELD_ROLE = 6,
	EVENT_FIELD_UNIT = 7,	/* S: "ns", "B", "" */
	EVENT_FIELD_HINT = 8,
	EVENT_FIELD_CLASS = 9,	/* privacy class of its strings or bytes */
	EVENT_FORMAT = 10,	/* S: the kernel's own format text, or 0 */
	EVENT_FIELD_VALUES = 11,	/* S: names of values, see struct field_desc, or 0 */
	EVENT_PART_OF = 12,	/* the id of the event whose records have it, or 0 */
	EVENT_PART_IF = 13,	/* S: see struct event_desc */
	EVENT_FIELD_FROM = 14,	/* S: likewise, or 0 */
};

enum string_column { STRING_ID = 1, STRING_CLASS = 2, STRING_TEXT = 3 };

enum module_kind {
	MODULE_SPECIAL = 0,	/* only id 0: its offsets are enum special_frame */
	MODULE_KERNEL = 1,
	MODULE_KERNEL_MODULE = 2,
	MODULE_BPF = 3,		/* one BPF program */
	MODULE_ELF = 4,		/* a file mapped by a process */
	MODULE_VDSO = 5,
	MODULE_JIT = 6,		/* code of one process that no file holds */
};

enum module_column {
	MODULE_ID = 1,
	MODULE_KIND = 2,
	MODULE_PATH = 3,	/* S */
	MODULE_BUILD_ID = 4,	/* S, raw bytes */
	MODULE_BIAS = 5,	/* ELF address = offset + bias */
	MODULE_PID = 6,		/* MODULE_JIT: whose */
};

/*
 * The offset of a frame: MODULE_ELF and MODULE_VDSO, offset in the file;
 * kernel, from the symbol _text; kernel modules and BPF programs, from their
 * start; MODULE_JIT, the address itself.
 */
enum frame_column { FRAME_ID = 1, FRAME_MODULE = 2, FRAME_OFFSET = 3 };

enum special_frame {
	FRAME_UNKNOWN = 0,	/* an address in no mapping */
	FRAME_TRUNCATED = 1,	/* the stack goes on, beyond what could be recorded */
	FRAME_NO_STACK = 2,	/* the stack could not be read */
};

/* A trie: the stack's outermost frame has parent 0, its id names the whole. */
enum stack_column { STACK_ID = 1, STACK_PARENT = 2, STACK_FRAME = 3 };

enum task_flag {
	TASK_KERNEL_THREAD = 1,
	TASK_IDLE = 2,		/* the idle task of a CPU */
	TASK_AT_START = 4,	/* was there when the recording began */
	TASK_EXITED = 8,
};

/*
 * One entry is one thread under one name: a new comm gives a new id that
 * names its predecessor, so that a record says what the thread was called then.
 */
enum task_column {
	TASK_ID = 1,
	TASK_TIME = 2,		/* from when on; 0 before the recording */
	TASK_PID = 3,		/* thread group id in the recorder's pid namespace */
	TASK_TID = 4,
	TASK_PARENT_PID = 5,
	TASK_NS_PID = 6,	/* in the task's own pid namespace */
	TASK_COMM = 7,		/* S */
	TASK_CMDLINE = 8,	/* S, arguments separated by NUL */
	TASK_CGROUP = 9,	/* S */
	TASK_FLAGS = 10,
	TASK_EXIT_TIME = 11,	/* 0 while it lives */
	TASK_PREVIOUS = 12,	/* the same thread's entry before, or 0 */
	TASK_UID = 13,		/* real user id when the entry was made */
};

#define TASK_UID_UNKNOWN UINT32_MAX	/* also where the column is missing */

enum mapping_column {
	MAPPING_TIME = 1,	/* from when on */
	MAPPING_PID = 2,
	MAPPING_START = 3,
	MAPPING_BYTES = 4,
	MAPPING_OFFSET = 5,	/* in the file */
	MAPPING_MODULE = 6,
	MAPPING_PROT = 7,	/* PROT_ bits: 1 read, 2 write, 4 execute */
};

enum symbol_column {
	SYMBOL_MODULE = 1,
	SYMBOL_START = 2,	/* offset in the same space as frames */
	SYMBOL_BYTES = 3,
	SYMBOL_NAME = 4,	/* S, demangled */
};

enum loss_cause {
	LOSS_RING = 1,		/* the kernel's ring buffer was full */
	LOSS_OUTPUT = 2,	/* the output was slower than the events */
	LOSS_SIDEBAND = 3,	/* mmap, comm, fork, exit notes */
	LOSS_THROTTLED = 4,	/* the kernel slowed the sampling down */
	LOSS_RECURSION = 5,	/* a probe was hit while a program ran on that CPU */
	LOSS_ROOM = 6,		/* a span or a key of a tally found no room in its table */
	/* Not lost, but no records either: spans of which one side was seen. */
	LOSS_NO_START = 7,	/* ends without a start */
	LOSS_NO_END = 8,	/* starts whose end never came, or not before the next start */
};

#define LOSS_CPU_UNKNOWN UINT32_MAX	/* in the place of the CPU */

enum loss_column {
	LOSS_FIRST = 1,		/* the interval, ns */
	LOSS_LAST = 2,
	LOSS_CPU = 3,
	LOSS_EVENT = 4,
	LOSS_CAUSE = 5,
	LOSS_COUNT = 6,
};

enum cost_column {		/* running totals of the recorder */
	COST_TIME = 1,
	COST_USER_NS = 2,
	COST_SYSTEM_NS = 3,
	COST_BYTES = 4,		/* written to the file so far */
};

enum index_column {		/* the block headers, in file order */
	INDEX_OFFSET = 1,
	INDEX_TYPE = 2,
	INDEX_PAYLOAD_BYTES = 3,
	INDEX_RECORDS = 4,
	INDEX_EVENT = 5,
	INDEX_FIRST = 6,
	INDEX_LAST = 7,
	INDEX_SAFE = 8,
};

/*
 * `values` names what numbers mean, or is NULL.  It starts with '=' (one name for the whole
 * number) or '|' (flags), then has [MASK/]VALUE=NAME, separated by blanks, numbers
 * decimal (also negative) or 0x...: "=0=READ -1=ANY", "|3/0=RDONLY 3/1=WRONLY 0x40=CREAT".
 * A flag without a mask is its own mask.  report/valuenames.h reads it.
 */
struct field_desc {
	const char *name;
	uint8_t type, role, hint, class;
	const char *unit;
	const char *values;
};

/*
 * An event may be a part of another one, the whole: it has no records of its own; each
 * record of the whole for which `part_if` is not 0 is one of the part, too, whose fields
 * are got from the whole's, as `part_from` says: "FIELD", or "FIELD-FIELD" for the
 * difference of two numbers.  `part_if` has the same form.  A part is an event like any
 * other where it is asked for by name, and is left out where all events are meant.
 */
struct event_desc {
	const char *name;
	uint32_t nr_fields;
	const struct field_desc *fields;	/* field i is column i + 1 */
	const char *format;			/* or NULL */
	const char *part_of;			/* name of the whole, described before; or NULL */
	const char *part_if;			/* NULL: every record */
	const char *const *part_from;		/* by field */
};

#endif
