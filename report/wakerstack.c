#include "report/wakerstack.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_KNOWN 256

/*
 * Where the code of an interrupt begins, outermost function first called.  What they
 * interrupt is below.
 */
static const char *const entries[] = {
	"asm_common_interrupt", "asm_sysvec_", "asm_exc_", "asm_call_irq",	/* x86 */
	"apic_timer_interrupt", "ret_from_intr", "reschedule_interrupt",	/* before 5.8 */
	"call_function_", "nmi_restore", "end_repeat_nmi",
	"el1h_64_irq", "el0t_64_irq", "el1_irq", "el0_irq",			/* arm64 */
	"el1h_64_fiq", "el0t_64_fiq",
	"io_int_handler", "ext_int_handler",					/* s390 */
	"hardware_interrupt_common", "decrementer_common",			/* powerpc */
};

#define NR_ENTRIES (sizeof(entries) / sizeof(entries[0]))

struct wakerstacks {
	struct trace *trace;
	struct wakerstack *known;	/* by stack id; frames is 0 when it is not */
	uint32_t nr_known;
	/* Stacks that stand for all with the same innermost frames; 0 is free. */
	uint32_t *slots;
	size_t nr, nr_slots;		/* slots are a power of two */
};

int wakerstack_new(struct wakerstacks **out, struct trace *t)
{
	struct wakerstacks *w = calloc(1, sizeof(*w));

	if (!w)
		return -ENOMEM;
	w->trace = t;
	*out = w;
	return 0;
}

void wakerstack_free(struct wakerstacks *w)
{
	if (!w)
		return;
	free(w->known);
	free(w->slots);
	free(w);
}

static bool is_kernel(const struct wakerstacks *w, uint32_t frame)
{
	const struct trace_frame *f = trace_frame(w->trace, frame);
	const struct trace_module *m = f ? trace_module(w->trace, f->module) : NULL;

	return m && (m->kind == MODULE_KERNEL || m->kind == MODULE_KERNEL_MODULE ||
		     m->kind == MODULE_BPF);
}

static bool is_entry(const struct wakerstacks *w, uint32_t frame)
{
	const struct trace_frame *f = trace_frame(w->trace, frame);
	const struct trace_symbol *symbol = f ? trace_symbol(w->trace, f->module, f->offset) : NULL;
	const char *name = symbol ? trace_text(w->trace, symbol->name) : "";

	for (size_t i = 0; i < NR_ENTRIES; i++)
		if (!strncmp(name, entries[i], strlen(entries[i])))
			return true;
	return false;
}

/* How much of the stack is the interrupt's: up to where it began, else the kernel's part. */
static void measure(const struct wakerstacks *w, uint32_t stack, struct wakerstack *out)
{
	const struct trace_stack *s;

	*out = (struct wakerstack) { .stack = stack };
	for (uint32_t at = stack; (s = trace_stack(w->trace, at)); at = s->parent) {
		if (out->frames && !is_kernel(w, s->frame))
			return;
		out->frames++;
		if (is_entry(w, s->frame)) {
			out->is_borrowed = true;
			return;
		}
	}
}

static uint64_t hash_of(const struct wakerstacks *w, const struct wakerstack *k)
{
	uint64_t hash = k->frames;
	uint32_t at = k->stack;

	for (uint32_t i = 0; i < k->frames; i++) {
		const struct trace_stack *s = trace_stack(w->trace, at);

		hash = (hash ^ s->frame) * 0x9e3779b97f4a7c15u;
		hash ^= hash >> 29;
		at = s->parent;
	}
	return hash;
}

static bool same(const struct wakerstacks *w, const struct wakerstack *a,
		 const struct wakerstack *b)
{
	uint32_t x = a->stack, y = b->stack;

	if (a->frames != b->frames || a->is_borrowed != b->is_borrowed)
		return false;
	for (uint32_t i = 0; i < a->frames && x != y; i++) {
		const struct trace_stack *s = trace_stack(w->trace, x), *t = trace_stack(w->trace, y);

		if (s->frame != t->frame)
			return false;
		x = s->parent;
		y = t->parent;
	}
	return true;
}

static uint32_t *find(const struct wakerstacks *w, const struct wakerstack *k)
{
	for (uint64_t at = hash_of(w, k);; at++) {
		uint32_t *slot = &w->slots[at & (w->nr_slots - 1)];

		if (!*slot || same(w, &w->known[*slot], k))
			return slot;
	}
}

static int grow_slots(struct wakerstacks *w)
{
	struct wakerstacks bigger = *w;

	bigger.nr_slots = w->nr_slots ? w->nr_slots * 2 : FIRST_KNOWN;
	bigger.slots = calloc(bigger.nr_slots, sizeof(*bigger.slots));
	if (!bigger.slots)
		return -ENOMEM;
	for (size_t i = 0; i < w->nr_slots; i++)
		if (w->slots[i])
			*find(&bigger, &w->known[w->slots[i]]) = w->slots[i];
	free(w->slots);
	*w = bigger;
	return 0;
}

/* Stacks stand in the file before their records. */
static int prepare(struct wakerstacks *w)
{
	uint32_t nr = trace_nr_stacks(w->trace);
	struct wakerstack *known = realloc(w->known, nr * sizeof(*known));

	if (!known)
		return -ENOMEM;
	memset(known + w->nr_known, 0, (nr - w->nr_known) * sizeof(*known));
	w->known = known;
	w->nr_known = nr;
	return 0;
}

int wakerstack_get(struct wakerstacks *w, uint32_t stack, struct wakerstack *out)
{
	struct wakerstack *is;
	uint32_t *slot;

	*out = (struct wakerstack) { .stack = 0 };
	if (!trace_stack(w->trace, stack))
		return 0;
	if (stack >= w->nr_known && prepare(w))
		return -ENOMEM;
	is = &w->known[stack];
	if (!is->frames) {
		if (w->nr * 2 >= w->nr_slots && grow_slots(w))
			return -ENOMEM;
		measure(w, stack, is);
		slot = find(w, is);
		w->nr += !*slot;
		*slot = *slot ? *slot : stack;
		is->stack = *slot;
	}
	*out = *is;
	return 0;
}
