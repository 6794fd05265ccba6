/*
 * Work of known size: each step waits for the multiplication before it, so a
 * step takes the same time wherever its code lies.
 */
#ifndef TESTS_PROGRAMS_BURN_H
#define TESTS_PROGRAMS_BURN_H

#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#define BURN_STEPS 5000		/* some 6 us */

static inline __attribute__((always_inline)) uint64_t burn_steps(uint64_t x, unsigned int units)
{
	/* Without this a function that calls nothing gets no frame pointer. */
	__asm__ volatile("" : : "r"(__builtin_frame_address(0)));
	for (unsigned int i = 0; i < units * BURN_STEPS / 4; i++) {
		x = x * 6364136223846793005u + 1;
		x = x * 6364136223846793005u + 3;
		x = x * 6364136223846793005u + 5;
		x = x * 6364136223846793005u + 7;
		__asm__ volatile("" : "+r"(x));
	}
	return x;
}

static inline double burn_cpu_seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* The first argument: seconds of CPU time. */
static inline double burn_limit(int argc, char **argv)
{
	return argc > 1 ? atof(argv[1]) : 1.0;
}

#endif
