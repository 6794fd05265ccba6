/*
 * The load of the benchmarks of events: one cheap system call, or one call of an empty
 * function, over and over.
 *
 *	callload CALLS THREADS [function]
 *
 * Prints the wall nanoseconds of one call of one thread.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define MAX_THREADS 64

static long nr_calls;
static int of_function;

__attribute__((noipa)) void called(long i)
{
	__asm__ volatile("" : : "r"(i));
}

static void *run(void *arg)
{
	for (long i = 0; i < nr_calls; i++) {
		if (of_function)
			called(i);
		else
			syscall(SYS_getppid);
	}
	return arg;
}

int main(int argc, char **argv)
{
	int nr_threads = argc > 2 ? atoi(argv[2]) : 0;
	pthread_t threads[MAX_THREADS];
	struct timespec from, to;

	nr_calls = argc > 1 ? atol(argv[1]) : 0;
	of_function = argc > 3;
	if (nr_calls < 1 || nr_threads < 1 || nr_threads > MAX_THREADS)
		return 2;
	clock_gettime(CLOCK_MONOTONIC, &from);
	for (int i = 0; i < nr_threads; i++)
		if (pthread_create(&threads[i], NULL, run, NULL))
			return 1;
	for (int i = 0; i < nr_threads; i++)
		pthread_join(threads[i], NULL);
	clock_gettime(CLOCK_MONOTONIC, &to);
	printf("%.2f\n", ((double)(to.tv_sec - from.tv_sec) * 1e9 +
			  (double)(to.tv_nsec - from.tv_nsec)) / (double)nr_calls);
	return 0;
}
