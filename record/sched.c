#include "record/sched.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "record/hostinfo.h"
#include "record/scheddesc.h"
#include "record/schedstacks.h"

/* Who was seen last, by the low bits of the thread's number. */
#define NR_RECENT 1024			/* a power of two */

struct recent {
	uint32_t tid, pid;
	uint64_t round;			/* valid in that one only */
	struct task *task;
};

/* As far as losses are in the file. */
struct losses_written {
	uint64_t ring, room, missed, refused;
};

struct sched {
	struct schedprog *prog;
	struct proberings *records, *stacks;
	struct schedstacks *places;
	struct sched_drain to;
	bool has_stacks, refuse;
	uint32_t event;
	uint64_t round;			/* 1 more with each time that tasks change */
	struct recent recent[NR_RECENT];
	uint64_t nr_records, nr_refused;
	uint64_t since_ns;		/* losses are written up to then */
	struct losses_written written;
};

/* --- stacks -------------------------------------------------------------------------- */

static void on_stack(void *ctx, uint32_t cpu, const struct probe_record *rec)
{
	struct sched *s = ctx;

	(void)cpu;
	if (schedstacks_add(s->places, (const struct sched_stack *)(const void *)rec))
		schedprog_forget_stacks(s->prog);
}

/* All of them: a stack may be named by the record of another CPU. */
void sched_take_stacks(struct sched *s)
{
	uint32_t nr = s->has_stacks ? proberings_nr_lanes(s->stacks) : 0;

	for (uint32_t lane = 0; lane < nr; lane++)
		proberings_take(s->stacks, lane, UINT64_MAX, on_stack, s);
}

/* What is not known yet was handed over since, but for what no ring had room for. */
static struct schedstacks_place find_place(struct sched *s, const struct task *task,
					   uint64_t kernel_print, uint64_t user_print)
{
	struct schedstacks_place place;

	if (schedstacks_find(s->places, task->process, kernel_print, user_print, &place) < 0) {
		sched_take_stacks(s);
		schedstacks_find(s->places, task->process, kernel_print, user_print, &place);
	}
	return place;
}

/* --- one record ---------------------------------------------------------------------- */

static struct task *find_task(struct sched *s, uint32_t pid, uint32_t tid, uint64_t time_ns)
{
	struct recent *r = &s->recent[tid & (NR_RECENT - 1)];

	if (r->tid != tid || r->pid != pid || r->round != s->round) {
		struct task *task = tasks_of_sample(s->to.tasks, pid, tid, time_ns);

		if (!task)
			return NULL;
		*r = (struct recent){ tid, pid, s->round, task };
	}
	return r->task;
}

/*
 * A thread that could have run all the time was not blocked, wherever it left the CPU.
 * Where no stack tells more, some states do: 'I' is that of threads of the kernel that
 * wait for work, and the kernel knows of many waits for disks.
 */
static struct schedreason reason_of(const struct sched_record *r, struct schedreason why)
{
	if (r->state == 'R' || r->runnable_ns >= r->off_ns)
		return (struct schedreason){ SCHED_REASON_NONE, false };
	if (r->state == 'I' && why.reason == SCHED_REASON_UNKNOWN)
		return (struct schedreason){ SCHED_REASON_WORK, true };
	if (!(r->flags & SCHED_IOWAIT))
		return why;
	if (why.reason == SCHED_REASON_OTHER || why.reason == SCHED_REASON_UNKNOWN)
		why.reason = SCHED_REASON_DISK;
	why.idle = false;
	return why;
}

static uint64_t edges_of(uint16_t flags)
{
	return (flags & SCHED_START ? EDGE_START : 0) | (flags & SCHED_END ? EDGE_END : 0) |
	       (flags & SCHED_EXIT ? EDGE_EXIT : 0);
}

/* Who ended the wait; an interrupt of a CPU without a task is its idle task's. */
static struct task *waker_of(struct sched *s, const struct sched_record *r)
{
	return r->waker_cpu == SCHED_NO_CPU ? NULL :
	       find_task(s, r->waker_pid, r->waker_tid, r->time_ns);
}

static inline void set(uint64_t *row, enum sched_column column, uint64_t value)
{
	row[column * WRITER_STEP] = value;
}

static void put_record(struct sched *s, uint32_t cpu, const struct sched_record *r,
		       const struct task *task)
{
	struct schedstacks_place place = { .why = { SCHED_REASON_UNKNOWN, false } };
	const struct task *waker = waker_of(s, r);
	uint32_t waker_stack = 0;
	uint64_t *row;

	if (s->has_stacks) {
		place = find_place(s, task, r->kernel_stack, r->user_stack);
		if (waker)
			waker_stack = find_place(s, waker, r->waker_kernel_stack,
						 r->waker_user_stack).stack;
	}
	place.why = reason_of(r, place.why);
	row = writer_record_begin(s->to.writer, s->event);
	if (!row)
		return;
	set(row, SCHED_COLUMN_TIME, r->time_ns);
	set(row, SCHED_COLUMN_CPU, cpu);
	set(row, SCHED_COLUMN_TASK, task->id);
	set(row, SCHED_COLUMN_OFFCPU, r->off_ns);
	set(row, SCHED_COLUMN_RUNQ, r->runnable_ns);
	set(row, SCHED_COLUMN_ONCPU, r->on_ns);
	set(row, SCHED_COLUMN_USER, r->user_ns);
	set(row, SCHED_COLUMN_SYSTEM, r->system_ns);
	set(row, SCHED_COLUMN_IRQ, r->interrupted_ns);
	set(row, SCHED_COLUMN_FROM_CPU, r->from_cpu);
	set(row, SCHED_COLUMN_STATE, r->state);
	set(row, SCHED_COLUMN_REASON, place.why.reason);
	set(row, SCHED_COLUMN_IDLE, place.why.idle);
	set(row, SCHED_COLUMN_WAKER, waker ? waker->id : 0);
	set(row, SCHED_COLUMN_WAKER_CPU, waker ? r->waker_cpu : 0);
	set(row, SCHED_COLUMN_CONTEXT, waker ? r->waker_context : 0);
	set(row, SCHED_COLUMN_EDGE, edges_of(r->flags));
	set(row, SCHED_COLUMN_SKIPPED, r->skipped_ns);
	if (s->has_stacks) {
		set(row, SCHED_COLUMN_STACK, place.stack);
		set(row, SCHED_COLUMN_WAKER_STACK, waker_stack);
	}
	writer_record_end(s->to.writer, s->event);
	s->nr_records++;
}

static void take_record(void *ctx, uint32_t cpu, const struct sched_record *r)
{
	struct sched *s = ctx;
	struct task *task = s->refuse ? NULL : find_task(s, r->pid, r->tid, r->time_ns);

	if (task)
		put_record(s, cpu, r, task);
	else
		s->nr_refused++;
}

static void on_record(void *ctx, uint32_t cpu, const struct probe_record *rec)
{
	take_record(ctx, cpu, (const struct sched_record *)(const void *)rec);
}

/* --- runs ---------------------------------------------------------------------------- */

void sched_run(struct sched *s, uint64_t until_ns)
{
	uint32_t nr = proberings_nr_lanes(s->records);

	for (uint32_t lane = 0; lane < nr; lane++)
		proberings_take(s->records, lane, until_ns, on_record, s);
}

void sched_forget(struct sched *s)
{
	s->round++;
}

void sched_kernel_changed(struct sched *s)
{
	if (s->has_stacks)
		schedstacks_kernel_changed(s->places);
}

void sched_refuse(struct sched *s, bool refuse)
{
	s->refuse = refuse;
}

bool sched_is_done(const struct sched *s)
{
	return proberings_is_empty(s->records);
}

/* How far what is remembered can be trusted. */
static void tell_stacks(const struct sched *s)
{
	struct schedprog_counts counts;
	char text[128];

	schedprog_get_counts(s->prog, &counts);
	snprintf(text, sizeof(text), "%" PRIu64 " of the kernel walked, %" PRIu64 " remembered; %" PRIu64
		 " of these walked again, %" PRIu64 " wrong", counts.walked, counts.remembered,
		 counts.checked, counts.wrong_kernel);
	writer_host(s->to.writer, "sched stacks", CLASS_NONE, text);
}

void sched_end(struct sched *s)
{
	s->refuse = false;
	sched_take_stacks(s);
	schedprog_end(s->prog, take_record, s);
	if (s->has_stacks)
		tell_stacks(s);
}

uint64_t sched_wrong_stacks(const struct sched *s)
{
	struct schedprog_counts counts;

	schedprog_get_counts(s->prog, &counts);
	return counts.wrong_kernel;
}

unsigned int sched_fill_percent(const struct sched *s)
{
	unsigned int records = proberings_fill_percent(s->records);
	unsigned int stacks = s->has_stacks ? proberings_fill_percent(s->stacks) : 0;

	return records > stacks ? records : stacks;
}

int sched_fd(const struct sched *s)
{
	return proberings_fd(s->records);
}

uint64_t sched_records(const struct sched *s)
{
	return s->nr_records;
}

/* --- losses -------------------------------------------------------------------------- */

static void write_loss(struct sched *s, uint64_t now_ns, enum loss_cause cause,
		       uint64_t *written, uint64_t total)
{
	if (total > *written)
		writer_loss(s->to.writer, &(struct writer_loss){
			.first_ns = s->since_ns, .last_ns = now_ns, .cpu = LOSS_CPU_UNKNOWN,
			.event = s->event, .cause = cause, .count = total - *written,
		});
	*written = total;
}

/* A wait that nobody was seen to end is no loss: its record is there, without a waker. */
void sched_write_losses(struct sched *s, uint64_t now_ns)
{
	struct schedprog_counts counts;

	schedprog_get_counts(s->prog, &counts);
	write_loss(s, now_ns, LOSS_RING, &s->written.ring, counts.lost);
	write_loss(s, now_ns, LOSS_ROOM, &s->written.room, counts.no_room);
	write_loss(s, now_ns, LOSS_RECURSION, &s->written.missed, counts.missed);
	write_loss(s, now_ns, LOSS_OUTPUT, &s->written.refused, s->nr_refused);
	s->since_ns = now_ns;
}

uint64_t sched_lost(const struct sched *s)
{
	return s->written.ring + s->written.room + s->written.missed + s->written.refused;
}

/* --- life ---------------------------------------------------------------------------- */

int sched_open(struct sched **out, const struct schedprog_opts *opts, struct diag *d)
{
	struct sched *s = calloc(1, sizeof(*s));
	int err;

	if (!s)
		return diag_set(d, -ENOMEM, "out of memory");
	s->round = 1;
	s->has_stacks = opts->kernel_stack || opts->user_stack;
	err = schedprog_open(&s->prog, opts, d);
	if (err) {
		sched_close(s);
		return err;
	}
	s->records = schedprog_records(s->prog);
	s->stacks = schedprog_stacks(s->prog);
	*out = s;
	return 0;
}

int sched_begin(struct sched *s, const struct sched_drain *to)
{
	const struct schedstacks_opts opts = {
		.stacks = to->stacks, .kernel = to->kernel, .symbolizer = to->symbolizer,
	};
	const struct event_desc *part;
	int err = s->has_stacks ? schedstacks_new(&s->places, &opts) : 0;

	if (err)
		return err;
	s->to = *to;
	s->since_ns = hostinfo_now_ns();
	s->event = writer_event(to->writer, scheddesc_whole(s->has_stacks));
	for (size_t i = 0; s->event && (part = scheddesc_part(s->has_stacks, i)); i++)
		if (!writer_event(to->writer, part))
			return -ENOMEM;
	return s->event ? 0 : -ENOMEM;
}

uint32_t sched_event(const struct sched *s)
{
	return s->event;
}

const char *sched_note(const struct sched *s)
{
	return schedprog_note(s->prog);
}

const char *sched_method(const struct sched *s)
{
	return schedprog_method(s->prog);
}

int sched_enable(struct sched *s, struct diag *d)
{
	return schedprog_enable(s->prog, d);
}

void sched_disable(struct sched *s)
{
	schedprog_disable(s->prog);
}

void sched_close(struct sched *s)
{
	if (!s)
		return;
	schedprog_close(s->prog);
	schedstacks_free(s->places);
	free(s);
}
