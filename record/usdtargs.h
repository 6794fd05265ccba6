/*
 * Arguments of static probes, as compilers describe them in notes: "-4@%edi",
 * "8@-24(%rbp)", "4@$7" on x86-64, "-4@[sp, 60]", "8@x0" on arm64.  The text is
 * untrusted.
 */
#ifndef RECORD_USDTARGS_H
#define RECORD_USDTARGS_H

#include "record/probe.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define USDTARGS_MAX 12

/* The ELF address of a variable; false: unknown. */
typedef bool (*usdtargs_symbol_fn)(void *ctx, const char *name, size_t len_bytes,
				   uint64_t *address);

struct usdtarg {
	struct probe_value value;
	const char *why;		/* it cannot be read, or NULL */
};

struct usdtargs {
	struct usdtarg list[USDTARGS_MAX];
	size_t nr;
	bool is_relative;	/* an operand is told by its distance from the probe */
};

/* `address`: of the probe, in ELF; symbols may be NULL. */
void usdtargs_parse(struct usdtargs *args, const char *text, uint64_t address,
		    usdtargs_symbol_fn symbol, void *ctx);

#endif
