#include "record/probe_private.h"

#include <errno.h>
#include <string.h>

#define IPV4_BYTES 4
#define IPV6_BYTES 16

/* -EINVAL: such a value cannot be shown like that. */
static int as_string(struct probe_value *v, uint64_t arg)
{
	if (v->result != RESULT_STRING && v->result != RESULT_DATA_LOC_BYTES) {
		/* Any number of the size of an address may be one. */
		if (v->result != RESULT_NUMBER || v->size != sizeof(uint64_t))
			return -EINVAL;
		v->class = CLASS_USER;
	}
	v->result = RESULT_STRING;
	v->max_bytes = arg ? (uint32_t)arg : v->max_bytes ? v->max_bytes : PROBE_STRING_BYTES;
	v->hint = HINT_DECIMAL;
	return 0;
}

static int as_bytes(struct probe_value *v, uint64_t arg)
{
	bool is_address = v->result == RESULT_NUMBER && v->size == sizeof(uint64_t) && arg;

	if (!is_address && (v->result == RESULT_NUMBER || v->result == RESULT_COMM))
		return -EINVAL;
	if (v->result != RESULT_DATA_LOC_BYTES)
		v->result = RESULT_BYTES;
	if (arg)
		v->max_bytes = (uint32_t)arg;
	v->hint = HINT_DECIMAL;
	v->class = CLASS_USER;
	return 0;
}

static int as_ip(struct probe_value *v, uint64_t arg)
{
	int err = 0;

	if (v->result == RESULT_NUMBER && v->is_pointer)
		err = as_bytes(v, arg ? arg : IPV4_BYTES);
	if (err)
		return err;
	if (v->result == RESULT_NUMBER ? v->size != IPV4_BYTES :
	    v->result != RESULT_BYTES ||
	    (v->max_bytes != IPV4_BYTES && v->max_bytes != IPV6_BYTES))
		return -EINVAL;
	v->hint = HINT_IP;
	v->is_signed = false;
	return 0;
}

void probe_hint_text(struct probe_value *v)
{
	as_string(v, 0);
}

static int as_number(struct probe_value *v, uint8_t hint)
{
	if (v->result != RESULT_NUMBER)
		return -EINVAL;
	v->hint = hint;
	return 0;
}

static int as_hex(struct probe_value *v, uint64_t arg)
{
	(void)arg;
	return as_number(v, HINT_HEX);
}

static int as_errno(struct probe_value *v, uint64_t arg)
{
	(void)arg;
	return as_number(v, HINT_ERRNO);
}

static int as_ns(struct probe_value *v, uint64_t arg)
{
	(void)arg;
	v->unit = "ns";
	return as_number(v, HINT_DECIMAL);
}

/* Of a moment on the clock of the trace: how long ago it is. */
static int as_age(struct probe_value *v, uint64_t arg)
{
	(void)arg;
	if (v->result != RESULT_NUMBER || v->size != sizeof(uint64_t) ||
	    v->nr_steps == FETCH_MAX_STEPS)
		return -EINVAL;
	v->steps[v->nr_steps++] = (struct fetch_step){ .op = FETCH_AGE };
	v->is_signed = false;
	return as_ns(v, 0);
}

/* The names are the field's; a number alone is what it needs. */
static int as_values(struct probe_value *v, uint64_t arg)
{
	(void)arg;
	return as_number(v, HINT_DECIMAL);
}

static int as_code(struct probe_value *v, enum probe_space space)
{
	if (v->result != RESULT_NUMBER || v->size != sizeof(uint64_t))
		return -EINVAL;
	v->is_code = true;
	v->space = space;
	return 0;
}

static int as_ksym(struct probe_value *v, uint64_t arg)
{
	(void)arg;
	return as_code(v, SPACE_KERNEL);
}

static int as_sym(struct probe_value *v, uint64_t arg)
{
	(void)arg;
	return as_code(v, SPACE_ANY);
}

struct hint {
	const char *name;
	int (*apply)(struct probe_value *v, uint64_t arg);
	bool has_arg;
};

static const struct hint hints[] = {
	{ "str", as_string, true },
	{ "bytes", as_bytes, true },
	{ "ip", as_ip, true },
	{ "hex", as_hex, false },
	{ "errno", as_errno, false },
	{ "ns", as_ns, false },
	{ "ksym", as_ksym, false },
	{ "sym", as_sym, false },
	{ "age", as_age, false },
	{ "values", as_values, false },
};

/* "s32", "u8": the lowest bits of a number.  0: no such hint. */
static unsigned int width_of(const char *hint)
{
	static const char *const widths[] = { "8", "16", "32", "64" };

	for (unsigned int i = 0; i < sizeof(widths) / sizeof(*widths); i++)
		if ((*hint == 'u' || *hint == 's') && !strcmp(hint + 1, widths[i]))
			return 8u << i;
	return 0;
}

static int narrow(struct probe_value *v, unsigned int bits, bool is_signed)
{
	if (v->result != RESULT_NUMBER || v->nr_steps == FETCH_MAX_STEPS || bits > v->size * 8u)
		return -EINVAL;
	v->steps[v->nr_steps++] = (struct fetch_step){
		.op = FETCH_BITS, .size = (uint8_t)bits, .is_signed = is_signed,
	};
	v->size = (uint8_t)(bits / 8);
	v->is_signed = is_signed;
	v->hint = HINT_DECIMAL;
	return 0;
}

static bool are_values(const char *text)
{
	return (*text == '=' || *text == '|') && strchr(text + 1, '=');
}

int probe_hint(struct probe_value *v, const struct probespec_field *f, struct diag *d)
{
	const char *name = f->source, *hint = f->hint;
	unsigned int bits = width_of(hint);
	uint64_t arg = f->hint_arg;
	int err = -ENOENT;

	if (arg > PROBE_MAX_STRING_BYTES)
		return diag_set(d, -EINVAL, "field '%s': at most %d bytes can be kept", name,
				PROBE_MAX_STRING_BYTES);
	if (!strcmp(hint, "values") && (!f->hint_text || !are_values(f->hint_text)))
		return diag_set(d, -EINVAL, "field '%s': names of values are written like "
				":values(=0=READ 1=WRITE) or, of flags, :values(|1=SYNC 2=META)", name);
	if (f->width && !width_of(f->width))
		return diag_set(d, -EINVAL, "field '%s': before ':%s' only a width is understood, "
				"as in ':u8:values(...)'", name, hint);
	if (f->width && narrow(v, width_of(f->width), *f->width == 's'))
		return diag_set(d, -EINVAL, "field '%s' cannot be shown as ':%s'", name, f->width);
	if (bits)
		err = arg ? -EINVAL : narrow(v, bits, *hint == 's');
	for (size_t i = 0; err == -ENOENT && i < sizeof(hints) / sizeof(*hints); i++)
		if (!strcmp(hints[i].name, hint))
			err = arg && !hints[i].has_arg ? -EINVAL : hints[i].apply(v, arg);
	if (err == -ENOENT)
		return diag_set(d, -EINVAL, "field '%s': unknown hint ':%s' (there are: str hex ip "
				"ksym sym ns age bytes errno values u8 ... s64)", name, hint);
	if (err)
		diag_set(d, err, "field '%s' cannot be shown as ':%s'%s", name, hint,
			 !strcmp(hint, "bytes") ? " (say how many: bytes(16))" : "");
	return err;
}
