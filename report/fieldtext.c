#include "report/fieldtext.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/buckets.h"
#include "report/digits.h"
#include "report/errnotext.h"
#include "report/escape.h"
#include "report/number.h"
#include "report/valuenames.h"

#define MAX_FOLDED 4096

/* --- text ------------------------------------------------------------------ */

static void put_quoted(struct bytebuf *to, const char *text, size_t len)
{
	size_t from = 0;

	bytebuf_put(to, "\"", 1);
	for (size_t i = 0; i < len; i++) {
		if (text[i] != '"' && text[i] != '\\')
			continue;
		escape_terminal(to, text + from, i - from);
		bytebuf_put(to, "\\", 1);
		bytebuf_put(to, text + i, 1);
		from = i + 1;
	}
	escape_terminal(to, text + from, len - from);
	bytebuf_put(to, "\"", 1);
}

static void put_string(struct bytebuf *to, const char *text, size_t len,
		       enum fieldtext_style style)
{
	switch (style) {
	case FIELDTEXT_TERMINAL:
		put_quoted(to, text, len);
		break;
	case FIELDTEXT_RAW:
		bytebuf_put(to, text, len);
		break;
	case FIELDTEXT_JSON:
		bytebuf_put(to, "\"", 1);
		escape_json(to, text, len);
		bytebuf_put(to, "\"", 1);
		break;
	case FIELDTEXT_CSV:
		escape_csv(to, text, len);
		break;
	}
}

/* A name that is no string of the traced programs: no quotes on a terminal. */
static void put_word(struct bytebuf *to, const char *text, size_t len,
		     enum fieldtext_style style)
{
	if (style == FIELDTEXT_TERMINAL)
		escape_terminal(to, text, len);
	else
		put_string(to, text, len, style);
}

static bool for_people(enum fieldtext_style style)
{
	return style == FIELDTEXT_TERMINAL || style == FIELDTEXT_RAW;
}

/* --- numbers --------------------------------------------------------------- */

static void put_duration(struct bytebuf *to, bool negative, uint64_t ns)
{
	char text[NUMBER_BYTES];

	if (negative)
		bytebuf_text(to, "-");
	bytebuf_text(to, number_ns(text, ns));
}

static void put_ipv4(struct bytebuf *to, uint32_t number)
{
	for (int i = 0; i < 4; i++) {
		if (i)
			bytebuf_put(to, ".", 1);
		digits_put(to, number >> (8 * i) & 255);
	}
}

static void put_errno(struct bytebuf *to, uint64_t number)
{
	const char *name = errnotext_is(number) ? errnotext_name(-number) : NULL;

	digits_put_signed(to, (int64_t)number);
	if (!name)
		return;
	bytebuf_text(to, " (");
	bytebuf_text(to, name);
	bytebuf_text(to, ")");
}

static void put_octal(struct bytebuf *to, uint64_t number)
{
	char text[24];

	snprintf(text, sizeof(text), "%#" PRIo64, number);
	bytebuf_text(to, text);
}

/* Its name or the names of its flags, e.g. "RDONLY|CLOEXEC|0x1000000"; false: none. */
static bool make_names(struct bytebuf *to, const char *values, uint64_t number,
		      enum fieldtext_style style)
{
	struct valuenames n;
	const char *name;
	size_t len, nr = 0;

	valuenames_begin(&n, values, number);
	for (; valuenames_next(&n, &name, &len); nr++) {
		if (nr)
			bytebuf_put(to, "|", 1);
		put_word(to, name, len, style);
	}
	if (!n.is_flags || !(nr || n.rest))
		return nr > 0;
	if (n.rest) {
		bytebuf_text(to, nr ? "|0x" : "0x");
		digits_put_hex(to, n.rest, 0);
	}
	return true;
}

static bool put_names(const struct fieldtext *ft, struct bytebuf *to, const char *values,
		      uint64_t number, enum fieldtext_style style)
{
	const struct nametext *kept;
	size_t from = to->len;
	bool has_names;

	if (!ft->nametexts)
		return make_names(to, values, number, style);
	kept = nametexts_find(ft->nametexts, values, number, (uint8_t)style);
	if (kept) {
		bytebuf_put(to, kept->text, kept->len_bytes);
		return kept->has_names;
	}
	has_names = make_names(to, values, number, style);
	if (!to->err)
		nametexts_keep(ft->nametexts, values, number, (uint8_t)style, has_names,
			       to->data + from, to->len - from);
	return has_names;
}

/* False: the hint asks for nothing special of this number. */
static bool put_hinted(struct bytebuf *to, const struct field_desc *f, uint64_t number,
		       enum fieldtext_style style)
{
	struct bytebuf address;
	char letter = (char)number;

	switch (f->hint) {
	case HINT_CHAR:
		if (number < ' ' || number >= 127)
			return false;
		put_word(to, &letter, 1, style);
		return true;
	case HINT_IP:
		bytebuf_init(&address);
		put_ipv4(&address, (uint32_t)number);
		put_word(to, (const char *)address.data, address.len, style);
		if (address.err)
			to->err = address.err;
		bytebuf_release(&address);
		return true;
	case HINT_HEX:
		if (!for_people(style))
			return false;
		bytebuf_text(to, "0x");
		digits_put_hex(to, number, 0);
		return true;
	case HINT_ERRNO:
		if (!for_people(style))
			return false;
		put_errno(to, number);
		return true;
	case HINT_OCTAL:
		if (!for_people(style))
			return false;
		put_octal(to, number);
		return true;
	default:
		return false;
	}
}

static void put_number(const struct fieldtext *ft, struct bytebuf *to,
		       const struct field_desc *f, uint64_t number, enum fieldtext_style style)
{
	bool is_signed = f->type == FIELD_SIGNED || f->hint == HINT_ERRNO;
	bool negative = is_signed && (int64_t)number < 0;

	if (f->values && for_people(style) && put_names(ft, to, f->values, number, style))
		return;
	/* Also of calls that else return an address. */
	if (f->role == ROLE_RESULT && negative && errnotext_is(number) && for_people(style)) {
		put_errno(to, number);
		return;
	}
	if (put_hinted(to, f, number, style))
		return;
	if (for_people(style) && f->unit && !strcmp(f->unit, "ns") && f->role != ROLE_TIME)
		put_duration(to, negative, negative ? -number : number);
	else if (is_signed)
		digits_put_signed(to, (int64_t)number);
	else
		digits_put(to, number);
}

/* As many digits as it takes to be read back as the same number. */
static void put_float(struct bytebuf *to, uint64_t bits, enum fieldtext_style style)
{
	char text[40];
	double d;

	memcpy(&d, &bits, sizeof(d));
	if (for_people(style))
		snprintf(text, sizeof(text), "%.9g", d);
	else
		snprintf(text, sizeof(text), "%.15g", d);
	if (!for_people(style) && isfinite(d) && (strtod(text, NULL) < d || strtod(text, NULL) > d))
		snprintf(text, sizeof(text), "%.17g", d);
	/* JSON knows no nan and no inf. */
	bytebuf_text(to, style == FIELDTEXT_JSON && !isfinite(d) ? "null" : text);
}

/* --- bytes and ids ----------------------------------------------------------- */

static void put_bytes(struct bytebuf *to, const struct field_desc *f,
		      const struct fieldtext_value *v, enum fieldtext_style style)
{
	static const char hex[] = "0123456789abcdef";
	char address[INET6_ADDRSTRLEN];
	int family = v->len_bytes == 4 ? AF_INET : AF_INET6;

	if (f->hint == HINT_IP && (v->len_bytes == 4 || v->len_bytes == 16) &&
	    inet_ntop(family, v->bytes, address, sizeof(address))) {
		put_word(to, address, strlen(address), style);
		return;
	}
	if (style == FIELDTEXT_JSON)
		bytebuf_put(to, "\"", 1);
	for (size_t i = 0; i < v->len_bytes; i++) {
		bytebuf_put(to, &hex[v->bytes[i] >> 4], 1);
		bytebuf_put(to, &hex[v->bytes[i] & 15], 1);
	}
	if (style == FIELDTEXT_JSON)
		bytebuf_put(to, "\"", 1);
}

static void make_frame(const struct fieldtext *ft, struct bytebuf *text, uint32_t frame)
{
	const struct frame_name *f = names_frame(ft->names, frame);

	if (f->resolved || f->kind == MODULE_SPECIAL)
		bytebuf_text(text, f->symbol);
	else
		bytebuf_text(text, f->module);
	if (f->kind == MODULE_SPECIAL || (f->resolved && !f->symbol_offset))
		return;
	bytebuf_text(text, "+0x");
	digits_put_hex(text, f->resolved ? f->symbol_offset : f->address, 0);
}

static void make_task(const struct fieldtext *ft, struct bytebuf *text, uint32_t task)
{
	const struct trace_task *t = trace_task(ft->trace, task);

	bytebuf_text(text, t ? trace_text(ft->trace, t->comm) : "[unknown]");
	bytebuf_text(text, ":");
	digits_put(text, t ? t->tid : 0);
}

void fieldtext_put_folded(const struct fieldtext *ft, struct bytebuf *to, uint32_t stack)
{
	uint32_t frames[MAX_FOLDED];
	const struct trace_stack *node;
	size_t nr = 0;

	for (; nr < MAX_FOLDED && (node = trace_stack(ft->trace, stack)); nr++) {
		frames[nr] = node->frame;
		stack = node->parent;
	}
	while (nr > 0) {
		const struct frame_name *f = names_frame(ft->names, frames[--nr]);

		escape_folded(to, f->symbol, strlen(f->symbol));
		if (nr)
			bytebuf_put(to, ";", 1);
	}
}

static void put_made(const struct fieldtext *ft, struct bytebuf *to,
		     void (*make)(const struct fieldtext *ft, struct bytebuf *text, uint32_t id),
		     uint64_t id, enum fieldtext_style style)
{
	struct bytebuf text;

	bytebuf_init(&text);
	make(ft, &text, id <= UINT32_MAX ? (uint32_t)id : 0);
	put_word(to, (const char *)text.data, text.len, style);
	if (text.err)
		to->err = text.err;
	bytebuf_release(&text);
}

/* For programs the same, whatever people see in its place. */
static void put_none(struct bytebuf *to, const char *for_people_text, enum fieldtext_style style)
{
	bytebuf_text(to, for_people(style) ? for_people_text :
		     style == FIELDTEXT_JSON ? "null" : "");
}

/* The bucket's middle stands for what is in it. */
static uint64_t bucket_value(uint64_t index)
{
	int64_t i = (int64_t)index;

	return (uint64_t)buckets_signed_middle(i > BUCKETS_LAST ? BUCKETS_LAST :
					       i < -BUCKETS_LAST ? -BUCKETS_LAST : (int32_t)i);
}

void fieldtext_put(const struct fieldtext *ft, struct bytebuf *to, const struct field_desc *f,
		   const struct fieldtext_value *v, enum fieldtext_style style)
{
	struct trace_string string;

	switch (f->type) {
	case FIELD_STRING:
		if (!v->number) {
			put_none(to, FIELDTEXT_UNREAD, style);
			break;
		}
		string = trace_string(ft->trace,
				      v->number <= UINT32_MAX ? (uint32_t)v->number : 0);
		put_string(to, string.text, string.len_bytes, style);
		break;
	case FIELD_BYTES:
		put_bytes(to, f, v, style);
		break;
	case FIELD_TASK:
		if (v->number)
			put_made(ft, to, make_task, v->number, style);
		else
			put_none(to, "-", style);	/* nobody, as who woke what was not blocked */
		break;
	case FIELD_STACK:
		put_made(ft, to, fieldtext_put_folded, v->number, style);
		break;
	case FIELD_FRAME:
		if (v->number)
			put_made(ft, to, make_frame, v->number, style);
		else
			put_none(to, "0x0", style);	/* a null pointer */
		break;
	case FIELD_FLOAT:
		put_float(to, v->number, style);
		break;
	default:
		put_number(ft, to, f, f->role == ROLE_BUCKET ? bucket_value(v->number) : v->number,
			   style);
	}
}
