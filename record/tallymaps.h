/*
 * What the programs of tallies and their reader share.  For the files of tallies only.
 *
 * What one set costs, with the usual 10,000 keys and 160,000 buckets: 15 MiB of hash
 * maps, 2 MiB of areas, and 1.6 MiB of counters for each part; a part is a CPU, unless
 * there are so many that it would be more than MOST_COUNTER_BYTES: then some CPUs share
 * one.  Stacks take 20 MiB more.  The kernel takes all of it at once.
 */
#ifndef RECORD_TALLYMAPS_H
#define RECORD_TALLYMAPS_H

#include "record/tally.h"

/* In a part of the counters, by key; all zero is empty, whatever values are like. */
struct tally_counters {
	uint64_t count;		/* without a histogram; else it is the sum of its buckets */
	uint64_t sum;
	uint64_t most;		/* of the value + 2^63 if it is signed: the greatest ... */
	uint64_t least;		/* ... and the greatest complement */
};

/* First in a row of the area of keys; the key follows. */
#define TALLYMAPS_OPEN 0
#define TALLYMAPS_READY 1
#define TALLYMAPS_UNUSED 2	/* the number was handed out in vain */
/* In the area of buckets: the key's number + 1, and the bucket in the upper half. */
#define TALLYMAPS_PAIR_UNUSED UINT64_MAX

/* One place where numbers are handed out: to keys, or to buckets. */
struct tallymaps_numbers {
	int hash_fd;		/* key, or pair of key number and bucket -> __u32 number */
	int area_fd;		/* array by number: what has it */
	int free_fd;		/* stack of free numbers, where BPF cannot fetch and add; else -1 */
	uint32_t next_offset;	/* in the value of next_fd: __u64 numbers handed out */
	uint32_t max;
	uint8_t *area;		/* mapped */
	uint32_t row_bytes;
	/* The reader's. */
	uint32_t first_open;	/* all numbers before it are known */
	uint8_t *known;		/* by number */
};

struct tallymaps_entry {	/* a bucket of a key, or a key without a histogram */
	uint32_t owner, key;
	int32_t bucket;
	uint32_t number;
};

struct tallymaps_limits {
	uint64_t most, least;
};

#define TALLYMAPS_SECOND_STACK (1 << 30)	/* in the number of a stack of the second map */

struct tallymaps {
	unsigned int users;	/* tallies that hold it */
	uint32_t nr_owners;
	bool histogram, atomics;
	/* Of a key with the owner's number before it, if it has several; 0: the owner is the key. */
	uint32_t key_bytes, key_skip;
	uint32_t nr_parts, part_mask;	/* part: number of the CPU & mask */
	struct tallymaps_numbers keys, buckets;
	int next_fd;		/* one value: two __u64 */
	int counters_fd;	/* array: part * max_keys + key -> struct tally_counters */
	int counts_fd;		/* array: part * max_buckets + bucket -> __u64 */
	int lost_fd;		/* array: (part * nr_owners + owner) * 2 + (1: of a bucket) -> __u64 */
	/*
	 * A stack has one place in a map, that its hash tells: who finds it taken goes to the
	 * second map, which is nearly empty.  -1: no key has a stack.
	 */
	int stacks_fd[2];
	uint32_t stack_bytes;
	uint64_t *next;
	struct tally_counters *counters;
	uint64_t *counts, *lost;
	/* What is known to be counted, by owner, key and bucket. */
	struct tallymaps_entry *entries, *fresh;
	size_t nr_entries;
	size_t *first;		/* by owner; one more ends the last */
	uint64_t *row_counts;	/* of one key's buckets, while they are collected */
	struct tallymaps_limits *limits;	/* by key: of its last row, as in its counters */
};

/* Tallies of one shape; each gets ->maps and ->owner. */
int tallymaps_open(struct tally *const *tallies, uint32_t nr, bool stacks, uint32_t nr_cpus,
		   bool atomics, struct diag *d);
/* A tally lets go of its maps; the last one closes them. */
void tallymaps_leave(struct tally *t);

/* --- tallyrows.c ------------------------------------------------------------------------ */

/* What tally_collect() of tally.h does. */
void tallyrows_collect(struct tally *t, tally_row_fn fn, void *ctx);

#endif
