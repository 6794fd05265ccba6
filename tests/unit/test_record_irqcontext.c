/*
 * Whether a program knows interrupts from what the running thread does, seen by what is
 * recorded of a thread that is left out.
 */
#define _GNU_SOURCE
#include "record/irqcontext.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/time.h>

#include <cmocka.h>

#include "live_probes.h"

#define NR_CALLS 100
#define NR_ALARMS 20
#define MOST_ALARMS 4000
#define WANTED 5

#ifdef __x86_64__
#define GETPPID "__x64_sys_getppid"
#else
#define GETPPID "__arm64_sys_getppid"
#endif

enum { OWN_CALLS, HARD_IRQS, SOFT_IRQS, NR_KINDS };

static const enum irqcontext_way ways[] = {
	IRQCONTEXT_VARIABLE, IRQCONTEXT_TASK, IRQCONTEXT_SYMBOL, IRQCONTEXT_STACK,
};
#define NR_WAYS (sizeof(ways) / sizeof(*ways))

static volatile sig_atomic_t nr_alarms;

static void on_alarm(int sig)
{
	(void)sig;
	nr_alarms++;
}

static void skip_if_impossible(const struct live *l, int err)
{
	if (err == -EPERM || err == -EOPNOTSUPP) {
		print_message("# skip: %s\n", l->diag.text);
		skip();
	}
	if (err)
		fail_msg("%d: %s", err, l->diag.text);
}

static void leave_out_self(struct live *l, const struct irqcontext *irqs)
{
	live_init(l);
	l->traced_only = false;
	l->env.target.not_pid = (uint32_t)getpid();
	l->env.target.irqs = *irqs;
}

/* Those that came upon this process, by probe. */
static void count_own(void *ctx, uint32_t cpu, const struct probe_record *rec)
{
	uint32_t *nr = ctx;

	(void)cpu;
	if (rec->pid == (uint32_t)getpid())
		nr[rec->probe]++;
}

static const struct {
	const char *system, *name;
} tracepoints[NR_KINDS] = {
	[OWN_CALLS] = { "raw_syscalls", "sys_enter" },
	[HARD_IRQS] = { "timer", "hrtimer_expire_entry" },
	[SOFT_IRQS] = { "irq", "softirq_entry" },
};

static int attach_classic(struct live_probe *lp, size_t kind)
{
	struct perf_event_attr attr = { .type = PERF_TYPE_TRACEPOINT, .sample_period = 1 };
	char path[160];
	int id = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/sys/kernel/tracing/events/%s/%s/id",
		 tracepoints[kind].system, tracepoints[kind].name);
	f = fopen(path, "re");
	if (!f || fscanf(f, "%d", &id) != 1)
		id = -1;
	if (f)
		fclose(f);
	attr.config = (uint64_t)id;
	return id < 0 ? -ENOENT : live_attach_perf(lp, &attr, 0);
}

/* With programs of that type, before anything runs. */
static void attach_all(struct live *l, uint32_t prog_type)
{
	for (size_t i = 0; i < NR_KINDS; i++) {
		struct live_probe *lp;

		if (prog_type == BPF_PROG_TYPE_TRACING) {
			skip_if_impossible(l, live_add_typed(l, tracepoints[i].name, &lp));
			continue;
		}
		lp = live_add(l, tracepoints[i].name, prog_type);
		lp->by_hand = prog_type == BPF_PROG_TYPE_TRACEPOINT;
	}
	skip_if_impossible(l, live_open(l, RINGS_AUTO));
	for (size_t i = 0; i < NR_KINDS && prog_type == BPF_PROG_TYPE_TRACEPOINT; i++) {
		if (attach_classic(&l->probes[i], i)) {
			live_close(l);
			print_message("# skip: no tracepoints by perf events\n");
			skip();
		}
	}
}

/*
 * A timer finds this process running, again and again, until enough is recorded of it or
 * it has gone off in vain: how long that takes is the machine's business.  It is set anew
 * by the loop, as one that goes on by itself leaves a slow machine no time for anything else.
 */
static void run_into_timers(const struct irqcontext *irqs, uint32_t prog_type, uint32_t *nr)
{
	const struct itimerval soon = { .it_value = { 0, 1000 } }, never = { { 0, 0 }, { 0, 0 } };
	bool known = irqs->way != IRQCONTEXT_UNKNOWN;
	int wanted = known ? MOST_ALARMS : NR_ALARMS, set = 0;
	long calls = NR_CALLS;
	struct live l;

	leave_out_self(&l, irqs);
	attach_all(&l, prog_type);
	memset(nr, 0, NR_KINDS * sizeof(*nr));
	nr_alarms = 0;
	signal(SIGALRM, on_alarm);
	proberings_enable(l.rings, true);
	while (nr_alarms < wanted) {
		if (set == nr_alarms) {
			set++;
			setitimer(ITIMER_REAL, &soon, NULL);
		}
		live_getppid(&calls);
		live_take(&l, count_own, nr);
		if (nr_alarms >= NR_ALARMS && nr[HARD_IRQS] >= WANTED && nr[SOFT_IRQS] >= WANTED)
			break;
	}
	setitimer(ITIMER_REAL, &never, NULL);
	live_close(&l);
}

static void try_all_ways(uint32_t prog_type)
{
	struct irqcontext irqs;
	size_t nr_ways = 0;

	for (size_t i = 0; i < NR_WAYS; i++) {
		int err = irqcontext_try(&irqs, ways[i]);
		uint32_t nr[NR_KINDS];

		print_message("# way %d: %s\n", (int)ways[i], err ? strerror(-err) : "works");
		if (err)
			continue;
		nr_ways++;
		run_into_timers(&irqs, prog_type, nr);
		print_message("# %d alarms; system calls, hard, soft interrupts: %u, %u, %u\n",
			      (int)nr_alarms, nr[OWN_CALLS], nr[HARD_IRQS], nr[SOFT_IRQS]);
		assert_int_equal(nr[OWN_CALLS], 0);
		assert_true(nr[HARD_IRQS] >= WANTED);
		assert_true(nr[SOFT_IRQS] >= WANTED);
	}
	if (!nr_ways && irqcontext_try(&irqs, IRQCONTEXT_VARIABLE) == -EPERM)
		skip();
	assert_true(nr_ways > 0);
	assert_int_equal(irqcontext_find(&irqs), 0);
}

static void by_raw_programs(void **state)
{
	(void)state;
	try_all_ways(BPF_PROG_TYPE_RAW_TRACEPOINT);
}

static void by_typed_programs(void **state)
{
	(void)state;
	try_all_ways(BPF_PROG_TYPE_TRACING);
}

static void by_programs_of_perf_events(void **state)
{
	(void)state;
	try_all_ways(BPF_PROG_TYPE_TRACEPOINT);
}

static void unknown_is_left_out(void **state)
{
	const struct irqcontext unknown = { 0 };
	uint32_t nr[NR_KINDS];

	(void)state;
	run_into_timers(&unknown, BPF_PROG_TYPE_RAW_TRACEPOINT, nr);
	assert_true(nr_alarms >= NR_ALARMS);
	for (size_t i = 0; i < NR_KINDS; i++)
		assert_int_equal(nr[i], 0);
}

/* --- breakpoints -------------------------------------------------------------------------------- */

static int kprobe_type(void)
{
	FILE *f = fopen("/sys/bus/event_source/devices/kprobe/type", "re");
	int type = -1;

	if (f && fscanf(f, "%d", &type) != 1)
		type = -1;
	if (f)
		fclose(f);
	return type;
}

/*
 * Behind what ftrace patches, a kprobe is a breakpoint, at least until the kernel finds
 * the time to make it a jump.
 */
static int attach_within(struct live_probe *lp, const char *function)
{
	struct perf_event_attr attr = {
		.type = (uint32_t)kprobe_type(), .config1 = (uint64_t)(uintptr_t)function,
	};
	int err = -ENOENT;

	for (attr.config2 = 12; err && attr.config2 < 40; attr.config2++)
		err = live_attach_perf(lp, &attr, 0);
	return err;
}

static uint32_t calls_by_breakpoint(const struct irqcontext *irqs, bool left_out)
{
	uint32_t nr[1] = { 0 };
	struct live_probe *lp;
	long calls = NR_CALLS;
	struct live l;

	leave_out_self(&l, irqs);
	if (!left_out)
		l.env.target.not_pid = 0;
	lp = live_add(&l, "getppid", BPF_PROG_TYPE_KPROBE);
	lp->by_hand = true;
	skip_if_impossible(&l, live_open(&l, RINGS_AUTO));
	if (attach_within(lp, GETPPID)) {
		live_close(&l);
		print_message("# skip: no kprobe within " GETPPID "\n");
		skip();
	}
	proberings_enable(l.rings, true);
	live_getppid(&calls);
	proberings_enable(l.rings, false);
	live_take(&l, count_own, nr);
	live_close(&l);
	return nr[0];
}

static void breakpoints_are_no_interrupts(void **state)
{
	(void)state;
	for (size_t i = 0; i < NR_WAYS; i++) {
		struct irqcontext irqs;

		if (irqcontext_try(&irqs, ways[i]))
			continue;
		assert_int_equal(calls_by_breakpoint(&irqs, false), NR_CALLS);
		assert_int_equal(calls_by_breakpoint(&irqs, true), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(by_raw_programs),
		cmocka_unit_test(by_typed_programs),
		cmocka_unit_test(by_programs_of_perf_events),
		cmocka_unit_test(unknown_is_left_out),
		cmocka_unit_test(breakpoints_are_no_interrupts),
	};

	return cmocka_run_group_tests_name("record/irqcontext", tests, NULL, NULL);
}
