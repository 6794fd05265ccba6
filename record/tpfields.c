#define _GNU_SOURCE
#include "record/tpfields.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/bytebuf.h"

/* Longer arrays of numbers are kept as bytes. */
#define MAX_ELEMENTS 16

/* --- what a field is ------------------------------------------------------------------- */

/* Arrays of bytes are addresses, ids and the like: bytes. */
static bool has_elements(const struct tpformat_field *field)
{
	return field->shape == TPFORMAT_NUMBERS && field->element_bytes > 1 &&
	       field->nr_elements <= MAX_ELEMENTS;
}

static bool is_system_call(const char *system)
{
	return !strcmp(system, "syscalls");
}

/*
 * Only tracers that read the kernel's buffers find the text in the record; others
 * must follow the argument.
 */
const struct tpformat_field *tpfields_pointed(const struct tpformat *f,
					      const struct tpformat_field *field)
{
	size_t len = strlen(field->name);
	const struct tpformat_field *argument;
	char name[64];

	if (len < 7 || len >= sizeof(name) || strncmp(field->name, "__", 2) ||
	    strcmp(field->name + len - 4, "_val"))
		return NULL;
	snprintf(name, sizeof(name), "%.*s", (int)(len - 6), field->name + 2);
	argument = tpformat_find(f, name);
	return argument && argument->is_pointer ? argument : NULL;
}

static bool is_absent(const struct tpformat *f, const char *system,
		      const struct tpformat_field *field)
{
	bool dynamic = field->shape == TPFORMAT_DYNAMIC_TEXT ||
		       field->shape == TPFORMAT_DYNAMIC_BYTES;

	return dynamic && is_system_call(system) &&
	       (field->shape == TPFORMAT_DYNAMIC_BYTES || !tpfields_pointed(f, field));
}

static bool ends_in(const char *text, const char *end)
{
	size_t len = strlen(text), n = strlen(end);

	return len >= n && !strcmp(text + len - n, end);
}

static uint8_t class_of(const char *name, const char *system)
{
	if (ends_in(name, "comm"))
		return CLASS_COMMAND;
	if (!strcmp(system, "cgroup"))
		return CLASS_CGROUP;
	if (strstr(name, "file") || strstr(name, "path") || !strcmp(name, "fname"))
		return CLASS_PATH;
	return CLASS_USER;
}

static bool is_internet_address(const struct tpformat_field *field)
{
	bool v6 = ends_in(field->name, "_v6");

	return (!strncmp(field->name, "saddr", 5) || !strncmp(field->name, "daddr", 5)) &&
	       field->name[5] == (v6 ? '_' : '\0') && field->size_bytes == (v6 ? 16 : 4);
}

/* What a system call returns: a number, or the negative of an errno. */
static bool is_returned(const struct tpformat_field *field, const char *system)
{
	return !strcmp(field->name, "ret") && field->size_bytes == 8 &&
	       (is_system_call(system) || !strcmp(system, "raw_syscalls"));
}

/*
 * A fault may be at an address of anything; only what is known to be code is
 * stored as such.
 */
static bool is_code(const struct tpformat_field *field, const char *system)
{
	return field->is_code && (strcmp(system, "exceptions") || strcmp(field->name, "address"));
}

/* What the value is for, by its field: hint, class and all else but how it is got. */
static void describe(const struct tpformat_field *field, const char *system,
		     struct probe_value *v)
{
	v->size = field->shape == TPFORMAT_NUMBERS ? field->element_bytes :
						     (uint8_t)field->size_bytes;
	v->is_signed = field->is_signed;
	v->is_pointer = field->is_pointer;
	v->is_char_pointer = false;
	v->is_code = is_code(field, system);
	v->hint = field->is_pointer ? HINT_HEX : is_returned(field, system) ? HINT_ERRNO :
									      HINT_DECIMAL;
	v->space = is_system_call(system) ? SPACE_USER : SPACE_ANY;
	v->class = CLASS_NONE;
	v->result = RESULT_NUMBER;
	if (field->shape == TPFORMAT_NUMBER || field->shape == TPFORMAT_NUMBERS)
		return;
	v->size = 8;
	v->is_signed = false;
	v->hint = HINT_DECIMAL;
	v->space = SPACE_KERNEL;
	v->class = class_of(field->name, system);
	v->max_bytes = field->size_bytes;
	switch (field->shape) {
	case TPFORMAT_TEXT:
		v->result = RESULT_STRING;
		break;
	case TPFORMAT_DYNAMIC_TEXT:
		v->result = RESULT_STRING;
		v->max_bytes = PROBE_STRING_BYTES;
		break;
	case TPFORMAT_DYNAMIC_BYTES:
		v->result = RESULT_DATA_LOC_BYTES;
		v->max_bytes = PROBE_STRING_BYTES;
		break;
	default:
		v->result = RESULT_BYTES;
	}
}

/* --- how it is got ----------------------------------------------------------------------- */

static void add_step(struct probe_value *v, struct fetch_step step)
{
	v->steps[v->nr_steps++] = step;
}

/* Programs may load only what is aligned; packed records are read like foreign memory. */
static void load_number(struct probe_value *v, uint32_t offset, const struct tpformat_field *field)
{
	if (offset % v->size) {
		add_step(v, (struct fetch_step){ .op = FETCH_CTX_ADDRESS, .value = offset });
		offset = 0;
	}
	add_step(v, (struct fetch_step){
		.op = v->nr_steps ? FETCH_KERNEL : FETCH_CTX, .size = v->size,
		.is_signed = field->is_signed, .value = offset,
	});
}

static int whole_value(const struct tpformat *f, const char *system,
		       const struct tpformat_field *field, struct probe_value *v)
{
	const struct tpformat_field *argument;

	memset(v, 0, sizeof(*v));
	if (is_absent(f, system, field))
		return -ENOENT;
	describe(field, system, v);
	switch (field->shape) {
	case TPFORMAT_NUMBER:
		load_number(v, field->offset, field);
		break;
	case TPFORMAT_DYNAMIC_TEXT:
	case TPFORMAT_DYNAMIC_BYTES:
		argument = is_system_call(system) ? tpfields_pointed(f, field) : NULL;
		if (argument) {
			v->space = SPACE_USER;
			v->class = class_of(argument->name, system);
			add_step(v, (struct fetch_step){
				.op = FETCH_CTX, .size = 8, .value = argument->offset,
			});
			break;
		}
		add_step(v, (struct fetch_step){
			.op = field->is_relative ? FETCH_REL_LOC : FETCH_DATA_LOC,
			.value = field->offset,
		});
		break;
	default:
		/* An array of numbers as a whole. */
		if (field->shape == TPFORMAT_NUMBERS) {
			v->result = RESULT_BYTES;
			v->max_bytes = field->size_bytes;
			v->space = SPACE_KERNEL;
			v->is_code = false;
			v->hint = is_internet_address(field) ? HINT_IP : HINT_DECIMAL;
			v->class = v->hint == HINT_IP ? CLASS_HOST : CLASS_USER;
			v->size = 8;
			v->is_signed = false;
		}
		add_step(v, (struct fetch_step){ .op = FETCH_CTX_ADDRESS,
						 .value = field->offset });
	}
	return 0;
}

static int element_value(const struct tpformat_field *field, const char *system,
			 const char *name, const char *bracket, struct probe_value *v,
			 struct diag *d)
{
	unsigned long index;
	char *rest;

	if (field->shape != TPFORMAT_NUMBERS)
		return diag_set(d, -EINVAL, "'%s' is no array of numbers", field->name);
	index = strtoul(bracket + 1, &rest, 10);
	if (rest == bracket + 1 || strcmp(rest, "]") || index >= field->nr_elements)
		return diag_set(d, -EINVAL, "there is no '%s': '%s' has %u elements, from [0] on",
				name, field->name, field->nr_elements);
	memset(v, 0, sizeof(*v));
	describe(field, system, v);
	load_number(v, field->offset + (uint32_t)index * field->element_bytes, field);
	return 0;
}

int tpfields_find(const struct tpformat *f, const char *system, const char *name,
		  struct probe_value *out, struct diag *d)
{
	const struct tpformat_field *field = tpformat_find(f, name);
	const char *bracket = strchr(name, '[');
	char root[128];

	if (field)
		return whole_value(f, system, field, out);
	if (!bracket || (size_t)(bracket - name) >= sizeof(root))
		return -ENOENT;
	snprintf(root, sizeof(root), "%.*s", (int)(bracket - name), name);
	field = tpformat_find(f, root);
	return field ? element_value(field, system, name, bracket, out, d) : -ENOENT;
}

int tpfields_names(const struct tpformat *f, const char *system, probe_name_fn fn, void *ctx)
{
	int err = 0;

	for (size_t i = 0; i < f->nr_fields && !err; i++) {
		const struct tpformat_field *field = &f->fields[i];
		char name[160];

		if (is_absent(f, system, field))
			continue;
		if (!has_elements(field)) {
			err = fn(ctx, field->name);
			continue;
		}
		for (uint32_t j = 0; j < field->nr_elements && !err; j++) {
			snprintf(name, sizeof(name), "%s[%u]", field->name, j);
			err = fn(ctx, name);
		}
	}
	return err;
}

char *tpfields_text(const struct tpformat *f)
{
	struct bytebuf text;

	bytebuf_init(&text);
	for (size_t i = 0; i < f->nr_fields; i++) {
		const struct tpformat_field *field = &f->fields[i];
		bool is_text = field->shape == TPFORMAT_TEXT ||
			       field->shape == TPFORMAT_DYNAMIC_TEXT;

		bytebuf_text(&text, i ? ", " : "");
		bytebuf_text(&text, field->name);
		bytebuf_text(&text, ":");
		bytebuf_text(&text, is_text ? "string" : field->type);
	}
	return bytebuf_take_text(&text);
}
