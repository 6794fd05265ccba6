/* From the text of a span to two probes: fields, keys, stacks, filter, layout. */
#include "record/probespec.h"
#include "record/tally.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "record/tracefs.h"

struct made {
	struct probes set;
	struct probe_spec *specs;
	size_t nr;
	struct diag d;
	int err;
};

struct extras {
	const char *filter, *tally;
	uint64_t min_ns, max_ns;
	bool stack;
};

static void make(struct made *m, const char *text, const struct extras *x)
{
	memset(m, 0, sizeof(*m));
	m->err = probespec_parse(&m->specs, &m->nr, text, &m->d);
	for (size_t i = 0; !m->err && i < m->nr; i++) {
		if (x) {
			m->specs[i].filter = x->filter;
			m->specs[i].tally = x->tally;
			m->specs[i].min_ns = x->min_ns;
			m->specs[i].max_ns = x->max_ns;
			m->specs[i].kernel_stack = m->specs[i].user_stack = x->stack;
		}
		m->err = probe_resolve(&m->set, &m->specs[i], &m->d);
	}
}

static void unmake(struct made *m)
{
	probe_release_all(&m->set);
	probespec_free(m->specs, m->nr);
}

/* "pid,comm" of one side. */
static const char *names_of(const struct probe *p)
{
	static char text[1024];

	text[0] = '\0';
	for (size_t i = 0; i < p->nr_fields; i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%s", i ? "," : "",
			 p->fields[i].name);
	return text;
}

static const struct probe *only(const struct made *m)
{
	if (m->err)
		print_message("%s\n", m->d.text);
	assert_int_equal(m->err, 0);
	assert_int_equal(m->set.nr, 1);
	assert_non_null(m->set.list[0]->span);
	return m->set.list[0];
}

/* Numbers lie at multiples of their size, one behind the other, none in another's place. */
static uint32_t check_layout(const struct probe *p, uint32_t at)
{
	for (size_t i = 0; i < p->nr_fields; i++) {
		const struct probe_field *f = &p->fields[i];
		uint32_t size = f->result == RESULT_NUMBER ? f->size : 4;

		assert_true(f->offset >= at && f->offset < at + 8 && f->offset % size == 0);
		at = f->offset + size;
	}
	if (p->kernel_stack) {
		assert_true(p->kernel_count_offset >= at && p->kernel_count_offset % 4 == 0);
		at = p->kernel_count_offset + 4;
	}
	if (p->user_stack) {
		assert_true(p->user_count_offset >= at && p->user_count_offset % 4 == 0);
		at = p->user_count_offset + 4;
	}
	return (at + 7) & ~7u;
}

static void check_span_layout(const struct probe *p)
{
	uint32_t at = check_layout(p->span->start, 8);

	assert_int_equal(p->span->image_bytes, at - 8);
	at = check_layout(p, at);
	assert_int_equal(p->fixed_bytes, at);
}

static bool has_tracefs(void)
{
	struct tracefs_names names;
	bool has = !tracefs_find(&names, "sched:sched_switch", NULL) && names.nr;

	tracefs_release_names(&names);
	if (!has)
		print_message("tracefs cannot be read here\n");
	return has;
}

#define PAIR "sched:sched_waking..sched:sched_switch@pid=next_pid"

static void sides_have_their_fields(void **state)
{
	struct made m;
	const struct probe *p;

	(void)state;
	if (!has_tracefs())
		skip();
	make(&m, PAIR, NULL);
	p = only(&m);
	assert_string_equal(p->name, PAIR);
	assert_string_equal(names_of(p->span->start), "comm,pid,prio,target_cpu");
	assert_string_equal(names_of(p), "prev_comm,prev_pid,prev_prio,prev_state,next_comm,"
			    "next_pid,next_prio");
	assert_int_equal(p->span->nr_keys, 1);
	assert_string_equal(p->span->key_names[0], "pid");
	assert_false(p->span->by_thread || p->span->by_frame);
	assert_true(p->span->end_is_anyones);
	assert_false(p->span->start_is_anyones || p->span->starts_are_chosen);
	check_span_layout(p);
	unmake(&m);

	make(&m, "sched:sched_waking(target_cpu,pid,prio)..sched:sched_switch(w=prev_pid,next_comm)"
	     "@pid=next_pid as wake", NULL);
	p = only(&m);
	assert_string_equal(p->name, "wake");
	assert_string_equal(names_of(p->span->start), "target_cpu,pid,prio");
	assert_string_equal(names_of(p), "w,next_comm");
	check_span_layout(p);
	unmake(&m);

	/* Usual fields give way, those that were asked for do not. */
	make(&m, "sched:sched_switch(prev_pid)..sched:sched_switch@prev_pid=next_pid", NULL);
	p = only(&m);
	assert_string_equal(names_of(p->span->start), "prev_pid");
	assert_string_equal(names_of(p), "prev_comm,prev_prio,prev_state,next_comm,next_pid,"
			    "next_prio");
	unmake(&m);
	make(&m, "sched:sched_switch..sched:sched_switch(prev_pid)@prev_pid=next_pid", NULL);
	p = only(&m);
	assert_string_equal(names_of(p->span->start), "prev_comm,prev_prio,prev_state,next_comm,"
			    "next_pid,next_prio");
	assert_string_equal(names_of(p), "prev_pid");
	unmake(&m);
}

static void keys_are_numbers_of_both_sides(void **state)
{
	static const struct {
		const char *text, *words;
	} cases[] = {
		{ "sched:sched_waking..sched:sched_switch@comm=next_comm", "text" },
		{ "sched:sched_waking..sched:sched_switch@nonsense", "'nonsense'" },
		{ "sched:sched_waking..sched:sched_switch@pid=nonsense", "'nonsense'" },
		{ "sched:sched_waking..sched:sched_switch@frame", "frame" },
		{ "sched:sched_waking..sched:sched_switch@comm=next_pid", "text" },
		{ "sched:sched_*..sched:sched_switch", "events" },
		{ "sched:sched_waking(pid)..sched:sched_switch(pid=next_pid)@pid", "differently" },
		{ "sched:sched_waking(duration=pid)..sched:sched_switch@pid=next_pid",
		  "duration" },
		{ "sched:sched_waking(stack)..sched:sched_switch(kstack)@pid=next_pid",
		  "one stack" },
		{ "sched:sched_waking(task)..sched:sched_switch(task)@pid=next_pid", "one task" },
		{ "sched:sched_waking(task)", "'task'" },
		{ "sched:sched_waking(nonsense)..sched:sched_switch", "'nonsense'" },
		{ "sched:sched_* as all", "'all'" },
	};
	struct made m;
	const struct probe *p;

	(void)state;
	if (!has_tracefs())
		skip();
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		make(&m, cases[i].text, NULL);
		if (!m.err || !strstr(m.d.text, cases[i].words))
			print_message("%s: %d: %s\n", cases[i].text, m.err, m.d.text);
		assert_true(m.err < 0);
		assert_non_null(strstr(m.d.text, cases[i].words));
		unmake(&m);
	}
	make(&m, "sched:sched_switch..sched:sched_switch", NULL);
	p = only(&m);
	assert_true(p->span->by_thread);
	assert_false(p->span->end_is_anyones || p->span->starts_are_chosen);
	assert_string_equal(p->name, "sched:sched_switch..sched:sched_switch");
	unmake(&m);
	/* Two keys, of which one is the thread; the other's sizes differ: the lowest bits. */
	make(&m, "sched:sched_waking..sched:sched_switch@tid,prio=prev_state", NULL);
	p = only(&m);
	assert_true(p->span->by_thread);
	assert_int_equal(p->span->nr_keys, 2);
	for (int side = 0; side < 2; side++) {
		const struct probe *one = side ? p : p->span->start;
		const struct probe_value *v = &one->variants[0].keys[1];

		assert_int_equal(v->steps[v->nr_steps - 1].op, FETCH_BITS);
		assert_int_equal(v->steps[v->nr_steps - 1].size, 32);
		assert_false(v->steps[v->nr_steps - 1].is_signed);
	}
	unmake(&m);
}

static void stacks_are_where_they_say(void **state)
{
	const struct extras stacks = { .stack = true };
	struct made m;
	const struct probe *p;

	(void)state;
	if (!has_tracefs())
		skip();
	make(&m, PAIR, &stacks);
	p = only(&m);
	assert_true(p->span->start->kernel_stack && p->span->start->user_stack);
	assert_false(p->kernel_stack || p->user_stack);
	check_span_layout(p);
	unmake(&m);
	make(&m, "sched:sched_waking..sched:sched_switch", &stacks);
	p = only(&m);
	assert_true(p->kernel_stack && p->user_stack);
	assert_false(p->span->start->kernel_stack || p->span->start->user_stack);
	unmake(&m);
	/* Words are stronger. */
	make(&m, "sched:sched_waking(pid,ustack)..sched:sched_switch(task)@pid=next_pid", &stacks);
	p = only(&m);
	assert_true(p->span->start->user_stack);
	assert_false(p->span->start->kernel_stack || p->kernel_stack || p->user_stack);
	assert_true(p->span->task_of_end && p->span->start_is_anyones);
	assert_false(p->span->end_is_anyones);
	assert_string_equal(names_of(p->span->start), "pid");
	assert_string_equal(names_of(p), "");
	check_span_layout(p);
	unmake(&m);
	make(&m, "sched:sched_waking(kstack)", NULL);
	assert_int_equal(m.err, 0);
	assert_true(m.set.list[0]->kernel_stack && !m.set.list[0]->user_stack);
	assert_int_equal(m.set.list[0]->nr_fields, 0);
	unmake(&m);
}

/* The part stands where it did, and the other does not stand there. */
static void check_part(const struct expr *e, const char *whole, const char *part,
		       const char *other)
{
	const char *source = expr_source(e);

	assert_int_equal(strlen(source), strlen(whole));
	assert_non_null(strstr(source, part));
	assert_int_equal(strstr(source, part) - source, strstr(whole, part) - whole);
	assert_null(strstr(source, other));
}

static void filters_are_asked_where_they_can_be(void **state)
{
	struct extras x = { .filter = "prio < 100 && duration > 1ms && next_prio >= prio && "
				      "comm == \"a\" && (pid == 1 || pid == 2)" };
	const struct probe_value *v;
	struct made m;
	const struct probe *p;

	(void)state;
	if (!has_tracefs())
		skip();
	make(&m, PAIR, &x);
	p = only(&m);
	check_part(p->span->start->filter, x.filter, "prio < 100", "duration");
	check_part(p->span->start->filter, x.filter, "&& comm", "next_prio");
	check_part(p->span->start->filter, x.filter, "&& (pid == 1 || pid == 2)", "next_prio");
	check_part(p->filter, x.filter, "duration > 1ms && next_prio >= prio ", "comm");
	assert_true(p->span->starts_are_chosen);
	v = p->variants[0].filter_values;
	assert_string_equal(expr_var_name(p->filter, 0), "duration");
	assert_int_equal(v[0].steps[0].op, FETCH_DURATION);
	assert_string_equal(expr_var_name(p->filter, 2), "prio");
	assert_int_equal(v[2].steps[0].op, FETCH_START);
	assert_int_equal(v[2].steps[0].value, p->span->start->fields[2].offset);
	assert_true(v[2].steps[0].is_signed);
	unmake(&m);

	/* An || at the top holds everything together; text of the start does not keep. */
	x.filter = "prio < 100 || duration > 1ms";
	make(&m, PAIR, &x);
	p = only(&m);
	assert_null(p->span->start->filter);
	assert_string_equal(expr_source(p->filter), x.filter);
	unmake(&m);
	x.filter = "comm == \"a\" || duration > 1ms";
	make(&m, PAIR, &x);
	assert_int_equal(m.err, -EINVAL);
	assert_non_null(strstr(m.d.text, "'comm'"));
	unmake(&m);
	x.filter = "prio < 100 &&& duration";
	make(&m, PAIR, &x);
	assert_int_equal(m.err, -EINVAL);
	unmake(&m);
}

static void durations_have_limits(void **state)
{
	struct extras x = { .min_ns = 5, .max_ns = 9 };
	struct made m;
	const struct probe *p;

	(void)state;
	if (!has_tracefs())
		skip();
	make(&m, PAIR, &x);
	p = only(&m);
	assert_int_equal(p->span->min_ns, 5);
	assert_int_equal(p->span->max_ns, 9);
	unmake(&m);
	x.min_ns = 10;
	make(&m, PAIR, &x);
	assert_int_equal(m.err, -EINVAL);
	unmake(&m);
	make(&m, "sched:sched_switch", &x);
	assert_int_equal(m.err, -EINVAL);
	assert_non_null(strstr(m.d.text, "no duration"));
	unmake(&m);
}

static void tallies_need_other_fields(void **state)
{
	struct extras x = { .tally = "by=comm,prio,next_prio; hist=duration" };
	struct made m;
	const struct probe *p;

	(void)state;
	if (!has_tracefs())
		skip();
	make(&m, PAIR, &x);
	p = only(&m);
	assert_string_equal(names_of(p->span->start), "comm,prio");
	assert_string_equal(names_of(p), "next_prio");
	assert_non_null(p->tally);
	assert_int_equal(p->tally->nr_by, 3);
	assert_int_equal(p->tally->measure, TALLY_DURATION);
	assert_true(p->tally->by[0].of_start && p->tally->by[1].of_start);
	assert_false(p->tally->by[2].of_start);
	unmake(&m);
	/* In one thread, who runs is asked for as late as can be. */
	x.tally = "by=comm,stack; sum=prev_prio";
	make(&m, "sched:sched_migrate_task..sched:sched_switch", &x);
	assert_int_equal(m.err, 0);
	p = only(&m);
	/* The process is who runs, though the start has a field that is called like that. */
	assert_string_equal(names_of(p), "kstack,ustack,pid,prev_prio");
	assert_true(p->fields[0].is_stack && p->fields[1].is_stack);
	assert_int_equal(p->variants[0].values[2].steps[0].op, FETCH_PID);
	assert_string_equal(names_of(p->span->start), "comm");
	unmake(&m);
	x.tally = "by=comm; hist=prio";
	make(&m, "sched:sched_waking", &x);
	assert_int_equal(m.err, 0);
	assert_string_equal(names_of(m.set.list[0]), "comm,prio");
	assert_int_equal(m.set.list[0]->tally->measure, TALLY_FIELD);
	unmake(&m);
	x.tally = "by=x; hist=prio";
	make(&m, "sched:sched_waking(x=pid,y=prio)", &x);
	assert_int_equal(m.err, 0);
	assert_string_equal(names_of(m.set.list[0]), "x,prio");
	unmake(&m);
	x.tally = "hist=duration";
	make(&m, "sched:sched_waking", &x);
	assert_int_equal(m.err, -EINVAL);
	unmake(&m);
	x.tally = "hist=next_comm";
	make(&m, PAIR, &x);
	assert_int_equal(m.err, -EINVAL);
	unmake(&m);
}

static void system_calls_know_their_arguments(void **state)
{
	struct made m;
	const struct probe *p;

	(void)state;
	make(&m, "syscall:openat", NULL);
	p = only(&m);
	if (!has_tracefs()) {
		unmake(&m);
		skip();
	}
	assert_string_equal(p->name, "syscall:openat");
	assert_string_equal(p->kind->name, "syscall");
	assert_string_equal(names_of(p), "dfd,filename,flags,mode,ret");
	assert_int_equal(p->span->start->nr_fields, 0);
	assert_int_equal(p->span->image_bytes, 0);
	assert_int_equal(p->fields[1].result, RESULT_STRING);
	assert_int_equal(p->fields[1].class, CLASS_PATH);
	assert_int_equal(p->fields[4].role, ROLE_RESULT);
	assert_int_equal(p->fields[4].hint, HINT_ERRNO);
	assert_true(p->fields[0].is_signed && p->fields[0].size == 4);
	assert_true(p->span->by_thread && p->span->family);
	check_span_layout(p);
	unmake(&m);

	make(&m, "syscall:stat(ret),syscall:fstat,syscall:stat(filename)", NULL);
	assert_int_equal(m.err, 0);
	assert_int_equal(m.set.nr, 3);
	assert_string_equal(m.set.list[0]->name, "syscall:stat");
	assert_string_equal(names_of(m.set.list[0]), "ret");
	/* The same call twice at once would take the start of the other. */
	assert_int_equal(m.set.list[0]->span->family, m.set.list[1]->span->family);
	assert_int_not_equal(m.set.list[0]->span->family, m.set.list[2]->span->family);
	unmake(&m);

	make(&m, "syscall:*", NULL);
	assert_int_equal(m.err, 0);
	assert_true(m.set.nr > 250);
	for (size_t i = 0; i < m.set.nr; i++)
		assert_string_not_equal(m.set.list[i]->name, "syscall:exit_group");
	unmake(&m);
	make(&m, "syscall:exit_group", NULL);
	assert_int_equal(m.err, -EINVAL);
	unmake(&m);
	make(&m, "syscall:opeant", NULL);
	assert_int_equal(m.err, -ENOENT);
	assert_non_null(strstr(m.d.text, "openat"));
	unmake(&m);
}

static void functions_are_told_by_their_frames(void **state)
{
	struct made m;
	const struct probe *p;

	(void)state;
	make(&m, "func:libc:getaddrinfo(arg0:str,stack,ret)", NULL);
	p = only(&m);
	assert_string_equal(p->name, "func:libc:getaddrinfo");
	assert_string_equal(names_of(p->span->start), "arg0");
	assert_string_equal(names_of(p), "ret");
	assert_int_equal(p->fields[0].role, ROLE_RESULT);
	assert_true(p->kernel_stack && p->user_stack);
	assert_true(p->span->by_thread && p->span->by_frame);
	assert_int_equal(p->span->nr_keys, 2);
	check_span_layout(p);
	unmake(&m);
	make(&m, "func:libc:mall*", NULL);
	assert_int_equal(m.err, 0);
	assert_true(m.set.nr >= 3);
	for (size_t i = 0; i < m.set.nr; i++) {
		assert_true(m.set.list[i]->span->by_frame);
		assert_memory_equal(m.set.list[i]->name, "func:libc:mall", 14);
	}
	unmake(&m);
	make(&m, "uprobe:libc:malloc(size=arg0)..uretprobe:libc:malloc@tid,frame", NULL);
	p = only(&m);
	assert_string_equal(names_of(p), "retval");
	assert_true(p->span->by_frame);
	unmake(&m);
	make(&m, "uprobe:libc:malloc..uretprobe:libc:malloc@frame", NULL);
	assert_int_equal(m.err, -EINVAL);
	assert_non_null(strstr(m.d.text, "@tid,frame"));
	unmake(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sides_have_their_fields),
		cmocka_unit_test(keys_are_numbers_of_both_sides),
		cmocka_unit_test(stacks_are_where_they_say),
		cmocka_unit_test(filters_are_asked_where_they_can_be),
		cmocka_unit_test(durations_have_limits),
		cmocka_unit_test(tallies_need_other_fields),
		cmocka_unit_test(system_calls_know_their_arguments),
		cmocka_unit_test(functions_are_told_by_their_frames),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
