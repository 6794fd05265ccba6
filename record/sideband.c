#include "record/sideband.h"
#include "record/perfevent.h"
#include "record/perfrings.h"
#include "record/sidenote.h"

#include <errno.h>
#include <linux/perf_event.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/*
 * A build starts thousands of processes a second, each with some twenty
 * mappings of 150 bytes.  An ordinary user has kernel.perf_event_mlock_kb for
 * each CPU, together with the samples.
 */
#define RING_BYTES (1u << 20)
#define RING_BYTES_PER_TASK (128u << 10)

struct sideband {
	struct perfevents events;
	struct perfrings rings;
	struct note note;
	uint64_t *lost;		/* by CPU */
	uint32_t nr_cpus;
};

/* --- opening ------------------------------------------------------------------ */

static void drop_build_id(struct perf_event_attr *a)
{
	a->build_id = 0;
}

static void drop_cgroup(struct perf_event_attr *a)
{
	a->cgroup = 0;
}

static void drop_ksymbol(struct perf_event_attr *a)
{
	a->ksymbol = 0;
}

/* What kernels learnt last is given up first. */
static void (*const drops[])(struct perf_event_attr *) = {
	drop_build_id, drop_cgroup, drop_ksymbol,
};

static int open_events(struct sideband *s, struct target *target, bool per_task,
		       struct diag *d)
{
	struct perf_event_attr attr = {
		.size = sizeof(attr), .type = PERF_TYPE_SOFTWARE,
		.config = PERF_COUNT_SW_DUMMY,
		.sample_type = PERF_SAMPLE_TID | PERF_SAMPLE_TIME | PERF_SAMPLE_CPU,
		.sample_id_all = 1, .disabled = 1, .inherit = per_task,
		.mmap = 1, .mmap2 = 1, .comm = 1, .comm_exec = 1, .task = 1, .build_id = 1,
		.ksymbol = !per_task, .cgroup = !per_task,
		.exclude_kernel = per_task, .exclude_hv = per_task,
		.use_clockid = 1, .clockid = CLOCK_MONOTONIC, .watermark = 1,
		.wakeup_watermark = (per_task ? RING_BYTES_PER_TASK : RING_BYTES) / 4,
	};
	const bool system_wide = !per_task;
	struct perfevent_plan plan = {
		.attrs = &attr, .nr_attrs = 1, .target = target,
		.each_cpu = true, .system_wide = &system_wide,
	};
	size_t failed, dropped = 0;
	int err;

	for (;;) {
		err = perfevents_open(&s->events, &plan, &failed);
		if (err != -EINVAL || dropped == sizeof(drops) / sizeof(drops[0]))
			break;
		drops[dropped++](&attr);
	}
	return err ? perfevent_say_error(d, err, "dummy", target) : 0;
}

static int open_rings(struct sideband *s, size_t bytes)
{
	int err;

	for (size_t i = 0; i < s->events.nr; i++) {
		int cpu = s->events.list[i].cpu;

		if ((uint32_t)cpu >= s->nr_cpus)
			s->nr_cpus = (uint32_t)cpu + 1;
	}
	s->lost = calloc(s->nr_cpus, sizeof(*s->lost));
	if (!s->lost)
		return -ENOMEM;
	err = perfrings_init(&s->rings, s->nr_cpus, sidenote_time);
	return err ? err : perfrings_add_events(&s->rings, &s->events, bytes);
}

int sideband_open(struct sideband **out, struct target *target, bool per_task, struct diag *d)
{
	struct sideband *s = calloc(1, sizeof(*s));
	int err;

	if (!s)
		return diag_set(d, -ENOMEM, "out of memory");
	if (target->all)
		per_task = false;
	err = open_events(s, target, per_task, d);
	if (!err) {
		err = open_rings(s, per_task ? RING_BYTES_PER_TASK : RING_BYTES);
		if (err)
			diag_set(d, err, "cannot map the side band buffers: %s", strerror(-err));
	}
	if (err) {
		sideband_close(s);
		return err;
	}
	*out = s;
	return 0;
}

void sideband_close(struct sideband *s)
{
	if (!s)
		return;
	perfrings_release(&s->rings);
	perfevents_close(&s->events);
	free(s->lost);
	free(s);
}

/* --- running ---------------------------------------------------------------------- */

int sideband_enable(struct sideband *s, struct diag *d)
{
	int err = perfevents_control(&s->events, PERF_EVENT_IOC_ENABLE);

	return err ? diag_set(d, err, "cannot start the side band: %s", strerror(-err)) : 0;
}

size_t sideband_fds(const struct sideband *s, int *fds, size_t max)
{
	if (max)
		fds[0] = s->rings.poll_fd;
	return 1;
}

int sideband_drain(struct sideband *s)
{
	perfrings_refresh(&s->rings);
	return 0;
}

const struct note *sideband_next(struct sideband *s, uint64_t until_ns)
{
	const struct perf_event_header *record;
	int cpu;

	while ((record = perfrings_next(&s->rings, until_ns, &cpu))) {
		if (record->type == PERF_RECORD_LOST)
			s->lost[cpu] += sidenote_lost(record);
		else if (sidenote_parse(&s->note, record))
			return &s->note;
	}
	return NULL;
}

uint64_t sideband_lost(const struct sideband *s, uint32_t cpu)
{
	return cpu < s->nr_cpus ? s->lost[cpu] : 0;
}
