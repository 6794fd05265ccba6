/*
 * shares [SECONDS]: burn_10, burn_20, burn_30 and burn_40 take 10, 20, 30 and
 * 40 % of the CPU time.
 */
#include "burn.h"

#include <stdio.h>

#define BURNER(name, units)								\
	__attribute__((noinline, noclone)) uint64_t name(uint64_t x, unsigned int scale)	\
	{										\
		return burn_steps(x, (units) * scale);					\
	}

uint64_t burn_10(uint64_t x, unsigned int scale);
uint64_t burn_20(uint64_t x, unsigned int scale);
uint64_t burn_30(uint64_t x, unsigned int scale);
uint64_t burn_40(uint64_t x, unsigned int scale);
uint64_t burn_round(uint64_t x);

BURNER(burn_10, 1)
BURNER(burn_20, 2)
BURNER(burn_30, 3)
BURNER(burn_40, 4)

__attribute__((noinline, noclone)) uint64_t burn_round(uint64_t x)
{
	/*
	 * Rounds of one length would beat against the sampling period: the same
	 * few functions would be met again and again.
	 */
	unsigned int scale = 1 + (unsigned int)(x >> 60);

	x = burn_10(x, scale);
	x = burn_20(x, scale);
	x = burn_30(x, scale);
	x = burn_40(x, scale);
	return x + 1;
}

int main(int argc, char **argv)
{
	double limit = burn_limit(argc, argv);
	uint64_t x = 1, rounds = 0;

	while (burn_cpu_seconds() < limit) {
		x = burn_round(x);
		rounds++;
	}
	printf("%llu rounds, %llx\n", (unsigned long long)rounds, (unsigned long long)x);
	return 0;
}
