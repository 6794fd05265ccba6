/*
 * The scheduler's programs, live: what they tell of threads whose life is known.
 */
#define _GNU_SOURCE
#include "record/schedprog.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <cmocka.h>

#include "live_sched.h"

static void ping_pong(long rounds, int cpu)
{
	int there[2], back[2];
	char c = 0;
	pid_t pid;

	assert_int_equal(pipe(there), 0);
	assert_int_equal(pipe(back), 0);
	pid = fork();
	if (cpu >= 0) {
		cpu_set_t set;

		CPU_ZERO(&set);
		CPU_SET(cpu, &set);
		sched_setaffinity(0, sizeof(set), &set);
	}
	for (long i = 0; i < rounds; i++) {
		if (pid && (write(there[1], &c, 1) != 1 || read(back[0], &c, 1) != 1))
			break;
		if (!pid && (read(there[0], &c, 1) != 1 || write(back[1], &c, 1) != 1))
			break;
	}
	if (!pid)
		_exit(0);
	waitpid(pid, NULL, 0);
	close(there[0]);
	close(there[1]);
	close(back[0]);
	close(back[1]);
}

/*
 * On two CPUs, one of which may stand still, an answer may be there before it is waited for;
 * on one, each round takes two switches.
 */
#define NR_ROUNDS 1000

static void some_load(void)
{
	ping_pong(NR_ROUNDS, -1);
	for (int i = 0; i < 20; i++) {
		pid_t pid = fork();

		if (!pid) {
			execl("/bin/true", "true", (char *)NULL);
			_exit(1);
		}
		waitpid(pid, NULL, 0);
	}
	ping_pong(NR_ROUNDS, 0);
}

/* --- tests ------------------------------------------------------------------------------- */

static void test_conservation(void **state)
{
	struct recording r;

	(void)state;
	init(&r);
	record_load(&r, some_load, true);
	assert_true(r.nr >= 2 * NR_ROUNDS);
	assert_int_equal(r.counts.lost, 0);
	assert_int_equal(r.counts.no_room, 0);
	check_conservation(&r);
	release(&r);
}

/* Every thread of the machine has a record that begins at the start, and one at the end. */
static void test_start_and_end(void **state)
{
	size_t starts = 0, ends = 0, exits = 0, news = 0;
	uint64_t start_ns = 0, end_ns = 0;
	struct recording r;

	(void)state;
	init(&r);
	r.opts.kernel_stack = true;
	record_load(&r, some_load, true);
	for (size_t i = 0; i < r.nr; i++) {
		const struct sched_record *rec = &r.list[i];
		bool is_first = !i || rec[-1].tid != rec->tid;

		news += (rec->flags & SCHED_NEW) != 0;
		exits += (rec->flags & SCHED_EXIT) != 0;
		if (rec->flags & SCHED_EXIT)
			assert_int_equal(rec->off_ns, 0);
		if (rec->flags & SCHED_END) {
			ends++;
			assert_true(!end_ns || rec->time_ns == end_ns);
			end_ns = rec->time_ns;
		}
		if (is_first && !(rec->flags & SCHED_NEW)) {
			starts++;
			assert_true(rec->flags & SCHED_START);
			if (start_ns && begins_ns(rec) != start_ns)
				fprintf(stderr, "# tid %u of %u begins %ld ns later: %c, flags %x\n",
					rec->tid, rec->pid, (long)(begins_ns(rec) - start_ns),
					rec->state, rec->flags);
			assert_true(!start_ns || begins_ns(rec) == start_ns);
			start_ns = begins_ns(rec);
		}
		if ((rec->flags & SCHED_START) && rec->state == 'S')
			assert_true(rec->kernel_stack != 0);
	}
	assert_true(starts > 5);
	assert_true(ends > 5);
	assert_true(news >= 20);
	assert_true(exits >= 20);
	assert_in_range(start_ns, r.began_ns, r.ended_ns);
	assert_in_range(end_ns, start_ns, r.ended_ns);
	release(&r);
}

/* What a load tells of itself. */
struct story {
	uint32_t reader_tid, pid;
	uint64_t nap_began_ns, nap_ended_ns;
};

static int handed[2];
static struct story *story;

static void *reader_thread(void *arg)
{
	char c;

	__atomic_store_n(&story->reader_tid, (uint32_t)syscall(SYS_gettid), __ATOMIC_SEQ_CST);
	if (read(handed[0], &c, 1) != 1)
		_exit(1);
	return arg;
}

/*
 * Whether it has left its CPU to wait in read(): a thread that is about to, or that could
 * go on, is told as running.
 */
static bool waits_in_read(uint32_t tid)
{
	char path[64], text[64] = "";
	long number = -1;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/task/%u/syscall", tid);
	f = fopen(path, "re");
	if (!f)
		_exit(1);
	if (fgets(text, sizeof(text), f) && sscanf(text, "%ld", &number) != 1)
		number = -1;
	fclose(f);
	return number == SYS_read;
}

/* What it takes to be sure of a wait: one that was over before it began is none. */
static bool nap(long ns)
{
	const struct timespec t = { 0, ns };
	struct rusage before, after;

	getrusage(RUSAGE_THREAD, &before);
	story->nap_began_ns = now_ns();
	nanosleep(&t, NULL);
	story->nap_ended_ns = now_ns();
	getrusage(RUSAGE_THREAD, &after);
	return after.ru_nvcsw > before.ru_nvcsw;
}

/* Far apart, and from what a thread waits for its CPU: then that takes few tries. */
#define SHORT_NS 200000000
#define LONG_NS 400000000

/* A thread waits in a pipe until the other one, which naps meanwhile, writes to it. */
static void waits(void)
{
	pthread_t thread;

	story->pid = (uint32_t)getpid();
	while (!nap(SHORT_NS / 200) || story->nap_ended_ns - story->nap_began_ns >= SHORT_NS)
		;
	if (pipe(handed) < 0 || pthread_create(&thread, NULL, reader_thread, NULL))
		_exit(1);
	while (!__atomic_load_n(&story->reader_tid, __ATOMIC_SEQ_CST) ||
	       !waits_in_read(story->reader_tid))
		sched_yield();
	while (!nap(LONG_NS))
		;
	if (write(handed[1], "", 1) != 1)
		_exit(1);
	pthread_join(thread, NULL);
}

#define MOST_TRIES 10

/*
 * There are threads upon which the kernel shows nothing, neither a timer that wakes another one
 * nor to whom they give their CPU.  It is counted, and then the wait that is asked for may not
 * be told; but not each time.
 */
static void record_waits(struct recording *r, bool (*is_told)(const struct recording *r))
{
	story = mmap(NULL, sizeof(*story), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		     -1, 0);
	assert_ptr_not_equal(story, MAP_FAILED);
	for (int tries = 0; tries < MOST_TRIES; tries++) {
		if (tries)
			forget(r);
		*story = (struct story){ .pid = 0 };
		record_load(r, waits, false);
		assert_true(story->nap_ended_ns > 0);
		check_conservation(r);
		if (is_told(r) || !(r->counts.missed | r->counts.no_wakeup))
			break;
	}
	assert_true(is_told(r));
}

/* The wait of a thread whose end was seen: within the nap, or around it; NULL: there is none. */
static const struct sched_record *wait_of(const struct recording *r, uint32_t tid, bool is_around)
{
	const struct sched_record *found = NULL;

	for (size_t i = 0; i < r->nr; i++) {
		const struct sched_record *rec = &r->list[i];
		uint64_t off_at_ns = rec->time_ns - rec->off_ns;

		/* It may wait for a CPU before and after that. */
		if (rec->tid != tid || rec->state == 'R' || (rec->flags & SCHED_NO_WAKEUP))
			continue;
		if (is_around ? off_at_ns > story->nap_began_ns ||
				rec->time_ns < story->nap_ended_ns :
				off_at_ns < story->nap_began_ns ||
				rec->time_ns > story->nap_ended_ns)
			continue;
		assert_null(found);
		found = rec;
	}
	return found;
}

static bool tells_both_waits(const struct recording *r)
{
	return wait_of(r, story->reader_tid, true) && wait_of(r, story->pid, false) &&
	       (first_of(r, story->reader_tid)->flags & SCHED_NEW);
}

static void check_blocked(const struct sched_record *rec)
{
	assert_int_equal(rec->state, 'S');
	assert_true(rec->kernel_stack >= SCHED_FIRST_FINGERPRINT);
	assert_true(rec->user_stack >= SCHED_FIRST_FINGERPRINT);
	assert_true(rec->waker_kernel_stack >= SCHED_FIRST_FINGERPRINT);
}

static void test_waker(void **state)
{
	const struct sched_record *rec;
	struct recording r;

	(void)state;
	init(&r);
	r.opts.kernel_stack = r.opts.user_stack = true;
	record_waits(&r, tells_both_waits);
	for (size_t i = 0; i < r.nr; i++)
		assert_int_equal(r.list[i].pid, story->pid);
	rec = wait_of(&r, story->reader_tid, true);
	check_blocked(rec);
	assert_true(rec->off_ns - rec->runnable_ns >= story->nap_ended_ns - story->nap_began_ns);
	assert_int_equal(rec->waker_tid, story->pid);
	assert_int_equal(rec->waker_pid, story->pid);
	assert_int_equal(rec->waker_context, SCHED_WAKER_TASK);
	assert_true(rec->waker_user_stack >= SCHED_FIRST_FINGERPRINT);
	/* By a timer. */
	rec = wait_of(&r, story->pid, false);
	check_blocked(rec);
	assert_int_not_equal(rec->waker_context, SCHED_WAKER_TASK);
	assert_int_equal(rec->waker_user_stack, 0);
	assert_int_equal(first_of(&r, story->reader_tid)->waker_tid, story->pid);
	munmap(story, sizeof(*story));
	release(&r);
}

static uint64_t longest_ns(const struct recording *r)
{
	uint64_t ns = 0;

	for (size_t i = 0; i < r->nr; i++)
		if (r->list[i].off_ns > ns)
			ns = r->list[i].off_ns;
	return ns;
}

static bool tells_long_wait(const struct recording *r)
{
	return longest_ns(r) >= LONG_NS;
}

static void test_min(void **state)
{
	struct recording r;
	uint64_t skipped = 0;

	(void)state;
	init(&r);
	r.opts.min_ns = SHORT_NS;
	record_waits(&r, tells_long_wait);
	for (size_t i = 0; i < r.nr; i++) {
		skipped += r.list[i].skipped;
		if (!(r.list[i].flags & (SCHED_EXIT | SCHED_END)))
			assert_true(r.list[i].off_ns >= SHORT_NS);
	}
	assert_true(skipped > 0);
	munmap(story, sizeof(*story));
	release(&r);
}

static void many_switches(void)
{
	ping_pong(3000, 0);
}

/* Nobody reads, the rings overflow: the time of what is lost is in the last records. */
static void overflow(const char *use)
{
	struct recording r;
	struct held h;
	int status;

	init(&r);
	h = hold(many_switches);
	only(&r, h.pid);
	r.opts.cpu_bytes = 64 << 10;
	r.opts.use = use;
	begin(&r);
	let_go(&h);
	assert_int_equal(waitpid(h.pid, &status, 0), h.pid);
	close(h.go_fd);
	finish(&r);
	fprintf(stderr, "# %s: %zu records, %lu lost\n", use, r.nr, (unsigned long)r.counts.lost);
	assert_true(r.nr > 100);
	if (!strcmp(use, "mapped"))
		assert_true(r.counts.lost > 1000);
	check_conservation(&r);
	release(&r);
}

static void test_overflow_mapped(void **state)
{
	(void)state;
	overflow("mapped");
}

static void test_overflow_ringbuf(void **state)
{
	(void)state;
	overflow("ringbuf");
}

static void test_overflow_perfbuf(void **state)
{
	(void)state;
	overflow("perfbuf");
}

static void *sleeper(void *arg)
{
	const struct timespec nap = { 0, 100000 };

	for (int i = 0; i < 50; i++)
		nanosleep(&nap, NULL);
	return arg;
}

#if defined(__x86_64__)
static void nap_with_frame_pointer(uint64_t frame)
{
	const struct timespec nap = { 0, 20000 };
	long ret = SYS_nanosleep;

	asm volatile("push %%rbp\n\tmov %[frame], %%rbp\n\tsyscall\n\tpop %%rbp"
		     : "+a"(ret) : "D"(&nap), "S"(NULL), [frame] "d"(frame)
		     : "rcx", "r11", "memory");
}
#else
static void nap_with_frame_pointer(uint64_t frame)
{
	const struct timespec nap = { 0, 20000 };

	(void)frame;
	nanosleep(&nap, NULL);
}
#endif

#define PAGE_BYTES 4096
#define STRAY_PAGES 16

/* As code without frame pointers does: the register holds anything, and memory comes and goes. */
static void *stray(void *arg)
{
	char *pages = mmap(NULL, STRAY_PAGES * PAGE_BYTES, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	for (uint64_t i = 0; i < 1000; i++) {
		char *page = pages + i * 7 % STRAY_PAGES * PAGE_BYTES;

		nap_with_frame_pointer((uint64_t)page);
		*(volatile uint64_t *)page = (uint64_t)page + 64;
		nap_with_frame_pointer((uint64_t)page);
		nap_with_frame_pointer(i * 0x9e3779b97f4a7c15ull);
		madvise(page, PAGE_BYTES, MADV_DONTNEED);
	}
	munmap(pages, STRAY_PAGES * PAGE_BYTES);
	return arg;
}

static void stacks_load(void)
{
	pthread_t threads[8];

	for (int i = 0; i < 8; i++)
		pthread_create(&threads[i], NULL, i < 6 ? sleeper : stray, NULL);
	some_load();
	for (int i = 0; i < 8; i++)
		pthread_join(threads[i], NULL);
}

static void print_frames(const char *which, const __u64 *ips, uint32_t nr)
{
	fprintf(stderr, "#   %s:", which);
	for (uint32_t i = 0; i < nr && i <= SCHED_MAX_STACK; i++)
		fprintf(stderr, " %lx", (unsigned long)ips[i]);
	fprintf(stderr, "\n");
}

static void print_wrong(const struct recording *r, bool user)
{
	static struct sched_wrong w;

	if (schedprog_first_wrong(r->prog, user, &w) || !w.fingerprint)
		return;
	fprintf(stderr, "# wrong stack of %s: fingerprint %lx, tid %u, pid %u, origin %u\n",
		user ? "a user" : "the kernel", (unsigned long)w.fingerprint, w.tid, w.pid,
		w.origin);
	print_frames("now", w.now.ips, w.now.nr);
	print_frames("then", w.then.ips, user ? (uint32_t)w.now.hash : w.then.nr);
	if (!user)
		print_frames("words", w.words, sizeof(w.words) / sizeof(w.words[0]));
}

static void test_stacks(void **state)
{
	struct recording r;

	(void)state;
	init(&r);
	r.opts.kernel_stack = r.opts.user_stack = r.opts.check_stacks = true;
	record_load(&r, stacks_load, false);
	print_wrong(&r, false);
	print_wrong(&r, true);
	assert_int_equal(r.counts.wrong_kernel, 0);
	assert_int_equal(r.counts.wrong_user, 0);
	assert_int_equal(r.counts.unchecked, 0);
	assert_true(r.counts.remembered > 1000);
	assert_true(r.stacks > 10);
	release(&r);
}

/* The first two that this process may use; false: there are not as many. */
static bool find_two_cpus(int cpus[2])
{
	cpu_set_t allowed;
	int nr = 0;

	sched_getaffinity(0, sizeof(allowed), &allowed);
	for (int cpu = 0; cpu < CPU_SETSIZE && nr < 2; cpu++)
		if (CPU_ISSET(cpu, &allowed))
			cpus[nr++] = cpu;
	return nr == 2;
}

static void work_on(int cpu)
{
	const struct timespec nap = { 0, 100000 };
	uint64_t end_ns = now_ns() + 500000;
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	sched_setaffinity(0, sizeof(set), &set);
	while (now_ns() < end_ns)
		;
	nanosleep(&nap, NULL);
}

static void wander(void)
{
	int cpus[2];

	if (find_two_cpus(cpus))
		for (int i = 0; i < 100; i++)
			work_on(cpus[i % 2]);
}

/* Of one CPU: time on it is never told of another one, wherever the thread was since. */
static void test_chosen_cpu(void **state)
{
	struct recording r;
	size_t nr_busy = 0;
	int cpus[2];

	(void)state;
	if (!find_two_cpus(cpus))
		skip();
	init(&r);
	r.target.some_cpus = true;
	r.target.cpus = &cpus[1];
	r.target.nr_cpus = 1;
	record_load(&r, wander, false);
	for (size_t i = 0; i < r.nr; i++) {
		if (!r.list[i].on_ns)
			continue;
		assert_int_equal(r.list[i].from_cpu, cpus[1]);
		nr_busy++;
	}
	assert_true(nr_busy > 20);
	release(&r);
}

static void execs(void)
{
	execl("/bin/true", "true", (char *)NULL);
}

/* A command is recorded from its exec on. */
static void test_exec(void **state)
{
	const uint8_t off = 0;
	struct recording r;
	uint32_t key;
	struct held h;

	(void)state;
	init(&r);
	h = hold(execs);
	only(&r, h.pid);
	key = (uint32_t)h.pid;
	bpf_map_update_elem(r.traced_fd, &key, &off, 0);
	begin(&r);
	let_go(&h);
	wait_for(&r, &h);
	finish(&r);
	assert_true(r.nr > 0);
	assert_true(r.list[r.nr - 1].flags & SCHED_EXIT);
	assert_false(r.list[0].flags & SCHED_START);
	assert_int_equal(r.list[0].tid, key);
	check_conservation(&r);
	release(&r);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_conservation),
		cmocka_unit_test(test_start_and_end),
		cmocka_unit_test(test_waker),
		cmocka_unit_test(test_min),
		cmocka_unit_test(test_overflow_mapped),
		cmocka_unit_test(test_overflow_ringbuf),
		cmocka_unit_test(test_overflow_perfbuf),
		cmocka_unit_test(test_stacks),
		cmocka_unit_test(test_chosen_cpu),
		cmocka_unit_test(test_exec),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
