#define _GNU_SOURCE
#include "record/tpformat.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <traceevent/event-parse.h>

#define MAX_TEXT_BYTES (256u << 10)
#define MAX_FIELDS 512
#define FIELDS "\nformat:\n"
#define PRINT "\nprint fmt: "
/* The first eight bytes are not what they seem: the kernel keeps a pointer there. */
#define HIDDEN_BYTES 8

/* --- before the library sees it -------------------------------------------------------- */

static size_t name_bytes(const char *at)
{
	size_t n = 0;

	while (isalnum((unsigned char)at[n]) || at[n] == '_')
		n++;
	return n;
}

static bool is_name_byte(char c)
{
	return isalnum((unsigned char)c) || c == '_';
}

/*
 * "unsigned long args[6]", "__data_loc char[] name": two words at least, and one pair
 * of brackets at most, behind a word.  It may hold arithmetic on constants.
 */
static bool is_declaration(const char *at, size_t len)
{
	const char *open = memchr(at, '[', len), *end = at + len;
	unsigned int words = 0;

	for (const char *c = at; c < end; c++) {
		bool inside = open && c > open && memchr(c, ']', (size_t)(end - c));

		if (is_name_byte(*c)) {
			words += !inside && (c == at || !is_name_byte(c[-1]));
			continue;
		}
		if (c == at || (!strchr(" *", *c) && c != open &&
				!(inside && (*c == ']' || strchr("()+-/", *c)))))
			return false;
	}
	if (open && (!is_name_byte(open[-1]) || !memchr(open, ']', (size_t)(end - open))))
		return false;
	if (open && end[-1] != ']' && strncmp(at, "__data_loc ", 11) &&
	    strncmp(at, "__rel_loc ", 10))
		return false;
	return words > 1 && !isdigit((unsigned char)*at) &&
	       (is_name_byte(end[-1]) || end[-1] == ']');
}

static bool is_number(const char *at, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (!isdigit((unsigned char)at[i]))
			return false;
	return len > 0 && len <= 6;
}

/* "field:unsigned long args[6];\toffset:16;\tsize:48;\tsigned:0;" */
static bool is_field_line(const char *line, size_t len)
{
	static const char *const parts[] = { "field:", "\toffset:", "\tsize:", "\tsigned:" };
	const char *end = line + len;

	for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++) {
		size_t n = strlen(parts[i]);
		const char *stop;

		if ((size_t)(end - line) < n || memcmp(line, parts[i], n))
			return false;
		line += n;
		stop = memchr(line, ';', (size_t)(end - line));
		if (!stop || stop == line)
			return false;
		n = (size_t)(stop - line);
		if (i ? !is_number(line, n) : !is_declaration(line, n))
			return false;
		line = stop + 1;
	}
	return line == end;
}

/*
 * The library trusts that the kernel wrote the text.  It is shown only what is
 * built as the kernel builds it, and no print format, which takes a grammar of C.
 */
static bool is_plain(const char *text)
{
	const char *print = strstr(text, PRINT), *at = strstr(text, FIELDS), *id;
	size_t name_len = strcspn(text, "\n");

	if (!print || !at || at > print || strlen(text) > MAX_TEXT_BYTES ||
	    strncmp(text, "name: ", 6) || name_len != 6 + name_bytes(text + 6))
		return false;
	id = text + name_len;
	if (strncmp(id, "\nID: ", 5) || id + 5 + strspn(id + 5, "0123456789") != at ||
	    at - id > 5 + 9)
		return false;
	for (at += strlen(FIELDS); at < print; at++) {
		size_t len = strcspn(at, "\n");

		if (len && (*at != '\t' || !is_field_line(at + 1, len - 1)))
			return false;
		at += len;
	}
	return true;
}

/* --- fields ----------------------------------------------------------------------------- */

static bool has_type(const struct tep_format_field *from, const char *word)
{
	return from->type && strstr(from->type, word);
}

/* "char", "const char", but no pointer and no "unsigned char". */
static bool is_text_type(const char *type)
{
	static const char *const before[] = { "__data_loc ", "__rel_loc ", "const " };

	for (size_t i = 0; type && i < sizeof(before) / sizeof(*before); i++)
		if (!strncmp(type, before[i], strlen(before[i])))
			type += strlen(before[i]);
	return type && !strncmp(type, "char", 4) && !strchr(type, '*') &&
	       (!type[4] || strchr(" [", type[4]));
}

static bool is_number_size(uint32_t size_bytes)
{
	return size_bytes == 1 || size_bytes == 2 || size_bytes == 4 || size_bytes == 8;
}

static void set_array(struct tpformat_field *to, const struct tep_format_field *from)
{
	uint32_t element = from->arraylen ? to->size_bytes / from->arraylen : 0;

	to->shape = is_text_type(from->type) ? TPFORMAT_TEXT : TPFORMAT_BYTES;
	if (to->shape == TPFORMAT_TEXT || !is_number_size(element) ||
	    element * from->arraylen != to->size_bytes)
		return;
	to->shape = TPFORMAT_NUMBERS;
	to->element_bytes = (uint8_t)element;
	to->nr_elements = from->arraylen;
}

static int set_field(struct tpformat_field *to, const struct tep_format_field *from)
{
	bool dynamic = from->flags & TEP_FIELD_IS_DYNAMIC;

	if (!from->name || !*from->name || !from->type || from->size < 0 || from->offset < 0 ||
	    from->offset > TPFORMAT_MAX_BYTES || from->size > TPFORMAT_MAX_BYTES - from->offset ||
	    from->offset < HIDDEN_BYTES)
		return -EINVAL;
	to->offset = (uint32_t)from->offset;
	to->size_bytes = (uint32_t)from->size;
	to->is_signed = from->flags & TEP_FIELD_IS_SIGNED;
	to->is_relative = has_type(from, "__rel_loc");
	if (dynamic && (to->size_bytes != 4 || to->offset % 4))
		return -EINVAL;
	if (dynamic) {
		to->shape = is_text_type(from->type) ? TPFORMAT_DYNAMIC_TEXT :
						       TPFORMAT_DYNAMIC_BYTES;
	} else if (from->flags & TEP_FIELD_IS_ARRAY) {
		set_array(to, from);
	} else {
		to->shape = is_number_size(to->size_bytes) ? TPFORMAT_NUMBER : TPFORMAT_BYTES;
		to->is_pointer = to->size_bytes == sizeof(void *) &&
				 from->flags & TEP_FIELD_IS_POINTER;
	}
	to->name = strdup(from->name);
	to->type = strdup(from->type);
	return to->name && to->type ? 0 : -ENOMEM;
}

static int copy_fields(struct tpformat *f, const struct tep_event *event)
{
	size_t nr = 0;
	int err;

	for (const struct tep_format_field *at = event->format.fields; at; at = at->next)
		if (++nr > MAX_FIELDS)
			return -EINVAL;
	f->fields = calloc(nr + 1, sizeof(*f->fields));
	if (!f->fields)
		return -ENOMEM;
	for (const struct tep_format_field *at = event->format.fields; at; at = at->next) {
		/* An array without a length of its own ends the record: nothing tells how long. */
		if (at->size == 0)
			continue;
		err = set_field(&f->fields[f->nr_fields], at);
		f->nr_fields++;
		if (err)
			return err;
	}
	return 0;
}

/* --- code -------------------------------------------------------------------------------- */

static const char *skip_text(const char *at)
{
	for (at++; *at && *at != '"'; at++)
		if (*at == '\\' && at[1])
			at++;
	return *at ? at + 1 : at;
}

/* Where the argument ends: a comma outside of brackets and quotes, or the end. */
static const char *skip_argument(const char *at)
{
	unsigned int depth = 0;

	while (*at && (*at != ',' || depth)) {
		if (*at == '"') {
			at = skip_text(at);
			continue;
		}
		if (strchr("([{", *at))
			depth++;
		else if (strchr(")]}", *at) && depth)
			depth--;
		at++;
	}
	return at;
}

static void mark_code(struct tpformat *f, const char *name, size_t len)
{
	for (size_t i = 0; i < f->nr_fields; i++) {
		struct tpformat_field *field = &f->fields[i];
		uint32_t bytes = field->shape == TPFORMAT_NUMBERS ? field->element_bytes :
								    field->size_bytes;

		if (!strncmp(field->name, name, len) && !field->name[len] &&
		    bytes == sizeof(void *) &&
		    (field->shape == TPFORMAT_NUMBER || field->shape == TPFORMAT_NUMBERS))
			field->is_code = true;
	}
}

/* "(void *)REC->caller[0]": a field with nothing around it but casts and an index. */
static void mark_argument(struct tpformat *f, const char *from, const char *end)
{
	const char *record = strstr(from, "REC->");
	size_t len;

	if (!record || record >= end)
		return;
	for (; from < record; from++)
		if (!strchr(" *()", *from) && !name_bytes(from))
			return;
	from = record + strlen("REC->");
	len = name_bytes(from);
	for (const char *at = from + len; at < end; at++)
		if (!strchr(" )[]\n", *at) && !name_bytes(at))
			return;
	mark_code(f, from, len);
}

static const char *next_argument(const char *at)
{
	at = skip_argument(at);
	return *at ? at + 1 : at;
}

/*
 * %ps, %pS and their like print addresses of code.  Each conversion of the text
 * (of the texts, side by side) takes its arguments in order.
 */
static void find_code(struct tpformat *f, const char *print)
{
	const char *arg = next_argument(print), *end = arg;

	for (const char *at = print; at < end && *arg; at++) {
		if (*at != '%')
			continue;
		if (at[1] == '%') {
			at++;
			continue;
		}
		for (at++; *at && strchr("-+ #0123456789.*hlLqjzt", *at); at++)
			if (*at == '*')
				arg = next_argument(arg);
		if (*at == 'p' && at[1] && strchr("sSFfB", at[1]))
			mark_argument(f, arg, skip_argument(arg));
		arg = next_argument(arg);
	}
}

/* --- all of it ---------------------------------------------------------------------------- */

static struct tep_handle *new_handle(void)
{
	struct tep_handle *tep;

	/* Sentences of the library go nowhere: whoever calls us has his own. */
	tep_set_loglevel(TEP_LOG_NONE);
	tep = tep_alloc();
	if (tep)
		tep_set_long_size(tep, sizeof(long));
	return tep;
}

static int parse(struct tpformat *f, const char *text, const char *system)
{
	const char *print = strstr(text, PRINT), *fields_end = print + strlen(PRINT);
	struct tep_event *event = NULL;
	struct tep_handle *tep = new_handle();
	char *fields = NULL;
	int err = -EINVAL;

	if (!tep || asprintf(&fields, "%.*s\"\"\n", (int)(fields_end - text), text) < 0) {
		tep_free(tep);
		return -ENOMEM;
	}
	tep_parse_format(tep, &event, fields, strlen(fields), system);
	if (event && event->id > 0) {
		f->id = (uint32_t)event->id;
		err = copy_fields(f, event);
	}
	if (!err)
		find_code(f, fields_end);
	tep_free(tep);
	free(fields);
	return err;
}

int tpformat_parse(struct tpformat *f, const char *text, const char *system, const char *name,
		   struct diag *d)
{
	int err = -EINVAL;

	memset(f, 0, sizeof(*f));
	if (is_plain(text))
		err = parse(f, text, system);
	if (!err)
		return 0;
	tpformat_release(f);
	if (err == -ENOMEM)
		return diag_set(d, err, "out of memory");
	return diag_set(d, err, "the kernel describes tracepoint '%s:%s' in a way that kymo does "
			"not understand", system, name);
}

void tpformat_release(struct tpformat *f)
{
	for (size_t i = 0; i < f->nr_fields; i++) {
		free(f->fields[i].name);
		free(f->fields[i].type);
	}
	free(f->fields);
	memset(f, 0, sizeof(*f));
}

const struct tpformat_field *tpformat_find(const struct tpformat *f, const char *name)
{
	for (size_t i = 0; i < f->nr_fields; i++)
		if (!strcmp(f->fields[i].name, name))
			return &f->fields[i];
	return NULL;
}
