/*
 * Names of values of arguments of system calls, as texts for struct field_desc, made of
 * the constants of the system's headers.
 */
#ifndef RECORD_SYSCALLARGS_NAMES_H
#define RECORD_SYSCALLARGS_NAMES_H

enum syscallargs_names {
	NAMES_none,
#define ONE_OF(set, ...) NAMES_##set,
#define FLAGS(set, ...) NAMES_##set,
#include "record/syscallargs_names.def"
#undef ONE_OF
#undef FLAGS
	NAMES_MAX,
};

/* NULL: NAMES_none, or out of memory.  It is made once and stays for good. */
const char *syscallargs_names(enum syscallargs_names set);

#endif
