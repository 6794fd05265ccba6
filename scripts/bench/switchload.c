/*
 * The load of the benchmarks of context switches: pairs of processes that hand a byte to
 * and fro over two pipes.
 *
 *	switchload ROUNDS PAIRS [apart]
 *
 * Pair i lives on the i-th CPU that may be used, so that a round is two switches; `apart`,
 * its two halves live on two CPUs, each of which falls idle in between.  Prints the wall
 * nanoseconds of one switch of one pair: half a round's.
 */
#define _GNU_SOURCE
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MAX_PAIRS 64

static int nth_cpu(const cpu_set_t *allowed, int n)
{
	int nr = CPU_COUNT(allowed), left = n % nr;

	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET(cpu, allowed) && !left--)
			return cpu;
	return 0;
}

static void stay_on(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		_exit(1);
}

static void pass_on(int from, int to, long rounds, int first)
{
	char byte = 0;

	if (first && write(to, &byte, 1) != 1)
		_exit(1);
	for (long i = 0; i < rounds; i++) {
		if (read(from, &byte, 1) != 1)
			_exit(1);
		if ((!first || i + 1 < rounds) && write(to, &byte, 1) != 1)
			_exit(1);
	}
	_exit(0);
}

static void start_pair(long rounds, int cpu, int other_cpu)
{
	int there[2], back[2];

	if (pipe(there) || pipe(back))
		exit(1);
	for (int half = 0; half < 2; half++) {
		pid_t pid = fork();

		if (pid < 0)
			exit(1);
		if (pid)
			continue;
		stay_on(half ? other_cpu : cpu);
		pass_on(half ? there[0] : back[0], half ? back[1] : there[1], rounds, !half);
	}
	close(there[0]);
	close(there[1]);
	close(back[0]);
	close(back[1]);
}

int main(int argc, char **argv)
{
	long rounds = argc > 1 ? atol(argv[1]) : 0;
	int pairs = argc > 2 ? atoi(argv[2]) : 0, apart = argc > 3, status, failed = 0;
	struct timespec from, to;
	cpu_set_t allowed;

	if (rounds < 1 || pairs < 1 || pairs > MAX_PAIRS ||
	    sched_getaffinity(0, sizeof(allowed), &allowed))
		return 2;
	clock_gettime(CLOCK_MONOTONIC, &from);
	for (int i = 0; i < pairs; i++)
		start_pair(rounds, nth_cpu(&allowed, i), nth_cpu(&allowed, i + apart));
	while (wait(&status) > 0)
		failed |= status;
	clock_gettime(CLOCK_MONOTONIC, &to);
	printf("%.2f\n", ((double)(to.tv_sec - from.tv_sec) * 1e9 +
			  (double)(to.tv_nsec - from.tv_nsec)) / (2.0 * (double)rounds));
	return failed != 0;
}
