#define _GNU_SOURCE
#include "record/proberings.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <time.h>

#include <cmocka.h>

#include "live_probes.h"

#define SMALL_RING (64 << 10)
#define NR_THREADS 2

static const enum proberings_way ways[] = { RINGS_MAPPED, RINGS_RINGBUF, RINGS_PERFBUF };
#define NR_WAYS 3

#define CTX(offset) { .op = FETCH_CTX, .size = 8, .value = offset }

static void skip_if_impossible(struct live *l, int err)
{
	if (!err)
		return;
	live_close(l);
	if (err == -EPERM || err == -EOPNOTSUPP) {
		print_message("# skip: %s\n", l->diag.text);
		skip();
	}
	fail_msg("%d: %s", err, l->diag.text);
}

/* Enter and exit of system calls. */
static int add_calls(struct live *l, struct live_probe **enter, struct live_probe **leave)
{
	int err = live_add_typed(l, "sys_enter", enter);

	if (!err)
		err = live_add_typed(l, "sys_exit", leave);
	if (err)
		return err;
	live_number(*enter, 8, CTX(8));
	live_number(*leave, 8, CTX(8));
	return 0;
}

static bool opens(struct live *l, enum proberings_way way)
{
	int err = live_open(l, way);

	if (err == -EOPNOTSUPP && way == RINGS_MAPPED) {
		print_message("# %s\n", l->diag.text);
		live_close(l);
		return false;
	}
	skip_if_impossible(l, err);
	return true;
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* --- what came --------------------------------------------------------------------------- */

#define MAX_CPUS 1024

struct seen {
	uint64_t by_probe[LIVE_MAX_PROBES];
	uint64_t bad_sizes, too_late, backwards;
	uint64_t least_bytes, most_bytes, until_ns;
	uint64_t last_ns[MAX_CPUS];
};

static void look_at(void *ctx, uint32_t cpu, const struct probe_record *rec)
{
	struct seen *s = ctx;

	assert_true(rec->probe < LIVE_MAX_PROBES && cpu < MAX_CPUS);
	s->by_probe[rec->probe]++;
	if (rec->size_bytes < s->least_bytes || rec->size_bytes > s->most_bytes ||
	    rec->size_bytes % 8)
		s->bad_sizes++;
	if (rec->time_ns > s->until_ns)
		s->too_late++;
	if (rec->time_ns < s->last_ns[cpu])
		s->backwards++;
	s->last_ns[cpu] = rec->time_ns;
}

static struct seen *new_seen(uint64_t least_bytes, uint64_t most_bytes)
{
	struct seen *s = calloc(1, sizeof(*s));

	assert_non_null(s);
	s->least_bytes = least_bytes;
	s->most_bytes = most_bytes;
	s->until_ns = UINT64_MAX;
	return s;
}

/* Whatever was read is zero again: nothing old can get into a new record. */
static void expect_clean(const struct live *l)
{
	const struct proberings_maps *m = &l->env.maps;
	size_t page_bytes = (size_t)sysconf(_SC_PAGESIZE), lane_bytes, dirty = 0;
	struct bpf_map_info info = { 0 };
	uint32_t info_bytes = sizeof(info);
	uint8_t *memory;

	if (l->env.way != RINGS_MAPPED)
		return;
	assert_int_equal(bpf_obj_get_info_by_fd(m->ring_fd, &info, &info_bytes), 0);
	lane_bytes = (info.value_size + 7) & ~(size_t)7;
	memory = mmap(NULL, (lane_bytes * m->nr_cpus + page_bytes - 1) & ~(page_bytes - 1),
		      PROT_READ, MAP_SHARED, m->ring_fd, 0);
	assert_ptr_not_equal(memory, MAP_FAILED);
	for (uint32_t cpu = 0; cpu < m->nr_cpus; cpu++)
		for (size_t i = PROBERINGS_DATA; i < lane_bytes; i++)
			dirty += memory[cpu * lane_bytes + i] != 0;
	munmap(memory, (lane_bytes * m->nr_cpus + page_bytes - 1) & ~(page_bytes - 1));
	assert_int_equal(dirty, 0);
}

/* --- full rings ---------------------------------------------------------------------------- */

static void losses_are_exact(void **state)
{
	(void)state;
	for (size_t way = 0; way < NR_WAYS; way++) {
		struct seen *s = new_seen(32, 32);
		struct live_probe *enter, *leave;
		struct live_child child;
		struct live l;
		long nr = 40000;

		live_init(&l);
		l.cpu_bytes = SMALL_RING;
		skip_if_impossible(&l, add_calls(&l, &enter, &leave));
		if (!opens(&l, ways[way])) {
			free(s);
			continue;
		}
		child = live_fork(live_getppid, &nr);
		live_follow(&l, child.pid);
		proberings_enable(l.rings, true);
		assert_int_equal(live_join(&child), 0);
		live_detach(&l);
		assert_in_range(proberings_fill_percent(l.rings), 90, 100);
		live_take(&l, look_at, s);
		/* Its exit is entered, the end of its wait comes first. */
		assert_true(live_adds_up(&l, 0, s->by_probe[0], nr + 1, 0));
		assert_true(live_adds_up(&l, 1, s->by_probe[1], nr + 1, 0));
		assert_true(live_lost(&l, 0) > (uint64_t)nr / 2);
		assert_int_equal(s->bad_sizes + s->backwards, 0);
		assert_int_equal(proberings_fill_percent(l.rings), 0);
		expect_clean(&l);
		live_close(&l);
		free(s);
	}
}

static void records_wait_for_their_time(void **state)
{
	(void)state;
	for (size_t way = 0; way < NR_WAYS; way++) {
		struct seen *s = new_seen(32, 32);
		struct live_probe *enter, *leave;
		struct live l;
		long nr = 500;

		live_init(&l);
		skip_if_impossible(&l, add_calls(&l, &enter, &leave));
		if (!opens(&l, ways[way])) {
			free(s);
			continue;
		}
		proberings_enable(l.rings, true);
		for (int i = 0; i < 2; i++) {
			struct live_child child = live_fork(live_getppid, &nr);

			if (i)
				s->until_ns = now_ns();
			live_follow(&l, child.pid);
			assert_int_equal(live_join(&child), 0);
		}
		for (uint32_t lane = 0; lane < proberings_nr_lanes(l.rings); lane++)
			proberings_take(l.rings, lane, s->until_ns, look_at, s);
		assert_int_equal(s->by_probe[0], nr + 1);
		assert_int_equal(s->by_probe[1], nr + 1);
		assert_int_equal(s->too_late, 0);
		s->until_ns = UINT64_MAX;
		live_take(&l, look_at, s);
		assert_int_equal(s->by_probe[0] + s->by_probe[1], 4 * nr + 4);
		live_close(&l);
		free(s);
	}
}

/* --- reading while it is written -------------------------------------------------------------- */

struct crowd {
	long nr_calls;
	int cpu[NR_THREADS];		/* -1: any */
};

struct caller {
	const struct crowd *crowd;
	int nr;
};

static void *call_with_numbers(void *arg)
{
	const struct caller *c = arg;
	cpu_set_t one;

	CPU_ZERO(&one);
	if (c->crowd->cpu[c->nr] >= 0) {
		CPU_SET(c->crowd->cpu[c->nr], &one);
		sched_setaffinity(0, sizeof(one), &one);
	}
	for (long i = 0; i < c->crowd->nr_calls; i++)
		syscall(SYS_getppid, i, c->nr);
	return NULL;
}

static void run_crowd(void *ctx)
{
	struct caller callers[NR_THREADS];
	pthread_t threads[NR_THREADS];

	for (int i = 0; i < NR_THREADS; i++) {
		callers[i] = (struct caller){ ctx, i };
		pthread_create(&threads[i], NULL, call_with_numbers, &callers[i]);
	}
	for (int i = 0; i < NR_THREADS; i++)
		pthread_join(threads[i], NULL);
}

#ifdef __x86_64__
#define FIRST_ARG 112
#define SECOND_ARG 104
#else
#define FIRST_ARG 0
#define SECOND_ARG 8
#endif

struct sequence {
	uint64_t nr[NR_THREADS], next[NR_THREADS], backwards, nonsense, exits;
	bool in_order;
	long nr_calls;
};

static void follow_numbers(void *ctx, uint32_t cpu, const struct probe_record *rec)
{
	struct sequence *s = ctx;
	uint64_t id, n, thread;

	(void)cpu;
	memcpy(&id, rec->data, 8);
	if (rec->probe == 1) {
		s->exits++;
		return;
	}
	if (id != SYS_getppid)
		return;
	memcpy(&n, rec->data + 8, 8);
	memcpy(&thread, rec->data + 16, 8);
	if (thread >= NR_THREADS || n >= (uint64_t)s->nr_calls) {
		s->nonsense++;
		return;
	}
	if (s->in_order && n < s->next[thread])
		s->backwards++;
	s->next[thread] = n + 1;
	s->nr[thread]++;
}

static void read_crowd(struct live *l, struct crowd *crowd, struct sequence *s)
{
	struct live_child child = live_fork(run_crowd, crowd);
	struct timespec nap = { 0, 100000 };

	s->nr_calls = crowd->nr_calls;
	/* A thread stays on its CPU or the lanes are read one after the other. */
	s->in_order = crowd->cpu[0] >= 0;
	live_follow(l, child.pid);
	proberings_enable(l->rings, true);
	close(child.go_fd);
	while (waitpid(child.pid, NULL, WNOHANG) == 0) {
		live_take(l, follow_numbers, s);
		nanosleep(&nap, NULL);
	}
	live_detach(l);
	live_take(l, follow_numbers, s);
}

static void everything_is_accounted_for(enum proberings_way way, struct crowd *crowd,
					size_t cpu_bytes)
{
	struct live_probe *enter, *leave;
	uint64_t made = (uint64_t)crowd->nr_calls * NR_THREADS;
	struct sequence s = { 0 };
	struct live l;

	live_init(&l);
	l.cpu_bytes = cpu_bytes;
	skip_if_impossible(&l, add_calls(&l, &enter, &leave));
	live_number(enter, 8, CTX(0), { .op = FETCH_TYPED, .size = 8, .value = FIRST_ARG });
	live_number(enter, 8, CTX(0), { .op = FETCH_TYPED, .size = 8, .value = SECOND_ARG });
	if (!opens(&l, way))
		return;
	read_crowd(&l, crowd, &s);
	print_message("# %s, %zu bytes: %lu lost\n", proberings_way_name(l.rings), cpu_bytes,
		      live_lost(&l, 0) + live_lost(&l, 1));
	assert_int_equal(s.nonsense, 0);
	if (way == RINGS_MAPPED)
		assert_int_equal(s.backwards, 0);
	/* The C library makes some calls, too. */
	assert_true(live_adds_up(&l, 0, s.nr[0] + s.nr[1], made, 100));
	assert_true(live_adds_up(&l, 1, s.exits, made, 100));
	expect_clean(&l);
	live_close(&l);
}

static void threads_at_full_speed(void **state)
{
	struct crowd apart = { 100000, { -1, -1 } }, together = { 50000, { 0, 0 } };

	(void)state;
	for (size_t way = 0; way < NR_WAYS; way++) {
		/* Round and round a ring that is too small, and in one that is not. */
		everything_is_accounted_for(ways[way], &apart, SMALL_RING);
		everything_is_accounted_for(ways[way], &apart, 16 << 20);
		everything_is_accounted_for(ways[way], &together, SMALL_RING);
	}
}

/* --- interrupts --------------------------------------------------------------------------------- */

/* How often a program tries to get room in a ring before it gives up. */
#define NR_ATTEMPTS 8

/* Samples hit the programs of system calls in the middle, and go first. */
static void interrupts_nest(void **state)
{
	(void)state;
	for (size_t way = 0; way < NR_WAYS; way++) {
		struct perf_event_attr attr = {
			.type = PERF_TYPE_SOFTWARE, .config = PERF_COUNT_SW_CPU_CLOCK,
			.sample_period = 100000,
		};
		struct live_probe *enter, *leave, *sample;
		struct seen *s = new_seen(32, 2048);
		struct live_child child;
		struct live l;
		long nr = 40000;

		live_init(&l);
		l.cpu_bytes = 16 << 20;
		skip_if_impossible(&l, add_calls(&l, &enter, &leave));
		live_field(enter, RESULT_COMM, 0, 16, SPACE_ANY, NULL, 0);
		live_stacks(leave, true, false);
		sample = live_add(&l, "sample", BPF_PROG_TYPE_PERF_EVENT);
		sample->by_hand = true;
		live_stacks(sample, true, false);
		if (!opens(&l, ways[way])) {
			free(s);
			continue;
		}
		child = live_fork(live_getppid, &nr);
		sched_setaffinity(child.pid, sizeof(cpu_set_t), &(cpu_set_t){ { 1 } });
		live_follow(&l, child.pid);
		assert_int_equal(live_attach_perf(sample, &attr, 0), 0);
		proberings_enable(l.rings, true);
		close(child.go_fd);
		while (waitpid(child.pid, NULL, WNOHANG) == 0)
			live_take(&l, look_at, s);
		live_detach(&l);
		live_take(&l, look_at, s);
		print_message("# %lu samples\n", s->by_probe[2]);
		assert_true(live_adds_up(&l, 0, s->by_probe[0], nr + 1, 0));
		assert_true(live_adds_up(&l, 1, s->by_probe[1], nr + 1, 0));
		assert_true(s->by_probe[2] > 50);
		assert_int_equal(s->bad_sizes, 0);
		if (ways[way] == RINGS_MAPPED)
			assert_int_equal(s->backwards, 0);
		/*
		 * Who is interrupted by a sample at each of its attempts gives up.  Where all
		 * is emulated, a sample may take as long as until the next one.
		 */
		for (uint32_t probe = 0; probe < 3; probe++)
			assert_true(live_lost(&l, probe) * NR_ATTEMPTS <= s->by_probe[2]);
		expect_clean(&l);
		live_close(&l);
		free(s);
	}
}

/* --- sizes ------------------------------------------------------------------------------------------ */

static void large_records_need_room(void **state)
{
	struct proberings_opts opts = {
		.way = RINGS_PERFBUF, .cpu_bytes = 4096, .nr_probes = 1, .max_record_bytes = 70000,
	};
	struct proberings_maps maps;
	struct proberings *r;
	struct diag d = { "" };
	int err;

	(void)state;
	assert_true(proberings_open(&r, &opts, &d) < 0);
	assert_null(r);
	if (strstr(d.text, "CAP_BPF"))
		skip();
	assert_string_equal(d.text, "records of up to 70000 bytes are too large for perf buffers: "
			    "ask for fewer or shorter fields");
	opts.way = RINGS_AUTO;
	err = proberings_open(&r, &opts, &d);
	assert_int_equal(err, 0);
	proberings_maps(r, &maps);
	assert_true(maps.cpu_bytes >= 4 * opts.max_record_bytes);
	assert_int_equal(maps.cpu_bytes & (maps.cpu_bytes - 1), 0);
	assert_int_equal(proberings_fill_percent(r), 0);
	assert_int_equal(proberings_lost(r, 0, 0), 0);
	proberings_close(r);
	proberings_close(NULL);
}

/* A record that a program has not finished is still to come. */
static void a_begun_record_is_waited_for(void **state)
{
	struct proberings_opts opts = { .way = RINGS_MAPPED, .nr_probes = 1,
					.cpu_bytes = 65536, .max_record_bytes = 64 };
	struct seen *seen = new_seen(0, 1024);
	struct proberings_maps maps;
	struct probe_record *rec;
	struct proberings *r;
	struct diag d = { "" };
	uint8_t *lane;

	(void)state;
	if (proberings_open(&r, &opts, &d)) {
		print_message("# %s\n", d.text);
		free(seen);
		skip();
	}
	proberings_maps(r, &maps);
	lane = mmap(NULL, PROBERINGS_DATA + maps.cpu_bytes, PROT_READ | PROT_WRITE, MAP_SHARED,
		    maps.ring_fd, 0);
	assert_ptr_not_equal(lane, MAP_FAILED);
	assert_true(proberings_is_empty(r));
	*(uint64_t *)(void *)(lane + PROBERINGS_RESERVED) = 64;
	assert_int_equal(proberings_take(r, 0, UINT64_MAX, look_at, seen), 0);
	assert_false(proberings_is_empty(r));
	rec = (struct probe_record *)(void *)(lane + PROBERINGS_DATA);
	__atomic_store_n(&rec->size_bytes, 64, __ATOMIC_RELEASE);
	assert_int_equal(proberings_take(r, 0, UINT64_MAX, look_at, seen), 1);
	assert_true(proberings_is_empty(r));
	munmap(lane, PROBERINGS_DATA + maps.cpu_bytes);
	proberings_close(r);
	free(seen);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(losses_are_exact),
		cmocka_unit_test(records_wait_for_their_time),
		cmocka_unit_test(threads_at_full_speed),
		cmocka_unit_test(interrupts_nest),
		cmocka_unit_test(large_records_need_room),
		cmocka_unit_test(a_begun_record_is_waited_for),
	};

	return cmocka_run_group_tests_name("record/proberings", tests, NULL, NULL);
}
