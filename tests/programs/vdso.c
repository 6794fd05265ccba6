/* vdso [SECONDS]: asks for the time, over and over. */
#include "burn.h"

#include <stdio.h>

int main(int argc, char **argv)
{
	double limit = burn_limit(argc, argv);
	struct timespec now = { 0 };
	uint64_t calls = 0;

	while (burn_cpu_seconds() < limit)
		for (int i = 0; i < 10000; i++, calls++)
			clock_gettime(CLOCK_MONOTONIC, &now);
	printf("%llu calls\n", (unsigned long long)calls);
	return 0;
}
