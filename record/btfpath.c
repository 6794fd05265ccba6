#include "record/btfpath_private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_OFFSET INT32_MAX		/* what one instruction adds */

static uint32_t here(const struct walk *w)
{
	return btftypes_strip(w->b, w->type);
}

/* --- one element ---------------------------------------------------------------------- */

/* From a pointer to what it points to. */
static int follow(struct walk *w)
{
	uint32_t pointer = here(w);
	bool is_user = btfpath_value_is_user(w->b, pointer);
	int err = 0;

	if (w->is_place)
		err = btfpath_value_add_step(w, (struct fetch_step){
			.op = w->is_user ? FETCH_USER : FETCH_KERNEL, .size = 8,
			.value = (int64_t)(w->offset_bits / 8),
		});
	else if (w->offset_bits)
		err = btfpath_value_add_step(w, (struct fetch_step){
			.op = FETCH_BITS, .shift = (uint8_t)w->offset_bits, .size = 64,
		});
	w->type = btftypes_target(w->b, pointer);
	w->is_place = true;
	w->is_user = is_user;
	w->offset_bits = 0;
	return err;
}

static int go_on(struct walk *w, uint64_t more_bits)
{
	w->offset_bits += more_bits;
	if (w->offset_bits / 8 > MAX_OFFSET)
		return diag_set(w->d, -EINVAL, "'%s' lies too far away", w->name);
	return 0;
}

static int enter_member(struct walk *w, const char *member)
{
	struct btftypes_member m;
	uint32_t type;
	char what[80];
	int err;

	if (btftypes_kind(w->b, here(w)) == BTF_KIND_PTR) {
		err = follow(w);
		if (err)
			return err;
	}
	type = here(w);
	if (btftypes_kind(w->b, type) == BTF_KIND_FWD)
		type = btftypes_find(w->b, btftypes_name(w->b, type), BTF_KIND_STRUCT);
	if (!btfpath_members_has_any(w->b, type)) {
		btftypes_text(w->b, w->type, what, sizeof(what));
		return diag_set(w->d, -EINVAL, "'%s': no member '%s', what is before it is %s%s",
				w->name, member, what,
				type ? "" : ", of which the kernel's types say no more");
	}
	if (!w->is_place && btftypes_size(w->b, type) > 8) {
		btftypes_text(w->b, type, what, sizeof(what));
		return diag_set(w->d, -EINVAL, "'%s': %s is passed by value", w->name, what);
	}
	err = btfpath_members_find(w, type, member, &m);
	if (err)
		return err;
	w->type = m.type;
	w->bits = m.bits;
	snprintf(w->member, sizeof(w->member), "%s", member);
	return go_on(w, m.offset_bits);
}

static int enter_element(struct walk *w, uint64_t index)
{
	uint32_t type = here(w), element, len = 0;
	unsigned int kind = btftypes_kind(w->b, type);
	uint64_t size, more;
	char what[80];

	btftypes_text(w->b, w->type, what, sizeof(what));
	if (kind != BTF_KIND_PTR && kind != BTF_KIND_ARRAY)
		return diag_set(w->d, -EINVAL, "'%s': no array before '[%llu]' but %s", w->name,
				(unsigned long long)index, what);
	element = btftypes_target(w->b, type);
	size = btftypes_size(w->b, element);
	if (kind == BTF_KIND_ARRAY)
		len = btftypes_array_len(w->b, type);
	if (len && index >= len)
		return diag_set(w->d, -EINVAL, "'%s': there is no [%llu], it has %u elements",
				w->name, (unsigned long long)index, len);
	if (!size || __builtin_mul_overflow(size * 8, index, &more) || size > MAX_OFFSET)
		return diag_set(w->d, -EINVAL, "'%s': elements of %s cannot be told apart",
				w->name, what);
	if (kind == BTF_KIND_PTR) {
		int err = follow(w);

		if (err)
			return err;
	}
	w->type = element;
	w->bits = 0;
	return go_on(w, more);
}

/* --- the text ------------------------------------------------------------------------------ */

static size_t name_bytes(const char *s)
{
	size_t n = 0;

	while ((s[n] >= 'a' && s[n] <= 'z') || (s[n] >= 'A' && s[n] <= 'Z') || s[n] == '_' ||
	       (n && s[n] >= '0' && s[n] <= '9'))
		n++;
	return n;
}

size_t btfpath_root(const char *source)
{
	return name_bytes(source);
}

/* "[12]": where it ends, or NULL. */
static const char *take_index(const char *s, uint64_t *index)
{
	char *end;

	if (s[1] < '0' || s[1] > '9')
		return NULL;
	errno = 0;
	*index = strtoull(s + 1, &end, 0);
	return *end == ']' && !errno ? end + 1 : NULL;
}

static int take_element(struct walk *w, const char **rest)
{
	const char *s = *rest;
	char member[128];
	uint64_t index;
	size_t n;

	if (*s == '[') {
		*rest = take_index(s, &index);
		if (!*rest)
			return diag_set(w->d, -EINVAL, "'%s': an index is a number in brackets, "
					"as in [0]", w->name);
		return enter_element(w, index);
	}
	s += *s == '.' ? 1 : !strncmp(s, "->", 2) ? 2 : 0;
	n = name_bytes(s);
	if (s == *rest || !n || n >= sizeof(member))
		return diag_set(w->d, -EINVAL, "'%s': expected ->MEMBER, .MEMBER or [NUMBER] at "
				"'%s'", w->name, *rest);
	memcpy(member, s, n);
	member[n] = '\0';
	*rest = s + n;
	return enter_member(w, member);
}

int btfpath_walk(const struct btftypes *b, uint32_t type, const char *rest, const char *name,
		 struct probe_value *v, struct diag *d)
{
	struct walk w = { .b = b, .v = v, .name = name, .d = d, .type = type };
	int err = 0;

	while (!err && *rest)
		err = take_element(&w, &rest);
	return err ? err : btfpath_value_end(&w);
}
