#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "record/tpfields.h"
#include "record/tpformat.h"
#include "record/tracefs.h"

#define COMMON \
	"\tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;\n" \
	"\tfield:unsigned char common_flags;\toffset:2;\tsize:1;\tsigned:0;\n" \
	"\tfield:unsigned char common_preempt_count;\toffset:3;\tsize:1;\tsigned:0;\n" \
	"\tfield:int common_pid;\toffset:4;\tsize:4;\tsigned:1;\n\n"
#define FORMAT(fields, print) \
	"name: event\nID: 77\nformat:\n" COMMON fields "\nprint fmt: " print "\n"

static const char odd[] = FORMAT(
	"\tfield:unsigned long args[6];\toffset:8;\tsize:48;\tsigned:0;\n"
	"\tfield:char comm[16];\toffset:56;\tsize:16;\tsigned:0;\n"
	"\tfield:u8 saddr[4];\toffset:72;\tsize:4;\tsigned:0;\n"
	"\tfield:__u8 daddr_v6[16];\toffset:76;\tsize:16;\tsigned:0;\n"
	"\tfield:__data_loc char[] name;\toffset:92;\tsize:4;\tsigned:0;\n"
	"\tfield:__rel_loc char[] path;\toffset:96;\tsize:4;\tsigned:0;\n"
	"\tfield:__data_loc u64[] values;\toffset:100;\tsize:4;\tsigned:0;\n"
	"\tfield:const void * function;\toffset:104;\tsize:8;\tsigned:0;\n"
	"\tfield:short packed;\toffset:113;\tsize:2;\tsigned:1;\n"
	"\tfield:struct odd thing;\toffset:115;\tsize:24;\tsigned:0;\n"
	"\tfield:void * caller[8];\toffset:144;\tsize:64;\tsigned:0;\n"
	"\tfield:int many[20];\toffset:208;\tsize:80;\tsigned:1;\n"
	"\tfield:char tail[];\toffset:288;\tsize:0;\tsigned:0;\n",
	"\"100%% %*d \" \"%ps %pS\", 5, REC->packed, REC->function, (void *)REC->caller[0]");

static void parse(struct tpformat *f, const char *text)
{
	struct diag d = { "" };

	if (tpformat_parse(f, text, "sys", "event", &d))
		fail_msg("%s", d.text);
}

static const struct tpformat_field *field(const struct tpformat *f, const char *name)
{
	const struct tpformat_field *found = tpformat_find(f, name);

	if (!found)
		fail_msg("no field '%s'", name);
	return found;
}

static void test_odd_fields(void **state)
{
	struct tpformat f;

	(void)state;
	parse(&f, odd);
	assert_int_equal(f.id, 77);
	assert_int_equal(f.nr_fields, 12);
	assert_int_equal(field(&f, "args")->shape, TPFORMAT_NUMBERS);
	assert_int_equal(field(&f, "args")->element_bytes, 8);
	assert_int_equal(field(&f, "args")->nr_elements, 6);
	assert_int_equal(field(&f, "comm")->shape, TPFORMAT_TEXT);
	assert_int_equal(field(&f, "name")->shape, TPFORMAT_DYNAMIC_TEXT);
	assert_false(field(&f, "name")->is_relative);
	assert_int_equal(field(&f, "path")->shape, TPFORMAT_DYNAMIC_TEXT);
	assert_true(field(&f, "path")->is_relative);
	assert_int_equal(field(&f, "values")->shape, TPFORMAT_DYNAMIC_BYTES);
	assert_true(field(&f, "function")->is_pointer);
	assert_true(field(&f, "function")->is_code);
	assert_true(field(&f, "caller")->is_code);
	assert_false(field(&f, "packed")->is_code);
	assert_true(field(&f, "packed")->is_signed);
	assert_int_equal(field(&f, "thing")->shape, TPFORMAT_BYTES);
	assert_null(tpformat_find(&f, "tail"));
	tpformat_release(&f);
}

static struct probe_value value(const struct tpformat *f, const char *name)
{
	struct probe_value v;

	if (tpfields_find(f, "sys", name, &v, NULL))
		fail_msg("no value '%s'", name);
	return v;
}

static void test_values(void **state)
{
	struct diag d = { "" };
	struct probe_value v;
	struct tpformat f;

	(void)state;
	parse(&f, odd);
	v = value(&f, "args[5]");
	assert_int_equal(v.steps[0].op, FETCH_CTX);
	assert_int_equal(v.steps[0].value, 48);
	assert_int_equal(v.size, 8);
	assert_int_equal(tpfields_find(&f, "sys", "args[6]", &v, &d), -22);
	assert_non_null(strstr(d.text, "6 elements"));
	assert_int_equal(tpfields_find(&f, "sys", "args[-1]", &v, NULL), -22);
	assert_int_equal(tpfields_find(&f, "sys", "args[0", &v, NULL), -22);
	assert_int_equal(tpfields_find(&f, "sys", "other", &v, NULL), -2);
	v = value(&f, "packed");
	assert_int_equal(v.nr_steps, 2);
	assert_int_equal(v.steps[0].op, FETCH_CTX_ADDRESS);
	assert_int_equal(v.steps[1].op, FETCH_KERNEL);
	v = value(&f, "comm");
	assert_int_equal(v.result, RESULT_STRING);
	assert_int_equal(v.max_bytes, 16);
	assert_int_equal(v.class, CLASS_COMMAND);
	assert_int_equal(value(&f, "saddr").hint, HINT_IP);
	assert_int_equal(value(&f, "daddr_v6").hint, HINT_IP);
	assert_int_equal(value(&f, "path").steps[0].op, FETCH_REL_LOC);
	assert_int_equal(value(&f, "values").result, RESULT_DATA_LOC_BYTES);
	assert_int_equal(value(&f, "many").max_bytes, 80);
	assert_int_equal(value(&f, "function").hint, HINT_HEX);
	tpformat_release(&f);
}

static int count_name(void *ctx, const char *name)
{
	(void)name;
	++*(int *)ctx;
	return 0;
}

static void test_names(void **state)
{
	struct tpformat f;
	int nr = 0;

	(void)state;
	parse(&f, odd);
	assert_int_equal(tpfields_names(&f, "sys", count_name, &nr), 0);
	/* Six of args, eight of caller, and ten others. */
	assert_int_equal(nr, 24);
	tpformat_release(&f);
}

static void test_text_of_arguments(void **state)
{
	static const char text[] = FORMAT(
		"\tfield:int __syscall_nr;\toffset:8;\tsize:4;\tsigned:1;\n"
		"\tfield:const char * filename;\toffset:16;\tsize:8;\tsigned:0;\n"
		"\tfield:const char * buf;\toffset:24;\tsize:8;\tsigned:0;\n"
		"\tfield:__data_loc char[] __filename_val;\toffset:32;\tsize:4;\tsigned:0;\n"
		"\tfield:__data_loc u8[] __buf_val;\toffset:36;\tsize:4;\tsigned:0;\n", "\"\"");
	struct probe_value v;
	struct tpformat f;

	(void)state;
	parse(&f, text);
	/* A program finds no such text behind the arguments, and must not read there. */
	assert_int_equal(tpfields_find(&f, "syscalls", "__filename_val", &v, NULL), 0);
	assert_int_equal(v.result, RESULT_STRING);
	assert_int_equal(v.space, SPACE_USER);
	assert_int_equal(v.steps[0].op, FETCH_CTX);
	assert_int_equal(v.steps[0].value, 16);
	assert_int_equal(tpfields_find(&f, "syscalls", "__buf_val", &v, NULL), -2);
	tpformat_release(&f);
}

static void test_print_format_beyond_us(void **state)
{
	static const char text[] = FORMAT(
		"\tfield:int a;\toffset:8;\tsize:4;\tsigned:1;\n",
		"\"%d %s\", REC->a, __print_what_is_new({ { {{{ \"(\", REC->");
	struct tpformat f;

	(void)state;
	parse(&f, text);
	assert_int_equal(f.nr_fields, 1);
	tpformat_release(&f);
}

static void test_refused(void **state)
{
	static const char *const texts[] = {
		"", "\n", "name: event\n", "name: event\nID: 77\nformat:\n",
		FORMAT("\tfield:int a;\toffset:99999;\tsize:4;\tsigned:1;\n", "\"\""),
		FORMAT("\tfield:int a;\toffset:8;\tsize:99999;\tsigned:1;\n", "\"\""),
		FORMAT("\tfield:int a;\toffset:-8;\tsize:4;\tsigned:1;\n", "\"\""),
		FORMAT("\tfield:int a;\toffset:4;\tsize:4;\tsigned:1;\n", "\"\""),
		FORMAT("\tfield:int a[[[;\toffset:8;\tsize:4;\tsigned:1;\n", "\"\""),
		FORMAT("\tfield:__data_loc char[] a;\toffset:8;\tsize:8;\tsigned:0;\n", "\"\""),
		FORMAT("\tfield:;\toffset:8;\tsize:4;\tsigned:1;\n", "\"\""),
		FORMAT("\tint a;\toffset:8;\tsize:4;\tsigned:1;\n", "\"\""),
	};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		struct diag d = { "" };
		struct tpformat f;

		if (tpformat_parse(&f, texts[i], "sys", "event", &d) != -22)
			fail_msg("text %zu is taken", i);
		assert_non_null(strstr(d.text, "'sys:event'"));
		assert_null(f.fields);
	}
}

/* What comes out is within a record, whatever goes in. */
static void check_sound(const struct tpformat *f)
{
	struct probe_value v;
	int nr = 0;

	for (size_t i = 0; i < f->nr_fields; i++) {
		const struct tpformat_field *at = &f->fields[i];

		assert_true(at->offset >= 8);
		assert_true(at->offset + at->size_bytes <= TPFORMAT_MAX_BYTES);
		assert_true(at->shape != TPFORMAT_NUMBERS ||
			    at->nr_elements * at->element_bytes == at->size_bytes);
		if (tpfields_find(f, "sys", at->name, &v, NULL) == 0)
			assert_true(v.nr_steps && v.result && v.size <= 8);
	}
	tpfields_names(f, "sys", count_name, &nr);
}

static void test_mutations(void **state)
{
	static const char replacements[] = "\n\t;:[]{}()\"\\%, 09az-*#_\x80";
	size_t len = strlen(odd);
	unsigned int seed = 1, taken = 0;
	char text[sizeof(odd)];

	(void)state;
	for (int round = 0; round < 20000; round++) {
		struct tpformat f;
		int nr = 1 + rand_r(&seed) % 4;

		memcpy(text, odd, sizeof(odd));
		for (int i = 0; i < nr; i++) {
			size_t at = (size_t)rand_r(&seed) % len;

			if (rand_r(&seed) % 4 == 0)
				memmove(text + at, text + at + 1, len - at);
			else
				text[at] = replacements[(size_t)rand_r(&seed) %
							(sizeof(replacements) - 1)];
		}
		if (tpformat_parse(&f, text, "sys", "event", NULL))
			continue;
		check_sound(&f);
		tpformat_release(&f);
		taken++;
	}
	assert_true(taken > 100);
}

static void test_this_kernel(void **state)
{
	struct tracefs_names names;

	(void)state;
	if (tracefs_find(&names, NULL, NULL))
		skip();
	for (size_t i = 0; i < names.nr; i++) {
		char *format = NULL, *name = strchr(names.list[i], ':');
		struct diag d = { "" };
		struct tpformat f;

		*name++ = '\0';
		/* Modules come and go. */
		if (tracefs_read_format(&format, names.list[i], name, &d))
			continue;
		if (tpformat_parse(&f, format, names.list[i], name, &d))
			fail_msg("%s", d.text);
		check_sound(&f);
		tpformat_release(&f);
		free(format);
	}
	tracefs_release_names(&names);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_odd_fields),
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_text_of_arguments),
		cmocka_unit_test(test_print_format_beyond_us),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_mutations),
		cmocka_unit_test(test_this_kernel),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
