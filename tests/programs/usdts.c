/*
 * usdts [ROUNDS]: hits static probes without a semaphore, ROUNDS times each, with
 * arguments in registers, in memory, and constants.
 * Build: -O2
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/sdt.h>

#define KEPT __attribute__((noipa))

long counters[4] = { 100, 200, 300, 400 };
static int hidden = 77;

/* One probe in three places, with arguments of other kinds in each. */
KEPT void forms(int i, const char *text)
{
	volatile struct {
		int pad[3];
		short value;
	} local = { .value = -5 };

	DTRACE_PROBE3(kymotest, forms, i, text, -1);
	DTRACE_PROBE3(kymotest, forms, counters[i & 3], "constant", local.value);
	DTRACE_PROBE3(kymotest, forms, 7, text + 1, (unsigned char)(i + 250));
}

KEPT void widths(signed char c, unsigned char uc, short h, unsigned short uh, int i,
		 unsigned int u)
{
	DTRACE_PROBE6(kymotest, widths, c, uc, h, uh, i, u);
}

KEPT void in_memory(void)
{
	hidden++;
	__asm__ volatile("" : : : "memory");
	STAP_PROBE2(kymotest, in_memory, hidden, counters[2]);
}

KEPT void floats(double x, int i)
{
	STAP_PROBE2(kymotest, floats, x, i);
}

int main(int argc, char **argv)
{
	int rounds = argc > 1 ? atoi(argv[1]) : 1;

	DTRACE_PROBE(kymotest, begin);
	for (int i = 0; i < rounds; i++) {
		forms(i, "text");
		widths(-1, 255, -300, 65535, -70000, 4000000000u);
		in_memory();
		floats(0.5, i);
	}
	DTRACE_PROBE1(kymotest2, end, rounds);
	return counters[0] != 100;
}
