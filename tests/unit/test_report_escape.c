#include "report/escape.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "report/digits.h"
#include "report/textcache.h"
#include "report/textpool.h"

typedef void (*escape_fn)(struct bytebuf *to, const char *text, size_t len);

static void expect(escape_fn escape, const char *text, size_t len, const char *wanted)
{
	struct bytebuf b;

	bytebuf_init(&b);
	escape(&b, text, len);
	bytebuf_u8(&b, 0);
	assert_int_equal(b.err, 0);
	assert_string_equal((char *)b.data, wanted);
	bytebuf_release(&b);
}

#define EXPECT(escape, text, wanted) expect(escape, text, sizeof(text) - 1, wanted)

static void test_terminal(void **state)
{
	(void)state;
	EXPECT(escape_terminal, "", "");
	EXPECT(escape_terminal, "std::vector<int>", "std::vector<int>");
	EXPECT(escape_terminal, "\x1b[31m", "\\x1b[31m");
	EXPECT(escape_terminal, "a\nb\tc\r\0d\x7f", "a\\x0ab\\x09c\\x0d\\x00d\\x7f");
	EXPECT(escape_terminal, "gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f");
	EXPECT(escape_terminal, "\xf0\x9f\x94\xa5", "\xf0\x9f\x94\xa5");
	/* C1 controls, and marks that turn the direction of text. */
	EXPECT(escape_terminal, "\xc2\x9b" "31m", "\\xc2\\x9b31m");
	EXPECT(escape_terminal, "\xe2\x80\xae" "abc", "\\xe2\\x80\\xaeabc");
}

static void test_invalid_utf8(void **state)
{
	(void)state;
	EXPECT(escape_terminal, "\xff", "\\xff");
	EXPECT(escape_terminal, "\xc3(", "\\xc3(");
	EXPECT(escape_terminal, "\xc0\xaf", "\\xc0\\xaf");		/* overlong */
	EXPECT(escape_terminal, "\xed\xa0\x80", "\\xed\\xa0\\x80");	/* a surrogate */
	EXPECT(escape_terminal, "\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80");
	EXPECT(escape_terminal, "\xe2\x82", "\\xe2\\x82");		/* cut */
	EXPECT(escape_json, "\xff", "\\ufffd");
}

static void test_xml(void **state)
{
	(void)state;
	EXPECT(escape_xml, "<a href=\"x\">&'", "&lt;a href=&quot;x&quot;&gt;&amp;&#39;");
	EXPECT(escape_xml, "]]>\x01", "]]&gt;\\x01");
	/* U+FFFE is no character of XML. */
	EXPECT(escape_xml, "\xef\xbf\xbe", "\\xef\\xbf\\xbe");
}

static void test_json(void **state)
{
	(void)state;
	EXPECT(escape_json, "a\"b\\c\n\x1b", "a\\\"b\\\\c\\n\\u001b");
	EXPECT(escape_json, "</script><!--", "<\\/script><\\u0021--");
	EXPECT(escape_json, "a/b!", "a/b!");
	EXPECT(escape_json, "\xe2\x80\xa8", "\\u2028");
	EXPECT(escape_json, "\xf0\x9f\x94\xa5", "\xf0\x9f\x94\xa5");
	EXPECT(escape_json, "\xf0\x9f\xbf\xbe", "\\ud83f\\udffe");
}

static void test_csv(void **state)
{
	(void)state;
	EXPECT(escape_csv, "plain", "plain");
	EXPECT(escape_csv, "a,b", "\"a,b\"");
	EXPECT(escape_csv, "say \"x\"", "\"say \"\"x\"\"\"");
	EXPECT(escape_csv, "a\nb", "a\\x0ab");
	EXPECT(escape_csv, "=1+1", "\"'=1+1\"");
	EXPECT(escape_csv, "-bash", "\"'-bash\"");
	EXPECT(escape_csv, " x", "\" x\"");
	EXPECT(escape_csv, "", "");
}

static void test_folded(void **state)
{
	(void)state;
	EXPECT(escape_folded, "a;b\nc d", "a:b\\x0ac d");
}

/* Whatever goes in, what comes out is UTF-8 without control characters. */
static void test_any_bytes(void **state)
{
	static const escape_fn all[] = {
		escape_terminal, escape_xml, escape_json, escape_csv, escape_folded,
	};
	char text[24];

	(void)state;
	srand(1);
	for (int round = 0; round < 20000; round++) {
		escape_fn escape = all[round % 5];
		struct bytebuf once, twice;

		for (size_t i = 0; i < sizeof(text); i++)
			text[i] = (char)(rand() % 3 ? rand() : 0x80 + rand() % 0x80);
		bytebuf_init(&once);
		bytebuf_init(&twice);
		escape(&once, text, sizeof(text));
		for (size_t i = 0; i < once.len; i++)
			assert_true(once.data[i] >= 0x20 && once.data[i] != 0x7f);
		escape_terminal(&twice, (char *)once.data, once.len);
		assert_int_equal(once.len, twice.len);
		assert_memory_equal(once.data, twice.data, once.len);
		bytebuf_release(&once);
		bytebuf_release(&twice);
	}
}

static void expect_digits(struct bytebuf *b, const char *wanted)
{
	bytebuf_u8(b, 0);
	assert_string_equal((char *)b->data, wanted);
	bytebuf_clear(b);
}

static void test_digits(void **state)
{
	struct bytebuf b;

	(void)state;
	bytebuf_init(&b);
	digits_put(&b, 0);
	expect_digits(&b, "0");
	digits_put(&b, UINT64_MAX);
	expect_digits(&b, "18446744073709551615");
	digits_put_signed(&b, INT64_MIN);
	expect_digits(&b, "-9223372036854775808");
	digits_put_wide(&b, 7, 3, '0');
	expect_digits(&b, "007");
	digits_put_wide(&b, UINT64_MAX, 100, ' ');
	expect_digits(&b, "            18446744073709551615");
	digits_put_hex(&b, 0xabc, 6);
	expect_digits(&b, "   abc");
	digits_put_hex(&b, UINT64_MAX, 0);
	expect_digits(&b, "ffffffffffffffff");
	digits_put_seconds(&b, 1000001999, 6, 12);
	expect_digits(&b, "    1.000001");
	digits_put_seconds(&b, 1000001999, 9, 0);
	expect_digits(&b, "1.000001999");
	digits_put_seconds(&b, UINT64_MAX, 9, 40);
	expect_digits(&b, "           18446744073.709551615");
	bytebuf_release(&b);
}

/* A cache of 4 KiB against the truth: it forgets, but never tells a wrong text. */
static void test_textcache(void **state)
{
	struct textcache *c;
	unsigned int kept = 0;

	(void)state;
	assert_int_equal(textcache_new(&c, 4096), 0);
	srand(2);
	for (int round = 0; round < 100000; round++) {
		uint32_t id = (uint32_t)(rand() % 300);
		size_t len, wanted_len = id % 97;
		char text[97];
		const void *got = textcache_get(c, id, &len);

		memset(text, (int)id, sizeof(text));
		if (got) {
			assert_int_equal(len, wanted_len);
			assert_memory_equal(got, text, len);
			kept++;
		} else {
			textcache_put(c, id, text, wanted_len);
		}
	}
	assert_true(kept > 1000);
	textcache_put(c, 1000, "x", 5000);
	assert_null(textcache_get(c, 1000, &(size_t) { 0 }));
	textcache_free(c);
}

static void test_textpool(void **state)
{
	struct textpool *p;
	char text[80];

	(void)state;
	assert_int_equal(textpool_new(&p), 0);
	for (int round = 0; round < 2; round++)
		for (uint32_t i = 0; i < 5000; i++) {
			memset(text, 'a' + (int)(i % 26), sizeof(text));
			memcpy(text, &i, sizeof(i));
			assert_int_equal(textpool_put(p, text, 40 + i % 40), i + 1);
		}
	assert_int_equal(textpool_nr(p), 5000);
	assert_int_equal(textpool_put(p, "", 0), 5001);
	assert_string_equal(textpool_text(p, 5001), "");
	textpool_free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_terminal), cmocka_unit_test(test_invalid_utf8),
		cmocka_unit_test(test_xml), cmocka_unit_test(test_json),
		cmocka_unit_test(test_csv), cmocka_unit_test(test_folded),
		cmocka_unit_test(test_any_bytes), cmocka_unit_test(test_digits),
		cmocka_unit_test(test_textcache), cmocka_unit_test(test_textpool),
	};

	return cmocka_run_group_tests_name("escape", tests, NULL, NULL);
}
