#include "report/valuenames.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

/* Names with '|' between them, and the rest of flags as "+0x..." behind. */
static const char *names_of(const char *values, uint64_t v)
{
	static char text[512];
	struct valuenames n;
	const char *name;
	size_t len, at = 0;

	text[0] = 0;
	valuenames_begin(&n, values, v);
	while (valuenames_next(&n, &name, &len))
		at += (size_t)snprintf(text + at, sizeof(text) - at, "%s%.*s", at ? "|" : "",
				       (int)len, name);
	if (n.is_flags && n.rest)
		snprintf(text + at, sizeof(text) - at, "+%#llx", (unsigned long long)n.rest);
	return text;
}

static void test_one_name(void **state)
{
	static const char values[] = "=0=READ 1=WRITE -1=NONE 0x10=SIXTEEN 0xf0/0x20=HIGH";

	(void)state;
	assert_string_equal(names_of(values, 0), "READ");
	assert_string_equal(names_of(values, 1), "WRITE");
	assert_string_equal(names_of(values, UINT64_MAX), "NONE");
	assert_string_equal(names_of(values, UINT32_MAX), "");
	assert_string_equal(names_of(values, 16), "SIXTEEN");
	assert_string_equal(names_of(values, 0x0123), "HIGH");
	assert_string_equal(names_of(values, 0x0133), "");
	assert_string_equal(names_of("=1=FIRST 1=SECOND", 1), "FIRST");
	assert_string_equal(names_of("=18446744073709551615=ALL", UINT64_MAX), "ALL");
	assert_string_equal(names_of("=0xFFFFFFFFffffffff=ALL", UINT64_MAX), "ALL");
}

static void test_flags(void **state)
{
	static const char open_flags[] =
		"|3/0=RDONLY 3/1=WRONLY 3/2=RDWR 0x40=CREAT 0x101000=SYNC 0x1000=DSYNC";

	(void)state;
	assert_string_equal(names_of(open_flags, 0), "RDONLY");
	assert_string_equal(names_of(open_flags, 0x41), "WRONLY|CREAT");
	assert_string_equal(names_of(open_flags, 3), "+0x3");
	assert_string_equal(names_of(open_flags, 0x101002), "RDWR|SYNC");
	assert_string_equal(names_of(open_flags, 0x1002), "RDWR|DSYNC");
	assert_string_equal(names_of(open_flags, 0x80000040), "RDONLY|CREAT+0x80000000");
	assert_string_equal(names_of("|0=NONE 1=A", 0), "NONE");
	assert_string_equal(names_of("|0=NONE 1=A", 1), "A");
	assert_string_equal(names_of("|0=NONE 1=A", 2), "+0x2");
	assert_string_equal(names_of("|0/0=NEVER 1=A", 0), "");
	assert_string_equal(names_of("|1=A", 0), "");
	assert_string_equal(names_of("|-1=ALL 1=A", UINT64_MAX), "ALL");
}

static void test_bad_texts(void **state)
{
	static const char *const none[] = {
		"", "1=A", "=", "=1", "=1=", "=1 =A", "==A", "=0x=A", "=x1=A", "=1A=A",
		"=1/=A", "=/1=A", "=1/1/1=A", "=-=A", "=- 1=", "=-0x1=A", "=18446744073709551617=A",
		"=0x10000000000000001=A", "=99999999999999999999999999=A", "=\xff=\xff", " =1=A",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
		assert_string_equal(names_of(none[i], 1), "");
	assert_string_equal(names_of(NULL, 1), "");
	assert_string_equal(names_of("|", 1), "+0x1");
	/* What is no entry is left out alone. */
	assert_string_equal(names_of("=x  1=A", 1), "A");
	assert_string_equal(names_of("=1/1 1=A=B", 1), "A=B");
	assert_string_equal(names_of("|1=A nonsense 2=B", 3), "A|B");
}

static void test_long_text(void **state)
{
	char *values = malloc(3 * VALUENAMES_MAX_BYTES);

	(void)state;
	assert_non_null(values);
	memset(values, ' ', 3 * VALUENAMES_MAX_BYTES);
	values[0] = '=';
	snprintf(values + 2 * VALUENAMES_MAX_BYTES, 8, "1=A");
	assert_string_equal(names_of(values, 1), "");
	memcpy(values + VALUENAMES_MAX_BYTES - 4, "1=AA", 4);
	assert_string_equal(names_of(values, 1), "AA");
	free(values);
}

static void test_find(void **state)
{
	static const char letters[] = "=0=NONE 1=DISK -1=ANY 0xf0/0x10=HIGH 1=DISK2 x 5=";
	static const char flags[] = "|0=NOTHING 3/0=RDONLY 3/1=WRONLY 0x40=CREAT 0x1040=SYNC";
	static const struct {
		const char *values, *name;
		int err;
		uint64_t mask, bits;
	} rows[] = {
		{ letters, "NONE", 0, UINT64_MAX, 0 },
		{ letters, "DISK", 0, UINT64_MAX, 1 },
		{ letters, "DISK2", 0, UINT64_MAX, 1 },
		{ letters, "ANY", 0, UINT64_MAX, UINT64_MAX },
		{ letters, "HIGH", 0, 0xf0, 0x10 },
		{ letters, "DIS", -ENOENT, 0, 0 },
		{ letters, "NONE|DISK", -ENOENT, 0, 0 },
		{ letters, "", -ENOENT, 0, 0 },
		{ flags, "CREAT", 0, 0x40, 0x40 },
		{ flags, "NOTHING", 0, UINT64_MAX, 0 },
		{ flags, "RDONLY", 0, 3, 0 },
		{ flags, "WRONLY|CREAT", 0, 0x43, 0x41 },
		{ flags, "CREAT|SYNC", 0, 0x1040, 0x1040 },
		{ flags, "RDONLY|WRONLY", 0, 0, 1 },	/* never */
		{ flags, "NOTHING|CREAT", 0, 0, 1 },
		{ flags, "CREAT|", -ENOENT, 0, 0 },
		{ flags, "|", -ENOENT, 0, 0 },
		{ flags, "", -ENOENT, 0, 0 },
		{ "=1=A|B", "A|B", 0, UINT64_MAX, 1 },
		{ "|1=A|B 2=B", "A|B", 0, 1, 1 },
		{ NULL, "A", -EINVAL, 0, 0 },
		{ "", "A", -EINVAL, 0, 0 },
		{ "1=A", "A", -EINVAL, 0, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint64_t mask = 0, bits = 0;

		assert_int_equal(valuenames_find(rows[i].values, rows[i].name,
						 strlen(rows[i].name), &mask, &bits), rows[i].err);
		if (rows[i].err)
			continue;
		assert_int_equal(mask, rows[i].mask);
		assert_int_equal(bits, rows[i].bits);
	}
}

static void test_list(void **state)
{
	char to[24];

	(void)state;
	valuenames_list("=0=NONE x 1=DISK 7/2=X", to, sizeof(to));
	assert_string_equal(to, "NONE, DISK, X");
	valuenames_list("=0=NONE 1=A_LONGER_NAME 2=B", to, sizeof(to));
	assert_string_equal(to, "NONE, ...");
	valuenames_list("=0=A_NAME_THAT_HAS_NO_ROOM", to, sizeof(to));
	assert_string_equal(to, "...");
	valuenames_list(NULL, to, sizeof(to));
	assert_string_equal(to, "");
}

/* Random texts of the letters that mean something: names are within, and it ends. */
static void test_random(void **state)
{
	static const char letters[] = "=|/ x-0123456789abcdefNAME\t\xff";
	unsigned int seed = 1;

	(void)state;
	for (int round = 0; round < 20000; round++) {
		size_t len = (size_t)rand_r(&seed) % 60, nr = 0, name_len;
		char *values = malloc(len + 1);	/* exact: a sanitizer sees a step too far */
		struct valuenames n;
		const char *name;

		assert_non_null(values);
		for (size_t i = 0; i < len; i++)
			values[i] = letters[(size_t)rand_r(&seed) % (sizeof(letters) - 1)];
		if (len && round % 2)
			values[0] = round % 4 == 1 ? '=' : '|';
		values[len] = 0;
		valuenames_begin(&n, values, (uint64_t)rand_r(&seed) % 20);
		for (; valuenames_next(&n, &name, &name_len); nr++) {
			assert_true(name > values && name + name_len <= values + len);
			assert_true(name_len > 0 && !memchr(name, ' ', name_len));
		}
		assert_true(nr < 30);
		free(values);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_name),
		cmocka_unit_test(test_flags),
		cmocka_unit_test(test_bad_texts),
		cmocka_unit_test(test_long_text),
		cmocka_unit_test(test_find),
		cmocka_unit_test(test_list),
		cmocka_unit_test(test_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
