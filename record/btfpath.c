#include "record/btfpath.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "record/nearnames.h"

#define MAX_NESTING 32			/* of qualifiers */
#define MAX_MEMBERS 4096		/* of a struct, anonymous ones within included */
#define MAX_OFFSET INT32_MAX		/* what one instruction adds */

/*
 * Where the walk stands: at a value that the steps have fetched (of which, in a
 * struct passed in a register, bits are meant), or at a place in memory, the
 * number plus an offset, that is not read yet.
 */
struct walk {
	const struct btftypes *b;
	struct probe_value *v;
	const char *name;
	struct diag *d;
	uint32_t type;
	bool is_place, is_user;
	uint64_t offset_bits;
	uint32_t bits;			/* of a bit field, else 0 */
	char member[128];		/* the last one's name */
};

static int add_step(struct walk *w, struct fetch_step step)
{
	if (w->v->nr_steps == FETCH_MAX_STEPS)
		return diag_set(w->d, -E2BIG, "'%s' takes more than %d steps", w->name,
				FETCH_MAX_STEPS);
	w->v->steps[w->v->nr_steps++] = step;
	return 0;
}

static uint32_t here(const struct walk *w)
{
	return btftypes_strip(w->b, w->type);
}

static bool has_members(const struct btftypes *b, uint32_t type)
{
	unsigned int kind = btftypes_kind(b, type);

	return kind == BTF_KIND_STRUCT || kind == BTF_KIND_UNION;
}

/* Pointers that the kernel marks as the user's carry a tag, if its compiler knows them. */
static bool is_tagged_user(const struct btftypes *b, uint32_t pointer)
{
	uint32_t to = btftypes_target(b, pointer);

	for (int i = 0; i < MAX_NESTING && to; i++) {
		unsigned int kind = btftypes_kind(b, to);

		if (kind == BTF_KIND_TYPE_TAG && !strcmp(btftypes_name(b, to), "user"))
			return true;
		if (kind != BTF_KIND_TYPE_TAG && kind != BTF_KIND_CONST &&
		    kind != BTF_KIND_VOLATILE && kind != BTF_KIND_RESTRICT)
			return false;
		to = btftypes_target(b, to);
	}
	return false;
}

/*
 * Text that a function only reads is recorded as text; what it may write is a buffer
 * with anything in it, which has to be asked for.
 */
static bool is_const(const struct btftypes *b, uint32_t type)
{
	for (int i = 0; i < MAX_NESTING; i++) {
		unsigned int kind = btftypes_kind(b, type);

		if (kind == BTF_KIND_CONST)
			return true;
		if (kind != BTF_KIND_VOLATILE && kind != BTF_KIND_TYPE_TAG &&
		    kind != BTF_KIND_RESTRICT)
			return false;
		type = btftypes_target(b, type);
	}
	return false;
}

/* Text has no name of its own: u8 and its like are numbers. */
static bool is_char(const struct btftypes *b, uint32_t type)
{
	for (int i = 0; i < MAX_NESTING; i++) {
		unsigned int kind = btftypes_kind(b, type);

		if (kind == BTF_KIND_INT)
			return btftypes_size(b, type) == 1 &&
			       strstr(btftypes_name(b, type), "char");
		if (kind != BTF_KIND_CONST && kind != BTF_KIND_VOLATILE &&
		    kind != BTF_KIND_TYPE_TAG && kind != BTF_KIND_RESTRICT)
			return false;
		type = btftypes_target(b, type);
	}
	return false;
}

/* --- members ------------------------------------------------------------------------- */

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
		if (!has_members(b, inner) || !find_member(b, inner, name, budget, out))
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
		if (!n && has_members(b, inner))
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

static int complain_member(const struct walk *w, uint32_t type, const char *member)
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

/* --- one element ---------------------------------------------------------------------- */

/* From a pointer to what it points to. */
static int follow(struct walk *w)
{
	uint32_t pointer = here(w);
	bool is_user = is_tagged_user(w->b, pointer);
	int err = 0;

	if (w->is_place)
		err = add_step(w, (struct fetch_step){
			.op = w->is_user ? FETCH_USER : FETCH_KERNEL, .size = 8,
			.value = (int64_t)(w->offset_bits / 8),
		});
	else if (w->offset_bits)
		err = add_step(w, (struct fetch_step){
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
	unsigned int budget = MAX_MEMBERS;
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
	if (!has_members(w->b, type)) {
		btftypes_text(w->b, w->type, what, sizeof(what));
		return diag_set(w->d, -EINVAL, "'%s': no member '%s', what is before it is %s%s",
				w->name, member, what,
				type ? "" : ", of which the kernel's types say no more");
	}
	if (!w->is_place && btftypes_size(w->b, type) > 8) {
		btftypes_text(w->b, type, what, sizeof(what));
		return diag_set(w->d, -EINVAL, "'%s': %s is passed by value", w->name, what);
	}
	if (!find_member(w->b, type, member, &budget, &m))
		return complain_member(w, type, member);
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

/* --- the end of it ---------------------------------------------------------------------- */

static bool is_load(const struct fetch_step *s)
{
	return s->op == FETCH_CTX || s->op == FETCH_KERNEL || s->op == FETCH_USER;
}

/* Takes `bits` of the value that the steps have fetched. */
static int narrow(struct walk *w, uint32_t bits, bool is_signed)
{
	struct fetch_step *last = w->v->nr_steps ? &w->v->steps[w->v->nr_steps - 1] : NULL;

	if (!w->offset_bits && bits == 64)
		return 0;
	/* The lowest bytes come first on a little-endian machine. */
	if (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ && last && is_load(last) &&
	    last->size == 8 && !w->offset_bits && bits % 8 == 0) {
		last->size = (uint8_t)(bits / 8);
		last->is_signed = is_signed;
		return 0;
	}
	return add_step(w, (struct fetch_step){
		.op = FETCH_BITS, .shift = (uint8_t)w->offset_bits, .size = (uint8_t)bits,
		.is_signed = is_signed,
	});
}

/* Loads from the place; the smallest aligned number that has a bit field whole. */
static int load(struct walk *w, uint32_t size, bool is_signed)
{
	uint8_t op = w->is_user ? FETCH_USER : FETCH_KERNEL;
	uint64_t base = w->offset_bits / 8;
	uint32_t shift;
	int err;

	if (!w->bits)
		return add_step(w, (struct fetch_step){
			.op = op, .size = (uint8_t)size, .is_signed = is_signed,
			.value = (int64_t)base,
		});
	for (size = 1; size <= 8; size *= 2) {
		base = w->offset_bits / 8 / size * size;
		if (w->offset_bits + w->bits <= (base + size) * 8)
			break;
	}
	if (size > 8)
		return diag_set(w->d, -EINVAL, "'%s' is a bit field that no number holds",
				w->name);
	shift = (uint32_t)(w->offset_bits - base * 8);
	if (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__)
		shift = size * 8 - shift - w->bits;
	err = add_step(w, (struct fetch_step){
		.op = op, .size = (uint8_t)size, .value = (int64_t)base,
	});
	return err ? err : add_step(w, (struct fetch_step){
		.op = FETCH_BITS, .shift = (uint8_t)shift, .size = (uint8_t)w->bits,
		.is_signed = is_signed,
	});
}

static uint8_t round_up_size(uint32_t bits)
{
	return bits <= 8 ? 1 : bits <= 16 ? 2 : bits <= 32 ? 4 : 8;
}

static int end_number(struct walk *w, uint32_t type)
{
	struct btftypes_int n = btftypes_int(w->b, type);
	uint64_t size = btftypes_size(w->b, type);
	uint32_t bits = w->bits ? w->bits : (uint32_t)size * 8;
	char what[80];

	if (!n.bits || btftypes_kind(w->b, type) == BTF_KIND_FLOAT || bits > 64 ||
	    (!w->bits && size != 1 && size != 2 && size != 4 && size != 8)) {
		btftypes_text(w->b, w->type, what, sizeof(what));
		return diag_set(w->d, -EINVAL, "'%s' is of type %s, which cannot be recorded",
				w->name, what);
	}
	if (!w->is_place && w->offset_bits + bits > 64)
		return diag_set(w->d, -EINVAL, "'%s' is not in the register", w->name);
	w->v->result = RESULT_NUMBER;
	w->v->size = round_up_size(bits);
	w->v->is_signed = n.is_signed;
	return w->is_place ? load(w, (uint32_t)size, n.is_signed) : narrow(w, bits, n.is_signed);
}

/* How private text is: by the names that it has in the kernel. */
static uint8_t class_of(const struct walk *w)
{
	static const char *const paths[] = { "d_name", "d_iname", "d_shortname", "filename",
					     "pathname", "path" };

	if (!strcmp(w->member, "comm"))
		return CLASS_COMMAND;
	for (size_t i = 0; i < sizeof(paths) / sizeof(*paths); i++)
		if (strstr(w->name, paths[i]))
			return CLASS_PATH;
	return CLASS_USER;
}

static int end_pointer(struct walk *w, uint32_t type)
{
	struct probe_value *v = w->v;
	uint32_t to = btftypes_target(w->b, type);

	v->result = RESULT_NUMBER;
	v->size = 8;
	v->is_pointer = true;
	v->hint = HINT_HEX;
	v->space = is_tagged_user(w->b, type) ? SPACE_USER : SPACE_ANY;
	if (is_char(w->b, to)) {
		v->is_char_pointer = is_const(w->b, to);
		v->class = class_of(w);
	}
	if (btftypes_kind(w->b, btftypes_strip(w->b, to)) == BTF_KIND_FUNC_PROTO) {
		v->is_code = true;
		v->space = SPACE_ANY;
	}
	return w->is_place ? load(w, 8, false) : narrow(w, 64, false);
}

/* Memory as it lies there: text, or bytes. */
static int end_memory(struct walk *w, uint64_t size, bool is_text)
{
	struct probe_value *v = w->v;

	if (!w->is_place)
		return diag_set(w->d, -EINVAL, "'%s' is passed by value", w->name);
	if (size > PROBE_MAX_STRING_BYTES)
		size = PROBE_MAX_STRING_BYTES;
	v->result = is_text ? RESULT_STRING : RESULT_BYTES;
	/* An array without an end of its own. */
	v->max_bytes = size ? (uint32_t)size : PROBE_STRING_BYTES;
	v->size = 8;
	v->class = class_of(w);
	v->space = w->is_user ? SPACE_USER : SPACE_KERNEL;
	return add_step(w, (struct fetch_step){
		.op = FETCH_ADD, .value = (int64_t)(w->offset_bits / 8),
	});
}

static int complain_whole(const struct walk *w, uint32_t type)
{
	struct listing l = { .budget = MAX_MEMBERS };
	char what[80];

	btftypes_text(w->b, w->type, what, sizeof(what));
	if (btftypes_kind(w->b, type) == BTF_KIND_ARRAY)
		return diag_set(w->d, -EINVAL, "'%s' is an array, %s: say which element, as %s[0]",
				w->name, what, w->name);
	if (!has_members(w->b, type))
		return diag_set(w->d, -EINVAL, "'%s' is of type %s, which cannot be recorded",
				w->name, what);
	list_members(w->b, type, &l);
	return diag_set(w->d, -EINVAL, "'%s' is a whole %s: say which member (%s%s)", w->name,
			what, l.text, l.is_cut ? " ..." : "");
}

static int finish(struct walk *w)
{
	uint32_t type = here(w), element;
	uint64_t size;

	switch (btftypes_kind(w->b, type)) {
	case BTF_KIND_INT:
	case BTF_KIND_ENUM:
	case BTF_KIND_ENUM64:
	case BTF_KIND_FLOAT:
		return end_number(w, type);
	case BTF_KIND_PTR:
		return end_pointer(w, type);
	case BTF_KIND_ARRAY:
		element = btftypes_target(w->b, type);
		if (is_char(w->b, element))
			return end_memory(w, btftypes_array_len(w->b, type), true);
		size = btftypes_size(w->b, type);
		if (btftypes_size(w->b, element) == 1 && size)
			return end_memory(w, size, false);
		break;
	case BTF_KIND_STRUCT:
		if (w->is_place && !strcmp(btftypes_name(w->b, type), "in6_addr")) {
			w->v->hint = HINT_IP;
			return end_memory(w, 16, false);
		}
		break;
	}
	return complain_whole(w, type);
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
	return err ? err : finish(&w);
}
