#include "record/ftgraph.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "record/ftcalls.h"
#include "record/ftcontrol.h"
#include "record/ftring.h"
#include "record/hostinfo.h"
#include "record/tpformat.h"
#include "record/tracefs.h"

#define EVENT_NAME_IN_FILE "funcgraph"
#define CPU_BYTES (4u << 20)
/* Every event begins with its number, 2 bytes, and the thread at 4. */
#define COMMON_BYTES 8
#define MAX_PAD_BYTES 16
#define NR_STARTS 4096		/* 1 << 12 */

enum { COLUMN_TIME, COLUMN_CPU, COLUMN_TASK, COLUMN_STACK, COLUMN_FUNCTION, COLUMN_DURATION,
       COLUMN_SELF, COLUMN_DEPTH, NR_COLUMNS };

struct place {
	uint32_t offset, size_bytes;
};

/* Where the numbers lie in the tracer's two events; kernels differ. */
struct shape {
	uint32_t id;
	struct place function, depth, call_time, return_time;
};

struct start {
	uint64_t address, start;
};

struct ftgraph {
	const char *functions;
	unsigned int depth;
	struct target *target;
	struct ftcontrol *control;
	struct ftring *ring;
	struct ftcalls *calls;
	struct shape entry, exit;
	struct ftgraph_drain to;
	uint32_t event, gap_frame;
	uint64_t nr_records, nr_refused, nr_lost;
	bool refuse;
	struct start starts[NR_STARTS];
	/* As far as losses are in the file. */
	uint64_t since_ns, *written_cpus;
	struct {
		uint64_t refused, no_start, no_end;
	} written;
};

/* --- one event --------------------------------------------------------------------- */

static uint64_t number(const struct ftring_event *e, struct place p)
{
	uint64_t v8;
	uint32_t v4;

	if (p.size_bytes == sizeof(v8)) {
		memcpy(&v8, e->data + p.offset, sizeof(v8));
		return v8;
	}
	memcpy(&v4, e->data + p.offset, sizeof(v4));
	return v4;
}

/*
 * The tracer says where the function calls it, which is behind the first instruction
 * where that one is a landing pad of indirect branches.
 */
static uint64_t start_of(struct ftgraph *g, uint64_t address)
{
	struct start *s = &g->starts[address * UINT64_C(0x9e3779b97f4a7c15) >> 52];
	uint64_t offset = 0;
	struct symbol sym;
	uint32_t module;

	if (s->address == address)
		return s->start;
	module = kernelmap_find(g->to.kernel, address, &offset);
	*s = (struct start){ address, address };
	if (module && symbolizer_find(g->to.symbolizer, module, offset, &sym) == 0 &&
	    offset - sym.start <= MAX_PAD_BYTES)
		s->start -= offset - sym.start;
	return s->start;
}

void ftgraph_kernel_changed(struct ftgraph *g)
{
	memset(g->starts, 0, sizeof(g->starts));
}

static bool fits(const struct ftring_event *e, struct place p)
{
	return p.offset + p.size_bytes <= e->size_bytes;
}

/* Each CPU has an idle task of its own, and all have the number 0. */
static uint64_t thread_of(const struct ftring_event *e, uint32_t *tid)
{
	memcpy(tid, e->data + 4, sizeof(*tid));
	return *tid ? *tid : UINT64_C(1) << 32 | e->cpu;
}

static void take_entry(struct ftgraph *g, const struct ftring_event *e)
{
	uint64_t function = number(e, g->entry.function);
	struct ftcalls_open *call;
	uint32_t tid, stack;
	bool gap;

	call = ftcalls_enter(g->calls, thread_of(e, &tid), function,
			     (uint32_t)number(e, g->entry.depth), e->cpu, &stack, &gap);
	if (!call)
		return;
	call->noted_ns = e->time_ns;
	if (gap)
		stack = writer_stack(g->to.writer, stack, g->gap_frame);
	call->stack = writer_stack(g->to.writer, stack,
				   stacks_frame(g->to.stacks, NULL, start_of(g, function)));
}

static void put_record(struct ftgraph *g, const struct ftring_event *e, uint32_t tid,
		       uint64_t function, const struct ftcalls_ended *call)
{
	struct task *task = g->refuse ? NULL : tasks_of_thread(g->to.tasks, tid, e->time_ns);
	uint64_t values[NR_COLUMNS];

	if (!task) {
		g->nr_refused++;
		return;
	}
	values[COLUMN_TIME] = call->time_ns;
	values[COLUMN_CPU] = e->cpu;
	values[COLUMN_TASK] = task->id;
	values[COLUMN_STACK] = call->stack;
	values[COLUMN_FUNCTION] = stacks_frame(g->to.stacks, NULL, start_of(g, function));
	values[COLUMN_DURATION] = call->duration_ns;
	values[COLUMN_SELF] = call->self_ns;
	values[COLUMN_DEPTH] = call->depth;
	writer_record(g->to.writer, g->event, values);
	g->nr_records++;
}

static void take_exit(struct ftgraph *g, const struct ftring_event *e)
{
	const struct ftcalls_end end = {
		.function = number(e, g->exit.function),
		.began_ns = number(e, g->exit.call_time),
		.ended_ns = number(e, g->exit.return_time), .noted_ns = e->time_ns,
		.depth = (uint32_t)number(e, g->exit.depth), .cpu = e->cpu,
	};
	struct ftcalls_ended call;
	uint32_t tid;
	uint64_t thread = thread_of(e, &tid);

	if (ftcalls_leave(g->calls, thread, &end, &call))
		put_record(g, e, tid, end.function, &call);
}

static void take(struct ftgraph *g, const struct ftring_event *e)
{
	uint16_t id;

	if (e->missed)
		ftcalls_forget(g->calls);
	if (e->size_bytes < COMMON_BYTES)
		return;
	memcpy(&id, e->data, sizeof(id));
	if (id == g->entry.id && fits(e, g->entry.function) && fits(e, g->entry.depth))
		take_entry(g, e);
	else if (id == g->exit.id && fits(e, g->exit.function) && fits(e, g->exit.depth) &&
		 fits(e, g->exit.call_time) && fits(e, g->exit.return_time))
		take_exit(g, e);
}

void ftgraph_run(struct ftgraph *g, uint64_t until_ns)
{
	struct ftring_event e;

	while (ftring_next(g->ring, until_ns, &e))
		take(g, &e);
}

void ftgraph_end(struct ftgraph *g)
{
	ftcalls_forget(g->calls);
}

void ftgraph_refuse(struct ftgraph *g, bool refuse)
{
	g->refuse = refuse;
}

/* --- shapes ------------------------------------------------------------------------ */

static bool find_place(struct place *p, const struct tpformat *f, const char *name)
{
	const struct tpformat_field *field = tpformat_find(f, name);

	if (!field || (field->size_bytes != 4 && field->size_bytes != 8))
		return false;
	*p = (struct place){ field->offset, field->size_bytes };
	return true;
}

static int read_shape(struct shape *s, const char *name, bool is_exit, struct diag *d)
{
	struct tpformat f = { 0 };
	char *text = NULL;
	int err = tracefs_read_format(&text, "ftrace", name, d);

	if (!err)
		err = tpformat_parse(&f, text, "ftrace", name, d);
	if (!err && (!find_place(&s->function, &f, "func") ||
		     !find_place(&s->depth, &f, "depth") ||
		     (is_exit && (!find_place(&s->call_time, &f, "calltime") ||
				  !find_place(&s->return_time, &f, "rettime")))))
		err = -EINVAL;
	s->id = f.id;
	tpformat_release(&f);
	free(text);
	return err ? diag_set(d, err, "the kernel describes its event 'ftrace:%s' in a way that "
			      "kymo does not understand", name) : 0;
}

/* --- life -------------------------------------------------------------------------- */

static int open_all(struct ftgraph *g, const struct ftgraph_opts *opts, struct diag *d)
{
	const struct ftcontrol_opts co = {
		.functions = opts->functions, .depth = opts->depth, .target = opts->target,
		.cpu_bytes = opts->cpu_bytes ? opts->cpu_bytes : CPU_BYTES,
	};
	int err;

	if (opts->target->cgroup_fd >= 0)
		return diag_set(d, -EINVAL, "--graph cannot be limited to a cgroup (-G): name "
				"processes (-p) or CPUs (-C), or record the whole machine (-a)");
	err = ftcontrol_open(&g->control, &co, d);
	if (!err)
		err = read_shape(&g->entry, "funcgraph_entry", false, d);
	if (!err)
		err = read_shape(&g->exit, "funcgraph_exit", true, d);
	if (!err)
		err = ftring_open(&g->ring, ftcontrol_folder(g->control), g->target->cpus,
				  g->target->nr_cpus, d);
	g->written_cpus = calloc(g->target->nr_cpus + 1, sizeof(*g->written_cpus));
	if (!err && (!g->written_cpus || ftcalls_new(&g->calls) < 0))
		err = diag_set(d, -ENOMEM, "out of memory");
	return err;
}

int ftgraph_open(struct ftgraph **out, const struct ftgraph_opts *opts, struct diag *d)
{
	struct ftgraph *g = calloc(1, sizeof(*g));
	int err;

	if (!g)
		return diag_set(d, -ENOMEM, "out of memory");
	g->target = opts->target;
	g->functions = opts->functions;
	g->depth = opts->depth;
	err = open_all(g, opts, d);
	if (err) {
		ftgraph_close(g);
		return err;
	}
	*out = g;
	return 0;
}

/* What was asked for, and how it is done. */
static void describe(const struct ftgraph *g)
{
	char text[512], deep[32] = "";

	if (g->depth)
		snprintf(deep, sizeof(deep), ", %u deep", g->depth);
	snprintf(text, sizeof(text), "%.400s%s, %s", g->functions, deep,
		 ftcontrol_place(g->control));
	writer_host(g->to.writer, "graph", CLASS_ARGUMENT, text);
}

int ftgraph_begin(struct ftgraph *g, const struct ftgraph_drain *to)
{
	static const struct field_desc fields[NR_COLUMNS] = {
		[COLUMN_TIME] = { "time", FIELD_UNSIGNED, ROLE_TIME, 0, 0, "ns", NULL },
		[COLUMN_CPU] = { "cpu", FIELD_UNSIGNED, ROLE_CPU, 0, 0, "", NULL },
		[COLUMN_TASK] = { "task", FIELD_TASK, ROLE_TASK, 0, 0, "", NULL },
		[COLUMN_STACK] = { "stack", FIELD_STACK, ROLE_STACK, 0, 0, "", NULL },
		[COLUMN_FUNCTION] = { "function", FIELD_FRAME, ROLE_NONE, 0, 0, "", NULL },
		[COLUMN_DURATION] = { "duration", FIELD_UNSIGNED, ROLE_DURATION, 0, 0, "ns", NULL },
		[COLUMN_SELF] = { "self", FIELD_UNSIGNED, ROLE_WEIGHT, 0, 0, "ns", NULL },
		[COLUMN_DEPTH] = { "depth", FIELD_UNSIGNED, ROLE_DEPTH, 0, 0, "", NULL },
	};
	const struct event_desc desc = {
		.name = EVENT_NAME_IN_FILE, .nr_fields = NR_COLUMNS, .fields = fields,
	};

	g->to = *to;
	describe(g);
	g->since_ns = hostinfo_now_ns();
	g->gap_frame = writer_frame(to->writer, 0, FRAME_TRUNCATED);
	g->event = writer_event(to->writer, &desc);
	return g->event && g->gap_frame ? 0 : -ENOMEM;
}

int ftgraph_enable(struct ftgraph *g, struct diag *d)
{
	int err = ftcontrol_enable(g->control, true);

	return err ? diag_set(d, err, "cannot turn on the rings of the kernel's tracer: %s",
			      strerror(-err)) : 0;
}

void ftgraph_disable(struct ftgraph *g)
{
	ftcontrol_enable(g->control, false);
}

uint64_t ftgraph_records(const struct ftgraph *g)
{
	return g->nr_records;
}

/* --- losses ------------------------------------------------------------------------ */

static void write_loss(struct ftgraph *g, uint64_t now_ns, uint32_t cpu, enum loss_cause cause,
		       uint64_t *written, uint64_t total)
{
	if (total > *written)
		writer_loss(g->to.writer, &(struct writer_loss){
			.first_ns = g->since_ns, .last_ns = now_ns, .cpu = cpu,
			.event = g->event, .cause = cause, .count = total - *written,
		});
	*written = total;
}

void ftgraph_write_losses(struct ftgraph *g, uint64_t now_ns)
{
	g->nr_lost = g->nr_refused;
	for (size_t i = 0; i < g->target->nr_cpus; i++) {
		uint32_t cpu = (uint32_t)g->target->cpus[i];
		uint64_t lost = (ftring_lost(g->ring, cpu) + 1) / 2;

		write_loss(g, now_ns, cpu, LOSS_RING, &g->written_cpus[i], lost);
		g->nr_lost += lost;
	}
	write_loss(g, now_ns, LOSS_CPU_UNKNOWN, LOSS_OUTPUT, &g->written.refused, g->nr_refused);
	write_loss(g, now_ns, LOSS_CPU_UNKNOWN, LOSS_NO_START, &g->written.no_start,
		   ftcalls_no_start(g->calls));
	write_loss(g, now_ns, LOSS_CPU_UNKNOWN, LOSS_NO_END, &g->written.no_end,
		   ftcalls_no_end(g->calls));
	g->since_ns = now_ns;
}

uint64_t ftgraph_lost(const struct ftgraph *g)
{
	return g->nr_lost;
}

uint64_t ftgraph_no_start(const struct ftgraph *g)
{
	return ftcalls_no_start(g->calls);
}

uint64_t ftgraph_no_end(const struct ftgraph *g)
{
	return ftcalls_no_end(g->calls);
}

void ftgraph_close(struct ftgraph *g)
{
	if (!g)
		return;
	ftring_close(g->ring);
	ftcontrol_close(g->control);
	ftcalls_free(g->calls);
	free(g->written_cpus);
	free(g);
}
