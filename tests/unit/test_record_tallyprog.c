#define _GNU_SOURCE
#include "record/tallyprog.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/user.h>
#include <time.h>

#include <cmocka.h>

#include "format/buckets.h"
#include "live_tallies.h"
#include "record/tallymaps.h"

#define CTX(offset) { .op = FETCH_CTX, .size = 8, .value = offset }
#ifdef __x86_64__
#define ARG_OFFSET(n) ((n) == 0 ? offsetof(struct user_regs_struct, rdi) : \
				  offsetof(struct user_regs_struct, rsi))
#else
#define ARG_OFFSET(n) (8 * (n))
#endif
/* What the system call was given as argument n, in a typed program. */
#define ARG(n) CTX(0), { .op = FETCH_TYPED, .size = 8, .value = (int64_t)ARG_OFFSET(n) }

/* --- buckets in programs ------------------------------------------------------------------ */

static int load_bucket_program(bool is_signed)
{
	struct bpfcode c;
	int fd = -1;

	bpfcode_init(&c);
	bpfcode_load(&c, 8, BPF_REG_9, BPF_REG_1, 0);
	tallyprog_bucket(&c, is_signed);
	bpfcode_exit(&c);
	if (!bpfcode_finish(&c))
		fd = bpf_prog_load(BPF_PROG_TYPE_RAW_TRACEPOINT, "test_bucket", "GPL", c.insns,
				   c.nr, NULL);
	bpfcode_release(&c);
	return fd;
}

static int32_t run_bucket_program(int fd, uint64_t value)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts, .ctx_in = &value, .ctx_size_in = sizeof(value));

	assert_int_equal(bpf_prog_test_run_opts(fd, &opts), 0);
	return (int32_t)opts.retval;
}

static void check_bucket(const int fds[2], uint64_t value)
{
	assert_int_equal(run_bucket_program(fds[0], value), (int32_t)buckets_index(value));
	assert_int_equal(run_bucket_program(fds[1], value), buckets_signed_index((int64_t)value));
}

static void buckets_of_programs(void **state)
{
	const int fds[2] = { load_bucket_program(false), load_bucket_program(true) };
	uint64_t random = 88172645463325252;

	(void)state;
	if (fds[0] < 0) {
		print_message("# skip: no BPF programs here\n");
		skip();
	}
	assert_true(fds[1] >= 0);
	for (uint32_t i = 0; i <= BUCKETS_LAST; i++) {
		check_bucket(fds, buckets_low(i));
		check_bucket(fds, buckets_high(i));
		check_bucket(fds, -buckets_low(i));
		check_bucket(fds, -buckets_high(i));
	}
	for (int i = 0; i < 20000; i++) {
		random ^= random << 13;
		random ^= random >> 7;
		random ^= random << 17;
		check_bucket(fds, random >> (i % 64));
	}
	close(fds[0]);
	close(fds[1]);
}

static void open_enter(struct live *l, struct live_probe **enter)
{
	if (live_open_enter(l, enter)) {
		print_message("# skip: no typed tracepoints\n");
		skip();
	}
}

/* As on kernels whose programs can neither fetch and add nor compare and exchange. */
static bool without_atomics;

static int go_without(void **state)
{
	(void)state;
	without_atomics = true;
	return 0;
}

static int go_with(void **state)
{
	(void)state;
	without_atomics = false;
	return 0;
}

static int open_all(struct live *l)
{
	struct probes set = { .list = l->list, .nr = l->nr_probes };
	int err = 0;

	if (without_atomics)
		err = tally_open(&set, (uint32_t)libbpf_num_possible_cpus(), false, &l->diag);
	return err ? err : live_open(l, RINGS_AUTO);
}

static void start_tally(struct live *l, struct live_probe *lp, const char *text)
{
	int err = live_tally(l, lp, text);

	if (err)
		fail_msg("%s: %s", text, l->diag.text);
	err = open_all(l);
	if (err == -EPERM) {
		print_message("# skip: %s\n", l->diag.text);
		skip();
	}
	if (err)
		fail_msg("%d: %s", err, l->diag.text);
}

/* Lets the child work, and collects all the while if it is to. */
static void run_child(struct live *l, struct live_probe *lp, void (*work)(void *), void *ctx,
		      struct rows *r, bool all_the_while)
{
	struct live_child child = live_fork(work, ctx);
	int status = 0;

	assert_int_equal(live_follow(l, child.pid), 0);
	proberings_enable(l->rings, true);
	close(child.go_fd);
	while (all_the_while && waitpid(child.pid, &status, WNOHANG) == 0)
		rows_collect(r, lp->p.tally);
	if (!all_the_while)
		waitpid(child.pid, &status, 0);
	assert_int_equal(status, 0);
	live_detach(l);
	rows_collect(r, lp->p.tally);
	assert_int_equal(r->misplaced, 0);
}

/* --- sums ---------------------------------------------------------------------------------------- */

struct call {
	uint64_t key, value;
};

static const struct call calls[] = {
	{ 1, 0 }, { 1, 5 }, { 1, 5 }, { 1, 1000000 }, { 2, UINT64_MAX }, { 2, 1 },
	{ 3, (uint64_t)-70000 }, { 3, 3 }, { UINT64_MAX, 64 }, { UINT64_MAX, 128 },
	{ 4, (uint64_t)INT64_MIN }, { 4, INT64_MAX }, { 5, 0 }, { 6, 77 }, { 1, 4 },
};

#define NR_CALLS (sizeof(calls) / sizeof(*calls))

static void make_calls(void *ctx)
{
	(void)ctx;
	for (size_t i = 0; i < NR_CALLS; i++)
		syscall(SYS_getppid, calls[i].key, calls[i].value);
}

static uint64_t expected_in(uint64_t key, int32_t bucket, bool is_signed)
{
	uint64_t nr = 0;

	for (size_t i = 0; i < NR_CALLS; i++) {
		uint64_t v = calls[i].value;
		int32_t in = is_signed ? buckets_signed_index((int64_t)v) :
					 (int32_t)buckets_index(v);

		nr += calls[i].key == key && in == bucket;
	}
	return nr;
}

static void check_key(const struct rows *r, uint64_t key, bool has_values)
{
	struct kept_row all = rows_of_key(r, &key, sizeof(key)), expected = { 0 };

	for (size_t i = 0; i < NR_CALLS; i++) {
		uint64_t v = calls[i].value;

		if (calls[i].key != key)
			continue;
		if (!expected.count || row_is_less(r, v, expected.least))
			expected.least = v;
		if (!expected.count || row_is_less(r, expected.most, v))
			expected.most = v;
		expected.sum += v;
		expected.count++;
	}
	assert_true(expected.count > 0);
	assert_int_equal(all.count, expected.count);
	assert_true(all.sum == (has_values ? expected.sum : 0));
	assert_true(all.least == (has_values ? expected.least : 0));
	assert_true(all.most == (has_values ? expected.most : 0));
}

static void check_sums(const char *text, bool is_signed)
{
	static const char *const names[] = { "key", "value" };
	static struct rows r;
	struct live_probe *enter;
	struct live l;
	bool histogram = strstr(text, "hist") != NULL;

	open_enter(&l, &enter);
	live_number(enter, 8, ARG(0));
	live_number(enter, 8, ARG(1));
	enter->fields[1].is_signed = is_signed;
	live_name_fields(enter, names);
	start_tally(&l, enter, text);
	r = (struct rows){ 0 };
	run_child(&l, enter, make_calls, NULL, &r, false);
	assert_int_equal(rows_hits(&r), NR_CALLS);
	for (size_t i = 0; i < NR_CALLS; i++)
		check_key(&r, calls[i].key, strstr(text, "value"));
	for (const struct kept_row *k = r.list; histogram && k < r.list + r.nr; k++) {
		uint64_t key;

		memcpy(&key, k->key, sizeof(key));
		assert_int_equal(k->count, expected_in(key, k->bucket, is_signed));
	}
	assert_int_equal(tally_lost(enter->p.tally) + tally_lost_buckets(enter->p.tally), 0);
	/* It is empty now. */
	r = (struct rows){ 0 };
	rows_collect(&r, enter->p.tally);
	assert_int_equal(r.nr, 0);
	live_close_tally(&l);
}

static void sums_are_exact(void **state)
{
	(void)state;
	check_sums("by=key", false);
	check_sums("by=key;sum=value", false);
	check_sums("by=key;sum=value", true);
	check_sums("by=key;hist=value", false);
	check_sums("by=key;hist=value", true);
}

static void narrow_fields_are_extended(void **state)
{
	static const char *const names[] = { "key", "value" };
	static struct rows r;
	struct live_probe *enter;
	const int64_t minus_2 = -2;
	struct live l;

	(void)state;
	open_enter(&l, &enter);
	live_number(enter, 1, { .op = FETCH_CONSTANT, .value = 0x12fe });
	live_number(enter, 2, { .op = FETCH_CONSTANT, .value = 0x12fff0 });
	enter->fields[0].is_signed = true;
	live_name_fields(enter, names);
	start_tally(&l, enter, "by=key;hist=value");
	r = (struct rows){ 0 };
	run_child(&l, enter, make_calls, NULL, &r, false);
	assert_int_equal(r.nr, 1);
	assert_memory_equal(r.list[0].key, &minus_2, sizeof(minus_2));
	assert_int_equal(r.list[0].least, 0xfff0);
	assert_int_equal(r.list[0].bucket, buckets_index(0xfff0));
	assert_int_equal(r.list[0].count, NR_CALLS);
	live_close_tally(&l);
}

static void without_a_key(void **state)
{
	static const char *const names[] = { "value" };
	static struct rows r;
	struct live_probe *enter;
	struct live l;

	(void)state;
	open_enter(&l, &enter);
	live_number(enter, 8, ARG(1));
	live_name_fields(enter, names);
	start_tally(&l, enter, "hist=value");
	r = (struct rows){ 0 };
	run_child(&l, enter, make_calls, NULL, &r, false);
	assert_int_equal(rows_hits(&r), NR_CALLS);
	live_close_tally(&l);
}

/* Its value was in the row before, and so no limit of the next one is that of no value. */
static void counted_after_its_value(void **state)
{
	static const char *const names[] = { "value" };
	static struct rows before, after;
	struct live_probe *enter;
	struct live l;

	(void)state;
	open_enter(&l, &enter);
	live_number(enter, 8, ARG(1));
	live_name_fields(enter, names);
	start_tally(&l, enter, "sum=value");
	before = after = (struct rows){ 0 };
	run_child(&l, enter, make_calls, NULL, &before, false);
	enter->p.tally->maps->counters[0].count = 1;
	rows_collect(&after, enter->p.tally);
	assert_int_equal(after.nr, 1);
	assert_int_equal(after.list[0].count, 1);
	assert_int_equal(after.list[0].least, before.list[0].least);
	assert_int_equal(after.list[0].most, before.list[0].most);
	live_close_tally(&l);
}

/* --- many threads ----------------------------------------------------------------------------- */

#define NR_THREADS 4
#define NR_OF_THREAD 10000
#define NR_KEYS 50

static void *call_many(void *arg)
{
	uintptr_t thread = (uintptr_t)arg;

	for (uint64_t i = 0; i < NR_OF_THREAD; i++)
		syscall(SYS_getppid, i % NR_KEYS, (i * 7 + thread) % 4096);
	return NULL;
}

static void call_from_threads(void *ctx)
{
	pthread_t threads[NR_THREADS];

	(void)ctx;
	for (uintptr_t i = 0; i < NR_THREADS; i++)
		pthread_create(&threads[i], NULL, call_many, (void *)i);
	for (int i = 0; i < NR_THREADS; i++)
		pthread_join(threads[i], NULL);
}

static void check_threads(const char *text, bool all_the_while)
{
	static const char *const names[] = { "key", "value" };
	static struct rows r;
	struct live_probe *enter;
	uint64_t sum = 0, all_sum = 0, hits;
	struct live l;

	open_enter(&l, &enter);
	live_number(enter, 8, ARG(0));
	live_number(enter, 8, ARG(1));
	live_name_fields(enter, names);
	start_tally(&l, enter, text);
	r = (struct rows){ 0 };
	run_child(&l, enter, call_from_threads, NULL, &r, all_the_while);
	hits = rows_hits(&r) + tally_lost(enter->p.tally) + tally_lost_buckets(enter->p.tally);
	assert_int_equal(tally_lost(enter->p.tally) + tally_lost_buckets(enter->p.tally), 0);
	assert_true(live_adds_up(&l, 0, hits, NR_THREADS * NR_OF_THREAD, 0));
	for (uint64_t key = 0; key < NR_KEYS; key++)
		sum += rows_of_key(&r, &key, sizeof(key)).sum;
	for (uint64_t thread = 0; thread < NR_THREADS; thread++)
		for (uint64_t i = 0; i < NR_OF_THREAD; i++)
			all_sum += (i * 7 + thread) % 4096;
	if (!probeprog_missed(&enter->v))
		assert_int_equal(sum, all_sum);
	live_close_tally(&l);
}

static void threads_are_summed(void **state)
{
	(void)state;
	check_threads("by=key;hist=value", false);
	check_threads("by=key;sum=value", false);
}

/* Nothing is counted twice or not at all. */
static void collected_while_running(void **state)
{
	(void)state;
	check_threads("by=key;hist=value", true);
	check_threads("by=key;sum=value", true);
}

/* --- keys of text -------------------------------------------------------------------------------- */

static const char *const texts[] = { "", "a", "a name of some length", "a name that is one byte",
				     "a very long text which is cut at the end of its room" };

static void call_with_texts(void *ctx)
{
	(void)ctx;
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		char text[64];

		/* A program cannot wait for a page that this process has not seen yet. */
		snprintf(text, sizeof(text), "%s", texts[i]);
		prctl(PR_SET_NAME, i % 2 ? "odd" : "even, and long");
		for (size_t k = 0; k <= i; k++)
			syscall(SYS_getppid, text);
	}
	/* Before the program of the page: it cannot be read. */
	syscall(SYS_getppid, 4096);
}

static void texts_are_keys(void **state)
{
	static const char *const names[] = { "text", "comm" };
	static struct rows r;
	struct live_probe *enter;
	struct live l;

	(void)state;
	open_enter(&l, &enter);
	live_field(enter, RESULT_STRING, 0, 24, SPACE_USER, LIVE_STEPS(ARG(0)));
	live_field(enter, RESULT_COMM, 0, 16, SPACE_ANY, NULL, 0);
	live_name_fields(enter, names);
	start_tally(&l, enter, "by=comm,text");
	assert_int_equal(enter->p.tally->key_bytes, 16 + 24);
	r = (struct rows){ 0 };
	run_child(&l, enter, call_with_texts, NULL, &r, false);
	assert_int_equal(r.nr, sizeof(texts) / sizeof(*texts));
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		char key[40] = "";

		strcpy(key, i % 2 ? "odd" : "even, and long");
		strncpy(key + 16, texts[i], 23);
		/* What cannot be read is empty. */
		assert_int_equal(rows_of_key(&r, key, sizeof(key)).count, i + 1 + (i == 0));
	}
	live_close_tally(&l);
}

/* --- stacks ---------------------------------------------------------------------------------------- */

static void call_from_places(void *ctx)
{
	(void)ctx;
	for (int i = 0; i < 30; i++) {
		syscall(SYS_getppid);
		if (i % 3 == 0)
			getppid();
	}
}

static void stacks_are_keys(void **state)
{
	static const char *const names[] = { "kstack", "ustack", "pid" };
	uint64_t ips[PROBE_MAX_STACK], counts[2] = { 0, 0 };
	static struct rows r;
	struct live_probe *enter;
	struct live l;

	(void)state;
	open_enter(&l, &enter);
	live_number(enter, 8, { .op = FETCH_KERNEL_STACK });
	live_number(enter, 8, { .op = FETCH_USER_STACK });
	live_number(enter, 8, { .op = FETCH_PID });
	for (size_t i = 0; i < 2; i++)
		enter->fields[i].is_signed = enter->fields[i].is_stack = true;
	live_name_fields(enter, names);
	start_tally(&l, enter, "by=stack");
	r = (struct rows){ 0 };
	run_child(&l, enter, call_from_places, NULL, &r, false);
	assert_int_equal(rows_hits(&r) + tally_lost(enter->p.tally), 40);
	for (size_t i = 0; i < r.nr; i++) {
		bool from_syscall;
		int64_t ids[2];
		int nr;

		memcpy(ids, r.list[i].key, sizeof(ids));
		nr = tally_stack(enter->p.tally, ids[0], ips);
		assert_true(nr > 0 && (int64_t)ips[0] < 0);
		nr = tally_stack(enter->p.tally, ids[1], ips);
		assert_true(nr > 0);
		from_syscall = ips[0] - (uintptr_t)syscall < 128;
		assert_true(from_syscall || ips[0] - (uintptr_t)getppid < 64);
		counts[from_syscall] += r.list[i].count;
	}
	if (!tally_lost(enter->p.tally)) {
		assert_int_equal(r.nr, 2);
		assert_int_equal(counts[1], 30);
	}
	assert_int_equal(tally_stack(enter->p.tally, -EFAULT, ips), -EFAULT);
	assert_int_equal(tally_stack(enter->p.tally, 1 << 30, ips), -ENOENT);
	live_close_tally(&l);
}

/* Not through the C library. */
static void call_directly(void)
{
#ifdef __x86_64__
	long result = SYS_getppid;

	__asm__ volatile("syscall" : "+a"(result) : : "rcx", "r11", "memory");
#else
	register long nr __asm__("x8") = SYS_getppid;
	register long result __asm__("x0");

	__asm__ volatile("svc 0" : "=r"(result) : "r"(nr) : "memory");
#endif
}

static void call_from_three_places(void *ctx)
{
	(void)ctx;
	for (int i = 0; i < 10; i++) {
		syscall(SYS_getppid);
		getppid();
		call_directly();
	}
}

/* Three stacks where there is room for two: none is taken for another one. */
static void stacks_without_room(void **state)
{
	static const char *const names[] = { "ustack", "pid" };
	uint64_t ips[2][PROBE_MAX_STACK];
	static struct rows r;
	struct live_probe *enter;
	struct live l;

	(void)state;
	open_enter(&l, &enter);
	live_number(enter, 8, { .op = FETCH_USER_STACK });
	live_number(enter, 8, { .op = FETCH_PID });
	enter->fields[0].is_signed = enter->fields[0].is_stack = true;
	live_name_fields(enter, names);
	assert_int_equal(live_tally(&l, enter, "by=ustack"), 0);
	enter->p.tally->max_stacks = 1;
	assert_int_equal(open_all(&l), 0);
	r = (struct rows){ 0 };
	run_child(&l, enter, call_from_three_places, NULL, &r, false);
	assert_int_equal(r.nr, 2);
	for (size_t i = 0; i < 2; i++) {
		int64_t id;

		memcpy(&id, r.list[i].key, sizeof(id));
		assert_int_equal(r.list[i].count, 10);
		assert_true(tally_stack(enter->p.tally, id, ips[i]) > 0);
	}
	assert_true(ips[0][0] != ips[1][0]);
	assert_int_equal(tally_lost(enter->p.tally), 10);
	live_close_tally(&l);
}

/* --- no room ----------------------------------------------------------------------------------------- */

#define NR_DIFFERENT 20000

static void call_with_keys(void *ctx)
{
	(void)ctx;
	for (uint64_t i = 0; i < NR_DIFFERENT; i++)
		syscall(SYS_getppid, i, i << 40 | i << 7);
}

static void keys_without_room(void **state)
{
	static const char *const names[] = { "key", "value" };
	static struct rows r;
	struct live_probe *enter;
	struct live l;

	(void)state;
	open_enter(&l, &enter);
	live_number(enter, 8, ARG(0));
	live_number(enter, 8, ARG(1));
	live_name_fields(enter, names);
	start_tally(&l, enter, "by=key;hist=value;keys=100");
	r = (struct rows){ 0 };
	run_child(&l, enter, call_with_keys, NULL, &r, false);
	assert_int_equal(r.nr, 100);
	assert_int_equal(rows_hits(&r), 100);
	assert_int_equal(tally_lost(enter->p.tally), NR_DIFFERENT - 100);
	assert_int_equal(tally_lost_buckets(enter->p.tally), 0);
	live_close_tally(&l);
}

static void buckets_without_room(void **state)
{
	static const char *const names[] = { "key", "value" };
	static struct rows r;
	struct live_probe *enter;
	struct kept_row k;
	uint64_t zero = 0, lost;
	struct live l;

	(void)state;
	open_enter(&l, &enter);
	live_number(enter, 8, { .op = FETCH_CONSTANT });
	live_number(enter, 8, ARG(1));
	live_name_fields(enter, names);
	assert_int_equal(live_tally(&l, enter, "by=key;hist=value"), 0);
	enter->p.tally->max_buckets = 64;
	assert_int_equal(open_all(&l), 0);
	r = (struct rows){ 0 };
	run_child(&l, enter, call_with_keys, NULL, &r, false);
	lost = tally_lost_buckets(enter->p.tally);
	assert_int_equal(r.nr, 64);
	assert_int_equal(rows_hits(&r) + lost, NR_DIFFERENT);
	assert_int_equal(tally_lost(enter->p.tally), 0);
	/* What is not counted is not in the sums. */
	k = rows_of_key(&r, &zero, sizeof(zero));
	assert_true(k.most < UINT64_C(64) << 41);
	live_close_tally(&l);
}

/* --- several tallies ------------------------------------------------------------------------------------ */

static void tallies_share_their_maps(void **state)
{
	static const char *const names[] = { "key", "value" };
	static struct rows r;
	struct live_probe *probes[2] = { NULL };
	long nr = 500;
	struct live l;

	(void)state;
	live_init(&l);
	for (size_t i = 0; i < 2; i++) {
		if (live_add_typed(&l, i ? "sys_exit" : "sys_enter", &probes[i])) {
			print_message("# skip: no typed tracepoints\n");
			skip();
		}
		live_number(probes[i], 8, { .op = FETCH_PID });
		live_number(probes[i], 8, { .op = FETCH_CONSTANT, .value = i ? 1000 : 10 });
		live_name_fields(probes[i], names);
	}
	assert_int_equal(live_tally(&l, probes[0], "by=key;hist=value"), 0);
	start_tally(&l, probes[1], "by=key;hist=value");
	assert_ptr_equal(probes[0]->p.tally->maps, probes[1]->p.tally->maps);
	r = (struct rows){ 0 };
	run_child(&l, probes[1], live_getppid, &nr, &r, false);
	assert_int_equal(r.nr, 1);
	assert_int_equal(r.list[0].bucket, buckets_index(1000));
	assert_true(r.list[0].count >= (uint64_t)nr && r.list[0].count < (uint64_t)nr + 10);
	r = (struct rows){ 0 };
	rows_collect(&r, probes[0]->p.tally);
	assert_int_equal(r.nr, 1);
	assert_int_equal(r.list[0].bucket, 10);
	assert_true(r.list[0].count >= (uint64_t)nr && r.list[0].count < (uint64_t)nr + 10);
	live_close_tally(&l);
}

/* --- spans ------------------------------------------------------------------------------------------- */

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void durations_and_starts(void **state)
{
	static const char *const start_names[] = { "id", "comm", "text" };
	static const char *const end_names[] = { "result" };
	static struct rows r;
	struct live_probe *start = NULL, *end = NULL;
	uint64_t key[4] = { SYS_getppid }, hits = 0, most_ns;
	struct live l;

	(void)state;
	live_init(&l);
	if (live_add_span(&l, "sys_enter", "sys_exit", &start, &end)) {
		print_message("# skip: no typed tracepoints\n");
		skip();
	}
	live_number(start, 8, CTX(8));
	live_field(start, RESULT_COMM, 0, 16, SPACE_ANY, NULL, 0);
	live_field(start, RESULT_STRING, 0, 24, SPACE_USER, LIVE_STEPS(ARG(0)));
	live_span_middle(end);
	live_number(end, 8, CTX(8));
	live_by_thread(start, end);
	live_name_fields(start, start_names);
	live_name_fields(end, end_names);
	start_tally(&l, end, "by=id,text;hist");
	r = (struct rows){ 0 };
	most_ns = now_ns();
	run_child(&l, end, call_with_texts, NULL, &r, false);
	most_ns = now_ns() - most_ns;
	assert_int_equal(tally_lost(end->p.tally), 0);
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		struct kept_row k;

		memset(key + 1, 0, 24);
		strncpy((char *)(key + 1), texts[i], 23);
		k = rows_of_key(&r, key, sizeof(key));
		assert_int_equal(k.count, i + 1 + (i == 0));
		assert_true(k.least > 0 && k.least <= k.most && k.most < most_ns);
		assert_true(k.sum >= k.most && k.sum <= k.most * k.count);
		hits += k.count;
	}
	assert_int_equal(hits, 16);
	live_close_tally(&l);
}

#define without(f) { #f ", without atomics", f, go_without, go_with, NULL }

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(buckets_of_programs),
		cmocka_unit_test(sums_are_exact),
		cmocka_unit_test(narrow_fields_are_extended),
		cmocka_unit_test(without_a_key),
		cmocka_unit_test(counted_after_its_value),
		cmocka_unit_test(threads_are_summed),
		cmocka_unit_test(collected_while_running),
		cmocka_unit_test(texts_are_keys),
		cmocka_unit_test(stacks_are_keys),
		cmocka_unit_test(stacks_without_room),
		cmocka_unit_test(keys_without_room),
		cmocka_unit_test(buckets_without_room),
		cmocka_unit_test(tallies_share_their_maps),
		cmocka_unit_test(durations_and_starts),
		without(sums_are_exact),
		without(threads_are_summed),
		without(collected_while_running),
		without(keys_without_room),
		without(buckets_without_room),
		without(tallies_share_their_maps),
	};

	return cmocka_run_group_tests_name("record/tallyprog", tests, NULL, NULL);
}
