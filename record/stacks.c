#include "record/stacks.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define CACHE_SETS 16384	/* of CACHE_WAYS entries: 2.5 MiB */
#define CACHE_WAYS 4
#define KERNEL_SLOTS 8192

/*
 * A cached stack is recognised by a 128-bit hash of its addresses and of the
 * state of its address space: wrong once in 2^64 recordings of 2^32 stacks.
 */
struct cached {
	XXH128_hash_t hash;
	uint32_t stack, age;
};

struct kernel_slot {
	uint64_t address;
	uint32_t frame;
};

struct frame_ref {
	uint64_t offset;
	uint32_t module;
};

struct frame_list {
	struct frame_ref *at;
	size_t nr, cap;
};

struct stacks {
	struct stacks_opts opts;
	struct cached (*cache)[CACHE_WAYS];
	struct kernel_slot *kernel_frames;
	uint32_t max_frame;		/* the largest frame id seen */
	uint32_t clock;
	uint64_t kernel_generation;
	int max_depth;			/* a stack this deep was cut by the kernel */
	struct frame_list fresh, nameless;	/* to look up; JIT, to try again */
	uint64_t nr_unresolved;
	/* Symbols given to the writer, an open-addressing set. */
	struct frame_ref *named;
	size_t nr_named, cap_named;
};

static int list_push(struct frame_list *l, struct frame_ref f)
{
	if (l->nr == l->cap) {
		size_t cap = l->cap ? l->cap * 2 : 256;
		struct frame_ref *at = realloc(l->at, cap * sizeof(*at));

		if (!at)
			return -ENOMEM;
		l->at = at;
		l->cap = cap;
	}
	l->at[l->nr++] = f;
	return 0;
}

/* --- frames ------------------------------------------------------------------- */

static uint32_t put_frame(struct stacks *s, uint32_t module, uint64_t offset)
{
	uint32_t id = writer_frame(s->opts.writer, module, offset);
	struct module *mod;

	if (id <= s->max_frame)
		return id;
	s->max_frame = id;
	if (!module) {
		s->nr_unresolved += offset == FRAME_UNKNOWN;
		return id;
	}
	mod = modules_get(s->opts.modules, module);
	if (mod && !mod->opened)
		modules_touch(s->opts.modules, mod);
	if (list_push(&s->fresh, (struct frame_ref){ offset, module }) < 0)
		s->nr_unresolved++;
	return id;
}

static uint32_t kernel_frame(struct stacks *s, uint64_t address)
{
	struct kernel_slot *slot;
	uint32_t module;
	uint64_t offset;

	slot = &s->kernel_frames[(address * UINT64_C(0x9e3779b97f4a7c15)) >> 51];
	if (slot->address == address)
		return slot->frame;
	module = kernelmap_find(s->opts.kernel, address, &offset);
	slot->address = address;
	slot->frame = put_frame(s, module, module ? offset : FRAME_UNKNOWN);
	return slot->frame;
}

static uint32_t user_frame(struct stacks *s, const struct process *p, uint64_t address)
{
	const struct mapping *m = addrspace_find(&p->maps, address);
	const struct module *mod = m ? modules_get(s->opts.modules, m->module) : NULL;

	if (!mod)
		return put_frame(s, 0, FRAME_UNKNOWN);
	if (mod->kind == MODULE_JIT)
		return put_frame(s, m->module, address);
	if (mod->kind == MODULE_VDSO)
		return put_frame(s, m->module, address - m->start);
	return put_frame(s, m->module, address - m->start + m->offset);
}

/* --- stacks ------------------------------------------------------------------------ */

static uint32_t push(struct stacks *s, uint32_t stack, uint32_t frame)
{
	return writer_stack(s->opts.writer, stack, frame);
}

/*
 * How many of the frames to believe.  Code built without frame pointers leads
 * the walk astray: an address outside all code ends it, and what would follow
 * is noise.  The innermost address is where the CPU was, whatever it is.
 */
static int believable(const struct process *p, const __u64 *user, int nr)
{
	for (int i = 1; i < nr; i++)
		if (!addrspace_find(&p->maps, user[i]))
			return i;
	return nr;
}

/*
 * From the outermost frame inwards: user frames, then the kernel's.  A kernel
 * that keeps the addresses of a stack from us (EFAULT on a user stack that is
 * paged out, EXITING tasks) leaves a mark, so that no time vanishes silently.
 */
static uint32_t build(struct stacks *s, const struct process *p, const struct stacks_raw *raw)
{
	int nr_kernel = raw->kernel_frames > 0 ? raw->kernel_frames : 0;
	int nr_taken = raw->user_frames > 0 ? raw->user_frames : 0;
	const __u64 *user = raw->ips + nr_kernel;
	int nr_user = believable(p, user, nr_taken);
	uint32_t stack = 0;

	if (nr_taken >= s->max_depth || nr_user < nr_taken ||
	    (!nr_user && nr_kernel >= s->max_depth))
		stack = push(s, 0, put_frame(s, 0, FRAME_TRUNCATED));
	if (!nr_user && !nr_kernel && raw->user_frames < 0)
		return push(s, 0, put_frame(s, 0, FRAME_NO_STACK));
	for (int i = nr_user - 1; i >= 0; i--)
		stack = push(s, stack, user_frame(s, p, user[i]));
	for (int i = nr_kernel - 1; i >= 0; i--)
		stack = push(s, stack, kernel_frame(s, raw->ips[i]));
	return stack;
}

uint32_t stacks_intern(struct stacks *s, const struct process *p,
		       const struct stacks_raw *raw)
{
	int nr_kernel = raw->kernel_frames > 0 ? raw->kernel_frames : 0;
	int nr_user = raw->user_frames > 0 ? raw->user_frames : 0;
	uint64_t seed = s->kernel_generation << 32;
	struct cached *set, *oldest;
	XXH128_hash_t hash;

	/* Pure kernel stacks are the same in every process. */
	if (nr_user)
		seed ^= p->maps_generation;
	/* What tells stacks of the same addresses apart: the two counts. */
	seed ^= ((uint64_t)(uint16_t)raw->kernel_frames << 48) +
		((uint64_t)(uint16_t)raw->user_frames << 40);
	hash = XXH3_128bits_withSeed(raw->ips, (size_t)(nr_kernel + nr_user) *
				     sizeof(raw->ips[0]), seed);
	set = s->cache[hash.low64 % CACHE_SETS];
	oldest = set;
	s->clock++;
	for (int i = 0; i < CACHE_WAYS; i++) {
		if (XXH128_isEqual(set[i].hash, hash)) {
			set[i].age = s->clock;
			return set[i].stack;
		}
		if (s->clock - set[i].age > s->clock - oldest->age)
			oldest = &set[i];
	}
	*oldest = (struct cached){ hash, build(s, p, raw), s->clock };
	return oldest->stack;
}

uint32_t stacks_frame(struct stacks *s, const struct process *p, uint64_t address)
{
	if (!address)
		return 0;
	return (int64_t)address < 0 ? kernel_frame(s, address) : user_frame(s, p, address);
}

void stacks_kernel_changed(struct stacks *s)
{
	s->kernel_generation++;
	memset(s->kernel_frames, 0, KERNEL_SLOTS * sizeof(*s->kernel_frames));
}

/* --- names ------------------------------------------------------------------------- */

static struct frame_ref *named_slot(struct frame_ref *set, size_t cap, struct frame_ref f)
{
	size_t i = (f.offset * UINT64_C(0x9e3779b97f4a7c15) ^
		    f.module * UINT64_C(0xc2b2ae3d27d4eb4f)) >> 20 & (cap - 1);

	while (set[i].module && (set[i].module != f.module || set[i].offset != f.offset))
		i = (i + 1) & (cap - 1);
	return &set[i];
}

/* True when the symbol that starts there is new to the file. */
static bool name_once(struct stacks *s, struct frame_ref start)
{
	struct frame_ref *slot;

	if (s->nr_named >= s->cap_named / 2) {
		size_t cap = s->cap_named ? s->cap_named * 2 : 1024;
		struct frame_ref *set = calloc(cap, sizeof(*set));

		if (!set)
			return true;
		for (size_t i = 0; i < s->cap_named; i++)
			if (s->named[i].module)
				*named_slot(set, cap, s->named[i]) = s->named[i];
		free(s->named);
		s->named = set;
		s->cap_named = cap;
	}
	slot = named_slot(s->named, s->cap_named, start);
	if (slot->module)
		return false;
	*slot = start;
	s->nr_named++;
	return true;
}

static bool name_frame(struct stacks *s, struct frame_ref f)
{
	struct writer *w = s->opts.writer;
	struct symbol sym;

	if (symbolizer_find(s->opts.symbolizer, f.module, f.offset, &sym) < 0)
		return false;
	if (name_once(s, (struct frame_ref){ sym.start, f.module }))
		writer_symbol(w, f.module, sym.start, sym.size_bytes,
			      writer_string(w, CLASS_SYMBOL, sym.name, strlen(sym.name)));
	return true;
}

/* Of a process that is gone, no map grows any more. */
static bool may_get_name(const struct stacks *s, struct frame_ref f)
{
	const struct module *mod = modules_get(s->opts.modules, f.module);

	return mod && mod->kind == MODULE_JIT && !mod->retired;
}

void stacks_name_frames(struct stacks *s)
{
	size_t kept = 0;

	symbolizer_refresh(s->opts.symbolizer);
	for (size_t i = 0; i < s->nameless.nr; i++) {
		struct frame_ref f = s->nameless.at[i];

		if (name_frame(s, f))
			s->nr_unresolved--;
		else if (may_get_name(s, f))
			s->nameless.at[kept++] = f;
	}
	s->nameless.nr = kept;
	for (size_t i = 0; i < s->fresh.nr; i++) {
		if (name_frame(s, s->fresh.at[i]))
			continue;
		s->nr_unresolved++;
		if (may_get_name(s, s->fresh.at[i]))
			list_push(&s->nameless, s->fresh.at[i]);
	}
	s->fresh.nr = 0;
}

void stacks_count(const struct stacks *s, uint64_t *frames, uint64_t *unresolved)
{
	*frames = s->max_frame;
	*unresolved = s->nr_unresolved;
}

/* --- life --------------------------------------------------------------------------- */

/* kernel.perf_event_max_stack may be set below what the BPF program asks for. */
static int max_depth(void)
{
	FILE *f = fopen("/proc/sys/kernel/perf_event_max_stack", "re");
	int n = SAMPLE_MAX_STACK;

	if (!f)
		return n;
	if (fscanf(f, "%d", &n) != 1 || n <= 0 || n > SAMPLE_MAX_STACK)
		n = SAMPLE_MAX_STACK;
	fclose(f);
	return n;
}

int stacks_new(struct stacks **out, const struct stacks_opts *opts)
{
	struct stacks *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->opts = *opts;
	s->max_depth = max_depth();
	s->cache = calloc(CACHE_SETS, sizeof(*s->cache));
	s->kernel_frames = calloc(KERNEL_SLOTS, sizeof(*s->kernel_frames));
	if (!s->cache || !s->kernel_frames) {
		stacks_free(s);
		return -ENOMEM;
	}
	*out = s;
	return 0;
}

void stacks_free(struct stacks *s)
{
	if (!s)
		return;
	free(s->cache);
	free(s->kernel_frames);
	free(s->fresh.at);
	free(s->nameless.at);
	free(s->named);
	free(s);
}
