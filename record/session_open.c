/*
 * Opening a recording: its sources, its output, and what it waits for.
 */
#include "record/session_private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "record/btftypes.h"
#include "record/hostinfo.h"
#include "record/kernelbtf.h"
#include "record/tally.h"

#define SPOOL_LIMIT_BYTES (64u << 20)
/* Records that wait to be encoded, off the thread that drains. */
#define ENCODER_LIMIT_BYTES (64u << 20)
#define SPOOL_BUFFERS 4		/* with a given buffer size: as many of them */
#define SPOOL_LEAST_BYTES (256u << 10)	/* a block of records finds room beside names */
#define DRAIN_INTERVAL_MS 200
/*
 * Nobody wakes us for the rings of probes.  At 5 million records a second they fill in
 * about 100 ms.
 */
#define PROBES_INTERVAL_MS 25
#define ZSTD_LEVEL 3

/* As long as the poll set: the sampler's, the side band's, target and stop. */
static int collect_fds(struct session *s, struct diag *d)
{
	size_t nr_sampler = sampler_fds(s->sampler, NULL, 0);
	size_t nr_sideband = sideband_fds(s->sideband, NULL, 0);
	size_t nr = nr_sampler + nr_sideband, i;
	int *fds = calloc(nr + 1, sizeof(*fds));

	s->fds = calloc(nr + 4, sizeof(*s->fds));
	if (!fds || !s->fds) {
		free(fds);
		return diag_set(d, -ENOMEM, "out of memory");
	}
	sampler_fds(s->sampler, fds, nr_sampler);
	sideband_fds(s->sideband, fds + nr_sampler, nr_sideband);
	for (i = 0; i < nr; i++)
		s->fds[i] = (struct pollfd){ .fd = fds[i], .events = POLLIN };
	s->fds[nr] = (struct pollfd){ .fd = s->stop_fd, .events = POLLIN };
	s->fds[nr + 1] = (struct pollfd){ .fd = target_done_fd(&s->target), .events = POLLIN };
	s->fds[nr + 2] = (struct pollfd){
		.fd = s->probing ? proberings_fd(probing_rings(s->probing)) : -1, .events = POLLIN,
	};
	s->fds[nr + 3] = (struct pollfd){
		.fd = s->sched ? sched_fd(s->sched) : -1, .events = POLLIN,
	};
	s->nr_fds = nr + 4;
	free(fds);
	return 0;
}

/* No longer than intervals of tallies are. */
static uint64_t longest_interval_ns(const struct probes *probes)
{
	uint64_t ns = PROBES_INTERVAL_MS * UINT64_C(1000000);

	for (size_t i = 0; i < probes->nr; i++)
		if (probes->list[i]->tally && probes->list[i]->tally->every_ns < ns)
			ns = probes->list[i]->tally->every_ns;
	return ns;
}

/* What tells BPF programs whom to record. */
static int get_maps(struct session *s, const char *event, struct sampler_maps *maps,
		    struct diag *d)
{
	int err = sampler_get_maps(s->sampler, maps);

	if (err == -ENODATA && (!s->target.all || s->target.cgroup_fd >= 0))
		return diag_set(d, err, "'%s': without the kernel's types (%s) processes cannot be "
				"followed: record the whole machine (-a), with --filter 'pid == ...'",
				event, KERNELBTF_PATH);
	if (err && err != -ENODATA)
		return diag_set(d, -EPERM, "'%s' needs BPF, which cannot be loaded here (%s)",
				event, sampler_no_bpf(s->sampler));
	return 0;
}

static int open_probes(struct session *s, session_attach_fn progress, void *ctx,
		       struct diag *d)
{
	struct probing_opts po = {
		.specs = s->events.probes, .nr_specs = s->events.nr_probes,
		.target = &s->target, .cpu_bytes = s->opts.buffer_bytes, .use = s->opts.use,
		.progress = progress, .progress_ctx = ctx,
	};
	struct sampler_maps maps;
	int err;

	if (!s->events.nr_probes)
		return 0;
	err = get_maps(s, s->events.probes[0].text, &maps, d);
	if (err)
		return err;
	po.traced_fd = maps.traced_fd;
	po.traced_tids_fd = maps.traced_tids_fd;
	po.cgroup_fd = maps.cgroup_fd;
	err = probing_open(&s->probing, &po, d);
	if (!err)
		s->interval_ns = s->longest_ns = longest_interval_ns(probing_probes(s->probing));
	return err;
}

static int open_sched(struct session *s, struct diag *d)
{
	struct schedprog_opts so = {
		.target = &s->target, .kernel_stack = s->events.sched.kernel_stack,
		.user_stack = s->events.sched.user_stack, .min_ns = s->events.sched.min_ns,
		.cpu_bytes = s->opts.buffer_bytes, .use = s->opts.use,
	};
	struct sampler_maps maps;
	int err = 0;

	if (!s->events.sched.wanted)
		return 0;
	if (access(KERNELBTF_PATH, F_OK) < 0)
		err = diag_set(d, -ENODATA, "'sched' needs the kernel's types (%s), which this kernel "
			       "does not have: -e sched:sched_switch records without them",
			       KERNELBTF_PATH);
	if (!err)
		err = get_maps(s, "sched", &maps, d);
	if (err)
		return err;
	if (s->events.sched.part)
		snprintf(s->sched_note, sizeof(s->sched_note),
			 "'%s' is a part of 'sched', which is recorded with all of its parts",
			 s->events.sched.part);
	so.traced_fd = maps.traced_fd;
	so.traced_tids_fd = maps.traced_tids_fd;
	so.cgroup_fd = maps.cgroup_fd;
	if (!s->longest_ns)
		s->interval_ns = s->longest_ns = PROBES_INTERVAL_MS * UINT64_C(1000000);
	return sched_open(&s->sched, &so, d);
}

static int open_graph(struct session *s, struct diag *d)
{
	const struct ftgraph_opts go = {
		.functions = s->opts.graph, .depth = s->opts.graph_depth, .target = &s->target,
		.cpu_bytes = s->opts.buffer_bytes,
	};

	s->interval_ns = PROBES_INTERVAL_MS * UINT64_C(1000000);
	return ftgraph_open(&s->graph, &go, d);
}

static int open_events(struct session *s, session_attach_fn progress, void *ctx,
		       struct diag *d)
{
	struct sampler_opts so = {
		.events = s->events.sampled, .nr_events = s->events.nr_sampled,
		.idle = s->opts.idle, .delayed = s->opts.delay_ns != 0,
		.transport = s->opts.transport, .buffer_bytes = s->opts.buffer_bytes,
	};
	int err;

	err = sampler_open(&s->sampler, &so, &s->target, d);
	if (err)
		return err;
	err = sideband_open(&s->sideband, &s->target,
			    sampler_transport(s->sampler) == SAMPLER_PERF_MMAP, d);
	if (!err)
		err = open_probes(s, progress, ctx, d);
	if (!err)
		err = open_sched(s, d);
	return err || !s->opts.graph ? err : open_graph(s, d);
}

static int open_sources(struct session *s, session_attach_fn progress, void *ctx,
			struct diag *d)
{
	bool many_ask = s->events.sched.wanted || s->events.nr_probes;
	struct btftypes *types = NULL;
	int err = target_open(&s->target, &s->opts.target, d);

	if (err)
		return err;
	/* Held, they are read and indexed once for all; whoever needs them says if not. */
	if (many_ask && btftypes_get(&types, NULL, NULL) < 0)
		types = NULL;
	err = open_events(s, progress, ctx, d);
	btftypes_put(types);
	return err;
}

static int say_no_thread(struct diag *d, int err, const char *what)
{
	bool is_limit = err == -EAGAIN || err == -ENOMEM;

	return diag_set(d, err, "cannot start %s: %s%s", what, strerror(-err), is_limit ?
			" (not enough memory or threads; see: ulimit -v -u, and the cgroup's "
			"memory.max and pids.max)" : "");
}

static size_t spool_bytes(const struct session *s)
{
	size_t bytes = s->opts.buffer_bytes * SPOOL_BUFFERS;

	if (!bytes)
		return SPOOL_LIMIT_BYTES;
	return bytes > SPOOL_LEAST_BYTES ? bytes : SPOOL_LEAST_BYTES;
}

static int open_output(struct session *s, struct diag *d)
{
	struct writer_output out = { .put = spool_put };
	struct drain_opts opts = {
		.sampler = s->sampler, .sideband = s->sideband, .target = &s->target,
		.events = s->events.sampled, .nr_events = s->events.nr_sampled,
		.probing = s->probing, .graph = s->graph, .sched = s->sched,
	};
	int err;

	err = spool_open(&s->spool, s->opts.output_fd, spool_bytes(s));
	s->opts.output_fd = -1;
	if (err)
		return say_no_thread(d, err, "writing");
	out.ctx = s->spool;
	err = writer_open(&s->writer, &out, 0, ZSTD_LEVEL);
	if (err)
		return diag_set(d, err, "cannot write the trace: %s", strerror(-err));
	err = writer_start_worker(s->writer, ENCODER_LIMIT_BYTES);
	if (err)
		return say_no_thread(d, err, "encoding");
	opts.writer = s->writer;
	opts.spool = s->spool;
	return drain_open(&s->drain, &opts, d);
}

int session_open(struct session **out, const struct session_opts *opts,
		 session_attach_fn progress, void *ctx, struct diag *d)
{
	struct session *s = calloc(1, sizeof(*s));
	int err;

	if (!s) {
		close(opts->output_fd);
		return diag_set(d, -ENOMEM, "out of memory");
	}
	s->opts = *opts;
	s->open_ns = hostinfo_now_ns();
	s->interval_ns = DRAIN_INTERVAL_MS * UINT64_C(1000000);
	s->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	err = s->stop_fd < 0 ? diag_set(d, -errno, "cannot make an eventfd: %s",
					strerror(errno)) : 0;
	if (!err)
		err = eventlist_init(&s->events, &s->opts, d);
	if (!err)
		err = open_sources(s, progress, ctx, d);
	if (!err)
		err = open_output(s, d);
	if (!err)
		err = collect_fds(s, d);
	if (err) {
		session_close(s);
		return err;
	}
	*out = s;
	return 0;
}
