/*
 * The words after -e of a view: events, and spans of two of them.
 */
#include "report/query_spanspec.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void put_side(char *to, const struct query_spanspec_side *side)
{
	strcat(to, side->event);
	if (side->chooses)
		strcat(to, "(");
	for (size_t i = 0; i < side->nr_fields; i++)
		sprintf(to + strlen(to), "%s%s<%s", i ? " " : "", side->fields[i].name,
			side->fields[i].source);
	if (side->chooses)
		strcat(to, ")");
	if (side->condition)
		sprintf(to + strlen(to), "{%s}", side->condition);
}

/* In a form of its own, so that every part can be seen. */
static void describe(char *to, const struct query_spanspecs *s)
{
	to[0] = '\0';
	for (size_t i = 0; i < s->nr; i++) {
		put_side(to, &s->list[i].sides[0]);
		strcat(to, " -> ");
		put_side(to, &s->list[i].sides[1]);
		for (size_t k = 0; k < s->list[i].nr_keys; k++)
			sprintf(to + strlen(to), " @%s:%s", s->list[i].keys[k].start,
				s->list[i].keys[k].end);
		if (s->list[i].name)
			sprintf(to + strlen(to), " '%s'", s->list[i].name);
		strcat(to, ";");
	}
	if (s->names)
		sprintf(to + strlen(to), "[%s]", s->names);
}

static void takes_words_apart(void **state)
{
	static const struct {
		const char *text, *is;
	} cases[] = {
		{ "", "[]" },
		{ "a,b*", "[a,b*]" },
		{ "a:b..c:d", "a:b -> c:d;" },
		{ " a:b .. c:d ", "a:b -> c:d;" },
		{ "a..b@k", "a -> b @k:k;" },
		{ "a..b@k,l=m as x y", "a -> b @k:k @l:m 'x y';" },
		{ "a..b as n", "a -> b 'n';" },
		{ "a..b@k,c:d", "a -> b @k:k;[c:d]" },
		{ "a..b@k as n,l", "a -> b @k:k 'n';[l]" },
		{ "a..b@k,c..d@e,f", "a -> b @k:k;c -> d @e:e @f:f;" },
		{ "x,a..b,y", "a -> b;[x,y]" },
		{ "a..b@k\nc,d", "a -> b @k:k;[c,d]" },
		{ "a(x,n=y)..b()@k", "a(x<x n<y) -> b() @k:k;" },
		{ "a(stack, z)..b(task)", "a(stack<stack z<z) -> b(task<task);" },
		{ "a:*..b?c@args[0]=x->y", "a:* -> b?c @args[0]:x->y;" },
		{ "uprobe:/lib/../x:f", "[uprobe:/lib/../x:f]" },
		{ "...a", "[...a]" },
		{ "a..", "[a..]" },
		{ "a{x == 1}..b{ y ~ \"},..@'\\\" as q\" }@k as n,c",
		  "a{x == 1} -> b{y ~ \"},..@'\\\" as q\"} @k:k 'n';[c]" },
		{ "a(x){x,y}..b", "a(x<x){x,y} -> b;" },
		{ "a..b@k,*", "a -> b @k:k;[*]" },
	};
	struct query_spanspecs s;
	struct diag d = { "" };
	char got[256];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(query_spanspec_parse(&s, cases[i].text, &d), 0);
		describe(got, &s);
		assert_string_equal(got, cases[i].is);
		query_spanspec_release(&s);
	}
	assert_int_equal(query_spanspec_parse(&s, NULL, &d), 0);
	assert_true(!s.nr && !s.names);
}

static void refuses_words(void **state)
{
	static const struct {
		const char *text, *word;
	} cases[] = {
		{ "a..b@", "key" }, { "a..b@,", "key" }, { "a..b@k=", "key" },
		{ "a..b@=k", "key" }, { "a..b@a,b,c,d,e", "more than 4 keys" },
		{ "a(x..b", "" }, { "(x)..b", "lacks one of its two events" },
		{ "a(x)y..b", "')'" }, { "a(,)..b", "no name" },
		{ "a(x:hex)..b", "when recording" },
		{ "a{}..b", "condition is empty" }, { "a..b{x}y", "a condition ends in '}'" },
		{ "a..b{x", "a condition ends in '}'" }, { "a..b as ", "" },
	};
	struct query_spanspecs s;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct diag d = { "" };
		int err = query_spanspec_parse(&s, cases[i].text, &d);

		if (!*cases[i].word) {
			query_spanspec_release(&s);
			continue;
		}
		assert_int_equal(err, -EINVAL);
		assert_non_null(strstr(d.text, cases[i].word));
		assert_true(!s.nr && !s.names);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_words_apart),
		cmocka_unit_test(refuses_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
