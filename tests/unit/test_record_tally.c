#include "record/tally.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "live_tallies.h"

#define CONTEXT { .op = FETCH_CTX, .size = 8, .value = 8 }

/* --- words of users -------------------------------------------------------------------- */

static void words_are_understood(void **state)
{
	struct tally_spec s;
	struct diag d = { "" };

	(void)state;
	assert_int_equal(tally_parse(&s, " by = comm, fd ;hist=duration; every=250ms;keys=77 ;", &d),
			 0);
	assert_string_equal(s.by, "comm, fd");
	assert_string_equal(s.hist, "duration");
	assert_null(s.sum);
	assert_int_equal(s.every_ns, 250000000);
	assert_int_equal(s.max_keys, 77);
	tally_spec_release(&s);
	assert_int_equal(tally_parse(&s, "hist", &d), 0);
	assert_string_equal(s.by, "");
	assert_string_equal(s.hist, "duration");
	assert_int_equal(s.every_ns, TALLY_EVERY_NS);
	assert_int_equal(s.max_keys, TALLY_KEYS);
	tally_spec_release(&s);
	assert_int_equal(tally_parse(&s, "sum=n=count:u32;every=0.5m", &d), 0);
	assert_string_equal(s.sum, "n=count:u32");
	assert_null(s.hist);
	assert_int_equal(s.every_ns, UINT64_C(30000000000));
	tally_spec_release(&s);
	/* Addresses of a program mean something only in their process. */
	assert_int_equal(tally_parse(&s, "by=comm, stack", &d), 0);
	assert_string_equal(s.by, "comm, stack,pid");
	tally_spec_release(&s);
	assert_int_equal(tally_parse(&s, "by=pid,ustack", &d), 0);
	assert_string_equal(s.by, "pid,ustack");
	tally_spec_release(&s);
	assert_int_equal(tally_parse(&s, "by=kstack", &d), 0);
	assert_string_equal(s.by, "kstack");
	tally_spec_release(&s);
	assert_int_equal(tally_parse(&s, "", &d), 0);
	assert_null(s.hist);
	tally_spec_release(&s);
}

static void mistakes_are_named(void **state)
{
	static const struct mistake {
		const char *text, *said;
	} mistakes[] = {
		{ "bye=comm", "unknown word 'bye'" },
		{ "comm", "unknown word 'comm'" },
		{ "=comm", "unknown word ''" },
		{ "by=", "by= names no field" },
		{ "by", "by= names no field" },
		{ "sum", "sum= names no field" },
		{ "hist=", "hist= names no field" },
		{ "by=comm;by=pid", "'by' is there twice" },
		{ "hist;hist=fd", "'hist' is there twice" },
		{ "every=1s;every=1s", "'every' is there twice" },
		{ "hist=a;sum=b", "hist=a and sum=b: one value is measured" },
		{ "every=1", "every='1' is no time" },
		{ "every=s", "every='s' is no time" },
		{ "every=-1s", "every='-1s' is no time" },
		{ "every=infs", "every='infs' is no time" },
		{ "every=1h", "every='1h' is no time" },
		{ "every=9ms", "every=9ms is not between 10ms and 60m" },
		{ "every=61m", "every=61m is not between 10ms and 60m" },
		{ "every=1e99s", "is not between 10ms and 60m" },
		{ "keys=0", "keys='0' is no number from 1" },
		{ "keys=1000001", "is no number from 1 to 1000000" },
		{ "keys=-5", "keys='-5' is no number" },
		{ "keys=10k", "keys='10k' is no number" },
		{ "keys=99999999999999999999", "is no number from 1" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(mistakes) / sizeof(*mistakes); i++) {
		struct tally_spec s = { 0 };
		struct diag d = { "" };

		assert_int_equal(tally_parse(&s, mistakes[i].text, &d), -EINVAL);
		if (!strstr(d.text, mistakes[i].said))
			fail_msg("%s: %s", mistakes[i].text, d.text);
		assert_null(s.by);
	}
}

/* --- what cannot be bound -------------------------------------------------------------------------------- */

static void open_enter(struct live *l, struct live_probe **enter)
{
	if (live_open_enter(l, enter)) {
		print_message("# skip: no typed tracepoints\n");
		skip();
	}
}

static void bad_fields_are_named(void **state)
{
	static const struct mistake {
		const char *text, *said;
	} mistakes[] = {
		{ "by=nothing", "tally of 'sys_enter': it has no field 'nothing'" },
		{ "by=stack", "it has no field 'stack'" },
		{ "hist", "it has no duration (spans have one" },
		{ "hist=nothing", "it has no field 'nothing'" },
		{ "sum=comm", "field 'comm' is not a number" },
		{ "sum=id,comm", "'id,comm' is not one field" },
		{ "by=id,comm,a,b,c,d,e,f,long", "a key has at most 8 fields" },
		{ "by=id,min", "a tally has a column 'min' of its own: call the key differently "
		  "(by=other=min)" },
		{ "by=long,longer", "with field 'longer' a key has 320 bytes" },
		{ "by=bytes", "field 'bytes' is bytes of no fixed length" },
	};
	static const char *const names[] = {
		"id", "comm", "long", "longer", "bytes", "a", "b", "c", "d", "e", "f", "min",
	};
	struct live_probe *enter = NULL;
	struct live l;

	(void)state;
	open_enter(&l, &enter);
	live_number(enter, 8, CONTEXT);
	live_field(enter, RESULT_COMM, 0, 16, SPACE_ANY, NULL, 0);
	/* The usual length is cut, another one was asked for. */
	live_field(enter, RESULT_STRING, 0, PROBE_STRING_BYTES, SPACE_USER, LIVE_STEPS(CONTEXT));
	live_field(enter, RESULT_STRING, 0, 255, SPACE_USER, LIVE_STEPS(CONTEXT));
	live_field(enter, RESULT_DATA_LOC_BYTES, 0, 8, SPACE_USER, LIVE_STEPS(CONTEXT));
	while (enter->p.nr_fields < sizeof(names) / sizeof(*names))
		live_number(enter, 8, CONTEXT);
	live_name_fields(enter, names);
	for (size_t i = 0; i < enter->p.nr_fields; i++)
		enter->fields[i].source = enter->fields[i].name;
	for (size_t i = 0; i < sizeof(mistakes) / sizeof(*mistakes); i++) {
		l.diag.text[0] = '\0';
		assert_int_equal(live_tally(&l, enter, mistakes[i].text), -EINVAL);
		if (!strstr(l.diag.text, mistakes[i].said))
			fail_msg("%s: %s", mistakes[i].text, l.diag.text);
		assert_null(enter->p.tally);
	}
	live_close_tally(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(words_are_understood),
		cmocka_unit_test(mistakes_are_named),
		cmocka_unit_test(bad_fields_are_named),
	};

	return cmocka_run_group_tests_name("record/tally", tests, NULL, NULL);
}
