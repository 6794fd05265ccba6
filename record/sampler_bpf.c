#include "record/sampler_backend.h"

#include "record/kernelbtf.h"
#include "record/perfrings.h"
#include "record/ringdrain.h"
#include "record/samplegate.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "bpf/sample.skel.h"

/* Processes that are followed at a time where not all are recorded. */
#define MAX_TRACED 16384
/* A perf buffer record: header, size, message. */
#define RAW_MESSAGE_OFFSET (sizeof(struct perf_event_header) + sizeof(uint32_t))
#define MAX_MESSAGE_BYTES (sizeof(struct message_task) + SAMPLE_ARGS_BYTES)

struct sampler_bpf {
	struct sample_bpf *skel;
	struct ringdrain ring;
	struct perfrings perf_buffers;
	struct perfevents outputs;	/* the events that own the perf buffers */
	uint64_t message[MAX_MESSAGE_BYTES / 8 + 1];	/* one, aligned */
	/* Per row: counts by CPU, read from the kernel once between drains. */
	uint64_t *lost[SAMPLE_MAX_EVENTS + 1];
	bool lost_is_fresh[SAMPLE_MAX_EVENTS + 1];
	int gates[SAMPLE_MAX_EVENTS];	/* filters of events, or 0 */
};

static int silence(enum libbpf_print_level level, const char *fmt, va_list args)
{
	(void)level;
	(void)fmt;
	(void)args;
	return 0;
}

/* --- loading ------------------------------------------------------------------ */

/*
 * The timer of a clock that belongs to a thread starts anew in every child, so
 * threads and processes that live shorter than the period are never sampled.
 * The timers of the CPUs hit everybody in proportion to his time.
 */
static bool runs_on_cpus(const struct sampler *s, size_t event)
{
	return !s->target->all && !s->target->threads_only &&
	       s->attrs[event].type == PERF_TYPE_SOFTWARE &&
	       s->attrs[event].config == PERF_COUNT_SW_CPU_CLOCK;
}

static void put_on_cpus(struct sampler *s)
{
	for (size_t i = 0; i < s->opts.nr_events; i++) {
		if (!runs_on_cpus(s, i))
			continue;
		s->system_wide[i] = true;
		s->attrs[i].inherit = 0;
		s->attrs[i].enable_on_exec = 0;
	}
}

static void configure(struct sampler *s, struct sampler_bpf *b, size_t ring_bytes)
{
	bool use_ring = s->transport == SAMPLER_RING_BUFFER;
	struct sample_bpf *skel = b->skel;
	struct bpf_program *prog;
	size_t i = 0;

	skel->rodata->use_ring_buffer = use_ring;
	skel->rodata->want_idle = s->opts.idle;
	skel->rodata->traced_only = !s->target->all;
	skel->rodata->by_thread = s->target->threads_only;
	skel->rodata->in_cgroup = s->target->cgroup_fd >= 0;
	/* The second bound is for compilers that lose sight of the first. */
	for (size_t event = 0; event < s->opts.nr_events && event < SAMPLE_MAX_EVENTS; event++) {
		const struct sampled *e = &s->events[event];

		skel->rodata->filtered_events |= (uint32_t)runs_on_cpus(s, event) << event;
		skel->rodata->kernel_stack_events |= (uint32_t)e->kernel_stack << event;
		skel->rodata->user_stack_events |= (uint32_t)e->user_stack << event;
	}
	skel->rodata->wake_bytes = ring_bytes / 4;
	bpf_map__set_max_entries(skel->maps.ring, (uint32_t)ring_bytes);
	bpf_map__set_autocreate(skel->maps.ring, use_ring);
	if (!s->target->all)
		bpf_map__set_max_entries(skel->maps.traced, MAX_TRACED);
	if (s->target->threads_only)
		bpf_map__set_max_entries(skel->maps.traced_tids, MAX_TRACED);
	bpf_program__set_autoload(skel->progs.task_freed, !s->target->all);
	bpf_object__for_each_program(prog, skel->obj) {
		if (bpf_program__type(prog) == BPF_PROG_TYPE_PERF_EVENT)
			bpf_program__set_autoload(prog, i++ < s->opts.nr_events);
	}
}

/* Those of bpf/kernel_types.h that members are read of. */
static const char *const kernel_types[] = {
	"task_struct", "mm_struct", "pid", "upid", "css_set", "cgroup",
	"kernfs_node", "cred",
};

static int load(struct sampler *s, struct sampler_bpf *b)
{
	int types_fd = kernelbtf_open(kernel_types, sizeof(kernel_types) / sizeof(char *));
	LIBBPF_OPTS(bpf_object_open_opts, opts);
	libbpf_print_fn_t old_print = libbpf_set_print(silence);
	char path[64];
	int err;

	s->no_types = types_fd == -EBADMSG || types_fd == -ENOENT;
	/* Without it libbpf reads all of the kernel's types itself, or says why not. */
	if (types_fd >= 0) {
		snprintf(path, sizeof(path), "/proc/self/fd/%d", types_fd);
		opts.btf_custom_path = path;
	}
	b->skel = sample_bpf__open_opts(&opts);
	if (!b->skel) {
		err = -errno;
	} else {
		configure(s, b, sampler_buffer_bytes(s));
		err = sample_bpf__load(b->skel);
	}
	libbpf_set_print(old_print);
	if (types_fd >= 0)
		close(types_fd);
	return err;
}

/* --- attaching ------------------------------------------------------------------ */

static int choose_threads(const struct sampler *s, const struct sampler_bpf *b, struct diag *d)
{
	const uint8_t on = 1;

	for (size_t i = 0; s->target->threads_only && i < s->target->nr_tids; i++) {
		uint32_t tid = (uint32_t)s->target->tids[i];

		if (bpf_map_update_elem(bpf_map__fd(b->skel->maps.traced_tids), &tid, &on,
					BPF_ANY) < 0)
			return diag_set(d, -errno, "cannot follow thread %u: %s", tid,
					strerror(errno));
	}
	return 0;
}

static int choose_cgroup(const struct sampler *s, const struct sampler_bpf *b, struct diag *d)
{
	const uint32_t zero = 0;

	if (s->target->cgroup_fd >= 0 &&
	    bpf_map_update_elem(bpf_map__fd(b->skel->maps.cgroups), &zero, &s->target->cgroup_fd,
				BPF_ANY) < 0)
		return diag_set(d, -errno, "cannot choose by cgroup: %s", strerror(errno));
	return 0;
}

static int attach_tasks(struct sampler *s, struct sampler_bpf *b, struct diag *d)
{
	/* A command is held back before its exec: that much of it is ours. */
	const uint8_t on = !s->target->child || s->opts.delayed;
	int fd = bpf_map__fd(b->skel->maps.traced), err;

	for (size_t i = 0; !s->target->all && i < s->target->nr_pids; i++) {
		uint32_t pid = (uint32_t)s->target->pids[i];

		if (bpf_map_update_elem(fd, &pid, &on, BPF_ANY) < 0)
			return diag_set(d, -errno, "cannot follow process %u: %s", pid,
					strerror(errno));
	}
	err = choose_threads(s, b, d);
	if (!err)
		err = choose_cgroup(s, b, d);
	if (err)
		return err;
	err = sample_bpf__attach(b->skel);
	if (err)
		diag_set(d, err, "cannot follow new processes: %s", strerror(-err));
	return err;
}

/* The program that samples an event. */
static int program_of(const struct sampler_bpf *b, uint32_t event)
{
	struct bpf_program *prog;
	uint32_t i = 0;

	bpf_object__for_each_program(prog, b->skel->obj)
		if (bpf_program__type(prog) == BPF_PROG_TYPE_PERF_EVENT && i++ == event)
			return bpf_program__fd(prog);
	return -ENOENT;
}

static int load_gates(const struct sampler *s, struct sampler_bpf *b, struct diag *d)
{
	int programs_fd = bpf_map__fd(b->skel->maps.samplers);

	for (uint32_t i = 0; i < s->opts.nr_events; i++) {
		int program = program_of(b, i);

		if (!s->events[i].filter)
			continue;
		if (bpf_map_update_elem(programs_fd, &i, &program, BPF_ANY) < 0)
			return diag_set(d, -errno, "cannot filter '%s': %s", s->events[i].name,
					strerror(errno));
		b->gates[i] = samplegate_load(s->events[i].name, s->events[i].filter,
					      programs_fd, i, d);
		if (b->gates[i] < 0)
			return b->gates[i];
	}
	return 0;
}

static int set_program(void *ctx, const struct perfevent *e)
{
	struct sampler *s = ctx;
	struct sampler_bpf *b = s->impl;
	int fd = b->gates[e->kind] > 0 ? b->gates[e->kind] : program_of(b, e->kind);

	return ioctl(e->fd, PERF_EVENT_IOC_SET_BPF, fd) < 0 ? -errno : 0;
}

/* --- transports -------------------------------------------------------------------- */

/* Any order will do for a record without a message: it comes first. */
static uint64_t raw_time(const struct perf_event_header *record)
{
	struct message m;

	if (record->type != PERF_RECORD_SAMPLE || record->size < RAW_MESSAGE_OFFSET + sizeof(m))
		return 0;
	memcpy(&m, (const uint8_t *)record + RAW_MESSAGE_OFFSET, sizeof(m));
	return m.time_ns;
}

static int open_perf_buffers(struct sampler *s, struct sampler_bpf *b)
{
	size_t bytes = sampler_buffer_bytes(s), page_bytes = (size_t)sysconf(_SC_PAGESIZE);
	const bool system_wide = true;
	struct perf_event_attr attr = {
		.size = sizeof(attr), .type = PERF_TYPE_SOFTWARE,
		.config = PERF_COUNT_SW_BPF_OUTPUT, .sample_type = PERF_SAMPLE_RAW,
		.sample_period = 1, .watermark = 1,
	};
	struct perfevent_plan plan = {
		.attrs = &attr, .nr_attrs = 1, .target = s->target,
		.system_wide = &system_wide,
	};
	int map_fd = bpf_map__fd(b->skel->maps.perf_buffers), err;
	size_t failed;

	/* Load is uneven, so each CPU has more than its share. */
	while (bytes > 4 * page_bytes && bytes * s->nr_cpus > 2 * sampler_buffer_bytes(s))
		bytes /= 2;
	attr.wakeup_watermark = (uint32_t)(bytes / 4);
	err = perfevents_open(&b->outputs, &plan, &failed);
	if (!err)
		err = perfrings_init(&b->perf_buffers, b->outputs.nr, raw_time);
	for (size_t i = 0; !err && i < b->outputs.nr; i++) {
		struct perfevent *e = &b->outputs.list[i];

		err = perfrings_add(&b->perf_buffers, e->fd, e->cpu, &bytes);
		if (!err && bpf_map_update_elem(map_fd, &e->cpu, &e->fd, BPF_ANY) < 0)
			err = -errno;
	}
	return err ? err : perfevents_control(&b->outputs, PERF_EVENT_IOC_ENABLE);
}

static int open_transport(struct sampler *s, struct sampler_bpf *b, struct diag *d)
{
	int err;

	if (s->transport == SAMPLER_RING_BUFFER)
		err = ringdrain_open(&b->ring, bpf_map__fd(b->skel->maps.ring),
				     sampler_buffer_bytes(s));
	else
		err = open_perf_buffers(s, b);
	if (err)
		diag_set(d, err, "cannot map the sample buffers: %s", strerror(-err));
	return err;
}

/* --- the backend --------------------------------------------------------------------- */

static void bpf_close(struct sampler *s)
{
	struct sampler_bpf *b = s->impl;

	if (!b)
		return;
	ringdrain_close(&b->ring);
	perfrings_release(&b->perf_buffers);
	perfevents_close(&b->outputs);
	sample_bpf__destroy(b->skel);
	for (size_t i = 0; i < SAMPLE_MAX_EVENTS; i++)
		if (b->gates[i] > 0)
			close(b->gates[i]);
	for (size_t row = 0; row <= SAMPLE_MAX_EVENTS; row++)
		free(b->lost[row]);
	free(b);
	s->impl = NULL;
}

static int bpf_open(struct sampler *s, bool *unusable, struct diag *d)
{
	struct sampler_bpf *b = calloc(1, sizeof(*b));
	int err = b ? 0 : -ENOMEM;

	s->impl = b;
	for (size_t row = 0; !err && row <= SAMPLE_MAX_EVENTS; row++) {
		b->lost[row] = calloc(s->nr_cpus, sizeof(uint64_t));
		err = b->lost[row] ? 0 : -ENOMEM;
	}
	if (err)
		return diag_set(d, err, "out of memory");
	err = load(s, b);
	if (err) {
		*unusable = true;
		return err;
	}
	put_on_cpus(s);
	err = open_transport(s, b, d);
	if (!err)
		err = attach_tasks(s, b, d);
	if (!err)
		err = load_gates(s, b, d);
	if (!err)
		err = sampler_open_events(s, false, set_program, d);
	return err;
}

static int bpf_poll_fd(const struct sampler *s)
{
	const struct sampler_bpf *b = s->impl;

	return s->transport == SAMPLER_RING_BUFFER ? bpf_map__fd(b->skel->maps.ring) :
						     b->perf_buffers.poll_fd;
}

struct delivery {
	sampler_fn fn;
	void *ctx;
};

static bool deliver(void *ctx, const void *message, size_t size_bytes)
{
	const struct delivery *to = ctx;

	to->fn(to->ctx, message, size_bytes);
	return true;
}

/* Losses come as records, too: the program has counted them already. */
static void drain_perf_buffers(struct sampler_bpf *b, sampler_fn fn, void *ctx)
{
	const struct perf_event_header *record;
	int cpu;

	perfrings_refresh(&b->perf_buffers);
	while ((record = perfrings_next(&b->perf_buffers, UINT64_MAX, &cpu))) {
		const uint8_t *bytes = (const uint8_t *)record + sizeof(*record);
		uint32_t size_bytes;

		if (record->type != PERF_RECORD_SAMPLE)
			continue;
		/* The size covers padding, too; the message knows its own. */
		memcpy(&size_bytes, bytes, sizeof(size_bytes));
		if (size_bytes > record->size - RAW_MESSAGE_OFFSET ||
		    size_bytes > sizeof(b->message))
			continue;
		memcpy(b->message, bytes + sizeof(size_bytes), size_bytes);
		fn(ctx, (const struct message *)b->message, size_bytes);
	}
}

static int bpf_drain(struct sampler *s, sampler_fn fn, void *ctx)
{
	struct delivery to = { fn, ctx };
	struct sampler_bpf *b = s->impl;

	memset(b->lost_is_fresh, 0, sizeof(b->lost_is_fresh));
	if (s->transport == SAMPLER_RING_BUFFER)
		ringdrain_run(&b->ring, deliver, &to);
	else
		drain_perf_buffers(b, fn, ctx);
	return 0;
}

static uint64_t bpf_lost(struct sampler *s, uint32_t row, uint32_t cpu)
{
	struct sampler_bpf *b = s->impl;

	if (!b->lost_is_fresh[row]) {
		bpf_map_lookup_elem(bpf_map__fd(b->skel->maps.lost), &row, b->lost[row]);
		b->lost_is_fresh[row] = true;
	}
	return b->lost[row][cpu];
}

static void bpf_maps(const struct sampler *s, struct sampler_maps *maps)
{
	const struct sample_bpf *skel = ((const struct sampler_bpf *)s->impl)->skel;

	if (s->target->threads_only)
		maps->traced_tids_fd = bpf_map__fd(skel->maps.traced_tids);
	else if (!s->target->all)
		maps->traced_fd = bpf_map__fd(skel->maps.traced);
	if (s->target->cgroup_fd >= 0)
		maps->cgroup_fd = bpf_map__fd(skel->maps.cgroups);
}

static const struct sampler_backend backend = {
	.open = bpf_open,
	.close = bpf_close,
	.poll_fd = bpf_poll_fd,
	.drain = bpf_drain,
	.lost = bpf_lost,
	.maps = bpf_maps,
};

const struct sampler_backend *sampler_bpf_backend(void)
{
	return &backend;
}
