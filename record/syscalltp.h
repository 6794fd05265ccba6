/*
 * Tracepoints of single system calls, `syscalls:sys_enter_openat`.  The kernel makes
 * them from two that every system call passes, by its number.  So do we: one program
 * on each of the two jumps to the program of the call's number.  However many are
 * recorded, two are attached and two are detached.
 *
 * What is seen is what the kernel's own tracepoints show; like those, calls of
 * 32-bit programs are left out.
 *
 * One thread at a time.
 */
#ifndef RECORD_SYSCALLTP_H
#define RECORD_SYSCALLTP_H

#include "record/attachset.h"
#include "record/probe.h"
#include "record/tpformat.h"

struct syscalltp {
	unsigned int number;
	bool is_exit;
};

/* From "sys_enter_openat".  -ENOENT: the number is not known. */
int syscalltp_find(struct syscalltp *out, const char *name);
/* Whether it works here: 0 or -errno of the attempt, which is made once. */
int syscalltp_try(void);
/* A field of its record.  -ENOENT: it cannot be had like this. */
int syscalltp_field(const struct syscalltp *s, const struct tpformat *f, const char *name,
		    struct probe_value *out);
/* Names of calls whose numbers are known, as in their tracepoints; NULL past the last. */
const char *syscalltp_name_at(size_t i);
/*
 * Where a call begins or returns: its arguments, from 0, as they lie in the caller's
 * registers, and its result; 64 bits, of which nothing else is known.  After
 * syscalltp_try().
 */
#define SYSCALLTP_NR_ARGS 6
int syscalltp_enter_argument(unsigned int index, struct probe_value *out);
int syscalltp_exit_argument(unsigned int index, struct probe_value *out);
int syscalltp_exit_result(struct probe_value *out);
/* Types of the program: borrowed for the life of the process. */
void syscalltp_describe(const struct syscalltp *s, struct probe_variant *v);

/*
 * Tables of programs by number, of one recording; zeroed at first.  Where a call has
 * several programs there are several tables.
 */
struct syscalltp_tables {
	struct syscalltp_table *list;
	size_t nr;
};

/* What is opened goes into a. */
int syscalltp_attach(const struct syscalltp *s, struct syscalltp_tables *tables, int prog_fd,
		     struct attachset *a);
/* Runs of the programs in front of the tables that the kernel left out, so far. */
uint64_t syscalltp_missed(const struct syscalltp_tables *tables);
void syscalltp_release(struct syscalltp_tables *tables);

#endif
