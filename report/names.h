/*
 * Names for ids, as text a view may print: symbol and module of a frame.
 * Resolved once per frame, when a view first asks, and kept.
 */
#ifndef REPORT_NAMES_H
#define REPORT_NAMES_H

#include "format/trace.h"

#include <stdbool.h>
#include <stdint.h>

struct names;

/*
 * Frames without a symbol are called "[unknown]" and are one symbol per module.
 * FRAME_TRUNCATED and FRAME_NO_STACK are called "[truncated]" and "[no stack]",
 * are of kind MODULE_SPECIAL, and count as resolved: they are no code.
 */
struct frame_name {
	const char *symbol;	/* raw bytes from the file, NOT escaped */
	const char *module;	/* "[kernel.kallsyms]", "[ext4]", "[bpf]", "[jit]", a path */
	uint64_t address;	/* ELF address: module offset + bias */
	uint64_t symbol_offset;	/* from the symbol's start */
	uint32_t symbol_id;	/* equal ids: same name and module; dense from 1 */
	uint32_t module_id;	/* equal ids: same module text; dense from 1 */
	uint32_t kind;		/* enum module_kind */
	bool resolved;
};

int names_new(struct names **out, struct trace *t);
void names_free(struct names *n);
/*
 * Never NULL; any id is accepted.  Borrowed until names_free().  On a pipe, ask
 * again after the stream ended: names may come later than records.
 */
const struct frame_name *names_frame(struct names *n, uint32_t frame_id);
/* One past the largest symbol_id and module_id given out so far. */
uint32_t names_nr_symbols(const struct names *n);
uint32_t names_nr_modules(const struct names *n);
/* Any frame with that symbol_id or module_id, or NULL. */
const struct frame_name *names_symbol(struct names *n, uint32_t symbol_id);
const struct frame_name *names_module(struct names *n, uint32_t module_id);
/* -ENOMEM if a name had to be left out for lack of memory, else 0. */
int names_error(const struct names *n);

#endif
