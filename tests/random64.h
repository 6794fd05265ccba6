/*
 * Numbers for generators of test traces: splitmix64, the same for the same seed on every
 * machine.
 */
#ifndef TESTS_RANDOM64_H
#define TESTS_RANDOM64_H

#include <stdint.h>

/* *state: any seed at first. */
static inline uint64_t random64_next(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

#endif
