#include "record/dwarfabi.h"

#include "record/dwarfclass.h"
#include "record/dwarftypes.h"

#include <dwarf.h>
#include <string.h>

#define WORD 8
#define MAX_REGISTER_BYTES 16
#define NR_FLOAT_REGISTERS 8

#define IN_FLOAT_REGISTER "is in a floating-point register"

/* What the calling conventions ask of a type. */
struct shape {
	uint64_t size_bytes, align;
	bool is_struct;
	bool has_int[2], has_float[2];	/* by 8 bytes */
	bool in_memory;			/* by its nature, whatever its size */
	bool by_address;		/* C++: an object that must not be copied by bytes */
	bool unknown;
	/* arm64: up to four numbers of one floating-point type. */
	unsigned int nr_floats;
	uint64_t float_bytes;
	bool mixed;
};

static bool is_long_double(Dwarf_Die *bare, uint64_t size_bytes)
{
	const char *name = dwarf_diename(bare);

	return size_bytes == 16 && name && strstr(name, "long double");
}

static bool is_float(Dwarf_Die *bare)
{
	uint64_t encoding;

	if (dwarf_tag(bare) == DW_TAG_array_type)	/* a vector */
		return true;
	return dwarf_tag(bare) == DW_TAG_base_type &&
	       dwarftypes_number(bare, DW_AT_encoding, &encoding) &&
	       (encoding == DW_ATE_float || encoding == DW_ATE_complex_float ||
		encoding == DW_ATE_decimal_float);
}

static void take_float(struct shape *s, Dwarf_Die *bare, uint64_t size_bytes)
{
	/* Of the x87: those of arm64 are in the registers of other numbers. */
	if (USERREGS_MACHINE == EM_X86_64 && is_long_double(bare, size_bytes))
		s->in_memory = true;
	if (s->nr_floats && s->float_bytes != size_bytes)
		s->mixed = true;
	s->float_bytes = size_bytes;
	s->nr_floats++;
}

static bool take_leaf(void *ctx, Dwarf_Die *bare, uint64_t offset)
{
	struct shape *s = ctx;
	uint64_t size = dwarftypes_size(bare);
	uint64_t align = size > MAX_REGISTER_BYTES ? MAX_REGISTER_BYTES : size;

	if (!size || size & (size - 1)) {
		s->unknown = true;
		return false;
	}
	if (offset % align)
		s->in_memory = true;
	if (align > s->align)
		s->align = align;
	if (is_float(bare))
		take_float(s, bare, size);
	else
		s->mixed = true;
	for (uint64_t at = offset; at < offset + size && at < MAX_REGISTER_BYTES; at += WORD) {
		s->has_float[at / WORD] |= is_float(bare);
		s->has_int[at / WORD] |= !is_float(bare);
	}
	return true;
}

static struct shape shape_of(Dwarf_Die *type, bool is_cxx)
{
	struct shape s = { .align = 1 };
	Dwarf_Die bare;

	if (!dwarftypes_strip(type, &bare)) {
		s.unknown = true;
		return s;
	}
	s.size_bytes = dwarftypes_size(&bare);
	s.is_struct = dwarftypes_is_struct(&bare) || dwarf_tag(&bare) == DW_TAG_array_type;
	/* What is larger is never in registers, whatever it is made of. */
	if (!dwarftypes_leaves(&bare, take_leaf, &s))
		s.unknown = s.size_bytes <= MAX_REGISTER_BYTES;
	s.by_address = s.is_struct && is_cxx && dwarfclass_by_address(&bare);
	return s;
}

static unsigned int nr_words(const struct shape *s)
{
	return s->size_bytes > WORD ? 2 : 1;
}

static struct dwarfabi_place nowhere(const char *why)
{
	return (struct dwarfabi_place){ .where = DWARFABI_NOWHERE, .why = why };
}

static struct dwarfabi_place on_stack(struct dwarfabi *abi, const struct shape *s)
{
	uint64_t align = s->align > WORD ? 2 * WORD : WORD;
	struct dwarfabi_place p = { .where = DWARFABI_STACK };

	abi->stack_bytes = (abi->stack_bytes + align - 1) & ~(align - 1);
	p.stack_offset = userregs_stack_args_offset() + abi->stack_bytes;
	abi->stack_bytes += (s->size_bytes + WORD - 1) & ~(uint64_t)(WORD - 1);
	return p;
}

static struct dwarfabi_place in_registers(struct dwarfabi *abi, unsigned int nr,
					  enum dwarfabi_where where)
{
	struct dwarfabi_place p = { .where = where };

	for (unsigned int i = 0; i < nr; i++)
		p.regs[i] = userregs_arg(abi->nr_ints++);
	return p;
}

static struct dwarfabi_place by_address(struct dwarfabi *abi)
{
	struct shape pointer = { .size_bytes = WORD, .align = WORD };

	if (abi->nr_ints < USERREGS_NR_ARGS)
		return in_registers(abi, 1, DWARFABI_POINTER);
	on_stack(abi, &pointer);
	return nowhere("is passed by an address on the stack");
}

/* --- x86-64 ----------------------------------------------------------------------------- */

/* Each 8 bytes go where they belong, if there is room for all of them. */
static struct dwarfabi_place x86_argument(struct dwarfabi *abi, const struct shape *s)
{
	struct dwarfabi_place p = { .where = DWARFABI_REGISTERS };
	unsigned int ints = 0, floats = 0;

	if (s->in_memory || s->size_bytes > MAX_REGISTER_BYTES)
		return on_stack(abi, s);
	for (unsigned int i = 0; i < nr_words(s); i++) {
		ints += s->has_int[i];
		floats += s->has_float[i] && !s->has_int[i];
	}
	if (abi->nr_ints + ints > USERREGS_NR_ARGS || abi->nr_floats + floats > NR_FLOAT_REGISTERS)
		return on_stack(abi, s);
	abi->nr_floats += floats;
	for (unsigned int i = 0; i < nr_words(s); i++)
		if (s->has_int[i])
			p.regs[i] = userregs_arg(abi->nr_ints++);
	return ints ? p : nowhere(floats ? IN_FLOAT_REGISTER : "is empty");
}

/* --- arm64 ------------------------------------------------------------------------------- */

static bool is_homogeneous(const struct shape *s)
{
	return !s->mixed && s->nr_floats && s->nr_floats <= 4;
}

/* In integer registers, whatever its members are. */
static bool is_arm_mixed(const struct shape *s)
{
	return USERREGS_MACHINE == EM_AARCH64 && !is_homogeneous(s);
}

static struct dwarfabi_place arm_argument(struct dwarfabi *abi, const struct shape *s)
{
	if (is_homogeneous(s)) {
		if (abi->nr_floats + s->nr_floats <= NR_FLOAT_REGISTERS) {
			abi->nr_floats += s->nr_floats;
			return nowhere(IN_FLOAT_REGISTER);
		}
		abi->nr_floats = NR_FLOAT_REGISTERS;
		return on_stack(abi, s);
	}
	if (s->size_bytes > MAX_REGISTER_BYTES)
		return by_address(abi);
	if (s->align > WORD)
		abi->nr_ints += abi->nr_ints % 2;
	if (abi->nr_ints + nr_words(s) <= USERREGS_NR_ARGS)
		return in_registers(abi, nr_words(s), DWARFABI_REGISTERS);
	abi->nr_ints = USERREGS_NR_ARGS;
	return on_stack(abi, s);
}

/* --- both ---------------------------------------------------------------------------------- */

static bool in_memory(const struct shape *s)
{
	if (s->by_address)
		return true;
	if (USERREGS_MACHINE == EM_AARCH64)
		return s->size_bytes > MAX_REGISTER_BYTES && !is_homogeneous(s);
	return s->size_bytes > MAX_REGISTER_BYTES || (s->in_memory && s->is_struct);
}

static void set_language(struct dwarfabi *abi, Dwarf_Die *function)
{
	Dwarf_Die unit;

	switch (dwarf_diecu(function, &unit, NULL, NULL) ? dwarf_srclang(&unit) : -1) {
	case DW_LANG_C_plus_plus:
	case DW_LANG_C_plus_plus_03:
	case DW_LANG_C_plus_plus_11:
	case DW_LANG_C_plus_plus_14:
	case DW_LANG_ObjC_plus_plus:
		abi->is_cxx = true;
		abi->is_c_like = true;
		break;
	case DW_LANG_Go:
		abi->lost = "is of a Go function, which has a calling convention of its own";
		break;
	case DW_LANG_C89:
	case DW_LANG_C:
	case DW_LANG_C99:
	case DW_LANG_C11:
	case DW_LANG_ObjC:
	case DW_LANG_Mips_Assembler:
		abi->is_c_like = true;
		break;
	default:
		break;
	}
}

void dwarfabi_begin(struct dwarfabi *abi, Dwarf_Die *function)
{
	struct shape returned;
	Dwarf_Die type;

	*abi = (struct dwarfabi){ 0 };
	set_language(abi, function);
	if (!dwarftypes_of(function, &type))
		return;
	returned = shape_of(&type, abi->is_cxx);
	if (returned.unknown || (returned.is_struct && !abi->is_c_like)) {
		if (!abi->lost)
			abi->lost = "comes after a returned struct whose place is not known";
		return;
	}
	/* On x86-64 the place for what is returned is the first argument. */
	if (USERREGS_MACHINE == EM_X86_64 && in_memory(&returned))
		abi->nr_ints = 1;
}

struct dwarfabi_place dwarfabi_argument(struct dwarfabi *abi, Dwarf_Die *type)
{
	struct shape s = shape_of(type, abi->is_cxx);

	if (abi->lost)
		return nowhere(abi->lost);
	if (s.unknown || (s.is_struct && !abi->is_c_like)) {
		abi->lost = "comes after an argument whose place is not known";
		return nowhere("is passed in a way that is not known");
	}
	if (s.by_address)
		return by_address(abi);
	if (!s.size_bytes)
		return nowhere("is empty");
	return USERREGS_MACHINE == EM_AARCH64 ? arm_argument(abi, &s) : x86_argument(abi, &s);
}

struct dwarfabi_place dwarfabi_returned(Dwarf_Die *function, Dwarf_Die *type)
{
	struct dwarfabi abi = { 0 };
	struct dwarfabi_place p = { .where = DWARFABI_REGISTERS };
	unsigned int nr_ints = 0;
	struct shape s;

	set_language(&abi, function);
	s = shape_of(type, abi.is_cxx);
	if (abi.lost || s.unknown || (s.is_struct && !abi.is_c_like))
		return nowhere(abi.lost ? abi.lost : "is returned in a way that is not known");
	if (in_memory(&s)) {
		p.regs[0] = userregs_return(0);
		/* The address is given back on x86-64; arm64 forgets it. */
		p.where = USERREGS_MACHINE == EM_X86_64 ? DWARFABI_POINTER : DWARFABI_NOWHERE;
		p.why = "is returned in memory";
		return p;
	}
	for (unsigned int i = 0; i < nr_words(&s); i++)
		if (s.has_int[i] || (s.has_float[i] && is_arm_mixed(&s)))
			p.regs[i] = userregs_return(nr_ints++);
	return nr_ints ? p : nowhere(IN_FLOAT_REGISTER);
}
