#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "report/printfmt_private.h"

/* --- a line: "\tfield:u8 addr[6];\toffset:16;\tsize:6;\tsigned:0;" -------------- */

static const char *find(const char *text, const char *end, const char *word)
{
	size_t len = strlen(word);

	for (; (size_t)(end - text) >= len; text++)
		if (!memcmp(text, word, len))
			return text;
	return NULL;
}

static bool number_after(const char *line, const char *end, const char *word, uint32_t *to)
{
	const char *at = find(line, end, word);
	uint64_t n = 0;

	if (!at)
		return false;
	for (at += strlen(word); at < end && *at >= '0' && *at <= '9'; at++) {
		n = n * 10 + (uint64_t)(*at - '0');
		if (n > UINT32_MAX)
			return false;
	}
	*to = (uint32_t)n;
	return at < end && *at == ';';
}

static bool is_name(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '_';
}

static uint32_t element_bytes(const char *type, const char *end)
{
	static const struct {
		const char *word;
		uint32_t bytes;
	} words[] = {
		{ "char", 1 }, { "u8", 1 }, { "s8", 1 }, { "bool", 1 }, { "short", 2 },
		{ "u16", 2 }, { "s16", 2 }, { "__be16", 2 }, { "long", 8 }, { "u64", 8 },
		{ "s64", 8 }, { "size_t", 8 }, { "int", 4 }, { "u32", 4 }, { "s32", 4 },
		{ "__be32", 4 }, { "unsigned", 4 },
	};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (find(type, end, words[i].word))
			return words[i].bytes;
	return 0;
}

static void describe_array(struct printfmt_field *f, const char *type, const char *bracket,
			   const char *end)
{
	uint32_t nr = 0;

	for (bracket++; bracket < end && *bracket >= '0' && *bracket <= '9' && nr < 1 << 20;
	     bracket++)
		nr = nr * 10 + (uint32_t)(*bracket - '0');
	f->element = element_bytes(type, end);
	if (!f->is_dynamic && nr && f->size % nr == 0 && f->size / nr <= 8)
		f->element = f->size / nr;
	if (!f->element)
		f->element = 1;
}

static int parse_line(struct printfmt_field *f, const char *line, const char *end)
{
	const char *stop = memchr(line, ';', (size_t)(end - line)), *type, *name;
	uint32_t is_signed = 0;

	type = find(line, end, "field:");
	if (!type || !stop || stop < type || !number_after(stop, end, "size:", &f->size))
		return -EINVAL;
	number_after(stop, end, "signed:", &is_signed);
	f->is_signed = is_signed;
	type += strlen("field:");
	f->is_dynamic = find(type, stop, "__data_loc") || find(type, stop, "__rel_loc");
	name = stop;
	/* "char comm[16]", but "__data_loc char[] name" */
	while (name > type && name[-1] != ']' && !is_name(name[-1]))
		name--;
	if (name > type && name[-1] == ']') {
		const char *bracket = name;

		while (bracket > type && bracket[-1] != '[')
			bracket--;
		if (bracket == type)
			return -EINVAL;
		name = bracket - 1;
		describe_array(f, type, name, stop);
		stop = name;
	}
	while (name > type && is_name(name[-1]))
		name--;
	f->name = name;
	while (is_name(*name) && name < stop)
		name++;
	f->name_len = (size_t)(name - f->name);
	if (f->is_dynamic)
		describe_array(f, type, f->name, f->name);
	return f->name_len ? 0 : -EINVAL;
}

/* --- where it is recorded --------------------------------------------------------- */

/* Fields that every event has are not those of the tracepoint. */
static bool is_own(const struct field_desc *f)
{
	switch (f->role) {
	case ROLE_TIME:
	case ROLE_CPU:
	case ROLE_TASK:
	case ROLE_STACK:
		return false;
	default:
		return true;
	}
}

static bool is_element(const struct field_desc *d, const struct printfmt_field *f, uint32_t i)
{
	const char *at = d->name + f->name_len;
	char *end;

	if (strncmp(d->name, f->name, f->name_len) || *at != '[')
		return false;
	return at[1] >= '0' && at[1] <= '9' && strtoul(at + 1, &end, 10) == i && !strcmp(end, "]");
}

static void locate_elements(struct printfmt *p, struct printfmt_field *f)
{
	const struct trace_event *e = p->event;
	uint32_t from = 0;

	while (from < e->nr_fields && !is_element(&e->fields[from], f, 0))
		from++;
	f->column = from;
	for (uint32_t i = from; i < e->nr_fields && i - from < PRINTFMT_MAX_ELEMENTS &&
	     is_element(&e->fields[i], f, i - from); i++) {
		p->known[i] = true;
		f->nr_columns++;
	}
	/* Some elements are not the whole. */
	if (!f->element || f->nr_columns != f->size / f->element)
		f->nr_columns = 0;
}

static void locate(struct printfmt *p, struct printfmt_field *f)
{
	const struct trace_event *e = p->event;

	for (uint32_t i = 0; i < e->nr_fields; i++) {
		const char *name = e->fields[i].name;

		if (!is_own(&e->fields[i]) || strlen(name) != f->name_len ||
		    memcmp(name, f->name, f->name_len))
			continue;
		f->column = i;
		f->nr_columns = 1;
		p->known[i] = true;
		return;
	}
	if (f->element && !f->is_dynamic)
		locate_elements(p, f);
}

const struct printfmt_field *printfmt_find_field(const struct printfmt *p, const char *name,
						 size_t len)
{
	for (size_t i = 0; i < p->nr_fields; i++)
		if (p->fields[i].name_len == len && !memcmp(p->fields[i].name, name, len))
			return &p->fields[i];
	return NULL;
}

int printfmt_parse_fields(struct printfmt *p, const char *text, const char **print_fmt)
{
	const char *end = text + strlen(text);

	p->fields = arena_alloc(&p->arena, PRINTFMT_MAX_FIELDS * sizeof(*p->fields));
	if (!p->fields)
		return -ENOMEM;
	while (text < end) {
		const char *stop = memchr(text, '\n', (size_t)(end - text));
		struct printfmt_field *f = &p->fields[p->nr_fields];
		int err;

		if (!strncmp(text, "print fmt:", strlen("print fmt:"))) {
			*print_fmt = text + strlen("print fmt:");
			return 0;
		}
		if (!stop)
			break;
		if (find(text, stop, "field:")) {
			if (p->nr_fields == PRINTFMT_MAX_FIELDS)
				return -EINVAL;
			*f = (struct printfmt_field) { .name = NULL };
			err = parse_line(f, text, stop);
			if (err)
				return err;
			locate(p, f);
			p->nr_fields++;
		}
		text = stop + 1;
	}
	return -EINVAL;
}
