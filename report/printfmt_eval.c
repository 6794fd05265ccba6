#include <string.h>

#include "report/printfmt_private.h"

/* --- numbers ------------------------------------------------------------------- */

/* The lowest `size` bytes, extended to 64 bits. */
static uint64_t extend(uint64_t v, uint32_t size, bool is_signed)
{
	int unused = 64 - 8 * (int)size;

	if (!size || size >= 8)
		return v;
	v <<= unused;
	return is_signed ? (uint64_t)((int64_t)v >> unused) : v >> unused;
}

static uint64_t divide(int op, uint64_t a, uint64_t b, bool is_wide)
{
	if (!b)
		return 0;
	if (is_wide)
		return op == '/' ? a / b : a % b;
	if (b == UINT64_MAX)		/* the least number has no opposite */
		return op == '/' ? -a : 0;
	return (uint64_t)(op == '/' ? (int64_t)a / (int64_t)b : (int64_t)a % (int64_t)b);
}

static bool is_less(uint64_t a, uint64_t b, bool is_wide)
{
	return is_wide ? a < b : (int64_t)a < (int64_t)b;
}

/* As most CPUs shift: by what fits. */
static uint64_t shift_right(uint64_t a, uint64_t by, bool is_wide)
{
	by &= 63;
	return is_wide ? a >> by : (uint64_t)((int64_t)a >> by);
}

static uint64_t binary(const struct printfmt_node *n, uint64_t a, uint64_t b)
{
	switch (n->op) {
	case '+': return a + b;
	case '-': return a - b;
	case '*': return a * b;
	case '/':
	case '%': return divide(n->op, a, b, n->is_wide);
	case '&': return a & b;
	case '|': return a | b;
	case '^': return a ^ b;
	case '<': return is_less(a, b, n->is_wide);
	case '>': return is_less(b, a, n->is_wide);
	case OP2('<', '='): return !is_less(b, a, n->is_wide);
	case OP2('>', '='): return !is_less(a, b, n->is_wide);
	case OP2('=', '='): return a == b;
	case OP2('!', '='): return a != b;
	case OP2('<', '<'): return a << (b & 63);
	case OP2('>', '>'): return shift_right(a, b, n->a->is_wide);
	case OP2('&', '&'): return a && b;
	case OP2('|', '|'): return a || b;
	default: return 0;
	}
}

static uint64_t unary(int op, uint64_t a)
{
	return op == '!' ? !a : op == '~' ? ~a : op == '-' ? -a : a;
}

static uint64_t from_bytes(const uint8_t *at, uint32_t size, bool is_signed)
{
	uint64_t v = 0;

	for (uint32_t i = 0; i < size; i++)
		v |= (uint64_t)at[i] << (8 * i);
	return extend(v, size, is_signed);
}

/* An element of a list of numbers is one field of the record. */
static uint64_t element(struct printfmt *p, const struct printfmt_node *n,
			const struct query_record *r)
{
	uint64_t i = printfmt_number(p, n->b, r);
	const struct printfmt_field *f = n->a->field;
	struct printfmt_bytes b;

	if (n->a->kind == NODE_FIELD && f->nr_columns > 1 && f->element == n->size)
		return i < f->nr_columns ? extend(r->values[f->column + i], n->size,
						  n->is_signed) : 0;
	if (!printfmt_bytes(p, n->a, r, &b) || i >= b.len / n->size)
		return 0;
	return from_bytes(b.data + i * n->size, n->size, n->is_signed);
}

static uint64_t length(struct printfmt *p, const struct printfmt_node *n,
		       const struct query_record *r)
{
	struct printfmt_bytes b;

	return printfmt_bytes(p, n, r, &b) ? b.len : 0;
}

static uint64_t field_number(const struct printfmt *p, const struct printfmt_field *f,
			     const struct query_record *r)
{
	uint64_t v = r->values[f->column];

	if (p->event->fields[f->column].type == FIELD_FRAME)
		return v;
	return f->element ? v : extend(v, f->size, f->is_signed);
}

uint64_t printfmt_number(struct printfmt *p, const struct printfmt_node *n,
			 const struct query_record *r)
{
	switch (n->kind) {
	case NODE_NUMBER:
		return n->number;
	case NODE_FIELD:
		return r ? field_number(p, n->field, r) : 0;
	case NODE_LENGTH:
		return r ? length(p, n, r) : 0;
	case NODE_INDEX:
		return r ? element(p, n, r) : 0;
	case NODE_CAST:
		return extend(printfmt_number(p, n->a, r), n->is_pointer ? 8 : n->size,
			      n->is_signed);
	case NODE_UNARY:
		return unary(n->op, printfmt_number(p, n->a, r));
	case NODE_BINARY:
		return binary(n, printfmt_number(p, n->a, r), printfmt_number(p, n->b, r));
	case NODE_CONDITION:
		return printfmt_number(p, printfmt_number(p, n->a, r) ? n->b : n->c, r);
	default:
		return 0;
	}
}

/* --- bytes --------------------------------------------------------------------- */

/* Elements that were recorded one by one, as they lie in memory. */
static void gather(struct printfmt *p, const struct printfmt_field *f,
		   const struct query_record *r)
{
	uint32_t size = f->element ? f->element : f->size;

	bytebuf_clear(&p->inner);
	for (uint32_t i = 0; i < f->nr_columns; i++) {
		uint64_t v = r->values[f->column + i];

		for (uint32_t k = 0; k < size && k < 8; k++)
			bytebuf_u8(&p->inner, (uint8_t)(v >> (8 * k)));
	}
}

bool printfmt_bytes(struct printfmt *p, const struct printfmt_node *n,
		    const struct query_record *r, struct printfmt_bytes *b)
{
	const struct printfmt_field *f;
	struct trace_string text;
	uint64_t value;

	while (n->kind == NODE_CAST)
		n = n->a;
	if (!n->field || !r)
		return false;
	f = n->field;
	value = r->values[f->column];
	*b = (struct printfmt_bytes) { .element = f->element };
	switch (p->event->fields[f->column].type) {
	case FIELD_BYTES:
		b->data = r->bytes + (value >> 32);
		b->len = (uint32_t)value;
		return true;
	case FIELD_STRING:
		if (!p->trace)
			return false;
		text = trace_string(p->trace, value <= UINT32_MAX ? (uint32_t)value : 0);
		b->data = (const uint8_t *)text.text;
		b->len = text.len_bytes;
		return true;
	default:
		gather(p, f, r);
		b->data = p->inner.data;
		b->len = p->inner.len;
		return !p->inner.err;
	}
}

const struct printfmt_field *printfmt_plain_field(const struct printfmt_node *n)
{
	while (n->kind == NODE_CAST)
		n = n->a;
	return n->kind == NODE_FIELD ? n->field : NULL;
}
