/*
 * The load of the benchmark of tallies: calls with as many different first arguments as
 * asked for and ten second ones, a hundred thousand a second, for some seconds.
 *
 *	keyload KEYS SECONDS
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static double seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
	int nr_keys = argc > 1 ? atoi(argv[1]) : 0;
	double end = seconds() + (argc > 2 ? atof(argv[2]) : 0);

	if (nr_keys < 1)
		return 2;
	while (seconds() < end) {
		/* Descriptors that are not open: the call fails at once. */
		for (int i = 0; i < 1000; i++)
			syscall(SYS_dup2, 100000 + i % nr_keys, 10 * (1 + rand() % 10));
		usleep(8000);
	}
	return 0;
}
