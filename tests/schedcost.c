/*
 * What the scheduler's programs cost: two processes that hand a byte to each other through
 * pipes, on one CPU (each hand-over is a switch) or on two (each is a wakeup, and the CPU
 * goes idle between).
 *
 *   schedcost [-c ROUNDS] [-r REPEATS] [-2] [-a] [-w mapped|ringbuf|perfbuf]
 *   schedcost [-x SETUP] [-a] COMMAND...		another load
 *   schedcost -l [-c ROUNDS] [-2]	the load alone, for other recorders
 */
#define _GNU_SOURCE
#include "record/schedprog.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>

#define MAX_REPEATS 32

struct load {
	long rounds;
	bool two_cpus;
	char **command;		/* instead */
};

struct setup {
	const char *name;
	bool recorded, kernel_stack, user_stack, check;
	uint64_t min_ns;
};

static const struct setup setups[] = {
	{ "nothing", false, false, false, false, 0 },
	{ "without stacks", true, false, false, false, 0 },
	{ "--min 1s", true, false, false, false, 1000000000 },
	{ "kernel stacks", true, true, false, false, 0 },
	{ "user stacks", true, false, true, false, 0 },
	{ "both stacks", true, true, true, false, 0 },
	{ "both stacks, checked", true, true, true, true, 0 },
};

#define NR_SETUPS (sizeof(setups) / sizeof(*setups))

struct run {
	double ns;		/* a switch */
	double reader_ns;	/* of CPU time, a record */
	unsigned long records;
	struct schedprog_counts counts;
};

static double seconds(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* --- the load ------------------------------------------------------------------------- */

static void stay_on(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	sched_setaffinity(0, sizeof(set), &set);
}

/* ns per hand-over. */
static double run_load(const struct load *load)
{
	int there[2], back[2];
	char c = 0;
	double began;
	pid_t pid;

	if (load->command) {
		execvp(load->command[0], load->command);
		return 0;
	}
	if (pipe(there) < 0 || pipe(back) < 0)
		return 0;
	stay_on(0);
	pid = fork();
	if (!pid) {
		if (load->two_cpus)
			stay_on(1);
		while (read(there[0], &c, 1) == 1 && write(back[1], &c, 1) == 1 && c != 1)
			;
		_exit(0);
	}
	began = seconds(CLOCK_MONOTONIC);
	for (long i = 1; i <= load->rounds; i++) {
		c = i == load->rounds;
		if (write(there[1], &c, 1) != 1 || read(back[0], &c, 1) != 1)
			break;
	}
	began = seconds(CLOCK_MONOTONIC) - began;
	waitpid(pid, NULL, 0);
	return began * 1e9 / (double)load->rounds / 2;
}

/* --- recording it ------------------------------------------------------------------------ */

static void look_at(void *ctx, uint32_t cpu, const struct probe_record *rec)
{
	uint64_t *sum = ctx;

	*sum += rec->time_ns ^ cpu;
}

static unsigned long take(struct proberings *rings)
{
	unsigned long nr = 0;
	uint64_t sum = 0;

	for (uint32_t lane = 0; lane < proberings_nr_lanes(rings); lane++)
		nr += proberings_take(rings, lane, UINT64_MAX, look_at, &sum);
	return nr;
}

static void print_frames(const char *which, const __u64 *ips, uint32_t nr)
{
	printf(" %s:", which);
	for (uint32_t i = 0; i < nr && i <= SCHED_MAX_STACK; i++)
		printf(" %lx", (unsigned long)ips[i]);
	printf("\n");
}

static void print_wrong(const struct schedprog *p, bool user)
{
	static struct sched_wrong w;

	if (schedprog_first_wrong(p, user, &w) || !w.fingerprint)
		return;
	printf("first wrong %s stack: fingerprint %lx, tid %u, pid %u, origin %u\n",
	       user ? "user" : "kernel", (unsigned long)w.fingerprint, w.tid, w.pid, w.origin);
	print_frames("now", w.now.ips, w.now.nr);
	print_frames("then", w.then.ips, user ? (uint32_t)w.now.hash : w.then.nr);
	if (!user)
		print_frames("words", w.words, 128);
}

static int measure(const struct setup *setup, const struct load *load, bool all, const char *use,
		   struct run *run)
{
	struct target target = { .all = all, .cgroup_fd = -1 };
	struct schedprog_opts opts = {
		.target = &target, .traced_fd = -1, .traced_tids_fd = -1, .cgroup_fd = -1,
		.kernel_stack = setup->kernel_stack, .user_stack = setup->user_stack,
		.min_ns = setup->min_ns, .check_stacks = setup->check, .use = use,
	};
	struct schedprog *p = NULL;
	struct diag d = { "" };
	int go[2], result[2], err = 0;
	double cpu;
	pid_t pid;

	memset(run, 0, sizeof(*run));
	if (pipe(go) < 0 || pipe(result) < 0)
		return -errno;
	pid = fork();
	if (!pid) {
		char c;

		if (read(go[0], &c, 1) == 1)
			run->ns = run_load(load);
		_exit(write(result[1], &run->ns, sizeof(run->ns)) != sizeof(run->ns));
	}
	if (!all) {
		const uint32_t key = (uint32_t)pid;
		const uint8_t on = 1;

		opts.traced_fd = bpf_map_create(BPF_MAP_TYPE_HASH, "traced", 4, 1, 64, NULL);
		bpf_map_update_elem(opts.traced_fd, &key, &on, 0);
	}
	if (setup->recorded)
		err = schedprog_open(&p, &opts, &d);
	if (p)
		err = schedprog_enable(p, &d);
	if (err)
		fprintf(stderr, "%s: %s\n", setup->name, d.text);
	cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
	if (write(go[1], "", 1) != 1)
		err = -EIO;
	while (waitpid(pid, NULL, WNOHANG) == 0) {
		struct timespec nap = { 0, 2000000 };

		if (p) {
			take(schedprog_stacks(p));
			run->records += take(schedprog_records(p));
		}
		nanosleep(&nap, NULL);
	}
	if (p) {
		schedprog_disable(p);
		run->records += take(schedprog_records(p));
		schedprog_get_counts(p, &run->counts);
		print_wrong(p, false);
		print_wrong(p, true);
	}
	cpu = seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu;
	run->reader_ns = run->records ? cpu * 1e9 / (double)run->records : 0;
	if (!err && !load->command && read(result[0], &run->ns, sizeof(run->ns)) != sizeof(run->ns))
		err = -EIO;
	close(go[0]);
	close(go[1]);
	close(result[0]);
	close(result[1]);
	if (opts.traced_fd >= 0)
		close(opts.traced_fd);
	schedprog_close(p);
	return err;
}

static int by_ns(const void *a, const void *b)
{
	const struct run *x = a, *y = b;

	return (x->ns > y->ns) - (x->ns < y->ns);
}

int main(int argc, char **argv)
{
	static struct run runs[NR_SETUPS][MAX_REPEATS];
	struct load load = { .rounds = 300000 };
	bool load_only = false, all = false;
	const char *use = NULL;
	size_t repeats = 3, only = 0;
	int opt;

	while ((opt = getopt(argc, argv, "+c:r:2alw:x:")) != -1) {
		if (opt == 'c')
			load.rounds = atol(optarg);
		else if (opt == 'r')
			repeats = strtoul(optarg, NULL, 10);
		else if (opt == '2')
			load.two_cpus = true;
		else if (opt == 'a')
			all = true;
		else if (opt == 'l')
			load_only = true;
		else if (opt == 'w')
			use = optarg;
		else if (opt == 'x')
			only = strtoul(optarg, NULL, 10);
		else
			return 2;
	}
	if (optind < argc)
		load.command = argv + optind;
	if (load.rounds < 1 || repeats < 1 || repeats > MAX_REPEATS)
		return 2;
	if (load_only) {
		printf("%.1f\n", run_load(&load));
		return 0;
	}
	for (size_t i = 0; i < repeats; i++)
		for (size_t s = 0; s < NR_SETUPS; s++)
			if ((s ? !only || s == only : !load.command) &&
			    measure(&setups[s], &load, all, use, &runs[s][i]))
				return 1;
	printf("%-22s %9s %9s %9s %8s %10s %10s %6s\n", "", "ns/switch", "added", "records", "lost",
	       "walked", "remembered", "reader");
	for (size_t s = 0; s < NR_SETUPS; s++) {
		const struct run *r = &runs[s][0];

		if (s && only && s != only)
			continue;
		qsort(runs[s], repeats, sizeof(*runs[s]), by_ns);
		printf("%-22s %9.1f %9.1f %9lu %8lu %10lu %10lu %6.1f\n", setups[s].name, r->ns,
		       r->ns - runs[0][0].ns, r->records, (unsigned long)r->counts.lost,
		       (unsigned long)r->counts.walked, (unsigned long)r->counts.remembered,
		       r->reader_ns);
		if (r->counts.wrong_kernel || r->counts.wrong_user || r->counts.unstable ||
		    r->counts.unchecked)
			printf("  wrong stacks %lu of the kernel, %lu of users; "
			       "%lu unstable, %lu unchecked\n",
			       (unsigned long)r->counts.wrong_kernel,
			       (unsigned long)r->counts.wrong_user,
			       (unsigned long)r->counts.unstable,
			       (unsigned long)r->counts.unchecked);
		if (r->counts.missed || r->counts.no_room || r->counts.no_wakeup)
			printf("  no wakeup %lu, missed %lu, no room %lu\n",
			       (unsigned long)r->counts.no_wakeup,
			       (unsigned long)r->counts.missed, (unsigned long)r->counts.no_room);
	}
	return 0;
}
