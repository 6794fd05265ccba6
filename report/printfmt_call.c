#include <string.h>

#include "report/printfmt_private.h"

/* The field whose name stands alone in the parentheses. */
static struct printfmt_node *parse_field_name(struct printfmt_parser *x, enum printfmt_kind kind)
{
	struct printfmt_node *n = printfmt_node(x, kind);
	const char *name;
	size_t len;

	printfmt_skip_space(x);
	name = x->at;
	while (x->at < x->end && *x->at != ')' && *x->at != ' ')
		x->at++;
	len = (size_t)(x->at - name);
	if (!n || !printfmt_take(x, ")"))
		return printfmt_fail(x);
	n->field = printfmt_find_field(x->fmt, name, len);
	return n->field && n->field->nr_columns ? n : printfmt_fail(x);
}

/* --- tables ---------------------------------------------------------------------- */

/* A list of entries ends in one without text: { -1, ((void *)0) }. */
static bool parse_flag(struct printfmt_parser *x, struct printfmt_flag **to)
{
	uint32_t nr_unknown = x->nr_unknown;
	struct printfmt_node *value = printfmt_parse_expr(x), *text;
	bool known = x->nr_unknown == nr_unknown;
	struct printfmt_flag *flag;

	if (!value || !printfmt_take(x, ","))
		return false;
	x->nr_unknown = nr_unknown;
	text = printfmt_parse_expr(x);
	if (!text || !printfmt_take(x, "}"))
		return false;
	if (text->kind != NODE_TEXT)
		return true;
	flag = arena_alloc(&x->fmt->arena, sizeof(*flag));
	if (!flag)
		return false;
	*flag = (struct printfmt_flag) {
		.known = known, .text = text->text, .len = text->len };
	flag->value = printfmt_number(x->fmt, value, NULL);
	*to = flag;
	return true;
}

static struct printfmt_node *parse_table(struct printfmt_parser *x, struct printfmt_node *n)
{
	struct printfmt_flag **end = &n->flags;

	while (printfmt_take(x, ",")) {
		if (!printfmt_take(x, "{") || !parse_flag(x, end))
			return printfmt_fail(x);
		if (*end)
			end = &(*end)->next;
	}
	return printfmt_take(x, ")") ? n : printfmt_fail(x);
}

static struct printfmt_node *parse_flags(struct printfmt_parser *x, enum printfmt_kind kind)
{
	struct printfmt_node *n = printfmt_node(x, kind);

	if (!n)
		return NULL;
	n->a = printfmt_parse_expr(x);
	if (!n->a)
		return NULL;
	if (kind == NODE_FLAGS &&
	    (!printfmt_take(x, ",") || !printfmt_take_text(x, &n->text, &n->len)))
		return printfmt_fail(x);
	return parse_table(x, n);
}

/* --- arrays ----------------------------------------------------------------------- */

static struct printfmt_node *parse_list(struct printfmt_parser *x, enum printfmt_kind kind,
					int nr_args, const char *delimiter)
{
	struct printfmt_node *n = printfmt_node(x, kind);

	if (!n)
		return NULL;
	n->text = delimiter;
	n->len = strlen(delimiter);
	n->a = printfmt_parse_expr(x);
	if (!n->a || !printfmt_take(x, ","))
		return printfmt_fail(x);
	n->b = printfmt_parse_expr(x);
	if (n->b && nr_args == 3) {
		if (!printfmt_take(x, ","))
			return printfmt_fail(x);
		n->c = printfmt_parse_expr(x);
	}
	if (!n->b || (nr_args == 3 && !n->c) || !printfmt_take(x, ")"))
		return printfmt_fail(x);
	return n;
}

/* __builtin_expect(value, likely) is its value. */
static struct printfmt_node *parse_expect(struct printfmt_parser *x)
{
	struct printfmt_node *n = printfmt_parse_expr(x);

	if (!n || !printfmt_take(x, ",") || !printfmt_parse_expr(x) || !printfmt_take(x, ")"))
		return printfmt_fail(x);
	return n;
}

struct printfmt_node *printfmt_parse_call(struct printfmt_parser *x, const char *name, size_t len)
{
	static const struct {
		const char *name;
		enum printfmt_kind kind;
		int nr_args;
		const char *delimiter;
	} calls[] = {
		{ "__get_str", NODE_FIELD, 0, NULL },
		{ "__get_rel_str", NODE_FIELD, 0, NULL },
		{ "__get_dynamic_array", NODE_FIELD, 0, NULL },
		{ "__get_rel_dynamic_array", NODE_FIELD, 0, NULL },
		{ "__get_bitmask", NODE_BITMASK, 0, NULL },
		{ "__get_rel_bitmask", NODE_BITMASK, 0, NULL },
		{ "__get_cpumask", NODE_CPUS, 0, NULL },
		{ "__get_rel_cpumask", NODE_CPUS, 0, NULL },
		{ "__get_sockaddr", NODE_FIELD, 0, NULL },
		{ "__get_dynamic_array_len", NODE_LENGTH, 0, NULL },
		{ "__get_rel_dynamic_array_len", NODE_LENGTH, 0, NULL },
		{ "__print_flags", NODE_FLAGS, 0, NULL },
		{ "__print_flags_u64", NODE_FLAGS, 0, NULL },
		{ "__print_symbolic", NODE_SYMBOL, 0, NULL },
		{ "__print_symbolic_u64", NODE_SYMBOL, 0, NULL },
		{ "__print_hex", NODE_HEX, 2, " " },
		{ "__print_hex_str", NODE_HEX, 2, "" },
		{ "__print_array", NODE_ARRAY, 3, "" },
	};

	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		if (strlen(calls[i].name) != len || memcmp(calls[i].name, name, len))
			continue;
		if (calls[i].nr_args)
			return parse_list(x, calls[i].kind, calls[i].nr_args, calls[i].delimiter);
		if (calls[i].kind == NODE_FLAGS || calls[i].kind == NODE_SYMBOL)
			return parse_flags(x, calls[i].kind);
		return parse_field_name(x, calls[i].kind);
	}
	if (len == strlen("__builtin_expect") && !memcmp(name, "__builtin_expect", len))
		return parse_expect(x);
	return printfmt_fail(x);
}
