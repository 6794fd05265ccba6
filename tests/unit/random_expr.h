/*
 * Random expressions, with an evaluator of their own that knows nothing of
 * format/expr.c: it calculates in 128 bits and matches globs by recursion.
 */
#ifndef TESTS_UNIT_RANDOM_EXPR_H
#define TESTS_UNIT_RANDOM_EXPR_H

#include <assert.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "format/expr.h"

#define RX_NUMBERS 8		/* n0 to n7: even ones unsigned, odd ones signed */
#define RX_TEXTS 4		/* s0 to s3 */
#define RX_TEXT_BYTES 16
#define RX_NODES 200

struct rx_values {
	uint64_t numbers[RX_NUMBERS];
	char texts[RX_TEXTS][RX_TEXT_BYTES];
};

struct rx_node {
	enum expr_op op;
	bool is_text, is_unsigned;
	const struct rx_node *left, *right;
	uint64_t number;
	char text[RX_TEXT_BYTES];
	unsigned int var;
};

struct rx {
	uint64_t state;
	struct rx_node nodes[RX_NODES];
	size_t nr;
	char source[4096];
	size_t len;
};

static const struct rx_op {
	const char *sign;
	int level;
} rx_ops[] = {
	[EXPR_AND] = { "&&", 2 }, [EXPR_OR] = { "||", 1 },
	[EXPR_EQ] = { "==", 6 }, [EXPR_NE] = { "!=", 6 }, [EXPR_LT] = { "<", 7 },
	[EXPR_LE] = { "<=", 7 }, [EXPR_GT] = { ">", 7 }, [EXPR_GE] = { ">=", 7 },
	[EXPR_MATCH] = { "~", 6 }, [EXPR_NO_MATCH] = { "!~", 6 },
	[EXPR_ADD] = { "+", 9 }, [EXPR_SUB] = { "-", 9 }, [EXPR_MUL] = { "*", 10 },
	[EXPR_DIV] = { "/", 10 }, [EXPR_MOD] = { "%", 10 }, [EXPR_BIT_AND] = { "&", 5 },
	[EXPR_BIT_OR] = { "|", 3 }, [EXPR_BIT_XOR] = { "^", 4 }, [EXPR_SHL] = { "<<", 8 },
	[EXPR_SHR] = { ">>", 8 }, [EXPR_NOT] = { "!", 11 }, [EXPR_NEGATE] = { "-", 11 },
	[EXPR_COMPLEMENT] = { "~", 11 },
};

static uint64_t rx_random(struct rx *x)
{
	x->state ^= x->state << 13;
	x->state ^= x->state >> 7;
	x->state ^= x->state << 17;
	return x->state * 0x2545f4914f6cdd1d;
}

static uint64_t rx_below(struct rx *x, uint64_t n)
{
	return (rx_random(x) >> 20) % n;
}

static uint64_t rx_number(struct rx *x)
{
	static const uint64_t edges[] = {
		0, 1, 2, 5, 63, 64, 65, 127, 128, 255, 256, 0x7fffffff, 0x80000000, 0xffffffff,
		0x100000000, INT64_MAX, (uint64_t)1 << 63, UINT64_MAX, UINT64_MAX - 1,
	};
	uint64_t n = edges[rx_below(x, sizeof(edges) / sizeof(edges[0]))];

	if (rx_below(x, 4) == 0)
		n = rx_random(x) >> rx_below(x, 64);
	return rx_below(x, 4) == 0 ? -n : n;
}

/* Few letters, so that much is equal; `letters` may hold wildcards. */
static void rx_text(struct rx *x, char *to, const char *letters, size_t max)
{
	size_t len = rx_below(x, max + 1);

	for (size_t i = 0; i < len; i++)
		to[i] = letters[rx_below(x, strlen(letters))];
	to[len] = '\0';
}

static void rx_values(struct rx *x, struct rx_values *v)
{
	for (size_t i = 0; i < RX_NUMBERS; i++)
		v->numbers[i] = rx_number(x);
	for (size_t i = 0; i < RX_TEXTS; i++)
		rx_text(x, v->texts[i], "ab", i % 2 ? 3 : RX_TEXT_BYTES - 1);
}

/* --- making ------------------------------------------------------------------------------ */

static struct rx_node *rx_node(struct rx *x, enum expr_op op)
{
	struct rx_node *n = &x->nodes[x->nr++];

	assert(x->nr < RX_NODES);
	memset(n, 0, sizeof(*n));
	n->op = op;
	return n;
}

static const struct rx_node *rx_text_node(struct rx *x, bool var, const char *letters)
{
	struct rx_node *n = rx_node(x, var ? EXPR_VAR : EXPR_TEXT);

	n->is_text = true;
	if (var)
		n->var = RX_NUMBERS + (unsigned int)rx_below(x, RX_TEXTS);
	else
		rx_text(x, n->text, letters, 6);
	return n;
}

static const struct rx_node *rx_make(struct rx *x, unsigned int depth);

static const struct rx_node *rx_leaf(struct rx *x)
{
	struct rx_node *n = rx_node(x, rx_below(x, 3) ? EXPR_VAR : EXPR_NUMBER);

	n->number = rx_number(x);
	n->var = (unsigned int)rx_below(x, RX_NUMBERS);
	n->is_unsigned = n->op == EXPR_VAR ? n->var % 2 == 0 : n->number > INT64_MAX;
	return n;
}

static const struct rx_node *rx_of_text(struct rx *x)
{
	struct rx_node *n = rx_node(x, EXPR_EQ + (enum expr_op)rx_below(x, 8));
	bool glob = n->op == EXPR_MATCH || n->op == EXPR_NO_MATCH;

	n->left = rx_text_node(x, glob || rx_below(x, 8), "ab");
	n->right = rx_text_node(x, !glob && rx_below(x, 4) == 0, glob ? "ab*?" : "ab");
	return n;
}

static const struct rx_node *rx_make(struct rx *x, unsigned int depth)
{
	enum expr_op op = EXPR_NOT + (enum expr_op)rx_below(x, EXPR_SHR - EXPR_NOT + 1);
	struct rx_node *n;

	if (!depth || rx_below(x, 6) == 0)
		return rx_leaf(x);
	if (op == EXPR_MATCH || op == EXPR_NO_MATCH || rx_below(x, 6) == 0)
		return rx_of_text(x);
	n = rx_node(x, op);
	n->left = rx_make(x, depth - 1);
	if (op != EXPR_NOT && op != EXPR_NEGATE && op != EXPR_COMPLEMENT)
		n->right = rx_make(x, depth - 1);
	if (op < EXPR_NEGATE || (op >= EXPR_AND && op <= EXPR_NO_MATCH))
		return n;
	n->is_unsigned = n->left->is_unsigned ||
			 (n->right && n->right->is_unsigned && op != EXPR_SHL && op != EXPR_SHR);
	return n;
}

/* --- writing ------------------------------------------------------------------------------- */

static __attribute__((format(printf, 2, 3))) void rx_print(struct rx *x, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	x->len += (size_t)vsnprintf(x->source + x->len, sizeof(x->source) - x->len, fmt, args);
	va_end(args);
	assert(x->len < sizeof(x->source));
}

static bool rx_compares(enum expr_op op)
{
	return op >= EXPR_EQ && op <= EXPR_NO_MATCH;
}

/* With parentheses where C needs them, where comparisons would chain, and now and then. */
static void rx_write(struct rx *x, const struct rx_node *n, int level, bool in_comparison)
{
	const struct rx_op *o = n->op >= EXPR_NOT ? &rx_ops[n->op] : NULL;
	bool open = rx_below(x, 8) == 0;

	if (o && (o->level < level || (in_comparison && rx_compares(n->op))))
		open = true;
	rx_print(x, open ? "(" : "");
	if (n->op == EXPR_NUMBER)
		rx_print(x, rx_below(x, 2) ? "0x%llx" : "%llu", (unsigned long long)n->number);
	else if (n->op == EXPR_TEXT)
		rx_print(x, "\"%s\"", n->text);
	else if (n->op == EXPR_VAR && n->is_text)
		rx_print(x, "s%u", n->var - RX_NUMBERS);
	else if (n->op == EXPR_VAR)
		rx_print(x, "n%u", n->var);
	else if (!n->right) {
		rx_print(x, "%s", o->sign);
		rx_write(x, n->left, o->level, false);
	} else {
		bool glob = n->op == EXPR_MATCH || n->op == EXPR_NO_MATCH;

		rx_write(x, n->left, o->level, rx_compares(n->op));
		rx_print(x, rx_below(x, 2) ? " %s " : "%s", o->sign);
		if (glob)
			rx_print(x, "'%s'", n->right->text);
		else
			rx_write(x, n->right, o->level + 1, rx_compares(n->op));
	}
	rx_print(x, open ? ")" : "");
}

static const struct rx_node *rx_expression(struct rx *x, unsigned int depth)
{
	const struct rx_node *root;

	x->nr = 0;
	x->len = 0;
	root = rx_make(x, depth);
	rx_write(x, root, 0, false);
	return root;
}

/* --- its own evaluation ----------------------------------------------------------------------- */

static bool rx_glob(const char *pattern, const char *text)
{
	if (*pattern == '*')
		return rx_glob(pattern + 1, text) || (*text && rx_glob(pattern, text + 1));
	if (!*pattern || !*text)
		return *pattern == *text;
	return (*pattern == '?' || *pattern == *text) && rx_glob(pattern + 1, text + 1);
}

static const char *rx_text_of(const struct rx_node *n, const struct rx_values *v)
{
	return n->op == EXPR_VAR ? v->texts[n->var - RX_NUMBERS] : n->text;
}

static __int128 rx_eval(const struct rx_node *n, const struct rx_values *v);

/* The number of 64 bits that the type makes of a result. */
static __int128 rx_typed(const struct rx_node *n, __int128 number)
{
	return n->is_unsigned ? (__int128)(uint64_t)number : (__int128)(int64_t)(uint64_t)number;
}

static __int128 rx_calculate(const struct rx_node *n, __int128 a, __int128 b)
{
	bool is_unsigned = n->left->is_unsigned || n->right->is_unsigned;

	if (is_unsigned && n->op != EXPR_SHL && n->op != EXPR_SHR) {
		a = (uint64_t)a;
		b = (uint64_t)b;
	}
	switch (n->op) {
	case EXPR_ADD: return a + b;
	case EXPR_SUB: return a - b;
	case EXPR_MUL: return (__int128)((unsigned __int128)a * (unsigned __int128)b);
	case EXPR_DIV: return b ? a / b : 0;
	case EXPR_MOD: return b ? a % b : 0;
	case EXPR_BIT_AND: return a & b;
	case EXPR_BIT_OR: return a | b;
	case EXPR_BIT_XOR: return a ^ b;
	case EXPR_SHL: return b < 0 || b > 63 ? 0 : (__int128)((unsigned __int128)a << b);
	case EXPR_SHR: return b < 0 || b > 63 ? (a < 0 ? -1 : 0) : a >> b;
	default: assert(!"an operator"); return 0;
	}
}

static int rx_sign(__int128 n)
{
	return (n > 0) - (n < 0);
}

static bool rx_compare(const struct rx_node *n, const struct rx_values *v)
{
	int order = n->left->is_text ?
		    strcmp(rx_text_of(n->left, v), rx_text_of(n->right, v)) :
		    rx_sign(rx_eval(n->left, v) - rx_eval(n->right, v));

	switch (n->op) {
	case EXPR_EQ: return order == 0;
	case EXPR_NE: return order != 0;
	case EXPR_LT: return order < 0;
	case EXPR_LE: return order <= 0;
	case EXPR_GT: return order > 0;
	default: return order >= 0;
	}
}

static __int128 rx_eval(const struct rx_node *n, const struct rx_values *v)
{
	switch (n->op) {
	case EXPR_NUMBER: return rx_typed(n, (__int128)n->number);
	case EXPR_VAR: return rx_typed(n, (__int128)v->numbers[n->var]);
	case EXPR_NOT: return !rx_eval(n->left, v);
	case EXPR_NEGATE: return rx_typed(n, -rx_eval(n->left, v));
	case EXPR_COMPLEMENT: return rx_typed(n, ~rx_eval(n->left, v));
	case EXPR_AND: return rx_eval(n->left, v) && rx_eval(n->right, v);
	case EXPR_OR: return rx_eval(n->left, v) || rx_eval(n->right, v);
	case EXPR_MATCH: return rx_glob(n->right->text, rx_text_of(n->left, v));
	case EXPR_NO_MATCH: return !rx_glob(n->right->text, rx_text_of(n->left, v));
	default: break;
	}
	if (rx_compares(n->op))
		return rx_compare(n, v);
	return rx_typed(n, rx_calculate(n, rx_eval(n->left, v), rx_eval(n->right, v)));
}

/* --- for expr_bind() and expr_true() ------------------------------------------------------------- */

static inline int rx_resolve(void *ctx, const char *name, uint32_t var, enum expr_type *type)
{
	unsigned int *vars = ctx;

	vars[var] = (unsigned int)(name[1] - '0') + (name[0] == 's' ? RX_NUMBERS : 0);
	*type = name[0] == 's' ? EXPR_STRING : vars[var] % 2 ? EXPR_SIGNED : EXPR_UNSIGNED;
	return 0;
}

#endif
