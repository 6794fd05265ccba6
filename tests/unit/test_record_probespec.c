#include "record/probespec.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct event_case {
	const char *text;
	const char *wanted;	/* kind|what|fields, for each; NULL: refused */
};

static const struct event_case event_cases[] = {
	{ "cpu-clock", "sample|cpu-clock|-" },
	{ "cycles:u", "sample|cycles:u|-" },
	{ "r1a8", "sample|r1a8|-" },
	{ "software:page-faults", "sample|page-faults|-" },
	{ "sched:sched_switch", "tracepoint|sched:sched_switch|-" },
	{ "t:sched:sched_switch", "tracepoint|sched:sched_switch|-" },
	{ "sched:*", "tracepoint|sched:*|-" },
	{ "cpu-clock,sched:sched_switch", "sample|cpu-clock|- tracepoint|sched:sched_switch|-" },
	{ "sched:sched_switch(prev_comm,next_pid)",
	  "tracepoint|sched:sched_switch|prev_comm,next_pid" },
	{ "a:b(x),c:d(y,z)", "tracepoint|a:b|x tracepoint|c:d|y,z" },
	{ "a:b()", "tracepoint|a:b|" },
	{ " a:b ( x ) ", "tracepoint|a:b|x" },
	{ "raw_tracepoint:sys_enter(args[0])", "raw_tracepoint|sys_enter|args[0]" },
	{ "kprobe:vfs_read+0x10", "kprobe|vfs_read+0x10|-" },
	{ "k:vfs_read", "kprobe|vfs_read|-" },
	{ "uretprobe:/bin/x:f", "uretprobe|/bin/x:f|-" },
	{ "usdt:/bin/x:a:b", "usdt|/bin/x:a:b|-" },
	/* What was said of dots, '@' and "as" holds in paths, symbols and globs, too. */
	{ "uprobe:../x:f", "uprobe|../x:f|-" },
	{ "uprobe:./a..b:f", "uprobe|./a..b:f|-" },
	{ "uprobe:/a/../b:f", "uprobe|/a/../b:f|-" },
	{ "uprobe:libc:f@@GLIBC_2.2.5", "uprobe|libc:f@@GLIBC_2.2.5|-" },
	{ "uprobe:libc:f@GLIBC_2.14", "uprobe|libc:f@GLIBC_2.14|-" },
	{ "uprobe:/my as x/y:f", "uprobe|/my as x/y:f|-" },
	/* start => end @ keys ~ name */
	{ "a:b..c:d", "tracepoint|a:b|- => tracepoint|c:d|-" },
	{ "a:b..c:d@k", "tracepoint|a:b|- => tracepoint|c:d|- @k" },
	{ "a:b(x,y)..c:d(z)@k,l=m as n", "tracepoint|a:b|x,y => tracepoint|c:d|z @k,l=m ~n" },
	{ " a:b (x) .. c:d @ k , l  as  n:o ", "tracepoint|a:b|x => tracepoint|c:d|- @k , l ~n:o" },
	{ "a:b..c:d@k,cpu-clock", "tracepoint|a:b|- => tracepoint|c:d|- @k sample|cpu-clock|-" },
	{ "a:b..c:d@k,l,e:f", "tracepoint|a:b|- => tracepoint|c:d|- @k,l tracepoint|e:f|-" },
	{ "a:b..c:d@k,l,e:f..g:h@i",
	  "tracepoint|a:b|- => tracepoint|c:d|- @k,l tracepoint|e:f|- => tracepoint|g:h|- @i" },
	{ "a:b..c:d@k,irq", "tracepoint|a:b|- => tracepoint|c:d|- @k span|irq|-" },
	{ "a:b..c:d@cpu as x,k:f", "tracepoint|a:b|- => tracepoint|c:d|- @cpu ~x kprobe|f|-" },
	{ "a:b..c:d@args[0],p->q.r", "tracepoint|a:b|- => tracepoint|c:d|- @args[0],p->q.r" },
	{ "uprobe:../x:f..uretprobe:../x:f@tid,frame",
	  "uprobe|../x:f|- => uretprobe|../x:f|- @tid,frame" },
	{ "uprobe:c:f@V..ur:c:f@@V@tid", "uprobe|c:f@V|- => uretprobe|c:f@@V|- @tid" },
	{ "k:f(a:str)..kr:f(retval)@tid", "kprobe|f|a:str => kretprobe|f|retval @tid" },
	{ "a:b as c", "tracepoint|a:b|- ~c" },
	{ "func:vfs_read as r", "func|vfs_read|- ~r" },
	{ "func:../x:f", "func|../x:f|-" },
	{ "syscall:open*", "syscall|open*|-" },
	{ "irq(name)", "span|irq|name" },
	{ "span:irq", "span|irq|-" },
	{ "a:b(x){y == 1},c:d{z ~ \"},{\"}", "tracepoint|a:b|x?y == 1 tracepoint|c:d|-?z ~ \"},{\"" },
	{ "a:b (x) {y} .. c:d {z, w} @k as n",
	  "tracepoint|a:b|x?y => tracepoint|c:d|-?z, w @k ~n" },
	{ "a:b{x..y@z as u}", "tracepoint|a:b|-?x..y@z as u" },
	{ "a:b{x}(y)", NULL },
	{ "a:b{}", NULL },
	{ "a:b{x", NULL },
	{ "a:b{x == \"}", NULL },
	{ "cpu-clock{x}", NULL },
	{ "a:b..cpu-clock", NULL },
	{ "cpu-clock..a:b", NULL },
	{ "func:f..a:b", NULL },
	{ "a:b..syscall:read", NULL },
	{ "irq..a:b", NULL },
	{ "a:b..c:d@", NULL },
	{ "a:b..c:d@,k", NULL },
	{ "a:b..c:d@k=", NULL },
	{ "a:b..c:d@1,2,3,4,5", NULL },
	{ "a:b(x..c:d", NULL },
	{ "a:b as", NULL },
	{ "a:b as c d", NULL },
	{ "a:b as c(d", NULL },
	{ "cpu-clock as c", NULL },
	{ "a:b..c:d..e:f", NULL },
	{ "", NULL },
	{ ",", NULL },
	{ "kprobe:", NULL },
	{ "a:b(x", NULL },
	{ "a:b(x)y", NULL },
	{ "(x)", NULL },
};

static void append(char *to, size_t size, const char *text)
{
	strncat(to, text, size - strlen(to) - 1);
}

static void append_body(char *to, size_t size, const struct probe_spec *s)
{
	append(to, size, s->kind);
	append(to, size, "|");
	append(to, size, s->what);
	append(to, size, "|");
	append(to, size, s->fields ? s->fields : "-");
	append(to, size, s->condition ? "?" : "");
	append(to, size, s->condition ? s->condition : "");
}

static void append_event(char *to, size_t size, const struct probe_spec *s)
{
	if (s->start) {
		append_body(to, size, s->start);
		append(to, size, " => ");
	}
	append_body(to, size, s);
	append(to, size, s->keys ? " @" : "");
	append(to, size, s->keys ? s->keys : "");
	append(to, size, s->name ? " ~" : "");
	append(to, size, s->name ? s->name : "");
}

static void events_are_taken_apart(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(event_cases) / sizeof(*event_cases); i++) {
		const struct event_case *c = &event_cases[i];
		struct diag d = { "" };
		struct probe_spec *specs = NULL;
		char got[512] = "";
		size_t nr = 0;
		int err = probespec_parse(&specs, &nr, c->text, &d);

		if (!c->wanted) {
			if (!err)
				print_message("'%s' is taken\n", c->text);
			assert_int_equal(err, -EINVAL);
			assert_true(d.text[0] != '\0');
			continue;
		}
		if (err)
			print_message("'%s': %s\n", c->text, d.text);
		assert_int_equal(err, 0);
		for (size_t n = 0; n < nr; n++) {
			append(got, sizeof(got), n ? " " : "");
			append_event(got, sizeof(got), &specs[n]);
		}
		assert_string_equal(got, c->wanted);
		probespec_free(specs, nr);
	}
}

struct field_case {
	const char *text;
	const char *name, *source, *hint;	/* name NULL: refused */
	uint64_t arg;
};

static const struct field_case field_cases[] = {
	{ "count", "count", "count", NULL, 0 },
	{ " count ", "count", "count", NULL, 0 },
	{ "name:str", "name", "name", "str", 0 },
	{ "name:str(64)", "name", "name", "str", 64 },
	{ "buf:bytes(0x10)", "buf", "buf", "bytes", 16 },
	{ "f->f_path.dentry->d_name.name:str", "f->f_path.dentry->d_name.name",
	  "f->f_path.dentry->d_name.name", "str", 0 },
	{ "path=f->f_path:hex", "path", "f->f_path", "hex", 0 },
	{ "args[0]", "args[0]", "args[0]", NULL, 0 },
	{ "nr:values(=0=HI 1=TIMER)", "nr", "nr", "values", 0 },
	{ "nr:u8:values(=0=HI 1=TIMER)", "nr", "nr", "values", 0 },
	{ "v=nr:values(|1=A, 2=B)", "v", "nr", "values", 0 },
	{ "name:str(x)", NULL, NULL, NULL, 0 },
	{ "name:str(0)", NULL, NULL, NULL, 0 },
	{ "name:str(1", NULL, NULL, NULL, 0 },
	{ "name:", NULL, NULL, NULL, 0 },
	{ ":str", NULL, NULL, NULL, 0 },
	{ "=x", NULL, NULL, NULL, 0 },
	{ "x=", NULL, NULL, NULL, 0 },
	{ "a,,b", NULL, NULL, NULL, 0 },
};

static void fields_are_taken_apart(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(field_cases) / sizeof(*field_cases); i++) {
		const struct field_case *c = &field_cases[i];
		struct probespec_field *fields = NULL;
		struct diag d = { "" };
		size_t nr = 0;
		int err = probespec_fields(&fields, &nr, c->text, &d);

		if (!c->name) {
			assert_int_equal(err, -EINVAL);
			assert_true(d.text[0] != '\0');
			continue;
		}
		assert_int_equal(err, 0);
		assert_int_equal(nr, 1);
		assert_string_equal(fields[0].name, c->name);
		assert_string_equal(fields[0].source, c->source);
		assert_int_equal(!fields[0].hint, !c->hint);
		if (c->hint)
			assert_string_equal(fields[0].hint, c->hint);
		assert_int_equal(fields[0].hint_arg, c->arg);
		probespec_free_fields(fields, nr);
	}
}

/* --- text that nobody would type ------------------------------------------------------ */

#define MUTATION_ROUNDS 200000

static uint32_t random_below(uint32_t *seed, uint32_t limit)
{
	*seed = *seed * 1664525 + 1013904223;
	return (*seed >> 8) % limit;
}

/* Some characters of the grammar put in, taken out or doubled. */
static void mutate(char *text, size_t size_bytes, uint32_t *seed)
{
	static const char letters[] = ":,()[]{}=*->+.@0x \"\\a\x01\xff";
	uint32_t nr = 1 + random_below(seed, 6);

	while (nr--) {
		size_t len = strlen(text), at = random_below(seed, (uint32_t)len + 1);
		char letter = letters[random_below(seed, sizeof(letters) - 1)];

		switch (random_below(seed, 3)) {
		case 0:
			if (at < len)
				text[at] = letter;
			break;
		case 1:
			if (at < len)
				memmove(text + at, text + at + 1, len - at);
			break;
		default:
			if (len + 2 > size_bytes)
				break;
			memmove(text + at + 1, text + at, len - at + 1);
			text[at] = letter;
		}
	}
}

static void check_events(const char *text)
{
	struct probe_spec *specs = NULL;
	struct diag d = { "" };
	size_t nr = 0;
	int err = probespec_parse(&specs, &nr, text, &d);

	if (err) {
		assert_int_equal(err, -EINVAL);
		assert_true(d.text[0] != '\0');
		return;
	}
	assert_true(nr > 0);
	for (size_t i = 0; i < nr; i++) {
		assert_true(*specs[i].text && *specs[i].kind && *specs[i].what);
		assert_true(!strcmp(specs[i].kind, "sample") ||
			    probe_find_kind(specs[i].kind, strlen(specs[i].kind)));
	}
	probespec_free(specs, nr);
}

static void check_fields(const char *text)
{
	struct probespec_field *fields = NULL;
	struct diag d = { "" };
	size_t nr = 0;
	int err = probespec_fields(&fields, &nr, text, &d);

	if (err) {
		assert_int_equal(err, -EINVAL);
		assert_true(d.text[0] != '\0');
		return;
	}
	for (size_t i = 0; i < nr; i++) {
		assert_true(*fields[i].name && *fields[i].source);
		assert_true(!fields[i].hint || *fields[i].hint);
	}
	probespec_free_fields(fields, nr);
}

static void mutations(void **state)
{
	uint32_t seed = 1;
	char text[256];

	(void)state;
	for (uint32_t i = 0; i < MUTATION_ROUNDS; i++) {
		const uint32_t nr_events = sizeof(event_cases) / sizeof(*event_cases);
		const uint32_t nr_fields = sizeof(field_cases) / sizeof(*field_cases);

		strcpy(text, event_cases[random_below(&seed, nr_events)].text);
		mutate(text, sizeof(text), &seed);
		check_events(text);
		strcpy(text, field_cases[random_below(&seed, nr_fields)].text);
		mutate(text, sizeof(text), &seed);
		check_fields(text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(events_are_taken_apart),
		cmocka_unit_test(fields_are_taken_apart),
		cmocka_unit_test(mutations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
