/*
 * Members of structs by name, those of anonymous structs within included.
 */
#include "record/btfpath_private.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "record/nearnames.h"

#define MAX_MEMBERS 4096		/* of a struct, anonymous ones within included */

bool btfpath_members_has_any(const struct btftypes *b, uint32_t type)
{
	unsigned int kind = btftypes_kind(b, type);

	return kind == BTF_KIND_STRUCT || kind == BTF_KIND_UNION;
}

/* Malformed structs may hold each other many times over: *budget members are looked at. */
static bool find_member(const struct btftypes *b, uint32_t type, const char *name,
			unsigned int *budget, struct btftypes_member *out)
{
	uint32_t nr = btftypes_nr_members(b, type);

	for (uint32_t i = 0; i < nr && *budget; i++) {
		struct btftypes_member m = btftypes_member_at(b, type, i);
		uint32_t inner;

		--*budget;
		if (*m.name) {
			if (strcmp(m.name, name) != 0)
				continue;
			*out = m;
			return true;
		}
		inner = btftypes_strip(b, m.type);
		if (!btfpath_members_has_any(b, inner) || !find_member(b, inner, name, budget, out))
			continue;
		out->offset_bits += m.offset_bits;
		return true;
	}
	return false;
}

struct listing {
	struct nearnames near;
	char text[256];
	size_t len;
	bool is_cut;
	unsigned int budget;
};

static void list_members(const struct btftypes *b, uint32_t type, struct listing *l)
{
	uint32_t nr = btftypes_nr_members(b, type);

	for (uint32_t i = 0; i < nr && l->budget; i++) {
		struct btftypes_member m = btftypes_member_at(b, type, i);
		uint32_t inner = btftypes_strip(b, m.type);
		size_t n = strlen(m.name);

		l->budget--;
		if (!n && btfpath_members_has_any(b, inner))
			list_members(b, inner, l);
		if (!n)
			continue;
		nearnames_try(&l->near, m.name);
		if (l->is_cut || l->len + n + 8 > sizeof(l->text)) {
			l->is_cut = true;
			continue;
		}
		l->len += (size_t)sprintf(l->text + l->len, "%s%s", l->len ? ", " : "", m.name);
	}
}

void btfpath_members_text(const struct btftypes *b, uint32_t type, char *to, size_t size_bytes)
{
	struct listing l = { .budget = MAX_MEMBERS };

	list_members(b, type, &l);
	snprintf(to, size_bytes, "%s%s", l.text, l.is_cut ? " ..." : "");
}

static int complain(const struct walk *w, uint32_t type, const char *member)
{
	struct listing l = { .budget = MAX_MEMBERS };
	char what[80], near[128];

	nearnames_begin(&l.near, member);
	list_members(w->b, type, &l);
	btftypes_text(w->b, type, what, sizeof(what));
	nearnames_text(&l.near, near, sizeof(near));
	return diag_set(w->d, -EINVAL, "%s has no member '%s'%s; it has: %s%s", what, member,
			near, l.text, l.is_cut ? " ..." : "");
}

int btfpath_members_find(const struct walk *w, uint32_t type, const char *member,
			 struct btftypes_member *out)
{
	unsigned int budget = MAX_MEMBERS;

	return find_member(w->b, type, member, &budget, out) ? 0 :
		complain(w, type, member);
}
