#include "record/userregs.h"

#include <stddef.h>
#include <string.h>
#include <sys/ptrace.h>
#include <asm/ptrace.h>

#if defined(__x86_64__)

#define AT(r) offsetof(struct pt_regs, r)

/* Names of 8, 4, 2 bytes and one; the second byte of four of them has one, too. */
static const struct x86_reg {
	uint16_t offset;
	char names[4][5];
	char high[3];
	uint8_t dwarf;
} regs[] = {
	{ AT(rax), { "rax", "eax", "ax", "al" }, "ah", 0 },
	{ AT(rdx), { "rdx", "edx", "dx", "dl" }, "dh", 1 },
	{ AT(rcx), { "rcx", "ecx", "cx", "cl" }, "ch", 2 },
	{ AT(rbx), { "rbx", "ebx", "bx", "bl" }, "bh", 3 },
	{ AT(rsi), { "rsi", "esi", "si", "sil" }, "", 4 },
	{ AT(rdi), { "rdi", "edi", "di", "dil" }, "", 5 },
	{ AT(rbp), { "rbp", "ebp", "bp", "bpl" }, "", 6 },
	{ AT(rsp), { "rsp", "esp", "sp", "spl" }, "", 7 },
	{ AT(r8), { "r8", "r8d", "r8w", "r8b" }, "", 8 },
	{ AT(r9), { "r9", "r9d", "r9w", "r9b" }, "", 9 },
	{ AT(r10), { "r10", "r10d", "r10w", "r10b" }, "", 10 },
	{ AT(r11), { "r11", "r11d", "r11w", "r11b" }, "", 11 },
	{ AT(r12), { "r12", "r12d", "r12w", "r12b" }, "", 12 },
	{ AT(r13), { "r13", "r13d", "r13w", "r13b" }, "", 13 },
	{ AT(r14), { "r14", "r14d", "r14w", "r14b" }, "", 14 },
	{ AT(r15), { "r15", "r15d", "r15w", "r15b" }, "", 15 },
	{ AT(rip), { "rip", "eip", "ip", "" }, "", 16 },
};

#define NR_REGS (sizeof(regs) / sizeof(regs[0]))

static bool is_name(const char *name, const char *text, size_t len_bytes)
{
	return *name && strlen(name) == len_bytes && !memcmp(name, text, len_bytes);
}

bool userregs_find(struct userreg *r, const char *name, size_t len_bytes)
{
	for (size_t i = 0; i < NR_REGS; i++) {
		for (unsigned int size = 0; size < 4; size++) {
			if (!is_name(regs[i].names[size], name, len_bytes))
				continue;
			*r = (struct userreg){ regs[i].offset, (uint8_t)(8 >> size) };
			return true;
		}
		if (is_name(regs[i].high, name, len_bytes)) {
			*r = (struct userreg){ (uint16_t)(regs[i].offset + 1), 1 };
			return true;
		}
	}
	return false;
}

bool userregs_find_dwarf(struct userreg *r, unsigned int number)
{
	for (size_t i = 0; i < NR_REGS; i++) {
		if (regs[i].dwarf == number) {
			*r = (struct userreg){ regs[i].offset, 8 };
			return true;
		}
	}
	return false;
}

struct userreg userregs_arg(unsigned int i)
{
	static const uint16_t args[USERREGS_NR_ARGS] = {
		AT(rdi), AT(rsi), AT(rdx), AT(rcx), AT(r8), AT(r9),
	};

	return (struct userreg){ args[i], 8 };
}

struct userreg userregs_return(unsigned int i)
{
	return (struct userreg){ i ? AT(rdx) : AT(rax), 8 };
}

struct userreg userregs_ip(void)
{
	return (struct userreg){ AT(rip), 8 };
}

struct userreg userregs_sp(void)
{
	return (struct userreg){ AT(rsp), 8 };
}

/* The return address. */
unsigned int userregs_stack_args_offset(void)
{
	return 8;
}

#else

#if defined(__aarch64__)
#define X(i) (offsetof(struct user_pt_regs, regs) + 8 * (i))
#define SP offsetof(struct user_pt_regs, sp)
#define PC offsetof(struct user_pt_regs, pc)
#else
/* USERREGS_MACHINE admits no file: none of this is ever asked for. */
#define X(i) 0
#define SP 0
#define PC 0
#endif

#define NR_X 31

bool userregs_find(struct userreg *r, const char *name, size_t len_bytes)
{
	unsigned int i = 0;

	if (len_bytes == 2 && (!memcmp(name, "sp", 2) || !memcmp(name, "pc", 2))) {
		*r = (struct userreg){ (uint16_t)(name[0] == 's' ? SP : PC), 8 };
		return true;
	}
	if (len_bytes < 2 || len_bytes > 3 || (name[0] != 'x' && name[0] != 'w'))
		return false;
	for (size_t at = 1; at < len_bytes; at++) {
		if (name[at] < '0' || name[at] > '9')
			return false;
		i = i * 10 + (unsigned int)(name[at] - '0');
	}
	if (i >= NR_X)
		return false;
	*r = (struct userreg){ (uint16_t)X(i), name[0] == 'x' ? 8 : 4 };
	return true;
}

bool userregs_find_dwarf(struct userreg *r, unsigned int number)
{
	if (number > NR_X)
		return false;
	*r = (struct userreg){ (uint16_t)(number == NR_X ? SP : X(number)), 8 };
	return true;
}

struct userreg userregs_arg(unsigned int i)
{
	return (struct userreg){ (uint16_t)X(i), 8 };
}

struct userreg userregs_return(unsigned int i)
{
	return (struct userreg){ (uint16_t)X(i), 8 };
}

struct userreg userregs_ip(void)
{
	return (struct userreg){ (uint16_t)PC, 8 };
}

struct userreg userregs_sp(void)
{
	return (struct userreg){ (uint16_t)SP, 8 };
}

unsigned int userregs_stack_args_offset(void)
{
	return 0;
}

#endif
