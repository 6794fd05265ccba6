/*
 * A tally: hits of a probe or span summed up in the kernel, by key and interval, instead
 * of recorded: count, sum, least and greatest of a value, and its histogram.
 *
 * The key is made of fields of the probe.  Two hash maps give each key, and each bucket of
 * a key, a number when it is first seen; what is counted stands under that number in
 * memory that we share with the programs (mapped BPF arrays with a part for each CPU),
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

#define TALLY_MAX_FIELDS 8		/* of a key */
#define TALLY_MAX_KEY_BYTES 256
#define TALLY_STRING_BYTES 64	/* kept of a text in a key, unless a hint says otherwise */
#define TALLY_EVERY_NS UINT64_C(1000000000)
#define TALLY_KEYS 10000
#define TALLY_MOST_KEYS 1000000
/* Buckets there is room for, of all keys together. */
#define TALLY_BUCKETS_OF_KEY 16
#define TALLY_LEAST_STACKS 16384
#define TALLY_LEAST_BUCKETS 8192	/* one key of any values */
#define TALLY_MOST_BUCKETS (1u << 20)

/* --tally 'by=comm,fd; hist=duration; every=1s; keys=10000', taken apart. */
struct tally_spec {
	char *by;		/* names with commas, as a list of fields; "" */
	char *hist, *sum;	/* what is measured, with or without a histogram; or NULL */
	uint64_t every_ns;
	uint32_t max_keys;
};

/* `hist` without a name is hist=duration.  -EINVAL with d set. */
int tally_parse(struct tally_spec *out, const char *text, struct diag *d);
/* Harmless on zeroed memory. */
void tally_spec_release(struct tally_spec *s);

/* A field of a probe or, of a span, of either side. */
struct tally_field {
	bool of_start;
	uint32_t index;		/* in the fields of that side */
	uint32_t key_offset, key_bytes;		/* in the key; multiples of 8 */
};

enum tally_measure { TALLY_NOTHING, TALLY_FIELD, TALLY_DURATION };

struct tally {
	struct tally_field by[TALLY_MAX_FIELDS];
	size_t nr_by;
	uint32_t key_bytes;
	enum tally_measure measure;
	struct tally_field value;	/* TALLY_FIELD */
	bool is_signed;			/* the value */
	char *value_name;		/* or NULL */
	bool histogram;
	uint64_t every_ns;
	uint32_t max_keys, max_buckets, max_stacks;
	/* Private to the files of tallies from here on. */
	struct tallymaps *maps;
	uint32_t owner;			/* which of those that share the maps */
};

/*
 * Gives p its tally: the fields of the key and the value are found by their names among
 * the fields that p has already, of a span the end's before the start's; `stack` means
 * all stacks there are.  -EINVAL with d set.
 */
int tally_bind(struct probe *p, const struct tally_spec *s, struct diag *d);
void tally_free(struct tally *t);
/*
 * The maps of all tallies of the set: after tally_bind(), before programs are loaded.
 * Tallies of one shape share them, and so the room for keys: `syscall:*` is 350 events.
 * nr_cpus: possible ones; atomics: of proberings_maps().
 */
int tally_open(const struct probes *set, uint32_t nr_cpus, bool atomics, struct diag *d);
/*
 * In a program: what stands in the place of a record.  Goes on behind it, whether the hit
 * was counted or lost; r8 and r9 are lost, too.  tallyprog.c.
 */
void tallyprog_emit(struct probeprog_builder *b);
/*
 * FETCH_KERNEL_STACK and FETCH_USER_STACK of a tally whose key has a stack: r0 = its number,
 * or -errno; -EEXIST if there is no room for it.  Flags are of bpf_get_stackid().
 */
void tallyprog_stack(struct probeprog_builder *b, uint64_t flags);

/* One bucket of a key, or the whole key: see format/schema.h on tallies. */
struct tally_row {
	/*
	 * key_bytes: numbers of 8 bytes, extended as their fields say; texts filled up with
	 * zeros, comm 16 bytes; bytes likewise.
	 */
	const uint8_t *key;
	bool first;		/* of its key: sum, least and most are set */
	int32_t bucket;
	uint64_t count;
	uint64_t sum, least, most;	/* signed if the value is */
};

typedef void (*tally_row_fn)(void *ctx, const struct tally_row *row);

/*
 * Empties the tally: all that was counted since the last call, key by key, the buckets
 * of each from the least up.  A hit under way is counted in this call or the next, and
 * may be in the sum of the one before its count; nothing is lost once programs are done.
 */
void tally_collect(struct tally *t, tally_row_fn fn, void *ctx);
/*
 * Hits that are in no row, since the start: no room for their key (or its stack), or none
 * for their bucket.
 */
uint64_t tally_lost(const struct tally *t);
uint64_t tally_lost_buckets(const struct tally *t);
/*
 * Frames of a stack by the number in a key, innermost first, at most PROBE_MAX_STACK.
 * Their number, or -errno: of a stack that could not be read, that of the reading.
 */
int tally_stack(const struct tally *t, int64_t id, uint64_t *ips);

#endif
