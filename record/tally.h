/*
 * A tally: hits of a probe or span summed up in the kernel, by key and interval, instead
 * of recorded: count, sum, least and greatest of a value, and its histogram.
 *
 * The key is made of fields of the probe.  Two hash maps give each key, and each bucket of
 * a key, a number when it is first seen; what is counted stands under that number in
 * memory that we share with the programs (a mapped BPF array with a part for each CPU),
 * changed by atomic operations only: emptied by us with an exchange, so that no hit is
 * counted twice or not at all, whatever interrupts whom.
 *
 * One thread at a time.
 */
#ifndef RECORD_TALLY_H
#define RECORD_TALLY_H

#include "format/diag.h"
#include "record/probe.h"
#include "record/probeprog.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TALLY_MAX_KEYS 8
#define TALLY_STRING_BYTES 64	/* kept of a text in a key, unless a hint says otherwise */
#define TALLY_EVERY_NS UINT64_C(1000000000)

/* --tally 'by=comm,fd; hist=duration; every=1s; keys=10000', taken apart. */
struct tally_spec {
	char *by;		/* names with commas, as a list of fields; "" */
	char *hist, *sum;	/* what is measured, with or without a histogram; or NULL */
	uint64_t every_ns;
	uint32_t max_keys;
};

int tally_parse(struct tally_spec *out, const char *text, struct diag *d);
void tally_spec_release(struct tally_spec *s);

/* A field of a probe or, of a span, of either side. */
struct tally_field {
	bool of_start;
	uint32_t index;		/* in the fields of that side */
	uint32_t key_offset, key_bytes;		/* in the key; a multiple of 8 */
};

enum tally_measure { TALLY_NOTHING, TALLY_FIELD, TALLY_DURATION };

struct tally {
	struct tally_field by[TALLY_MAX_KEYS];
	size_t nr_by;
	uint32_t key_bytes;
	enum tally_measure measure;
	struct tally_field value;	/* TALLY_FIELD */
	char *value_name;
	bool histogram;
	uint64_t every_ns;
	uint32_t max_keys, max_buckets;
	/* Private to tally.c and tallyprog.c from here on. */
	struct tallymaps *maps;
};

void tally_free(struct tally *t);
/* The maps: after fields are laid out, before programs are loaded. */
int tally_open(struct probe *p, uint32_t nr_cpus, struct diag *d);

/* In a program: what stands in the place of a record. */
void tallyprog_emit(struct probeprog_builder *b);

/* One bucket of a key, or the whole key: see format/schema.h on tallies. */
struct tally_row {
	const uint8_t *key;	/* key_bytes: numbers of 8 bytes, texts filled up with zeros */
	bool first;		/* of its key: sum, least and most are set */
	int32_t bucket;
	uint64_t count;
	uint64_t sum, least, most;	/* signed if the value is */
};

typedef void (*tally_row_fn)(void *ctx, const struct tally_row *row);

/* Empties the tally: all that was counted since the last call, key by key. */
void tally_collect(struct tally *t, tally_row_fn fn, void *ctx);
/* Hits that found no room for their key, since the start; and those without a bucket. */
uint64_t tally_lost(const struct tally *t);
uint64_t tally_lost_buckets(const struct tally *t);
/*
 * Frames of a stack by the number in a key, innermost first, at most PROBE_MAX_STACK.
 * Their number, or -errno.
 */
int tally_stack(const struct tally *t, uint32_t id, uint64_t *ips);

#endif
