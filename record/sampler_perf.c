#include "record/sampler_backend.h"

#include "record/perfrings.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

/* Half of what kernel.perf_event_mlock_kb allows each CPU by default. */
#define RING_BYTES (256u << 10)
#define SAMPLE_TYPE (PERF_SAMPLE_IDENTIFIER | PERF_SAMPLE_IP | PERF_SAMPLE_TID |	\
		     PERF_SAMPLE_TIME | PERF_SAMPLE_CPU | PERF_SAMPLE_PERIOD)

/* PERF_RECORD_SAMPLE as SAMPLE_TYPE makes it; a call chain may follow. */
struct raw_sample {
	struct perf_event_header header;
	uint64_t id, ip;
	uint32_t pid, tid;
	uint64_t time_ns;
	uint32_t cpu, reserved;
	uint64_t period;
};

struct raw_chain {
	uint64_t nr, ips[];
};

struct raw_lost {
	struct perf_event_header header;
	uint64_t id, lost;
};

/* What every other record ends with. */
struct raw_trailer {
	uint32_t pid, tid;
	uint64_t time_ns;
	uint32_t cpu, reserved;
	uint64_t id;
};

struct id_of_event {
	uint64_t id;
	uint32_t event;
};

struct sampler_perf {
	struct perfrings rings;
	struct id_of_event *ids;	/* sorted */
	size_t nr_ids;
	uint64_t *lost;			/* by event, then CPU */
	bool lost_is_final;
	bool counts_lost;		/* the kernel does, for each event */
	union {
		struct message_sample sample;
		uint64_t room[sizeof(struct message_sample) / 8 + 2 * SAMPLE_MAX_STACK];
	} message;
};

static uint64_t time_of(const struct perf_event_header *record)
{
	struct raw_trailer trailer;

	if (record->type == PERF_RECORD_SAMPLE && record->size >= sizeof(struct raw_sample))
		return ((const struct raw_sample *)(const void *)record)->time_ns;
	if (record->size < sizeof(*record) + sizeof(trailer))
		return 0;
	memcpy(&trailer, (const uint8_t *)record + record->size - sizeof(trailer),
	       sizeof(trailer));
	return trailer.time_ns;
}

/* --- opening ---------------------------------------------------------------- */

static void prepare(struct sampler *s)
{
	for (size_t i = 0; i < s->opts.nr_events; i++) {
		struct perf_event_attr *a = &s->attrs[i];

		a->sample_type = SAMPLE_TYPE;
		if (s->events[i].kernel_stack || s->events[i].user_stack)
			a->sample_type |= PERF_SAMPLE_CALLCHAIN;
		a->exclude_callchain_kernel = !s->events[i].kernel_stack;
		a->exclude_callchain_user = !s->events[i].user_stack;
		a->read_format = PERF_FORMAT_LOST;
		a->sample_id_all = 1;
		a->use_clockid = 1;
		a->clockid = CLOCK_MONOTONIC;
		a->watermark = 1;
		a->wakeup_watermark = RING_BYTES / 4;
	}
}

/* Without what the kernel does not know, or does not allow. */
static int open_events(struct sampler *s, struct sampler_perf *p, struct diag *d)
{
	int err = sampler_open_events(s, true, NULL, NULL);

	if (err == -EINVAL) {
		for (size_t i = 0; i < s->opts.nr_events; i++)
			s->attrs[i].read_format = 0;
		err = sampler_open_events(s, true, NULL, NULL);
	}
	if (err == -EACCES || err == -EPERM) {
		s->user_only = true;
		for (size_t i = 0; i < s->opts.nr_events; i++)
			s->attrs[i].exclude_kernel = s->attrs[i].exclude_hv = 1;
	}
	p->counts_lost = s->attrs[0].read_format;
	/* Again in any case but success: it makes the sentence. */
	return err ? sampler_open_events(s, true, NULL, d) : 0;
}

static int open_rings(struct sampler *s, struct sampler_perf *p)
{
	size_t bytes = s->opts.buffer_bytes ? sampler_buffer_bytes(s) : RING_BYTES;
	int err;

	err = perfrings_init(&p->rings, s->nr_cpus, time_of);
	return err ? err : perfrings_add_events(&p->rings, &s->perf, bytes);
}

static int compare_ids(const void *a, const void *b)
{
	uint64_t x = ((const struct id_of_event *)a)->id;
	uint64_t y = ((const struct id_of_event *)b)->id;

	return (x > y) - (x < y);
}

static int read_ids(struct sampler *s, struct sampler_perf *p)
{
	p->ids = calloc(s->perf.nr, sizeof(*p->ids));
	if (!p->ids)
		return -ENOMEM;
	for (size_t i = 0; i < s->perf.nr; i++) {
		if (ioctl(s->perf.list[i].fd, PERF_EVENT_IOC_ID, &p->ids[i].id) < 0)
			return -errno;
		p->ids[i].event = s->perf.list[i].kind;
	}
	p->nr_ids = s->perf.nr;
	qsort(p->ids, p->nr_ids, sizeof(*p->ids), compare_ids);
	return 0;
}

static int perf_open(struct sampler *s, bool *unusable, struct diag *d)
{
	struct sampler_perf *p = calloc(1, sizeof(*p));
	int err;

	*unusable = false;
	s->impl = p;
	if (p)
		p->lost = calloc(s->opts.nr_events * s->nr_cpus, sizeof(*p->lost));
	if (!p || !p->lost)
		return diag_set(d, -ENOMEM, "out of memory");
	prepare(s);
	err = open_events(s, p, d);
	if (err)
		return err;
	err = open_rings(s, p);
	if (err)
		return diag_set(d, err, "cannot map the sample buffers: %s", strerror(-err));
	err = read_ids(s, p);
	if (err)
		return diag_set(d, err, "cannot tell events apart: %s", strerror(-err));
	return 0;
}

static void perf_close(struct sampler *s)
{
	struct sampler_perf *p = s->impl;

	if (!p)
		return;
	perfrings_release(&p->rings);
	free(p->ids);
	free(p->lost);
	free(p);
	s->impl = NULL;
}

/* --- converting -------------------------------------------------------------- */

static uint32_t event_of_id(const struct sampler_perf *p, uint64_t id)
{
	const struct id_of_event wanted = { .id = id };
	const struct id_of_event *found;

	found = bsearch(&wanted, p->ids, p->nr_ids, sizeof(*p->ids), compare_ids);
	return found ? found->event : 0;
}

/*
 * Markers in the chain say what the addresses after them are.  A stack that
 * was not asked for is not in it, but where the CPU was is told apart.
 */
static void take_chain(struct message_sample *m, const struct raw_sample *raw,
		       const struct raw_chain *chain)
{
	bool in_kernel = (raw->header.misc & PERF_RECORD_MISC_CPUMODE_MASK) ==
			 PERF_RECORD_MISC_KERNEL;
	uint64_t context = in_kernel ? PERF_CONTEXT_KERNEL : PERF_CONTEXT_USER;
	uint32_t nr = 0;

	m->kernel_frames = m->user_frames = 0;
	for (uint64_t i = 0; chain && i < chain->nr; i++) {
		uint64_t ip = chain->ips[i];

		if (ip >= PERF_CONTEXT_MAX) {
			context = ip;
		} else if (context == PERF_CONTEXT_KERNEL && !m->user_frames) {
			if (m->kernel_frames < SAMPLE_MAX_STACK) {
				m->ips[nr++] = ip;
				m->kernel_frames++;
			}
		} else if (context == PERF_CONTEXT_USER && m->user_frames < SAMPLE_MAX_STACK) {
			m->ips[nr++] = ip;
			m->user_frames++;
		}
	}
	if (in_kernel ? m->kernel_frames : m->user_frames)
		return;
	if (in_kernel) {
		memmove(m->ips + 1, m->ips, nr * sizeof(m->ips[0]));
		m->ips[0] = raw->ip;
		m->kernel_frames = 1;
	} else {
		m->ips[nr] = raw->ip;
		m->user_frames = 1;
	}
}

static void take_sample(struct sampler *s, const struct raw_sample *raw, sampler_fn fn, void *ctx)
{
	const struct raw_chain *chain = NULL;
	struct sampler_perf *p = s->impl;
	struct message_sample *m = &p->message.sample;
	size_t rest_bytes;

	if (raw->header.size < sizeof(*raw) || (!raw->pid && !s->opts.idle))
		return;
	rest_bytes = raw->header.size - sizeof(*raw);
	if (rest_bytes >= sizeof(*chain)) {
		chain = (const void *)(raw + 1);
		if (chain->nr > (rest_bytes - sizeof(*chain)) / sizeof(chain->ips[0]))
			return;
	}
	m->m = (struct message){
		.kind = MESSAGE_SAMPLE, .cpu = raw->cpu, .time_ns = raw->time_ns,
		.pid = raw->pid, .tid = raw->tid,
	};
	m->period = raw->period;
	m->event = s->opts.nr_events == 1 ? 0 : event_of_id(p, raw->id);
	m->state = raw->pid ? 'R' : 'I';
	m->reserved = 0;
	take_chain(m, raw, chain);
	fn(ctx, &m->m, sizeof(*m) +
	   (size_t)(m->kernel_frames + m->user_frames) * sizeof(m->ips[0]));
}

static int perf_drain(struct sampler *s, sampler_fn fn, void *ctx)
{
	const struct perf_event_header *record;
	struct sampler_perf *p = s->impl;
	int cpu;

	perfrings_refresh(&p->rings);
	while ((record = perfrings_next(&p->rings, UINT64_MAX, &cpu))) {
		if (record->type == PERF_RECORD_SAMPLE) {
			take_sample(s, (const void *)record, fn, ctx);
		} else if (record->type == PERF_RECORD_LOST &&
			   record->size >= sizeof(struct raw_lost)) {
			const struct raw_lost *raw = (const void *)record;

			p->lost[event_of_id(p, raw->id) * s->nr_cpus + (uint32_t)cpu] += raw->lost;
		}
	}
	return 0;
}

/* --- losses --------------------------------------------------------------------- */

/* What is missing on the CPU in all goes to the events that miss something. */
static void settle_cpu(struct sampler *s, struct sampler_perf *p, const uint64_t *final,
		       uint32_t cpu)
{
	uint64_t announced = 0, known = 0, missing;

	for (size_t i = cpu; i < s->opts.nr_events * s->nr_cpus; i += s->nr_cpus) {
		announced += p->lost[i];
		known += final[i];
	}
	missing = known > announced ? known - announced : 0;
	for (size_t i = cpu; missing && i < s->opts.nr_events * s->nr_cpus; i += s->nr_cpus) {
		uint64_t more = final[i] > p->lost[i] ? final[i] - p->lost[i] : 0;

		if (more > missing)
			more = missing;
		p->lost[i] += more;
		missing -= more;
	}
}

/*
 * The kernel announces a loss when it has room for the next record, and in the
 * name of that record's event, whichever of the buffer's events missed room.
 * What was lost after the last record is found out by asking, where it can be
 * asked; counts that were told already never shrink.
 */
static void count_final_losses(struct sampler *s, struct sampler_perf *p)
{
	uint64_t *final = calloc(s->opts.nr_events * s->nr_cpus, sizeof(*final));
	uint64_t values[2];	/* count, lost */

	for (size_t i = 0; final && i < s->perf.nr; i++) {
		const struct perfevent *e = &s->perf.list[i];

		if (read(e->fd, values, sizeof(values)) == sizeof(values))
			final[e->kind * s->nr_cpus + (uint32_t)e->cpu] += values[1];
	}
	for (uint32_t cpu = 0; final && cpu < s->nr_cpus; cpu++)
		settle_cpu(s, p, final, cpu);
	free(final);
}

static uint64_t perf_lost(struct sampler *s, uint32_t row, uint32_t cpu)
{
	struct sampler_perf *p = s->impl;

	if (row == SAMPLER_TASKS)
		return 0;
	if (s->stopped && p->counts_lost && !p->lost_is_final) {
		count_final_losses(s, p);
		p->lost_is_final = true;
	}
	return p->lost[row * s->nr_cpus + cpu];
}

static int perf_poll_fd(const struct sampler *s)
{
	const struct sampler_perf *p = s->impl;

	return p->rings.poll_fd;
}

static const struct sampler_backend backend = {
	.open = perf_open,
	.close = perf_close,
	.poll_fd = perf_poll_fd,
	.drain = perf_drain,
	.lost = perf_lost,
};

const struct sampler_backend *sampler_perf_backend(void)
{
	return &backend;
}
