#include "report/fieldtext.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "tests/unit/memory_trace.h"

/* A trace of one record; the ids are those of the file. */
struct fixture {
	struct bytebuf file;
	struct memory memory;
	struct trace *trace;
	struct names *names;
	struct nametexts *nametexts;
	uint32_t text, known, other, special, stack;
};

static void fixture_open(struct fixture *f)
{
	struct writer_output out = { .put = memory_put, .ctx = &f->file };
	const struct field_desc fields[] = {
		{ "time", FIELD_UNSIGNED, ROLE_TIME, 0, 0, "ns", NULL },
		{ "text", FIELD_STRING, ROLE_NONE, 0, CLASS_PATH, "", NULL },
		{ "known", FIELD_FRAME, ROLE_NONE, 0, 0, "", NULL },
		{ "other", FIELD_FRAME, ROLE_NONE, 0, 0, "", NULL },
		{ "special", FIELD_FRAME, ROLE_NONE, 0, 0, "", NULL },
		{ "stack", FIELD_STACK, ROLE_STACK, 0, 0, "", NULL },
	};
	const struct event_desc desc = { .name = "e", .nr_fields = 6, .fields = fields };
	uint32_t text, known, other, special, stack;
	struct trace_batch batch;
	struct writer *w;
	struct diag d;

	*f = (struct fixture) { .text = 0 };
	bytebuf_init(&f->file);
	assert_int_equal(writer_open(&w, &out, 1, 1), 0);
	text = writer_string(w, CLASS_PATH, "a \"b\"\\\n,", 8);
	writer_module(w, &(struct writer_module) { .id = 1, .kind = MODULE_KERNEL });
	writer_symbol(w, 1, 0x100, 0x80, writer_string(w, CLASS_SYMBOL, "vfs_read", 8));
	known = writer_frame(w, 1, 0x110);
	other = writer_frame(w, 1, 0x20);
	special = writer_frame(w, 0, FRAME_UNKNOWN);
	stack = writer_stack(w, writer_stack(w, 0, other), known);
	writer_task(w, &(struct writer_task) {
		.id = 1, .pid = 7, .tid = 8, .comm = writer_string(w, CLASS_COMMAND, "sh", 2) });
	writer_record(w, writer_event(w, &desc), (uint64_t[]) {
		5, text, known, other, special, stack });
	assert_int_equal(writer_close(w), 0);
	f->memory = (struct memory) { .data = f->file.data, .len = f->file.len };
	assert_int_equal(memory_open(&f->trace, &f->memory, &d), 0);
	assert_int_equal(names_new(&f->names, f->trace), 0);
	assert_int_equal(trace_next(f->trace, NULL, &batch, &d), 1);
	f->text = (uint32_t)trace_column(&batch, 1)[0];
	f->known = (uint32_t)trace_column(&batch, 2)[0];
	f->other = (uint32_t)trace_column(&batch, 3)[0];
	f->special = (uint32_t)trace_column(&batch, 4)[0];
	f->stack = (uint32_t)trace_column(&batch, 5)[0];
}

static void fixture_close(struct fixture *f)
{
	names_free(f->names);
	trace_close(f->trace);
	bytebuf_release(&f->file);
}

static void expect(struct fixture *f, const struct field_desc *desc,
		   const struct fieldtext_value *v, const char *terminal, const char *raw,
		   const char *json, const char *csv)
{
	const struct fieldtext ft = { .trace = f->trace, .names = f->names,
				      .nametexts = f->nametexts };
	const char *wanted[] = {
		[FIELDTEXT_TERMINAL] = terminal, [FIELDTEXT_RAW] = raw,
		[FIELDTEXT_JSON] = json, [FIELDTEXT_CSV] = csv,
	};

	for (int style = FIELDTEXT_TERMINAL; style <= FIELDTEXT_CSV; style++) {
		struct bytebuf to;

		bytebuf_init(&to);
		fieldtext_put(&ft, &to, desc, v, style);
		bytebuf_u8(&to, 0);
		assert_string_equal(to.data, wanted[style]);
		bytebuf_release(&to);
	}
}

static void number(struct fixture *f, uint8_t type, uint8_t hint, const char *unit, uint64_t v,
		   const char *people, const char *machines)
{
	const struct field_desc desc = { .name = "x", .type = type, .hint = hint, .unit = unit };

	expect(f, &desc, &(struct fieldtext_value) { .number = v }, people, people, machines,
	       machines);
}

/* A word: quoted in JSON only. */
static void word(struct fixture *f, uint8_t type, uint8_t hint,
		 const struct fieldtext_value *v, const char *text)
{
	const struct field_desc desc = { .name = "x", .type = type, .hint = hint, .unit = "" };
	char json[128];

	snprintf(json, sizeof(json), "\"%s\"", text);
	expect(f, &desc, v, text, text, json, text);
}

static void named(struct fixture *f, const char *values, uint64_t v, const char *people,
		  const char *machines)
{
	const struct field_desc desc = { .name = "x", .type = FIELD_SIGNED, .hint = HINT_HEX,
					 .unit = "", .values = values };

	expect(f, &desc, &(struct fieldtext_value) { .number = v }, people, people, machines,
	       machines);
}

static void test_names(void **state)
{
	const struct field_desc bad = { .name = "x", .type = FIELD_UNSIGNED, .unit = "",
					.values = "=1=a\033[31m" };
	struct fixture f;

	(void)state;
	fixture_open(&f);
	named(&f, "=0=READ 1=WRITE", 1, "WRITE", "1");
	named(&f, "=0=READ 1=WRITE", 18, "0x12", "18");
	named(&f, "=-100=CWD", (uint64_t)-100, "CWD", "-100");
	named(&f, "|3/0=RDONLY 3/1=WRONLY 0x40=CREAT", 0x1041, "WRONLY|CREAT|0x1000", "4161");
	named(&f, "|3/0=RDONLY 3/1=WRONLY 0x40=CREAT", 0, "RDONLY", "0");
	named(&f, "|1=A", 0, "0x0", "0");
	named(&f, "|1=A", 6, "0x6", "6");
	expect(&f, &bad, &(struct fieldtext_value) { .number = 1 }, "a\\x1b[31m", "a\033[31m",
	       "1", "1");
	fixture_close(&f);
}

/* Kept texts are those of their names, number and style, or are made anew. */
static void test_kept_names(void **state)
{
	static const char letters[] = "=1=A 2=B 3=C\x1b 5=a_name_that_is_longer_than_what_is_kept";
	static const char flags[] = "|1=ONE 2=TWO 4=FOUR 8=EIGHT";
	char text[64], number[32];
	struct fixture f;

	(void)state;
	fixture_open(&f);
	assert_int_equal(nametexts_new(&f.nametexts), 0);
	for (int round = 0; round < 3; round++) {
		struct field_desc d = { .name = "x", .type = FIELD_UNSIGNED, .unit = "",
					.values = letters };

		named(&f, letters, 1, "A", "1");
		named(&f, letters, 4, "0x4", "4");
		named(&f, letters, 5, "a_name_that_is_longer_than_what_is_kept", "5");
		expect(&f, &d, &(struct fieldtext_value) { .number = 3 }, "C\\x1b", "C\x1b", "3",
		       "3");
		for (unsigned long i = 1; i < 1000; i++) {
			snprintf(text, sizeof(text), "ONE|TWO|FOUR|EIGHT|%#lx", i << 4);
			snprintf(number, sizeof(number), "%lu", i << 4 | 15);
			named(&f, flags, i << 4 | 15, text, number);
		}
	}
	nametexts_free(f.nametexts);
	f.nametexts = NULL;
	fixture_close(&f);
}

static void test_results(void **state)
{
	struct field_desc address = { .name = "ret", .type = FIELD_SIGNED, .role = ROLE_RESULT,
				      .hint = HINT_HEX, .unit = "" };
	struct fixture f;

	(void)state;
	fixture_open(&f);
	expect(&f, &address, &(struct fieldtext_value) { .number = (uint64_t)-12 },
	       "-12 (ENOMEM)", "-12 (ENOMEM)", "-12", "-12");
	expect(&f, &address, &(struct fieldtext_value) { .number = 0x7f00 }, "0x7f00", "0x7f00",
	       "32512", "32512");
	/* A number without a sign is none of an error. */
	address.type = FIELD_UNSIGNED;
	expect(&f, &address, &(struct fieldtext_value) { .number = (uint64_t)-12 },
	       "0xfffffffffffffff4", "0xfffffffffffffff4", "18446744073709551604",
	       "18446744073709551604");
	fixture_close(&f);
}

static void test_numbers(void **state)
{
	struct fixture f;

	(void)state;
	fixture_open(&f);
	number(&f, FIELD_UNSIGNED, 0, "", UINT64_MAX, "18446744073709551615",
	       "18446744073709551615");
	number(&f, FIELD_SIGNED, 0, "", (uint64_t)INT64_MIN, "-9223372036854775808",
	       "-9223372036854775808");
	number(&f, FIELD_UNSIGNED, HINT_HEX, "", 255, "0xff", "255");
	number(&f, FIELD_UNSIGNED, 0, "ns", 1500000, "1.50 ms", "1500000");
	number(&f, FIELD_SIGNED, 0, "ns", (uint64_t)-20, "-20 ns", "-20");
	number(&f, FIELD_UNSIGNED, 0, "B", 4096, "4096", "4096");
	number(&f, FIELD_SIGNED, HINT_ERRNO, "", (uint64_t)-2, "-2 (ENOENT)", "-2");
	number(&f, FIELD_UNSIGNED, HINT_ERRNO, "", (uint64_t)-11, "-11 (EAGAIN)", "-11");
	number(&f, FIELD_SIGNED, HINT_ERRNO, "", (uint64_t)-4095, "-4095", "-4095");
	number(&f, FIELD_UNSIGNED, HINT_OCTAL, "", 0644, "0644", "420");
	number(&f, FIELD_UNSIGNED, HINT_OCTAL, "", 0, "0", "0");
	number(&f, FIELD_SIGNED, HINT_ERRNO, "", (uint64_t)INT64_MIN, "-9223372036854775808",
	       "-9223372036854775808");
	number(&f, FIELD_SIGNED, HINT_ERRNO, "", 4096, "4096", "4096");
	number(&f, FIELD_UNSIGNED, HINT_CHAR, "", 7, "7", "7");
	word(&f, FIELD_UNSIGNED, HINT_CHAR, &(struct fieldtext_value) { .number = 'S' }, "S");
	word(&f, FIELD_UNSIGNED, HINT_IP, &(struct fieldtext_value) { .number = 0x0100007f },
	     "127.0.0.1");
	fixture_close(&f);
}

static void float_is(struct fixture *f, double d, const char *people, const char *json,
		     const char *csv)
{
	const struct field_desc desc = { .name = "x", .type = FIELD_FLOAT, .unit = "" };
	struct fieldtext_value v = { .number = 0 };

	memcpy(&v.number, &d, sizeof(d));
	expect(f, &desc, &v, people, people, json, csv);
}

static void test_floats(void **state)
{
	struct fixture f;

	(void)state;
	fixture_open(&f);
	float_is(&f, 0.25, "0.25", "0.25", "0.25");
	float_is(&f, 0.1, "0.1", "0.1", "0.1");
	float_is(&f, 1.0 / 3, "0.333333333", "0.33333333333333331", "0.33333333333333331");
	float_is(&f, INFINITY, "inf", "null", "inf");
	fixture_close(&f);
}

static void test_texts(void **state)
{
	const struct field_desc text = { .name = "x", .type = FIELD_STRING, .unit = "" };
	const struct field_desc bytes = { .name = "x", .type = FIELD_BYTES, .unit = "" };
	const uint8_t address[16] = { 0x20, 1, 0x0d, 0xb8, [15] = 1 };
	struct fixture f;

	(void)state;
	fixture_open(&f);
	expect(&f, &text, &(struct fieldtext_value) { .number = f.text },
	       "\"a \\\"b\\\"\\\\\\x0a,\"", "a \"b\"\\\n,", "\"a \\\"b\\\"\\\\\\n,\"",
	       "\"a \"\"b\"\"\\\\x0a,\"");
	expect(&f, &text, &(struct fieldtext_value) { .number = UINT64_MAX }, "\"\"", "", "\"\"", "");
	word(&f, FIELD_BYTES, 0, &(struct fieldtext_value) { .bytes = address, .len_bytes = 4 },
	     "20010db8");
	word(&f, FIELD_BYTES, HINT_IP,
	     &(struct fieldtext_value) { .bytes = address, .len_bytes = 4 }, "32.1.13.184");
	word(&f, FIELD_BYTES, HINT_IP,
	     &(struct fieldtext_value) { .bytes = address, .len_bytes = 16 }, "2001:db8::1");
	word(&f, FIELD_BYTES, HINT_IP,
	     &(struct fieldtext_value) { .bytes = address, .len_bytes = 3 }, "20010d");
	expect(&f, &bytes, &(struct fieldtext_value) { .number = 0 }, "", "", "\"\"", "");
	fixture_close(&f);
}

static void test_ids(void **state)
{
	const struct field_desc frame = { .name = "x", .type = FIELD_FRAME, .unit = "" };
	const struct field_desc stack = { .name = "x", .type = FIELD_STACK, .unit = "" };
	struct fixture f;

	(void)state;
	fixture_open(&f);
	word(&f, FIELD_FRAME, 0, &(struct fieldtext_value) { .number = f.known }, "vfs_read+0x10");
	word(&f, FIELD_FRAME, 0, &(struct fieldtext_value) { .number = f.other },
	     "[kernel.kallsyms]+0x20");
	word(&f, FIELD_FRAME, 0, &(struct fieldtext_value) { .number = f.special }, "[unknown]");
	word(&f, FIELD_FRAME, 0, &(struct fieldtext_value) { .number = 77 }, "[unknown]");
	expect(&f, &frame, &(struct fieldtext_value) { .number = 0 }, "0x0", "0x0", "null", "");
	word(&f, FIELD_TASK, 0, &(struct fieldtext_value) { .number = 1 }, "sh:8");
	word(&f, FIELD_TASK, 0, &(struct fieldtext_value) { .number = UINT64_MAX }, "[unknown]:0");
	expect(&f, &stack, &(struct fieldtext_value) { .number = f.stack },
	       "[unknown];vfs_read", "[unknown];vfs_read", "\"[unknown];vfs_read\"",
	       "\"[unknown];vfs_read\"");
	fixture_close(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_kept_names),
		cmocka_unit_test(test_results),
		cmocka_unit_test(test_floats),
		cmocka_unit_test(test_texts),
		cmocka_unit_test(test_ids),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
