#include "record/schedstacks.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "record/stacktrim.h"

#define LIMIT_BYTES (32u << 20)
/* A stack of 16 frames, and the entry that leads to it, are what a fingerprint costs. */
#define BYTES_PER_STACK 128
#define PAIR_SETS 16384			/* a power of two; of PAIR_WAYS: 2.5 MiB */
#define PAIR_WAYS 4
#define NR_ROWS 4096			/* 1 << 12 */

/* The addresses of one stack. */
struct known {
	uint64_t print;			/* 0: free */
	uint32_t first;			/* in the addresses of its half */
	uint8_t nr;
	uint8_t trimmed, reason;
	bool idle;
	uint32_t asked;			/* the state of the kernel's code that these are of */
};

/* Half of all memory: what was handed over since it was emptied. */
struct half {
	struct known *slots;
	__u64 *ips;
	size_t nr_slots, nr_ips;
};

struct pair {
	uint64_t kernel_print, user_print, generation;
	struct schedstacks_place place;
	uint32_t age;			/* 0: free */
};

/* What the function at an address tells; see record/schedreason.h. */
struct row {
	uint64_t address;
	int row;
};

struct schedstacks {
	struct schedstacks_opts opts;
	struct stacktrim trim;
	struct half halves[2];		/* the first is the one in use */
	size_t cap_slots, cap_ips;
	struct pair (*pairs)[PAIR_WAYS];
	struct row *rows;
	uint32_t clock;
	uint32_t kernel_state;		/* 1, and 1 more with each change of its code */
};

/* --- addresses ----------------------------------------------------------------------- */

/* A kernel stack and a user stack never share an address, but might a fingerprint. */
static uint64_t key_of(uint64_t print, bool user)
{
	return user ? ~print : print;
}

/* The slot of that key, or the free one where it belongs. */
static struct known *slot_of(const struct schedstacks *s, const struct half *h, uint64_t key)
{
	size_t i = (size_t)((key * UINT64_C(0x9e3779b97f4a7c15)) >> 20) & (s->cap_slots - 1);

	while (h->slots[i].print && h->slots[i].print != key)
		i = (i + 1) & (s->cap_slots - 1);
	return &h->slots[i];
}

static bool has_room(const struct schedstacks *s, const struct half *h, uint32_t nr)
{
	return h->nr_slots < s->cap_slots / 2 && h->nr_ips + nr <= s->cap_ips;
}

static struct known *put(struct schedstacks *s, uint64_t key, const __u64 *ips, uint32_t nr)
{
	struct half *h = &s->halves[0];
	struct known *k = slot_of(s, h, key);

	if (k->print)
		return k;
	*k = (struct known){ .print = key, .first = (uint32_t)h->nr_ips, .nr = (uint8_t)nr };
	memcpy(h->ips + h->nr_ips, ips, nr * sizeof(*ips));
	h->nr_ips += nr;
	h->nr_slots++;
	return k;
}

static void turn_over(struct schedstacks *s)
{
	struct half older = s->halves[1];

	s->halves[1] = s->halves[0];
	memset(older.slots, 0, s->cap_slots * sizeof(*older.slots));
	older.nr_slots = older.nr_ips = 0;
	s->halves[0] = older;
}

bool schedstacks_add(struct schedstacks *s, const struct sched_stack *stack)
{
	uint32_t nr = stack->frames < SCHED_MAX_STACK ? stack->frames : SCHED_MAX_STACK;
	bool full = !has_room(s, &s->halves[0], nr);

	if (stack->fingerprint < SCHED_FIRST_FINGERPRINT)
		return false;
	if (full)
		turn_over(s);
	put(s, key_of(stack->fingerprint, stack->probe == 1), stack->ips, nr);
	return full;
}

/*
 * What is only in the older half but still named, by a thread that has been blocked for
 * long, stays there as long as that half does.
 */
static struct known *find(struct schedstacks *s, uint64_t key, const __u64 **ips)
{
	for (int i = 0; i < 2; i++) {
		struct known *k = slot_of(s, &s->halves[i], key);

		if (k->print) {
			*ips = s->halves[i].ips + k->first;
			return k;
		}
	}
	return NULL;
}

/* --- reasons ------------------------------------------------------------------------- */

static int row_at(struct schedstacks *s, uint64_t address)
{
	struct row *r = &s->rows[address * UINT64_C(0x9e3779b97f4a7c15) >> 52];
	struct symbol sym;
	uint64_t offset;
	uint32_t module;

	if (r->address == address)
		return r->row;
	module = kernelmap_find(s->opts.kernel, address, &offset);
	r->address = address;
	/* A return address behind a call that never returns is that of the next function. */
	r->row = module && !symbolizer_find(s->opts.symbolizer, module, offset ? offset - 1 : 0,
					    &sym) ? schedreason_row(sym.name) : SCHEDREASON_NO_ROW;
	return r->row;
}

/* Trims the tracing itself, and tells why a thread is blocked there. */
static void ask(struct schedstacks *s, struct known *k, const __u64 *ips)
{
	struct schedreason_walk walk;
	struct schedreason why;

	if (k->asked == s->kernel_state)
		return;
	k->trimmed = (uint8_t)stacktrim_count(&s->trim, ips, k->nr);
	schedreason_begin(&walk);
	for (int i = k->trimmed; i < k->nr; i++)
		if (!schedreason_next(&walk, row_at(s, ips[i])))
			break;
	why = schedreason_end(&walk);
	k->reason = why.reason;
	k->idle = why.idle;
	k->asked = s->kernel_state;
}

/* --- pairs --------------------------------------------------------------------------- */

/* What was remembered of it; else an entry to be filled, of which `age` is 0. */
static struct pair *find_pair(struct schedstacks *s, uint64_t kernel_print, uint64_t user_print,
			      uint64_t generation)
{
	uint64_t hash = (kernel_print ^ user_print * UINT64_C(0xc2b2ae3d27d4eb4f) ^
			 generation * UINT64_C(0x165667b19e3779f9)) *
			UINT64_C(0x9e3779b97f4a7c15);
	struct pair *set = s->pairs[hash >> 32 & (PAIR_SETS - 1)], *oldest = set;

	for (int i = 0; i < PAIR_WAYS; i++) {
		struct pair *p = &set[i];

		if (p->age && p->kernel_print == kernel_print && p->user_print == user_print &&
		    p->generation == generation)
			return p;
		if (s->clock - p->age > s->clock - oldest->age)
			oldest = p;
	}
	*oldest = (struct pair){
		.kernel_print = kernel_print, .user_print = user_print, .generation = generation,
	};
	return oldest;
}

/* Appends the addresses; the count that record/stacks.h wants. */
static int append(struct schedstacks *s, uint64_t print, bool user, __u64 *to,
		  struct schedreason *why)
{
	const __u64 *ips;
	struct known *k;
	int nr;

	if (print < SCHED_FIRST_FINGERPRINT)
		return -(int)print;
	k = find(s, key_of(print, user), &ips);
	if (!k)
		return -ENOENT;
	if (!user)
		ask(s, k, ips);
	nr = k->nr - k->trimmed;
	memcpy(to, ips + k->trimmed, (size_t)nr * sizeof(*to));
	if (!user)
		*why = (struct schedreason){ k->reason, k->idle };
	return nr;
}

int schedstacks_find(struct schedstacks *s, const struct process *p, uint64_t kernel_print,
		     uint64_t user_print, struct schedstacks_place *place)
{
	/* Pure kernel stacks are the same in every process. */
	uint64_t state = user_print < SCHED_FIRST_FINGERPRINT ? 0 : p->maps_generation;
	struct pair *pair = find_pair(s, kernel_print, user_print,
				      state ^ (uint64_t)s->kernel_state << 40);
	struct schedreason why = { SCHED_REASON_UNKNOWN, false };
	__u64 ips[2 * SCHED_MAX_STACK];
	struct stacks_raw raw = { .ips = ips };
	bool is_known = pair->age != 0;

	if (!++s->clock)
		s->clock = 1;
	if (!is_known) {
		raw.kernel_frames = append(s, kernel_print, false, ips, &why);
		raw.user_frames = append(s, user_print, true,
					 ips + (raw.kernel_frames > 0 ? raw.kernel_frames : 0), &why);
		pair->place.stack = stacks_intern(s->opts.stacks, p, &raw);
		pair->place.why = why;
	}
	*place = pair->place;
	if (!is_known && (raw.kernel_frames == -ENOENT || raw.user_frames == -ENOENT))
		return -ENOENT;
	pair->age = s->clock;
	return 0;
}

void schedstacks_kernel_changed(struct schedstacks *s)
{
	stacktrim_forget(&s->trim);
	memset(s->rows, 0, NR_ROWS * sizeof(*s->rows));
	s->kernel_state++;
}

/* --- life ---------------------------------------------------------------------------- */

static size_t round_up(size_t n)
{
	size_t power = 64;

	while (power < n)
		power *= 2;
	return power;
}

int schedstacks_new(struct schedstacks **out, const struct schedstacks_opts *opts)
{
	struct schedstacks *s = calloc(1, sizeof(*s));
	size_t limit = opts->limit_bytes ? opts->limit_bytes : LIMIT_BYTES;

	if (!s)
		return -ENOMEM;
	s->opts = *opts;
	s->kernel_state = 1;
	stacktrim_init(&s->trim, opts->kernel, opts->symbolizer);
	s->cap_ips = limit / 2 / sizeof(__u64);
	if (s->cap_ips < SCHED_MAX_STACK)
		s->cap_ips = SCHED_MAX_STACK;
	s->cap_slots = round_up(2 * (limit / 2 / BYTES_PER_STACK));
	s->pairs = calloc(PAIR_SETS, sizeof(*s->pairs));
	s->rows = calloc(NR_ROWS, sizeof(*s->rows));
	for (int i = 0; i < 2; i++) {
		s->halves[i].slots = calloc(s->cap_slots, sizeof(*s->halves[i].slots));
		s->halves[i].ips = calloc(s->cap_ips, sizeof(*s->halves[i].ips));
	}
	if (!s->pairs || !s->rows || !s->halves[0].slots || !s->halves[0].ips ||
	    !s->halves[1].slots || !s->halves[1].ips) {
		schedstacks_free(s);
		return -ENOMEM;
	}
	*out = s;
	return 0;
}

void schedstacks_free(struct schedstacks *s)
{
	if (!s)
		return;
	for (int i = 0; i < 2; i++) {
		free(s->halves[i].slots);
		free(s->halves[i].ips);
	}
	free(s->pairs);
	free(s->rows);
	free(s);
}
