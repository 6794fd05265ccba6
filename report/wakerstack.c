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

/* Whether an interrupt begins with a frame. */
enum kind { NOT_ASKED, ENTRY, NO_ENTRY };

struct wakerstacks {
	struct trace *trace;
	struct wakerstack *known;	/* by stack id; frames is 0 when it is not */
	uint32_t nr_known;
	uint8_t *kinds;			/* by frame id: enum kind */
	uint32_t nr_kinds;
	/* Stacks that stand for all with the same innermost frames; 0 is free. */
	uint32_t *slots;
	size_t nr, nr_slots;		/* slots are a power of two */
	uint32_t *path;			/* stacks that become known, the innermost first */
	size_t cap_path;
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
	free(w->kinds);
	free(w->slots);
	free(w->path);
	free(w);
}

static bool is_kernel(const struct wakerstacks *w, uint32_t frame)
{
	const struct trace_frame *f = trace_frame(w->trace, frame);
	const struct trace_module *m = f ? trace_module(w->trace, f->module) : NULL;

	return m && (m->kind == MODULE_KERNEL || m->kind == MODULE_KERNEL_MODULE ||
		     m->kind == MODULE_BPF);
}

static bool is_entry_name(const char *name)
{
	for (size_t i = 0; i < NR_ENTRIES; i++)
		if (!strncmp(name, entries[i], strlen(entries[i])))
			return true;
	return false;
}

/* On a pipe the name may become known later. */
static bool is_entry(const struct wakerstacks *w, uint32_t frame)
{
	const struct trace_frame *f = trace_frame(w->trace, frame);
	const struct trace_symbol *symbol;
	bool is;

	if (frame < w->nr_kinds && w->kinds[frame])
		return w->kinds[frame] == ENTRY;
	symbol = f ? trace_symbol(w->trace, f->module, f->offset) : NULL;
	is = symbol && is_entry_name(trace_text(w->trace, symbol->name));
	if (symbol && frame < w->nr_kinds)
		w->kinds[frame] = is ? ENTRY : NO_ENTRY;
	return is;
}

/*
 * How much of a stack is the interrupt's: up to where it began, else the kernel's part;
 * the innermost frame always.  That of the stack which it stands on, or nothing.
 */
static const struct wakerstack *outer_part(const struct wakerstacks *w, uint32_t stack)
{
	static const struct wakerstack nothing;
	const struct trace_stack *s = trace_stack(w->trace, stack), *outer;

	if (is_entry(w, s->frame))
		return &nothing;
	outer = trace_stack(w->trace, s->parent);
	return outer && s->parent < w->nr_known && is_kernel(w, outer->frame)
	       ? &w->known[s->parent] : &nothing;
}

/* A part is the same as another if it stands on the same, with the same frame. */
static uint32_t *find(const struct wakerstacks *w, uint32_t stack)
{
	uint32_t frame = trace_stack(w->trace, stack)->frame;
	uint32_t outer = outer_part(w, stack)->stack;
	uint64_t at = ((uint64_t)outer << 32 | frame) * 0x9e3779b97f4a7c15u;

	for (at ^= at >> 32;; at++) {
		uint32_t *slot = &w->slots[at & (w->nr_slots - 1)];

		if (!*slot || (trace_stack(w->trace, *slot)->frame == frame &&
			       outer_part(w, *slot)->stack == outer))
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
			*find(&bigger, w->slots[i]) = w->slots[i];
	free(w->slots);
	*w = bigger;
	return 0;
}

/* Stacks and their frames stand in the file before their records. */
static int prepare(struct wakerstacks *w)
{
	uint32_t nr = trace_nr_stacks(w->trace), nr_frames = trace_nr_frames(w->trace);
	struct wakerstack *known = realloc(w->known, nr * sizeof(*known));
	uint8_t *kinds;

	if (!known)
		return -ENOMEM;
	memset(known + w->nr_known, 0, (nr - w->nr_known) * sizeof(*known));
	w->known = known;
	w->nr_known = nr;
	kinds = realloc(w->kinds, (size_t)nr_frames + 1);
	if (!kinds)
		return -ENOMEM;
	memset(kinds + w->nr_kinds, NOT_ASKED, nr_frames - w->nr_kinds);
	w->kinds = kinds;
	w->nr_kinds = nr_frames;
	return 0;
}

static int push_path(struct wakerstacks *w, size_t at, uint32_t stack)
{
	size_t cap = w->cap_path ? w->cap_path * 2 : FIRST_KNOWN;
	uint32_t *path;

	if (at == w->cap_path) {
		path = realloc(w->path, cap * sizeof(*path));
		if (!path)
			return -ENOMEM;
		w->path = path;
		w->cap_path = cap;
	}
	w->path[at] = stack;
	return 0;
}

/* What it stands on is known. */
static int measure(struct wakerstacks *w, uint32_t stack)
{
	const struct wakerstack *outer = outer_part(w, stack);
	uint32_t *slot;

	if (w->nr * 2 >= w->nr_slots && grow_slots(w))
		return -ENOMEM;
	slot = find(w, stack);
	w->nr += !*slot;
	*slot = *slot ? *slot : stack;
	w->known[stack] = (struct wakerstack) {
		.stack = *slot, .frames = outer->frames + 1,
		.is_borrowed = outer->is_borrowed ||
			       is_entry(w, trace_stack(w->trace, stack)->frame),
	};
	return 0;
}

int wakerstack_get(struct wakerstacks *w, uint32_t stack, struct wakerstack *out)
{
	size_t nr = 0;

	*out = (struct wakerstack) { .stack = 0 };
	if (!trace_stack(w->trace, stack))
		return 0;
	if (stack >= w->nr_known && prepare(w))
		return -ENOMEM;
	for (uint32_t at = stack; at < w->nr_known && trace_stack(w->trace, at) &&
	     !w->known[at].frames; at = trace_stack(w->trace, at)->parent) {
		if (nr && !is_kernel(w, trace_stack(w->trace, at)->frame))
			break;
		if (push_path(w, nr++, at))
			return -ENOMEM;
	}
	while (nr > 0)
		if (measure(w, w->path[--nr]))
			return -ENOMEM;
	*out = w->known[stack];
	return 0;
}
