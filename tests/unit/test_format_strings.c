/* Texts that are new in nearly every record, as names of files may be for hours. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include <cmocka.h>

#include "memory_trace.h"

#define NR_TEXTS 1500000u
#define SINGLE_KB (200 << 10)	/* all of them in memory would take more */

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#else
#define SANITIZED 0
#endif

static int text_of(char *text, size_t cap, uint32_t i)
{
	/* Every eighth is an old acquaintance. */
	return snprintf(text, cap, "/a/rather/long/name/of/a/file/that/nobody/opens/again/%08u",
			i % 8 ? i : i % 64);
}

static void write_texts(struct bytebuf *b)
{
	const struct field_desc fields[] = {
		{ "time", FIELD_UNSIGNED, ROLE_TIME, 0, 0, "ns", NULL },
		{ "name", FIELD_STRING, ROLE_NONE, 0, CLASS_PATH, "", NULL },
	};
	const struct event_desc desc = { .name = "open", .nr_fields = 2, .fields = fields };
	const struct writer_output output = { .put = memory_put, .ctx = b };
	struct writer *w;
	uint32_t event;
	char text[128];

	assert_int_equal(writer_open(&w, &output, 1, 1), 0);
	event = writer_event(w, &desc);
	for (uint32_t i = 0; i < NR_TEXTS; i++) {
		int len = text_of(text, sizeof(text), i);
		uint64_t values[] = { i, writer_string(w, CLASS_PATH, text, (size_t)len) };

		writer_record(w, event, values);
	}
	assert_int_equal(writer_close(w), 0);
}

static void test_all_are_read(void **state)
{
	struct memory m = { 0 };
	struct trace_health h;
	struct trace_batch batch;
	struct rusage usage;
	uint64_t nr = 0;
	struct bytebuf b;
	struct trace *t;
	struct diag d;

	(void)state;
	bytebuf_init(&b);
	write_texts(&b);
	getrusage(RUSAGE_SELF, &usage);
	if (!SANITIZED)
		assert_true(usage.ru_maxrss < SINGLE_KB);
	m.data = b.data;
	m.len = b.len;
	assert_int_equal(memory_open(&t, &m, &d), 0);
	while (trace_next(t, NULL, &batch, NULL) > 0) {
		const uint64_t *time = trace_column(&batch, 0), *name = trace_column(&batch, 1);

		assert_non_null(name);
		for (size_t i = 0; i < batch.nr; i++) {
			char text[128];

			text_of(text, sizeof(text), (uint32_t)time[i]);
			assert_string_equal(trace_text(t, (uint32_t)name[i]), text);
		}
		nr += batch.nr;
	}
	assert_int_equal(nr, NR_TEXTS);
	trace_get_health(t, &h);
	assert_int_equal(h.damaged_blocks, 0);
	trace_close(t);
	bytebuf_release(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_all_are_read) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
