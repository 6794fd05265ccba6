#include "record/sampler.h"

#include <linux/perf_event.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>

#include <cmocka.h>

#include "live_recording.h"

/* Literals as argv: nobody writes into them. */
#pragma GCC diagnostic ignored "-Wdiscarded-qualifiers"

#define FREQUENCY_HZ 3999
#define NOBODY 65534

static char *load[] = { "/proc/self/exe", "load", NULL };

static void skip_if_denied(const struct recording *r, int err)
{
	if (err && r->denied) {
		print_message("# skip: %s\n", r->diag.text);
		skip();
	}
	if (err)
		fail_msg("%s", r->diag.text);
}

static bool counts_hold(const struct recording *r)
{
	double expected = r->cpu_s * (double)r->frequency_hz;
	double got = (double)(r->samples + r->lost);

	print_message("# %.3f s of CPU, %.0f samples expected, %.0f came, %.0f lost\n", r->cpu_s,
		      expected, (double)r->samples, (double)r->lost);
	assert_true(expected > 1000);
	/*
	 * Timers of CPUs hit each stretch of running once more or less often
	 * than its length says: on a busy machine there are some hundreds.
	 */
	return fabs(got - expected) <= 0.02 * expected + 30;
}

/*
 * A hypervisor that takes a CPU away bends its timers or its accounts, and the
 * two no longer agree; three times in a row it does not.
 */
static void record_counted(struct recording *r)
{
	const struct recording asked = *r;
	bool holds = false;

	for (int tries = 0; tries < 3 && !holds; tries++) {
		*r = asked;
		skip_if_denied(r, record_load(r, load));
		holds = counts_hold(r);
	}
	assert_true(holds);
}

static void expect_tasks(const struct recording *r)
{
	const size_t processes = LOAD_CHILDREN + 1;

	assert_int_equal(r->status, 0);
	assert_true(r->nr_pids >= processes);
	assert_true(r->nr_tids >= processes * (LOAD_THREADS + 1));
	assert_int_equal(r->bad_order, 0);
	/* Threads of the load are deep in its stack nearly all the time. */
	assert_true(r->deep_stacks > r->samples / 2);
	if (!r->user_only)
		assert_true(r->kernel_stacks > r->samples / 20);
	else
		assert_int_equal(r->kernel_stacks, 0);
}

/* The short-lived child of the load: all that is known of it comes in time. */
static void expect_messages(const struct recording *r)
{
	static const char args[] = "true\0one\0two words\0";
	const struct message_task *exec = NULL, *fork = NULL;
	size_t at = 0, threads = 0;

	for (size_t i = 0; i < r->nr_execs; i++) {
		if (strcmp(r->execs[i].comm, "true") == 0) {
			exec = &r->execs[i];
			at = i;
		}
	}
	assert_non_null(exec);
	assert_int_equal(exec->args_bytes, sizeof(args));
	assert_memory_equal(r->args[at], args, sizeof(args));
	assert_int_equal(exec->args_cut, 0);
	assert_int_equal(exec->parent_pid, r->root_pid);
	assert_int_equal(exec->m.pid, exec->m.tid);
	assert_int_equal(exec->ns_pid, exec->m.pid);
	assert_true(exec->cgroup_id > 0);
	for (size_t i = 0; i < r->nr_forks; i++) {
		if (r->forks[i].m.tid == exec->m.tid)
			fork = &r->forks[i];
		threads += r->forks[i].m.tid != r->forks[i].m.pid;
	}
	assert_non_null(fork);
	assert_int_equal(fork->parent_pid, r->root_pid);
	assert_int_equal(fork->ns_pid, fork->m.pid);
	assert_int_equal(fork->cgroup_id, exec->cgroup_id);
	assert_true(fork->m.time_ns < exec->m.time_ns);
	/* Sanitizers may add some of theirs. */
	assert_true(threads >= (LOAD_CHILDREN + 1) * LOAD_THREADS);
	/* Of the load and of no other process on the machine. */
	for (size_t i = 0; i < r->nr_execs; i++)
		assert_true(r->execs[i].m.pid == r->root_pid ||
			    r->execs[i].parent_pid == r->root_pid);
	assert_int_equal(r->lost_tasks, 0);
}

static bool kernel_knows_build_ids(void)
{
	struct perf_event_attr attr = {
		.size = sizeof(attr), .type = PERF_TYPE_SOFTWARE,
		.config = PERF_COUNT_SW_DUMMY, .disabled = 1, .exclude_kernel = 1,
		.mmap = 1, .mmap2 = 1, .build_id = 1,
	};
	int fd = (int)syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static void expect_notes(const struct recording *r)
{
	/* Two programs, the C library twice, the loader twice at least. */
	assert_true(r->notes[NOTE_MMAP] >= 6);
	if (kernel_knows_build_ids())
		assert_true(r->build_ids >= 6);
	assert_true(r->exec_names >= 1);
	assert_true(r->notes[NOTE_FORK] >= LOAD_CHILDREN + 1 + (LOAD_CHILDREN + 1) * LOAD_THREADS);
	assert_true(r->notes[NOTE_EXIT] >= r->notes[NOTE_FORK] / 2);
	assert_int_equal(r->early_notes, 0);
}

static void samples_through(enum sampler_transport transport)
{
	struct recording *r = calloc(1, sizeof(*r));

	assert_non_null(r);
	r->transport = transport;
	r->frequency_hz = FREQUENCY_HZ;
	record_counted(r);
	assert_int_equal(r->transport, transport);
	assert_string_equal(r->note, "");
	assert_int_equal(r->lost, 0);
	expect_tasks(r);
	if (transport != SAMPLER_PERF_MMAP)
		expect_messages(r);
	expect_notes(r);
	free(r);
}

static void ring_buffer_delivers_everything(void **state)
{
	(void)state;
	samples_through(SAMPLER_RING_BUFFER);
}

static void perf_buffer_delivers_everything(void **state)
{
	(void)state;
	samples_through(SAMPLER_PERF_BUFFER);
}

static void perf_mmap_delivers_everything(void **state)
{
	(void)state;
	if (geteuid()) {
		print_message("# skip: not root\n");
		skip();
	}
	samples_through(SAMPLER_PERF_MMAP);
}

/* Each lives for a fraction of the period: what counts is the sum. */
static void short_lives_are_sampled(void **state)
{
	char *command[] = { "sh", "-c",
		"i=0; while [ $i -lt 400 ]; do /bin/true; i=$((i+1)); done", NULL };
	struct recording *r = calloc(1, sizeof(*r));
	double expected;

	(void)state;
	assert_non_null(r);
	r->transport = SAMPLER_RING_BUFFER;
	r->frequency_hz = 499;
	skip_if_denied(r, record_load(r, command));
	expected = r->cpu_s * (double)r->frequency_hz;
	print_message("# %.0f samples expected, %.0f came\n", expected, (double)r->samples);
	/* Five standard deviations, and what is spent before exec and after exit. */
	assert_true((double)r->samples >= 0.8 * expected - 5 * sqrt(expected));
	assert_true((double)r->samples <= 1.05 * expected + 5 * sqrt(expected));
	assert_true(r->nr_pids > 1);
	free(r);
}

static void losses_are_counted(void **state)
{
	static const enum sampler_transport transports[] = {
		SAMPLER_RING_BUFFER, SAMPLER_PERF_BUFFER, SAMPLER_PERF_MMAP,
	};

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct recording *r = calloc(1, sizeof(*r));

		assert_non_null(r);
		r->transport = transports[i];
		r->frequency_hz = FREQUENCY_HZ;
		r->buffer_bytes = 16384;
		r->starve = true;
		record_counted(r);
		assert_true(r->samples > 0);
		assert_true(r->lost > r->samples);
		free(r);
	}
}

/* In a process of its own: rights that are given up do not come back. */
static int record_as_nobody(void)
{
	struct recording *r = calloc(1, sizeof(*r));
	int err;

	if (!r || setgid(NOBODY) < 0 || setuid(NOBODY) < 0)
		return 1;
	/* Else the command would be protected from its own recorder. */
	prctl(PR_SET_DUMPABLE, 1);
	r->frequency_hz = FREQUENCY_HZ;
	err = record_load(r, load);
	if (err && r->denied) {
		print_message("# skip: %s\n", r->diag.text);
		return 2;
	}
	if (err)
		fail_msg("%s", r->diag.text);
	assert_int_equal(r->transport, SAMPLER_PERF_MMAP);
	assert_true(r->user_only);
	assert_string_equal(r->note, "not allowed to load BPF programs: sampling this command in "
			    "user space through perf_event_open (run as root or with CAP_BPF and "
			    "CAP_PERFMON for kernel stacks)");
	assert_int_equal(r->lost, 0);
	assert_true(r->samples > 100);
	expect_tasks(r);
	expect_notes(r);
	free(r);
	return 0;
}

static void ordinary_user_samples_his_command(void **state)
{
	int status;
	pid_t pid;

	(void)state;
	pid = fork();
	if (!pid)
		_exit(record_as_nobody());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 2)
		skip();
	assert_int_equal(status, 0);
}

static void refusals_are_named(void **state)
{
	const struct sampled nonsense = {
		.name = "nonsense", .perf_type = PERF_TYPE_RAW, .perf_config = 0xffffffffffff,
		.period = 1000, .unit = "",
	};
	struct sampler_opts opts = {
		.events = &nonsense, .nr_events = 1, .transport = SAMPLER_PERF_MMAP,
	};
	char *command[] = { "true", NULL };
	struct diag d = { "" };
	struct sampler *s = NULL;
	struct target t;

	(void)state;
	assert_int_equal(target_open(&t, &(struct target_opts){ .command = command }, NULL), 0);
	assert_true(sampler_open(&s, &opts, &t, &d) < 0);
	assert_null(s);
	assert_non_null(strstr(d.text, "event 'nonsense'"));
	opts.nr_events = SAMPLE_MAX_EVENTS + 1;
	d.text[0] = '\0';
	assert_int_equal(sampler_open(&s, &opts, &t, &d), -E2BIG);
	assert_string_equal(d.text, "at most 16 events can be sampled at a time");
	target_release(&t);
}

static void frequency_is_lowered_to_the_limit(void **state)
{
	struct recording *r = calloc(1, sizeof(*r));

	(void)state;
	assert_non_null(r);
	r->transport = SAMPLER_PERF_MMAP;
	r->frequency_hz = 2000000000;
	skip_if_denied(r, record_load(r, (char *[]){ "true", NULL }));
	assert_non_null(strstr(r->note, "frequency lowered from 2000000000 to the kernel's limit"));
	free(r);
}

static void events_are_found_by_name(void **state)
{
	struct diag d = { "" };
	const char *name;
	struct sampled s;
	bool is_clock;

	(void)state;
	assert_int_equal(sampled_parse(&s, "no-such-event", &d), -ENOENT);
	assert_non_null(strstr(d.text, "unknown event 'no-such-event'"));
	assert_int_equal(sampled_parse(&s, "", NULL), -ENOENT);
	assert_int_equal(sampled_parse(&s, "rxyz", NULL), -ENOENT);
	assert_int_equal(sampled_parse(&s, "cycles:x", NULL), -EINVAL);
	assert_int_equal(sampled_parse(&s, "cpu", NULL), 0);
	assert_true(strcmp(s.name, "cycles") == 0 || strcmp(s.name, "cpu-clock") == 0);
	for (size_t i = 0; (name = sampled_name_at(i, &is_clock)); i++) {
		assert_int_equal(sampled_parse(&s, name, NULL), 0);
		assert_string_equal(s.name, name);
		assert_true(!s.frequency_hz != !s.period);
		assert_int_equal(is_clock, !strcmp(s.unit, "ns"));
	}
}

static void modifiers_and_raw_events_are_understood(void **state)
{
	struct sampled s;

	(void)state;
	assert_int_equal(sampled_parse(&s, "cycles:u", NULL), 0);
	assert_string_equal(s.name, "cycles:u");
	assert_true(s.exclude_kernel && s.exclude_hv && !s.exclude_user);
	assert_int_equal(sampled_parse(&s, "instructions:kpp", NULL), 0);
	assert_true(!s.exclude_kernel && s.exclude_user);
	assert_int_equal(s.precise, 2);
	assert_int_equal(sampled_parse(&s, "r1a8", NULL), 0);
	assert_int_equal(s.perf_type, PERF_TYPE_RAW);
	assert_int_equal(s.perf_config, 0x1a8);
	assert_true(sampled_is_name("cpu:u") && sampled_is_name("r0"));
	assert_false(sampled_is_name("sched:sched_switch"));
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(events_are_found_by_name),
		cmocka_unit_test(modifiers_and_raw_events_are_understood),
		cmocka_unit_test(refusals_are_named),
		cmocka_unit_test(ring_buffer_delivers_everything),
		cmocka_unit_test(perf_buffer_delivers_everything),
		cmocka_unit_test(perf_mmap_delivers_everything),
		cmocka_unit_test(short_lives_are_sampled),
		cmocka_unit_test(losses_are_counted),
		cmocka_unit_test(ordinary_user_samples_his_command),
		cmocka_unit_test(frequency_is_lowered_to_the_limit),
	};

	if (argc == 2 && strcmp(argv[1], "load") == 0)
		return load_main();
	return cmocka_run_group_tests_name("record/sampler", tests, NULL, NULL);
}
