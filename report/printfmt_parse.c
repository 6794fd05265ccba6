#include <string.h>

#include "report/printfmt_private.h"

struct printfmt_node *printfmt_fail(struct printfmt_parser *x)
{
	x->failed = true;
	return NULL;
}

struct printfmt_node *printfmt_node(struct printfmt_parser *x, enum printfmt_kind kind)
{
	struct printfmt_node *n = arena_alloc(&x->fmt->arena, sizeof(*n));

	if (!n)
		return printfmt_fail(x);
	*n = (struct printfmt_node) { .kind = kind };
	return n;
}

/* --- types -------------------------------------------------------------------- */

struct type {
	uint32_t size;
	bool is_signed, is_pointer, is_known;
};

static bool same(const char *name, size_t len, const char *word)
{
	return strlen(word) == len && !memcmp(name, word, len);
}

static void add_type_word(struct type *t, const char *name, size_t len)
{
	static const struct {
		const char *word;
		uint32_t size;
		bool is_signed;
	} words[] = {
		{ "char", 1, true }, { "short", 2, true }, { "int", 4, true },
		{ "long", 8, true }, { "u8", 1, false }, { "u16", 2, false },
		{ "u32", 4, false }, { "u64", 8, false }, { "__u8", 1, false },
		{ "__u16", 2, false }, { "__u32", 4, false }, { "__u64", 8, false },
		{ "s8", 1, true }, { "s16", 2, true }, { "s32", 4, true }, { "s64", 8, true },
		{ "__s8", 1, true }, { "__s16", 2, true }, { "__s32", 4, true },
		{ "__s64", 8, true }, { "size_t", 8, false }, { "ssize_t", 8, true },
		{ "uint8_t", 1, false }, { "uint16_t", 2, false }, { "uint32_t", 4, false },
		{ "uint64_t", 8, false }, { "void", 8, false }, { "bool", 1, false },
		{ "gfp_t", 4, false },
	};

	if (same(name, len, "unsigned")) {
		t->is_known = true;
		t->is_signed = false;
		t->size = t->size ? t->size : 4;
		return;
	}
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (!same(name, len, words[i].word))
			continue;
		/* "unsigned long", "long int" */
		if (!t->is_known)
			t->is_signed = words[i].is_signed;
		if (!t->is_known || words[i].size != 4 || t->size == 4)
			t->size = words[i].size;
		t->is_known = true;
	}
}

/* "(unsigned long long)" and what is cast; leaves everything alone if it is none. */
static bool take_type(struct printfmt_parser *x, struct type *t)
{
	const char *start = x->at, *name;
	int nr_words = 0;
	size_t len;

	*t = (struct type) { .size = 0 };
	while (printfmt_take_name(x, &name, &len)) {
		if (same(name, len, "REC"))
			break;
		if (same(name, len, "struct") || same(name, len, "enum") ||
		    same(name, len, "union"))
			t->is_known = true;
		add_type_word(t, name, len);
		nr_words++;
	}
	while (nr_words && printfmt_take(x, "*"))
		t->is_pointer = true;
	if (nr_words && printfmt_take(x, ")")) {
		printfmt_skip_space(x);
		/* A name in parentheses is a type if something to cast stands behind it. */
		if (t->is_known || t->is_pointer)
			return true;
		if (x->at < x->end && (printfmt_is_word(*x->at) || *x->at == '('))
			return true;
	}
	x->at = start;
	return false;
}

/* --- operands ------------------------------------------------------------------- */

/* The node with what hangs below it; NULL when that is missing or too deep. */
static struct printfmt_node *grown(struct printfmt_parser *x, struct printfmt_node *n,
				   const struct printfmt_node *a, const struct printfmt_node *b)
{
	if (!a)
		return NULL;
	n->depth = a->depth + 1;
	if (b && b->depth >= n->depth)
		n->depth = b->depth + 1;
	return n->depth > PRINTFMT_MAX_TREE ? printfmt_fail(x) : n;
}

static struct printfmt_node *parse_unary(struct printfmt_parser *x);

static struct printfmt_node *make_cast(struct printfmt_parser *x, const struct type *t)
{
	struct printfmt_node *n = printfmt_node(x, NODE_CAST);

	if (!n)
		return NULL;
	n->a = parse_unary(x);
	n->size = t->size;
	n->is_signed = t->is_signed;
	n->is_pointer = t->is_pointer;
	n->is_wide = t->is_pointer || (t->size == 8 && !t->is_signed);
	return grown(x, n, n->a, NULL);
}

static struct printfmt_node *parse_parentheses(struct printfmt_parser *x)
{
	struct printfmt_node *n;
	struct type t;

	if (take_type(x, &t))
		return make_cast(x, &t);
	n = printfmt_parse_expr(x);
	return n && printfmt_take(x, ")") ? n : printfmt_fail(x);
}

static struct printfmt_node *parse_field(struct printfmt_parser *x)
{
	struct printfmt_node *n = printfmt_node(x, NODE_FIELD);
	const char *name;
	size_t len;

	if (!n || !printfmt_take(x, "->") || !printfmt_take_name(x, &name, &len))
		return printfmt_fail(x);
	n->field = printfmt_find_field(x->fmt, name, len);
	if (!n->field || !n->field->nr_columns)
		return printfmt_fail(x);
	n->is_wide = n->field->size == 8 && !n->field->is_signed;
	return n;
}

static struct printfmt_node *parse_sizeof(struct printfmt_parser *x)
{
	struct printfmt_node *n = printfmt_node(x, NODE_NUMBER);
	struct type t;

	if (!n || !printfmt_take(x, "(") || !take_type(x, &t) || !(t.size || t.is_pointer))
		return printfmt_fail(x);
	n->number = t.is_pointer ? 8 : t.size;
	return n;
}

static struct printfmt_node *parse_named(struct printfmt_parser *x, const char *name, size_t len)
{
	struct printfmt_node *n;

	if (same(name, len, "REC"))
		return parse_field(x);
	if (same(name, len, "sizeof"))
		return parse_sizeof(x);
	if (printfmt_take(x, "("))
		return printfmt_parse_call(x, name, len);
	n = printfmt_node(x, same(name, len, "NULL") || same(name, len, "false") ||
			     same(name, len, "true") ? NODE_NUMBER : NODE_UNKNOWN);
	if (!n)
		return NULL;
	n->number = same(name, len, "true");
	x->nr_unknown += n->kind == NODE_UNKNOWN;
	return n;
}

static struct printfmt_node *parse_operand(struct printfmt_parser *x)
{
	struct printfmt_node *n;
	const char *name;
	uint64_t number;
	bool is_unsigned;
	size_t len;

	if (printfmt_take(x, "("))
		return parse_parentheses(x);
	if (printfmt_take_number(x, &number, &is_unsigned)) {
		n = printfmt_node(x, NODE_NUMBER);
		if (!n)
			return NULL;
		n->number = number;
		n->is_wide = is_unsigned;
		return n;
	}
	if (printfmt_take(x, "'")) {
		n = printfmt_node(x, NODE_NUMBER);
		if (!n || x->end - x->at < 2 || *x->at == '\\')
			return printfmt_fail(x);
		n->number = (unsigned char)*x->at++;
		return printfmt_take(x, "'") ? n : printfmt_fail(x);
	}
	if (printfmt_take_name(x, &name, &len))
		return parse_named(x, name, len);
	if (x->at == x->end || *x->at != '"')
		return printfmt_fail(x);
	n = printfmt_node(x, NODE_TEXT);
	if (n && !printfmt_take_text(x, &n->text, &n->len))
		return printfmt_fail(x);
	return n;
}

/* The size of what a pointer to it is indexed by. */
static uint32_t indexed_bytes(const struct printfmt_node *n)
{
	if (n->kind == NODE_CAST && n->is_pointer)
		return n->size;
	return n->kind == NODE_FIELD ? n->field->element : 0;
}

static struct printfmt_node *parse_postfix(struct printfmt_parser *x)
{
	struct printfmt_node *n = parse_operand(x), *index;

	while (n && printfmt_take(x, "[")) {
		index = printfmt_node(x, NODE_INDEX);
		if (!index)
			return NULL;
		index->a = n;
		index->size = indexed_bytes(n);
		index->is_signed = n->kind == NODE_FIELD ? n->field->is_signed : n->is_signed;
		index->b = printfmt_parse_expr(x);
		if (!index->b || !index->size || index->size > 8 || !printfmt_take(x, "]"))
			return printfmt_fail(x);
		n = grown(x, index, n, index->b);
	}
	return n;
}

static struct printfmt_node *parse_unary(struct printfmt_parser *x)
{
	struct printfmt_node *n = NULL;
	char op;

	printfmt_skip_space(x);
	if (x->failed || x->at == x->end || ++x->depth > PRINTFMT_MAX_DEPTH)
		return printfmt_fail(x);
	op = *x->at;
	if (!strchr("!~-+", op)) {
		n = parse_postfix(x);
	} else {
		x->at++;
		n = printfmt_node(x, NODE_UNARY);
		if (n) {
			n->op = op;
			n->a = parse_unary(x);
			n->is_wide = n->a && n->a->is_wide;
			n = grown(x, n, n->a, NULL);
		}
	}
	x->depth--;
	return n;
}

/* --- operators ------------------------------------------------------------------ */

/* The operator that stands here; its precedence, or 0. */
static int operator_at(const struct printfmt_parser *x, int *op, int *len)
{
	static const struct {
		char text[3];
		uint8_t precedence;
	} all[] = {
		{ "||", 1 }, { "&&", 2 }, { "==", 6 }, { "!=", 6 }, { "<<", 8 }, { ">>", 8 },
		{ "<=", 7 }, { ">=", 7 }, { "|", 3 }, { "^", 4 }, { "&", 5 }, { "<", 7 },
		{ ">", 7 }, { "+", 9 }, { "-", 9 }, { "*", 10 }, { "/", 10 }, { "%", 10 },
	};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		size_t n = strlen(all[i].text);

		if ((size_t)(x->end - x->at) < n || memcmp(x->at, all[i].text, n))
			continue;
		*op = n == 2 ? OP2(all[i].text[0], all[i].text[1]) : all[i].text[0];
		*len = (int)n;
		return all[i].precedence;
	}
	return 0;
}

static struct printfmt_node *folded(struct printfmt_parser *x, const struct printfmt_node *n)
{
	struct printfmt_node *to = printfmt_node(x, NODE_NUMBER);

	if (!to)
		return NULL;
	to->number = printfmt_number(x->fmt, n, NULL);
	to->is_wide = n->is_wide;
	return to;
}

static struct printfmt_node *parse_binary(struct printfmt_parser *x, int least)
{
	struct printfmt_node *left = parse_unary(x), *n;
	int op = 0, len = 0, precedence;

	while (left) {
		printfmt_skip_space(x);
		precedence = operator_at(x, &op, &len);
		if (!precedence || precedence < least)
			return left;
		x->at += len;
		n = printfmt_node(x, NODE_BINARY);
		if (!n)
			return NULL;
		n->op = op;
		n->a = left;
		n->b = parse_binary(x, precedence + 1);
		if (!n->b)
			return NULL;
		n->is_wide = left->is_wide || n->b->is_wide;
		left = grown(x, n, left, n->b);
		if (left && n->a->kind == NODE_NUMBER && n->b->kind == NODE_NUMBER)
			left = folded(x, n);
	}
	return left;
}

struct printfmt_node *printfmt_parse_expr(struct printfmt_parser *x)
{
	struct printfmt_node *condition, *n;

	if (x->failed || ++x->depth > PRINTFMT_MAX_DEPTH)
		return printfmt_fail(x);
	condition = parse_binary(x, 1);
	if (condition && printfmt_take(x, "?")) {
		n = printfmt_node(x, NODE_CONDITION);
		if (!n)
			return NULL;
		n->a = condition;
		n->b = printfmt_parse_expr(x);
		if (!n->b || !printfmt_take(x, ":"))
			return printfmt_fail(x);
		n->c = printfmt_parse_expr(x);
		n->is_wide = n->b->is_wide || (n->c && n->c->is_wide);
		condition = n->c ? grown(x, n, n->b, n->c) : NULL;
	}
	x->depth--;
	return condition ? condition : printfmt_fail(x);
}
