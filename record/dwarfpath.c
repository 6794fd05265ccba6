#include "record/dwarfpath.h"

#include "record/dwarftypes.h"

#include <ctype.h>
#include <dwarf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define WORD 8
#define MAX_REFERENCES 8

/* A thing somewhere in user space, on the way along a path. */
struct object {
	const char *path;		/* whole, for messages */
	struct probe_value *v;		/* steps so far: to an address */
	struct diag *d;
	struct dwarfabi_place place;
	bool in_registers;
	int64_t offset;			/* from the address, or in the registers */
	uint32_t bit_shift, bits;	/* it is a bit field */
	Dwarf_Die type;			/* stripped */
};

size_t dwarfpath_root(const char *path)
{
	size_t len = 0;

	while (isalnum((unsigned char)path[len]) || path[len] == '_' || path[len] == '$')
		len++;
	return len;
}

static int add_step(struct object *o, struct fetch_step step)
{
	if (o->v->nr_steps == FETCH_MAX_STEPS)
		return diag_set(o->d, -EINVAL, "'%s' goes through too many pointers", o->path);
	o->v->steps[o->v->nr_steps++] = step;
	return 0;
}

static int set_type(struct object *o, Dwarf_Die *type)
{
	if (!dwarftypes_strip(type, &o->type))
		return diag_set(o->d, -EINVAL, "'%s': its type is not known", o->path);
	return 0;
}

/* --- reading ---------------------------------------------------------------------------- */

static int load_register(struct object *o, uint64_t size_bytes, bool is_signed)
{
	uint64_t word = (uint64_t)o->offset / WORD, at = (uint64_t)o->offset % WORD;
	struct userreg *r = &o->place.regs[word < 2 ? word : 0];

	if (word >= 2 || at + size_bytes > WORD)
		return diag_set(o->d, -EINVAL, "'%s' is not in one register", o->path);
	if (!r->size)
		return diag_set(o->d, -EINVAL, "'%s' is in a floating-point register", o->path);
	return add_step(o, (struct fetch_step){
		.op = FETCH_CTX, .size = (uint8_t)size_bytes, .is_signed = is_signed,
		.value = r->offset + (int64_t)at,
	});
}

/* The number of that many bytes. */
static int load(struct object *o, uint64_t size_bytes, bool is_signed)
{
	if (o->in_registers)
		return load_register(o, size_bytes, is_signed);
	return add_step(o, (struct fetch_step){
		.op = FETCH_USER, .size = (uint8_t)size_bytes, .is_signed = is_signed,
		.value = o->offset,
	});
}

/* Goes on at what the pointer points to. */
static int follow(struct object *o)
{
	Dwarf_Die target;
	int err;

	if (!dwarftypes_of(&o->type, &target))
		return diag_set(o->d, -EINVAL, "'%s': a pointer to void has no members", o->path);
	err = load(o, sizeof(uint64_t), false);
	o->in_registers = false;
	o->offset = 0;
	o->bits = 0;
	return err ? err : set_type(o, &target);
}

static int follow_references(struct object *o)
{
	int err = 0;

	for (int i = 0; !err && dwarftypes_is_reference(&o->type); i++)
		err = i < MAX_REFERENCES ? follow(o) :
		      diag_set(o->d, -EINVAL, "'%s' refers to itself", o->path);
	return err;
}

/* --- along the path ------------------------------------------------------------------------- */

static int enter_member(struct object *o, const char *name, size_t len_bytes)
{
	struct dwarftypes_member m;
	char known[320];
	int err = follow_references(o);

	if (!err && dwarftypes_is_pointer(&o->type))
		err = follow(o);
	if (err)
		return err;
	if (!dwarftypes_is_struct(&o->type))
		return diag_set(o->d, -EINVAL, "'%s': what '%.*s' is taken from is no struct",
				o->path, (int)len_bytes, name);
	if (!dwarftypes_member(&o->type, name, len_bytes, &m)) {
		dwarftypes_member_names(&o->type, known, sizeof(known));
		return diag_set(o->d, -EINVAL, "'%s': there is no member '%.*s' (there are: %s)",
				o->path, (int)len_bytes, name, *known ? known : "none");
	}
	o->offset += (int64_t)m.offset_bytes;
	o->bits = m.bits;
	o->bit_shift = m.bit_shift;
	return set_type(o, &m.type);
}

static int enter_element(struct object *o, uint64_t index)
{
	uint64_t nr = 0, size;
	Dwarf_Die element;
	int err = follow_references(o);

	if (err)
		return err;
	if (dwarf_tag(&o->type) == DW_TAG_array_type) {
		nr = dwarftypes_array_len(&o->type);
		if (!dwarftypes_of(&o->type, &element))
			return diag_set(o->d, -EINVAL, "'%s': its type is not known", o->path);
		err = set_type(o, &element);
	} else if (dwarftypes_is_pointer(&o->type)) {
		err = follow(o);
	} else {
		return diag_set(o->d, -EINVAL, "'%s' is no array", o->path);
	}
	if (err)
		return err;
	size = dwarftypes_size(&o->type);
	if (!size || index > INT32_MAX / size || (nr && index >= nr))
		return diag_set(o->d, -EINVAL, "'%s': index %llu is outside of the array",
				o->path, (unsigned long long)index);
	o->offset += (int64_t)(index * size);
	return 0;
}

static int parse_index(struct object *o, const char **at)
{
	unsigned long long index;
	char *end;

	errno = 0;
	index = strtoull(*at + 1, &end, 0);
	if (errno || end == *at + 1 || *end != ']' || (*at)[1] == '-')
		return diag_set(o->d, -EINVAL, "'%s': an index is a number in brackets: [2]",
				o->path);
	*at = end + 1;
	return enter_element(o, index);
}

static int walk(struct object *o, const char *at)
{
	int err = 0;

	while (!err && *at) {
		size_t len;

		if (*at == '[') {
			err = parse_index(o, &at);
			continue;
		}
		if (at[0] == '-' && at[1] == '>')
			at += 2;
		else if (*at == '.')
			at++;
		else
			return diag_set(o->d, -EINVAL, "'%s': '%s' is not understood (write: "
					"a->b.c[2])", o->path, at);
		len = dwarfpath_root(at);
		if (!len)
			return diag_set(o->d, -EINVAL, "'%s': the name of a member is missing",
					o->path);
		err = enter_member(o, at, len);
		at += len;
	}
	return err;
}

/* --- what is there in the end ------------------------------------------------------------------ */

static bool is_signed_number(Dwarf_Die *bare)
{
	Dwarf_Die type, base;
	uint64_t encoding;

	if (dwarf_tag(bare) == DW_TAG_enumeration_type && dwarftypes_of(bare, &type) &&
	    dwarftypes_strip(&type, &base))
		return dwarf_tag(&base) == DW_TAG_base_type && is_signed_number(&base);
	return dwarftypes_number(bare, DW_AT_encoding, &encoding) &&
	       (encoding == DW_ATE_signed || encoding == DW_ATE_signed_char);
}

static int read_bits(struct object *o)
{
	bool is_signed = is_signed_number(&o->type);
	uint64_t size = dwarftypes_size(&o->type);
	uint32_t shift = o->bit_shift;
	int err;

	if (shift + o->bits > 64)
		return diag_set(o->d, -EINVAL, "'%s' is a bit field in more than 8 bytes",
				o->path);
	/* As few bytes as hold it, so that nothing beyond the struct is read. */
	for (size = 1; size * 8 < shift + o->bits; size *= 2)
		;
	err = load(o, size, false);
	if (err)
		return err;
	o->v->size = (uint8_t)(o->bits <= 8 ? 1 : o->bits <= 16 ? 2 : o->bits <= 32 ? 4 : 8);
	o->v->is_signed = is_signed;
	return add_step(o, (struct fetch_step){
		.op = FETCH_BITS, .size = (uint8_t)o->bits, .shift = (uint8_t)shift,
		.is_signed = is_signed,
	});
}

static void describe_pointer(struct probe_value *v, Dwarf_Die *pointer)
{
	Dwarf_Die target, bare;

	v->is_pointer = true;
	v->hint = HINT_HEX;
	if (!dwarftypes_of(pointer, &target) || !dwarftypes_strip(&target, &bare))
		return;
	v->is_char_pointer = dwarftypes_is_char(&bare);
	v->is_code = dwarf_tag(&bare) == DW_TAG_subroutine_type;
	if (v->is_char_pointer)
		v->class = CLASS_USER;
}

static int read_number(struct object *o)
{
	uint64_t size = dwarftypes_size(&o->type), encoding;
	int err;

	if (dwarf_tag(&o->type) == DW_TAG_base_type &&
	    dwarftypes_number(&o->type, DW_AT_encoding, &encoding) &&
	    (encoding == DW_ATE_float || encoding == DW_ATE_complex_float ||
	     encoding == DW_ATE_imaginary_float || encoding == DW_ATE_decimal_float))
		return diag_set(o->d, -EINVAL, "'%s' is a floating-point number, which cannot be "
				"recorded", o->path);
	if (size != 1 && size != 2 && size != 4 && size != 8)
		return diag_set(o->d, -EINVAL, "'%s' is a number of %llu bytes, which cannot be "
				"recorded", o->path, (unsigned long long)size);
	o->v->is_signed = is_signed_number(&o->type);
	o->v->size = (uint8_t)size;
	err = load(o, size, o->v->is_signed);
	if (!err && dwarftypes_is_pointer(&o->type))
		describe_pointer(o->v, &o->type);
	return err;
}

/* Text in the array itself is a string, other bytes are bytes. */
static int read_array(struct object *o)
{
	uint64_t size = dwarftypes_size(&o->type);
	Dwarf_Die element, bare;

	if (!dwarftypes_of(&o->type, &element) || !dwarftypes_strip(&element, &bare) ||
	    dwarftypes_size(&bare) != 1 || !size)
		return diag_set(o->d, -EINVAL, "'%s' is an array: say which element, as in %s[0]",
				o->path, o->path);
	if (o->in_registers)
		return diag_set(o->d, -EINVAL, "'%s' is in registers and not in memory", o->path);
	o->v->result = dwarftypes_is_char(&bare) ? RESULT_STRING : RESULT_BYTES;
	o->v->max_bytes = size < PROBE_MAX_STRING_BYTES ? (uint32_t)size : PROBE_MAX_STRING_BYTES;
	o->v->class = CLASS_USER;
	return add_step(o, (struct fetch_step){ .op = FETCH_ADD, .value = o->offset });
}

static int read_object(struct object *o)
{
	char known[320];
	int err = follow_references(o);

	if (err)
		return err;
	o->v->result = RESULT_NUMBER;
	if (o->bits)
		return read_bits(o);
	if (dwarf_tag(&o->type) == DW_TAG_array_type)
		return read_array(o);
	if (!dwarftypes_is_struct(&o->type))
		return read_number(o);
	dwarftypes_member_names(&o->type, known, sizeof(known));
	return diag_set(o->d, -EINVAL, "'%s' is a struct: say which member, as in %s.NAME (there "
			"are: %s)", o->path, o->path, *known ? known : "none");
}

/* --- all together --------------------------------------------------------------------------------- */

static int begin(struct object *o, const struct dwarfabi_place *place)
{
	o->place = *place;
	switch (place->where) {
	case DWARFABI_REGISTERS:
		o->in_registers = true;
		return 0;
	case DWARFABI_STACK:
		o->offset = (int64_t)place->stack_offset;
		return add_step(o, (struct fetch_step){ .op = FETCH_CTX, .size = 8,
							.value = userregs_sp().offset });
	case DWARFABI_POINTER:
		return add_step(o, (struct fetch_step){ .op = FETCH_CTX, .size = 8,
							.value = place->regs[0].offset });
	default:
		return diag_set(o->d, -EINVAL, "'%.*s' %s and cannot be read",
				(int)dwarfpath_root(o->path), o->path, place->why);
	}
}

int dwarfpath_value(const struct dwarfabi_place *place, Dwarf_Die *type, const char *path,
		    struct probe_value *out, struct diag *d)
{
	struct object o = { .path = path, .v = out, .d = d };
	int err;

	memset(out, 0, sizeof(*out));
	out->space = SPACE_USER;
	err = begin(&o, place);
	if (!err)
		err = set_type(&o, type);
	if (!err)
		err = walk(&o, path + dwarfpath_root(path));
	return err ? err : read_object(&o);
}
