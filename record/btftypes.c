#include "record/btftypes_private.h"

#include <string.h>

#define MAX_DEPTH 64		/* of typedefs and qualifiers around a type */

static const struct btf_type *type_at(const struct btftypes *b, uint32_t id)
{
	while (b && id && id < b->end) {
		if (id >= b->first)
			return (const void *)(b->types + b->offsets[id - b->first]);
		b = b->base;
	}
	return NULL;
}

static const char *text_at(const struct btftypes *b, uint32_t offset)
{
	if (b->base) {
		if (offset < b->base->strings_bytes)
			return b->base->strings + offset;
		offset -= b->base->strings_bytes;
	}
	return offset < b->strings_bytes ? b->strings + offset : "";
}

unsigned int btftypes_kind(const struct btftypes *b, uint32_t id)
{
	const struct btf_type *t = type_at(b, id);

	return t ? BTF_INFO_KIND(t->info) : BTF_KIND_UNKN;
}

/* Strings of a base type lie in the base, whichever object is asked. */
const char *btftypes_name(const struct btftypes *b, uint32_t id)
{
	const struct btf_type *t = type_at(b, id);

	return t ? text_at(b, t->name_off) : "";
}

uint32_t btftypes_last(const struct btftypes *b)
{
	return b->end - 1;
}

uint32_t btftypes_first_own(const struct btftypes *b)
{
	return b->first;
}

const char *btftypes_module(const struct btftypes *b)
{
	return b->module;
}

uint32_t btftypes_target(const struct btftypes *b, uint32_t id)
{
	const struct btf_type *t = type_at(b, id);

	if (!t)
		return 0;
	switch (BTF_INFO_KIND(t->info)) {
	case BTF_KIND_ARRAY:
		return ((const struct btf_array *)(t + 1))->type;
	case BTF_KIND_PTR:
	case BTF_KIND_TYPEDEF:
	case BTF_KIND_VOLATILE:
	case BTF_KIND_CONST:
	case BTF_KIND_RESTRICT:
	case BTF_KIND_FUNC:
	case BTF_KIND_FUNC_PROTO:
	case BTF_KIND_TYPE_TAG:
		return t->type;
	}
	return 0;
}

static bool is_wrapper(unsigned int kind)
{
	return kind == BTF_KIND_TYPEDEF || kind == BTF_KIND_VOLATILE || kind == BTF_KIND_CONST ||
	       kind == BTF_KIND_RESTRICT || kind == BTF_KIND_TYPE_TAG;
}

uint32_t btftypes_strip(const struct btftypes *b, uint32_t id)
{
	for (int i = 0; is_wrapper(btftypes_kind(b, id)); i++) {
		if (i == MAX_DEPTH)
			return 0;
		id = btftypes_target(b, id);
	}
	return id;
}

uint64_t btftypes_size(const struct btftypes *b, uint32_t id)
{
	uint64_t times = 1;

	for (int i = 0; i < MAX_DEPTH; i++) {
		const struct btf_type *t;

		id = btftypes_strip(b, id);
		t = type_at(b, id);
		switch (btftypes_kind(b, id)) {
		case BTF_KIND_ARRAY:
			if (__builtin_mul_overflow(times, btftypes_array_len(b, id), &times))
				return 0;
			id = btftypes_target(b, id);
			continue;
		case BTF_KIND_PTR:
			return __builtin_mul_overflow(times, 8, &times) ? 0 : times;
		case BTF_KIND_INT:
		case BTF_KIND_ENUM:
		case BTF_KIND_ENUM64:
		case BTF_KIND_FLOAT:
		case BTF_KIND_STRUCT:
		case BTF_KIND_UNION:
			return __builtin_mul_overflow(times, t->size, &times) ? 0 : times;
		default:
			return 0;
		}
	}
	return 0;
}

uint32_t btftypes_nr_members(const struct btftypes *b, uint32_t id)
{
	const struct btf_type *t = type_at(b, id);
	unsigned int kind = btftypes_kind(b, id);

	if (kind != BTF_KIND_STRUCT && kind != BTF_KIND_UNION && kind != BTF_KIND_FUNC_PROTO)
		return 0;
	return BTF_INFO_VLEN(t->info);
}

struct btftypes_member btftypes_member_at(const struct btftypes *b, uint32_t id, uint32_t i)
{
	const struct btf_type *t = type_at(b, id);
	struct btftypes_member m = { .name = "" };

	if (i >= btftypes_nr_members(b, id))
		return m;
	if (btftypes_kind(b, id) == BTF_KIND_FUNC_PROTO) {
		const struct btf_param *param = (const struct btf_param *)(t + 1) + i;

		m.name = text_at(b, param->name_off);
		m.type = param->type;
	} else {
		const struct btf_member *member = (const struct btf_member *)(t + 1) + i;
		struct btftypes_int n = btftypes_int(b, btftypes_strip(b, member->type));

		m.name = text_at(b, member->name_off);
		m.type = member->type;
		m.offset_bits = member->offset;
		if (BTF_INFO_KFLAG(t->info)) {
			m.bits = BTF_MEMBER_BITFIELD_SIZE(member->offset);
			m.offset_bits = BTF_MEMBER_BIT_OFFSET(member->offset);
		} else if (n.bits && (n.offset_bits || n.bits < 8 ||
				      n.bits != 8 * btftypes_size(b, member->type))) {
			/* Compilers without that flag make an integer of odd size. */
			m.bits = n.bits;
			m.offset_bits += n.offset_bits;
		}
	}
	return m;
}

uint32_t btftypes_array_len(const struct btftypes *b, uint32_t id)
{
	const struct btf_type *t = type_at(b, id);

	if (btftypes_kind(b, id) != BTF_KIND_ARRAY)
		return 0;
	return ((const struct btf_array *)(t + 1))->nelems;
}

struct btftypes_int btftypes_int(const struct btftypes *b, uint32_t id)
{
	const struct btf_type *t = type_at(b, id);
	struct btftypes_int n = { 0 };
	uint32_t info;

	switch (btftypes_kind(b, id)) {
	case BTF_KIND_INT:
		info = *(const uint32_t *)(t + 1);
		n.is_signed = BTF_INT_ENCODING(info) & BTF_INT_SIGNED;
		n.is_bool = BTF_INT_ENCODING(info) & BTF_INT_BOOL;
		n.bits = BTF_INT_BITS(info);
		n.offset_bits = BTF_INT_OFFSET(info);
		break;
	case BTF_KIND_ENUM:
	case BTF_KIND_ENUM64:
		n.is_signed = BTF_INFO_KFLAG(t->info);
		n.bits = t->size <= 8 ? t->size * 8 : 0;
		break;
	case BTF_KIND_FLOAT:
		n.bits = t->size <= 8 ? t->size * 8 : 0;
		break;
	}
	return n;
}

uint32_t btftypes_find(const struct btftypes *b, const char *name, unsigned int kind)
{
	if (kind >= BTFTYPES_NR_KINDS)
		return 0;
	for (; b; b = b->base) {
		uint32_t id = b->first_of_kind[kind];

		for (; id; id = b->next_of_kind[id - b->first])
			if (!strcmp(text_at(b, type_at(b, id)->name_off), name))
				return id;
	}
	return 0;
}

uint32_t btftypes_prototype(const struct btftypes *b, uint32_t id)
{
	for (int i = 0; i < 4; i++) {
		id = btftypes_strip(b, id);
		switch (btftypes_kind(b, id)) {
		case BTF_KIND_FUNC_PROTO:
			return id;
		case BTF_KIND_FUNC:
		case BTF_KIND_PTR:
			id = btftypes_target(b, id);
			break;
		default:
			return 0;
		}
	}
	return 0;
}
