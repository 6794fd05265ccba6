#include "record/probeprog.h"

#include <errno.h>

#include "record/probefilter_private.h"

static void emit_condition(struct probefilter *f, const struct expr_node *n, int label,
			   bool want);
static void emit_value(struct probefilter *f, const struct expr_node *n);

/*
 * The verifier refuses instructions that no jump leads to, so there is one in
 * either case.
 */
void probefilter_constant(struct probefilter *f, bool taken, int label)
{
	bpfcode_op_imm(&f->b->code, BPF_MOV, BPF_REG_0, !taken);
	bpfcode_jump_imm(&f->b->code, BPF_JEQ, BPF_REG_0, 0, label);
}

/* --- numbers: the result is in r0 ------------------------------------------------------ */

static bool fits_imm(uint64_t number)
{
	return (uint64_t)(int64_t)(int32_t)number == number;
}

/* r0 = left, r1 = right. */
static void emit_operands(struct probefilter *f, const struct expr_node *left,
			  const struct expr_node *right)
{
	struct bpfcode *c = &f->b->code;
	unsigned int slot = f->slots_used;

	if (right->op == EXPR_NUMBER) {
		emit_value(f, left);
		bpfcode_const(c, BPF_REG_1, right->number);
		return;
	}
	if (left->op == EXPR_NUMBER) {
		emit_value(f, right);
		bpfcode_op(c, BPF_MOV, BPF_REG_1, BPF_REG_0);
		bpfcode_const(c, BPF_REG_0, left->number);
		return;
	}
	if (slot == PROBEFILTER_MAX_SLOTS) {
		f->no_room = true;
		return;
	}
	if (slot == f->nr_slots)
		f->slots[f->nr_slots++] = probeprog_stack(f->b, 8);
	emit_value(f, left);
	bpfcode_store(c, 8, BPF_REG_10, f->slots[slot], BPF_REG_0);
	f->slots_used++;
	emit_value(f, right);
	f->slots_used--;
	bpfcode_op(c, BPF_MOV, BPF_REG_1, BPF_REG_0);
	bpfcode_load(c, 8, BPF_REG_0, BPF_REG_10, f->slots[slot]);
}

/* Turns the sign of dst where `sign` is -1, and leaves it where that is 0. */
static void emit_negate_if(struct bpfcode *c, int dst, int sign)
{
	bpfcode_op(c, BPF_XOR, dst, sign);
	bpfcode_op(c, BPF_SUB, dst, sign);
}

/* BPF divides unsigned numbers only, and its remainder of a division by 0 is not 0. */
static void emit_division(struct probefilter *f, bool is_signed, bool remainder)
{
	struct bpfcode *c = &f->b->code;
	int end = bpfcode_label(c), divide = bpfcode_label(c);

	bpfcode_jump_imm(c, BPF_JNE, BPF_REG_1, 0, divide);
	bpfcode_op_imm(c, BPF_MOV, BPF_REG_0, 0);
	bpfcode_jump(c, end);
	bpfcode_here(c, divide);
	if (is_signed) {
		bpfcode_op(c, BPF_MOV, BPF_REG_2, BPF_REG_0);
		bpfcode_op_imm(c, BPF_ARSH, BPF_REG_2, 63);
		bpfcode_op(c, BPF_MOV, BPF_REG_3, BPF_REG_1);
		bpfcode_op_imm(c, BPF_ARSH, BPF_REG_3, 63);
		emit_negate_if(c, BPF_REG_0, BPF_REG_2);
		emit_negate_if(c, BPF_REG_1, BPF_REG_3);
		if (!remainder)
			bpfcode_op(c, BPF_XOR, BPF_REG_2, BPF_REG_3);
	}
	bpfcode_op(c, remainder ? BPF_MOD : BPF_DIV, BPF_REG_0, BPF_REG_1);
	if (is_signed)
		emit_negate_if(c, BPF_REG_0, BPF_REG_2);
	bpfcode_here(c, end);
}

/* The machine shifts by the lowest six bits only; the language moves every bit out. */
static void emit_shift(struct probefilter *f, enum expr_op op, bool is_signed)
{
	struct bpfcode *c = &f->b->code;
	int within = bpfcode_label(c);

	bpfcode_jump_imm(c, BPF_JLE, BPF_REG_1, 63, within);
	bpfcode_op_imm(c, BPF_MOV, BPF_REG_1, 63);
	if (op == EXPR_SHL || !is_signed)
		bpfcode_op_imm(c, BPF_MOV, BPF_REG_0, 0);
	bpfcode_here(c, within);
	if (op == EXPR_SHL)
		bpfcode_op(c, BPF_LSH, BPF_REG_0, BPF_REG_1);
	else
		bpfcode_op(c, is_signed ? BPF_ARSH : BPF_RSH, BPF_REG_0, BPF_REG_1);
}

static void emit_binary(struct probefilter *f, const struct expr_node *n)
{
	bool is_signed = n->type == EXPR_SIGNED;
	int op;

	emit_operands(f, n->left, n->right);
	switch (n->op) {
	case EXPR_DIV:
	case EXPR_MOD:
		emit_division(f, is_signed, n->op == EXPR_MOD);
		return;
	case EXPR_SHL:
	case EXPR_SHR:
		emit_shift(f, n->op, is_signed);
		return;
	case EXPR_ADD:
		op = BPF_ADD;
		break;
	case EXPR_SUB:
		op = BPF_SUB;
		break;
	case EXPR_MUL:
		op = BPF_MUL;
		break;
	case EXPR_BIT_AND:
		op = BPF_AND;
		break;
	case EXPR_BIT_OR:
		op = BPF_OR;
		break;
	default:
		op = BPF_XOR;
		break;
	}
	bpfcode_op(&f->b->code, op, BPF_REG_0, BPF_REG_1);
}

static void emit_truth(struct probefilter *f, const struct expr_node *n)
{
	struct bpfcode *c = &f->b->code;
	int yes = bpfcode_label(c), end = bpfcode_label(c);

	emit_condition(f, n, yes, true);
	bpfcode_op_imm(c, BPF_MOV, BPF_REG_0, 0);
	bpfcode_jump(c, end);
	bpfcode_here(c, yes);
	bpfcode_op_imm(c, BPF_MOV, BPF_REG_0, 1);
	bpfcode_here(c, end);
}

static void emit_value(struct probefilter *f, const struct expr_node *n)
{
	struct bpfcode *c = &f->b->code;

	switch (n->op) {
	case EXPR_NUMBER:
		bpfcode_const(c, BPF_REG_0, n->number);
		break;
	case EXPR_VAR:
		probeprog_fetch(f->b, &f->b->variant->filter_values[n->var], BPF_REG_0);
		break;
	case EXPR_NEGATE:
		emit_value(f, n->left);
		bpfcode_op_imm(c, BPF_NEG, BPF_REG_0, 0);
		break;
	case EXPR_COMPLEMENT:
		emit_value(f, n->left);
		bpfcode_op_imm(c, BPF_XOR, BPF_REG_0, -1);
		break;
	case EXPR_ADD:
	case EXPR_SUB:
	case EXPR_MUL:
	case EXPR_DIV:
	case EXPR_MOD:
	case EXPR_BIT_AND:
	case EXPR_BIT_OR:
	case EXPR_BIT_XOR:
	case EXPR_SHL:
	case EXPR_SHR:
		emit_binary(f, n);
		break;
	default:
		emit_truth(f, n);
		break;
	}
}

/* --- comparisons of numbers ---------------------------------------------------------------- */

static const struct comparison {
	enum expr_op op, inverse, swapped;
	int jump_unsigned, jump_signed;
	bool if_less, if_greater;	/* whether it holds then */
} comparisons[] = {
	{ EXPR_EQ, EXPR_NE, EXPR_EQ, BPF_JEQ, BPF_JEQ, false, false },
	{ EXPR_NE, EXPR_EQ, EXPR_NE, BPF_JNE, BPF_JNE, true, true },
	{ EXPR_LT, EXPR_GE, EXPR_GT, BPF_JLT, BPF_JSLT, true, false },
	{ EXPR_LE, EXPR_GT, EXPR_GE, BPF_JLE, BPF_JSLE, true, false },
	{ EXPR_GT, EXPR_LE, EXPR_LT, BPF_JGT, BPF_JSGT, false, true },
	{ EXPR_GE, EXPR_LT, EXPR_LE, BPF_JGE, BPF_JSGE, false, true },
};

static const struct comparison *find_comparison(enum expr_op op)
{
	const struct comparison *c = comparisons;

	while (c->op != op)
		c++;
	return c;
}

static bool is_small_constant(const struct expr_node *n)
{
	return n->op == EXPR_NUMBER && n->number <= INT64_MAX;
}

/* Of a negative number and an unsigned one, the sign tells; else the bits do. */
static void emit_mixed(struct probefilter *f, const struct comparison *how, bool left_signed,
		       int label)
{
	struct bpfcode *c = &f->b->code;
	int over = bpfcode_label(c), reg = left_signed ? BPF_REG_0 : BPF_REG_1;
	bool holds = left_signed ? how->if_less : how->if_greater;

	bpfcode_jump_imm(c, BPF_JSLT, reg, 0, holds ? label : over);
	bpfcode_jump_if(c, how->jump_unsigned, BPF_REG_0, BPF_REG_1, label);
	bpfcode_here(c, over);
}

static void emit_comparison(struct probefilter *f, const struct expr_node *n, int label,
			    bool want)
{
	const struct expr_node *left = n->left, *right = n->right;
	const struct comparison *how = find_comparison(n->op);
	bool left_signed, right_signed;

	if (!want)
		how = find_comparison(how->inverse);
	if (left->op == EXPR_NUMBER) {
		how = find_comparison(how->swapped);
		left = n->right;
		right = n->left;
	}
	left_signed = left->type == EXPR_SIGNED;
	right_signed = right->type == EXPR_SIGNED;
	if (is_small_constant(right))
		right_signed = left_signed;
	if (left_signed == right_signed && right->op == EXPR_NUMBER && fits_imm(right->number)) {
		emit_value(f, left);
		bpfcode_jump_imm(&f->b->code, left_signed ? how->jump_signed :
				 how->jump_unsigned, BPF_REG_0, (int32_t)right->number, label);
		return;
	}
	emit_operands(f, left, right);
	if (left_signed != right_signed)
		emit_mixed(f, how, left_signed, label);
	else
		bpfcode_jump_if(&f->b->code, left_signed ? how->jump_signed : how->jump_unsigned,
				BPF_REG_0, BPF_REG_1, label);
}

/* --- conditions: jump to the label if the truth of n is `want` ------------------------------ */

/* decisive: the truth of one operand that settles it, false of && and true of ||. */
static void emit_junction(struct probefilter *f, const struct expr_node *n, int label,
			  bool want, bool decisive)
{
	int over = label;

	if (want == decisive) {
		emit_condition(f, n->left, label, want);
		emit_condition(f, n->right, label, want);
		return;
	}
	over = bpfcode_label(&f->b->code);
	emit_condition(f, n->left, over, decisive);
	emit_condition(f, n->right, label, want);
	bpfcode_here(&f->b->code, over);
}

static void emit_condition(struct probefilter *f, const struct expr_node *n, int label,
			   bool want)
{
	if (n->type == EXPR_STRING) {
		probefilter_any_text(f, n, label, want);
		return;
	}
	switch (n->op) {
	case EXPR_NUMBER:
		probefilter_constant(f, (n->number != 0) == want, label);
		break;
	case EXPR_NOT:
		emit_condition(f, n->left, label, !want);
		break;
	case EXPR_AND:
	case EXPR_OR:
		emit_junction(f, n, label, want, n->op == EXPR_OR);
		break;
	case EXPR_EQ:
	case EXPR_NE:
	case EXPR_LT:
	case EXPR_LE:
	case EXPR_GT:
	case EXPR_GE:
		if (n->left->type == EXPR_STRING)
			probefilter_compare_text(f, n, label, want);
		else
			emit_comparison(f, n, label, want);
		break;
	case EXPR_MATCH:
	case EXPR_NO_MATCH:
		probefilter_match_text(f, n, label, want == (n->op == EXPR_MATCH));
		break;
	default:
		emit_value(f, n);
		bpfcode_jump_imm(&f->b->code, want ? BPF_JNE : BPF_JEQ, BPF_REG_0, 0, label);
		break;
	}
}

int probefilter_emit(struct probeprog_builder *b, struct diag *d)
{
	struct probefilter f = { .b = b, .d = d };

	emit_condition(&f, expr_root(b->probe->filter), b->skip, false);
	if (f.err)
		return f.err;
	if (f.no_room || b->code.err == -E2BIG)
		return diag_set(d, -E2BIG, "filter: too complicated for the kernel "
				"(fewer parentheses, or fewer patterns with * inside, may do)");
	return b->code.err;
}
