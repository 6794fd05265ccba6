#include "record/stacktrim.h"

#include <string.h>

/* Deeper than any of it is. */
#define MAX_MACHINERY 8

/* Beginnings of the names of functions that stand between an event and its program. */
static const char *const prefixes[] = {
	"bpf_prog_", "bpf_trampoline_", "bpf_dispatcher_", "__bpf_prog_enter", "bpf_get_stack",
	"bpf_trace_run", "__bpf_trace_", "__traceiter_", "trace_call_bpf",
	"perf_trace_", "perf_call_bpf_", "perf_syscall_enter", "perf_syscall_exit",
	"kprobe_dispatcher", "kprobe_perf_func", "kretprobe_dispatcher", "kretprobe_perf_func",
	"kprobe_multi_link_", "kprobe_ftrace_handler", "fprobe_", "arch_ftrace_ops_list_func",
	"ftrace_ops_", "ftrace_call", "ftrace_regs_call",
};

static bool is_machinery(struct stacktrim *t, uint64_t address)
{
	struct symbol sym;
	uint64_t offset;
	uint32_t module = kernelmap_find(t->kernel, address, &offset);

	if (!module || symbolizer_find(t->symbolizer, module, offset, &sym) < 0)
		return false;
	for (size_t i = 0; i < sizeof(prefixes) / sizeof(*prefixes); i++)
		if (!strncmp(sym.name, prefixes[i], strlen(prefixes[i])))
			return true;
	return false;
}

void stacktrim_init(struct stacktrim *t, struct kernelmap *kernel, struct symbolizer *symbolizer)
{
	memset(t, 0, sizeof(*t));
	t->kernel = kernel;
	t->symbolizer = symbolizer;
}

static bool is_other(struct stacktrim *t, uint64_t address)
{
	__u64 *slot = &t->others[(address ^ address >> 8) % STACKTRIM_OTHERS];

	if (*slot == address)
		return true;
	if (is_machinery(t, address))
		return false;
	*slot = address;
	return true;
}

/*
 * What follows the program's own address is nearly always the same; there is a little
 * more of it while others look at the same event.
 */
int stacktrim_count(struct stacktrim *t, const __u64 *ips, int nr)
{
	size_t slot;
	int count = 0;

	if (nr <= 0)
		return 0;
	slot = (ips[0] ^ ips[0] >> 6) % STACKTRIM_SLOTS;
	if (t->known[slot].first == ips[0] && t->known[slot].nr < nr &&
	    is_other(t, ips[t->known[slot].nr]))
		return t->known[slot].nr;
	while (count < nr && count < MAX_MACHINERY && is_machinery(t, ips[count]))
		count++;
	/* A stack of nothing else is kept: there is something odd to be seen. */
	if (count == nr)
		count = 0;
	t->known[slot].first = ips[0];
	t->known[slot].nr = count;
	return count;
}

void stacktrim_forget(struct stacktrim *t)
{
	memset(t->known, 0, sizeof(t->known));
	memset(t->others, 0, sizeof(t->others));
}
