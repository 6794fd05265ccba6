#include "format/expr_private.h"

#include <string.h>

struct evaluation {
	expr_get_fn get;
	void *ctx;
};

static uint64_t number_of(const struct evaluation *v, const struct expr_node *n);

static struct expr_value text_of(const struct evaluation *v, const struct expr_node *n)
{
	if (n->op == EXPR_VAR)
		return v->get(v->ctx, n->var);
	return (struct expr_value) { .text = n->text, .len_bytes = n->len_bytes };
}

static bool is_true(const struct evaluation *v, const struct expr_node *n)
{
	return n->type == EXPR_STRING ? text_of(v, n).len_bytes != 0 : number_of(v, n) != 0;
}

/* Less than, equal, greater than: -1, 0, 1. */
static int compare_texts(struct expr_value a, struct expr_value b)
{
	size_t len = a.len_bytes < b.len_bytes ? a.len_bytes : b.len_bytes;
	int diff = len ? memcmp(a.text, b.text, len) : 0;

	if (!diff)
		return (a.len_bytes > b.len_bytes) - (a.len_bytes < b.len_bytes);
	return diff < 0 ? -1 : 1;
}

static int compare_numbers(uint64_t a, bool a_signed, uint64_t b, bool b_signed)
{
	bool a_negative = a_signed && (int64_t)a < 0, b_negative = b_signed && (int64_t)b < 0;

	if (a_negative != b_negative)
		return a_negative ? -1 : 1;
	return (a > b) - (a < b);
}

static int compare(const struct evaluation *v, const struct expr_node *n)
{
	if (n->left->type == EXPR_STRING)
		return compare_texts(text_of(v, n->left), text_of(v, n->right));
	return compare_numbers(number_of(v, n->left), n->left->type == EXPR_SIGNED,
			       number_of(v, n->right), n->right->type == EXPR_SIGNED);
}

/* Equality, also of a number with the name for it. */
static bool equal(const struct evaluation *v, const struct expr_node *n)
{
	const struct expr_node *number = n->left->op == EXPR_VAR ? n->left : n->right;

	if (n->is_named)
		return (number_of(v, number) & n->name_mask) == n->name_bits;
	return compare(v, n) == 0;
}

static bool match(const struct evaluation *v, const struct expr_node *n)
{
	struct expr_value text = text_of(v, n->left);

	return expr_glob(n->right->text, n->right->len_bytes, text.text, text.len_bytes);
}

/* Of signed numbers the remainder has the sign of the dividend, as in C. */
static uint64_t divide(uint64_t a, uint64_t b, bool is_signed, bool remainder)
{
	bool a_negative = is_signed && (int64_t)a < 0, b_negative = is_signed && (int64_t)b < 0;
	uint64_t result;

	if (!b)
		return 0;
	if (a_negative)
		a = -a;
	if (b_negative)
		b = -b;
	result = remainder ? a % b : a / b;
	return (remainder ? a_negative : a_negative != b_negative) ? -result : result;
}

/* Shifts by 64 and more, and by negative numbers, move every bit out. */
static uint64_t shift_right(uint64_t a, uint64_t by, bool is_signed)
{
	bool negative = is_signed && (int64_t)a < 0;

	if (by > 63)
		return negative ? UINT64_MAX : 0;
	return negative ? ~(~a >> by) : a >> by;
}

static uint64_t calculate(const struct evaluation *v, const struct expr_node *n)
{
	bool is_signed = n->left->type == EXPR_SIGNED && n->right->type == EXPR_SIGNED;
	uint64_t a = number_of(v, n->left), b = number_of(v, n->right);

	switch (n->op) {
	case EXPR_ADD:
		return a + b;
	case EXPR_SUB:
		return a - b;
	case EXPR_MUL:
		return a * b;
	case EXPR_DIV:
	case EXPR_MOD:
		return divide(a, b, is_signed, n->op == EXPR_MOD);
	case EXPR_BIT_AND:
		return a & b;
	case EXPR_BIT_OR:
		return a | b;
	case EXPR_BIT_XOR:
		return a ^ b;
	case EXPR_SHL:
		return b > 63 ? 0 : a << b;
	case EXPR_SHR:
		return shift_right(a, b, n->left->type == EXPR_SIGNED);
	default:
		return 0;
	}
}

static uint64_t number_of(const struct evaluation *v, const struct expr_node *n)
{
	switch (n->op) {
	case EXPR_NUMBER:
		return n->number;
	case EXPR_VAR:
		return v->get(v->ctx, n->var).number;
	case EXPR_NOT:
		return !is_true(v, n->left);
	case EXPR_NEGATE:
		return -number_of(v, n->left);
	case EXPR_COMPLEMENT:
		return ~number_of(v, n->left);
	case EXPR_AND:
		return is_true(v, n->left) && is_true(v, n->right);
	case EXPR_OR:
		return is_true(v, n->left) || is_true(v, n->right);
	case EXPR_EQ:
		return equal(v, n);
	case EXPR_NE:
		return !equal(v, n);
	case EXPR_LT:
		return compare(v, n) < 0;
	case EXPR_LE:
		return compare(v, n) <= 0;
	case EXPR_GT:
		return compare(v, n) > 0;
	case EXPR_GE:
		return compare(v, n) >= 0;
	case EXPR_MATCH:
		return match(v, n);
	case EXPR_NO_MATCH:
		return !match(v, n);
	default:
		return calculate(v, n);
	}
}

uint64_t expr_constant(const struct expr_node *n)
{
	const struct evaluation none = { 0 };

	return number_of(&none, n);
}

bool expr_node_true(const struct expr_node *n, expr_get_fn get, void *ctx)
{
	const struct evaluation v = { .get = get, .ctx = ctx };

	return is_true(&v, n);
}

bool expr_true(const struct expr *e, expr_get_fn get, void *ctx)
{
	return expr_node_true(e->root, get, ctx);
}

/* Goes back to the last star only: what an earlier one took can stay as it is. */
bool expr_glob(const char *pattern, size_t pattern_bytes, const char *text, size_t text_bytes)
{
	size_t p = 0, t = 0, star = SIZE_MAX, star_text = 0;

	while (t < text_bytes) {
		if (p < pattern_bytes && pattern[p] == '*') {
			star = p++;
			star_text = t;
		} else if (p < pattern_bytes && (pattern[p] == '?' || pattern[p] == text[t])) {
			p++;
			t++;
		} else if (star != SIZE_MAX) {
			p = star + 1;
			t = ++star_text;
		} else {
			return false;
		}
	}
	while (p < pattern_bytes && pattern[p] == '*')
		p++;
	return p == pattern_bytes;
}
