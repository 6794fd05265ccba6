#include <string.h>

#include "report/digits.h"
#include "report/printfmt_private.h"

static void put_hex(struct bytebuf *to, uint64_t v)
{
	bytebuf_text(to, "0x");
	digits_put_hex(to, v, 0);
}

static void put_hex_byte(struct bytebuf *to, uint8_t v)
{
	static const char hex[] = "0123456789abcdef";

	bytebuf_put(to, &hex[v >> 4], 1);
	bytebuf_put(to, &hex[v & 15], 1);
}

/* In hexadecimal a number is as wide as the field that it is. */
static uint64_t as_wide(const struct printfmt_node *n, uint64_t v)
{
	const struct printfmt_field *f = printfmt_plain_field(n);

	return f && f->size && f->size < 8 ? v & ((UINT64_C(1) << (8 * f->size)) - 1) : v;
}

static void put_flags(struct printfmt *p, const struct printfmt_node *n,
		      const struct query_record *r, struct bytebuf *to)
{
	uint64_t v = printfmt_number(p, n->a, r);
	bool any = false;

	for (const struct printfmt_flag *f = n->flags; f; f = f->next) {
		if (!f->known || !f->value || (v & f->value) != f->value)
			continue;
		if (any)
			bytebuf_put(to, n->text, n->len);
		bytebuf_put(to, f->text, f->len);
		any = true;
		v &= ~f->value;
	}
	v = as_wide(n->a, v);
	if (!v)
		return;
	if (any)
		bytebuf_put(to, n->text, n->len);
	put_hex(to, v);
}

static void put_symbol(struct printfmt *p, const struct printfmt_node *n,
		       const struct query_record *r, struct bytebuf *to)
{
	uint64_t v = printfmt_number(p, n->a, r);

	for (const struct printfmt_flag *f = n->flags; f; f = f->next) {
		if (f->known && f->value == v) {
			bytebuf_put(to, f->text, f->len);
			return;
		}
	}
	put_hex(to, as_wide(n->a, v));
}

static void put_bytes(struct printfmt *p, const struct printfmt_node *n,
		      const struct query_record *r, struct bytebuf *to)
{
	uint64_t nr = printfmt_number(p, n->b, r);
	struct printfmt_bytes b;

	if (!printfmt_bytes(p, n->a, r, &b))
		return;
	for (size_t i = 0; i < b.len && i < nr; i++) {
		if (i)
			bytebuf_put(to, n->text, n->len);
		put_hex_byte(to, b.data[i]);
	}
}

/* The kernel's own way: {0x1,0x2} */
static void put_array(struct printfmt *p, const struct printfmt_node *n,
		      const struct query_record *r, struct bytebuf *to)
{
	uint64_t nr = printfmt_number(p, n->b, r), size = printfmt_number(p, n->c, r);
	struct printfmt_bytes b;

	if (!size || size > 8 || !printfmt_bytes(p, n->a, r, &b))
		return;
	bytebuf_text(to, "{");
	for (uint64_t i = 0; i < nr && (i + 1) * size <= b.len; i++) {
		uint64_t v = 0;

		for (uint64_t k = 0; k < size; k++)
			v |= (uint64_t)b.data[i * size + k] << (8 * k);
		if (i)
			bytebuf_text(to, ",");
		put_hex(to, v);
	}
	bytebuf_text(to, "}");
}

/* As %*pb of the kernel: a comma after 32 bits. */
static void put_bitmask(struct printfmt *p, const struct printfmt_node *n,
			const struct query_record *r, struct bytebuf *to)
{
	struct printfmt_bytes b;

	if (!printfmt_bytes(p, n, r, &b))
		return;
	if (n->kind == NODE_CPUS) {
		printfmt_bit_list(to, &b, UINT64_MAX);
		return;
	}
	for (size_t i = b.len; i-- > 0; ) {
		put_hex_byte(to, b.data[i]);
		if (i && i % 4 == 0)
			bytebuf_text(to, ",");
	}
}

static void put_field(struct printfmt *p, const struct fieldtext *ft,
		      const struct printfmt_node *n, const struct query_record *r,
		      struct bytebuf *to)
{
	const struct printfmt_field *f = n->field;
	const struct field_desc *d = &p->event->fields[f->column];
	struct printfmt_bytes b;
	const uint8_t *nul;

	if (d->type == FIELD_FRAME) {
		printfmt_code(p, ft, f, r, false, to);
		return;
	}
	/* A pointer to text whose text was not recorded. */
	if (!f->element && d->type != FIELD_STRING && d->type != FIELD_BYTES) {
		digits_put_hex(to, printfmt_number(p, n, r), 0);
		return;
	}
	if (!printfmt_bytes(p, n, r, &b))
		return;
	nul = b.len ? memchr(b.data, 0, b.len) : NULL;
	bytebuf_put(to, b.data, nul ? (size_t)(nul - b.data) : b.len);
}

void printfmt_text(struct printfmt *p, const struct fieldtext *ft, const struct printfmt_node *n,
		   const struct query_record *r, struct bytebuf *to)
{
	while (n->kind == NODE_CAST || n->kind == NODE_CONDITION) {
		if (n->kind == NODE_CAST)
			n = n->a;
		else
			n = printfmt_number(p, n->a, r) ? n->b : n->c;
	}
	switch (n->kind) {
	case NODE_TEXT:
		bytebuf_put(to, n->text, n->len);
		break;
	case NODE_FIELD:
		put_field(p, ft, n, r, to);
		break;
	case NODE_BITMASK:
	case NODE_CPUS:
		put_bitmask(p, n, r, to);
		break;
	case NODE_FLAGS:
		put_flags(p, n, r, to);
		break;
	case NODE_SYMBOL:
		put_symbol(p, n, r, to);
		break;
	case NODE_HEX:
		put_bytes(p, n, r, to);
		break;
	case NODE_ARRAY:
		put_array(p, n, r, to);
		break;
	default:
		put_hex(to, printfmt_number(p, n, r));
	}
}
