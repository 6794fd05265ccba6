#include <arpa/inet.h>
#include <string.h>

#include "report/digits.h"
#include "report/printfmt_private.h"

static void put_hex_byte(struct bytebuf *to, uint8_t v)
{
	static const char hex[] = "0123456789abcdef";

	bytebuf_put(to, &hex[v >> 4], 1);
	bytebuf_put(to, &hex[v & 15], 1);
}

static void put_separated(struct bytebuf *to, const uint8_t *at, size_t len,
			  const char *separator)
{
	for (size_t i = 0; i < len; i++) {
		if (i)
			bytebuf_text(to, separator);
		put_hex_byte(to, at[i]);
	}
}

/* --- addresses ------------------------------------------------------------------ */

/* Plain: as with the kernel's %pi4, all digits. */
static void put_ip4(struct bytebuf *to, const uint8_t *at, bool plain)
{
	for (int i = 0; i < 4; i++) {
		if (i)
			bytebuf_text(to, ".");
		digits_put_wide(to, at[i], plain ? 3 : 0, '0');
	}
}

static void put_ip6(struct bytebuf *to, const uint8_t *at, const char *kind)
{
	char text[INET6_ADDRSTRLEN];

	if (strchr(kind, 'c') && inet_ntop(AF_INET6, at, text, sizeof(text))) {
		bytebuf_text(to, text);
		return;
	}
	for (int i = 0; i < 16; i += 2) {
		if (i && *kind == 'I')
			bytebuf_text(to, ":");
		put_hex_byte(to, at[i]);
		put_hex_byte(to, at[i + 1]);
	}
}

/* A struct sockaddr of the traced machine: Linux's numbers of families. */
static void put_sockaddr(struct bytebuf *to, const struct printfmt_bytes *b, const char *kind)
{
	bool port = strchr(kind, 'p');
	unsigned int family = b->len >= 2 ? b->data[0] | b->data[1] << 8 : 0;

	if (family == 2 && b->len >= 8) {
		put_ip4(to, b->data + 4, false);
	} else if (family == 10 && b->len >= 24) {
		if (port)
			bytebuf_text(to, "[");
		put_ip6(to, b->data + 8, kind);
		if (port)
			bytebuf_text(to, "]");
	} else {
		return;
	}
	if (!port)
		return;
	bytebuf_text(to, ":");
	digits_put(to, (uint64_t)(b->data[2] << 8 | b->data[3]));
}

static void put_uuid(struct bytebuf *to, const uint8_t *at, const char *kind)
{
	static const uint8_t big[16] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 };
	static const uint8_t little[16] = { 3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15 };
	const uint8_t *order = (kind[1] | 32) == 'l' ? little : big;

	for (int i = 0; i < 16; i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			bytebuf_text(to, "-");
		put_hex_byte(to, at[order[i]]);
	}
}

void printfmt_bit_list(struct bytebuf *to, const struct printfmt_bytes *b, uint64_t nr_bits)
{
	bool any = false;

	if (nr_bits > b->len * 8)
		nr_bits = b->len * 8;
	for (uint64_t i = 0; i < nr_bits; i++) {
		uint64_t from = i;

		if (!(b->data[i / 8] >> i % 8 & 1))
			continue;
		while (i + 1 < nr_bits && b->data[(i + 1) / 8] >> (i + 1) % 8 & 1)
			i++;
		if (any)
			bytebuf_text(to, ",");
		any = true;
		digits_put(to, from);
		if (i > from) {
			bytebuf_text(to, "-");
			digits_put(to, i);
		}
	}
}

/* --- code ------------------------------------------------------------------------ */

void printfmt_code(struct printfmt *p, const struct fieldtext *ft,
		   const struct printfmt_field *f, const struct query_record *r, bool offset,
		   struct bytebuf *to)
{
	uint64_t id = r->values[f->column];
	const struct frame_name *name;

	(void)p;
	if (!id) {
		bytebuf_text(to, "0x0");
		return;
	}
	name = names_frame(ft->names, id <= UINT32_MAX ? (uint32_t)id : 0);
	bytebuf_text(to, name->resolved || name->kind == MODULE_SPECIAL ? name->symbol :
		     name->module);
	if (name->kind == MODULE_SPECIAL || (name->resolved && !offset))
		return;
	bytebuf_text(to, "+0x");
	digits_put_hex(to, name->resolved ? name->symbol_offset : name->address, 0);
}

/* --- all kinds --------------------------------------------------------------------- */

bool printfmt_knows_pointer(const char *kind)
{
	return !*kind || strchr("SsBFfKxIiMmUhb", *kind);
}

/* As C prints pointers, and as tools print functions of no name. */
static void put_address(struct bytebuf *to, uint64_t v, bool is_code)
{
	if (!v && !is_code) {
		bytebuf_text(to, "(nil)");
		return;
	}
	bytebuf_text(to, "0x");
	digits_put_hex(to, v, 0);
}

static bool is_long_enough(const char *kind, size_t len)
{
	switch (*kind) {
	case 'M':
	case 'm':
		return len >= 6;
	case 'U':
		return len >= 16;
	case 'I':
	case 'i':
		return kind[1] == '4' ? len >= 4 : kind[1] == '6' ? len >= 16 : kind[1] == 'S';
	default:
		return true;
	}
}

static void put_memory(struct bytebuf *to, const char *kind, const struct printfmt_bytes *b,
		       uint64_t wanted)
{
	switch (*kind) {
	case 'I':
	case 'i':
		if (kind[1] == '4')
			put_ip4(to, b->data, *kind == 'i');
		else if (kind[1] == '6')
			put_ip6(to, b->data, kind);
		else
			put_sockaddr(to, b, kind);
		break;
	case 'M':
		put_separated(to, b->data, 6, kind[1] == 'F' ? "-" : ":");
		break;
	case 'm':
		put_separated(to, b->data, 6, "");
		break;
	case 'U':
		put_uuid(to, b->data, kind);
		break;
	case 'h':
		put_separated(to, b->data, b->len < wanted ? b->len : (size_t)wanted,
			      kind[1] == 'C' ? ":" : kind[1] == 'D' ? "-" :
			      kind[1] == 'N' ? "" : " ");
		break;
	default:
		printfmt_bit_list(to, b, wanted);
	}
}

void printfmt_pointer(struct printfmt *p, const struct fieldtext *ft,
		      const struct printfmt_part *part, const struct query_record *r,
		      struct bytebuf *to)
{
	uint64_t wanted = part->width;
	struct printfmt_bytes b;

	if (part->code) {
		printfmt_code(p, ft, part->code, r, part->pointer[0] != 's' &&
			      part->pointer[0] != 'f', to);
		return;
	}
	if (!part->pointer[0] || strchr("SsBFfKx", part->pointer[0])) {
		put_address(to, printfmt_number(p, part->arg, r),
			    part->pointer[0] && strchr("SsBFf", part->pointer[0]));
		return;
	}
	if (part->width_arg)
		wanted = printfmt_number(p, part->width_arg, r);
	if (printfmt_bytes(p, part->arg, r, &b) && is_long_enough(part->pointer, b.len))
		put_memory(to, part->pointer, &b, wanted);
	else
		bytebuf_text(to, "?");
}
