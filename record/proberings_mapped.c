/*
 * Rings in memory that is shared with the programs.  A program may be interrupted
 * anywhere by another one on its CPU, which then reserves and commits behind it, so
 * what is committed out of turn waits for what was reserved before.
 */
#include "record/proberings_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Room is cleared and given back in pieces that are still in the first-level cache. */
#define STEP_BYTES (16u << 10)

struct mapped {
	uint8_t *memory;
	size_t lane_bytes;
	uint64_t *consumed;		/* ours; the programs see it later */
	size_t step_bytes;
};

static void mapped_close(struct proberings *r)
{
	struct mapped *m = r->impl;

	if (m) {
		proberings_unmap_array(m->memory, m->lane_bytes, r->maps.nr_cpus);
		free(m->consumed);
		free(m);
	}
	if (r->maps.ring_fd >= 0)
		close(r->maps.ring_fd);
	r->maps.ring_fd = -1;
	r->impl = NULL;
}

/*
 * The verifier believes in masks only: it takes a program to write up to the next
 * power of two, and as much again, behind the start of its record.
 */
static size_t slack_bytes(const struct proberings *r)
{
	return (size_t)proberings_round_up(r->maps.max_record_bytes + PROBERINGS_DATA) * 2;
}

static int mapped_open(struct proberings *r, struct diag *d)
{
	struct mapped *m;
	int err;

	if (!r->maps.atomics)
		return diag_set(d, -EOPNOTSUPP, "cannot share rings with probe programs: this "
				"kernel's BPF has no atomic compare-and-exchange");
	m = r->impl = calloc(1, sizeof(*m));
	if (!m)
		return -ENOMEM;
	m->consumed = calloc(r->maps.nr_cpus, sizeof(*m->consumed));
	if (!m->consumed)
		return -ENOMEM;
	/* How large a value may be differs from kernel to kernel. */
	for (;;) {
		m->lane_bytes = PROBERINGS_DATA + r->maps.cpu_bytes + slack_bytes(r);
		err = proberings_map_array("kymo_rings", m->lane_bytes, r->maps.nr_cpus,
					   &r->maps.ring_fd, (void **)&m->memory);
		if (err != -E2BIG && err != -ENOMEM && err != -EINVAL && err != -EPERM)
			break;
		if (r->maps.cpu_bytes / 2 < 4 * r->maps.max_record_bytes)
			break;
		r->maps.cpu_bytes /= 2;
	}
	m->step_bytes = STEP_BYTES < r->maps.cpu_bytes / 4 ? STEP_BYTES :
							     (size_t)r->maps.cpu_bytes / 4;
	r->nr_lanes = r->maps.nr_cpus;
	return err;
}

static uint8_t *lane_at(const struct mapped *m, uint32_t lane, size_t offset)
{
	return m->memory + lane * m->lane_bytes + offset;
}

static uint64_t *counter(const struct mapped *m, uint32_t lane, size_t offset)
{
	return (uint64_t *)(void *)lane_at(m, lane, offset);
}

/*
 * Clears what was read, which lies in one piece, and offers it to the programs.  That
 * all free room is zero is what keeps old bytes out of new records, and what tells a
 * record that is not complete.
 */
static void give_back(const struct proberings *r, uint32_t lane, uint64_t to)
{
	struct mapped *m = r->impl;
	uint64_t from = m->consumed[lane];

	if (from == to)
		return;
	memset(lane_at(m, lane, PROBERINGS_DATA + (from & (r->maps.cpu_bytes - 1))), 0,
	       (size_t)(to - from));
	m->consumed[lane] = to;
	__atomic_store_n(counter(m, lane, PROBERINGS_CONSUMED), to, __ATOMIC_RELEASE);
}

static size_t mapped_take(struct proberings *r, uint32_t lane, uint64_t until_ns,
			  proberings_fn fn, void *ctx)
{
	struct mapped *m = r->impl;
	const uint8_t *data = lane_at(m, lane, PROBERINGS_DATA);
	uint64_t mask = r->maps.cpu_bytes - 1, at = m->consumed[lane];
	/* Not more than is there at a time: a busy CPU must not keep us here for good. */
	uint64_t end = at + r->maps.cpu_bytes;
	size_t nr = 0;

	while (at < end) {
		const struct probe_record *rec = (const void *)(data + (at & mask));
		uint32_t size_bytes = __atomic_load_n(&rec->size_bytes, __ATOMIC_ACQUIRE);

		if (!size_bytes || rec->time_ns > until_ns)
			break;
		fn(ctx, lane, rec);
		nr++;
		at += size_bytes;
		/* Once round, what was read no longer lies in one piece. */
		if (at - m->consumed[lane] >= m->step_bytes ||
		    (at & ~mask) != (m->consumed[lane] & ~mask))
			give_back(r, lane, at);
	}
	give_back(r, lane, at);
	return nr;
}

static unsigned int mapped_fill_percent(const struct proberings *r)
{
	const struct mapped *m = r->impl;
	uint64_t fullest = 0;

	for (uint32_t lane = 0; lane < r->nr_lanes; lane++) {
		uint64_t used = __atomic_load_n(counter(m, lane, PROBERINGS_RESERVED),
						__ATOMIC_RELAXED) - m->consumed[lane];

		if (used > fullest)
			fullest = used;
	}
	return (unsigned int)(fullest * 100 / r->maps.cpu_bytes);
}

static bool mapped_is_empty(const struct proberings *r)
{
	const struct mapped *m = r->impl;

	for (uint32_t lane = 0; lane < r->nr_lanes; lane++)
		if (__atomic_load_n(counter(m, lane, PROBERINGS_RESERVED), __ATOMIC_RELAXED) !=
		    m->consumed[lane])
			return false;
	return true;
}

static const struct proberings_ops ops = {
	.name = "mapped",
	.open = mapped_open,
	.close = mapped_close,
	.take = mapped_take,
	.fill_percent = mapped_fill_percent,
	.is_empty = mapped_is_empty,
};

const struct proberings_ops *proberings_mapped_ops(void)
{
	return &ops;
}
