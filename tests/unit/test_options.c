#include "cmd/options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "cmd/suggest.h"

struct opts {
	const char *output, *format;
	int nr_verbose;
	bool bare_format;
};

static int set_output(void *opts, const char *arg)
{
	((struct opts *)opts)->output = arg;
	return strcmp(arg, "bad") ? 0 : EXIT_USAGE;
}

static int set_verbose(void *opts, const char *arg)
{
	assert_null(arg);
	((struct opts *)opts)->nr_verbose++;
	return 0;
}

static int set_format(void *opts, const char *arg)
{
	((struct opts *)opts)->format = arg;
	((struct opts *)opts)->bare_format = !arg;
	return 0;
}

static const struct option_row first[] = {
	{ 'o', "output", "FILE", "where to", set_output },
	{ 0, NULL, NULL, NULL, NULL },
};
static const struct option_row second[] = {
	{ 'v', NULL, NULL, "say more", set_verbose },
	{ 0, "format", "[NAME]", "what kind", set_format },
	{ 0, NULL, NULL, NULL, NULL },
};
static const struct option_row *const tables[] = { first, second, NULL };
static const struct command command = {
	.name = "test", .summary = "try", .usage = "[options]", .options = tables,
};

/* Runs the parser; what it says on stderr goes to said[]. */
static char said[512];

static int parse(struct opts *o, int *at, const char *const *args)
{
	char **argv = (char **)(uintptr_t)args;
	int argc = 0, saved = dup(STDERR_FILENO), ret;
	FILE *to = tmpfile();
	size_t len;

	while (argv[argc])
		argc++;
	memset(o, 0, sizeof(*o));
	fflush(stderr);
	dup2(fileno(to), STDERR_FILENO);
	command_begin(argc, argv, "test");
	ret = options_parse(&command, argc, argv, o, at);
	fflush(stderr);
	dup2(saved, STDERR_FILENO);
	close(saved);
	rewind(to);
	len = fread(said, 1, sizeof(said) - 1, to);
	said[len] = '\0';
	fclose(to);
	return ret;
}

#define PARSE(o, at, ...) parse(o, at, (const char *[]){ "test", __VA_ARGS__, NULL })

static void test_rows_of_all_tables(void **state)
{
	struct opts o;
	int at;

	(void)state;
	assert_int_equal(PARSE(&o, &at, "-vvo", "x", "--format=svg", "rest", "-v"), 0);
	assert_int_equal(o.nr_verbose, 2);
	assert_string_equal(o.output, "x");
	assert_string_equal(o.format, "svg");
	assert_int_equal(at, 4);
	assert_string_equal(said, "");
}

static void test_optional_argument(void **state)
{
	struct opts o;
	int at;

	(void)state;
	assert_int_equal(PARSE(&o, &at, "--format", "svg"), 0);
	assert_true(o.bare_format);
	assert_int_equal(at, 2);
}

static void test_double_dash_ends(void **state)
{
	struct opts o;
	int at;

	(void)state;
	assert_int_equal(PARSE(&o, &at, "--", "-v"), 0);
	assert_int_equal(o.nr_verbose, 0);
	assert_int_equal(at, 2);
}

static void test_help(void **state)
{
	struct opts o;
	int at;

	(void)state;
	assert_int_equal(PARSE(&o, &at, "--help"), OPTIONS_HELP);
	assert_int_equal(PARSE(&o, &at, "-vh"), OPTIONS_HELP);
}

static void test_errors_name_the_option(void **state)
{
	struct opts o;
	int at;

	(void)state;
	assert_int_equal(PARSE(&o, &at, "-v", "-x"), EXIT_USAGE);
	assert_string_equal(said, "kymo test: unknown option '-x' (see --help)\n");
	assert_int_equal(PARSE(&o, &at, "--ouptut=f"), EXIT_USAGE);
	assert_string_equal(said,
			    "kymo test: unknown option '--ouptut' (did you mean --output?)\n");
	assert_int_equal(PARSE(&o, &at, "--output"), EXIT_USAGE);
	assert_string_equal(said, "kymo test: option --output needs an argument: FILE\n");
	assert_int_equal(PARSE(&o, &at, "-vo"), EXIT_USAGE);
	assert_string_equal(said, "kymo test: option -o needs an argument: FILE\n");
	assert_int_equal(PARSE(&o, &at, "--help=1"), EXIT_USAGE);
	assert_string_equal(said, "kymo test: option --help takes no argument: '--help=1'\n");
	assert_int_equal(PARSE(&o, &at, "-o", "bad"), EXIT_USAGE);
}

static void test_complaint_is_harmless(void **state)
{
	struct opts o;
	int at;

	(void)state;
	assert_int_equal(PARSE(&o, &at, "--\033[2J"), EXIT_USAGE);
	assert_null(strchr(said, '\033'));
}

static const char *nearest(const char *word)
{
	struct suggest s;

	suggest_begin(&s, word);
	suggest_try(&s, "record");
	suggest_try(&s, "report");
	suggest_try(&s, "flamegraph");
	return s.best ? s.best : "";
}

static void test_suggest(void **state)
{
	(void)state;
	assert_string_equal(nearest("recrod"), "record");
	assert_string_equal(nearest("reprot"), "report");
	assert_string_equal(nearest("flame"), "flamegraph");
	assert_string_equal(nearest("xyz"), "");
	assert_string_equal(nearest(""), "");
	assert_string_equal(nearest("a-word-that-is-longer-than-any-name-of-ours"), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows_of_all_tables),
		cmocka_unit_test(test_optional_argument),
		cmocka_unit_test(test_double_dash_ends),
		cmocka_unit_test(test_help),
		cmocka_unit_test(test_errors_name_the_option),
		cmocka_unit_test(test_complaint_is_harmless),
		cmocka_unit_test(test_suggest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
