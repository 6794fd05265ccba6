/*
 * The kernel's own word for which function an address lies in, and where a function
 * lies: a microsecond each.  /proc/kallsyms tells the same of all at once, in some 40 ms
 * of CPU time.
 *
 * One thread at a time.
 */
#ifndef RECORD_KSYMBOLS_H
#define RECORD_KSYMBOLS_H

#include <stddef.h>
#include <stdint.h>

struct ksymbols;

struct ksymbol {
	uint64_t start, size_bytes;
	const char *name;		/* valid until the next call */
	const char *tag;		/* of a module: "[ext4]"; else "" */
};

/* -errno where the kernel cannot be asked (before 5.14), or not by us. */
int ksymbols_open(struct ksymbols **out);
void ksymbols_close(struct ksymbols *k);	/* NULL is legal */
/* -ENOENT: none of the kernel proper, of a module or a BPF program. */
int ksymbols_find(struct ksymbols *k, uint64_t address, struct ksymbol *out);
/* -ENOENT: no such function, -EOPNOTSUPP: it cannot be asked that (before 5.16). */
int ksymbols_address(struct ksymbols *k, const char *name, uint64_t *address);

#endif
