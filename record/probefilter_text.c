#include "record/probefilter_private.h"

#include <errno.h>
#include <string.h>

#define COMM_BYTES 16			/* TASK_COMM_LEN */
#define MAX_CONSTANT_BYTES 255
#define TEXT_BYTES 264			/* such a constant, its NUL and one byte more */
#define PAIR_BYTES 128			/* compared of two fields, or to tell the order */

static void fail(struct probefilter *f, const struct expr_node *n, const char *what)
{
	if (!f->err)
		f->err = diag_set(f->d, -EINVAL, "filter, column %u: %s", n->column, what);
}

static const struct probe_value *value_of(const struct probefilter *f,
					  const struct expr_node *n)
{
	return &f->b->variant->filter_values[n->var];
}

static bool is_comm(const struct probefilter *f, const struct expr_node *n)
{
	return value_of(f, n)->result == RESULT_COMM;
}

/* Room for text: one for all tests of comm alone, one for all others. */
static int16_t reserve(struct probefilter *f, unsigned int size_bytes)
{
	bool large = size_bytes > COMM_BYTES;

	if (!f->text[large])
		f->text[large] = probeprog_stack(f->b, large ? TEXT_BYTES : COMM_BYTES);
	return f->text[large];
}

/*
 * Reads text to the BPF stack: at most size_bytes with its NUL.  r0: bytes read,
 * NUL included, or a negative error; then the first byte is NUL.  Of comm, nothing
 * is known of r0.
 */
static void emit_read(struct probefilter *f, const struct expr_node *n, int16_t at,
		      unsigned int size_bytes)
{
	struct bpfcode *c = &f->b->code;
	const struct probe_value *v = value_of(f, n);

	if (v->result == RESULT_STRING)
		probeprog_fetch(f->b, v, BPF_REG_3);
	else if (v->result != RESULT_COMM)
		fail(f, n, "it is neither a number nor text that ends in NUL");
	bpfcode_op(c, BPF_MOV, BPF_REG_1, BPF_REG_10);
	bpfcode_op_imm(c, BPF_ADD, BPF_REG_1, at);
	if (v->result == RESULT_COMM) {
		/* The helper fills it up with zeros only since kernel 6.2. */
		for (int16_t i = 0; i < COMM_BYTES; i += 8)
			bpfcode_store_imm(c, 8, BPF_REG_10, (int16_t)(at + i), 0);
		bpfcode_op_imm(c, BPF_MOV, BPF_REG_2, COMM_BYTES);
		bpfcode_call(c, BPF_FUNC_get_current_comm);
		return;
	}
	bpfcode_op_imm(c, BPF_MOV, BPF_REG_2, (int32_t)size_bytes);
	probeprog_fetch_memory(f->b, v->space, BPF_FUNC_probe_read_kernel_str,
			       BPF_FUNC_probe_read_user_str);
}

/* Goes to `miss` unless the bytes at r10 + at are these. */
static void emit_bytes_equal(struct probefilter *f, int16_t at, const char *bytes,
			     unsigned int len, int miss)
{
	struct bpfcode *c = &f->b->code;

	for (unsigned int i = 0; i < len;) {
		unsigned int size = 8;
		uint64_t word;

		while (size > len - i)
			size /= 2;
		/* In the order of this machine, as the program loads it. */
		if (size == 1) {
			word = (unsigned char)bytes[i];
		} else if (size == 2) {
			uint16_t half;

			memcpy(&half, bytes + i, 2);
			word = half;
		} else if (size == 4) {
			uint32_t half;

			memcpy(&half, bytes + i, 4);
			word = half;
		} else {
			memcpy(&word, bytes + i, 8);
		}
		bpfcode_load(c, size, BPF_REG_1, BPF_REG_10, (int16_t)(at + (int)i));
		bpfcode_const(c, BPF_REG_2, word);
		bpfcode_jump_if(c, BPF_JNE, BPF_REG_1, BPF_REG_2, miss);
		i += size;
	}
}

/* Where mismatches go, and after the last test what follows it. */
static int open_miss(struct probefilter *f, int label, bool want)
{
	return want ? bpfcode_label(&f->b->code) : label;
}

static void close_miss(struct probefilter *f, int miss, int label, bool want)
{
	if (!want)
		return;
	bpfcode_jump(&f->b->code, label);
	bpfcode_here(&f->b->code, miss);
}

/* --- equal to a constant, or starting with it ------------------------------------------- */

static void emit_comm_equals(struct probefilter *f, const struct expr_node *n,
			     const char *text, unsigned int len, bool prefix, int label,
			     bool want)
{
	int16_t at = reserve(f, COMM_BYTES);
	char padded[COMM_BYTES] = "";
	int miss;

	if (len >= COMM_BYTES) {
		probefilter_constant(f, !want, label);
		return;
	}
	/* The helper fills up with NULs. */
	memcpy(padded, text, len);
	miss = open_miss(f, label, want);
	emit_read(f, n, at, COMM_BYTES);
	emit_bytes_equal(f, at, padded, prefix ? len : COMM_BYTES, miss);
	close_miss(f, miss, label, want);
}

static void emit_equals(struct probefilter *f, const struct expr_node *n, const char *text,
			size_t len, bool prefix, int label, bool want)
{
	struct bpfcode *c = &f->b->code;
	/* One byte more than is compared tells that the text is longer. */
	unsigned int size = (unsigned int)len + (prefix ? 1 : 2);
	int16_t at;
	int miss;

	if (len > MAX_CONSTANT_BYTES) {
		fail(f, n, "the kernel compares text of at most 255 bytes");
		return;
	}
	if (is_comm(f, n)) {
		emit_comm_equals(f, n, text, (unsigned int)len, prefix, label, want);
		return;
	}
	at = reserve(f, size);
	miss = open_miss(f, label, want);
	emit_read(f, n, at, size);
	if (len)
		bpfcode_jump_imm(c, BPF_JNE, BPF_REG_0, (int32_t)len + 1, miss);
	else
		bpfcode_jump_imm(c, BPF_JSGT, BPF_REG_0, 1, miss);
	emit_bytes_equal(f, at, text, (unsigned int)len, miss);
	close_miss(f, miss, label, want);
}

void probefilter_any_text(struct probefilter *f, const struct expr_node *n, int label,
			  bool want)
{
	if (n->op == EXPR_VAR)
		emit_equals(f, n, "", 0, false, label, !want);
	else
		probefilter_constant(f, (n->len_bytes != 0) == want, label);
}

/* --- two texts ------------------------------------------------------------------------------- */

/* How many bytes hold the text and its NUL, as far as it is compared. */
static unsigned int bound_of(struct probefilter *f, const struct expr_node *n)
{
	if (n->op == EXPR_TEXT)
		return (unsigned int)n->len_bytes + 1;
	return is_comm(f, n) ? COMM_BYTES : PAIR_BYTES;
}

static void emit_text(struct probefilter *f, const struct expr_node *n, int16_t at)
{
	if (n->op == EXPR_VAR) {
		emit_read(f, n, at, PAIR_BYTES);
		return;
	}
	for (unsigned int i = 0; i <= n->len_bytes; i++)
		bpfcode_store_imm(&f->b->code, 1, BPF_REG_10, (int16_t)(at + (int)i), n->text[i]);
}

static int jump_of(enum expr_op op, bool want)
{
	switch (op) {
	case EXPR_EQ:
		return want ? BPF_JEQ : BPF_JNE;
	case EXPR_NE:
		return want ? BPF_JNE : BPF_JEQ;
	case EXPR_LT:
		return want ? BPF_JLT : BPF_JGE;
	case EXPR_LE:
		return want ? BPF_JLE : BPF_JGT;
	case EXPR_GT:
		return want ? BPF_JGT : BPF_JLE;
	default:
		return want ? BPF_JGE : BPF_JLT;
	}
}

/* Byte by byte up to a difference, which is in r0 and r1, or to the end of both. */
static void emit_order(struct probefilter *f, const struct expr_node *n, int jump, int label)
{
	unsigned int left = bound_of(f, n->left), right = bound_of(f, n->right);
	struct bpfcode *c = &f->b->code;
	int loop = bpfcode_label(c), done = bpfcode_label(c);
	int16_t a, b;

	if (left > PAIR_BYTES || right > PAIR_BYTES) {
		fail(f, n, "the kernel orders text of at most 127 bytes");
		return;
	}
	a = reserve(f, 2 * PAIR_BYTES);
	b = (int16_t)(a + PAIR_BYTES);
	emit_text(f, n->left, a);
	emit_text(f, n->right, b);
	bpfcode_op(c, BPF_MOV, BPF_REG_2, BPF_REG_10);
	bpfcode_op_imm(c, BPF_ADD, BPF_REG_2, a);
	bpfcode_op(c, BPF_MOV, BPF_REG_3, BPF_REG_10);
	bpfcode_op_imm(c, BPF_ADD, BPF_REG_3, b);
	bpfcode_op_imm(c, BPF_MOV, BPF_REG_4, 0);
	bpfcode_here(c, loop);
	bpfcode_load(c, 1, BPF_REG_0, BPF_REG_2, 0);
	bpfcode_load(c, 1, BPF_REG_1, BPF_REG_3, 0);
	bpfcode_jump_if(c, BPF_JNE, BPF_REG_0, BPF_REG_1, done);
	bpfcode_jump_imm(c, BPF_JEQ, BPF_REG_0, 0, done);
	bpfcode_op_imm(c, BPF_ADD, BPF_REG_2, 1);
	bpfcode_op_imm(c, BPF_ADD, BPF_REG_3, 1);
	bpfcode_op_imm(c, BPF_ADD, BPF_REG_4, 1);
	bpfcode_jump_imm(c, BPF_JLT, BPF_REG_4, (int32_t)(left < right ? left : right), loop);
	bpfcode_here(c, done);
	bpfcode_jump_if(c, jump, BPF_REG_0, BPF_REG_1, label);
}

void probefilter_compare_text(struct probefilter *f, const struct expr_node *n, int label,
			      bool want)
{
	const struct expr_node *var = n->left, *text = n->right;

	if (var->op == EXPR_TEXT) {
		var = n->right;
		text = n->left;
	}
	if (text->op == EXPR_TEXT && (n->op == EXPR_EQ || n->op == EXPR_NE))
		emit_equals(f, var, text->text, text->len_bytes, false, label,
			    want == (n->op == EXPR_EQ));
	else
		emit_order(f, n, jump_of(n->op, want), label);
}

/* --- globs ------------------------------------------------------------------------------------ */

static void emit_glob(struct probefilter *f, const struct expr_node *n, int label, bool want)
{
	const struct expr_node *pattern = n->right;
	unsigned int size = is_comm(f, n->left) ? COMM_BYTES : MAX_CONSTANT_BYTES + 1;
	int16_t at;

	if (!probefilter_glob_fits(pattern->text, pattern->len_bytes)) {
		fail(f, pattern, "a pattern for the kernel has at most 63 characters "
		     "(more if its only * is at its end)");
		return;
	}
	if (size > COMM_BYTES && value_of(f, n->left)->max_bytes > size) {
		fail(f, n->left, "the kernel matches the first 255 bytes of text only: limit "
		     "the field by :str(256)");
		return;
	}
	at = reserve(f, size);
	emit_read(f, n->left, at, size);
	probefilter_glob_emit(f, pattern->text, pattern->len_bytes, at, size);
	bpfcode_jump_imm(&f->b->code, want ? BPF_JNE : BPF_JEQ, BPF_REG_0, 0, label);
}

void probefilter_match_text(struct probefilter *f, const struct expr_node *n, int label,
			    bool want)
{
	const char *pattern = n->right->text;
	size_t len = n->right->len_bytes, plain = strcspn(pattern, "*?");
	size_t stars = strspn(pattern + plain, "*");

	if (plain == len)
		emit_equals(f, n->left, pattern, len, false, label, want);
	else if (plain + stars < len)
		emit_glob(f, n, label, want);
	else if (plain)
		emit_equals(f, n->left, pattern, plain, true, label, want);
	else
		probefilter_constant(f, want, label);
}
