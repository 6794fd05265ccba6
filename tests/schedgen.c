/*
 * Writes what the scheduler of a made-up machine does, as `kymo record -e sched` would,
 * through the real writer; the same bytes for the same options:
 *
 *   schedgen N FILE [--seed S] [--cpus C] [--threads T] [--no-stacks] [--pingpong]
 *                   [--slow F] [--lose K] [--truth FILE.json]
 *
 * N records; FILE may be "-".  Nothing is drawn by lot that can follow from something
 * else: threads run, are preempted, wait and wake each other on C CPUs (4) with a queue
 * each, and a record is made when one gets a CPU.  So times add up: per thread without a
 * gap, per CPU without an overlap, and who wakes runs on the CPU that is said.
 *
 * T threads (64) at the start: a web server, whose workers wait for requests, take a lock,
 * ask a database, read from the disk; a compiler that is started again and again, with an
 * assembler at the other end of a pipe; timers; workers of the kernel.  --pingpong: two
 * threads that wake each other over a pipe, beside few timers.  --slow makes what the
 * server does with the lock held last F times as long.  --lose leaves out one record in K,
 * whose time is in the thread's next one.  --truth writes sums by thread.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/writer.h"
#include "record/scheddesc.h"
#include "tests/genfile.h"
#include "tests/random64.h"

#define START_NS UINT64_C(5000000000000)
#define WALL_NS UINT64_C(1700000000000000000)
#define SECOND_NS UINT64_C(1000000000)
#define TICK_NS UINT64_C(4000000)
#define SLICE_NS UINT64_C(3000000)
#define MAX_CPUS 256
#define MAX_THREADS 65536
#define IDLE_TASK 1
#define NR_LOCKS 4
#define NR_VARIANTS 64
#define MAX_FUNCTIONS 512
#define FUNCTION_BYTES 0x100

/* --- names ------------------------------------------------------------------------- */

enum kind { IDLE, WEB, DATABASE, COMPILER, ASSEMBLER, MAKE, TIMER, KWORKER, PING, NR_KINDS };

/* A program, and the functions that all of its stacks begin with. */
static const struct {
	const char *comm, *path, *frames;
	uint32_t user_percent;
} kinds[NR_KINDS] = {
	[IDLE] = { "swapper", NULL, "secondary_startup_64;start_secondary;cpu_startup_entry;"
		   "do_idle;call_cpuidle;cpuidle_enter;cpuidle_enter_state;intel_idle", 0 },
	[WEB] = { "web", "/usr/sbin/web", "_start;__libc_start_main;main;worker_loop", 60 },
	[DATABASE] = { "database", "/usr/lib/database/bin/database",
		       "_start;__libc_start_main;main;serve_client;execute_query", 70 },
	[COMPILER] = { "cc1", "/usr/libexec/gcc/cc1",
		       "_start;__libc_start_main;main;toplev_main;compile_file", 85 },
	[ASSEMBLER] = { "as", "/usr/bin/as", "_start;__libc_start_main;main;read_source", 80 },
	[MAKE] = { "make", "/usr/bin/make", "_start;__libc_start_main;main;update_goals", 50 },
	[TIMER] = { "cron", "/usr/sbin/cron", "_start;__libc_start_main;main;main_loop", 60 },
	[KWORKER] = { "kworker/0:1", NULL, "ret_from_fork;kthread;worker_thread", 0 },
	[PING] = { "pingpong", "/usr/bin/pingpong", "_start;__libc_start_main;main;play", 30 },
};

/* What a thread is about to do: a function of its program. */
enum doing { DOING_NOTHING, DOING_PARSE, DOING_LOCKED, DOING_SEND, DOING_RENDER, NR_DOINGS };

static const char *const doings[NR_DOINGS] = {
	NULL, "parse_request", "session_save", "send_query", "render_page",
};

#define SYSCALL "entry_SYSCALL_64_after_hwframe;do_syscall_64;"
#define BLOCKS ";schedule;__schedule"
#define INTERRUPT "asm_common_interrupt;common_interrupt;handle_edge_irq;handle_irq_event;"
#define TICK "asm_sysvec_apic_timer_interrupt;sysvec_apic_timer_interrupt;"
#define WAKES ";try_to_wake_up;ttwu_do_activate"

/* Where threads wait, and where they wake others from. */
enum place {
	AT_PREEMPTED, AT_EPOLL, AT_FUTEX, AT_SOCKET, AT_DISK, AT_FAULT, AT_PIPE, AT_SLEEP,
	AT_CHILD, AT_WORK, AT_EXIT,
	FROM_UNLOCK, FROM_SEND, FROM_PIPE, FROM_DISK, FROM_NETWORK, FROM_TIMER, FROM_FORK,
	FROM_EXIT, FROM_QUEUE, NR_PLACES,
};

static const struct {
	const char *user, *kernel;
	enum sched_reason reason;
	char state;
	bool is_idle, has_variants;
} places[NR_PLACES] = {
	[AT_PREEMPTED] = { NULL, TICK "irqentry_exit_to_user_mode;exit_to_user_mode_prepare"
			   BLOCKS, SCHED_REASON_NONE, 'R', false, true },
	[AT_EPOLL] = { "epoll_wait", SYSCALL "__x64_sys_epoll_wait;do_epoll_wait;ep_poll;"
		       "schedule_hrtimeout_range" BLOCKS, SCHED_REASON_POLL, 'S', true, false },
	[AT_FUTEX] = { "pthread_mutex_lock;__lll_lock_wait", SYSCALL "__x64_sys_futex;do_futex;"
		       "futex_wait;__futex_wait;futex_wait_queue" BLOCKS,
		       SCHED_REASON_FUTEX, 'S', false, true },
	[AT_SOCKET] = { "recv", SYSCALL "__x64_sys_recvfrom;__sys_recvfrom;unix_stream_recvmsg;"
			"unix_stream_read_generic;unix_stream_data_wait;schedule_timeout" BLOCKS,
			SCHED_REASON_PIPE, 'S', false, true },
	[AT_DISK] = { "pread64", SYSCALL "__x64_sys_pread64;vfs_read;ext4_file_read_iter;"
		      "filemap_read;filemap_get_pages;folio_wait_bit_common;io_schedule" BLOCKS,
		      SCHED_REASON_DISK, 'D', false, true },
	[AT_FAULT] = { NULL, "asm_exc_page_fault;exc_page_fault;do_user_addr_fault;"
		       "handle_mm_fault;__do_fault;filemap_fault;folio_wait_bit_common;"
		       "io_schedule" BLOCKS, SCHED_REASON_PAGE_FAULT, 'D', false, true },
	[AT_PIPE] = { "read", SYSCALL "__x64_sys_read;vfs_read;pipe_read;"
		      "anon_pipe_wait_readable" BLOCKS, SCHED_REASON_PIPE, 'S', false, false },
	[AT_SLEEP] = { "clock_nanosleep", SYSCALL "__x64_sys_clock_nanosleep;hrtimer_nanosleep;"
		       "do_nanosleep" BLOCKS, SCHED_REASON_SLEEP, 'S', false, false },
	[AT_CHILD] = { "wait4", SYSCALL "__x64_sys_wait4;kernel_wait4;do_wait" BLOCKS,
		       SCHED_REASON_CHILD, 'S', false, false },
	[AT_WORK] = { NULL, "schedule;__schedule", SCHED_REASON_WORK, 'I', true, false },
	[AT_EXIT] = { "_exit", SYSCALL "__x64_sys_exit_group;do_group_exit;do_exit",
		      SCHED_REASON_NONE, 'X', false, false },
	[FROM_UNLOCK] = { "pthread_mutex_unlock", SYSCALL "__x64_sys_futex;do_futex;futex_wake;"
			  "wake_up_q" WAKES, .has_variants = true },
	[FROM_SEND] = { "send", SYSCALL "__x64_sys_sendto;__sys_sendto;unix_stream_sendmsg;"
			"sock_def_readable;__wake_up_sync_key" WAKES, .has_variants = true },
	[FROM_PIPE] = { "write", SYSCALL "__x64_sys_write;vfs_write;pipe_write;"
			"__wake_up_sync_key;autoremove_wake_function" WAKES },
	[FROM_DISK] = { NULL, INTERRUPT "nvme_irq;nvme_pci_complete_rq;blk_mq_end_request;"
			"bio_endio;folio_wake_bit;wake_page_function" WAKES },
	[FROM_NETWORK] = { NULL, INTERRUPT "irq_exit_rcu;handle_softirqs;net_rx_action;"
			   "napi_poll;tcp_v4_rcv;sock_def_readable;ep_poll_callback" WAKES },
	[FROM_TIMER] = { NULL, TICK "hrtimer_interrupt;__hrtimer_run_queues;hrtimer_wakeup"
			 WAKES },
	[FROM_FORK] = { "vfork", SYSCALL "__x64_sys_vfork;kernel_clone;wake_up_new_task" },
	[FROM_EXIT] = { "_exit", SYSCALL "__x64_sys_exit_group;do_group_exit;do_exit;"
			"exit_notify;do_notify_parent;__wake_up_parent" WAKES },
	[FROM_QUEUE] = { "fsync", SYSCALL "__x64_sys_fsync;ext4_sync_file;queue_work_on;"
			 "__queue_work;wake_up_process" WAKES },
};

enum context { CONTEXT_TASK, CONTEXT_SOFTIRQ, CONTEXT_IRQ };

/* --- the machine --------------------------------------------------------------------- */

enum run_state { RUNNING, RUNNABLE, BLOCKED, ENDED };

struct truth {
	uint64_t records, first_ns, last_ns, on_ns, runq_ns, skipped_ns, user_ns, system_ns,
		 irq_ns, idle_ns, blocked_ns[SCHED_NR_REASONS], wakeups;
};

struct thread {
	enum kind kind;
	enum run_state state;
	enum place at;			/* where it left the CPU */
	enum doing doing;
	uint32_t task, tid, pid, index, cpu, step, variant, rounds;
	bool has_token;			/* was told to go on before it waited for it */
	struct thread *other;		/* whom it tells, or who asked it */
	uint32_t lock;
	uint64_t left_ns;		/* to run until its next step */
	uint64_t got_ns;		/* when it got the CPU */
	uint64_t since_ns, wake_ns;	/* when it left it, and was woken; 0: not yet */
	/* Since its last record. */
	uint64_t on_ns, skipped_ns, user_ns, system_ns, irq_ns;
	uint32_t edge, stack, waker, waker_cpu, context, waker_stack;
	struct truth truth;
};

struct queue {
	struct thread **v;
	size_t first, nr, cap;		/* cap: a power of two */
};

struct cpu {
	struct thread *current;		/* NULL: idle */
	struct queue queue;
	bool is_waking;			/* an idle one that was told to look */
	uint64_t ran_ns;		/* current->left_ns is right as of then */
	uint64_t slice_ns;		/* end of the slice */
	uint64_t changes;		/* events of older ones mean nothing */
};

enum event_kind { EVENT_RUN, EVENT_RESCHEDULE, EVENT_WAKING, EVENT_IO, EVENT_TIMER,
		  EVENT_NETWORK };

struct event {
	uint64_t due_ns, seq, changes;
	enum event_kind kind;
	uint32_t index;			/* of a CPU or a thread */
};

struct generator {
	uint64_t nr, random, now_ns, flush_ns, nr_records, nr_lost, lose, seq;
	double slow;
	uint32_t nr_cpus, nr_start, event;
	bool no_stacks, pingpong;
	const char *path, *truth_path;

	struct cpu cpus[MAX_CPUS];
	struct thread **threads;	/* all that ever were */
	size_t nr_threads, cap_threads, nr_alive;
	struct event *heap;
	size_t nr_events, cap_events;

	uint32_t nr_requests;
	struct queue idle_workers, idle_databases, queries, waiters[NR_LOCKS];
	bool is_locked[NR_LOCKS];
	struct thread *kworkers[MAX_CPUS];

	uint32_t stacks[NR_PLACES][NR_KINDS][NR_DOINGS][NR_VARIANTS];
	char functions[NR_KINDS][MAX_FUNCTIONS][32];	/* of IDLE: the kernel's */
	uint32_t nr_functions[NR_KINDS];
	FILE *out;
	struct writer *w;
};

static void *grow(void *old, size_t nr, size_t size_bytes)
{
	void *new = realloc(old, nr * size_bytes);

	if (!new) {
		fprintf(stderr, "schedgen: out of memory\n");
		exit(1);
	}
	return new;
}

static uint32_t below(struct generator *g, uint32_t n)
{
	return (uint32_t)(random64_next(&g->random) % n);
}

static bool percent(struct generator *g, uint32_t n)
{
	return below(g, 100) < n;
}

/* About log-normal: median * 2^x, where x is of a bell from -2 to 2 times `octaves`. */
static uint64_t around(struct generator *g, uint64_t median, uint32_t octaves)
{
	uint64_t r = random64_next(&g->random);
	uint32_t bell = (r & 0xffff) + (r >> 16 & 0xffff) + (r >> 32 & 0xffff) + (r >> 48);
	uint64_t x = (uint64_t)bell * octaves;
	uint64_t shifted = median << (x >> 16);

	shifted += shifted * (x & 0xffff) >> 16;
	return (shifted >> (2 * octaves)) + 1;
}

/* What code takes that always does the same: within five percent, but for some times. */
static uint64_t nearly(struct generator *g, uint64_t ns)
{
	uint64_t bell = below(g, 256) + below(g, 256) + below(g, 256) + below(g, 256);
	uint64_t takes = ns * 19 / 20 + ns * bell / 10240;

	return below(g, 64) ? takes : takes + around(g, ns / 2 + 1, 1);
}

static void queue_push(struct queue *q, struct thread *t)
{
	if (q->nr == q->cap) {
		size_t cap = q->cap ? q->cap * 2 : 16;

		q->v = grow(q->v, cap, sizeof(*q->v));
		/* What had wrapped around goes behind the rest. */
		memcpy(q->v + q->cap, q->v, q->first * sizeof(*q->v));
		q->cap = cap;
	}
	q->v[(q->first + q->nr++) & (q->cap - 1)] = t;
}

static struct thread *queue_pop(struct queue *q)
{
	struct thread *t;

	if (!q->nr)
		return NULL;
	t = q->v[q->first];
	q->first = (q->first + 1) & (q->cap - 1);
	q->nr--;
	return t;
}

static bool is_before(const struct event *x, const struct event *y)
{
	return x->due_ns < y->due_ns || (x->due_ns == y->due_ns && x->seq < y->seq);
}

static void push_event(struct generator *g, enum event_kind kind, uint64_t due_ns,
		       uint32_t index, uint64_t changes)
{
	struct event e = { due_ns, g->seq++, changes, kind, index };
	size_t at = g->nr_events++;

	if (at == g->cap_events) {
		g->cap_events = g->cap_events ? g->cap_events * 2 : 256;
		g->heap = grow(g->heap, g->cap_events, sizeof(*g->heap));
	}
	for (; at && is_before(&e, &g->heap[(at - 1) / 2]); at = (at - 1) / 2)
		g->heap[at] = g->heap[(at - 1) / 2];
	g->heap[at] = e;
}

static struct event pop_event(struct generator *g)
{
	struct event first = g->heap[0], last = g->heap[--g->nr_events];
	size_t at = 0, child;

	while ((child = 2 * at + 1) < g->nr_events) {
		if (child + 1 < g->nr_events && is_before(&g->heap[child + 1], &g->heap[child]))
			child++;
		if (!is_before(&g->heap[child], &last))
			break;
		g->heap[at] = g->heap[child];
		at = child;
	}
	g->heap[at] = last;
	return first;
}

/* --- the file: names and stacks -------------------------------------------------------- */

static uint32_t string(struct generator *g, enum privacy_class class, const char *text)
{
	return writer_string(g->w, class, text, strlen(text));
}

/* In the program of that kind, or in the kernel: IDLE, whose module is the first. */
static uint32_t frame(struct generator *g, enum kind kind, const char *name)
{
	uint32_t i = 0, nr = g->nr_functions[kind];

	while (i < nr && strcmp(g->functions[kind][i], name))
		i++;
	if (i == nr && nr < MAX_FUNCTIONS) {
		snprintf(g->functions[kind][i], sizeof(g->functions[kind][i]), "%s", name);
		g->nr_functions[kind]++;
		writer_symbol(g->w, kind + 1, 0x1000 + i * FUNCTION_BYTES, FUNCTION_BYTES,
			      string(g, CLASS_SYMBOL, g->functions[kind][i]));
	}
	return writer_frame(g->w, kind + 1, 0x1000 + i * FUNCTION_BYTES + 0x40);
}

/* Functions from the outside in, with ';' between them, on top of a stack. */
static uint32_t append(struct generator *g, uint32_t id, enum kind kind, const char *names)
{
	char name[32];

	while (names && *names) {
		size_t len = strcspn(names, ";");

		snprintf(name, sizeof(name), "%.*s", (int)len, names);
		id = writer_stack(g->w, id, frame(g, kind, name));
		names += len + (names[len] == ';');
	}
	return id;
}

static uint32_t make_stack(struct generator *g, enum place place, enum kind kind,
			   enum doing doing, uint32_t variant)
{
	bool is_user = kinds[kind].path;
	enum kind module = is_user ? kind : IDLE;
	uint32_t id = append(g, 0, module, kinds[kind].frames);
	char name[32];

	if (is_user && variant) {
		snprintf(name, sizeof(name), "handle_%u", variant % 16);
		id = append(g, id, kind, name);
		snprintf(name, sizeof(name), "process_%u", variant);
		id = append(g, id, kind, name);
	}
	if (is_user)
		id = append(g, id, kind, doings[doing]);
	if (is_user)
		id = append(g, id, kind, places[place].user);
	return append(g, id, IDLE, places[place].kernel);
}

static uint32_t stack(struct generator *g, enum place place, const struct thread *t)
{
	enum kind kind = t ? t->kind : IDLE;
	enum doing doing = t ? t->doing : DOING_NOTHING;
	/* Interrupts meet programs anywhere, and what follows a request, in its handler. */
	bool varies = t && (places[place].has_variants || !places[place].user);
	uint32_t variant = varies ? t->variant : 0, *id = &g->stacks[place][kind][doing][variant];

	if (g->no_stacks)
		return 0;
	if (!*id)
		*id = make_stack(g, place, kind, doing, variant);
	return *id;
}

/* --- records ----------------------------------------------------------------------------- */

static void count_truth(struct generator *g, struct thread *t, uint64_t off_ns, uint64_t runq_ns,
			enum sched_reason reason)
{
	struct truth *sum = &t->truth;

	sum->records++;
	sum->last_ns = g->now_ns;
	sum->on_ns += t->on_ns;
	sum->runq_ns += runq_ns;
	sum->skipped_ns += t->skipped_ns;
	sum->user_ns += t->user_ns;
	sum->system_ns += t->system_ns;
	sum->irq_ns += t->irq_ns;
	sum->blocked_ns[reason] += off_ns - runq_ns;
	sum->idle_ns += places[t->at].is_idle ? off_ns - runq_ns : 0;
	sum->wakeups += t->waker != 0;
}

static void put_record(struct generator *g, struct thread *t, uint32_t cpu, uint64_t off_ns,
		       uint64_t runq_ns)
{
	bool is_blocked = runq_ns < off_ns;
	enum sched_reason reason = is_blocked ? places[t->at].reason : SCHED_REASON_NONE;
	uint64_t v[SCHED_NR_COLUMNS] = {
		[SCHED_COLUMN_TIME] = g->now_ns, [SCHED_COLUMN_CPU] = cpu,
		[SCHED_COLUMN_TASK] = t->task, [SCHED_COLUMN_OFFCPU] = off_ns,
		[SCHED_COLUMN_RUNQ] = runq_ns, [SCHED_COLUMN_ONCPU] = t->on_ns,
		[SCHED_COLUMN_USER] = t->user_ns, [SCHED_COLUMN_SYSTEM] = t->system_ns,
		[SCHED_COLUMN_IRQ] = t->irq_ns, [SCHED_COLUMN_FROM_CPU] = t->cpu,
		[SCHED_COLUMN_STATE] = (unsigned char)places[t->at].state,
		[SCHED_COLUMN_REASON] = reason,
		[SCHED_COLUMN_IDLE] = is_blocked && places[t->at].is_idle,
		[SCHED_COLUMN_WAKER] = t->waker, [SCHED_COLUMN_WAKER_CPU] = t->waker_cpu,
		[SCHED_COLUMN_CONTEXT] = t->context, [SCHED_COLUMN_EDGE] = t->edge,
		[SCHED_COLUMN_SKIPPED] = t->skipped_ns, [SCHED_COLUMN_STACK] = t->stack,
		[SCHED_COLUMN_WAKER_STACK] = t->waker_stack,
	};

	if (g->lose && !(t->edge & (EDGE_END | EDGE_EXIT)) && !below(g, (uint32_t)g->lose)) {
		t->skipped_ns += off_ns;
		g->nr_lost++;
	} else {
		writer_record(g->w, g->event, v);
		count_truth(g, t, off_ns, runq_ns, reason);
		g->nr_records++;
		t->on_ns = t->skipped_ns = t->user_ns = t->system_ns = t->irq_ns = 0;
		t->edge = 0;
	}
	t->wake_ns = 0;
	t->waker = t->waker_cpu = t->context = t->waker_stack = 0;
}

/* --- CPUs -------------------------------------------------------------------------------- */

/* The thread that has a CPU loses it: counts what it did. */
static void stop(struct generator *g, struct thread *t)
{
	uint64_t slice_ns = g->now_ns - t->got_ns;
	uint64_t ticks = g->now_ns / TICK_NS - t->got_ns / TICK_NS;

	for (uint64_t i = 0; i < ticks; i++) {
		if (percent(g, kinds[t->kind].user_percent))
			t->user_ns += TICK_NS;
		else
			t->system_ns += TICK_NS;
		if (t->irq_ns + 4000 < slice_ns)
			t->irq_ns += nearly(g, 1800);
	}
	t->on_ns += slice_ns;
	/* What an interrupt still had to take is not the thread's. */
	if (t->irq_ns > t->on_ns)
		t->irq_ns = t->on_ns;
	t->since_ns = g->now_ns;
}

/* The next event of the thread that runs: its step, or the end of its slice. */
static void arm(struct generator *g, uint32_t cpu)
{
	struct cpu *c = &g->cpus[cpu];
	uint64_t step_ns = g->now_ns + c->current->left_ns;

	c->ran_ns = g->now_ns;
	c->changes++;
	push_event(g, EVENT_RUN, step_ns < c->slice_ns ? step_ns : c->slice_ns, cpu, c->changes);
}

/* A CPU without work takes from the longest queue; NULL: there is nothing. */
static struct thread *steal(struct generator *g)
{
	struct queue *longest = &g->cpus[0].queue;

	for (uint32_t i = 1; i < g->nr_cpus; i++)
		if (g->cpus[i].queue.nr > longest->nr)
			longest = &g->cpus[i].queue;
	return queue_pop(longest);
}

static void switch_to_next(struct generator *g, uint32_t cpu)
{
	struct cpu *c = &g->cpus[cpu];
	struct thread *t = queue_pop(&c->queue);

	c->is_waking = false;
	c->changes++;
	if (!t)
		t = steal(g);
	c->current = t;
	if (!t)
		return;
	put_record(g, t, cpu, g->now_ns - t->since_ns,
		   places[t->at].state == 'R' ? g->now_ns - t->since_ns : g->now_ns - t->wake_ns);
	t->state = RUNNING;
	t->cpu = cpu;
	t->got_ns = g->now_ns;
	/* Switching takes time, which is the next one's. */
	t->left_ns += nearly(g, 180);
	c->slice_ns = g->now_ns + SLICE_NS;
	arm(g, cpu);
}

/* What the CPU did up to now is done. */
static void advance(struct generator *g, struct cpu *c)
{
	uint64_t ran_ns = g->now_ns - c->ran_ns;

	c->current->left_ns -= ran_ns < c->current->left_ns ? ran_ns : c->current->left_ns;
	c->ran_ns = g->now_ns;
}

static void preempt(struct generator *g, uint32_t cpu)
{
	struct cpu *c = &g->cpus[cpu];
	struct thread *t = c->current;

	advance(g, c);
	stop(g, t);
	t->state = RUNNABLE;
	t->at = AT_PREEMPTED;
	t->stack = stack(g, AT_PREEMPTED, t);
	queue_push(&c->queue, t);
	switch_to_next(g, cpu);
}

/* Where a thread that was woken shall run: where it was, if that is free. */
static uint32_t choose_cpu(struct generator *g, const struct thread *t)
{
	for (uint32_t i = 0; i < g->nr_cpus; i++) {
		uint32_t cpu = (t->cpu + i) % g->nr_cpus;

		if (!g->cpus[cpu].current && !g->cpus[cpu].is_waking)
			return cpu;
	}
	return t->cpu;
}

static void enqueue(struct generator *g, struct thread *t)
{
	uint32_t cpu = choose_cpu(g, t);
	struct cpu *c = &g->cpus[cpu];

	t->state = RUNNABLE;
	queue_push(&c->queue, t);
	if (!c->current) {
		if (!c->is_waking)
			push_event(g, EVENT_WAKING, g->now_ns + nearly(g, 1900), cpu, 0);
		c->is_waking = true;
	} else if (c->current->kind == COMPILER ? percent(g, 80) : percent(g, 5)) {
		push_event(g, EVENT_RESCHEDULE, g->now_ns + nearly(g, 900), cpu, c->changes);
	}
}

/* Who runs on a CPU wakes a thread that is blocked; it goes on later. */
static void wake(struct generator *g, struct thread *t, uint32_t cpu, enum place from,
		 enum context context)
{
	const struct thread *waker = g->cpus[cpu].current;

	t->wake_ns = g->now_ns;
	t->waker = waker ? waker->task : IDLE_TASK;
	t->waker_cpu = cpu;
	t->context = context;
	t->waker_stack = stack(g, from, waker);
	enqueue(g, t);
}

/* Tells a thread that what it waits for, or will wait for, is there. */
static void tell(struct generator *g, struct thread *t, uint32_t cpu, enum place from,
		 enum context context)
{
	if (t->state == BLOCKED)
		wake(g, t, cpu, from, context);
	else
		t->has_token = true;
}

/* An interrupt on that CPU takes its time, too. */
static void interrupt(struct generator *g, uint32_t cpu)
{
	struct cpu *c = &g->cpus[cpu];
	uint64_t takes = nearly(g, 1500);

	if (!c->current)
		return;
	advance(g, c);
	c->current->irq_ns += takes;
	c->current->left_ns += takes;
	arm(g, cpu);
}

/* --- what threads do: each step ends with one of these three ------------------------------ */

static void run_for(struct generator *g, struct thread *t, uint32_t step, uint64_t ns)
{
	t->step = step;
	t->left_ns = ns;
	arm(g, t->cpu);
}

/* Until it is told. */
static void wait_for(struct generator *g, struct thread *t, uint32_t step, enum place at)
{
	t->step = step;
	t->left_ns = 0;
	if (t->has_token) {
		t->has_token = false;
		run_for(g, t, step, nearly(g, 150));
		return;
	}
	stop(g, t);
	t->state = BLOCKED;
	t->at = at;
	t->stack = stack(g, at, t);
	switch_to_next(g, t->cpu);
}

static void leave(struct generator *g, struct thread *t)
{
	stop(g, t);
	t->at = AT_EXIT;
	t->stack = stack(g, AT_EXIT, t);
	t->edge |= EDGE_EXIT;
	put_record(g, t, t->cpu, 0, 0);
	t->state = ENDED;
	g->nr_alive--;
	writer_task(g->w, &(struct writer_task){
		.id = t->task, .exit_ns = g->now_ns, .pid = t->pid, .tid = t->tid,
		.parent_pid = 1000, .flags = TASK_EXITED, .uid = 1000,
		.comm = string(g, CLASS_COMMAND, kinds[t->kind].comm),
	});
	switch_to_next(g, t->cpu);
}

static struct thread *new_thread(struct generator *g, enum kind kind, uint32_t pid)
{
	struct thread *t = grow(NULL, 1, sizeof(*t));

	if (g->nr_threads == g->cap_threads) {
		g->cap_threads = g->cap_threads ? g->cap_threads * 2 : 256;
		g->threads = grow(g->threads, g->cap_threads, sizeof(struct thread *));
	}
	*t = (struct thread){
		.kind = kind, .index = (uint32_t)g->nr_threads, .since_ns = g->now_ns,
		.task = IDLE_TASK + 1 + (uint32_t)g->nr_threads, .at = AT_SLEEP,
		.tid = 1000 + (uint32_t)g->nr_threads, .truth.first_ns = g->now_ns,
	};
	t->pid = pid ? pid : t->tid;
	g->threads[g->nr_threads++] = t;
	g->nr_alive++;
	writer_task(g->w, &(struct writer_task){
		.id = t->task, .pid = t->pid, .tid = t->tid, .uid = 1000,
		.time_ns = g->now_ns == START_NS ? 0 : g->now_ns,
		.parent_pid = kind == KWORKER ? 2 : g->now_ns == START_NS ? 1 : 1000,
		.flags = (g->now_ns == START_NS ? TASK_AT_START : 0) |
			 (kind == KWORKER ? TASK_KERNEL_THREAD : 0),
		.comm = string(g, CLASS_COMMAND, kinds[kind].comm),
	});
	return t;
}

static struct thread *start(struct generator *g, struct thread *parent, enum kind kind)
{
	struct thread *t = new_thread(g, kind, 0);

	t->at = AT_PREEMPTED;
	t->cpu = parent->cpu;
	wake(g, t, parent->cpu, FROM_FORK, CONTEXT_TASK);
	return t;
}

static void ask_disk(struct generator *g, struct thread *t)
{
	push_event(g, EVENT_IO, g->now_ns + around(g, percent(g, 95) ? 90000 : 3000000, 1),
		   t->index, 0);
}

static void take_request(struct generator *g, struct thread *t)
{
	t->variant = below(g, 4) ? below(g, 8) : below(g, NR_VARIANTS);
	t->doing = DOING_NOTHING;
	if (!g->nr_requests) {
		queue_push(&g->idle_workers, t);
		wait_for(g, t, 0, AT_EPOLL);
		return;
	}
	g->nr_requests--;
	t->doing = DOING_PARSE;
	run_for(g, t, 1, nearly(g, 15000));
}

static void take_lock(struct generator *g, struct thread *t)
{
	t->doing = DOING_LOCKED;
	t->lock = percent(g, 80) ? 0 : t->variant % NR_LOCKS;
	if (percent(g, 40)) {
		run_for(g, t, 4, 400);
	} else if (g->is_locked[t->lock]) {
		queue_push(&g->waiters[t->lock], t);
		wait_for(g, t, 2, AT_FUTEX);
	} else {
		g->is_locked[t->lock] = true;
		run_for(g, t, 2, 200);
	}
}

static void release_lock(struct generator *g, struct thread *t)
{
	struct thread *next = queue_pop(&g->waiters[t->lock]);

	if (next)
		tell(g, next, t->cpu, FROM_UNLOCK, CONTEXT_TASK);
	else
		g->is_locked[t->lock] = false;
	t->doing = DOING_SEND;
	run_for(g, t, 4, nearly(g, 900));
}

static void ask_database(struct generator *g, struct thread *t)
{
	struct thread *database;

	t->doing = DOING_SEND;
	if (!percent(g, 35)) {
		run_for(g, t, 6, 300);
		return;
	}
	database = queue_pop(&g->idle_databases);
	queue_push(&g->queries, t);
	if (database)
		tell(g, database, t->cpu, FROM_SEND, CONTEXT_TASK);
	run_for(g, t, 5, nearly(g, 1200));
}

static void step_web(struct generator *g, struct thread *t)
{
	switch (t->step) {
	case 0:
		take_request(g, t);
		break;
	case 1:
		take_lock(g, t);
		break;
	case 2:
		run_for(g, t, 3, (uint64_t)((double)around(g, 9000, 1) * g->slow));
		break;
	case 3:
		release_lock(g, t);
		break;
	case 4:
		ask_database(g, t);
		break;
	case 5:
		wait_for(g, t, 6, AT_SOCKET);
		break;
	case 6:
		t->doing = DOING_RENDER;
		if (percent(g, 12)) {
			ask_disk(g, t);
			wait_for(g, t, 7, AT_DISK);
		} else {
			run_for(g, t, 7, 100);
		}
		break;
	default:
		run_for(g, t, 0, around(g, 35000, 1));
	}
}

static void step_database(struct generator *g, struct thread *t)
{
	switch (t->step) {
	case 0:
		t->other = queue_pop(&g->queries);
		t->variant = t->other ? t->other->variant : 0;
		if (t->other) {
			run_for(g, t, 1, around(g, 22000, 1));
		} else {
			queue_push(&g->idle_databases, t);
			wait_for(g, t, 0, AT_EPOLL);
		}
		break;
	case 1:
		if (percent(g, 10)) {
			ask_disk(g, t);
			wait_for(g, t, 2, AT_DISK);
		} else {
			run_for(g, t, 2, 500);
		}
		break;
	default:
		tell(g, t->other, t->cpu, FROM_SEND, CONTEXT_TASK);
		run_for(g, t, 0, nearly(g, 1500));
	}
}

static void step_compiler(struct generator *g, struct thread *t)
{
	t->variant = below(g, NR_VARIANTS);
	if (++t->rounds > 400) {
		t->other->rounds = 1;
		tell(g, t->other, t->cpu, FROM_PIPE, CONTEXT_TASK);
		tell(g, g->threads[t->step], t->cpu, FROM_EXIT, CONTEXT_TASK);
		leave(g, t);
	} else if (percent(g, 8)) {
		ask_disk(g, t);
		wait_for(g, t, t->step, AT_FAULT);
	} else {
		if (percent(g, 25))
			tell(g, t->other, t->cpu, FROM_PIPE, CONTEXT_TASK);
		run_for(g, t, t->step, around(g, 300000, 2));
	}
}

/* Its compiler sets `rounds` when it is done. */
static void step_assembler(struct generator *g, struct thread *t)
{
	if (t->step == 0)
		run_for(g, t, 1, around(g, 60000, 1));
	else if (t->rounds)
		leave(g, t);
	else
		wait_for(g, t, 0, AT_PIPE);
}

static void step_make(struct generator *g, struct thread *t)
{
	if (t->step == 0) {
		struct thread *compiler = start(g, t, COMPILER);

		/* Where it belongs, for as long as it lives. */
		compiler->step = t->index;
		compiler->other = start(g, t, ASSEMBLER);
		run_for(g, t, 1, around(g, 200000, 1));
	} else if (t->step == 1) {
		wait_for(g, t, 2, AT_CHILD);
	} else {
		run_for(g, t, 0, around(g, 400000, 1));
	}
}

static void step_timer(struct generator *g, struct thread *t)
{
	if (t->step == 0) {
		push_event(g, EVENT_TIMER, g->now_ns + 1000000 * (1 + t->index % 50) +
			   nearly(g, 60000), t->index, 0);
		wait_for(g, t, 1, AT_SLEEP);
		return;
	}
	if (percent(g, 30))
		tell(g, g->kworkers[t->cpu], t->cpu, FROM_QUEUE, CONTEXT_TASK);
	run_for(g, t, 0, around(g, 20000, 1));
}

static void step_kworker(struct generator *g, struct thread *t)
{
	if (t->step == 0)
		wait_for(g, t, 1, AT_WORK);
	else
		run_for(g, t, 0, around(g, 6000, 1));
}

static void step_ping(struct generator *g, struct thread *t)
{
	if (t->step == 0) {
		wait_for(g, t, 1, AT_PIPE);
	} else if (t->step == 1) {
		run_for(g, t, 2, nearly(g, 620));
	} else {
		tell(g, t->other, t->cpu, FROM_PIPE, CONTEXT_TASK);
		run_for(g, t, 0, nearly(g, 540));
	}
}

static void (*const steps[NR_KINDS])(struct generator *g, struct thread *t) = {
	[WEB] = step_web, [DATABASE] = step_database, [COMPILER] = step_compiler,
	[ASSEMBLER] = step_assembler, [MAKE] = step_make, [TIMER] = step_timer,
	[KWORKER] = step_kworker, [PING] = step_ping,
};

/* --- events ---------------------------------------------------------------------------- */

static void on_run(struct generator *g, uint32_t cpu)
{
	struct cpu *c = &g->cpus[cpu];

	advance(g, c);
	if (!c->current->left_ns) {
		steps[c->current->kind](g, c->current);
	} else if (c->queue.nr) {
		preempt(g, cpu);
	} else {
		c->slice_ns = g->now_ns + SLICE_NS;
		arm(g, cpu);
	}
}

static void on_network(struct generator *g)
{
	uint32_t cpu = below(g, g->nr_cpus < 2 ? 1 : 2);
	struct thread *worker = queue_pop(&g->idle_workers);

	if (g->nr_requests < g->nr_start * 4)
		g->nr_requests++;
	interrupt(g, cpu);
	if (worker)
		tell(g, worker, cpu, FROM_NETWORK, CONTEXT_SOFTIRQ);
	push_event(g, EVENT_NETWORK, g->now_ns + around(g, 240000 / g->nr_cpus, 2), 0, 0);
}

static void handle(struct generator *g, const struct event *e)
{
	struct cpu *c = &g->cpus[e->index < MAX_CPUS ? e->index : 0];
	uint32_t cpu;

	switch (e->kind) {
	case EVENT_RUN:
		if (c->changes == e->changes)
			on_run(g, e->index);
		break;
	case EVENT_RESCHEDULE:
		if (c->current && c->queue.nr && c->current->left_ns > 0)
			preempt(g, e->index);
		break;
	case EVENT_WAKING:
		if (!c->current)
			switch_to_next(g, e->index);
		break;
	case EVENT_NETWORK:
		on_network(g);
		break;
	default:
		cpu = e->kind == EVENT_IO ? e->index % g->nr_cpus : g->threads[e->index]->cpu;
		interrupt(g, cpu);
		tell(g, g->threads[e->index], cpu, e->kind == EVENT_IO ? FROM_DISK : FROM_TIMER,
		     CONTEXT_IRQ);
	}
}

/* --- from the start to the end ----------------------------------------------------------- */

/* It is there already, and waits. */
static struct thread *put_waiting(struct generator *g, enum kind kind, uint32_t pid,
				  enum place at, uint32_t step)
{
	struct thread *t = new_thread(g, kind, pid);

	t->state = BLOCKED;
	t->at = at;
	t->step = step;
	t->edge = EDGE_START;
	t->cpu = below(g, g->nr_cpus);
	t->stack = stack(g, at, t);
	return t;
}

/* It is there already, and runs. */
static void put_running(struct generator *g, enum kind kind, uint32_t cpu)
{
	struct thread *t = new_thread(g, kind, 0);

	t->state = RUNNING;
	t->edge = EDGE_START;
	t->cpu = cpu;
	t->got_ns = g->now_ns;
	t->left_ns = nearly(g, 50000);
	g->cpus[cpu].current = t;
	g->cpus[cpu].slice_ns = g->now_ns + SLICE_NS;
	arm(g, cpu);
}

static void put_timers(struct generator *g, uint32_t nr)
{
	for (uint32_t i = 0; i < g->nr_cpus; i++)
		g->kworkers[i] = put_waiting(g, KWORKER, 0, AT_WORK, 1);
	for (uint32_t i = 0; i < nr; i++) {
		struct thread *t = put_waiting(g, TIMER, 0, AT_SLEEP, 1);

		push_event(g, EVENT_TIMER, g->now_ns + below(g, 50000000), t->index, 0);
	}
}

static void put_server(struct generator *g)
{
	uint32_t nr_databases = g->nr_start / 12 + 1, nr_makes = g->nr_cpus;
	uint32_t rest = nr_makes + nr_databases + g->nr_cpus;
	uint32_t nr_timers = g->nr_start / 8 + 1;
	uint32_t nr_workers = g->nr_start > rest + nr_timers ? g->nr_start - rest - nr_timers : 1;
	uint32_t pid = 0;

	for (uint32_t i = 0; i < nr_makes; i++)
		put_running(g, MAKE, i);
	put_timers(g, nr_timers);
	for (uint32_t i = 0; i < nr_databases; i++)
		queue_push(&g->idle_databases, put_waiting(g, DATABASE, 0, AT_EPOLL, 0));
	for (uint32_t i = 0; i < nr_workers; i++) {
		struct thread *t = put_waiting(g, WEB, pid, AT_EPOLL, 0);

		pid = t->pid;
		queue_push(&g->idle_workers, t);
	}
	push_event(g, EVENT_NETWORK, g->now_ns + 20000, 0, 0);
}

static void put_pingpong(struct generator *g)
{
	struct thread *waiting;

	put_running(g, PING, 0);
	waiting = put_waiting(g, PING, 0, AT_PIPE, 1);
	waiting->cpu = g->nr_cpus - 1;
	waiting->other = g->threads[0];
	g->threads[0]->other = waiting;
	g->threads[0]->step = 2;
	put_timers(g, 3);
}

/* All that are alive now: what they do is cut. */
static void put_ends(struct generator *g)
{
	for (size_t i = 0; i < g->nr_threads; i++) {
		struct thread *t = g->threads[i];
		uint64_t off_ns;

		if (t->state == ENDED)
			continue;
		t->edge |= EDGE_END;
		if (t->state == RUNNING) {
			stop(g, t);
			t->at = AT_PREEMPTED;
			t->stack = 0;
		}
		off_ns = g->now_ns - t->since_ns;
		put_record(g, t, t->cpu, off_ns, places[t->at].state == 'R' ? off_ns :
			   t->wake_ns ? g->now_ns - t->wake_ns : 0);
	}
}

static int flush(struct generator *g)
{
	if (g->nr_lost)
		writer_loss(g->w, &(struct writer_loss){
			.first_ns = g->flush_ns - SECOND_NS, .last_ns = g->now_ns,
			.count = g->nr_lost, .cpu = LOSS_CPU_UNKNOWN, .event = g->event,
			.cause = LOSS_RING });
	g->nr_lost = 0;
	writer_cost(g->w, &(struct writer_cost){
		g->now_ns, (g->now_ns - START_NS) / 200, (g->now_ns - START_NS) / 300 });
	g->flush_ns += SECOND_NS;
	return writer_flush(g->w, g->now_ns);
}

static int simulate(struct generator *g)
{
	int err = 0;

	while (!err && g->nr_records + g->nr_alive < g->nr) {
		struct event e = pop_event(g);

		g->now_ns = e.due_ns;
		if (e.due_ns >= g->flush_ns)
			err = flush(g);
		handle(g, &e);
	}
	put_ends(g);
	return err ? err : flush(g);
}

static void put_dictionaries(struct generator *g)
{
	const struct event_desc *part;
	char text[32];

	writer_host(g->w, "hostname", CLASS_HOST, "example");
	writer_host(g->w, "kernel", CLASS_HOST, "6.1.0-test");
	writer_host(g->w, "machine", CLASS_HOST, "x86_64");
	snprintf(text, sizeof(text), "%u", g->nr_cpus);
	writer_host(g->w, "cpus", CLASS_HOST, text);
	writer_host(g->w, "command line", CLASS_ARGUMENT, "kymo record -a -e sched");
	writer_host(g->w, "kymo version", CLASS_NONE, "1");
	writer_host(g->w, "clock", CLASS_NONE, "monotonic");
	writer_clock(g->w, START_NS, WALL_NS, START_NS + 1000000);
	g->event = writer_event(g->w, scheddesc_whole(!g->no_stacks));
	for (size_t i = 0; (part = scheddesc_part(!g->no_stacks, i)); i++)
		writer_event(g->w, part);
	for (enum kind k = IDLE; k < NR_KINDS; k++)
		if (k == IDLE || kinds[k].path)
			writer_module(g->w, &(struct writer_module){
				.id = k + 1, .kind = k == IDLE ? MODULE_KERNEL : MODULE_ELF,
				.path = string(g, CLASS_PATH, k == IDLE ? "[kernel.kallsyms]" :
					       kinds[k].path),
			});
	writer_task(g->w, &(struct writer_task){
		.id = IDLE_TASK, .flags = TASK_IDLE | TASK_KERNEL_THREAD | TASK_AT_START,
		.comm = string(g, CLASS_COMMAND, kinds[IDLE].comm),
	});
}

static int generate(struct generator *g)
{
	const struct writer_output output = { genfile_put, g->out };
	int err = writer_open(&g->w, &output, 0x6b796d72 + g->random, 3), close_err;

	if (err)
		return err;
	g->now_ns = START_NS;
	g->flush_ns = START_NS + SECOND_NS;
	put_dictionaries(g);
	if (g->pingpong)
		put_pingpong(g);
	else
		put_server(g);
	err = simulate(g);
	writer_clock(g->w, g->now_ns, WALL_NS + g->now_ns - START_NS, g->now_ns + 1000000);
	close_err = writer_close(g->w);
	return err ? err : close_err;
}

/* --- the truth ------------------------------------------------------------------------- */

static void print_truth(FILE *to, const struct thread *t)
{
	static const char *const names[SCHED_NR_REASONS] = {
		"NONE", "OTHER", "DISK", "NETWORK", "LOCK", "FUTEX", "SLEEP", "PIPE",
		"PAGE-FAULT", "POLL", "CHILD", "WORK", "UNKNOWN",
	};
	const struct truth *sum = &t->truth;
	const char *comma = "";

	fprintf(to, "{\"task\":%u,\"pid\":%u,\"tid\":%u,\"comm\":\"%s\",\"records\":%" PRIu64
		",\"wall_ns\":%" PRIu64 ",\"oncpu_ns\":%" PRIu64 ",\"runq_ns\":%" PRIu64
		",\"skipped_ns\":%" PRIu64 ",\"user_ns\":%" PRIu64 ",\"system_ns\":%" PRIu64
		",\"irq_ns\":%" PRIu64 ",\"idle_ns\":%" PRIu64 ",\"wakeups\":%" PRIu64
		",\"blocked_ns\":{", t->task, t->pid, t->tid, kinds[t->kind].comm, sum->records,
		sum->last_ns - sum->first_ns, sum->on_ns, sum->runq_ns, sum->skipped_ns,
		sum->user_ns, sum->system_ns, sum->irq_ns, sum->idle_ns, sum->wakeups);
	for (size_t i = 0; i < SCHED_NR_REASONS; i++) {
		if (!sum->blocked_ns[i])
			continue;
		fprintf(to, "%s\"%s\":%" PRIu64, comma, names[i], sum->blocked_ns[i]);
		comma = ",";
	}
	fprintf(to, "}}");
}

static int put_truth(const struct generator *g)
{
	FILE *to = fopen(g->truth_path, "w");

	if (!to)
		return -errno;
	fprintf(to, "{\"start_ns\":%" PRIu64 ",\"end_ns\":%" PRIu64 ",\"records\":%" PRIu64
		",\"threads\":[\n", START_NS, g->now_ns, g->nr_records);
	for (size_t i = 0; i < g->nr_threads; i++) {
		print_truth(to, g->threads[i]);
		fprintf(to, "%s\n", i + 1 < g->nr_threads ? "," : "");
	}
	fprintf(to, "]}\n");
	return fclose(to) ? -errno : 0;
}

/* --- options ------------------------------------------------------------------------------ */

static bool parse_option(struct generator *g, const char *name, const char *value)
{
	uint32_t n = (uint32_t)strtoul(value, NULL, 10);

	if (!strcmp(name, "--seed"))
		g->random = n;
	else if (!strcmp(name, "--cpus"))
		g->nr_cpus = n;
	else if (!strcmp(name, "--threads"))
		g->nr_start = n;
	else if (!strcmp(name, "--slow"))
		g->slow = strtod(value, NULL);
	else if (!strcmp(name, "--lose"))
		g->lose = n;
	else if (!strcmp(name, "--truth"))
		g->truth_path = value;
	else
		return false;
	return true;
}

static bool parse_options(struct generator *g, int argc, char **argv)
{
	if (argc < 3)
		return false;
	g->nr = strtoull(argv[1], NULL, 10);
	g->path = argv[2];
	g->random = 1;
	g->nr_cpus = 4;
	g->nr_start = 64;
	g->slow = 1;
	for (int i = 3; i < argc; i++) {
		if (!strcmp(argv[i], "--no-stacks"))
			g->no_stacks = true;
		else if (!strcmp(argv[i], "--pingpong"))
			g->pingpong = true;
		else if (i + 1 == argc || !parse_option(g, argv[i], argv[i + 1]))
			return false;
		else
			i++;
	}
	return g->nr_cpus && g->nr_cpus <= MAX_CPUS && g->nr_start &&
	       g->nr_start <= MAX_THREADS && g->slow > 0;
}

static void free_all(struct generator *g)
{
	for (uint32_t i = 0; i < MAX_CPUS; i++)
		free(g->cpus[i].queue.v);
	for (uint32_t i = 0; i < NR_LOCKS; i++)
		free(g->waiters[i].v);
	for (size_t i = 0; i < g->nr_threads; i++)
		free(g->threads[i]);
	free(g->idle_workers.v);
	free(g->idle_databases.v);
	free(g->queries.v);
	free(g->threads);
	free(g->heap);
	free(g);
}

int main(int argc, char **argv)
{
	struct generator *g = calloc(1, sizeof(*g));
	int err;

	if (!g || !parse_options(g, argc, argv)) {
		fprintf(stderr, "usage: schedgen N FILE [--seed S] [--cpus C] [--threads T] "
			"[--no-stacks] [--pingpong] [--slow F] [--lose K] "
			"[--truth FILE.json]\n");
		free(g);
		return 2;
	}
	g->out = genfile_open(g->path);
	err = g->out ? generate(g) : -errno;
	err = genfile_close(g->out, err);
	if (!err && g->truth_path)
		err = put_truth(g);
	if (err)
		fprintf(stderr, "schedgen: cannot write '%s': %s\n", g->path, strerror(-err));
	free_all(g);
	return err ? 1 : 0;
}
