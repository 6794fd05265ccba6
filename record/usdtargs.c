#include "record/usdtargs.h"

#include "record/userregs.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define NOT_UNDERSTOOD "is described in a way that is not understood"

/* One operand on its way to fetch steps. */
struct operand {
	const char *at, *end;
	struct probe_value *v;
	uint64_t address;		/* of the probe */
	usdtargs_symbol_fn symbol;
	void *ctx;
	bool is_relative;
	const char *why;
};

static bool take(struct operand *o, char c)
{
	while (o->at < o->end && *o->at == ' ')
		o->at++;
	if (o->at == o->end || *o->at != c)
		return false;
	o->at++;
	return true;
}

static bool at_end(struct operand *o)
{
	while (o->at < o->end && *o->at == ' ')
		o->at++;
	return o->at == o->end;
}

static bool take_number(struct operand *o, int64_t *to)
{
	char text[32], *end;
	size_t len = (size_t)(o->end - o->at);
	unsigned long long value;
	bool negative;

	len = len < sizeof(text) ? len : sizeof(text) - 1;
	memcpy(text, o->at, len);
	text[len] = '\0';
	negative = text[0] == '-';
	if (!isdigit((unsigned char)text[negative]))
		return false;
	errno = 0;
	value = strtoull(text + negative, &end, 0);
	if (errno)
		return false;
	*to = (int64_t)(negative ? 0 - value : value);
	o->at += end - text;
	return true;
}

static size_t word_len(const struct operand *o)
{
	const char *at = o->at;

	while (at < o->end && (isalnum((unsigned char)*at) || *at == '_' || *at == '.' ||
			       *at == '$'))
		at++;
	return (size_t)(at - o->at);
}

static bool take_register(struct operand *o, struct userreg *r)
{
	size_t len;

	while (o->at < o->end && *o->at == ' ')
		o->at++;
	len = word_len(o);
	if (!userregs_find(r, o->at, len))
		return false;
	o->at += len;
	return true;
}

static void step(struct operand *o, struct fetch_step s)
{
	o->v->steps[o->v->nr_steps++] = s;
}

static void load_register(struct operand *o, struct userreg r)
{
	uint8_t size = r.size < o->v->size ? r.size : o->v->size;

	step(o, (struct fetch_step){ .op = FETCH_CTX, .size = size,
				     .is_signed = o->v->is_signed, .value = r.offset });
}

static void load_memory(struct operand *o, int64_t offset)
{
	step(o, (struct fetch_step){ .op = FETCH_USER, .size = o->v->size,
				     .is_signed = o->v->is_signed, .value = offset });
}

static void load_address(struct operand *o, struct userreg r)
{
	step(o, (struct fetch_step){ .op = FETCH_CTX, .size = 8, .value = r.offset });
}

/* Cut to the size that it has, as a register of that size would. */
static void set_constant(struct operand *o, int64_t value)
{
	unsigned int unused = 64 - o->v->size * 8;

	if (o->v->is_signed)
		value = (int64_t)((uint64_t)value << unused) >> unused;
	else
		value = (int64_t)((uint64_t)value << unused >> unused);
	step(o, (struct fetch_step){ .op = FETCH_CONSTANT, .value = value });
}

#if defined(__aarch64__)

/* lsl or sxtw before it may be any of the assembler's words: only lsl is plain. */
static bool take_shift(struct operand *o, uint8_t *shift)
{
	int64_t value;

	while (o->at < o->end && *o->at == ' ')
		o->at++;
	if (o->end - o->at < 4 || memcmp(o->at, "lsl", 3))
		return false;
	o->at += 3;
	take(o, '#');
	while (o->at < o->end && *o->at == ' ')
		o->at++;
	if (!take_number(o, &value) || value < 0 || value > 4)
		return false;
	*shift = (uint8_t)value;
	return true;
}

/* After "[": "sp]", "x0, 12]", "x0, x1, lsl 3]". */
static bool parse_memory(struct operand *o)
{
	struct userreg base, index;
	int64_t offset = 0;
	uint8_t shift = 0;

	if (!take_register(o, &base))
		return false;
	load_address(o, base);
	if (take(o, ',')) {
		take(o, '#');
		while (o->at < o->end && *o->at == ' ')
			o->at++;
		if (!take_number(o, &offset)) {
			if (!take_register(o, &index) || index.size != 8)
				return false;
			if (take(o, ',') && !take_shift(o, &shift))
				return false;
			step(o, (struct fetch_step){ .op = FETCH_ADD_CTX, .shift = shift,
						     .value = index.offset });
		}
	}
	if (!take(o, ']'))
		return false;
	load_memory(o, offset);
	return true;
}

static bool parse_operand(struct operand *o)
{
	struct userreg r;
	int64_t value;

	if (take(o, '['))
		return parse_memory(o);
	take(o, '#');
	if (take_number(o, &value)) {
		set_constant(o, value);
		return true;
	}
	if (!take_register(o, &r))
		return false;
	load_register(o, r);
	return true;
}

#else

/* Numbers and at most one variable: "16+counter", "-8", "". */
static bool parse_sum(struct operand *o, int64_t *sum, bool *has_symbol)
{
	*sum = 0;
	*has_symbol = false;
	while (o->at < o->end && *o->at != '(') {
		uint64_t address;
		int64_t value;
		size_t len;

		if (*o->at == '+')
			o->at++;
		if (take_number(o, &value)) {
			*sum = (int64_t)((uint64_t)*sum + (uint64_t)value);
			continue;
		}
		len = word_len(o);
		if (!len || *has_symbol)
			return false;
		if (!o->symbol || !o->symbol(o->ctx, o->at, len, &address)) {
			o->why = "is in a variable that has no symbol";
			return false;
		}
		*has_symbol = true;
		*sum = (int64_t)((uint64_t)*sum + address);
		o->at += len;
	}
	return true;
}

static bool add_index(struct operand *o)
{
	struct userreg index;
	int64_t scale = 1;

	if (!take(o, '%') || !take_register(o, &index) || index.size != 8)
		return false;
	if (take(o, ',') && !take_number(o, &scale))
		return false;
	if (scale != 1 && scale != 2 && scale != 4 && scale != 8)
		return false;
	step(o, (struct fetch_step){
		.op = FETCH_ADD_CTX, .value = index.offset,
		.shift = (uint8_t)(scale == 8 ? 3 : scale / 2),
	});
	return true;
}

/* "DISPLACEMENT(BASE,INDEX,SCALE)". */
static bool parse_memory(struct operand *o)
{
	struct userreg base;
	bool has_symbol, has_base;
	int64_t sum;

	if (!parse_sum(o, &sum, &has_symbol) || !take(o, '('))
		return false;
	has_base = take(o, '%');
	if (has_base) {
		if (!take_register(o, &base) || base.size != 8)
			return false;
		load_address(o, base);
	} else {
		step(o, (struct fetch_step){ .op = FETCH_CONSTANT });
	}
	/* Next to the instruction pointer a bare number is relative to what nobody says. */
	if (has_symbol != (has_base && base.offset == userregs_ip().offset))
		return false;
	if (has_symbol) {
		sum = (int64_t)((uint64_t)sum - o->address);
		o->is_relative = true;
	}
	if (take(o, ',') && !add_index(o))
		return false;
	if (!take(o, ')'))
		return false;
	load_memory(o, sum);
	return true;
}

static bool parse_operand(struct operand *o)
{
	struct userreg r;
	int64_t value;

	if (take(o, '$')) {
		if (!take_number(o, &value))
			return false;
		set_constant(o, value);
		return true;
	}
	if (!take(o, '%'))
		return parse_memory(o);
	if (!take_register(o, &r)) {
		o->why = "is in a register that is not for integers";
		return false;
	}
	load_register(o, r);
	return true;
}

#endif

/* "-4@", "8f@"; without it, 8 bytes. */
static bool parse_size(struct operand *o)
{
	const char *at = memchr(o->at, '@', (size_t)(o->end - o->at));
	int64_t size = 8;

	if (at && !take_number(o, &size))
		return false;
	if (at && *o->at == 'f') {
		o->why = "is a floating-point number";
		return false;
	}
	if (at && !take(o, '@'))
		return false;
	o->v->is_signed = size < 0;
	size = size < 0 ? -size : size;
	if (size != 1 && size != 2 && size != 4 && size != 8)
		return false;
	o->v->size = (uint8_t)size;
	return true;
}

/* Operands of arm64 have blanks in brackets. */
static const char *arg_end(const char *at)
{
	int depth = 0;

	for (; *at && (depth || *at != ' '); at++) {
		depth += *at == '[' || *at == '(';
		depth -= *at == ']' || *at == ')';
	}
	return at;
}

void usdtargs_parse(struct usdtargs *args, const char *text, uint64_t address,
		    usdtargs_symbol_fn symbol, void *ctx)
{
	*args = (struct usdtargs){ 0 };
	while (args->nr < USDTARGS_MAX) {
		struct usdtarg *arg = &args->list[args->nr];
		struct operand o = {
			.v = &arg->value, .address = address, .symbol = symbol, .ctx = ctx,
		};

		text += strspn(text, " ");
		if (!*text)
			return;
		o.at = text;
		o.end = text = arg_end(text);
		arg->value.result = RESULT_NUMBER;
		arg->value.space = SPACE_USER;
		if (!parse_size(&o) || !parse_operand(&o) || !at_end(&o))
			arg->why = o.why ? o.why : NOT_UNDERSTOOD;
		args->is_relative |= o.is_relative;
		args->nr++;
	}
}
