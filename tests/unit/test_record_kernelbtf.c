#include "record/kernelbtf.h"

#include <bpf/btf.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "record/btftypes.h"

static const char *const names[] = { "outer", "other" };

/*
 * struct inner { int a; };
 * struct far { int never; };
 * struct outer { struct inner in; struct far *pointer; const int list[4]; };
 */
static struct btf *make_types(void)
{
	struct btf *b = btf__new_empty();
	int number, inner, far, pointer, constant, list;

	number = btf__add_int(b, "int", 4, BTF_INT_SIGNED);
	inner = btf__add_struct(b, "inner", 4);
	btf__add_field(b, "a", number, 0, 0);
	far = btf__add_struct(b, "far", 4);
	btf__add_field(b, "never", number, 0, 0);
	pointer = btf__add_ptr(b, far);
	constant = btf__add_const(b, number);
	list = btf__add_array(b, number, constant, 4);
	btf__add_struct(b, "outer", 32);
	btf__add_field(b, "in", inner, 0, 0);
	btf__add_field(b, "pointer", pointer, 64, 0);
	btf__add_field(b, "list", list, 128, 0);
	btf__add_func_proto(b, number);
	btf__add_func_param(b, "x", pointer);
	btf__add_enum(b, "choice", 4);
	btf__add_enum_value(b, "ONE", 1);
	return b;
}

static int reduce(const void *raw, size_t bytes, const char *const *wanted, size_t nr,
		  void **out, size_t *out_bytes)
{
	struct btftypes *types;
	int err = btftypes_parse(&types, raw, bytes, NULL);

	if (err)
		return err;
	err = kernelbtf_reduce(types, wanted, nr, out, out_bytes);
	btftypes_put(types);
	return err;
}

static const struct btf_member *find_member(const struct btf *b, const char *type, const char *name)
{
	int id = btf__find_by_name_kind(b, type, BTF_KIND_STRUCT);
	const struct btf_type *t = id > 0 ? btf__type_by_id(b, (uint32_t)id) : NULL;

	for (int i = 0; t && i < btf_vlen(t); i++) {
		const struct btf_member *m = &btf_members(t)[i];

		if (strcmp(btf__name_by_offset(b, m->name_off), name) == 0)
			return m;
	}
	return NULL;
}

static void keeps_what_lies_inside(void **state)
{
	struct btf *whole = make_types(), *part;
	uint32_t bytes;
	const void *raw = btf__raw_data(whole, &bytes);
	const struct btf_member *m;
	const struct btf_type *t;
	void *out = NULL;
	size_t out_bytes = 0;

	(void)state;
	assert_int_equal(reduce(raw, bytes, names, 2, &out, &out_bytes), 0);
	part = btf__new(out, (uint32_t)out_bytes);
	assert_non_null(part);
	m = find_member(part, "outer", "list");
	assert_non_null(m);
	assert_int_equal(m->offset, 128);
	t = btf__type_by_id(part, m->type);
	assert_int_equal(btf_kind(t), BTF_KIND_ARRAY);
	assert_int_equal(btf_array(t)->nelems, 4);
	m = find_member(part, "outer", "pointer");
	assert_int_equal(btf_kind(btf__type_by_id(part, m->type)), BTF_KIND_PTR);
	assert_int_equal(btf__type_by_id(part, m->type)->type, 0);
	assert_non_null(find_member(part, "inner", "a"));
	assert_null(find_member(part, "far", "never"));
	assert_true(btf__find_by_name_kind(part, "choice", BTF_KIND_ENUM) < 0);
	btf__free(part);
	btf__free(whole);
	free(out);
}

static void wanted_names_must_be_there(void **state)
{
	static const char *const missing[] = { "nowhere", "in" };
	struct btf *whole = make_types();
	uint32_t bytes;
	const void *raw = btf__raw_data(whole, &bytes);
	void *out;
	size_t out_bytes;

	(void)state;
	assert_int_equal(reduce(raw, bytes, missing, 2, &out, &out_bytes), -ENOENT);
	btf__free(whole);
}

static void survives_damage(void **state)
{
	struct btf *whole = make_types();
	uint32_t bytes;
	const void *raw = btf__raw_data(whole, &bytes);
	size_t out_bytes;
	void *out;

	(void)state;
	srand(1);
	for (uint32_t cut = 0; cut < bytes; cut++) {
		uint8_t *copy = malloc(cut ? cut : 1);

		memcpy(copy, raw, cut);
		assert_int_equal(reduce(copy, cut, names, 2, &out, &out_bytes), -EBADMSG);
		free(copy);
	}
	for (int i = 0; i < 20000; i++) {
		uint8_t *copy = malloc(bytes);
		int err;

		memcpy(copy, raw, bytes);
		for (int n = rand() % 8; n >= 0; n--)
			copy[(uint32_t)rand() % bytes] = (uint8_t)rand();
		err = reduce(copy, bytes, names, 2, &out, &out_bytes);
		assert_true(err == 0 || err == -EBADMSG || err == -ENOENT);
		if (!err)
			free(out);
		free(copy);
	}
	btf__free(whole);
}

static void named_enumerations_keep_their_values(void **state)
{
	static const char *const wanted[] = { "choice", "wide" };
	struct btf *whole = make_types(), *part;
	const struct btf_type *t;
	const void *raw;
	uint32_t bytes;
	void *out = NULL;
	size_t out_bytes = 0;
	int id;

	(void)state;
	btf__add_enum64(whole, "wide", 8, false);
	btf__add_enum64_value(whole, "TWO", UINT64_C(1) << 40);
	raw = btf__raw_data(whole, &bytes);
	assert_int_equal(reduce(raw, bytes, wanted, 2, &out, &out_bytes), 0);
	part = btf__new(out, (uint32_t)out_bytes);
	assert_non_null(part);
	id = btf__find_by_name_kind(part, "choice", BTF_KIND_ENUM);
	assert_true(id > 0);
	t = btf__type_by_id(part, (uint32_t)id);
	assert_int_equal(btf_vlen(t), 1);
	assert_string_equal(btf__name_by_offset(part, btf_enum(t)->name_off), "ONE");
	assert_int_equal(btf_enum(t)->val, 1);
	id = btf__find_by_name_kind(part, "wide", BTF_KIND_ENUM64);
	assert_true(id > 0);
	t = btf__type_by_id(part, (uint32_t)id);
	assert_string_equal(btf__name_by_offset(part, btf_enum64(t)->name_off), "TWO");
	assert_int_equal(btf_enum64_value(btf_enum64(t)), UINT64_C(1) << 40);
	btf__free(part);
	free(out);
	btf__free(whole);
}

/* libbpf's view of the whole agrees with its view of the part. */
static void agrees_with_the_running_kernel(void **state)
{
	static const char *const kernel_names[] = { "task_struct", "pid" };
	static const char *const members[] = { "pid", "tgid", "comm", "mm", "signal", "thread_pid" };
	struct btf *whole = btf__parse(KERNELBTF_PATH, NULL), *part;
	char path[64];
	int fd;

	(void)state;
	if (!whole) {
		print_message("# skip: no %s\n", KERNELBTF_PATH);
		skip();
	}
	fd = kernelbtf_open(kernel_names, 2);
	assert_true(fd >= 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	part = btf__parse(path, NULL);
	close(fd);
	assert_non_null(part);
	assert_true(btf__type_cnt(part) < btf__type_cnt(whole) / 20);
	for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
		const struct btf_member *in_whole, *in_part;

		in_whole = find_member(whole, "task_struct", members[i]);
		in_part = find_member(part, "task_struct", members[i]);
		assert_non_null(in_whole);
		assert_non_null(in_part);
		assert_int_equal(in_part->offset, in_whole->offset);
		assert_int_equal(btf__resolve_size(part, in_part->type),
				 btf__resolve_size(whole, in_whole->type));
	}
	btf__free(part);
	btf__free(whole);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keeps_what_lies_inside),
		cmocka_unit_test(wanted_names_must_be_there),
		cmocka_unit_test(named_enumerations_keep_their_values),
		cmocka_unit_test(survives_damage),
		cmocka_unit_test(agrees_with_the_running_kernel),
	};

	return cmocka_run_group_tests_name("record/kernelbtf", tests, NULL, NULL);
}
