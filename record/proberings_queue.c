/*
 * The kernel's own ways: its BPF ring buffer, one for all CPUs, and perf buffers.  A
 * message is copied into them; before the record stands the CPU.
 */
#include "record/numlist.h"
#include "record/perfevent.h"
#include "record/perfrings.h"
#include "record/proberings_private.h"
#include "record/ringdrain.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_RINGBUF_BYTES (64u << 20)
/* A perf buffer's record: header, size, CPU; so the record is aligned again. */
#define PERF_RECORD_OFFSET (sizeof(struct perf_event_header) + 2 * sizeof(uint32_t))
#define MAX_PERF_BYTES 65000		/* its size field has 16 bits */

struct queue {
	struct ringdrain ring;
	struct perfrings buffers;
	int *event_fds;			/* that own the perf buffers */
	size_t nr_events;
};

struct delivery {
	proberings_fn fn;
	void *ctx;
	uint64_t until_ns;
	size_t nr;
};

static void queue_close(struct proberings *r)
{
	struct queue *q = r->impl;

	if (q) {
		ringdrain_close(&q->ring);
		perfrings_release(&q->buffers);
		for (size_t i = 0; i < q->nr_events; i++)
			close(q->event_fds[i]);
		free(q->event_fds);
		free(q);
	}
	if (r->maps.ring_fd >= 0)
		close(r->maps.ring_fd);
	if (r->maps.scratch_fd >= 0)
		close(r->maps.scratch_fd);
	r->maps.ring_fd = r->maps.scratch_fd = r->poll_fd = -1;
	r->impl = NULL;
}

/* Where records are put together that are too large for the stack of a program. */
static int open_scratch(struct proberings *r)
{
	uint64_t row_bytes = 2 * sizeof(uint64_t) +
			     2 * proberings_round_up(r->maps.max_record_bytes + 1);

	r->nr_lanes = 1;
	r->impl = calloc(1, sizeof(struct queue));
	if (!r->impl)
		return -ENOMEM;
	r->maps.scratch_fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "kymo_scratch",
					    sizeof(uint32_t), (uint32_t)row_bytes,
					    r->maps.nr_cpus * PROBERINGS_SLOTS, NULL);
	return r->maps.scratch_fd < 0 ? -errno : 0;
}

/* --- the ring buffer ---------------------------------------------------------------- */

static int ringbuf_open(struct proberings *r, struct diag *d)
{
	uint64_t bytes = r->maps.cpu_bytes * proberings_round_up(r->maps.nr_cpus);
	struct queue *q;
	int err = open_scratch(r);

	(void)d;
	if (err)
		return err;
	/* The kernel's size is a number of 32 bits. */
	if (bytes > MAX_RINGBUF_BYTES)
		bytes = r->maps.cpu_bytes < MAX_RINGBUF_BYTES ? MAX_RINGBUF_BYTES :
							       r->maps.cpu_bytes;
	for (;;) {
		r->maps.ring_fd = bpf_map_create(BPF_MAP_TYPE_RINGBUF, "kymo_ring", 0, 0,
						 (uint32_t)bytes, NULL);
		err = r->maps.ring_fd < 0 ? -errno : 0;
		if ((err != -ENOMEM && err != -E2BIG && err != -EPERM) ||
		    bytes / 2 < 4 * r->maps.max_record_bytes)
			break;
		bytes /= 2;
	}
	if (err)
		return err;
	r->maps.cpu_bytes = bytes;
	q = r->impl;
	r->poll_fd = r->maps.ring_fd;
	return ringdrain_open(&q->ring, r->maps.ring_fd, bytes);
}

static bool take_message(void *ctx, const void *message, size_t size_bytes)
{
	const struct probe_record *rec = (const void *)((const uint8_t *)message + 8);
	struct delivery *to = ctx;
	uint32_t cpu;

	if (size_bytes < 8 + sizeof(*rec))
		return true;
	if (rec->time_ns > to->until_ns)
		return false;
	memcpy(&cpu, (const uint8_t *)message + 4, sizeof(cpu));
	to->fn(to->ctx, cpu, rec);
	to->nr++;
	return true;
}

static size_t ringbuf_take(struct proberings *r, uint32_t lane, uint64_t until_ns,
			   proberings_fn fn, void *ctx)
{
	struct delivery to = { fn, ctx, until_ns, 0 };
	struct queue *q = r->impl;

	(void)lane;
	ringdrain_run(&q->ring, take_message, &to);
	return to.nr;
}

static unsigned int ringbuf_fill_percent(const struct proberings *r)
{
	const struct queue *q = r->impl;

	return ringdrain_fill_percent(&q->ring);
}

/* --- perf buffers ----------------------------------------------------------------------- */

/* Any order will do for a record without a message: it comes first. */
static uint64_t message_time(const struct perf_event_header *header)
{
	const struct probe_record *rec;

	if (header->type != PERF_RECORD_SAMPLE ||
	    header->size < PERF_RECORD_OFFSET + sizeof(*rec))
		return 0;
	rec = (const void *)((const uint8_t *)header + PERF_RECORD_OFFSET);
	return rec->time_ns;
}

static int open_buffer(struct proberings *r, struct queue *q, int cpu, size_t *bytes)
{
	struct perf_event_attr attr = {
		.size = sizeof(attr), .type = PERF_TYPE_SOFTWARE,
		.config = PERF_COUNT_SW_BPF_OUTPUT, .sample_type = PERF_SAMPLE_RAW,
		.sample_period = 1, .watermark = 1, .wakeup_watermark = (uint32_t)(*bytes / 4),
	};
	int fd = perfevent_open(&attr, -1, cpu), err;

	if (fd < 0)
		return fd == -ENODEV ? 0 : fd;	/* went offline */
	q->event_fds[q->nr_events++] = fd;
	err = perfrings_add(&q->buffers, fd, cpu, bytes);
	if (!err && bpf_map_update_elem(r->maps.ring_fd, &cpu, &fd, BPF_ANY) < 0)
		err = -errno;
	return err;
}

static int perfbuf_open(struct proberings *r, struct diag *d)
{
	size_t bytes = r->maps.cpu_bytes, nr = 0;
	struct queue *q;
	int *cpus = NULL;
	int err;

	if (r->maps.max_record_bytes > MAX_PERF_BYTES)
		return diag_set(d, -E2BIG, "records of up to %zu bytes are too large for perf "
				"buffers: ask for fewer or shorter fields",
				r->maps.max_record_bytes);
	err = open_scratch(r);
	if (err)
		return err;
	r->maps.ring_fd = bpf_map_create(BPF_MAP_TYPE_PERF_EVENT_ARRAY, "kymo_buffers",
					 sizeof(uint32_t), sizeof(uint32_t), r->maps.nr_cpus,
					 NULL);
	if (r->maps.ring_fd < 0)
		return -errno;
	err = numlist_read("/sys/devices/system/cpu/online", &cpus, &nr);
	if (err)
		return err;
	q = r->impl;
	q->event_fds = calloc(nr, sizeof(*q->event_fds));
	err = q->event_fds ? perfrings_init(&q->buffers, nr, message_time) : -ENOMEM;
	for (size_t i = 0; !err && i < nr; i++)
		err = open_buffer(r, q, cpus[i], &bytes);
	free(cpus);
	r->poll_fd = q->buffers.poll_fd;
	return err;
}

/* Losses come as records, too: the program has counted them already. */
static size_t perfbuf_take(struct proberings *r, uint32_t lane, uint64_t until_ns,
			   proberings_fn fn, void *ctx)
{
	const struct perf_event_header *header;
	struct queue *q = r->impl;
	size_t nr = 0;
	int cpu;

	(void)lane;
	perfrings_refresh(&q->buffers);
	while ((header = perfrings_next(&q->buffers, until_ns, &cpu))) {
		if (header->type != PERF_RECORD_SAMPLE ||
		    header->size < PERF_RECORD_OFFSET + sizeof(struct probe_record))
			continue;
		fn(ctx, (uint32_t)cpu,
		   (const void *)((const uint8_t *)header + PERF_RECORD_OFFSET));
		nr++;
	}
	return nr;
}

static unsigned int perfbuf_fill_percent(const struct proberings *r)
{
	const struct queue *q = r->impl;

	return perfrings_fill_percent(&q->buffers);
}

/* --- tables ------------------------------------------------------------------------------- */

static const struct proberings_ops ringbuf_ops = {
	.name = "ringbuf",
	.open = ringbuf_open,
	.close = queue_close,
	.take = ringbuf_take,
	.fill_percent = ringbuf_fill_percent,
};

static const struct proberings_ops perfbuf_ops = {
	.name = "perfbuf",
	.open = perfbuf_open,
	.close = queue_close,
	.take = perfbuf_take,
	.fill_percent = perfbuf_fill_percent,
};

const struct proberings_ops *proberings_queue_ringbuf(void)
{
	return &ringbuf_ops;
}

const struct proberings_ops *proberings_queue_perfbuf(void)
{
	return &perfbuf_ops;
}
