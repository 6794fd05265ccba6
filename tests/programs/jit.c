/*
 * jit [SECONDS]: makes machine code at run time, names it in
 * /tmp/perf-PID.map as jit_hot and jit_cool, and gives them three quarters and
 * one quarter of the CPU time.  With a second argument the map stays behind.
 */
#include "burn.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define CODE_BYTES 4096
#define COOL_AT 256

typedef void (*counter)(uint64_t n);

#if defined(__x86_64__)
/*
 * push %rbp; mov %rsp,%rbp; 1: imul %rax,%rax; dec %rdi; jne 1b; pop %rbp; ret
 */
static const unsigned char code[] = {
	0x55, 0x48, 0x89, 0xe5, 0x48, 0x0f, 0xaf, 0xc0, 0x48, 0xff, 0xcf,
	0x75, 0xf7, 0x5d, 0xc3,
};
#elif defined(__aarch64__)
/*
 * stp x29,x30,[sp,#-16]!; mov x29,sp; 1: mul x1,x1,x1; subs x0,x0,#1; b.ne 1b;
 * ldp x29,x30,[sp],#16; ret
 */
static const uint32_t code[] = {
	0xa9bf7bfd, 0x910003fd, 0x9b017c21, 0xf1000400, 0x54ffffc1,
	0xa8c17bfd, 0xd65f03c0,
};
#else
static const unsigned char code[1];
#endif

/* A map is replaced by its final text in one go, so nobody reads half a line. */
static int write_map(const char *path, const unsigned char *at)
{
	FILE *f = fopen(path, "w");

	if (!f)
		return -1;
	fprintf(f, "%lx %zx jit_hot\n%lx %zx jit_cool\n", (unsigned long)at,
		sizeof(code), (unsigned long)(at + COOL_AT), sizeof(code));
	return fclose(f);
}

int main(int argc, char **argv)
{
	double limit = burn_limit(argc, argv);
	unsigned char *at = mmap(NULL, CODE_BYTES, PROT_READ | PROT_WRITE | PROT_EXEC,
				 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	counter hot, cool;
	char path[64];

	if (at == MAP_FAILED || sizeof(code) == 1) {
		fprintf(stderr, "jit: cannot make code here\n");
		return 1;
	}
	memcpy(at, code, sizeof(code));
	memcpy(at + COOL_AT, code, sizeof(code));
	__builtin___clear_cache((char *)at, (char *)at + CODE_BYTES);
	snprintf(path, sizeof(path), "/tmp/perf-%d.map", (int)getpid());
	if (write_map(path, at) < 0) {
		perror(path);
		return 1;
	}
	hot = (counter)(void *)at;
	cool = (counter)(void *)(at + COOL_AT);
	printf("%lx\n", (unsigned long)at);
	fflush(stdout);
	while (burn_cpu_seconds() < limit) {
		hot(150000);
		cool(50000);
	}
	if (argc < 3)
		unlink(path);
	return 0;
}
