/*
 * names: one address with several names, labels without type or size, symbols
 * within symbols, an indirect function and calls through the PLT.
 */
#include "burn.h"

#include <stdio.h>
#include <string.h>

uint64_t plain(uint64_t x);
uint64_t plain_alias(uint64_t x);
uint64_t __plain(uint64_t x);
uint64_t weak_name(uint64_t x);
uint64_t indirect(uint64_t x);
void label_without_type(void);
void outer_function(void);
void inner_function(void);

__attribute__((noinline, noclone)) uint64_t plain(uint64_t x)
{
	return burn_steps(x, 1);
}

uint64_t plain_alias(uint64_t x) __attribute__((alias("plain")));
uint64_t __plain(uint64_t x) __attribute__((alias("plain")));
uint64_t weak_name(uint64_t x) __attribute__((weak, alias("plain")));

static __attribute__((noinline, noclone)) uint64_t chosen(uint64_t x)
{
	return burn_steps(x, 1) ^ 1;
}

static void *choose(void)
{
	return (void *)chosen;
}

uint64_t indirect(uint64_t x) __attribute__((ifunc("choose")));

/*
 * label_without_type has neither type nor size; inner_function lies in
 * outer_function, and part of that comes behind it.
 */
__asm__(".text\n"
	".p2align 4\n"
	".globl label_without_type\n"
	"label_without_type:\n"
	"	nop\n	nop\n	nop\n	ret\n"
	".p2align 4\n"
	".globl outer_function\n"
	".type outer_function, %function\n"
	"outer_function:\n"
	"	nop\n	nop\n"
	".globl inner_function\n"
	".type inner_function, %function\n"
	"inner_function:\n"
	"	nop\n	nop\n"
	".size inner_function, . - inner_function\n"
	"	nop\n	ret\n"
	".size outer_function, . - outer_function\n");

int main(int argc, char **argv)
{
	char text[32];

	label_without_type();
	outer_function();
	snprintf(text, sizeof(text), "%llx", (unsigned long long)
		 (plain((uint64_t)argc) + indirect(strlen(argv[0]))));
	return puts(text) < 0;
}
