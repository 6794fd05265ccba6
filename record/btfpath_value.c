/*
 * The end of a walk: how its value is loaded from where it stands, and what it is.
 */
#include "record/btfpath_private.h"

#include <errno.h>
#include <string.h>

#define MAX_NESTING 32			/* of qualifiers */

/* Pointers that the kernel marks as the user's carry a tag, if its compiler knows them. */
bool btfpath_value_is_user(const struct btftypes *b, uint32_t pointer)
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

int btfpath_value_add_step(struct walk *w, struct fetch_step step)
{
	if (w->v->nr_steps == FETCH_MAX_STEPS)
		return diag_set(w->d, -E2BIG, "'%s' takes more than %d steps", w->name,
				FETCH_MAX_STEPS);
	w->v->steps[w->v->nr_steps++] = step;
	return 0;
}

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
	return btfpath_value_add_step(w, (struct fetch_step){
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
		return btfpath_value_add_step(w, (struct fetch_step){
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
	err = btfpath_value_add_step(w, (struct fetch_step){
		.op = op, .size = (uint8_t)size, .value = (int64_t)base,
	});
	return err ? err : btfpath_value_add_step(w, (struct fetch_step){
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
	v->space = btfpath_value_is_user(w->b, type) ? SPACE_USER : SPACE_ANY;
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
	return btfpath_value_add_step(w, (struct fetch_step){
		.op = FETCH_ADD, .value = (int64_t)(w->offset_bits / 8),
	});
}

static int complain_whole(const struct walk *w, uint32_t type)
{
	char what[80], members[264];

	btftypes_text(w->b, w->type, what, sizeof(what));
	if (btftypes_kind(w->b, type) == BTF_KIND_ARRAY)
		return diag_set(w->d, -EINVAL, "'%s' is an array, %s: say which element, as %s[0]",
				w->name, what, w->name);
	if (!btfpath_members_has_any(w->b, type))
		return diag_set(w->d, -EINVAL, "'%s' is of type %s, which cannot be recorded",
				w->name, what);
	btfpath_members_text(w->b, type, members, sizeof(members));
	return diag_set(w->d, -EINVAL, "'%s' is a whole %s: say which member (%s)", w->name,
			what, members);
}

int btfpath_value_end(struct walk *w)
{
	uint32_t type = btftypes_strip(w->b, w->type), element;
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
