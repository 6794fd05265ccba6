#define _GNU_SOURCE
#include "record/spanmaps.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "live_spans.h"

/* --- keys ----------------------------------------------------------------------------------- */

static void nest(void *ctx)
{
	(void)ctx;
	for (long round = 0; round < 3; round++) {
		for (long i = 0; i < 10; i++)
			start_key(i);
		for (long i = 10; i-- > 0;)
			end_key(i);
	}
}

/* As the calls of a function that calls itself: the last to start is the first to end. */
static void spans_nest(void **state)
{
	(void)state;
	for (size_t way = 0; way < NR_WAYS; way++) {
		/* Put together on the stack of the program, or in the table. */
		for (int in_place = 0; in_place < 2; in_place++) {
			struct live_probe *start = NULL, *end = NULL;
			struct kept k;
			struct live l;

			open_keyed(&l, &start, &end);
			live_keys(end, start, { .op = FETCH_TID });
			end->p.span->by_thread = end->p.span->by_frame = true;
			if (in_place)
				live_field(start, RESULT_STRING, 0, 64, SPACE_ANY,
					   LIVE_STEPS(ARG(1)));
			live_span_middle(end);
			if (!opens(&l, way))
				continue;
			record_child(&l, nest, NULL, &k);
			assert_int_equal(k.nr, 30);
			for (size_t i = 0; i < k.nr; i++) {
				assert_int_equal(number_of(start, k.list[i], 0), KEY(9 - i % 10));
				if (i % 10)
					assert_true(duration_of(k.list[i]) >
						    duration_of(k.list[i - 1]));
			}
			assert_int_equal(counts_of(&l, 0).replaced, 0);
			assert_int_equal(counts_of(&l, 0).no_room, 0);
			forget_records(&k);
			close_all(&l);
		}
	}
}

static void use_twice(void *ctx)
{
	(void)ctx;
	for (int i = 0; i < 5; i++) {
		start_key(1);
		syscall(SYS_getppid, 7, KEY(1), 0);
		end_key(1);
		end_key(1);
	}
	start_key(2);
	start_key(3);
}

static void last_start_counts(void **state)
{
	(void)state;
	for (int in_place = 0; in_place < 2; in_place++) {
		struct live_probe *start = NULL, *end = NULL;
		struct kept k;
		struct live l;

		open_keyed(&l, &start, &end);
		live_number(start, 8, ARG(0));
		if (in_place)
			live_field(start, RESULT_COMM, 0, 16, SPACE_ANY, NULL, 0);
		live_span_middle(end);
		skip_if_impossible(&l, live_open(&l, RINGS_AUTO));
		record_child(&l, use_twice, NULL, &k);
		assert_int_equal(k.nr, 5);
		for (size_t i = 0; i < k.nr; i++)
			assert_int_equal(number_of(start, k.list[i], 1), 7);
		assert_int_equal(counts_of(&l, 0).replaced, 5);
		assert_int_equal(counts_of(&l, 0).no_start, 0);
		assert_int_equal(spanmaps_open_starts(l.spanmaps, 0), 2);
		assert_int_equal(spanmaps_open_starts(l.spanmaps, 0), 2);
		forget_records(&k);
		close_all(&l);
	}
}

static void call_others(void *ctx)
{
	(void)ctx;
	for (int i = 0; i < 5; i++)
		syscall(SYS_getuid);
	call_getppid(1, 2);
}

static void ends_without_start(void **state)
{
	(void)state;
	for (int chosen = 0; chosen < 2; chosen++) {
		struct live_probe *start = NULL, *end = NULL;
		struct kept k;
		struct live l;

		open_getppid(&l, &start, &end);
		live_span_middle(end);
		end->p.span->starts_are_chosen = chosen;
		skip_if_impossible(&l, live_open(&l, RINGS_AUTO));
		record_child(&l, call_others, NULL, &k);
		assert_int_equal(k.nr, 1);
		/* The read in which the child waits is one more. */
		assert_int_equal(counts_of(&l, 0).no_start, chosen ? 0 : 6);
		forget_records(&k);
		close_all(&l);
	}
}

/* --- threads -------------------------------------------------------------------------------- */

/* What a thread of another process left, which had the same number. */
static void leave_start(const struct live *l, pid_t tid)
{
	struct spanmaps_table table;
	struct spanmaps_start *start;
	uint64_t key = (uint64_t)tid;

	spanmaps_table(l->spanmaps, 0, &table);
	start = calloc(1, table.value_bytes);
	assert_non_null(start);
	start->task = key | (key + 1) << 32;
	start->time_ns = 1;
	assert_int_equal(bpf_map_update_elem(table.fd, &key, start, BPF_NOEXIST), 0);
	free(start);
}

static void numbers_of_threads_come_again(void **state)
{
	struct live_probe *start = NULL, *end = NULL;
	struct kept k = { .nr = 0 };
	struct live_child child;
	struct live l;

	(void)state;
	open_getppid(&l, &start, &end);
	live_span_middle(end);
	end->p.span->starts_are_chosen = false;
	skip_if_impossible(&l, live_open(&l, RINGS_AUTO));
	child = live_fork(call_others, NULL);
	assert_int_equal(live_follow(&l, child.pid), 0);
	leave_start(&l, child.pid);
	proberings_enable(l.rings, true);
	assert_int_equal(live_join(&child), 0);
	live_detach(&l);
	live_take(&l, keep_record, &k);
	assert_int_equal(k.nr, 1);
	assert_true(duration_of(k.list[0]) < k.list[0]->time_ns - 1);
	assert_int_equal(counts_of(&l, 0).no_start, 6);
	assert_int_equal(counts_of(&l, 0).replaced, 1);
	forget_records(&k);
	close_all(&l);
}

static void *end_elsewhere(void *arg)
{
	*(long *)arg = syscall(SYS_gettid);
	end_key(1);
	return NULL;
}

static void hand_over(void *ctx)
{
	pthread_t thread;
	long tid;

	start_key(1);
	pthread_create(&thread, NULL, end_elsewhere, &tid);
	pthread_join(thread, NULL);
	if (write(*(int *)ctx, &tid, sizeof(tid)) != sizeof(tid))
		_exit(1);
}

static void task_of_either_side(void **state)
{
	(void)state;
	for (int of_end = 0; of_end < 2; of_end++) {
		struct live_probe *start = NULL, *end = NULL;
		struct kept k = { .nr = 0 };
		struct live_child child;
		struct live l;
		int ends[2];
		long tid;

		open_keyed(&l, &start, &end);
		live_span_middle(end);
		end->p.span->task_of_end = of_end;
		skip_if_impossible(&l, live_open(&l, RINGS_AUTO));
		assert_int_equal(pipe(ends), 0);
		child = live_fork(hand_over, &ends[1]);
		assert_int_equal(live_follow(&l, child.pid), 0);
		proberings_enable(l.rings, true);
		assert_int_equal(live_join(&child), 0);
		live_detach(&l);
		assert_int_equal(read(ends[0], &tid, sizeof(tid)), sizeof(tid));
		live_take(&l, keep_record, &k);
		assert_int_equal(k.nr, 1);
		assert_int_equal(k.list[0]->pid, child.pid);
		assert_int_equal(k.list[0]->tid, of_end ? tid : child.pid);
		forget_records(&k);
		close(ends[0]);
		close(ends[1]);
		close_all(&l);
	}
}

#define NR_THREADS 40
#define CALLS_OF_THREAD 200

static void *call_as_thread(void *arg)
{
	for (long i = 0; i < CALLS_OF_THREAD; i++)
		call_getppid(syscall(SYS_gettid), (long)arg);
	return NULL;
}

static void run_threads(void *ctx)
{
	pthread_t threads[NR_THREADS];

	(void)ctx;
	for (long i = 0; i < NR_THREADS; i++)
		pthread_create(&threads[i], NULL, call_as_thread, (void *)i);
	for (long i = 0; i < NR_THREADS; i++)
		pthread_join(threads[i], NULL);
}

struct by_thread {
	const struct live_probe *start;
	uint64_t nr[NR_THREADS], wrong;
};

static void count_by_thread(void *ctx, uint32_t cpu, const struct probe_record *rec)
{
	struct by_thread *b = ctx;
	uint64_t thread = number_of(b->start, rec, 1);

	(void)cpu;
	if (thread >= NR_THREADS || number_of(b->start, rec, 0) != rec->tid)
		b->wrong++;
	else
		b->nr[thread]++;
}

static void threads_do_not_mix(void **state)
{
	(void)state;
	for (size_t way = 0; way < NR_WAYS; way++) {
		struct live_probe *start = NULL, *end = NULL;
		struct by_thread by = { .wrong = 0 };
		uint64_t nr = 0;
		struct live_child child;
		struct live l;

		open_getppid(&l, &start, &end);
		live_span_middle(end);
		if (!opens(&l, way))
			continue;
		child = live_fork(run_threads, NULL);
		assert_int_equal(live_follow(&l, child.pid), 0);
		proberings_enable(l.rings, true);
		assert_int_equal(live_join(&child), 0);
		live_detach(&l);
		by.start = start;
		live_take(&l, count_by_thread, &by);
		assert_int_equal(by.wrong, 0);
		for (size_t i = 0; i < NR_THREADS; i++) {
			assert_in_range(by.nr[i], 0, CALLS_OF_THREAD);
			nr += by.nr[i];
		}
		/* Where programs can be preempted, the kernel leaves some out. */
		nr += probeprog_missed(&start->v) + probeprog_missed(&end->v);
		assert_true(nr >= NR_THREADS * CALLS_OF_THREAD);
		assert_int_equal(live_lost(&l, 0), 0);
		close_all(&l);
	}
}

/* --- idle threads --------------------------------------------------------------------------- */

struct softirqs {
	const struct live_probe *start, *end;
	uint64_t nr, wrong, idle_cpus;
};

static void check_softirq(void *ctx, uint32_t cpu, const struct probe_record *rec)
{
	struct softirqs *s = ctx;

	if (number_of(s->start, rec, 0) != number_of(s->end, rec, 0) ||
	    number_of(s->start, rec, 1) != cpu)
		s->wrong++;
	if (!rec->tid && cpu < 64)
		s->idle_cpus |= UINT64_C(1) << cpu;
	s->nr++;
}

static bool has_entry(const struct live *l, uint64_t key)
{
	struct spanmaps_table table;
	void *value;
	int err;

	spanmaps_table(l->spanmaps, 0, &table);
	value = malloc(table.value_bytes);
	assert_non_null(value);
	err = bpf_map_lookup_elem(table.fd, &key, value);
	free(value);
	return !err;
}

/* The idle threads of all CPUs have the number 0, and yet each is one of its own. */
static void idle_threads_do_not_mix(void **state)
{
	struct live_probe *start = NULL, *end = NULL;
	struct spanmaps_counts counts;
	struct softirqs s = { 0 };
	struct live l;

	(void)state;
	live_init(&l);
	skip_if_impossible(&l, live_add_span(&l, "softirq_entry", "softirq_exit", &start, &end));
	live_by_thread(start, end);
	live_number(start, 4, { .op = FETCH_CTX, .size = 4, .value = 0 });
	live_number(start, 4, { .op = FETCH_CPU });
	live_span_middle(end);
	live_number(end, 4, { .op = FETCH_CTX, .size = 4, .value = 0 });
	l.traced_only = false;
	skip_if_impossible(&l, live_open(&l, RINGS_AUTO));
	proberings_enable(l.rings, true);
	s = (struct softirqs){ .start = start, .end = end };
	/* A machine with so much to do that nothing idles has nothing to mix. */
	while (s.nr < 100 || (!s.idle_cpus && s.nr < 1000)) {
		live_take(&l, check_softirq, &s);
		usleep(1000);
	}
	/* Starts and ends at once: they are detached one after the other. */
	proberings_enable(l.rings, false);
	live_detach(&l);
	assert_int_equal(s.wrong, 0);
	assert_int_equal(counts_of(&l, 0).replaced, 0);
	assert_false(has_entry(&l, 0));
	for (uint32_t cpu = 0; cpu < 64; cpu++)
		if (s.idle_cpus >> cpu & 1)
			assert_true(has_entry(&l, SPANMAPS_IDLE_THREAD | cpu));
	/* Those that had begun before, and whose starts the kernel could not run or keep. */
	counts = counts_of(&l, 0);
	assert_in_range(counts.no_start, 0, l.env.maps.nr_cpus + counts.no_room +
			probeprog_missed(&start->p.variants[0]));
	close_all(&l);
}

/* --- families ------------------------------------------------------------------------------- */

static const long family[] = { SYS_getppid, SYS_getuid, SYS_gettid };
#define NR_FAMILY 3

static void call_family(void *ctx)
{
	(void)ctx;
	for (int i = 0; i < 12; i++)
		syscall(family[i % NR_FAMILY], 0, i);
}

/* Calls of the second do not seem to return, as execve and exit do not. */
static void family_shares_a_table(void **state)
{
	(void)state;
	for (size_t way = 0; way < NR_WAYS; way++) {
		struct live_probe *start = NULL, *end = NULL;
		struct spanmaps_table tables[NR_FAMILY];
		struct spanmaps_start *waits;
		struct live_child child;
		struct kept k = { .nr = 0 };
		struct live l;
		uint64_t key;

		live_init(&l);
		for (int i = 0; i < NR_FAMILY; i++) {
			char filter[32];

			skip_if_impossible(&l, live_add_span(&l, "sys_enter", "sys_exit", &start,
							     &end));
			live_by_thread(start, end);
			end->p.span->family = 1;
			end->p.span->starts_are_chosen = true;
			snprintf(filter, sizeof(filter), "id == %ld", family[i]);
			set_filter(start, filter);
			for (int n = 0; n <= i; n++)
				live_number(start, 8, ARG(1));
			live_span_middle(end);
		}
		if (!opens(&l, way))
			continue;
		for (uint32_t i = 0; i < NR_FAMILY; i++)
			spanmaps_table(l.spanmaps, i, &tables[i]);
		assert_int_equal(tables[0].fd, tables[2].fd);
		assert_int_equal(tables[0].value_bytes, 56);
		live_detach_one(&l.probes[1]);
		child = live_fork(call_family, NULL);
		waits = calloc(1, tables[0].value_bytes);
		assert_non_null(waits);
		waits->time_ns = 1;
		waits->probe = 2;
		key = (uint64_t)child.pid;
		assert_int_equal(bpf_map_update_elem(tables[0].fd, &key, waits, BPF_ANY), 0);
		assert_int_equal(spanmaps_open_starts(l.spanmaps, 1), 0);
		assert_int_equal(spanmaps_open_starts(l.spanmaps, 2), 1);
		waits->probe = 1;
		assert_int_equal(bpf_map_update_elem(tables[0].fd, &key, waits, BPF_ANY), 0);
		free(waits);
		assert_int_equal(live_follow(&l, child.pid), 0);
		proberings_enable(l.rings, true);
		assert_int_equal(live_join(&child), 0);
		live_detach(&l);
		live_take(&l, keep_record, &k);
		assert_int_equal(k.nr, 8);
		for (size_t i = 0; i < k.nr; i++) {
			assert_int_equal(k.list[i]->probe, i % 2 ? 2 : 0);
			assert_int_equal(number_at(k.list[i], 8, 8), i / 2 * 3 + (i % 2 ? 2 : 0));
		}
		/* The one from before, and those whose end is not attached. */
		assert_int_equal(counts_of(&l, 1).replaced, 5);
		assert_int_equal(counts_of(&l, 0).replaced + counts_of(&l, 2).replaced, 0);
		forget_records(&k);
		close_all(&l);
	}
}

/* --- full tables ------------------------------------------------------------------------------- */

/* Threads that cannot be: numbers above those that the kernel gives. */
static size_t fill_table(const struct live *l, size_t nr_waiting)
{
	struct spanmaps_table table;
	struct spanmaps_start *start;
	size_t nr = 0;

	spanmaps_table(l->spanmaps, 0, &table);
	start = calloc(1, table.value_bytes);
	assert_non_null(start);
	for (;;) {
		uint64_t key = 0x40000000 + nr;

		start->task = key;
		start->time_ns = nr < nr_waiting;
		if (bpf_map_update_elem(table.fd, &key, start, BPF_NOEXIST) < 0)
			break;
		nr++;
	}
	free(start);
	return nr;
}

static void full_tables_are_swept(void **state)
{
	struct live_probe *start = NULL, *end = NULL;
	struct stat st;
	struct live l;
	struct kept k;

	(void)state;
	open_getppid(&l, &start, &end);
	live_span_middle(end);
	skip_if_impossible(&l, live_open(&l, RINGS_AUTO));
	assert_in_range(fill_table(&l, 3), 1024, 65536);
	spanmaps_sweep(l.spanmaps);
	assert_int_equal(spanmaps_open_starts(l.spanmaps, 0), 3);
	record_child(&l, call_few, NULL, &k);
	assert_int_equal(k.nr, 0);
	assert_int_equal(counts_of(&l, 0).no_room, 10);
	spanmaps_sweep(l.spanmaps);
	if (stat("/proc/self/ns/pid", &st) == 0 && st.st_ino == 0xeffffffcu) {
		assert_int_equal(counts_of(&l, 0).replaced, 3);
		assert_int_equal(spanmaps_open_starts(l.spanmaps, 0), 0);
		assert_int_equal(live_attach(start) | live_attach(end), 0);
		record_child(&l, call_few, NULL, &k);
		assert_int_equal(k.nr, 10);
		assert_int_equal(counts_of(&l, 0).no_room, 10);
		forget_records(&k);
	}
	close_all(&l);
}

static void use_keys(void *ctx)
{
	(void)ctx;
	for (long i = 0; i < 10; i++) {
		start_key(i);
		end_key(i);
	}
}

static time_t seconds_up(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec;
}

/* Where keys are no threads, nobody knows which of them will never come again. */
static void old_starts_make_room(void **state)
{
	struct live_probe *start = NULL, *end = NULL;
	struct live l;
	struct kept k;
	size_t nr;

	(void)state;
	open_keyed(&l, &start, &end);
	live_span_middle(end);
	skip_if_impossible(&l, live_open(&l, RINGS_AUTO));
	/* The starts are as old as the machine, which may have begun a moment ago. */
	while (seconds_up() < 12)
		usleep(10000);
	nr = fill_table(&l, SIZE_MAX);
	spanmaps_sweep(l.spanmaps);
	assert_int_equal(spanmaps_open_starts(l.spanmaps, 0), nr);
	record_child(&l, use_keys, NULL, &k);
	assert_int_equal(k.nr, 0);
	assert_int_equal(counts_of(&l, 0).no_room, 10);
	spanmaps_sweep(l.spanmaps);
	assert_int_equal(counts_of(&l, 0).replaced, nr);
	assert_int_equal(spanmaps_open_starts(l.spanmaps, 0), 0);
	assert_int_equal(live_attach(start) | live_attach(end), 0);
	record_child(&l, use_keys, NULL, &k);
	assert_int_equal(k.nr, 10);
	assert_int_equal(counts_of(&l, 0).no_room, 10);
	forget_records(&k);
	close_all(&l);
}

#define NR_FRAMES 40000

static void use_many_frames(void *ctx)
{
	(void)ctx;
	for (long i = 0; i < NR_FRAMES; i++) {
		start_key(i);
		end_key(i);
	}
	/* Of those that stay, and of those that do not. */
	start_key(0);
	start_key(NR_FRAMES);
	start_key(0);
	start_key(NR_FRAMES);
	end_key(0);
	end_key(NR_FRAMES);
}

static void count_frame(void *ctx, uint32_t cpu, const struct probe_record *rec)
{
	(void)cpu, (void)rec;
	++*(uint64_t *)ctx;
}

static size_t count_entries(const struct live *l)
{
	struct spanmaps_table table;
	uint64_t key[2];
	size_t nr = 0;

	spanmaps_table(l->spanmaps, 0, &table);
	for (int err = bpf_map_get_next_key(table.fd, NULL, key); !err; nr++)
		err = bpf_map_get_next_key(table.fd, key, key);
	return nr;
}

static void half_of_a_table_stays(void **state)
{
	struct live_probe *start = NULL, *end = NULL;
	struct spanmaps_table table;
	struct live_child child;
	uint64_t nr = 0;
	struct stat st;
	struct live l;

	(void)state;
	open_keyed(&l, &start, &end);
	live_keys(end, start, { .op = FETCH_TID });
	end->p.span->by_thread = end->p.span->by_frame = true;
	live_span_middle(end);
	skip_if_impossible(&l, live_open(&l, RINGS_AUTO));
	spanmaps_table(l.spanmaps, 0, &table);
	assert_in_range(table.most_staying, 128, NR_FRAMES - 1);
	child = live_fork(use_many_frames, NULL);
	assert_int_equal(live_follow(&l, child.pid), 0);
	proberings_enable(l.rings, true);
	assert_int_equal(live_join(&child), 0);
	live_detach(&l);
	live_take(&l, count_frame, &nr);
	assert_int_equal(nr, NR_FRAMES + 2);
	assert_int_equal(counts_of(&l, 0).replaced, 2);
	assert_int_equal(counts_of(&l, 0).no_room, 0);
	assert_int_equal(spanmaps_open_starts(l.spanmaps, 0), 0);
	assert_int_equal(count_entries(&l), table.most_staying);
	spanmaps_sweep(l.spanmaps);
	if (stat("/proc/self/ns/pid", &st) == 0 && st.st_ino == 0xeffffffcu)
		assert_int_equal(count_entries(&l), 0);
	close_all(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(spans_nest),
		cmocka_unit_test(last_start_counts),
		cmocka_unit_test(ends_without_start),
		cmocka_unit_test(task_of_either_side),
		cmocka_unit_test(numbers_of_threads_come_again),
		cmocka_unit_test(threads_do_not_mix),
		cmocka_unit_test(idle_threads_do_not_mix),
		cmocka_unit_test(family_shares_a_table),
		cmocka_unit_test(full_tables_are_swept),
		cmocka_unit_test(old_starts_make_room),
		cmocka_unit_test(half_of_a_table_stays),
	};

	return cmocka_run_group_tests_name("record/spanmaps", tests, NULL, NULL);
}
