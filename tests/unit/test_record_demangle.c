/* Readable names, and names made to hurt. */
#define _GNU_SOURCE
#include "record/demangle.h"

#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void test_samples(void **state)
{
	static const struct {
		const char *mangled, *readable;		/* NULL: not a mangled name */
	} samples[] = {
		{ "_ZN4kiln4ovenIlLi2EE4bakeEl", "kiln::oven<long, 2>::bake" },
		{ "_ZZ4mainENKUlmE_clEm", "main::{lambda(unsigned long)#1}::operator()" },
		{ "_ZNK4kiln4clayplERKS0_", "kiln::clay::operator+" },
		{ "_ZN4kiln12_GLOBAL__N_14bowl4fireEm", "kiln::(anonymous namespace)::bowl::fire" },
		{ "_ZTV4bowl", "vtable for bowl" },
		{ "_Z3fooIiEvT_", "foo<int>" },
		{ "_ZdlPv", "operator delete" },
		{ "_ZdlPv@plt", "operator delete@plt" },
		{ "_ZNSt6vectorIiE4sizeEv@@V_1", "std::vector<int>::size@@V_1" },
		{ "_ZN4rust4kiln4bake17h0123456789abcdefE", "rust::kiln::bake" },
		{ "_RNvCskwGfYPst2Cb_3foo16example_function", "foo::example_function" },
		{ "_RINvNtCs1234_7mycrate3foo3barlE", "mycrate::foo::bar::<i32>" },
		{ "main", NULL }, { "", NULL }, { "_", NULL }, { "_Z", NULL }, { "_R", NULL },
		{ "_ZN", NULL }, { "_Zqq", NULL }, { "_Random", NULL }, { "@", NULL },
		{ "_Z@plt", NULL },
	};
	char name[256];

	(void)state;
	for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
		bool done = demangle_name(samples[i].mangled, name, sizeof(name));

		assert_int_equal(done, samples[i].readable != NULL);
		if (done)
			assert_string_equal(name, samples[i].readable);
	}
}

static void test_cut(void **state)
{
	char name[8];

	(void)state;
	assert_true(demangle_name("_ZN4kiln4ovenIlLi2EE4bakeEl", name, sizeof(name)));
	assert_string_equal(name, "kiln::o");
	assert_true(demangle_name("_ZdlPv@plt", name, sizeof(name)));
	assert_string_equal(name, "operato");
	assert_false(demangle_name("_ZdlPv", name, 0));
}

static char *put_number(char *to, size_t n, size_t base)
{
	static const char digits[] =
		"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
	char text[16];
	int len = 0;

	do
		text[len++] = digits[n % base];
	while (n /= base);
	while (len)
		*to++ = base == 36 ? (char)toupper(text[--len]) : text[--len];
	return to;
}

static void check_filled(const char *mangled)
{
	char name[1024];

	assert_true(demangle_name(mangled, name, sizeof(name)));
	assert_int_equal(strlen(name), sizeof(name) - 1);
}

/* Each level names the one before twice: 2^60 words, if nobody stops it. */
static void test_expansion(void **state)
{
	char mangled[4096], *at;
	size_t last = 0;

	(void)state;
	at = stpcpy(mangled, "_Z1fI1AIiiE");
	for (size_t i = 1; i < 60; i++) {
		at = stpcpy(at, "1BI");
		for (int twice = 0; twice < 2; twice++) {
			/* S_ is the first, S0_ the second, ... in base 36 */
			*at++ = 'S';
			at = put_number(at, 2 * i - 1, 36);
			*at++ = '_';
		}
		*at++ = 'E';
	}
	strcpy(at, "Evv");
	check_filled(mangled);

	at = stpcpy(mangled, "_RINvC1a1b");
	for (size_t i = 0; i < 60; i++) {
		size_t here = (size_t)(at - mangled) - 2;

		*at++ = 'T';
		for (int twice = 0; twice < 2; twice++) {
			if (!i) {
				*at++ = 'l';
				continue;
			}
			*at++ = 'B';
			at = put_number(at, last - 1, 62);
			*at++ = '_';
		}
		*at++ = 'E';
		last = here;
	}
	strcpy(at, "E");
	check_filled(mangled);
}

/* Whatever it is, it ends and stays within the buffer. */
static void test_mutations(void **state)
{
	static const char *const seeds[] = {
		"_ZN4kiln4ovenIlLi2EE4bakeEl", "_RINvNtCs1234_7mycrate3foo3barlE",
		"_ZNSt6vectorISt4pairIiN1a1bIcEEESaIS4_EE7emplaceEOS4_",
		"_ZN4rust4kiln4bake17h0123456789abcdefE",
	};
	char mangled[128], name[64];

	(void)state;
	srandom(11);
	for (int i = 0; i < 200000; i++) {
		size_t len;

		strcpy(mangled, seeds[i % 4]);
		len = strlen(mangled);
		for (long n = random() % 4; n >= 0; n--)
			mangled[2 + (size_t)random() % (len - 2)] = (char)(33 + random() % 94);
		if (random() % 4 == 0)
			mangled[(size_t)random() % len] = '\0';
		memset(name, 'x', sizeof(name));
		if (demangle_name(mangled, name, sizeof(name) - 1))
			assert_true(memchr(name, '\0', sizeof(name) - 1));
		assert_int_equal(name[sizeof(name) - 1], 'x');
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_samples),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_expansion),
		cmocka_unit_test(test_mutations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
