/*
 * What the writer costs: records of system calls, as a recorder that drains the
 * rings of two CPUs one after the other hands them over.
 *
 *   writerbench [CALLS [JITTER_NS [zstd LEVEL [MiB [PER_SECOND]]]]]
 *
 * With MiB a thread of the writer's encodes, and so many may wait for it;
 * PER_SECOND calls are made a second, or as many as can be.
 * Every call is a record of raw_syscalls:sys_enter and one of sys_exit.  Prints
 * CPU time and bytes per record, what handing over costs the caller, and the
 * entropy of the differences between times, which no packing gets below.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "format/writer.h"

#define CPUS 2
#define CALLS_PER_DRAIN 6000	/* of one CPU: some 5 ms at full speed */
#define NR_JITTERS 65536
#define ENTER_FIELDS 10
#define EXIT_FIELDS 5

static const struct field_desc fields[ENTER_FIELDS] = {
	{ "time", FIELD_UNSIGNED, ROLE_TIME, HINT_DECIMAL, CLASS_NONE, "ns", NULL },
	{ "cpu", FIELD_UNSIGNED, ROLE_CPU, HINT_DECIMAL, CLASS_NONE, "", NULL },
	{ "task", FIELD_TASK, ROLE_TASK, HINT_DECIMAL, CLASS_NONE, "", NULL },
	{ "id", FIELD_SIGNED, ROLE_NONE, HINT_DECIMAL, CLASS_NONE, "", NULL },
	{ "args[0]", FIELD_UNSIGNED, ROLE_NONE, HINT_HEX, CLASS_NONE, "", NULL },
	{ "args[1]", FIELD_UNSIGNED, ROLE_NONE, HINT_HEX, CLASS_NONE, "", NULL },
	{ "args[2]", FIELD_UNSIGNED, ROLE_NONE, HINT_HEX, CLASS_NONE, "", NULL },
	{ "args[3]", FIELD_UNSIGNED, ROLE_NONE, HINT_HEX, CLASS_NONE, "", NULL },
	{ "args[4]", FIELD_UNSIGNED, ROLE_NONE, HINT_HEX, CLASS_NONE, "", NULL },
	{ "args[5]", FIELD_UNSIGNED, ROLE_NONE, HINT_HEX, CLASS_NONE, "", NULL },
};

struct bench {
	uint64_t calls;
	uint32_t jitter_ns;
	int level;
	size_t worker_bytes;
	uint64_t per_second;
	struct writer *w;
	uint32_t enter, leave;
	uint64_t now[CPUS], put_bytes;
	uint16_t jitters[NR_JITTERS];
	uint32_t at;
};

static int put(void *ctx, const void *bytes, size_t size_bytes, bool droppable)
{
	struct bench *b = ctx;

	(void)bytes;
	(void)droppable;
	b->put_bytes += size_bytes;
	return 0;
}

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void make_jitters(struct bench *b)
{
	uint64_t x = 88172645463325252u;

	for (size_t i = 0; i < NR_JITTERS; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		/* The sum of two is likelier in the middle; one in 256 is an interrupt. */
		b->jitters[i] = (uint16_t)((x >> 8) % (b->jitter_ns / 2 + 1) +
					   (x >> 40) % (b->jitter_ns / 2 + 1) +
					   ((x >> 56) ? 0 : (x >> 30) % 4096));
	}
}

static double entropy_bits(const struct bench *b)
{
	uint32_t *counts = calloc(65536, sizeof(*counts));
	double bits = 0;

	for (size_t i = 0; counts && i < NR_JITTERS; i++)
		counts[(uint16_t)(b->jitters[i] + b->jitters[(i + 1) % NR_JITTERS])]++;
	for (size_t i = 0; counts && i < 65536; i++)
		if (counts[i])
			bits -= counts[i] * log2(counts[i] / (double)NR_JITTERS);
	free(counts);
	return bits / NR_JITTERS;
}

static void put_call(struct bench *b, uint32_t cpu)
{
	uint64_t enter[ENTER_FIELDS] = {
		b->now[cpu] += 100 + b->jitters[b->at++ % NR_JITTERS], cpu, 17 + cpu, 110,
		0, 0x7ffd12345678, 0x7f0012345678, 0x40, 0, 0x20,
	};
	uint64_t leave[EXIT_FIELDS] = {
		b->now[cpu] += 100 + b->jitters[b->at++ % NR_JITTERS], cpu, 17 + cpu, 110, 4242,
	};

	writer_record(b->w, b->enter, enter);
	writer_record(b->w, b->leave, leave);
}

/* Until it is time for call number `calls`. */
static void pace(const struct bench *b, uint64_t start_ns, uint64_t calls)
{
	uint64_t until_ns = b->per_second ? start_ns + calls * 1000000000 / b->per_second : 0;
	struct timespec t = { (time_t)(until_ns / 1000000000), (long)(until_ns % 1000000000) };

	if (until_ns)
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
}

static int run(struct bench *b)
{
	const struct writer_output output = { put, b };
	const struct event_desc enter = {
		.name = "raw_syscalls:sys_enter", .nr_fields = ENTER_FIELDS, .fields = fields,
	};
	const struct event_desc leave = {
		.name = "raw_syscalls:sys_exit", .nr_fields = EXIT_FIELDS, .fields = fields,
	};
	uint64_t cpu_ns, thread_ns, start_ns, flush_ns = 0, calls = 0;
	struct writer_stats stats;
	int err = writer_open(&b->w, &output, 1, b->level);

	if (!err && b->worker_bytes)
		err = writer_start_worker(b->w, b->worker_bytes);
	if (err)
		return err;
	b->enter = writer_event(b->w, &enter);
	b->leave = writer_event(b->w, &leave);
	cpu_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
	thread_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	start_ns = clock_ns(CLOCK_MONOTONIC);
	while (calls < b->calls && !err) {
		pace(b, start_ns, calls);
		for (uint32_t cpu = 0; cpu < CPUS; cpu++)
			for (uint32_t i = 0; i < CALLS_PER_DRAIN; i++)
				put_call(b, cpu);
		calls += CPUS * CALLS_PER_DRAIN;
		if (b->now[0] - flush_ns > 700000000) {
			flush_ns = b->now[0];
			err = writer_flush(b->w, flush_ns < b->now[1] ? flush_ns : b->now[1]);
		}
	}
	thread_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID) - thread_ns;
	writer_sync(b->w);
	writer_get_stats(b->w, &stats);
	if (err)
		writer_abandon(b->w);
	else
		err = writer_close(b->w);
	cpu_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu_ns;
	printf("%.1f ns, of which the caller %.1f ns, and %.3f bytes a record "
	       "(entropy of times: %.3f bytes), %.1f %% refused\n", (double)cpu_ns / (double)(calls * 2),
	       (double)thread_ns / (double)(calls * 2),
	       (double)b->put_bytes / (double)(calls * 2), entropy_bits(b) / 8,
	       (double)stats.refused_records * 100 / (double)(calls * 2));
	return err;
}

int main(int argc, char **argv)
{
	struct bench *b = calloc(1, sizeof(*b));
	int err;

	if (!b)
		return 1;
	b->calls = argc > 1 ? strtoull(argv[1], NULL, 10) : 2000000;
	b->jitter_ns = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : 60;
	b->level = argc > 3 ? atoi(argv[3]) : 3;
	b->worker_bytes = argc > 4 ? strtoull(argv[4], NULL, 10) << 20 : 0;
	b->per_second = argc > 5 ? strtoull(argv[5], NULL, 10) : 0;
	make_jitters(b);
	err = run(b);
	if (err)
		fprintf(stderr, "writerbench: %s\n", strerror(-err));
	free(b);
	return err ? 1 : 0;
}
