/*
 * The few addresses of the kernel that following its stacks needs.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "record/schedprog_private.h"

/* Return addresses of functions that a tracer wants to come by are replaced by these. */
static const char *const hooks[] = {
	"return_to_handler", "arch_rethook_trampoline", "__kretprobe_trampoline",
	"kretprobe_trampoline",
};

/* The kernel proper comes first, by address. */
void schedprog_find_symbols(struct schedprog *p)
{
	struct sched_bpf__rodata *c = p->skel->rodata;
	size_t nr_hooks = 0, room = 0;
	FILE *f = fopen("/proc/kallsyms", "re");
	bool is_after = false;
	char *line = NULL;

	while (f && getline(&line, &room, f) > 0 && !strchr(line, '[')) {
		char *name;
		uint64_t address = strtoull(line, &name, 16);

		if (is_after && address > c->system_call) {
			c->system_call_bytes = address - c->system_call;
			is_after = false;
		}
		/* After the address, a blank, the kind, and a blank. */
		if (strlen(name) < 4)
			continue;
		name += 3;
		name[strcspn(name, "\t\n")] = '\0';
		if (!strcmp(name, "do_syscall_64")) {
			c->system_call = address;
			is_after = address != 0;
		}
		for (size_t i = 0; i < sizeof(hooks) / sizeof(*hooks); i++)
			if (!strcmp(name, hooks[i]) && nr_hooks < 2)
				c->return_hooks[nr_hooks++] = address;
	}
	free(line);
	if (f)
		fclose(f);
}
