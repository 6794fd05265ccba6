/*
 * Registers of user space as BPF programs of uprobes see them (struct pt_regs),
 * on x86-64 and arm64.
 */
#ifndef RECORD_USERREGS_H
#define RECORD_USERREGS_H

#include <elf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if defined(__x86_64__)
#define USERREGS_MACHINE EM_X86_64
#define USERREGS_NR_ARGS 6
#elif defined(__aarch64__)
#define USERREGS_MACHINE EM_AARCH64
#define USERREGS_NR_ARGS 8
#else
#define USERREGS_MACHINE EM_NONE
#define USERREGS_NR_ARGS 0
#endif

struct userreg {
	uint16_t offset;	/* in the context */
	uint8_t size;		/* bytes */
};

/* "rdi", "edi", "dil", "x0", "w0", "sp" ...: false if there is no such register. */
bool userregs_find(struct userreg *r, const char *name, size_t len_bytes);
/* By its number in DWARF; false for those that are no integers. */
bool userregs_find_dwarf(struct userreg *r, unsigned int number);
struct userreg userregs_arg(unsigned int i);	/* below USERREGS_NR_ARGS */
struct userreg userregs_return(unsigned int i);	/* 0 or 1 */
struct userreg userregs_ip(void);
struct userreg userregs_sp(void);
/* What lies between the stack pointer and the first argument on the stack. */
unsigned int userregs_stack_args_offset(void);

#endif
