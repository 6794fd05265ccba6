#include "record/dwarftypes.h"

#include <dwarf.h>
#include <stdio.h>
#include <string.h>

#define MAX_STEPS 64		/* of typedefs and qualifiers */
#define MAX_NESTING 16
#define MAX_LEAVES 256
#define MAX_UNITS 100000
#define MAX_MEMBERS 100000		/* looked at for one name */

bool dwarftypes_next(Dwarf_Die *die)
{
	Dwarf_Off before = dwarf_dieoffset(die);

	return !dwarf_siblingof(die, die) && dwarf_dieoffset(die) > before;
}

bool dwarftypes_of(Dwarf_Die *die, Dwarf_Die *type)
{
	Dwarf_Attribute attr;

	return dwarf_attr_integrate(die, DW_AT_type, &attr) && dwarf_formref_die(&attr, type);
}

bool dwarftypes_number(Dwarf_Die *die, unsigned int attribute, uint64_t *to)
{
	Dwarf_Attribute attr;
	Dwarf_Word value;

	if (!dwarf_attr_integrate(die, attribute, &attr) || dwarf_formudata(&attr, &value))
		return false;
	*to = value;
	return true;
}

static bool has_flag(Dwarf_Die *die, unsigned int attribute)
{
	Dwarf_Attribute attr;
	bool set = false;

	return dwarf_attr(die, attribute, &attr) && !dwarf_formflag(&attr, &set) && set;
}

static bool is_qualifier(int tag)
{
	switch (tag) {
	case DW_TAG_typedef:
	case DW_TAG_const_type:
	case DW_TAG_volatile_type:
	case DW_TAG_restrict_type:
	case DW_TAG_atomic_type:
	case DW_TAG_packed_type:
	case DW_TAG_immutable_type:
	case DW_TAG_shared_type:
		return true;
	default:
		return false;
	}
}

static bool find_in_unit(Dwarf_Die *unit, int tag, const char *name, Dwarf_Die *found)
{
	Dwarf_Die die;

	if (dwarf_child(unit, &die))
		return false;
	do {
		const char *other = dwarf_tag(&die) == tag ? dwarf_diename(&die) : NULL;

		if (other && !strcmp(other, name) && !has_flag(&die, DW_AT_declaration)) {
			*found = die;
			return true;
		}
	} while (dwarftypes_next(&die));
	return false;
}

/* What one file only declares, another one of the program may define. */
static void find_definition(Dwarf_Die *type)
{
	Dwarf *dw = dwarf_cu_getdwarf(type->cu);
	const char *name = dwarf_diename(type);
	int tag = dwarf_tag(type), nr = 0;
	Dwarf_Off at = 0, next;
	Dwarf_Attribute attr;
	Dwarf_Die unit, found;
	size_t header_bytes;

	if (dwarf_attr(type, DW_AT_signature, &attr) && dwarf_formref_die(&attr, &found)) {
		*type = found;
		return;
	}
	while (name && nr++ < MAX_UNITS &&
	       !dwarf_nextcu(dw, at, &next, &header_bytes, NULL, NULL, NULL)) {
		if (dwarf_offdie(dw, at + header_bytes, &unit) &&
		    find_in_unit(&unit, tag, name, &found)) {
			*type = found;
			return;
		}
		at = next;
	}
}

bool dwarftypes_strip(Dwarf_Die *type, Dwarf_Die *bare)
{
	*bare = *type;
	for (int i = 0; i < MAX_STEPS; i++) {
		Dwarf_Die next;

		if (!is_qualifier(dwarf_tag(bare))) {
			if (dwarftypes_is_struct(bare) && has_flag(bare, DW_AT_declaration))
				find_definition(bare);
			return true;
		}
		if (!dwarftypes_of(bare, &next))
			return false;
		*bare = next;
	}
	return false;
}

bool dwarftypes_is_struct(Dwarf_Die *bare)
{
	int tag = dwarf_tag(bare);

	return tag == DW_TAG_structure_type || tag == DW_TAG_union_type ||
	       tag == DW_TAG_class_type;
}

bool dwarftypes_is_pointer(Dwarf_Die *bare)
{
	return dwarf_tag(bare) == DW_TAG_pointer_type;
}

bool dwarftypes_is_reference(Dwarf_Die *bare)
{
	int tag = dwarf_tag(bare);

	return tag == DW_TAG_reference_type || tag == DW_TAG_rvalue_reference_type;
}

bool dwarftypes_is_char(Dwarf_Die *bare)
{
	const char *name = dwarf_tag(bare) == DW_TAG_base_type ? dwarf_diename(bare) : NULL;

	return name && !strcmp(name, "char");
}

uint64_t dwarftypes_array_len(Dwarf_Die *array)
{
	uint64_t nr = 1, n;
	Dwarf_Die die;

	if (dwarf_child(array, &die))
		return 0;
	do {
		if (dwarf_tag(&die) != DW_TAG_subrange_type)
			continue;
		if (!dwarftypes_number(&die, DW_AT_count, &n)) {
			if (!dwarftypes_number(&die, DW_AT_upper_bound, &n) || n == UINT64_MAX)
				return 0;
			n++;
		}
		if (n && nr > UINT32_MAX / n)
			return 0;
		nr *= n;
	} while (dwarftypes_next(&die));
	return nr;
}

static uint64_t size_of(Dwarf_Die *bare, int depth)
{
	Dwarf_Die element, bare_element;
	uint64_t size;

	if (dwarftypes_number(bare, DW_AT_byte_size, &size))
		return size;
	if (dwarftypes_is_pointer(bare) || dwarftypes_is_reference(bare) ||
	    dwarf_tag(bare) == DW_TAG_unspecified_type)
		return sizeof(uint64_t);
	if (depth >= MAX_NESTING || !dwarftypes_of(bare, &element) ||
	    !dwarftypes_strip(&element, &bare_element))
		return 0;
	size = size_of(&bare_element, depth + 1);
	if (dwarf_tag(bare) == DW_TAG_array_type) {
		uint64_t nr = dwarftypes_array_len(bare);

		return nr && size > UINT32_MAX / nr ? 0 : size * nr;
	}
	/* An enumeration, for example. */
	return size;
}

uint64_t dwarftypes_size(Dwarf_Die *bare)
{
	return size_of(bare, 0);
}

/* --- members ---------------------------------------------------------------------------- */

static bool is_part(int tag)
{
	return tag == DW_TAG_member || tag == DW_TAG_inheritance;
}

/*
 * DWARF 5 counts bits from the beginning of the struct; before, from the highest
 * one of a unit of storage.
 */
static void set_bits(Dwarf_Die *die, struct dwarftypes_member *m)
{
	uint64_t bits, offset, storage;
	Dwarf_Die bare;

	if (!dwarftypes_number(die, DW_AT_bit_size, &bits) || !bits || bits > 64)
		return;
	if (dwarftypes_number(die, DW_AT_data_bit_offset, &offset)) {
		m->offset_bytes = offset / 8;
		m->bit_shift = offset % 8;
	} else if (dwarftypes_number(die, DW_AT_bit_offset, &offset)) {
		if (!dwarftypes_number(die, DW_AT_byte_size, &storage))
			storage = dwarftypes_strip(&m->type, &bare) ? dwarftypes_size(&bare) : 0;
		if (storage * 8 < bits + offset || storage > 8)
			return;
		offset = storage * 8 - offset - bits;
		m->offset_bytes += offset / 8;
		m->bit_shift = offset % 8;
	} else {
		m->bit_shift = 0;
	}
	m->bits = (uint32_t)bits;
}

static bool read_member(Dwarf_Die *die, struct dwarftypes_member *m)
{
	*m = (struct dwarftypes_member){ .bits = 0 };
	if (has_flag(die, DW_AT_external) || has_flag(die, DW_AT_declaration) ||
	    !dwarftypes_of(die, &m->type))
		return false;
	/* Members of a union have none. */
	if (!dwarftypes_number(die, DW_AT_data_member_location, &m->offset_bytes)) {
		Dwarf_Attribute attr;

		/* A virtual base class lies where only its object knows. */
		if (dwarf_attr(die, DW_AT_data_member_location, &attr))
			return false;
		m->offset_bytes = 0;
	}
	set_bits(die, m);
	return true;
}

static bool find_member(Dwarf_Die *bare, const char *name, size_t len_bytes,
			struct dwarftypes_member *out, int depth, unsigned int *looked_at)
{
	struct dwarftypes_member m;
	Dwarf_Die die, inner;

	if (depth > MAX_NESTING || dwarf_child(bare, &die))
		return false;
	do {
		const char *other;

		if (++*looked_at > MAX_MEMBERS)
			return false;
		if (!is_part(dwarf_tag(&die)) || !read_member(&die, &m))
			continue;
		other = dwarf_tag(&die) == DW_TAG_member ? dwarf_diename(&die) : NULL;
		if (other && strlen(other) == len_bytes && !memcmp(other, name, len_bytes)) {
			*out = m;
			return true;
		}
		if (!other && dwarftypes_strip(&m.type, &inner) && dwarftypes_is_struct(&inner) &&
		    find_member(&inner, name, len_bytes, out, depth + 1, looked_at)) {
			out->offset_bytes += m.offset_bytes;
			return true;
		}
	} while (dwarftypes_next(&die));
	return false;
}

bool dwarftypes_member(Dwarf_Die *bare, const char *name, size_t len_bytes,
		       struct dwarftypes_member *out)
{
	unsigned int looked_at = 0;

	return find_member(bare, name, len_bytes, out, 0, &looked_at);
}

struct name_list {
	char *to;
	size_t size_bytes, len;
	unsigned int looked_at;
};

static void list_names(struct name_list *l, Dwarf_Die *bare, int depth)
{
	struct dwarftypes_member m;
	Dwarf_Die die, inner;

	if (depth > MAX_NESTING || dwarf_child(bare, &die))
		return;
	do {
		const char *name;

		if (++l->looked_at > MAX_MEMBERS)
			return;
		if (!is_part(dwarf_tag(&die)) || !read_member(&die, &m))
			continue;
		name = dwarf_tag(&die) == DW_TAG_member ? dwarf_diename(&die) : NULL;
		if (!name && dwarftypes_strip(&m.type, &inner))
			list_names(l, &inner, depth + 1);
		if (!name || l->len + strlen(name) + 3 > l->size_bytes)
			continue;
		l->len += (size_t)snprintf(l->to + l->len, l->size_bytes - l->len, "%s%s",
					   l->len ? ", " : "", name);
	} while (dwarftypes_next(&die));
}

void dwarftypes_member_names(Dwarf_Die *bare, char *to, size_t size_bytes)
{
	struct name_list l = { to, size_bytes, 0, 0 };

	*to = '\0';
	list_names(&l, bare, 0);
}

/* --- leaves ------------------------------------------------------------------------------- */

struct leaves {
	dwarftypes_leaf_fn fn;
	void *ctx;
	unsigned int nr;
};

static bool walk(struct leaves *l, Dwarf_Die *type, uint64_t offset, int depth);

static bool walk_array(struct leaves *l, Dwarf_Die *bare, uint64_t offset, int depth)
{
	uint64_t nr = dwarftypes_array_len(bare), size;
	Dwarf_Die element, bare_element;

	if (!dwarftypes_of(bare, &element) || !dwarftypes_strip(&element, &bare_element))
		return false;
	size = dwarftypes_size(&bare_element);
	if (!size || nr > MAX_LEAVES)
		return false;
	for (uint64_t i = 0; i < nr; i++)
		if (!walk(l, &element, offset + i * size, depth + 1))
			return false;
	return true;
}

static bool walk_struct(struct leaves *l, Dwarf_Die *bare, uint64_t offset, int depth)
{
	struct dwarftypes_member m;
	Dwarf_Die die;

	if (dwarf_child(bare, &die))
		return true;
	do {
		if (!is_part(dwarf_tag(&die)) || has_flag(&die, DW_AT_external))
			continue;
		if (!read_member(&die, &m) ||
		    !walk(l, &m.type, offset + m.offset_bytes, depth + 1))
			return false;
	} while (dwarftypes_next(&die));
	return true;
}

static bool walk(struct leaves *l, Dwarf_Die *type, uint64_t offset, int depth)
{
	Dwarf_Attribute attr;
	Dwarf_Die bare;

	if (depth > MAX_NESTING || ++l->nr > MAX_LEAVES || !dwarftypes_strip(type, &bare))
		return false;
	if (dwarftypes_is_struct(&bare))
		return walk_struct(l, &bare, offset, depth);
	if (dwarf_tag(&bare) == DW_TAG_array_type && !dwarf_attr(&bare, DW_AT_GNU_vector, &attr))
		return walk_array(l, &bare, offset, depth);
	return l->fn(l->ctx, &bare, offset);
}

bool dwarftypes_leaves(Dwarf_Die *type, dwarftypes_leaf_fn fn, void *ctx)
{
	struct leaves l = { fn, ctx, 0 };

	return walk(&l, type, 0, 0);
}
