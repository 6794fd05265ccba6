/*
 * Where the wall clock of threads and spans goes, from stories whose answers are known; the
 * event that tells them has a name that nobody knows.
 */
#include "report/latency.h"

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

#include "format/writer.h"
#include "report/latency_lines.h"
#include "report/latency_waits.h"

#define T0 UINT64_C(1000000)
#define NUMBER(name, role, unit) { name, FIELD_UNSIGNED, role, 0, 0, unit, NULL }

enum { LIFE = 1, CALL, NAMED };

static const struct field_desc life_fields[] = {
	NUMBER("time", ROLE_TIME, "ns"), NUMBER("cpu", ROLE_CPU, ""),
	{ "task", FIELD_TASK, ROLE_TASK, 0, 0, "", NULL },
	NUMBER("off", ROLE_DURATION, "ns"), NUMBER("run", ROLE_RUNNABLE, "ns"),
	NUMBER("on", ROLE_SLICE, "ns"), NUMBER("short", ROLE_SKIPPED, "ns"),
	NUMBER("user", ROLE_USER_TIME, "ns"), NUMBER("system", ROLE_SYSTEM_TIME, "ns"),
	NUMBER("irq", ROLE_INTERRUPTED, "ns"),
	{ "why", FIELD_UNSIGNED, ROLE_REASON, 0, 0, "", "=1=TAPE 2=CARD-READER" },
	NUMBER("idle", ROLE_IDLE, ""),
	{ "stack", FIELD_STACK, ROLE_STACK, 0, 0, "", NULL },
	{ "waker", FIELD_TASK, ROLE_WAKER, 0, 0, "", NULL },
	{ "waker_stack", FIELD_STACK, ROLE_WAKER_STACK, 0, 0, "", NULL },
	{ "context", FIELD_UNSIGNED, ROLE_WAKER_CONTEXT, 0, 0, "", "=0=TASK 1=BELL" },
	NUMBER("edge", ROLE_EDGE, ""),
};

static const struct field_desc call_fields[] = {
	NUMBER("time", ROLE_TIME, "ns"), NUMBER("cpu", ROLE_CPU, ""),
	{ "task", FIELD_TASK, ROLE_TASK, 0, 0, "", NULL },
	NUMBER("took", ROLE_DURATION, "ns"),
};

static const struct field_desc named_fields[] = {
	NUMBER("time", ROLE_TIME, "ns"), NUMBER("n", ROLE_WEIGHT, ""),
};

#define FIELDS(a) .nr_fields = sizeof(a) / sizeof((a)[0]), .fields = a

/* What a record tells, all times from T0. */
struct life {
	uint64_t time, task, off, run, on, skipped, user, system, irq, why, idle;
	uint64_t stack, waker, waker_stack, context, edge, cpu;
};

struct fixture {
	char path[64];
	FILE *file;
	struct writer *w;
	struct query *query;
	struct profile_keys keys;
	struct latency *latency;
};

/* --- writing ------------------------------------------------------------------------------ */

static int put(void *ctx, const void *bytes, size_t size_bytes, bool droppable)
{
	(void)droppable;
	return fwrite(bytes, 1, size_bytes, ctx) == size_bytes ? 0 : -EIO;
}

static void add_task(struct writer *w, uint32_t id, uint32_t pid, uint32_t tid,
		     const char *comm, uint32_t previous)
{
	writer_task(w, &(struct writer_task) {
		.id = id, .pid = pid, .tid = tid, .previous = previous,
		.comm = writer_string(w, CLASS_COMMAND, comm, strlen(comm)),
	});
}

static void begin(struct fixture *f)
{
	const struct event_desc events[] = {
		{ .name = "life", FIELDS(life_fields) }, { .name = "call", FIELDS(call_fields) },
		{ .name = "named", FIELDS(named_fields) },
	};
	struct writer_output output = { .put = put };

	memset(f, 0, sizeof(*f));
	strcpy(f->path, "/tmp/kymo-latency-XXXXXX");
	f->file = fdopen(mkstemp(f->path), "wb");
	assert_non_null(f->file);
	output.ctx = f->file;
	assert_int_equal(writer_open(&f->w, &output, 1, 1), 0);
	for (uint32_t i = 0; i < 3; i++)
		assert_int_equal(writer_event(f->w, &events[i]), i + 1);
	add_task(f->w, 1, 100, 100, "main", 0);
	add_task(f->w, 2, 100, 101, "worker", 0);
	add_task(f->w, 3, 200, 200, "shell", 0);
	add_task(f->w, 4, 200, 200, "editor", 3);
}

static void life(struct fixture *f, const struct life *r)
{
	writer_record(f->w, LIFE, (const uint64_t[]) {
		T0 + r->time, r->cpu, r->task, r->off, r->run, r->on, r->skipped, r->user,
		r->system, r->irq, r->why, r->idle, r->stack, r->waker, r->waker_stack,
		r->context, r->edge,
	});
}

static void call(struct fixture *f, uint64_t time, uint64_t task, uint64_t took)
{
	writer_record(f->w, CALL, (const uint64_t[]) { T0 + time, 0, task, took });
}

static void end(struct fixture *f)
{
	assert_int_equal(writer_close(f->w), 0);
	assert_int_equal(fclose(f->file), 0);
}

/* --- reading ------------------------------------------------------------------------------ */

struct asked {
	const char *events, *by, *time, *cpus;
};

static int try_read(struct fixture *f, struct asked a, struct diag *d)
{
	const struct query_opts opts = {
		.input = f->path, .events = a.events, .time = a.time, .cpus = a.cpus,
	};
	struct latency_opts how = { .spans = a.events, .picked = a.cpus };

	f->keys.nr = 0;
	if (a.by && strcmp(a.by, "none"))
		assert_int_equal(profile_keys_parse(&f->keys, a.by, d), 0);
	how.keys = a.by ? &f->keys : NULL;
	assert_int_equal(query_open(&f->query, &opts, d), 0);
	return latency_new(&f->latency, f->query, &how, d);
}

/* Of every row and of all rows together, the parts are the wall clock. */
static void check_sums(const struct fixture *f)
{
	const struct latency_row *total = latency_total(f->latency);
	struct latency_row sum = { 0 };
	size_t nr;
	const struct latency_row *rows = latency_rows(f->latency, &nr);

	for (size_t i = 0; i < nr; i++) {
		uint64_t blocked = 0;

		for (size_t k = 0; k < rows[i].nr_waits; k++)
			blocked += rows[i].waits[k]->ns;
		assert_int_equal(blocked, rows[i].blocked_ns);
		assert_int_equal(latency_sum(&rows[i]), rows[i].wall_ns);
		sum.wall_ns += rows[i].wall_ns;
		sum.blocked_ns += rows[i].blocked_ns;
	}
	assert_int_equal(sum.wall_ns, total->wall_ns);
	assert_int_equal(sum.blocked_ns, total->blocked_ns);
	assert_int_equal(latency_sum(total), total->wall_ns);
}

static void read_latency(struct fixture *f, struct asked a)
{
	struct diag d = { "" };

	assert_int_equal(try_read(f, a, &d), 0);
	check_sums(f);
}

static void done(struct fixture *f)
{
	latency_free(f->latency);
	query_close(f->query);
	f->latency = NULL;
}

static void remove_file(struct fixture *f)
{
	unlink(f->path);
}

/* The row whose first key is that number or text. */
static const struct latency_row *row_of(struct fixture *f, const char *key)
{
	struct bytebuf text;
	size_t nr;
	const struct latency_row *rows = latency_rows(f->latency, &nr), *found = NULL;

	bytebuf_init(&text);
	for (size_t i = 0; i < nr && !found; i++) {
		bytebuf_clear(&text);
		groups_put(latency_groups(f->latency), rows[i].group, 0, &text, FIELDTEXT_RAW);
		bytebuf_u8(&text, 0);
		if (!strcmp((const char *)text.data, key))
			found = &rows[i];
	}
	bytebuf_release(&text);
	assert_non_null(found);
	return found;
}

static uint64_t blocked(const struct fixture *f, const struct latency_row *row,
			const char *reason, bool idle)
{
	for (size_t i = 0; i < row->nr_waits; i++)
		if (!strcmp(latency_reason(f->latency, row->waits[i]->reason), reason) &&
		    row->waits[i]->idle == idle)
			return row->waits[i]->ns;
	return 0;
}

static struct latency_remarks remarks(const struct fixture *f)
{
	struct latency_remarks r;

	latency_get_remarks(f->latency, &r);
	return r;
}

/* --- threads ------------------------------------------------------------------------------ */

/*
 * Thread 1 lives from 0 to 1000: on a CPU to 100, blocked to 400, waiting to 450; short waits
 * of 50 within 250 to 700; blocked to 1000, idle.  Thread 2: from 200 to 900, on a CPU, of
 * that 30 in interrupts.  Thread 3 has two names: 0 to 300, and to 500; from 350 to 400 is
 * missing.
 */
static void write_lives(struct fixture *f)
{
	begin(f);
	life(f, &(struct life) { .time = 450, .task = 1, .off = 350, .run = 50, .on = 100,
				 .user = 400, .system = 100, .why = 1, .waker = 2 });
	life(f, &(struct life) { .time = 1000, .task = 1, .off = 300, .on = 200, .skipped = 50,
				 .why = 2, .idle = 1, .cpu = 1 });
	life(f, &(struct life) { .time = 900, .task = 2, .on = 700, .irq = 30, .cpu = 1 });
	life(f, &(struct life) { .time = 300, .task = 3, .on = 100, .off = 200, .why = 1 });
	life(f, &(struct life) { .time = 350, .task = 4, .on = 50, .user = 1 });
	life(f, &(struct life) { .time = 500, .task = 4, .on = 40, .off = 60, .why = 7,
				 .cpu = 1 });
	end(f);
}

static void a_process_is_the_sum_of_its_threads(void **state)
{
	const struct latency_row *row;
	struct fixture f;

	(void)state;
	write_lives(&f);
	read_latency(&f, (struct asked) { 0 });
	row = row_of(&f, "100");
	assert_true(latency_is_of_processes(f.latency));
	assert_int_equal(row->task, 1);
	assert_int_equal(row->nr_threads, 2);
	assert_int_equal(row->wall_ns, 1000 + 700);
	/* 970 outside of interrupts, in the proportion of the ticks: 4 to 1. */
	assert_int_equal(row->ns[LATENCY_ON_USER], 776);
	assert_int_equal(row->ns[LATENCY_ON_KERNEL], 194);
	assert_int_equal(row->ns[LATENCY_ON_CPU], 0);
	assert_int_equal(row->ns[LATENCY_INTERRUPTED], 30);
	assert_int_equal(row->ns[LATENCY_RUNQ], 50);
	assert_int_equal(row->ns[LATENCY_OFF_SKIPPED], 50);
	assert_int_equal(row->ns[LATENCY_UNEXPLAINED], 0);
	assert_int_equal(blocked(&f, row, "TAPE", false), 300);
	assert_int_equal(blocked(&f, row, "CARD-READER", true), 300);
	assert_int_equal(row->idle_ns, 300);
	assert_int_equal(row->values[LATENCY_OF_RUNQ]->count, 1);
	assert_int_equal(row->values[LATENCY_OF_ON_CPU]->count, 3);
	row = row_of(&f, "200");
	assert_int_equal(row->task, 4);
	assert_int_equal(row->wall_ns, 500);
	assert_int_equal(row->ns[LATENCY_UNEXPLAINED], 50);
	assert_int_equal(blocked(&f, row, "7", false), 60);
	assert_int_equal(latency_total(f.latency)->nr_threads, 3);
	done(&f);
	remove_file(&f);
}

static void who_ran_comes_before_who_was_blocked_all_the_time(void **state)
{
	const uint64_t all = EDGE_START | EDGE_END;
	const struct latency_row *rows;
	struct fixture f;
	size_t nr;

	(void)state;
	begin(&f);
	life(&f, &(struct life) { .time = 1000, .task = 1, .off = 1000, .edge = all });
	life(&f, &(struct life) { .time = 1000, .task = 3, .off = 900, .on = 10, .edge = all });
	end(&f);
	read_latency(&f, (struct asked) { .by = "tid" });
	rows = latency_rows(f.latency, &nr);
	assert_int_equal(nr, 2);
	assert_ptr_equal(&rows[0], row_of(&f, "200"));
	assert_int_equal(rows[0].still_ns, 0);
	assert_int_equal(rows[1].still_ns, 1000);
	done(&f);
	remove_file(&f);
}

static void rows_are_of_any_key(void **state)
{
	struct fixture f;
	size_t nr;

	(void)state;
	write_lives(&f);
	read_latency(&f, (struct asked) { .by = "none" });
	latency_rows(f.latency, &nr);
	assert_int_equal(nr, 1);
	assert_int_equal(latency_total(f.latency)->wall_ns, 2200);
	assert_int_equal(latency_rows(f.latency, &nr)->nr_threads, 3);
	done(&f);
	/* A thread that changes its name is in two rows, and is one thread. */
	read_latency(&f, (struct asked) { .by = "comm" });
	assert_int_equal(row_of(&f, "shell")->wall_ns, 300);
	assert_int_equal(row_of(&f, "editor")->nr_threads, 1);
	assert_int_equal(row_of(&f, "editor")->wall_ns, 200);
	assert_int_equal(latency_total(f.latency)->nr_threads, 3);
	done(&f);
	read_latency(&f, (struct asked) { .by = "why" });
	assert_int_equal(row_of(&f, "TAPE")->wall_ns, 450 + 300);
	done(&f);
	/* Records that were chosen leave gaps that nobody can explain, and nobody should. */
	read_latency(&f, (struct asked) { .by = "none", .cpus = "1" });
	assert_int_equal(latency_total(f.latency)->wall_ns, 550 + 700 + 100);
	assert_int_equal(latency_total(f.latency)->ns[LATENCY_UNEXPLAINED], 0);
	done(&f);
	remove_file(&f);
}

/* From 300 to 800: the wait that ends at 1000 counts with what lies inside. */
static void a_slice_of_time_is_cut_exactly(void **state)
{
	const struct latency_row *row;
	struct fixture f;

	(void)state;
	write_lives(&f);
	read_latency(&f, (struct asked) { .by = "tid", .time = "0.001000300,0.001000800" });
	row = row_of(&f, "100");
	assert_int_equal(row->wall_ns, 500);
	assert_int_equal(blocked(&f, row, "TAPE", false), 100);
	assert_int_equal(row->ns[LATENCY_RUNQ], 50);
	assert_int_equal(blocked(&f, row, "CARD-READER", true), 100);
	assert_int_equal(row->ns[LATENCY_ON_CPU], 200);
	assert_int_equal(row->ns[LATENCY_OFF_SKIPPED], 50);
	row = row_of(&f, "101");
	assert_int_equal(row->wall_ns, 500);
	assert_int_equal(row->ns[LATENCY_INTERRUPTED], 21);
	assert_int_equal(row_of(&f, "200")->wall_ns, 200);
	/* Distributions are of whole waits. */
	assert_int_equal(row_of(&f, "100")->waits[0]->values->most, 300);
	assert_true(remarks(&f).nr_cut);
	done(&f);
	remove_file(&f);
}

/* --- spans -------------------------------------------------------------------------------- */

static void spans_are_laid_over_stories(void **state)
{
	const struct latency_row *row;
	struct fixture f;

	(void)state;
	begin(&f);
	life(&f, &(struct life) { .time = 450, .task = 1, .off = 350, .run = 50, .on = 100,
				  .why = 1 });
	life(&f, &(struct life) { .time = 1000, .task = 1, .off = 300, .on = 250, .irq = 25,
				  .why = 2, .cpu = 1 });
	life(&f, &(struct life) { .time = 1400, .task = 1, .on = 400 });
	call(&f, 90, 1, 40);		/* within the first slice */
	call(&f, 460, 1, 400);		/* 60 to 460: over the wait */
	call(&f, 465, 1, 30);		/* nested at its end: 435 to 465 */
	call(&f, 1100, 1, 700);		/* 400 to 1100 */
	call(&f, 900, 1, 100);		/* ended by somebody else while it was blocked */
	call(&f, 50, 1, 150);		/* from before the story */
	call(&f, 1500, 1, 200);		/* and beyond it */
	call(&f, 700, 77, 10);		/* whose? */
	end(&f);
	read_latency(&f, (struct asked) { .events = "call" });
	row = row_of(&f, "call");
	assert_int_equal(row->nr_spans, 8);
	assert_int_equal(row->wall_ns, 40 + 400 + 30 + 700 + 100 + 150 + 200 + 10);
	assert_int_equal(blocked(&f, row, "TAPE", false), 300);
	assert_int_equal(blocked(&f, row, "CARD-READER", false), 300 + 100);
	assert_int_equal(row->ns[LATENCY_RUNQ], 50 + 15 + 50);
	/* 1 of 10 in the slice from 450 to 700. */
	assert_int_equal(row->ns[LATENCY_INTERRUPTED], 1 + 1 + 25);
	assert_int_equal(row->ns[LATENCY_ON_CPU], 40 + (40 + 9) + 14 + (225 + 100) + 50 + 100);
	assert_int_equal(row->ns[LATENCY_UNEXPLAINED], 100 + 100 + 10);
	assert_int_equal(row->values[LATENCY_OF_SPANS]->count, 8);
	assert_int_equal(row->values[LATENCY_OF_RUNQ]->count, 3);
	assert_int_equal(remarks(&f).nr_no_task, 1);
	assert_int_equal(remarks(&f).nr_forgotten, 0);
	done(&f);
	/* Spans that end in the time range; what began before it is cut. */
	read_latency(&f, (struct asked) { .events = "call", .time = "0.001000300,0.001000462" });
	row = row_of(&f, "call");
	assert_int_equal(row->nr_spans, 1);
	assert_int_equal(row->wall_ns, 160);
	assert_int_equal(blocked(&f, row, "TAPE", false), 100);
	assert_int_equal(row->values[LATENCY_OF_SPANS]->most, 400);
	done(&f);
	remove_file(&f);
}

/* More waits than are kept, and more spans in a slice than can wait for its end. */
static void what_is_forgotten_is_unexplained(void **state)
{
	const uint64_t nr = LATENCY_WAITS_KEPT + 1000, nr_calls = 200000;
	const uint64_t gone = 1000 + LATENCY_WAITS_GRACE;
	const struct latency_row *row;
	struct fixture f;

	(void)state;
	begin(&f);
	for (uint64_t i = 1; i <= nr; i++) {
		life(&f, &(struct life) { .time = 10 * i, .task = 1, .off = 6, .run = 1, .on = 4,
					  .why = 1 });
		if (!(i % 10000))
			assert_int_equal(writer_flush(f.w, T0 + 10 * i), 0);
	}
	call(&f, 10 * nr, 1, 10 * nr);
	for (uint64_t i = 1; i <= nr_calls; i++) {
		call(&f, 10 * nr + i, 1, 1);
		if (!(i % 10000))
			assert_int_equal(writer_flush(f.w, T0 + 10 * nr + i), 0);
	}
	life(&f, &(struct life) { .time = 10 * nr + nr_calls, .task = 1, .on = nr_calls,
				  .irq = nr_calls });
	end(&f);
	read_latency(&f, (struct asked) { .events = "call" });
	row = row_of(&f, "call");
	assert_int_equal(row->wall_ns, 10 * nr + nr_calls);
	assert_int_equal(remarks(&f).nr_forgotten, 1);
	assert_in_range(row->ns[LATENCY_UNEXPLAINED], 10 * (gone - 1), 10 * (gone + 2));
	assert_in_range(row->ns[LATENCY_INTERRUPTED], 100000, nr_calls - 1);
	assert_int_equal(remarks(&f).nr_early, nr_calls - row->ns[LATENCY_INTERRUPTED]);
	done(&f);
	remove_file(&f);
}

/* --- stacks and wakers ------------------------------------------------------------------- */

static uint32_t make_stack(struct writer *w, const uint64_t *offsets, size_t nr)
{
	uint32_t stack = 0;

	for (size_t i = 0; i < nr; i++)
		stack = writer_stack(w, stack, writer_frame(w, offsets[i] < 100 ? 2 : 1,
							    offsets[i]));
	return stack;
}

static void add_code(struct writer *w)
{
	static const struct {
		uint32_t module, offset;
		const char *name;
	} symbols[] = {
		{ 2, 10, "main" }, { 2, 20, "serve" }, { 2, 30, "read" }, { 1, 100, "do_syscall_64" },
		{ 1, 110, "vfs_read" }, { 1, 120, "tape_read" }, { 1, 130, "schedule" },
		{ 1, 140, "__schedule" }, { 1, 150, "tape_done" }, { 1, 160, "try_to_wake_up" },
	};

	writer_module(w, &(struct writer_module) { .id = 1, .kind = MODULE_KERNEL,
		.path = writer_string(w, CLASS_PATH, "kernel", 6) });
	writer_module(w, &(struct writer_module) { .id = 2, .kind = MODULE_ELF,
		.path = writer_string(w, CLASS_PATH, "/bin/server", 11) });
	for (size_t i = 0; i < sizeof(symbols) / sizeof(symbols[0]); i++)
		writer_symbol(w, symbols[i].module, symbols[i].offset, 10,
			      writer_string(w, CLASS_SYMBOL, symbols[i].name,
					    strlen(symbols[i].name)));
}

static void check_line(const struct latency_lines *lines, uint32_t text, const char *wanted)
{
	const struct intern_string *s = latency_lines_text(lines, text);

	assert_int_equal(s->len_bytes, strlen(wanted));
	assert_memory_equal(s->text, wanted, s->len_bytes);
}

static void waits_have_stacks_and_wakers(void **state)
{
	const uint64_t waits[] = { 10, 20, 30, 100, 110, 120, 130, 140 };
	const uint64_t others[] = { 10, 20, 30, 100, 110, 121, 131, 140 };
	const uint64_t wakes[] = { 150, 160 };
	const struct latency_row *row;
	struct latency_lines lines;
	uint32_t stack, other, waker;
	struct fixture f;

	(void)state;
	begin(&f);
	add_code(f.w);
	stack = make_stack(f.w, waits, 8);
	other = make_stack(f.w, others, 8);
	waker = make_stack(f.w, wakes, 2);
	life(&f, &(struct life) { .time = 500, .task = 1, .off = 300, .on = 10, .why = 1,
				  .stack = stack, .waker = 2, .waker_stack = waker });
	life(&f, &(struct life) { .time = 700, .task = 1, .off = 100, .on = 100, .why = 1,
				  .stack = other, .waker = 3, .waker_stack = waker,
				  .context = 1 });
	life(&f, &(struct life) { .time = 800, .task = 1, .off = 50, .on = 50, .why = 1 });
	end(&f);
	read_latency(&f, (struct asked) { 0 });
	row = row_of(&f, "100");
	assert_int_equal(latency_lines_init(&lines, query_trace(f.query), 0), 0);
	assert_int_equal(latency_lines_make(&lines, latency_tops(f.latency), row->waits[0]), 0);
	/* Both stacks are the same to the reader; the wait without one is not told. */
	assert_int_equal(lines.nr, 1);
	check_line(&lines, lines.lines[0].text, "tape_read <- vfs_read <- read <- serve");
	assert_int_equal(lines.lines[0].ns, 400);
	assert_int_equal(lines.lines[0].nr_wakers, 2);
	assert_int_equal(lines.wakers[lines.lines[0].first_waker].ns, 300);
	check_line(&lines, lines.wakers[lines.lines[0].first_waker].text, "worker: tape_done");
	check_line(&lines, lines.wakers[lines.lines[0].first_waker + 1].text,
		   "[BELL]: tape_done");
	latency_lines_release(&lines);
	done(&f);
	remove_file(&f);
}

/* However many there are, none of their time is lost. */
static void many_stacks_stay_in_bounds(void **state)
{
	struct latency_tops tops = { 0 };
	uint64_t added = 0, kept = 0;
	size_t nr;

	(void)state;
	for (uint32_t i = 1; i <= 3 * LATENCY_TOPS_SLOTS; i++) {
		const struct latency_top top = { .wait = i % 3, .stack = i, .count = 1,
						 .ns = i % 1000 ? 1 + i % 7 : 1000000 };

		*latency_tops_next(&tops) = top;
		assert_int_equal(latency_tops_add(&tops), 0);
		added += top.ns;
	}
	assert_true(tops.nr_slots <= LATENCY_TOPS_SLOTS);
	assert_int_equal(latency_tops_sort(&tops, 3), 0);
	for (uint32_t wait = 0; wait < 3; wait++) {
		const struct latency_top *top = latency_tops_of(&tops, wait, &nr);

		assert_true(nr > 3 * LATENCY_TOPS_SLOTS / 3000 - 2);
		assert_int_equal(top->ns, 1000000);
		for (size_t i = 0; i < nr; i++)
			kept += top[i].ns;
	}
	assert_int_equal(kept + tops.dropped_ns, added);
	latency_tops_release(&tops);
}

/* With rows without end, what has most values keeps its distributions; no time is lost. */
static void many_rows_stay_in_bounds(void **state)
{
	const uint32_t nr = 60000;
	const struct latency_row *row;
	struct fixture f;

	(void)state;
	begin(&f);
	for (uint32_t i = 0; i < nr; i++) {
		add_task(f.w, 10 + i, 1000 + i, 1000 + i, "short", 0);
		life(&f, &(struct life) { .time = 1000 * (i + 1), .task = 10 + i, .off = 100,
					  .run = 7, .on = 50, .why = 1 });
		life(&f, &(struct life) { .time = 1000 * (i + 1), .task = 1, .off = 900,
					  .run = 500, .on = 100, .why = 1 });
	}
	end(&f);
	read_latency(&f, (struct asked) { 0 });
	row = row_of(&f, "100");
	assert_int_equal(row->wall_ns, 1000 * (uint64_t)nr);
	assert_int_equal(row->values[LATENCY_OF_RUNQ]->count, nr);
	assert_int_equal(row->waits[0]->values->most, 400);
	assert_true(remarks(&f).nr_no_room > 0 && remarks(&f).nr_no_room < 3 * nr);
	assert_int_equal(latency_total(f.latency)->wall_ns, 1150 * (uint64_t)nr);
	done(&f);
	remove_file(&f);
}

/* --- what cannot be --------------------------------------------------------------------------- */

static void absurd_records_still_add_up(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f);
	life(&f, &(struct life) { .time = 10, .task = 1, .off = UINT64_MAX, .run = UINT64_MAX,
				  .on = UINT64_MAX, .irq = UINT64_MAX, .skipped = UINT64_MAX });
	life(&f, &(struct life) { .time = 20, .task = 1, .off = 5, .run = 6, .on = 5, .irq = 50,
				  .user = UINT64_MAX, .system = UINT64_MAX, .why = UINT64_MAX,
				  .stack = UINT64_MAX, .waker = UINT64_MAX });
	life(&f, &(struct life) { .time = UINT64_MAX - T0, .task = 2, .off = UINT64_MAX,
				  .why = 63 });
	life(&f, &(struct life) { .time = UINT64_MAX - T0, .task = 2, .on = UINT64_MAX,
				  .why = 64 });
	life(&f, &(struct life) { .time = 900, .task = 3, .on = 100 });
	/* The clock jumps back: 850 to 900 is told twice. */
	life(&f, &(struct life) { .time = 950, .task = 3, .on = 100 });
	for (uint64_t why = 951; why < 1050; why++)
		life(&f, &(struct life) { .time = why, .task = 3, .off = 1, .why = why });
	life(&f, &(struct life) { .time = 700, .task = UINT64_MAX, .on = 100 });
	call(&f, 800, 3, UINT64_MAX);
	call(&f, UINT64_MAX - T0, 2, UINT64_MAX);
	call(&f, UINT64_MAX - T0, 2, UINT64_MAX);
	end(&f);
	read_latency(&f, (struct asked) { 0 });
	assert_true(remarks(&f).nr_impossible >= 7);
	assert_true(remarks(&f).nr_overflow >= 1);
	assert_true(remarks(&f).overlap_ns >= 50);
	done(&f);
	read_latency(&f, (struct asked) { .by = "why" });
	done(&f);
	read_latency(&f, (struct asked) { .events = "call" });
	assert_true(remarks(&f).nr_overflow >= 1);
	done(&f);
	read_latency(&f, (struct asked) { .by = "comm", .time = "0.0010008,0.0010010" });
	done(&f);
	remove_file(&f);
}

static void nothing_to_tell_is_said(void **state)
{
	struct diag d = { "" };
	struct fixture f;

	(void)state;
	write_lives(&f);
	assert_int_equal(try_read(&f, (struct asked) { .events = "named" }, &d), -EINVAL);
	assert_non_null(strstr(d.text, "no durations"));
	done(&f);
	assert_int_equal(try_read(&f, (struct asked) { .by = "took" }, &d), -EINVAL);
	done(&f);
	read_latency(&f, (struct asked) { .by = "comm", .time = "2,3" });
	assert_int_equal(latency_total(f.latency)->wall_ns, 0);
	done(&f);
	remove_file(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_process_is_the_sum_of_its_threads),
		cmocka_unit_test(rows_are_of_any_key),
		cmocka_unit_test(who_ran_comes_before_who_was_blocked_all_the_time),
		cmocka_unit_test(a_slice_of_time_is_cut_exactly),
		cmocka_unit_test(spans_are_laid_over_stories),
		cmocka_unit_test(what_is_forgotten_is_unexplained),
		cmocka_unit_test(waits_have_stacks_and_wakers),
		cmocka_unit_test(many_stacks_stay_in_bounds),
		cmocka_unit_test(many_rows_stay_in_bounds),
		cmocka_unit_test(absurd_records_still_add_up),
		cmocka_unit_test(nothing_to_tell_is_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
