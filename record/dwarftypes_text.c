#include "record/dwarftypes.h"

#include <dwarf.h>
#include <stdio.h>
#include <string.h>

#define MAX_DEPTH 32

static const char *keyword(int tag)
{
	switch (tag) {
	case DW_TAG_structure_type:
		return "struct ";
	case DW_TAG_union_type:
		return "union ";
	case DW_TAG_class_type:
		return "class ";
	case DW_TAG_enumeration_type:
		return "enum ";
	default:
		return "";
	}
}

static bool is_pointer_text(const char *text)
{
	size_t len = strlen(text);

	return len && text[len - 1] == '*';
}

static void describe(Dwarf_Die *holder, char *to, size_t size_bytes, int depth)
{
	char inner[256] = "void";
	const char *name;
	Dwarf_Die type;
	int tag;

	if (depth > MAX_DEPTH || !dwarftypes_of(holder, &type)) {
		snprintf(to, size_bytes, "void");
		return;
	}
	name = dwarf_diename(&type);
	tag = dwarf_tag(&type);
	if (name) {
		snprintf(to, size_bytes, "%s%s", keyword(tag), name);
		return;
	}
	if (*keyword(tag) || tag == DW_TAG_subroutine_type) {
		snprintf(to, size_bytes, "%s{...}", *keyword(tag) ? keyword(tag) : "function ");
		return;
	}
	describe(&type, inner, sizeof(inner), depth + 1);
	switch (tag) {
	case DW_TAG_pointer_type:
		snprintf(to, size_bytes, "%s%s*", inner, is_pointer_text(inner) ? "" : " ");
		break;
	case DW_TAG_reference_type:
		snprintf(to, size_bytes, "%s &", inner);
		break;
	case DW_TAG_rvalue_reference_type:
		snprintf(to, size_bytes, "%s &&", inner);
		break;
	case DW_TAG_array_type:
		snprintf(to, size_bytes, "%s[]", inner);
		break;
	case DW_TAG_const_type:
		if (is_pointer_text(inner))
			snprintf(to, size_bytes, "%s const", inner);
		else
			snprintf(to, size_bytes, "const %s", inner);
		break;
	default:
		snprintf(to, size_bytes, "%s", inner);
		break;
	}
}

void dwarftypes_text(Dwarf_Die *holder, char *to, size_t size_bytes)
{
	describe(holder, to, size_bytes, 0);
}
