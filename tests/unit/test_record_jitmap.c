/* /tmp/perf-PID.map as compilers write it, and as nobody should. */
#define _GNU_SOURCE
#include "record/jitmap.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

static int text_fd(const void *text, size_t len)
{
	int fd = memfd_create("map", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, len), (ssize_t)len);
	return fd;
}

static struct jitmap *parse(const void *text, size_t len)
{
	int fd = text_fd(text, len);
	struct jitmap *j;

	assert_int_equal(jitmap_new(&j), 0);
	jitmap_read(j, fd);
	close(fd);
	return j;
}

static void check(const struct jitmap *j, uint64_t address, const char *name)
{
	struct jitmap_symbol found;
	bool any = jitmap_find(j, address, &found);

	assert_int_equal(any, name != NULL);
	if (!name)
		return;
	assert_string_equal(found.name, name);
	assert_true(found.start <= address && address - found.start < found.size_bytes);
}

static void test_lines(void **state)
{
	static const char text[] =
		"1000 10 plain\n"
		"0x2000 0x20 with 0x and blanks \r\n"
		"3000 8  two blanks\n"
		"ABCDEF 1 upper\n"
		"abcdee 1\ttab\n"
		"ffffffffffffff00 ff at the end\n"
		"\n" "zzz\n" "4000\n" "4000 10\n" "4000 10 \n" "4000 0 no size\n"
		"4000 zz x\n" "-4000 10 x\n" "11111111111111111 10 too long\n"
		"4000 11111111111111111 too long\n" "ffffffffffffff00 200 beyond\n"
		"5000 10 _ZN1a1bEv\n"
		"6000 10 ends without a newline";
	struct jitmap *j = parse(text, sizeof(text) - 1);

	(void)state;
	assert_int_equal(jitmap_nr(j), 7);
	check(j, 0xfff, NULL);
	check(j, 0x1000, "plain");
	check(j, 0x100f, "plain");
	check(j, 0x1010, NULL);
	check(j, 0x201f, "with 0x and blanks");
	check(j, 0x3000, "two blanks");
	check(j, 0xabcdef, "upper");
	check(j, 0xabcdee, "tab");
	check(j, UINT64_MAX - 1, "at the end");
	check(j, UINT64_MAX, NULL);
	check(j, 0x4000, NULL);
	check(j, 0x5001, "_ZN1a1bEv");
	/* Its writer has not finished that line yet. */
	check(j, 0x6000, NULL);
	jitmap_free(j);
}

static void test_grows(void **state)
{
	int fd = text_fd("1000 10 a\n2000 1", 16);
	struct jitmap *j;

	(void)state;
	assert_int_equal(jitmap_new(&j), 0);
	assert_true(jitmap_read(j, fd));
	assert_false(jitmap_read(j, fd));
	check(j, 0x2000, NULL);
	assert_int_equal(write(fd, "0 b\n1008 4 c\n", 13), 13);
	assert_true(jitmap_read(j, fd));
	check(j, 0x2000, "b");
	check(j, 0x1007, "a");
	check(j, 0x1008, "c");
	check(j, 0x100c, "a");
	/* Cut and written anew. */
	assert_int_equal(ftruncate(fd, 0), 0);
	assert_int_equal(pwrite(fd, "1000 10 d\n", 10, 0), 10);
	assert_true(jitmap_read(j, fd));
	check(j, 0x1008, "d");
	check(j, 0x2000, "b");
	close(fd);
	/* Another file in its place. */
	fd = text_fd("1000 4 e\n", 9);
	assert_true(jitmap_read(j, fd));
	check(j, 0x1000, "e");
	check(j, 0x1004, "d");
	close(fd);
	jitmap_free(j);
}

#define SPACE 300

/* Later lines override the parts they overlap, in however many readings. */
static void test_overriding(void **state)
{
	(void)state;
	srandom(3);
	for (int round = 0; round < 300; round++) {
		int fd = memfd_create("map", MFD_CLOEXEC), nr = (int)(random() % 40);
		int truth[SPACE] = { 0 };
		struct jitmap *j;

		assert_int_equal(jitmap_new(&j), 0);
		for (int i = 1; i <= nr; i++) {
			int start = (int)(random() % SPACE);
			int len = 1 + (int)(random() % (SPACE - start));

			if (random() % 2)
				len = 1 + len % 9;
			dprintf(fd, "%x %x n%d\n", start, len, i);
			for (int at = start; at < start + len && at < SPACE; at++)
				truth[at] = i;
			if (random() % 5 == 0)
				jitmap_read(j, fd);
		}
		jitmap_read(j, fd);
		for (int at = 0; at < SPACE; at++) {
			char name[16];

			snprintf(name, sizeof(name), "n%d", truth[at]);
			check(j, (uint64_t)at, truth[at] ? name : NULL);
		}
		close(fd);
		jitmap_free(j);
	}
}

static void test_hostile(void **state)
{
	size_t len = 300000;
	char *text = malloc(len);
	struct jitmap_symbol found;
	struct jitmap *j;

	(void)state;
	/* One line longer than any buffer, then a good one. */
	memset(text, 'x', len);
	memcpy(text, "1000 10 ", 8);
	memcpy(text + len - 11, "\n2000 10 y\n", 11);
	j = parse(text, len);
	check(j, 0x2000, "y");
	assert_true(jitmap_find(j, 0x1000, &found));
	assert_true(strlen(found.name) <= 1024);
	jitmap_free(j);
	/* A name that holds a NUL, terminal escapes and bytes that are no UTF-8. */
	j = parse("1000 10 a\0b\n2000 10 \033[2J\xff\n", 26);
	check(j, 0x1000, "a");
	check(j, 0x2000, "\033[2J\xff");
	jitmap_free(j);
	j = parse("", 0);
	assert_int_equal(jitmap_nr(j), 0);
	jitmap_free(j);
	srandom(5);
	for (int round = 0; round < 300; round++) {
		static const char letters[] = "0123456789abcdef x\n\n  \t-";
		size_t part = (size_t)random() % 5000;

		for (size_t i = 0; i < part; i++)
			text[i] = random() % 50 ? letters[(size_t)random() %
							  (sizeof(letters) - 1)] :
						  (char)random();
		j = parse(text, part);
		for (int i = 0; i < 100; i++)
			if (jitmap_find(j, (uint64_t)random() % 70000, &found))
				assert_true(found.size_bytes && strlen(found.name));
		jitmap_free(j);
	}
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_grows),
		cmocka_unit_test(test_overriding),
		cmocka_unit_test(test_hostile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
