#include "format/expr.h"

#include "format/expr_private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct parser {
	struct expr *e;
	struct diag *d;
	struct expr_token now;
	char after[16];			/* the operator before it, or "" */
	unsigned int depth;
};

/* --- operators -------------------------------------------------------------------------- */

static const struct operator {
	char sign[3];
	uint8_t level;			/* binds the tighter, the higher */
	enum expr_op op;
} operators[] = {
	/* The longer ones first: they start as shorter ones do. */
	{ "||", 1, EXPR_OR }, { "&&", 2, EXPR_AND },
	{ "==", 6, EXPR_EQ }, { "!=", 6, EXPR_NE },
	{ "!~", 6, EXPR_NO_MATCH }, { "~", 6, EXPR_MATCH },
	{ "<<", 8, EXPR_SHL }, { ">>", 8, EXPR_SHR },
	{ "<=", 7, EXPR_LE }, { ">=", 7, EXPR_GE }, { "<", 7, EXPR_LT }, { ">", 7, EXPR_GT },
	{ "|", 3, EXPR_BIT_OR }, { "^", 4, EXPR_BIT_XOR }, { "&", 5, EXPR_BIT_AND },
	{ "+", 9, EXPR_ADD }, { "-", 9, EXPR_SUB },
	{ "*", 10, EXPR_MUL }, { "/", 10, EXPR_DIV }, { "%", 10, EXPR_MOD },
};

static const struct operator *operator_at(const struct expr_token *t)
{
	if (t->kind != TOKEN_SIGN)
		return NULL;
	for (size_t i = 0; i < sizeof(operators) / sizeof(operators[0]); i++)
		if (!strncmp(t->at, operators[i].sign, strlen(operators[i].sign)))
			return &operators[i];
	return NULL;
}

static bool is_comparison(enum expr_op op)
{
	return op >= EXPR_EQ && op <= EXPR_NO_MATCH;
}

/* --- nodes ------------------------------------------------------------------------------ */

static struct expr_node *add_node(struct parser *p, enum expr_op op, const char *at)
{
	struct expr *e = p->e;
	struct expr_node *n;

	if (e->nr_nodes == e->cap_nodes) {
		expr_complain(p->d, expr_column(e, at), "too long: at most %d names, values "
			      "and operators", EXPR_MAX_NODES);
		return NULL;
	}
	n = &e->nodes[e->nr_nodes++];
	*n = (struct expr_node) { .op = op, .type = EXPR_SIGNED, .column = expr_column(e, at) };
	return n;
}

static bool is_constant(const struct expr_node *n)
{
	return !n || n->op == EXPR_NUMBER || n->op == EXPR_TEXT;
}

/* Whether operands that are constants have the types that the operator takes. */
static bool types_fit(const struct expr_node *n)
{
	bool left_text = n->left->type == EXPR_STRING;
	bool right_text = n->right && n->right->type == EXPR_STRING;

	if (n->op == EXPR_NOT || n->op == EXPR_AND || n->op == EXPR_OR)
		return true;
	if (n->op == EXPR_MATCH || n->op == EXPR_NO_MATCH)
		return left_text;
	return is_comparison(n->op) ? left_text == right_text : !left_text && !right_text;
}

/* An operation of constants is a constant, so that nobody works it out for each record. */
static void fold(struct expr_node *n)
{
	bool is_shift = n->op == EXPR_SHL || n->op == EXPR_SHR;

	if (!is_constant(n->left) || !is_constant(n->right) || !types_fit(n))
		return;
	n->number = expr_constant(n);
	if (n->op != EXPR_NOT && n->op != EXPR_AND && n->op != EXPR_OR && !is_comparison(n->op) &&
	    (n->left->type == EXPR_UNSIGNED ||
	     (n->right && !is_shift && n->right->type == EXPR_UNSIGNED)))
		n->type = EXPR_UNSIGNED;
	n->op = EXPR_NUMBER;
	n->left = n->right = NULL;
}

static int add_var(struct parser *p, struct expr_node *n)
{
	struct expr *e = p->e;

	n->text = arena_text(&e->arena, p->now.at, p->now.len_bytes);
	if (!n->text)
		return diag_set(p->d, -ENOMEM, "out of memory");
	n->len_bytes = p->now.len_bytes;
	for (n->var = 0; n->var < e->nr_vars; n->var++)
		if (!strcmp(e->vars[n->var], n->text))
			return 0;
	if (e->nr_vars == EXPR_MAX_VARS)
		return expr_complain(p->d, n->column, "more than %d different names",
				     EXPR_MAX_VARS);
	e->vars[e->nr_vars++] = n->text;
	return 0;
}

/* --- parsing ------------------------------------------------------------------------------- */

/* Goes on after `skip` more bytes of the token at hand. */
static int advance(struct parser *p, size_t skip)
{
	size_t len = skip < sizeof(p->after) ? skip : 0;

	p->after[0] = '\0';
	if (p->now.kind == TOKEN_SIGN) {
		memcpy(p->after, p->now.at, len);
		p->after[len] = '\0';
	}
	return expr_lex(p->e, p->now.at + skip, &p->now, p->d);
}

static int complain_here(struct parser *p, const char *expected)
{
	uint32_t column = expr_column(p->e, p->now.at);
	int len = p->now.len_bytes < 40 ? (int)p->now.len_bytes : 40;
	char found[64] = "the end";

	if (p->now.kind != TOKEN_END)
		snprintf(found, sizeof(found), "'%.*s'", len, p->now.at);
	if (p->after[0])
		return expr_complain(p->d, column, "expected %s after '%s', not %s", expected,
				     p->after, found);
	return expr_complain(p->d, column, "expected %s, not %s", expected, found);
}

static int parse_level(struct parser *p, unsigned int level, struct expr_node **out);

static int parse_parentheses(struct parser *p, struct expr_node **out)
{
	const char *open = p->now.at;
	int err = advance(p, 1);

	if (!err)
		err = parse_level(p, 1, out);
	if (err)
		return err;
	if (p->now.kind == TOKEN_END)
		return expr_complain(p->d, expr_column(p->e, open), "'(' without a ')'");
	if (p->now.kind != TOKEN_SIGN || *p->now.at != ')') {
		p->after[0] = '\0';
		return complain_here(p, "an operator or ')'");
	}
	return advance(p, 1);
}

static int parse_prefixed(struct parser *p, enum expr_op op, struct expr_node **out);

static int parse_operand(struct parser *p, struct expr_node **out)
{
	const struct expr_token *t = &p->now;
	struct expr_node *n;
	int err = 0;

	if (t->kind == TOKEN_SIGN) {
		switch (*t->at) {
		case '(':
			return parse_parentheses(p, out);
		case '!':
			return parse_prefixed(p, EXPR_NOT, out);
		case '-':
			return parse_prefixed(p, EXPR_NEGATE, out);
		case '~':
			return parse_prefixed(p, EXPR_COMPLEMENT, out);
		}
	}
	if (t->kind == TOKEN_SIGN || t->kind == TOKEN_END)
		return complain_here(p, "a name or value");
	n = add_node(p, EXPR_NUMBER, t->at);
	if (!n)
		return -EINVAL;
	n->number = t->number;
	if (t->kind == TOKEN_NUMBER && t->number > INT64_MAX)
		n->type = EXPR_UNSIGNED;
	if (t->kind == TOKEN_TEXT) {
		n->op = EXPR_TEXT;
		n->type = EXPR_STRING;
		n->text = t->text;
		n->len_bytes = t->text_bytes;
	} else if (t->kind == TOKEN_NAME) {
		n->op = EXPR_VAR;
		err = add_var(p, n);
	}
	*out = n;
	return err ? err : advance(p, t->len_bytes);
}

static int enter(struct parser *p)
{
	if (++p->depth <= EXPR_MAX_DEPTH)
		return 0;
	return expr_complain(p->d, expr_column(p->e, p->now.at), "nested more than %d deep",
			     EXPR_MAX_DEPTH);
}

static int parse_prefixed(struct parser *p, enum expr_op op, struct expr_node **out)
{
	const char *at = p->now.at;
	struct expr_node *left = NULL, *n;
	int err = enter(p);

	if (!err)
		err = advance(p, 1);
	if (!err)
		err = parse_operand(p, &left);
	if (err)
		return err;
	p->depth--;
	n = add_node(p, op, at);
	if (!n)
		return -EINVAL;
	n->left = left;
	fold(n);
	*out = n;
	return 0;
}

/* Comparisons that follow each other mean something else than they seem to. */
static int check_chain(struct parser *p, const struct operator *first,
		       const struct operator *second)
{
	if (!first || !is_comparison(first->op) || !is_comparison(second->op))
		return 0;
	return expr_complain(p->d, expr_column(p->e, p->now.at),
			     "'%s' after another comparison: write (a %s b) && (b %s c)",
			     second->sign, first->sign, second->sign);
}

static int join(struct parser *p, const struct operator *o, const char *at,
		struct expr_node **left, struct expr_node *right)
{
	struct expr_node *n;

	if ((o->op == EXPR_MATCH || o->op == EXPR_NO_MATCH) && right->op != EXPR_TEXT)
		return expr_complain(p->d, right->column, "expected a pattern in quotes after "
				     "'%s'", o->sign);
	n = add_node(p, o->op, at);
	if (!n)
		return -EINVAL;
	n->left = *left;
	n->right = right;
	fold(n);
	*left = n;
	return 0;
}

/* Operands and operators that bind at least as tightly as `level`. */
static int parse_level(struct parser *p, unsigned int level, struct expr_node **out)
{
	const struct operator *o, *before = NULL;
	struct expr_node *left = NULL, *right = NULL;
	int err = enter(p);

	if (!err)
		err = parse_operand(p, &left);
	while (!err && (o = operator_at(&p->now)) && o->level >= level) {
		const char *at = p->now.at;

		err = check_chain(p, before, o);
		if (!err)
			err = advance(p, strlen(o->sign));
		if (!err)
			err = parse_level(p, o->level + 1u, &right);
		if (!err)
			err = join(p, o, at, &left, right);
		before = o;
	}
	p->depth--;
	*out = left;
	return err;
}

static int parse_all(struct parser *p)
{
	struct expr_node *root = NULL;
	int err = expr_lex(p->e, p->e->source, &p->now, p->d);

	if (!err && p->now.kind == TOKEN_END)
		return diag_set(p->d, -EINVAL, "filter: it is empty");
	if (!err)
		err = parse_level(p, 1, &root);
	if (err)
		return err;
	p->e->root = root;
	p->after[0] = '\0';
	if (p->now.kind == TOKEN_END)
		return 0;
	if (p->now.kind == TOKEN_SIGN && *p->now.at == '=')
		return expr_complain(p->d, expr_column(p->e, p->now.at),
				     "'=' compares nothing: use '=='");
	if (p->now.kind == TOKEN_SIGN && *p->now.at == ')')
		return expr_complain(p->d, expr_column(p->e, p->now.at), "')' without a '('");
	return complain_here(p, "an operator");
}

int expr_parse(struct expr **out, const char *text, struct diag *d)
{
	struct parser p = { .d = d };
	size_t len = strlen(text);
	struct expr *e;
	int err = -ENOMEM;

	if (len > EXPR_MAX_BYTES)
		return diag_set(d, -EINVAL, "filter: longer than %d bytes", EXPR_MAX_BYTES);
	e = calloc(1, sizeof(*e));
	if (!e)
		return diag_set(d, -ENOMEM, "out of memory");
	arena_init(&e->arena);
	/* Every node has a character of its own. */
	e->cap_nodes = len < EXPR_MAX_NODES ? len : EXPR_MAX_NODES;
	e->nodes = calloc(e->cap_nodes + 1, sizeof(*e->nodes));
	e->source = arena_text(&e->arena, text, len);
	p.e = e;
	if (e->nodes && e->source)
		err = parse_all(&p);
	else
		diag_set(d, err, "out of memory");
	if (err)
		expr_free(e);
	else
		*out = e;
	return err;
}

void expr_free(struct expr *e)
{
	if (!e)
		return;
	arena_release(&e->arena);
	free(e->nodes);
	free(e);
}

const char *expr_source(const struct expr *e)
{
	return e->source;
}

size_t expr_nr_vars(const struct expr *e)
{
	return e->nr_vars;
}

const char *expr_var_name(const struct expr *e, uint32_t var)
{
	return e->vars[var];
}

const struct expr_node *expr_root(const struct expr *e)
{
	return e->root;
}
