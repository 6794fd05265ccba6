/*
 * The few addresses of the kernel that following its stacks needs.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "record/ksymbols.h"
#include "record/schedprog_private.h"

#define SYSTEM_CALL "do_syscall_64"
#define MAX_HOOKS 2

/* Return addresses of functions that a tracer wants to come by are replaced by these. */
static const char *const hooks[] = {
	"return_to_handler", "arch_rethook_trampoline", "__kretprobe_trampoline",
	"kretprobe_trampoline",
};

static int ask(struct sched_bpf__rodata *c)
{
	struct ksymbols *k = NULL;
	struct ksymbol sym;
	size_t nr_hooks = 0;
	uint64_t address;
	int err = ksymbols_open(&k);

	if (!err)
		err = ksymbols_address(k, SYSTEM_CALL, &address);
	if (!err)
		err = ksymbols_find(k, address, &sym);
	if (!err) {
		c->system_call = address;
		c->system_call_bytes = sym.size_bytes;
	}
	for (size_t i = 0; (!err || err == -ENOENT) && i < sizeof(hooks) / sizeof(*hooks); i++) {
		err = ksymbols_address(k, hooks[i], &address);
		if (!err && nr_hooks < MAX_HOOKS)
			c->return_hooks[nr_hooks++] = address;
	}
	ksymbols_close(k);
	return err == -ENOENT ? 0 : err;
}

/* The kernel proper comes first, by address. */
static void read_all(struct sched_bpf__rodata *c)
{
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
		if (!strcmp(name, SYSTEM_CALL)) {
			c->system_call = address;
			is_after = address != 0;
		}
		for (size_t i = 0; i < sizeof(hooks) / sizeof(*hooks); i++)
			if (!strcmp(name, hooks[i]) && nr_hooks < MAX_HOOKS)
				c->return_hooks[nr_hooks++] = address;
	}
	free(line);
	if (f)
		fclose(f);
}

void schedprog_find_symbols(struct schedprog *p)
{
	struct sched_bpf__rodata *c = p->skel->rodata;

	if (ask(c) < 0) {
		memset(c->return_hooks, 0, sizeof(c->return_hooks));
		read_all(c);
	}
}
