#include "record/session.h"

#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "record/drain.h"
#include "record/eventlist.h"
#include "record/hostinfo.h"
#include "record/kernelbtf.h"
#include "record/procfs.h"
#include "record/session_describe.h"
#include "record/spool.h"
#include "record/tally.h"

#define SPOOL_LIMIT_BYTES (64u << 20)
/* Records that wait to be encoded, off the thread that drains. */
#define ENCODER_LIMIT_BYTES (64u << 20)
#define SPOOL_BUFFERS 4		/* with a given buffer size: as many of them */
#define SPOOL_LEAST_BYTES (256u << 10)	/* a block of records finds room beside names */
#define DRAIN_INTERVAL_MS 200
/*
 * Nobody wakes us for the rings of probes.  At 5 million records a second they fill in
 * about 100 ms; a ring found this full is looked at sooner the next time.
 */
#define PROBES_INTERVAL_MS 25
#define PROBES_MIN_INTERVAL_MS 2
#define PROBES_BUSY_PERCENT 25
/* A flush follows a drain: 900 ms at the most, so that kill -9 costs less than a second. */
#define FLUSH_INTERVAL_NS UINT64_C(700000000)
#define CLOCK_INTERVAL_NS UINT64_C(10000000000)
#define ZSTD_LEVEL 3

struct session {
	struct session_opts opts;
	struct target target;
	struct sampler *sampler;
	struct sideband *sideband;
	struct spool *spool;
	struct writer *writer;
	struct drain *drain;
	struct eventlist events;
	struct probing *probing;	/* NULL: only samples */
	struct ftgraph *graph;		/* NULL: no --graph */
	struct sched *sched;		/* NULL: no -e sched */
	char sched_note[128];
	uint64_t interval_ns;		/* between two looks at the rings */
	uint64_t longest_ns;		/* of those, with probes */
	struct pollfd *fds;
	size_t nr_fds;
	int stop_fd;
	atomic_int stops;
	uint64_t bytes;
	uint64_t next_flush_ns, next_clock_ns, start_ns, open_ns;
};

/* --- opening ------------------------------------------------------------------- */

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

static int open_sources(struct session *s, session_attach_fn progress, void *ctx,
			struct diag *d)
{
	struct sampler_opts so = {
		.events = s->events.sampled, .nr_events = s->events.nr_sampled,
		.idle = s->opts.idle, .delayed = s->opts.delay_ns != 0,
		.transport = s->opts.transport, .buffer_bytes = s->opts.buffer_bytes,
	};
	int err;

	err = target_open(&s->target, &s->opts.target, d);
	if (err)
		return err;
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

const char *session_note(struct session *s, size_t i)
{
	const char *notes[] = {
		s->events.nr_sampled ? sampler_note(s->sampler) : NULL, drain_note(s->drain),
		s->probing ? probing_note(s->probing) : NULL,
		s->probing ? probing_irq_note(s->probing) : NULL,
		s->sched_note[0] ? s->sched_note : NULL,
		s->sched ? sched_note(s->sched) : NULL,
	};

	for (size_t n = 0; n < sizeof(notes) / sizeof(*notes); n++)
		if (notes[n] && !i--)
			return notes[n];
	return NULL;
}

/* --- running --------------------------------------------------------------------- */

void session_stop(struct session *s)
{
	uint64_t one = 1;
	int saved = errno;

	if (atomic_fetch_add(&s->stops, 1) >= 1)
		spool_give_up(s->spool);
	/* A counter that cannot overflow; nothing to do about an error here. */
	if (write(s->stop_fd, &one, sizeof(one)) < 0)
		errno = saved;
	errno = saved;
}

static void fill_summary(struct session *s, struct session_summary *sum)
{
	struct drain_counts counts;
	struct writer_stats ws;

	drain_get_counts(s->drain, &counts);
	writer_get_stats(s->writer, &ws);
	sum->events = counts.records - ws.refused_records;
	sum->lost = counts.lost + ws.refused_records;
	sum->no_start = counts.no_start;
	sum->no_end = counts.no_end;
	sum->frames = counts.frames;
	sum->unresolved_frames = counts.unresolved_frames;
	sum->bytes = ws.bytes;
	sum->wall_ns = hostinfo_now_ns() - s->start_ns;
	sum->life_ns = hostinfo_now_ns() - s->open_ns;
	procfs_self_cost(&sum->user_ns, &sum->system_ns);
}

static int flush(struct session *s, uint64_t now_ns)
{
	struct writer_cost cost = { .time_ns = now_ns };

	if (now_ns >= s->next_clock_ns) {
		hostinfo_write_clock(s->writer);
		procfs_self_cost(&cost.user_ns, &cost.system_ns);
		writer_cost(s->writer, &cost);
		s->next_clock_ns = now_ns + CLOCK_INTERVAL_NS;
	}
	s->next_flush_ns = now_ns + FLUSH_INTERVAL_NS;
	return drain_flush(s->drain, now_ns);
}

/* Until when poll() may sleep: the next drain, the delay or the end. */
static int timeout_ms(uint64_t wait_ns, uint64_t now_ns, uint64_t delay_end_ns,
		      uint64_t end_ns)
{
	if (delay_end_ns > now_ns && delay_end_ns - now_ns < wait_ns)
		wait_ns = delay_end_ns - now_ns;
	if (end_ns && end_ns <= now_ns)
		return 0;
	if (end_ns && end_ns - now_ns < wait_ns)
		wait_ns = end_ns - now_ns;
	return (int)((wait_ns + 999999) / 1000000);
}

static int enable(struct session *s, struct diag *d)
{
	int err = s->graph ? ftgraph_enable(s->graph, d) : 0;

	drain_begin(s->drain, hostinfo_now_ns());
	if (s->probing)
		probing_enable(s->probing, true);
	if (!err && s->sched)
		err = sched_enable(s->sched, d);
	return err ? err : sampler_enable(s->sampler, d);
}

int session_start(struct session *s, struct diag *d)
{
	const struct session_described described = {
		.opts = &s->opts, .target = &s->target, .sampler = s->sampler,
		.events = &s->events, .probing = s->probing, .sched = s->sched,
	};
	int err = sideband_enable(s->sideband, d);

	if (err)
		return err;
	session_describe(s->writer, &described);
	err = drain_snapshot(s->drain, d);
	if (err)
		return err;
	s->start_ns = hostinfo_now_ns();
	s->next_flush_ns = s->start_ns + FLUSH_INTERVAL_NS;
	s->next_clock_ns = s->start_ns + CLOCK_INTERVAL_NS;
	if (!s->opts.delay_ns) {
		err = enable(s, d);
		if (err)
			return err;
	}
	return target_start(&s->target, d);
}

static void choose_interval(struct session *s)
{
	const uint64_t min_ns = PROBES_MIN_INTERVAL_MS * UINT64_C(1000000);
	unsigned int percent = 0;

	if (!s->probing && !s->sched)
		return;
	if (s->probing)
		percent = proberings_fill_percent(probing_rings(s->probing));
	if (s->sched && sched_fill_percent(s->sched) > percent)
		percent = sched_fill_percent(s->sched);
	if (percent >= PROBES_BUSY_PERCENT)
		s->interval_ns = s->interval_ns / 2 > min_ns ? s->interval_ns / 2 : min_ns;
	else
		s->interval_ns = s->interval_ns * 5 / 4 < s->longest_ns ?
				 s->interval_ns * 5 / 4 : s->longest_ns;
}

static int loop(struct session *s, session_progress_fn progress, void *ctx, struct diag *d)
{
	uint64_t now_ns = s->start_ns, delay_end_ns = 0, end_ns = 0;
	struct session_summary so_far = { 0 };
	bool done = false;
	int err = 0;

	if (s->opts.delay_ns)
		delay_end_ns = now_ns + s->opts.delay_ns;
	if (s->opts.duration_ns)
		end_ns = now_ns + s->opts.delay_ns + s->opts.duration_ns;
	while (!done && !err) {
		if (poll(s->fds, s->nr_fds, timeout_ms(s->interval_ns, now_ns, delay_end_ns,
						       end_ns)) < 0 && errno != EINTR)
			return diag_set(d, -errno, "cannot wait for events: %s", strerror(errno));
		now_ns = hostinfo_now_ns();
		if (delay_end_ns && now_ns >= delay_end_ns) {
			delay_end_ns = 0;
			err = enable(s, d);
		}
		done = atomic_load(&s->stops) || target_is_done(&s->target) ||
		       (end_ns && now_ns >= end_ns);
		choose_interval(s);
		if (!err)
			err = drain_run(s->drain, d);
		if (!err && now_ns >= s->next_flush_ns) {
			err = flush(s, now_ns);
			fill_summary(s, &so_far);
			if (progress)
				progress(ctx, &so_far);
		}
		if (!err)
			err = spool_error(s->spool);
	}
	return err;
}

/* The file is ended properly even if the recording failed half way. */
static int finish(struct session *s, struct session_summary *sum, int err)
{
	struct writer_cost cost = { .time_ns = hostinfo_now_ns() };
	int first = err, spool_err;

	sampler_disable(s->sampler);
	if (s->probing)
		probing_enable(s->probing, false);
	if (s->sched)
		sched_disable(s->sched);
	if (s->graph)
		ftgraph_disable(s->graph);
	/* From here on there is time: what is left is encoded in line, and not refused. */
	writer_stop_worker(s->writer);
	if (!first)
		first = drain_finish(s->drain);
	hostinfo_write_clock(s->writer);
	procfs_self_cost(&cost.user_ns, &cost.system_ns);
	writer_cost(s->writer, &cost);
	err = writer_flush(s->writer, cost.time_ns);
	if (!first)
		first = err;
	fill_summary(s, sum);
	err = writer_close(s->writer);
	s->writer = NULL;
	if (!first)
		first = err;
	/* It stays until nobody can call session_stop() any more. */
	spool_err = spool_finish(s->spool, &sum->bytes);
	return spool_err ? spool_err : first;
}

int session_run(struct session *s, session_progress_fn progress, void *ctx,
		struct session_summary *summary, struct diag *d)
{
	int err, end_err;

	memset(summary, 0, sizeof(*summary));
	err = loop(s, progress, ctx, d);
	end_err = finish(s, summary, err);
	summary->has_status = target_wait(&s->target, true, &summary->wait_status);
	procfs_self_cost(&summary->user_ns, &summary->system_ns);
	if (end_err)
		return diag_set(d, end_err, "cannot write the trace: %s (what was written before is readable)",
				strerror(-end_err));
	return err;
}

void session_close(struct session *s)
{
	if (!s)
		return;
	drain_close(s->drain);
	if (s->writer)
		writer_abandon(s->writer);
	if (s->spool) {
		spool_give_up(s->spool);
		spool_close(s->spool);
	}
	if (s->opts.output_fd >= 0)
		close(s->opts.output_fd);
	probing_close(s->probing);
	ftgraph_close(s->graph);
	sched_close(s->sched);
	eventlist_release(&s->events);
	sideband_close(s->sideband);
	sampler_close(s->sampler);
	target_release(&s->target);
	if (s->stop_fd >= 0)
		close(s->stop_fd);
	free(s->fds);
	free(s);
}
