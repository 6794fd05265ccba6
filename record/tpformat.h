/*
 * What a tracepoint's format file says about the record that programs are given.
 */
#ifndef RECORD_TPFORMAT_H
#define RECORD_TPFORMAT_H

#include "format/diag.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum tpformat_shape {
	TPFORMAT_NUMBER = 1,
	TPFORMAT_NUMBERS,	/* nr_elements numbers of element_bytes each */
	TPFORMAT_TEXT,		/* an array of char, NUL-terminated if it is not full */
	TPFORMAT_BYTES,
	/* 4 bytes say where in the record something of any length lies. */
	TPFORMAT_DYNAMIC_TEXT,
	TPFORMAT_DYNAMIC_BYTES,
};

struct tpformat_field {
	char *name, *type;
	uint32_t offset, size_bytes;
	uint8_t shape;			/* enum tpformat_shape */
	uint8_t element_bytes;
	uint32_t nr_elements;
	bool is_signed;
	bool is_pointer;
	bool is_relative;		/* __rel_loc, else __data_loc */
	bool is_code;			/* printed as the name of a function */
};

/* All fields lie within a record of TPFORMAT_MAX_BYTES, after its common part. */
#define TPFORMAT_MAX_BYTES 8192

struct tpformat {
	uint32_t id;			/* for perf_event_open() */
	struct tpformat_field *fields;	/* without the common ones, in order */
	size_t nr_fields;
};

/* -EINVAL with d set: it makes no sense. */
int tpformat_parse(struct tpformat *f, const char *text, const char *system, const char *name,
		   struct diag *d);
void tpformat_release(struct tpformat *f);
/* NULL: none of that name. */
const struct tpformat_field *tpformat_find(const struct tpformat *f, const char *name);

#endif
