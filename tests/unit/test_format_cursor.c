#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "format/bytebuf.h"
#include "format/cursor.h"
#include "format/diag.h"

static void test_fields_round_trip(void **state)
{
	struct bytebuf b;
	struct cursor c;

	(void)state;
	bytebuf_init(&b);
	bytebuf_u8(&b, 0xab);
	bytebuf_u16(&b, 0x1234);
	bytebuf_u32(&b, 0xdeadbeef);
	bytebuf_u64(&b, UINT64_C(0x0123456789abcdef));
	bytebuf_put(&b, "xyz", 3);
	assert_int_equal(b.len, 18);
	assert_memory_equal(b.data, "\xab\x34\x12\xef\xbe\xad\xde\xef\xcd", 9);
	cursor_init(&c, b.data, b.len);
	assert_int_equal(cursor_u8(&c), 0xab);
	assert_int_equal(cursor_u16(&c), 0x1234);
	assert_int_equal(cursor_u32(&c), 0xdeadbeef);
	assert_true(cursor_u64(&c) == UINT64_C(0x0123456789abcdef));
	assert_int_equal(cursor_done(&c), -EBADMSG);
	assert_int_equal(cursor_left(&c), 3);
	assert_memory_equal(cursor_bytes(&c, 3), "xyz", 3);
	assert_int_equal(cursor_done(&c), 0);
	bytebuf_release(&b);
}

static void test_overrun_fails_for_good(void **state)
{
	static const uint8_t bytes[] = { 1, 2, 3 };
	struct cursor c;

	(void)state;
	cursor_init(&c, bytes, sizeof(bytes));
	assert_int_equal(cursor_u32(&c), 0);
	assert_int_equal(cursor_u8(&c), 0);
	assert_int_equal(cursor_varint(&c), 0);
	assert_null(cursor_bytes(&c, 0));
	assert_int_equal(cursor_done(&c), -EBADMSG);

	cursor_init(&c, bytes, sizeof(bytes));
	assert_null(cursor_bytes(&c, UINT64_MAX));
	assert_int_equal(cursor_done(&c), -EBADMSG);

	cursor_init(&c, NULL, 0);
	assert_int_equal(cursor_done(&c), 0);
	assert_int_equal(cursor_u8(&c), 0);
	assert_int_equal(cursor_done(&c), -EBADMSG);
}

static void test_varint_round_trip(void **state)
{
	struct bytebuf b;
	struct cursor c;

	(void)state;
	bytebuf_init(&b);
	for (unsigned int bit = 0; bit < 64; bit++) {
		bytebuf_varint(&b, (UINT64_C(1) << bit) - 1);
		bytebuf_varint(&b, UINT64_C(1) << bit);
	}
	bytebuf_varint(&b, UINT64_MAX);
	cursor_init(&c, b.data, b.len);
	for (unsigned int bit = 0; bit < 64; bit++) {
		assert_true(cursor_varint(&c) == (UINT64_C(1) << bit) - 1);
		assert_true(cursor_varint(&c) == UINT64_C(1) << bit);
	}
	assert_true(cursor_varint(&c) == UINT64_MAX);
	assert_int_equal(cursor_done(&c), 0);
	bytebuf_release(&b);
}

static void check_varint(const char *bytes, size_t len, int err, uint64_t value)
{
	struct cursor c;

	cursor_init(&c, bytes, len);
	assert_true(cursor_varint(&c) == value);
	assert_int_equal(cursor_done(&c), err);
}

static void test_varint_limits(void **state)
{
	(void)state;
	check_varint("\x00", 1, 0, 0);
	check_varint("\x7f", 1, 0, 127);
	check_varint("\x80\x00", 2, 0, 0);
	check_varint("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 10, 0, UINT64_MAX);
	/* More than 64 bits, more than ten bytes, and no end. */
	check_varint("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 10, -EBADMSG, 0);
	check_varint("\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00", 11, -EBADMSG, 0);
	check_varint("\x80\x80", 2, -EBADMSG, 0);
	check_varint("", 0, -EBADMSG, 0);
}

static void test_bytebuf_remembers_failure(void **state)
{
	struct bytebuf b;

	(void)state;
	bytebuf_init(&b);
	bytebuf_put(&b, "ab", 2);
	assert_int_equal(bytebuf_reserve(&b, SIZE_MAX), -ENOMEM);
	bytebuf_u8(&b, 1);
	assert_int_equal(b.len, 2);
	assert_int_equal(b.err, -ENOMEM);
	bytebuf_clear(&b);
	bytebuf_u8(&b, 7);
	assert_int_equal(b.err, 0);
	assert_int_equal(b.len, 1);
	bytebuf_release(&b);
}

static void test_diag_keeps_the_first(void **state)
{
	struct diag d = { "" };

	(void)state;
	assert_int_equal(diag_set(&d, -EIO, "cannot read '%s'", "x"), -EIO);
	assert_int_equal(diag_set(&d, -EINVAL, "cannot open"), -EINVAL);
	assert_string_equal(d.text, "cannot read 'x'");
	assert_int_equal(diag_set(NULL, -EIO, "nothing"), -EIO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fields_round_trip),
		cmocka_unit_test(test_overrun_fails_for_good),
		cmocka_unit_test(test_varint_round_trip),
		cmocka_unit_test(test_varint_limits),
		cmocka_unit_test(test_bytebuf_remembers_failure),
		cmocka_unit_test(test_diag_keeps_the_first),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
