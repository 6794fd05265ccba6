/*
 * A fixed amount of CPU work, spread over many call stacks:
 *
 *   cpuload THREADS ROUNDS [SECONDS]
 *
 * Each round walks one of 2,048 paths, 4 to 14 calls deep, and does a few
 * microseconds of work at its end; few paths are hot and many are rare, as in
 * a real server.  With SECONDS it goes on for that long instead of ROUNDS.
 * Prints wall seconds and CPU seconds.
 */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define KEEP __attribute__((noinline))
#define MAX_THREADS 64
#define NR_PATHS 2048

static long nr_rounds;
static double deadline;		/* 0: none */

struct walk {
	uint64_t path;		/* four bits a call, lowest first */
	int depth;		/* calls still to make */
	uint64_t value;
};

static uint64_t scramble(uint64_t x)
{
	x += UINT64_C(0x9e3779b97f4a7c15);
	x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
	return x ^ (x >> 31);
}

static KEEP uint64_t checksum_bytes(uint64_t x)
{
	for (int i = 0; i < 1500; i++)
		x = (x << 5) + (x >> 2) + (uint64_t)i;
	return x;
}

static KEEP uint64_t convert_digits(uint64_t x)
{
	uint64_t sum = 0;

	for (int i = 0; i < 12; i++)
		for (uint64_t rest = scramble(x + (uint64_t)i); rest; rest /= 10)
			sum += rest % 10;
	return sum;
}

static KEEP uint64_t select_median(uint64_t x)
{
	uint16_t numbers[40];

	for (int i = 0; i < 40; i++)
		numbers[i] = (uint16_t)scramble(x + (uint64_t)i);
	for (int left = 0; left < 39; left++)
		for (int i = left + 1; i < 40; i++)
			if (numbers[i] < numbers[left]) {
				uint16_t swap = numbers[i];

				numbers[i] = numbers[left];
				numbers[left] = swap;
			}
	return numbers[20];
}

static uint64_t work(struct walk *w)
{
	switch (w->path % 3) {
	case 0: return w->value = checksum_bytes(w->value);
	case 1: return w->value = convert_digits(w->value);
	default: return w->value = select_median(w->value);
	}
}

typedef uint64_t step_fn(struct walk *w);
static step_fn *const steps[16];

#define STEP(name) \
	static KEEP uint64_t name(struct walk *w) \
	{ \
		uint64_t below; \
		if (!w->depth--) \
			return work(w); \
		w->path >>= 4; \
		below = steps[w->path & 15](w); \
		return below + w->path; \
	}

STEP(accept_request) STEP(parse_header) STEP(check_rights) STEP(find_route)
STEP(load_session) STEP(plan_query) STEP(open_table) STEP(scan_index)
STEP(join_rows) STEP(filter_rows) STEP(group_rows) STEP(render_page)
STEP(fill_template) STEP(encode_text) STEP(compress_page) STEP(send_reply)

static step_fn *const steps[16] = {
	accept_request, parse_header, check_rights, find_route,
	load_session, plan_query, open_table, scan_index,
	join_rows, filter_rows, group_rows, render_page,
	fill_template, encode_text, compress_page, send_reply,
};

static double seconds(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void *serve(void *arg)
{
	uint64_t random = scramble((uint64_t)(uintptr_t)arg), sum = 0;

	for (long i = 0;; i++) {
		struct walk w = { .value = random };
		uint64_t rank, id;

		if (deadline > 0 ? !(i & 1023) && seconds(CLOCK_MONOTONIC) > deadline
				 : i >= nr_rounds)
			break;
		random = scramble(random);
		/* The product of three numbers favours low ranks. */
		rank = random % NR_PATHS * (random >> 16 & 1023) * (random >> 32 & 1023) >> 20;
		id = scramble(rank);
		w.path = id;
		w.depth = 3 + (int)(scramble(id) % 11);
		sum += steps[w.path & 15](&w);
	}
	return (void *)(uintptr_t)sum;
}

int main(int argc, char **argv)
{
	pthread_t threads[MAX_THREADS];
	int nr = argc > 1 ? atoi(argv[1]) : 2;
	double start = seconds(CLOCK_MONOTONIC);

	nr_rounds = argc > 2 ? atol(argv[2]) : 100000;
	deadline = argc > 3 ? start + atof(argv[3]) : 0;
	if (nr < 1 || nr > MAX_THREADS)
		return 2;
	for (int i = 0; i < nr; i++)
		if (pthread_create(&threads[i], NULL, serve, (void *)(uintptr_t)i))
			return 1;
	for (int i = 0; i < nr; i++)
		pthread_join(threads[i], NULL);
	printf("%.6f %.6f\n", seconds(CLOCK_MONOTONIC) - start, seconds(CLOCK_PROCESS_CPUTIME_ID));
	return 0;
}
