/*
 * Names for ids, as text a view may print: symbol and module of a frame, comm
 * of a task, value of a field.  Resolved once per frame and kept.
 */
#ifndef REPORT_NAMES_H
#define REPORT_NAMES_H

#include "format/trace.h"

#include <stdbool.h>
#include <stdint.h>

struct names;

struct frame_name {
	const char *symbol;	/* raw bytes from the file, NOT escaped; "[unknown]" */
	const char *module;	/* "[kernel.kallsyms]", "[bpf]", a path, "[unknown]" */
	uint64_t address;	/* ELF address: module offset + bias */
	uint64_t symbol_offset;	/* from the symbol's start */
	uint32_t symbol_id;	/* equal ids: same name and module; dense from 1 */
	uint32_t kind;		/* enum module_kind */
	bool resolved;
};

int names_new(struct names **out, struct trace *t);
void names_free(struct names *n);
/* Borrowed until names_free(); on a pipe, ask again after the stream ended. */
const struct frame_name *names_frame(struct names *n, uint32_t frame_id);
/* One past the largest symbol_id given out so far. */
uint32_t names_nr_symbols(const struct names *n);
/* Any frame with that symbol_id, or NULL. */
const struct frame_name *names_symbol(struct names *n, uint32_t symbol_id);

#endif
