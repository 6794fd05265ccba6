#include "record/kernelmap.h"

#include "record/bpfprogs.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define KERNEL_NAME "[kernel.kallsyms]"
#define GIB (1ull << 30)
#define ASK_INTERVAL_NS 1000000000ull

/* _text comes after the per-CPU symbols, a few hundred lines from the top. */
#define MAX_HEAD_LINES 20000

struct range {
	uint64_t start, end;
	uint32_t module;
};

struct kernelmap {
	struct modules *modules;
	uint64_t text_start, text_end;	/* of the kernel proper */
	uint32_t kernel;		/* its module id */
	bool hidden;
	struct range *ranges;		/* sorted, never overlapping */
	size_t nr, cap;
	uint64_t asked_ns;
	uint32_t last_prog_id;
	void (*on_unknown)(void *ctx);
	void *unknown_ctx;
};

/*
 * Where the kernel can lie at most, until all of kallsyms is read: on x86-64
 * up to the next multiple of 1 GiB, where modules begin.
 */
static uint64_t guess_end(uint64_t start)
{
#ifdef __x86_64__
	return (start & ~(GIB - 1)) + GIB;
#else
	return start + GIB;
#endif
}

/*
 * The kernel formats a line when it is read, so reading stops at the first
 * symbol of its text.
 */
static uint64_t read_text_start(bool *hidden)
{
	FILE *f = fopen("/proc/kallsyms", "re");
	uint64_t address, start = 0;
	char line[1024], name[512];
	bool found = false;

	for (int i = 0; f && i < MAX_HEAD_LINES && fgets(line, sizeof(line), f); i++) {
		if (sscanf(line, "%" SCNx64 " %*c %511s", &address, name) != 2)
			continue;
		if (found && address > start)
			break;
		if (strcmp(name, "_text") && strcmp(name, "_stext"))
			continue;
		found = true;
		start = address;
		if (!strcmp(name, "_text"))
			break;
	}
	if (f)
		fclose(f);
	*hidden = !start;
	return start;
}

/* The first range that ends above the address. */
static size_t first_above(const struct kernelmap *k, uint64_t address)
{
	size_t low = 0, high = k->nr;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (k->ranges[mid].end > address)
			high = mid;
		else
			low = mid + 1;
	}
	return low;
}

/* What it overlaps is gone, or we would not have been told of this one. */
static void add_range(struct kernelmap *k, uint64_t start, uint64_t size_bytes,
		      const struct module *mod)
{
	size_t first, past;

	if (!mod || !size_bytes || start + size_bytes < start)
		return;
	if (k->nr == k->cap) {
		size_t cap = k->cap ? k->cap * 2 : 64;
		struct range *ranges = realloc(k->ranges, cap * sizeof(*ranges));

		if (!ranges)
			return;
		k->ranges = ranges;
		k->cap = cap;
	}
	first = first_above(k, start);
	for (past = first; past < k->nr && k->ranges[past].start < start + size_bytes; past++)
		;
	memmove(k->ranges + first + 1, k->ranges + past, (k->nr - past) * sizeof(*k->ranges));
	k->ranges[first] = (struct range){ start, start + size_bytes, mod->id };
	k->nr = k->nr - (past - first) + 1;
}

void kernelmap_add(struct kernelmap *k, const char *name, uint64_t start, uint64_t size_bytes)
{
	add_range(k, start, size_bytes,
		  modules_kernel(k->modules, MODULE_BPF, name, start, size_bytes));
}

static bool is_known(const struct kernelmap *k, uint64_t address)
{
	size_t i = first_above(k, address);

	return i < k->nr && k->ranges[i].start <= address;
}

void kernelmap_add_code(struct kernelmap *k, const char *name, uint64_t start,
			uint64_t size_bytes)
{
	if (!is_known(k, start))
		kernelmap_add(k, name, start, size_bytes);
}

void kernelmap_add_module(struct kernelmap *k, const char *name, uint64_t start,
			  uint64_t size_bytes)
{
	if (!is_known(k, start))
		add_range(k, start, size_bytes,
			  modules_kernel(k->modules, MODULE_KERNEL_MODULE, name, start,
					 size_bytes));
}

void kernelmap_remove(struct kernelmap *k, uint64_t start)
{
	size_t i = first_above(k, start);

	if (i == k->nr || k->ranges[i].start != start)
		return;
	k->nr--;
	memmove(k->ranges + i, k->ranges + i + 1, (k->nr - i) * sizeof(*k->ranges));
}

void kernelmap_on_unknown(struct kernelmap *k, void (*fn)(void *ctx), void *ctx)
{
	k->on_unknown = fn;
	k->unknown_ctx = ctx;
}

void kernelmap_limit(struct kernelmap *k, uint64_t end)
{
	if (end > k->text_start)
		k->text_end = end;
}

static void add_prog(void *ctx, const char *name, uint64_t start, uint64_t size_bytes)
{
	kernelmap_add(ctx, name, start, size_bytes);
}

/* "NAME BYTES USERS DEPENDS STATE 0xSTART ..." */
static void read_modules(struct kernelmap *k)
{
	FILE *f = fopen("/proc/modules", "re");
	char line[4096], name[256];
	uint64_t size_bytes, start;

	while (f && fgets(line, sizeof(line), f)) {
		char bracketed[sizeof(name) + 2];

		if (sscanf(line, "%255s %" SCNu64 " %*s %*s %*s %" SCNx64,
			   name, &size_bytes, &start) != 3 || !start)
			continue;
		snprintf(bracketed, sizeof(bracketed), "[%s]", name);
		kernelmap_add_module(k, bracketed, start, size_bytes);
	}
	if (f)
		fclose(f);
}

int kernelmap_open(struct kernelmap **out, struct modules *modules)
{
	struct kernelmap *k = calloc(1, sizeof(*k));

	if (!k)
		return -ENOMEM;
	k->modules = modules;
	k->text_start = read_text_start(&k->hidden);
	if (!k->hidden) {
		struct module *mod = modules_kernel(modules, MODULE_KERNEL, KERNEL_NAME,
						    k->text_start, 0);

		if (!mod) {
			free(k);
			return -ENOMEM;
		}
		k->kernel = mod->id;
		k->text_end = guess_end(k->text_start);
		read_modules(k);
	}
	*out = k;
	return 0;
}

void kernelmap_close(struct kernelmap *k)
{
	if (!k)
		return;
	free(k->ranges);
	free(k);
}

bool kernelmap_hidden(const struct kernelmap *k)
{
	return k->hidden;
}

/* True if something may have changed. */
static bool ask_again(struct kernelmap *k)
{
	struct timespec now;
	uint64_t now_ns;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	now_ns = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
	if (k->hidden || (k->asked_ns && now_ns - k->asked_ns < ASK_INTERVAL_NS))
		return false;
	k->asked_ns = now_ns;
	read_modules(k);
	bpfprogs_each(&k->last_prog_id, add_prog, k);
	return true;
}

static bool find_range(const struct kernelmap *k, uint64_t address, uint32_t *module,
		       uint64_t *offset)
{
	size_t i = first_above(k, address);

	if (i == k->nr || k->ranges[i].start > address)
		return false;
	*module = k->ranges[i].module;
	*offset = address - k->ranges[i].start;
	return true;
}

/* In the upper half of all addresses, where such code is on every machine of 64 bits. */
static bool is_kernel_address(uint64_t address)
{
	return address >> 63;
}

uint32_t kernelmap_find(struct kernelmap *k, uint64_t address, uint64_t *offset)
{
	uint32_t module = 0;

	if (find_range(k, address, &module, offset))
		return module;
	if (!k->hidden && address >= k->text_start && address < k->text_end) {
		*offset = address - k->text_start;
		return k->kernel;
	}
	if (ask_again(k) && find_range(k, address, &module, offset))
		return module;
	if (k->on_unknown && is_kernel_address(address)) {
		k->on_unknown(k->unknown_ctx);
		if (find_range(k, address, &module, offset))
			return module;
	}
	*offset = address;
	return 0;
}
