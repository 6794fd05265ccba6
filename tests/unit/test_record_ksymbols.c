#include "record/ksymbols.h"

#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define EVERY 101

struct line {
	uint64_t address;
	char type, name[512], tag[128];
};

static bool read_line(FILE *f, struct line *l)
{
	char text[1024];

	while (fgets(text, sizeof(text), f)) {
		l->tag[0] = '\0';
		if (sscanf(text, "%" SCNx64 " %c %511s %127s", &l->address, &l->type, l->name,
			   l->tag) >= 3)
			return true;
	}
	return false;
}

static struct ksymbols *open_or_skip(void)
{
	struct ksymbols *k;
	int err = ksymbols_open(&k);

	if (err) {
		print_message("# skip: the kernel cannot be asked for symbols: %s\n",
			      strerror(-err));
		skip();
	}
	return k;
}

static bool is_function(const struct line *l)
{
	return l->address && (l->type == 't' || l->type == 'T') && strncmp(l->name, "__pfx_", 6);
}

/* Every so many functions of the kernel proper; all names of one address are good. */
static void agrees_with_kallsyms(void **state)
{
	struct ksymbols *k = open_or_skip();
	FILE *f = fopen("/proc/kallsyms", "re");
	size_t nr = 0, nr_asked = 0, nr_same = 0;
	struct ksymbol sym;
	struct line l;

	(void)state;
	assert_non_null(f);
	while (read_line(f, &l) && !l.tag[0]) {
		if (!is_function(&l) || nr++ % EVERY)
			continue;
		if (ksymbols_find(k, l.address + 1, &sym) < 0 || !sym.size_bytes)
			continue;
		/* Of a name of a position alone, the function there is found. */
		nr_asked += sym.start == l.address;
		nr_same += sym.start == l.address && !strcmp(sym.name, l.name);
		assert_string_equal(sym.tag, "");
	}
	fclose(f);
	ksymbols_close(k);
	if (!nr) {
		print_message("# skip: the kernel hides its addresses\n");
		skip();
	}
	print_message("# %zu of %zu have the same name\n", nr_same, nr_asked);
	assert_true(nr_asked > nr / EVERY * 9 / 10);
	assert_true(nr_same > nr_asked * 9 / 10);
}

static void tells_modules(void **state)
{
	struct ksymbols *k = open_or_skip();
	FILE *f = fopen("/proc/kallsyms", "re");
	size_t nr = 0, nr_asked = 0, nr_same = 0;
	struct ksymbol sym;
	struct line l;

	(void)state;
	assert_non_null(f);
	while (read_line(f, &l)) {
		if (!is_function(&l) || !l.tag[0] || !strcmp(l.tag, "[bpf]") ||
		    !strncmp(l.tag, "[__builtin__", 12) || nr++ % EVERY)
			continue;
		if (ksymbols_find(k, l.address + 1, &sym) < 0)
			continue;
		nr_asked++;
		nr_same += !strcmp(sym.tag, l.tag);
	}
	fclose(f);
	ksymbols_close(k);
	if (!nr) {
		print_message("# skip: no module has functions here\n");
		skip();
	}
	print_message("# %zu of %zu are of the same module\n", nr_same, nr_asked);
	assert_true(nr_asked && nr_same == nr_asked);
}

static void finds_what_it_has_found(void **state)
{
	struct ksymbols *k = open_or_skip();
	uint64_t address = 0;
	struct ksymbol sym;
	int err = ksymbols_address(k, "vfs_read", &address);

	(void)state;
	if (err != -EOPNOTSUPP) {
		assert_int_equal(err, 0);
		assert_int_equal(ksymbols_find(k, address + 2, &sym), 0);
		assert_string_equal(sym.name, "vfs_read");
		assert_true(sym.start == address && sym.size_bytes > 2);
		assert_int_equal(ksymbols_address(k, "no_such_function_anywhere", &address),
				 -ENOENT);
		assert_int_equal(ksymbols_address(k, "a_name_that_is_longer_than_any_that_"
						  "somebody_would_ask_for_in_earnest", &address),
				 -ENOENT);
	}
	ksymbols_close(k);
}

static void other_addresses_have_no_name(void **state)
{
	static const uint64_t addresses[] = { 0, 1, 4096, UINT64_C(1) << 46, UINT64_MAX };
	struct ksymbols *k = open_or_skip();
	struct ksymbol sym;

	(void)state;
	for (size_t i = 0; i < sizeof(addresses) / sizeof(*addresses); i++)
		assert_int_equal(ksymbols_find(k, addresses[i], &sym), -ENOENT);
	ksymbols_close(k);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(agrees_with_kallsyms),
		cmocka_unit_test(tells_modules),
		cmocka_unit_test(finds_what_it_has_found),
		cmocka_unit_test(other_addresses_have_no_name),
	};

	return cmocka_run_group_tests_name("record/ksymbols", tests, NULL, NULL);
}
