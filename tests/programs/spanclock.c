/*
 * Does what takes time, and says for each thing what its own clock says: "NAME INDEX
 * INNER OUTER", nanoseconds within the call and around it.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define PLAIN __attribute__((noinline, noclone))

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void pass(uint64_t ns)
{
	struct timespec t = { .tv_nsec = (long)ns };

	nanosleep(&t, NULL);
}

static void say(const char *name, long index, uint64_t inner, uint64_t outer)
{
	printf("%s %ld %llu %llu\n", name, index, (unsigned long long)inner,
	       (unsigned long long)outer);
}

static uint64_t within;

/* --- calls ------------------------------------------------------------------------------ */

PLAIN long timed(long index)
{
	uint64_t since = now();

	pass((uint64_t)index * 20000);
	within = now() - since;
	return index * 2;
}

static void calls(long nr)
{
	for (long i = 1; i <= nr; i++) {
		uint64_t since = now();

		timed(i);
		say("timed", i, within, now() - since);
	}
}

PLAIN long deep(long level)
{
	uint64_t since = now();
	long below = 0;

	pass(10000);
	if (level > 1) {
		uint64_t outer = now();

		below = deep(level - 1);
		say("deep", level - 1, within, now() - outer);
	}
	pass(10000);
	within = now() - since;
	return below + 1;
}

static void recursion(long levels)
{
	uint64_t since = now();

	deep(levels);
	say("deep", levels, within, now() - since);
}

static jmp_buf out;

/* Odd ones never return. */
PLAIN long leaves(long index)
{
	uint64_t since = now();

	pass(20000);
	within = now() - since;
	if (index & 1)
		longjmp(out, 1);
	return index;
}

static void jumps(long nr)
{
	for (volatile long i = 1; i <= nr; i++) {
		uint64_t since = now();

		if (setjmp(out))
			continue;
		leaves(i);
		say("leaves", i, within, now() - since);
	}
}

/* --- threads ---------------------------------------------------------------------------- */

/* Those that are even end inside. */
PLAIN long lives(long index)
{
	uint64_t since = now(), inner;

	pass(20000);
	inner = now() - since;
	if (!(index & 1))
		pthread_exit(NULL);
	return (long)inner;
}

static void *live(void *arg)
{
	uint64_t since = now();
	long index = (long)arg, inner = lives(index);

	say("lives", index, (uint64_t)inner, now() - since);
	return NULL;
}

/* One after the other, so that thread ids may come again. */
static void deaths(long nr)
{
	for (long i = 1; i <= nr; i++) {
		pthread_t t;

		if (pthread_create(&t, NULL, live, (void *)i))
			exit(1);
		pthread_join(t, NULL);
	}
}

static void run_on(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		exit(3);
}

PLAIN long moves(long index)
{
	uint64_t since = now();

	run_on(1 - (int)(index & 1));
	within = now() - since;
	return index;
}

static void migration(long nr)
{
	for (long i = 1; i <= nr; i++) {
		uint64_t since;

		run_on((int)(i & 1));
		since = now();
		moves(i);
		say("moves", i, within, now() - since);
	}
}

/* --- pairs of system calls by key -------------------------------------------------------- */

/* "s1 e1 s2 ...": starts and ends by number, marked by calls that fail. */
static void *marks(void *arg)
{
	char *list = strdup(arg), *rest = NULL;

	for (char *word = strtok_r(list, " ", &rest); word; word = strtok_r(NULL, " ", &rest))
		syscall(SYS_lseek, -1, atol(word + 1), *word == 's' ? 1000 : 1001);
	free(list);
	return NULL;
}

static void pairs(int nr, char **lists)
{
	for (int i = 0; i < nr; i++) {
		pthread_t t;

		if (pthread_create(&t, NULL, marks, lists[i]))
			exit(1);
		pthread_join(t, NULL);
	}
}

/* Sleeps for good; says when it is about to. */
static void sleep_on(void)
{
	puts("sleeping");
	fflush(stdout);
	pause();
}

int main(int argc, char **argv)
{
	const char *what = argc > 2 ? argv[1] : "";
	long nr = argc > 2 ? atol(argv[2]) : 0;

	if (!strcmp(what, "calls"))
		calls(nr);
	else if (!strcmp(what, "recursion"))
		recursion(nr);
	else if (!strcmp(what, "jumps"))
		jumps(nr);
	else if (!strcmp(what, "deaths"))
		deaths(nr);
	else if (!strcmp(what, "migration"))
		migration(nr);
	else if (!strcmp(what, "pairs"))
		pairs(argc - 2, argv + 2);
	else if (!strcmp(what, "sleep"))
		sleep_on();
	else
		return 2;
	return 0;
}
