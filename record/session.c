#include "record/session_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "record/hostinfo.h"
#include "record/procfs.h"
#include "record/session_describe.h"

/* A ring of probes that is found this full is looked at sooner the next time. */
#define PROBES_MIN_INTERVAL_MS 2
#define PROBES_BUSY_PERCENT 25
/* A flush follows a drain: 900 ms at the most, so that kill -9 costs less than a second. */
#define FLUSH_INTERVAL_NS UINT64_C(700000000)
#define CLOCK_INTERVAL_NS UINT64_C(10000000000)

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
	sum->wrong_stacks = counts.wrong_stacks;
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
