/*
 * usdts_guarded [ROUNDS]: hits a static probe only while somebody counts its
 * semaphore up, and prints how often that was.
 * Build: -O2
 */
#define _SDT_HAS_SEMAPHORES 1
#include <stdio.h>
#include <stdlib.h>
#include <sys/sdt.h>

#define KEPT __attribute__((noipa))

__extension__ unsigned short kymotest_guarded_semaphore __attribute__((section(".probes")));
__extension__ unsigned short kymotest_other_semaphore __attribute__((section(".probes")));

KEPT int guarded(int i)
{
	if (!*(volatile unsigned short *)&kymotest_guarded_semaphore)
		return 0;
	STAP_PROBE1(kymotest, guarded, i);
	return 1;
}

KEPT int other(int i)
{
	if (!*(volatile unsigned short *)&kymotest_other_semaphore)
		return 0;
	STAP_PROBE1(kymotest, other, i);
	return 1;
}

int main(int argc, char **argv)
{
	int rounds = argc > 1 ? atoi(argv[1]) : 1, nr_guarded = 0, nr_other = 0;

	for (int i = 0; i < rounds; i++) {
		nr_guarded += guarded(i);
		nr_other += other(i);
	}
	printf("%d %d\n", nr_guarded, nr_other);
	return 0;
}
