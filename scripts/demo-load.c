/*
 * A small load with names that are easy to find in a flame graph: one thread
 * searches primes and sorts numbers, another one writes and reads a pipe.
 * Runs for as many seconds as its argument says.
 */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define KEEP __attribute__((noinline))

static double deadline;

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static KEEP int is_prime(unsigned int n)
{
	for (unsigned int i = 3; i * i <= n; i += 2)
		if (n % i == 0)
			return 0;
	return n > 1 && n & 1;
}

static KEEP unsigned int count_primes(unsigned int limit)
{
	unsigned int nr = 0;

	for (unsigned int n = 0; n < limit; n++)
		nr += (unsigned int)is_prime(n);
	return nr;
}

static KEEP int compare_numbers(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static KEEP uint32_t sort_numbers(size_t nr)
{
	static uint32_t numbers[1 << 16];

	for (size_t i = 0; i < nr; i++)
		numbers[i] = (uint32_t)(i * 2654435761u);
	qsort(numbers, nr, sizeof(numbers[0]), compare_numbers);
	return numbers[nr / 2];
}

static KEEP void *compute(void *arg)
{
	unsigned int *sum = arg;

	while (now() < deadline) {
		*sum += count_primes(120000);
		*sum += sort_numbers(1 << 16);
	}
	return NULL;
}

static KEEP void copy_through_pipe(int in, int out)
{
	static char page[4096];

	for (int i = 0; i < 100; i++)
		if (write(out, page, sizeof(page)) != (ssize_t)sizeof(page) ||
		    read(in, page, sizeof(page)) != (ssize_t)sizeof(page))
			return;
}

static KEEP void *talk_to_kernel(void *arg)
{
	int *fds = arg;

	while (now() < deadline)
		copy_through_pipe(fds[0], fds[1]);
	return NULL;
}

int main(int argc, char **argv)
{
	unsigned int sum = 0;
	pthread_t threads[2];
	int fds[2];

	deadline = now() + (argc > 1 ? atof(argv[1]) : 3.0);
	if (pipe(fds) || pthread_create(&threads[0], NULL, compute, &sum) ||
	    pthread_create(&threads[1], NULL, talk_to_kernel, fds)) {
		perror("demo-load");
		return 1;
	}
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	printf("demo-load: %u\n", sum);
	return 0;
}
