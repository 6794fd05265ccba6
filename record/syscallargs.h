/*
 * What the arguments of system calls mean, beyond their types in C: paths to be read,
 * flags with names, descriptors.  Calls and arguments are called as in the kernel's
 * tracepoints: "openat", "flags" of syscalls:sys_enter_openat.  Values of constants are
 * those of the machine that this is built for.
 */
#ifndef RECORD_SYSCALLARGS_H
#define RECORD_SYSCALLARGS_H

#include <stdbool.h>
#include <stdint.h>

struct syscallargs {
	bool is_string;		/* the address of a NUL-terminated text of the caller's */
	uint32_t max_bytes;	/* of a string, NUL included */
	uint8_t size;		/* of a number: its lowest 2, 4 or 8 bytes count */
	bool is_signed;
	bool is_pointer;	/* an address of the caller's, to be shown as such */
	uint8_t hint, class;	/* format/schema.h */
	const char *values;	/* names of values (struct field_desc), static text, or NULL */
};

/*
 * An argument that is more than its type says; "ret" is the result of the call.  False:
 * nothing is known of it, take syscallargs_of_type().
 */
bool syscallargs_find(const char *call, const char *arg, struct syscallargs *out);
/* By the type as the kernel writes it: "unsigned int", "const char *".  Never a string. */
void syscallargs_of_type(const char *type, struct syscallargs *out);
/*
 * Whether a call leaves nothing of its arguments: it puts another program in the place
 * of the caller, takes other registers, or never returns.
 */
bool syscallargs_are_gone_after(const char *call);

#endif
