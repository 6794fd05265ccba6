#include "format/expr_private.h"

#include <errno.h>
#include <stdio.h>

struct binding {
	struct expr *e;
	expr_name_fn name;		/* or NULL */
	void *ctx;
};

static const char *const op_signs[] = {
	[EXPR_NOT] = "!", [EXPR_NEGATE] = "-", [EXPR_COMPLEMENT] = "~",
	[EXPR_AND] = "&&", [EXPR_OR] = "||",
	[EXPR_EQ] = "==", [EXPR_NE] = "!=", [EXPR_LT] = "<", [EXPR_LE] = "<=",
	[EXPR_GT] = ">", [EXPR_GE] = ">=", [EXPR_MATCH] = "~", [EXPR_NO_MATCH] = "!~",
	[EXPR_ADD] = "+", [EXPR_SUB] = "-", [EXPR_MUL] = "*", [EXPR_DIV] = "/",
	[EXPR_MOD] = "%", [EXPR_BIT_AND] = "&", [EXPR_BIT_OR] = "|", [EXPR_BIT_XOR] = "^",
	[EXPR_SHL] = "<<", [EXPR_SHR] = ">>",
};

static bool is_text(const struct expr_node *n)
{
	return n->type == EXPR_STRING;
}

/* "text \"sshd\"", "field 'comm'", "a number": an operand as the user knows it. */
static void describe(const struct expr_node *n, char *to, size_t size)
{
	const char *what = is_text(n) ? "text" : "a number";
	int len = n->len_bytes < 40 ? (int)n->len_bytes : 40;

	if (n->op == EXPR_VAR)
		snprintf(to, size, "'%.*s' is %s", len, n->text, what);
	else if (n->op == EXPR_TEXT)
		snprintf(to, size, "\"%.*s\" is text", len, n->text);
	else
		snprintf(to, size, "this is %s", what);
}

static int complain_number(const struct expr_node *user, const struct expr_node *n,
			   struct diag *d)
{
	char what[80];

	describe(n, what, sizeof(what));
	return expr_complain(d, n->column, "%s, but '%s' takes numbers", what,
			     op_signs[user->op]);
}

static int check_numbers(struct expr_node *n, struct diag *d)
{
	if (is_text(n->left))
		return complain_number(n, n->left, d);
	if (n->right && is_text(n->right))
		return complain_number(n, n->right, d);
	return 0;
}

static int check_comparison(struct expr_node *n, struct diag *d)
{
	const struct expr_node *text = is_text(n->left) ? n->left : n->right;
	char left[80], right[80];

	if (is_text(n->left) == is_text(n->right))
		return 0;
	describe(n->left, left, sizeof(left));
	describe(n->right, right, sizeof(right));
	return expr_complain(d, n->right->column, "%s, but %s%s", right, left,
			     text->op == EXPR_VAR ? ": text to compare with belongs in quotes" :
			     "");
}

/* 0 when it is a number and a name for it; 1 when it is not. */
static int bind_name(const struct binding *b, struct expr_node *n, struct diag *d)
{
	const struct expr_node *var = n->left->op == EXPR_VAR ? n->left : n->right;
	const struct expr_node *text = var == n->left ? n->right : n->left;
	struct expr_name name = { .known = NULL };
	int err;

	n->is_named = false;
	if (!b->name || var->op != EXPR_VAR || is_text(var) || text->op != EXPR_TEXT ||
	    (n->op != EXPR_EQ && n->op != EXPR_NE))
		return 1;
	err = b->name(b->ctx, var->var, text->text, text->len_bytes, &name);
	if (err == -EINVAL)
		return 1;
	if (err)
		return expr_complain(d, text->column, "'%.80s' is never \"%.*s\"%s%.160s%s",
				     b->e->vars[var->var],
				     text->len_bytes < 40 ? (int)text->len_bytes : 40, text->text,
				     name.known ? " (it may be: " : "",
				     name.known ? name.known : "", name.known ? ")" : "");
	n->is_named = true;
	n->name_mask = name.mask;
	n->name_bits = name.bits;
	return 0;
}

static int check_match(struct expr_node *n, struct diag *d)
{
	char what[80];

	if (is_text(n->left))
		return 0;
	describe(n->left, what, sizeof(what));
	return expr_complain(d, n->left->column, "%s, but '%s' matches text", what,
			     op_signs[n->op]);
}

static enum expr_type wider(const struct expr_node *n)
{
	return n->left->type == EXPR_UNSIGNED || (n->right && n->right->type == EXPR_UNSIGNED) ?
	       EXPR_UNSIGNED : EXPR_SIGNED;
}

static int bind_comparison(const struct binding *b, struct expr_node *n, struct diag *d)
{
	int err = bind_name(b, n, d);

	return err > 0 ? check_comparison(n, d) : err;
}

static int bind_node(const struct binding *b, struct expr_node *n, struct diag *d)
{
	switch (n->op) {
	case EXPR_NUMBER:
	case EXPR_TEXT:
		return 0;
	case EXPR_VAR:
		n->type = b->e->var_types[n->var];
		return 0;
	case EXPR_NOT:
	case EXPR_AND:
	case EXPR_OR:
		n->type = EXPR_SIGNED;
		return 0;
	case EXPR_MATCH:
	case EXPR_NO_MATCH:
		n->type = EXPR_SIGNED;
		return check_match(n, d);
	case EXPR_EQ:
	case EXPR_NE:
	case EXPR_LT:
	case EXPR_LE:
	case EXPR_GT:
	case EXPR_GE:
		n->type = EXPR_SIGNED;
		return bind_comparison(b, n, d);
	case EXPR_SHL:
	case EXPR_SHR:
		n->type = n->left->type;
		return check_numbers(n, d);
	default:
		n->type = wider(n);
		return check_numbers(n, d);
	}
}

/* Where a name stands first. */
static uint32_t column_of(const struct expr *e, uint32_t var)
{
	for (size_t i = 0; i < e->nr_nodes; i++)
		if (e->nodes[i].op == EXPR_VAR && e->nodes[i].var == var)
			return e->nodes[i].column;
	return 0;
}

int expr_bind(struct expr *e, expr_resolve_fn resolve, void *ctx, const char *known,
	      struct diag *d)
{
	return expr_bind_names(e, resolve, NULL, ctx, known, d);
}

int expr_bind_names(struct expr *e, expr_resolve_fn resolve, expr_name_fn name, void *ctx,
		    const char *known, struct diag *d)
{
	const struct binding b = { e, name, ctx };
	int err = 0;

	for (uint32_t i = 0; i < e->nr_vars; i++) {
		err = resolve(ctx, e->vars[i], i, &e->var_types[i]);
		if (err == -ENOENT) {
			expr_complain(d, column_of(e, i), "no field '%.80s'%s%s%s", e->vars[i],
				      known ? " (there are: " : "", known ? known : "",
				      known ? ")" : "");
			return err;
		}
		if (err)
			return diag_set(d, err, "filter, column %u: '%.80s' is no number and no "
					"text", column_of(e, i), e->vars[i]);
	}
	/* Operands stand before what uses them. */
	for (size_t i = 0; i < e->nr_nodes && !err; i++)
		err = bind_node(&b, &e->nodes[i], d);
	return err;
}
