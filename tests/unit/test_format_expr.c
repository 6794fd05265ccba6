#include "format/expr.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/random_expr.h"

/* --- one record ------------------------------------------------------------------------ */

static const struct known {
	const char *name;
	enum expr_type type;
	uint64_t number;
	const char *text;
} known[] = {
	{ "pid", EXPR_UNSIGNED, 42, NULL },
	{ "prio", EXPR_SIGNED, (uint64_t)-20, NULL },
	{ "max", EXPR_UNSIGNED, UINT64_MAX, NULL },
	{ "min", EXPR_SIGNED, (uint64_t)1 << 63, NULL },
	{ "duration", EXPR_UNSIGNED, 25000000, NULL },
	{ "file->f_path.dentry->d_name.name", EXPR_STRING, 0, "passwd" },
	{ "args[0]", EXPR_SIGNED, 3, NULL },
	{ "args[10].x", EXPR_SIGNED, 4, NULL },
	{ "comm", EXPR_STRING, 0, "nginx: worker" },
	{ "empty", EXPR_STRING, 0, "" },
	{ "$a_1", EXPR_UNSIGNED, 0, NULL },
};

struct seen {
	const struct known *vars[64];
	unsigned int asked;
};

static int resolve(void *ctx, const char *name, uint32_t var, enum expr_type *type)
{
	struct seen *seen = ctx;

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (strcmp(known[i].name, name))
			continue;
		seen->vars[var] = &known[i];
		*type = known[i].type;
		return 0;
	}
	return -2;
}

static struct expr_value get(void *ctx, uint32_t var)
{
	struct seen *seen = ctx;
	const struct known *k = seen->vars[var];

	seen->asked++;
	if (!k->text)
		return (struct expr_value) { .number = k->number };
	return (struct expr_value) { .text = k->text, .len_bytes = strlen(k->text) };
}

/* -1 with the sentence in d, or whether it is true of the record; *asked: values read. */
static int try(const char *text, struct diag *d, unsigned int *asked)
{
	struct seen seen = { .asked = 0 };
	struct expr *e;
	int result = -1;

	d->text[0] = '\0';
	if (expr_parse(&e, text, d))
		return -1;
	if (!expr_bind(e, resolve, &seen, "pid, comm", d))
		result = expr_true(e, get, &seen);
	*asked = seen.asked;
	expr_free(e);
	return result;
}

/* --- what is true ------------------------------------------------------------------------ */

static const struct {
	int truth;
	const char *text;
} cases[] = {
	{ 1, "pid" }, { 0, "!pid" }, { 0, "$a_1" }, { 1, "!$a_1" }, { 1, "pid == 42" },
	{ 1, "pid==0x2a" }, { 1, "pid == 0b101010" }, { 1, "pid == 052" }, { 0, "pid != 42" },
	{ 1, " pid\t>\n41 " }, { 1, "pid >= 42" }, { 0, "pid > 42" }, { 1, "pid <= 42" },
	{ 0, "pid < 42" }, { 1, "41 < pid" },
	/* precedence of C */
	{ 1, "1 + 2 * 3 == 7" }, { 1, "(1 + 2) * 3 == 9" }, { 1, "7 - 2 - 1 == 4" },
	{ 1, "1 << 2 + 1 == 8" }, { 0, "6 & 2 == 2" }, { 1, "(6 & 2) == 2" },
	{ 1, "1 | 2 ^ 3 & 4" }, { 1, "1 || 0 && 0" }, { 0, "(1 || 0) && 0" },
	{ 1, "!0 == 1" }, { 1, "-1 + 2 == 1" }, { 1, "~0 == -1" }, { 1, "- -1 == 1" },
	{ 1, "2 * 3 % 4 == 2" }, { 1, "20 / 3 / 2 == 3" }, { 1, "!!pid == 1" },
	/* signs */
	{ 1, "prio == -20" }, { 1, "prio < 0" }, { 1, "prio < pid" }, { 1, "prio < max" },
	{ 0, "prio == max - 19" }, { 1, "pid > -1" }, { 0, "max == -1" }, { 1, "max > min" },
	{ 1, "min < 0" }, { 1, "max == 18446744073709551615" }, { 1, "max + 1 == 0" },
	{ 1, "prio / 3 == -6" }, { 1, "prio % 3 == -2" }, { 1, "min / -1 == min" },
	{ 1, "min % -1 == 0" }, { 1, "-min == min" }, { 1, "prio >> 1 == -10" },
	{ 1, "max >> 63 == 1" }, { 1, "min >> 63 == -1" }, { 1, "pid - 43 == max" },
	/* nothing is undefined */
	{ 1, "pid / 0 == 0" }, { 1, "pid % 0 == 0" }, { 1, "prio / $a_1 == 0" },
	{ 1, "pid << 64 == 0" }, { 1, "pid >> 64 == 0" }, { 1, "prio >> 64 == -1" },
	{ 1, "prio >> -1 == -1" }, { 1, "pid << -1 == 0" }, { 1, "1 << 63 == min" },
	/* suffixes */
	{ 1, "duration == 25ms" }, { 1, "duration == 25000us" }, { 1, "duration > 0.02s" },
	{ 1, "duration == 0.025s" }, { 1, "1K == 1024" }, { 1, "1M == 1024 * 1K" },
	{ 1, "1G == 1024M" }, { 1, "2T == 2048G" }, { 1, "1.5K == 1536" }, { 1, "3ns == 3" },
	{ 1, "0x10K == 16384" },
	/* texts */
	{ 1, "comm == \"nginx: worker\"" }, { 0, "comm == \"nginx\"" }, { 1, "comm != 'nginx'" },
	{ 1, "comm ~ \"nginx*\"" }, { 1, "comm ~ '*worker'" }, { 1, "comm ~ '*: *'" },
	{ 1, "comm ~ 'n*x*w*r'" }, { 0, "comm ~ '?'" }, { 1, "comm !~ '*y*'" },
	{ 1, "comm ~ '?????: worker'" }, { 1, "comm ~ '**'" }, { 1, "empty ~ '*'" },
	{ 1, "empty ~ ''" }, { 0, "empty ~ '?'" }, { 0, "empty" }, { 1, "!empty" },
	{ 1, "comm" }, { 1, "comm && pid" }, { 1, "empty || comm" }, { 1, "empty == ''" },
	{ 1, "comm < 'o'" }, { 1, "comm > 'nginx'" }, { 1, "comm >= comm" }, { 0, "comm < comm" },
	{ 1, "'a' < 'b'" }, { 1, "'a' == \"a\"" }, { 1, "\"\\x41\\\\\\\"\\n\\t\" == 'A\\\\\"\\n\\t'" },
	{ 1, "file->f_path.dentry->d_name.name == 'passwd'" },
	/* names */
	{ 1, "args[0] == 3" }, { 1, "args[10].x-args[0]==1" }, { 1, "pid-args[0]>0" },
	{ 1, "pid>-1" },
};

static void evaluates(void **state)
{
	unsigned int asked;
	struct diag d;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int truth = try(cases[i].text, &d, &asked);

		if (truth != cases[i].truth)
			print_error("%s: %d %s\n", cases[i].text, truth, d.text);
		assert_int_equal(truth, cases[i].truth);
	}
}

static void stops_when_it_knows(void **state)
{
	unsigned int asked;
	struct diag d;

	(void)state;
	assert_int_equal(try("$a_1 && pid == 42 && comm", &d, &asked), 0);
	assert_int_equal(asked, 1);
	assert_int_equal(try("pid || comm", &d, &asked), 1);
	assert_int_equal(asked, 1);
}

/* --- complaints ------------------------------------------------------------------------- */

static const struct {
	const char *text, *complaint;
} wrong[] = {
	{ "", "filter: it is empty" },
	{ " \t", "filter: it is empty" },
	{ "pid ==", "filter, column 7: expected a name or value after '==', not the end" },
	{ "== 5", "filter, column 1: expected a name or value, not '='" },
	{ "pid = 5", "filter, column 5: '=' compares nothing: use '=='" },
	{ "pid 5", "filter, column 5: expected an operator, not '5'" },
	{ "pid == 5 5", "filter, column 10: expected an operator, not '5'" },
	{ "(pid", "filter, column 1: '(' without a ')'" },
	{ "pid)", "filter, column 4: ')' without a '('" },
	{ "(pid 5)", "filter, column 6: expected an operator or ')', not '5'" },
	{ "()", "filter, column 2: expected a name or value after '(', not ')'" },
	{ "pid & & 5", "filter, column 7: expected a name or value after '&', not '&'" },
	{ "pid == @", "filter, column 8: expected a name or value after '==', not '@'" },
	{ "1 < pid < 9",
	  "filter, column 9: '<' after another comparison: write (a < b) && (b < c)" },
	{ "pid == 5x", "filter, column 8: '5x' is no number (units: ns us ms s K M G T)" },
	{ "089", "filter, column 1: '089' is no number (units: ns us ms s K M G T)" },
	{ "0x", "filter, column 1: expected digits after '0x'" },
	{ "0xg", "filter, column 1: expected digits after '0x'" },
	{ "18446744073709551616", "filter, column 1: '18446744073709551616' does not fit into 64 bits" },
	{ "18446744073709551615K",
	  "filter, column 1: '18446744073709551615K' does not fit into 64 bits" },
	{ "pid > 1.5", "filter, column 7: '1.5' is no whole number" },
	{ "1.0000000000000000000000001s",
	  "filter, column 1: '1.0000000000000000000000001s' is no whole number" },
	{ "comm == \"a", "filter, column 9: text without a closing \"" },
	{ "comm == 'a", "filter, column 9: text without a closing '" },
	{ "comm == '\\q'",
	  "filter, column 10: unknown escape (there are \\\\ \\\" \\' \\n \\t \\r \\xHH)" },
	{ "comm == '\\x00'",
	  "filter, column 10: unknown escape (there are \\\\ \\\" \\' \\n \\t \\r \\xHH)" },
	{ "comm ~ pid", "filter, column 8: expected a pattern in quotes after '~'" },
	{ "comm ~ ('a' == 'b')", "filter, column 13: expected a pattern in quotes after '~'" },
	{ "foo == 1", "filter, column 1: no field 'foo' (there are: pid, comm)" },
	{ "pid == 1 && foo", "filter, column 13: no field 'foo' (there are: pid, comm)" },
	{ "comm == 5", "filter, column 9: this is a number, but 'comm' is text: "
	  "text to compare with belongs in quotes" },
	{ "pid == 'a'", "filter, column 8: \"a\" is text, but 'pid' is a number" },
	{ "comm == pid", "filter, column 9: 'pid' is a number, but 'comm' is text: "
	  "text to compare with belongs in quotes" },
	{ "comm + 1 == 2", "filter, column 1: 'comm' is text, but '+' takes numbers" },
	{ "1 + comm == 2", "filter, column 5: 'comm' is text, but '+' takes numbers" },
	{ "-comm", "filter, column 2: 'comm' is text, but '-' takes numbers" },
	{ "'a' + 1", "filter, column 1: \"a\" is text, but '+' takes numbers" },
	{ "pid ~ '4*'", "filter, column 1: 'pid' is a number, but '~' matches text" },
	{ "'\xc3\xa4' == comm && foo", "filter, column 16: no field 'foo' (there are: pid, comm)" },
};

static void complains(void **state)
{
	unsigned int asked;
	struct diag d;

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		assert_int_equal(try(wrong[i].text, &d, &asked), -1);
		assert_string_equal(d.text, wrong[i].complaint);
	}
}

static char *repeat(const char *part, size_t times, const char *rest)
{
	char *text = malloc(strlen(part) * times + strlen(rest) + 1), *at = text;

	assert_non_null(text);
	for (size_t i = 0; i < times; i++)
		at = stpcpy(at, part);
	strcpy(at, rest);
	return text;
}

static void expect_refused(const char *part, size_t times, const char *rest, const char *why)
{
	char *text = repeat(part, times, rest);
	unsigned int asked;
	struct diag d;

	assert_int_equal(try(text, &d, &asked), -1);
	if (!strstr(d.text, why))
		print_error("%s\n", d.text);
	assert_non_null(strstr(d.text, why));
	free(text);
}

static void has_limits(void **state)
{
	char names[700] = "pid";
	unsigned int asked;
	struct diag d;
	char *text;

	(void)state;
	expect_refused(" ", 4096, "1", "longer than 4096 bytes");
	expect_refused("(", 51, "1", "nested more than 50 deep");
	expect_refused("!", 51, "1", "nested more than 50 deep");
	expect_refused("1+", 1000, "1", "too long: at most 1000");
	for (int i = 0; i < 64; i++)
		sprintf(names + strlen(names), "+ a%d", i);
	assert_int_equal(try(names, &d, &asked), -1);
	assert_non_null(strstr(d.text, "more than 64 different names"));
	text = repeat("pid && ", 480, "1");
	assert_int_equal(try(text, &d, &asked), 1);
	free(text);
	text = repeat("(", 40, "pid");
	text = realloc(text, 200);
	strcat(text, "))))))))))))))))))))))))))))))))))))))))");
	assert_int_equal(try(text, &d, &asked), 1);
	free(text);
}

static void binds_again(void **state)
{
	static const char text[] = "comm == 'x' || pid > 1";
	struct seen seen = { .asked = 0 };
	struct diag d = { "" };
	unsigned int vars[64];
	struct expr *e;

	(void)state;
	assert_int_equal(expr_parse(&e, text, &d), 0);
	assert_string_equal(expr_source(e), text);
	assert_int_equal(expr_nr_vars(e), 2);
	assert_string_equal(expr_var_name(e, 0), "comm");
	assert_string_equal(expr_var_name(e, 1), "pid");
	assert_int_equal(expr_bind(e, resolve, &seen, NULL, &d), 0);
	assert_int_equal(expr_root(e)->op, EXPR_OR);
	assert_int_equal(expr_root(e)->left->left->type, EXPR_STRING);
	assert_int_equal(expr_root(e)->column, 13);
	/* Where comm is a number, it is no text. */
	assert_int_equal(expr_bind(e, rx_resolve, vars, NULL, &d), -22);
	d.text[0] = '\0';
	assert_int_equal(expr_bind(e, resolve, &seen, NULL, &d), 0);
	assert_true(expr_true(e, get, &seen));
	expr_free(e);
	expr_free(NULL);
}

/* The name of pid's number: of its lowest bits, or of more. */
static int name_pid(void *ctx, uint32_t var, const char *text, size_t len_bytes,
		    struct expr_name *out)
{
	const struct seen *seen = ctx;

	if (strcmp(seen->vars[var]->name, "pid"))
		return -22;
	out->mask = len_bytes == 4 ? UINT64_MAX : 0xf;
	out->bits = len_bytes == 4 ? 42 : 0xa;
	out->known = "FOUR, LOW";
	return (len_bytes == 4 && !memcmp(text, "FOUR", 4)) ||
	       (len_bytes == 3 && !memcmp(text, "LOW", 3)) ? 0 : -2;
}

static void knows_names(void **state)
{
	static const struct {
		const char *text;
		int truth;			/* -1: does not fit */
		const char *says;
	} rows[] = {
		{ "pid == \"FOUR\"", 1, "" }, { "\"FOUR\" == pid", 1, "" },
		{ "pid != \"FOUR\"", 0, "" }, { "pid == \"LOW\"", 1, "" },
		{ "!(pid == 'LOW') || pid == 41", 0, "" },
		{ "comm == \"FOUR\" || pid == 'FOUR'", 1, "" },
		{ "pid == \"FIVE\"", -1, "column 8: 'pid' is never \"FIVE\" (it may be: FOUR, LOW)" },
		{ "pid < \"FOUR\"", -1, "\"FOUR\" is text, but 'pid' is a number" },
		{ "pid + 1 == \"FOUR\"", -1, "but this is a number" },
		{ "pid == comm", -1, "'comm' is text, but 'pid' is a number" },
		{ "prio == \"FOUR\"", -1, "\"FOUR\" is text, but 'prio' is a number" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct seen seen = { .asked = 0 };
		struct diag d = { "" };
		struct expr *e;
		int err;

		assert_int_equal(expr_parse(&e, rows[i].text, &d), 0);
		err = expr_bind_names(e, resolve, name_pid, &seen, NULL, &d);
		if (!strstr(d.text, rows[i].says))
			fail_msg("%s: %s", rows[i].text, d.text);
		assert_int_equal(err ? -1 : expr_true(e, get, &seen), rows[i].truth);
		/* Without names it is what it was. */
		if (!err && !strstr(rows[i].text, "comm"))
			assert_int_equal(expr_bind(e, resolve, &seen, NULL, &d), -22);
		expr_free(e);
	}
}

/* --- against another evaluator ----------------------------------------------------------- */

struct record {
	struct rx_values values;
	unsigned int vars[64];
};

static struct expr_value get_random(void *ctx, uint32_t var)
{
	const struct record *r = ctx;
	const char *text;

	if (r->vars[var] < RX_NUMBERS)
		return (struct expr_value) { .number = r->values.numbers[r->vars[var]] };
	text = r->values.texts[r->vars[var] - RX_NUMBERS];
	return (struct expr_value) { .text = text, .len_bytes = strlen(text) };
}

static void agrees_with_another(void **state)
{
	struct rx *x = calloc(1, sizeof(*x));
	size_t nr_true = 0, nr = 0;

	(void)state;
	assert_non_null(x);
	x->state = 0x123456789abcdef;
	for (int i = 0; i < 20000; i++) {
		const struct rx_node *root = rx_expression(x, 1 + (unsigned int)i % 5);
		struct diag d = { "" };
		struct record r;
		struct expr *e;

		if (expr_parse(&e, x->source, &d) || expr_bind(e, rx_resolve, r.vars, NULL, &d))
			fail_msg("%s: %s", x->source, d.text);
		for (int k = 0; k < 8; k++, nr++) {
			bool expected;

			rx_values(x, &r.values);
			expected = rx_eval(root, &r.values) != 0;
			if (expr_true(e, get_random, &r) != expected)
				fail_msg("%s is %s", x->source, expected ? "true" : "false");
			nr_true += expected;
		}
		expr_free(e);
	}
	/* Most of them are no constants. */
	assert_in_range(nr_true, nr / 4, nr - nr / 4);
	free(x);
}

/* --- two sides ------------------------------------------------------------------------- */

/* Conditions that name nothing but what begins with an s. */
static bool wants_s(void *ctx, const struct expr *condition)
{
	(void)ctx;
	for (uint32_t i = 0; i < expr_nr_vars(condition); i++)
		if (*expr_var_name(condition, i) != 's')
			return false;
	return expr_nr_vars(condition) > 0;
}

/* The text is what was expected, and each character of it stands where it stood. */
static void assert_part(const char *source, const char *got, const char *expected)
{
	size_t n = 0;

	assert_int_equal(got != NULL, expected != NULL);
	for (size_t i = 0; got && got[i]; i++) {
		if (got[i] == ' ')
			continue;
		assert_int_equal(got[i], source[i]);
		n += expected[n] == ' ';
		assert_int_equal(got[i], expected[n++]);
	}
	assert_true(!got || !expected[n]);
}

static void splits(void **state)
{
	static const struct {
		const char *source, *s, *others;
	} texts[] = {
		{ "s > 1", "s > 1", NULL }, { "e", NULL, "e" }, { "1", NULL, "1" },
		{ "s == 1 && e == 2", "s == 1", "e == 2" },
		{ "e == 2 && (s1 || s2) && f", "(s1 || s2)", "e == 2 && f" },
		{ "s1 && e && s2", "s1 && s2", "e" },
		{ "s || e", NULL, "s || e" }, { "s && e || f", NULL, "s && e || f" },
		{ "s + e > 1 && s", "s", "s + e > 1" },
		{ "s == \"x && e\" && e", "s == \"x && e\"", "e" },
	};
	char *s, *others;
	struct diag d;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		assert_int_equal(expr_split(texts[i].source, wants_s, NULL, &s, &others, &d), 0);
		assert_part(texts[i].source, s, texts[i].s);
		assert_part(texts[i].source, others, texts[i].others);
		free(s);
		free(others);
	}
	assert_int_equal(expr_split("s && ", wants_s, NULL, &s, &others, &d), -EINVAL);
}

static void finds_braces(void **state)
{
	static const struct {
		const char *text;
		int end;		/* -1: there is none */
	} texts[] = {
		{ "{}", 1 }, { "{a > 1}b}", 6 }, { "{a", -1 }, { "{a == \"}\"}", 9 },
		{ "{a == '\\'}'}", 11 }, { "{a == \"'}\"} '", 10 }, { "{\"}", -1 }, { "{'\\", -1 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		const char *text = texts[i].text, *end = expr_braces_end(text, text + strlen(text));

		assert_int_equal(end ? end - text : -1, texts[i].end);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(evaluates),
		cmocka_unit_test(stops_when_it_knows),
		cmocka_unit_test(complains),
		cmocka_unit_test(has_limits),
		cmocka_unit_test(binds_again),
		cmocka_unit_test(knows_names),
		cmocka_unit_test(splits),
		cmocka_unit_test(finds_braces),
		cmocka_unit_test(agrees_with_another),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
