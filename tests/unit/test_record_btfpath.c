#include "record/btfpath.h"

#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/btf.h>

#include "record/nearnames.h"

/*
 * struct inner { char name[16]; u8 raw[6]; };
 * struct outer {
 *	int number;			0
 *	unsigned int low:3, high:7;	bits 32 and 35
 *	struct outer *next;		8
 *	const char *text;		16
 *	union { long a; struct inner *b; };	24
 *	struct inner in[4];		32, 22 bytes each
 *	int (*call)(void);		120
 * };
 * struct small { int id; short kind; };
 * int f(struct outer *o, int n, struct small s, struct outer by_value, char c)
 */
struct made {
	struct btf *btf;
	int integer, outer, small, prototype;
};

static void make_outer(struct made *m, int character, int unsigned_int, int inner)
{
	struct btf *b = m->btf;
	int pointer, text, text_const, inner_pointer, u8, pointer_call, call, array, anonymous, l;

	l = btf__add_int(b, "long int", 8, BTF_INT_SIGNED);
	u8 = btf__find_by_name_kind(b, "u8", BTF_KIND_TYPEDEF);
	assert_true(u8 > 0);
	text_const = btf__add_const(b, character);
	text = btf__add_ptr(b, text_const);
	inner_pointer = btf__add_ptr(b, inner);
	call = btf__add_func_proto(b, m->integer);
	pointer_call = btf__add_ptr(b, call);
	array = btf__add_array(b, unsigned_int, inner, 4);
	anonymous = btf__add_union(b, "", 8);
	btf__add_field(b, "a", l, 0, 0);
	btf__add_field(b, "b", inner_pointer, 0, 0);
	m->outer = btf__add_struct(b, "outer", 128);
	pointer = m->outer + 1;
	btf__add_field(b, "number", m->integer, 0, 0);
	btf__add_field(b, "low", unsigned_int, 32, 3);
	btf__add_field(b, "high", unsigned_int, 35, 7);
	btf__add_field(b, "next", pointer, 64, 0);
	btf__add_field(b, "text", text, 128, 0);
	btf__add_field(b, "", anonymous, 192, 0);
	btf__add_field(b, "in", array, 256, 0);
	btf__add_field(b, "call", pointer_call, 960, 0);
	assert_int_equal(btf__add_ptr(b, m->outer), pointer);
}

static void make(struct made *m)
{
	struct btf *b = btf__new_empty();
	int character, byte, unsigned_int, half, inner;

	assert_non_null(b);
	m->btf = b;
	m->integer = btf__add_int(b, "int", 4, BTF_INT_SIGNED);
	unsigned_int = btf__add_int(b, "unsigned int", 4, 0);
	half = btf__add_int(b, "short int", 2, BTF_INT_SIGNED);
	character = btf__add_int(b, "char", 1, BTF_INT_SIGNED);
	byte = btf__add_int(b, "unsigned char", 1, 0);
	btf__add_typedef(b, "u8", byte);
	inner = btf__add_struct(b, "inner", 22);
	btf__add_field(b, "name", inner + 1, 0, 0);
	btf__add_field(b, "raw", inner + 2, 128, 0);
	btf__add_array(b, unsigned_int, character, 16);
	btf__add_array(b, unsigned_int, btf__find_by_name_kind(b, "u8", BTF_KIND_TYPEDEF), 6);
	make_outer(m, character, unsigned_int, inner);
	m->small = btf__add_struct(b, "small", 8);
	btf__add_field(b, "id", m->integer, 0, 0);
	btf__add_field(b, "kind", half, 32, 0);
	m->prototype = btf__add_func_proto(b, m->integer);
	btf__add_func_param(b, "o", m->outer + 1);
	btf__add_func_param(b, "n", m->integer);
	btf__add_func_param(b, "s", m->small);
	btf__add_func_param(b, "by_value", m->outer);
	btf__add_func_param(b, "c", character);
	btf__add_func(b, "f", BTF_FUNC_GLOBAL, m->prototype);
}

static struct btftypes *load_made(struct made *m)
{
	struct btftypes *types;
	uint32_t size_bytes;
	const void *raw = btf__raw_data(m->btf, &size_bytes);

	assert_int_equal(btftypes_parse(&types, raw, size_bytes, NULL), 0);
	return types;
}

/* Each step as "op:size:shift:value", signed loads with an 's'. */
static const char *steps_of(const struct probe_value *v)
{
	static const char *const ops[] = {
		[FETCH_CTX] = "ctx", [FETCH_KERNEL] = "kernel", [FETCH_USER] = "user",
		[FETCH_ADD] = "add", [FETCH_BITS] = "bits", [FETCH_CURRENT] = "current",
	};
	static char text[512];
	size_t len = 0;

	text[0] = '\0';
	for (uint32_t i = 0; i < v->nr_steps; i++) {
		const struct fetch_step *s = &v->steps[i];

		assert_non_null(ops[s->op]);
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%s%d%s@%lld",
					i ? " " : "", ops[s->op],
					s->op == FETCH_ADD ? 0 : s->size, s->is_signed ? "s" : "",
					s->op == FETCH_BITS ? s->shift : (long long)s->value);
	}
	return text;
}

static struct made made;
static struct btftypes *types;

static int set_up(void **state)
{
	(void)state;
	make(&made);
	types = load_made(&made);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	btftypes_put(types);
	btf__free(made.btf);
	return 0;
}

static struct probe_value value_of(const char *source, const char *steps)
{
	struct probe_value v;
	struct diag d = { "" };
	int err = btfpath_context_value(types, (uint32_t)made.prototype, 0, source, &v, &d);

	if (err)
		fail_msg("%s: %s", source, d.text);
	assert_string_equal(steps_of(&v), steps);
	return v;
}

static void numbers(void **state)
{
	struct probe_value v;

	(void)state;
	v = value_of("n", "ctx4s@8");
	assert_true(v.is_signed && v.size == 4 && v.result == RESULT_NUMBER && !v.is_pointer);
	v = value_of("o->number", "ctx8@0 kernel4s@0");
	assert_true(v.is_signed && v.size == 4);
	v = value_of("o->low", "ctx8@0 kernel1@4 bits3@0");
	assert_true(!v.is_signed && v.size == 1);
	/* Bits 3 to 9 of a number whose first byte does not hold them. */
	value_of("o->high", "ctx8@0 kernel2@4 bits7@3");
	value_of("o->a", "ctx8@0 kernel8s@24");
	value_of("o.next.next->number", "ctx8@0 kernel8@8 kernel8@8 kernel4s@0");
	value_of("o[2].number", "ctx8@0 kernel4s@256");
	value_of("o->next[1]->number", "ctx8@0 kernel8@8 kernel4s@128");
}

static void pointers_and_text(void **state)
{
	struct probe_value v;

	(void)state;
	v = value_of("o", "ctx8@0");
	assert_true(v.is_pointer && !v.is_char_pointer && v.hint == HINT_HEX && v.size == 8);
	v = value_of("o->text", "ctx8@0 kernel8@16");
	assert_true(v.is_char_pointer && v.class == CLASS_USER);
	value_of("o->text[3]", "ctx8@0 kernel8@16 kernel1s@3");
	v = value_of("o->call", "ctx8@0 kernel8@120");
	assert_true(v.is_code && !v.is_char_pointer);
	v = value_of("o->in[3].name", "ctx8@0 add0@98");
	assert_true(v.result == RESULT_STRING && v.max_bytes == 16 && v.space == SPACE_KERNEL);
	v = value_of("o->in[0].raw", "ctx8@0 add0@48");
	assert_true(v.result == RESULT_BYTES && v.max_bytes == 6);
	value_of("o->in[0].raw[5]", "ctx8@0 kernel1@53");
	value_of("o->b->name[1]", "ctx8@0 kernel8@24 kernel1s@1");
}

static void by_value(void **state)
{
	(void)state;
	value_of("s.id", "ctx4s@16");
	value_of("s.kind", "ctx8@16 bits16s@32");
	/* A struct of 128 bytes takes one slot: such functions are not offered. */
	assert_int_equal(btfpath_slot(types, (uint32_t)made.prototype, 5), 5);
}

static const struct {
	const char *source, *words;
} complaints[] = {
	{ "o->numbr", "struct outer has no member 'numbr' (did you mean 'number'?)" },
	{ "o->zzz", "number, low, high, next, text, a, b, in, call" },
	{ "o->in", "array" },
	{ "o->in[4].name", "4 elements" },
	{ "o->in[x]", "index" },
	{ "o->in[0]", "whole struct inner" },
	{ "o->", "expected" },
	{ "o->number.x", "no member 'x'" },
	{ "o->number[0]", "no array" },
	{ "o-number", "expected" },
	{ "o[99999999999999999999]", "index" },
	{ "o[9999999999999999999].number", "told apart" },
	{ "o[99999999].number", "too far" },
	{ "by_value.number", "by value" },
	{ "by_value", "whole struct outer" },
	{ "o->next->next->next->next->next->next->next->next->next->next->next->next->next->next->"
	  "next->next->number", "more than 16 steps" },
};

static void mistakes(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(complaints) / sizeof(*complaints); i++) {
		struct probe_value v;
		struct diag d = { "" };
		int err = btfpath_context_value(types, (uint32_t)made.prototype, 0,
						complaints[i].source, &v, &d);

		if (err >= 0 || !strstr(d.text, complaints[i].words))
			fail_msg("%s: %d, %s", complaints[i].source, err, d.text);
	}
	assert_int_equal(btfpath_argument(types, (uint32_t)made.prototype, "nosuch->x"), -ENOENT);
	assert_int_equal(btfpath_argument(types, (uint32_t)made.prototype, ""), -ENOENT);
	assert_int_equal(btfpath_argument(types, (uint32_t)made.prototype, "c->x"), 4);
}

static void type_texts(void **state)
{
	char text[64];

	(void)state;
	btftypes_text(types, (uint32_t)made.outer + 1, text, sizeof(text));
	assert_string_equal(text, "struct outer *");
	btftypes_text(types, 0, text, sizeof(text));
	assert_string_equal(text, "void");
	btftypes_text(types, (uint32_t)made.outer + 1, text, 8);
	assert_string_equal(text, "struct ");
	assert_int_equal(btftypes_prototype(types, btftypes_find(types, "f", BTF_KIND_FUNC)),
			 made.prototype);
}

/* --- the kernel's own types ------------------------------------------------------------- */

/* What libbpf says of each plain member of a struct is what a walk to it reads. */
static size_t compare_struct(const struct btf *oracle, const struct btftypes *b,
			     const char *name)
{
	int id = btf__find_by_name_kind(oracle, name, BTF_KIND_STRUCT);
	const struct btf_type *t = id > 0 ? btf__type_by_id(oracle, (__u32)id) : NULL;
	uint32_t pointer;
	size_t nr = 0;

	for (pointer = 1; pointer <= btftypes_last(b); pointer++)
		if (btftypes_kind(b, pointer) == BTF_KIND_PTR &&
		    btftypes_target(b, pointer) == (uint32_t)id)
			break;
	for (int i = 0; t && pointer <= btftypes_last(b) && i < btf_vlen(t); i++) {
		const struct btf_member *m = btf_members(t) + i;
		const char *member = btf__name_by_offset(oracle, m->name_off);
		const struct btf_type *type = btf__type_by_id(oracle,
						(__u32)btf__resolve_type(oracle, m->type));
		struct probe_value v = { .nr_steps = 1, .steps = { { .op = FETCH_CURRENT } } };
		struct diag d = { "" };
		char rest[128];

		if (!*member || (!btf_is_int(type) && !btf_is_ptr(type)))
			continue;
		snprintf(rest, sizeof(rest), "->%s", member);
		if (btfpath_walk(b, pointer, rest, rest, &v, &d))
			fail_msg("%s%s: %s", name, rest, d.text);
		nr++;
		if (btf_member_bitfield_size(t, (__u32)i)) {
			assert_int_equal(v.steps[2].size, btf_member_bitfield_size(t, (__u32)i));
			assert_int_equal(8 * v.steps[1].value + v.steps[2].shift,
					 btf_member_bit_offset(t, (__u32)i));
			continue;
		}
		assert_int_equal(v.nr_steps, 2);
		assert_int_equal(8 * v.steps[1].value, btf_member_bit_offset(t, (__u32)i));
		assert_int_equal(v.steps[1].size, btf_is_ptr(type) ? 8 : type->size);
		assert_int_equal(v.is_pointer, btf_is_ptr(type));
	}
	return nr;
}

static void kernel_structs(void **state)
{
	static const char *const names[] = { "task_struct", "file", "inode", "sock", "sk_buff",
					     "mm_struct", "request", "tcp_sock", "page" };
	struct btftypes *b, *again;
	struct btf *oracle;
	struct diag d = { "" };
	size_t nr = 0;

	(void)state;
	if (access("/sys/kernel/btf/vmlinux", R_OK) < 0) {
		print_message("this kernel has no BTF\n");
		skip();
	}
	assert_int_equal(btftypes_get(&b, NULL, &d), 0);
	assert_int_equal(btftypes_get(&again, NULL, &d), 0);
	assert_ptr_equal(b, again);
	oracle = btf__parse("/sys/kernel/btf/vmlinux", NULL);
	assert_non_null(oracle);
	assert_int_equal(btftypes_last(b), btf__type_cnt(oracle) - 1);
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		nr += compare_struct(oracle, b, names[i]);
	assert_true(nr > 300);
	btf__free(oracle);
	btftypes_put(again);
	btftypes_put(b);
	assert_int_equal(btftypes_get(&b, "no-such-module", &d), -ENOENT);
	assert_non_null(strstr(d.text, "no-such-module"));
	assert_int_equal(btftypes_get(&b, "../../../etc/passwd", NULL), -ENOENT);
}

/* --- damage ------------------------------------------------------------------------------ */

static const char *const sources[] = {
	"o", "n", "o->number", "o->high", "o->next->next->in[2].name", "o->b->raw[1]", "o->nosuch",
	"s.kind", "by_value.number", "c", "o[3].call", "o->in",
};

/* Walks everything there is; what comes out does not matter, that it comes out does. */
static void use_all(struct btftypes *b)
{
	uint32_t function = btftypes_find(b, "f", BTF_KIND_FUNC);
	struct probe_value v;
	char text[64];

	for (uint32_t id = 0; id <= btftypes_last(b) + 1; id++) {
		struct diag d = { "" };

		btftypes_text(b, id, text, sizeof(text));
		btftypes_size(b, id);
		btftypes_prototype(b, id);
		btfpath_is_scalar(b, id);
		memset(&v, 0, sizeof(v));
		btfpath_walk(b, id, "->next->in[1].name", "x", &v, &d);
		assert_true(v.nr_steps <= FETCH_MAX_STEPS);
		for (size_t i = 0; i < sizeof(sources) / sizeof(*sources); i++) {
			d.text[0] = '\0';
			btfpath_context_value(b, id == 0 ? btftypes_prototype(b, function) : id, 0,
					      sources[i], &v, &d);
		}
		btfpath_curtask(b, "curtask->next", &v, &d);
	}
}

static void damaged(void **state)
{
	uint32_t size_bytes, seed = 1, nr_sound = 0;
	const void *raw = btf__raw_data(made.btf, &size_bytes);
	uint8_t *copy = malloc(size_bytes);

	(void)state;
	assert_non_null(copy);
	for (int round = 0; round < 4000; round++) {
		struct btftypes *b;
		uint32_t len = size_bytes;

		memcpy(copy, raw, size_bytes);
		for (int i = 0; i < 1 + round % 4; i++) {
			seed = seed * 1103515245 + 12345;
			copy[(seed >> 8) % size_bytes] = (uint8_t)(round % 3 ? seed >> 24 :
								  (seed >> 24) % 32);
		}
		if (round % 5 == 0)
			len = (seed >> 4) % size_bytes;
		if (btftypes_parse(&b, copy, len, NULL))
			continue;
		nr_sound++;
		use_all(b);
		btftypes_put(b);
	}
	free(copy);
	/* Most of what is changed leaves something that can be walked. */
	assert_true(nr_sound > 500);
}

/* A module's types count on from those of the kernel. */
static void split(void **state)
{
	struct btf *module = btf__new_empty_split(made.btf);
	struct btftypes *own;
	uint32_t size_bytes, id;
	const void *raw;
	struct diag d = { "" };
	struct probe_value v = { .nr_steps = 1, .steps = { { .op = FETCH_CTX, .size = 8 } } };

	(void)state;
	assert_non_null(module);
	id = (uint32_t)btf__add_struct(module, "mine", 16);
	btf__add_field(module, "first", made.integer, 0, 0);
	btf__add_field(module, "theirs", made.outer + 1, 64, 0);
	btf__add_ptr(module, (int)id);
	raw = btf__raw_data(module, &size_bytes);
	assert_int_equal(btftypes_parse(&own, raw, size_bytes, types), 0);
	assert_int_equal(btftypes_first_own(own), btftypes_last(types) + 1);
	assert_int_equal(btftypes_find(own, "mine", BTF_KIND_STRUCT), id);
	assert_int_equal(btftypes_find(own, "outer", BTF_KIND_STRUCT), made.outer);
	assert_int_equal(btfpath_walk(own, id + 1, "->theirs->in[1].name", "x", &v, &d), 0);
	assert_string_equal(steps_of(&v), "ctx8@0 kernel8@8 add0@54");
	btftypes_put(own);
	btf__free(module);
}

static void near_names(void **state)
{
	struct nearnames n;
	char text[256];

	(void)state;
	nearnames_begin(&n, "vfs_raed");
	nearnames_try(&n, "vfs_write");
	nearnames_try(&n, "vfs_readv");
	nearnames_try(&n, "vfs_read");
	nearnames_try(&n, "vfs_read");
	nearnames_try(&n, "something_else");
	nearnames_text(&n, text, sizeof(text));
	assert_string_equal(text, " (did you mean 'vfs_read' or 'vfs_readv'?)");
	nearnames_text(&n, text, 8);
	assert_int_equal(strlen(text), 7);
	nearnames_begin(&n, "x");
	nearnames_try(&n, "y");
	nearnames_text(&n, text, sizeof(text));
	assert_string_equal(text, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(numbers, set_up, tear_down),
		cmocka_unit_test_setup_teardown(pointers_and_text, set_up, tear_down),
		cmocka_unit_test_setup_teardown(by_value, set_up, tear_down),
		cmocka_unit_test_setup_teardown(mistakes, set_up, tear_down),
		cmocka_unit_test_setup_teardown(type_texts, set_up, tear_down),
		cmocka_unit_test_setup_teardown(damaged, set_up, tear_down),
		cmocka_unit_test_setup_teardown(split, set_up, tear_down),
		cmocka_unit_test(kernel_structs),
		cmocka_unit_test(near_names),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
