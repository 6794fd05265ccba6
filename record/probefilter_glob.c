/* Globs in the kernel: the automaton of a pattern as a loop over the characters of a text. */
#include "record/probefilter_private.h"

#include <string.h>

#define MAX_STATES 63			/* pattern characters but stars */
#define MAX_JUMPS 7800			/* see count_jumps() */

/*
 * The automaton of a pattern: state i has matched i of its characters, stars left
 * out.  All states that are reached are the bits of one number.
 */
struct automaton {
	unsigned int nr_states;		/* state nr_states: all is matched */
	uint64_t stays;			/* states with a star after them */
	uint64_t any;			/* states entered by any character: ? */
	unsigned char chars[MAX_STATES];	/* different ones, ascending */
	uint64_t enters[MAX_STATES];	/* states entered by each of them */
	unsigned int nr_chars;
};

static void add_char(struct automaton *a, unsigned char c)
{
	unsigned int i = a->nr_chars;

	for (; i > 0 && a->chars[i - 1] >= c; i--)
		;
	if (i == a->nr_chars || a->chars[i] != c) {
		memmove(a->chars + i + 1, a->chars + i, a->nr_chars - i);
		memmove(a->enters + i + 1, a->enters + i,
			(a->nr_chars - i) * sizeof(a->enters[0]));
		a->chars[i] = c;
		a->enters[i] = 0;
		a->nr_chars++;
	}
	a->enters[i] |= (uint64_t)1 << a->nr_states;
}

/* False: the pattern is too long. */
static bool make_automaton(struct automaton *a, const char *pattern, size_t len)
{
	memset(a, 0, sizeof(*a));
	for (size_t i = 0; i < len; i++) {
		if (pattern[i] == '*') {
			a->stays |= (uint64_t)1 << a->nr_states;
			continue;
		}
		if (a->nr_states++ == MAX_STATES)
			return false;
		if (pattern[i] == '?')
			a->any |= (uint64_t)1 << a->nr_states;
		else
			add_char(a, (unsigned char)pattern[i]);
	}
	return true;
}

/* r4 = the states that the character in r3 enters; a search by halves. */
static void emit_enters(struct bpfcode *c, const struct automaton *a, unsigned int from,
			unsigned int to, int joined)
{
	if (to - from > 2) {
		unsigned int half = (from + to) / 2;
		int upper = bpfcode_label(c);

		bpfcode_jump_imm(c, BPF_JGE, BPF_REG_3, a->chars[half], upper);
		emit_enters(c, a, from, half, joined);
		bpfcode_here(c, upper);
		emit_enters(c, a, half, to, joined);
		return;
	}
	for (; from < to; from++) {
		int other = bpfcode_label(c);

		bpfcode_jump_imm(c, BPF_JNE, BPF_REG_3, a->chars[from], other);
		bpfcode_const(c, BPF_REG_4, a->enters[from] | a->any);
		bpfcode_jump(c, joined);
		bpfcode_here(c, other);
	}
	bpfcode_const(c, BPF_REG_4, a->any);
	bpfcode_jump(c, joined);
}

/* r0: the states that are reached, r1: the next character, r2: how many there were. */
static void emit_automaton(struct probefilter *f, const struct automaton *a, int16_t at,
			   unsigned int size_bytes)
{
	struct bpfcode *c = &f->b->code;
	int loop = bpfcode_label(c), joined = bpfcode_label(c), done = bpfcode_label(c);

	bpfcode_op(c, BPF_MOV, BPF_REG_1, BPF_REG_10);
	bpfcode_op_imm(c, BPF_ADD, BPF_REG_1, at);
	bpfcode_op_imm(c, BPF_MOV, BPF_REG_2, 0);
	bpfcode_op_imm(c, BPF_MOV, BPF_REG_0, 1);
	/*
	 * Any number.  Mixed in and out again it makes the verifier forget what r0
	 * may be: it would follow the loop once for each set of states otherwise.
	 */
	bpfcode_load(c, 8, BPF_REG_5, BPF_REG_10, at);
	bpfcode_here(c, loop);
	bpfcode_load(c, 1, BPF_REG_3, BPF_REG_1, 0);
	bpfcode_jump_imm(c, BPF_JEQ, BPF_REG_3, 0, done);
	emit_enters(c, a, 0, a->nr_chars, joined);
	bpfcode_here(c, joined);
	bpfcode_const(c, BPF_REG_3, a->stays);
	bpfcode_op(c, BPF_AND, BPF_REG_3, BPF_REG_0);
	bpfcode_op_imm(c, BPF_LSH, BPF_REG_0, 1);
	bpfcode_op(c, BPF_AND, BPF_REG_0, BPF_REG_4);
	bpfcode_op(c, BPF_OR, BPF_REG_0, BPF_REG_3);
	bpfcode_op(c, BPF_XOR, BPF_REG_0, BPF_REG_5);
	bpfcode_op(c, BPF_XOR, BPF_REG_0, BPF_REG_5);
	bpfcode_jump_imm(c, BPF_JEQ, BPF_REG_0, 0, done);
	bpfcode_op_imm(c, BPF_ADD, BPF_REG_1, 1);
	bpfcode_op_imm(c, BPF_ADD, BPF_REG_2, 1);
	bpfcode_jump_imm(c, BPF_JLT, BPF_REG_2, (int32_t)size_bytes, loop);
	bpfcode_here(c, done);
	bpfcode_op_imm(c, BPF_RSH, BPF_REG_0, (int32_t)a->nr_states);
	bpfcode_op_imm(c, BPF_AND, BPF_REG_0, 1);
}

/*
 * The verifier follows one way through the program and keeps a list of the jumps
 * that it did not take, of every round of a loop; it has room for 8,192.
 */
static void count_jumps(struct probefilter *f, const struct automaton *a,
			unsigned int size_bytes)
{
	unsigned int each = 3;

	for (unsigned int chars = a->nr_chars; chars > 2; chars -= chars / 2)
		each++;
	f->nr_jumps += each * size_bytes;
	if (f->nr_jumps > MAX_JUMPS)
		f->no_room = true;
}

bool probefilter_glob_fits(const char *pattern, size_t len_bytes)
{
	struct automaton a;

	return make_automaton(&a, pattern, len_bytes);
}

void probefilter_glob_emit(struct probefilter *f, const char *pattern, size_t len_bytes,
			   int16_t at, unsigned int size_bytes)
{
	struct automaton a;

	make_automaton(&a, pattern, len_bytes);
	emit_automaton(f, &a, at, size_bytes);
	count_jumps(f, &a, size_bytes);
}
