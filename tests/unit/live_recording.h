/*
 * For tests that sample for real: a load whose shape is known, and a recording
 * of it that keeps what the checks need.
 *
 * The test program itself is the load when its first argument is "load".
 */
#ifndef TESTS_UNIT_LIVE_RECORDING_H
#define TESTS_UNIT_LIVE_RECORDING_H

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "record/sampler.h"
#include "record/sideband.h"

#define LOAD_CHILDREN 2
#define LOAD_THREADS 2		/* of each of LOAD_CHILDREN + 1 processes */
#define LOAD_MS 60		/* of CPU time, each thread */
#define LOAD_DEPTH 6		/* callers of the function that burns */

/* --- the load ------------------------------------------------------------------ */

#define FRAME __attribute__((noinline, noclone, optimize("no-omit-frame-pointer", \
							  "no-optimize-sibling-calls")))

static inline uint64_t clock_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* Half in user code, half in the kernel, which clears a page for each read. */
static FRAME void load_burn(void)
{
	uint64_t end_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID) + LOAD_MS * 1000000ull;
	const size_t bytes = 1 << 20;
	FILE *f = fopen("/dev/zero", "re");
	char *zeros = malloc(bytes);
	volatile unsigned int n;

	while (f && zeros && clock_ns(CLOCK_THREAD_CPUTIME_ID) < end_ns) {
		for (n = 0; n < 20000; n++)
			;
		/* Sanitizers put functions of theirs, without frames, around read(). */
		if (syscall(SYS_read, fileno(f), zeros, bytes) < 0)
			break;
	}
	if (f)
		fclose(f);
	free(zeros);
}

static FRAME void load_deep(int depth)
{
	if (depth)
		load_deep(depth - 1);
	else
		load_burn();
	__asm__ volatile("" ::: "memory");
}

static inline void *load_thread(void *arg)
{
	load_deep(LOAD_DEPTH);
	return arg;
}

static inline int load_process(void)
{
	pthread_t threads[LOAD_THREADS];

	for (int i = 0; i < LOAD_THREADS; i++) {
		if (pthread_create(&threads[i], NULL, load_thread, NULL))
			return 1;
	}
	load_deep(LOAD_DEPTH);
	for (int i = 0; i < LOAD_THREADS; i++)
		pthread_join(threads[i], NULL);
	return 0;
}

static inline int load_main(void)
{
	pid_t children[LOAD_CHILDREN + 1];
	int bad = 0, status;

	for (int i = 0; i < LOAD_CHILDREN; i++) {
		children[i] = fork();
		if (!children[i])
			_exit(load_process());
	}
	children[LOAD_CHILDREN] = fork();
	if (!children[LOAD_CHILDREN]) {
		execl("/bin/true", "true", "one", "two words", "", (char *)NULL);
		_exit(1);
	}
	bad = load_process();
	for (int i = 0; i <= LOAD_CHILDREN; i++)
		bad |= waitpid(children[i], &status, 0) != children[i] || status;
	return bad;
}

/* --- the recording ----------------------------------------------------------------- */

#define MAX_KEPT 256
#define NOTES_MS 100		/* more than a hypervisor takes a CPU away for */

struct recording {
	enum sampler_transport transport;
	size_t buffer_bytes;
	uint64_t frequency_hz;
	bool starve;			/* do not drain before the end */
	struct diag diag;
	bool denied;			/* the transport cannot be had here */
	bool user_only;
	char note[512];
	/* what came */
	uint64_t samples, lost, lost_tasks, kernel_stacks, deep_stacks, bad_order, early_notes;
	uint64_t last_ns[1024];		/* by CPU */
	uint32_t tids[MAX_KEPT], pids[MAX_KEPT];
	size_t nr_tids, nr_pids;
	struct message_task execs[16], forks[64];
	char args[16][256];
	size_t nr_execs, nr_forks;
	size_t notes[NOTE_CGROUP + 1], build_ids, exec_names;
	uint64_t last_note_ns;
	uint32_t root_pid;
	/* afterwards */
	double cpu_s;			/* of the command and its children */
	int status;
};

static inline void keep_number(uint32_t *list, size_t *nr, uint32_t number)
{
	for (size_t i = 0; i < *nr; i++) {
		if (list[i] == number)
			return;
	}
	if (*nr < MAX_KEPT)
		list[(*nr)++] = number;
}

static inline void keep_sample(struct recording *r, const struct message_sample *s)
{
	r->samples++;
	if (s->m.time_ns < r->last_ns[s->m.cpu])
		r->bad_order++;
	r->last_ns[s->m.cpu] = s->m.time_ns;
	r->kernel_stacks += s->kernel_frames > 0;
	r->deep_stacks += s->user_frames >= LOAD_DEPTH;
	keep_number(r->tids, &r->nr_tids, s->m.tid);
	keep_number(r->pids, &r->nr_pids, s->m.pid);
}

static inline void keep_message(void *ctx, const struct message *m, size_t size_bytes)
{
	const struct message_task *t = (const void *)m;
	struct recording *r = ctx;

	if (m->kind == MESSAGE_SAMPLE) {
		keep_sample(r, (const void *)m);
	} else if (m->kind == MESSAGE_FORK && r->nr_forks < 64) {
		memcpy(&r->forks[r->nr_forks++], t, sizeof(*t));
	} else if (m->kind == MESSAGE_EXEC && r->nr_execs < 16 &&
		   sizeof(*t) + t->args_bytes <= size_bytes && t->args_bytes <= 256) {
		memcpy(r->args[r->nr_execs], t->args, t->args_bytes);
		memcpy(&r->execs[r->nr_execs++], t, sizeof(*t));
	}
}

static inline void keep_notes(struct recording *r, struct sideband *sb, uint64_t until_ns)
{
	const struct note *n;

	while ((n = sideband_next(sb, until_ns))) {
		r->notes[n->kind]++;
		r->early_notes += n->time_ns < r->last_note_ns;
		r->last_note_ns = n->time_ns;
		if (n->kind == NOTE_MMAP)
			r->build_ids += n->mmap.build_id_bytes == 20;
		if (n->kind == NOTE_COMM)
			r->exec_names += n->comm.exec && strcmp(n->text, "true") == 0;
	}
}

static inline void drain_both(struct recording *r, struct sampler *s, struct sideband *sb,
			      uint64_t until_ns)
{
	sideband_drain(sb);
	keep_notes(r, sb, until_ns);
	sampler_drain(s, keep_message, r);
}

static inline void record_loop(struct recording *r, struct target *t, struct sampler *s,
			       struct sideband *sb)
{
	struct pollfd fds[3] = { { .events = POLLIN }, { .events = POLLIN }, { .events = POLLIN } };

	sampler_fds(s, &fds[0].fd, 1);
	sideband_fds(sb, &fds[1].fd, 1);
	fds[2].fd = target_done_fd(t);
	while (!target_is_done(t)) {
		if (r->starve) {
			poll(&fds[2], 1, 100);
			continue;
		}
		poll(fds, 3, 100);
		/* Notes get their time before they are there: a CPU may be taken away between. */
		drain_both(r, s, sb, clock_ns(CLOCK_MONOTONIC) - NOTES_MS * 1000000ull);
	}
	sampler_disable(s);
	drain_both(r, s, sb, UINT64_MAX);
	for (uint32_t cpu = 0; cpu < sampler_nr_cpus(s); cpu++) {
		r->lost += sampler_lost(s, 0, cpu);
		r->lost_tasks += sampler_lost(s, SAMPLER_TASKS, cpu);
	}
}

static inline double children_cpu_s(void)
{
	struct rusage u;

	getrusage(RUSAGE_CHILDREN, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
	       (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

/* Records the load; 0, or -errno with r->diag. */
static inline int record_load(struct recording *r, char **command)
{
	struct sampled event;
	struct sampler_opts opts = {
		.events = &event, .nr_events = 1, .transport = r->transport,
		.buffer_bytes = r->buffer_bytes,
	};
	struct sideband *sb = NULL;
	struct sampler *s = NULL;
	struct target t;
	int err;

	err = sampled_parse(&event, "cpu-clock", &r->diag);
	event.kernel_stack = event.user_stack = true;
	if (r->frequency_hz)
		event.frequency_hz = r->frequency_hz;
	if (!err)
		err = target_open(&t, &(struct target_opts){ .command = command }, &r->diag);
	if (!err)
		err = sampler_open(&s, &opts, &t, &r->diag);
	r->denied = err == -EPERM || err == -EACCES;
	if (!err)
		err = sideband_open(&sb, &t, sampler_transport(s) == SAMPLER_PERF_MMAP, &r->diag);
	if (!err)
		err = sideband_enable(sb, &r->diag);
	if (!err)
		err = sampler_enable(s, &r->diag);
	if (!err)
		err = target_start(&t, &r->diag);
	if (!err) {
		r->root_pid = (uint32_t)t.child;
		r->user_only = sampler_user_only(s);
		r->transport = sampler_transport(s);
		if (sampler_note(s))
			snprintf(r->note, sizeof(r->note), "%s", sampler_note(s));
		record_loop(r, &t, s, sb);
		r->cpu_s = -children_cpu_s();
		target_wait(&t, false, &r->status);
		r->cpu_s += children_cpu_s();
	}
	sideband_close(sb);
	sampler_close(s);
	target_release(&t);
	return err;
}

#endif
