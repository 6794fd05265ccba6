#include "record/scheddesc.h"

#include <string.h>

/* One row a field: the part's (or the whole's) description, and what it is got from. */
struct row {
	struct field_desc field;
	const char *from;
};

#define MAX_FIELDS 24

#define REASONS								\
	"=0=NONE 1=OTHER 2=DISK 3=NETWORK 4=LOCK 5=FUTEX 6=SLEEP 7=PIPE "	\
	"8=PAGE-FAULT 9=POLL 10=CHILD 11=WORK 12=UNKNOWN"

#define CONTEXTS "=0=TASK 1=SOFTIRQ 2=IRQ"

#define TIME(name, role) { name, FIELD_UNSIGNED, role, 0, 0, "ns", NULL }
#define NUMBER(name, role) { name, FIELD_UNSIGNED, role, 0, 0, "", NULL }
#define NAMED(name, role, values) { name, FIELD_UNSIGNED, role, 0, 0, "", values }
#define TASK(name, role) { name, FIELD_TASK, role, 0, 0, "", NULL }
#define STACK(name, role) { name, FIELD_STACK, role, 0, 0, "", NULL }
#define LETTER(name, role) { name, FIELD_UNSIGNED, role, HINT_CHAR, 0, "", NULL }

static const struct field_desc whole[SCHED_NR_COLUMNS] = {
	[SCHED_COLUMN_TIME] = TIME("time", ROLE_TIME),
	[SCHED_COLUMN_CPU] = NUMBER("cpu", ROLE_CPU),
	[SCHED_COLUMN_TASK] = TASK("task", ROLE_TASK),
	[SCHED_COLUMN_OFFCPU] = TIME("offcpu", ROLE_DURATION),
	[SCHED_COLUMN_RUNQ] = TIME("runq", ROLE_RUNNABLE),
	[SCHED_COLUMN_ONCPU] = TIME("oncpu", ROLE_SLICE),
	[SCHED_COLUMN_USER] = TIME("user", ROLE_USER_TIME),
	[SCHED_COLUMN_SYSTEM] = TIME("system", ROLE_SYSTEM_TIME),
	[SCHED_COLUMN_IRQ] = TIME("irq", ROLE_INTERRUPTED),
	[SCHED_COLUMN_FROM_CPU] = NUMBER("from_cpu", ROLE_FROM_CPU),
	[SCHED_COLUMN_STATE] = LETTER("state", ROLE_STATE),
	[SCHED_COLUMN_REASON] = NAMED("reason", ROLE_REASON, REASONS),
	[SCHED_COLUMN_IDLE] = NUMBER("idle", ROLE_IDLE),
	[SCHED_COLUMN_WAKER] = TASK("waker", ROLE_WAKER),
	[SCHED_COLUMN_WAKER_CPU] = NUMBER("waker_cpu", ROLE_WAKER_CPU),
	[SCHED_COLUMN_CONTEXT] = NAMED("waker_context", ROLE_WAKER_CONTEXT, CONTEXTS),
	[SCHED_COLUMN_EDGE] = NAMED("edge", ROLE_EDGE, "|1=START 2=END 4=EXIT"),
	[SCHED_COLUMN_SKIPPED] = TIME("skipped", ROLE_SKIPPED),
	[SCHED_COLUMN_STACK] = STACK("stack", ROLE_STACK),
	[SCHED_COLUMN_WAKER_STACK] = STACK("waker_stack", ROLE_WAKER_STACK),
};

/* What the parts of the wait have in common, with and without stacks. */
#define OF_THE_WAIT								\
	{ LETTER("state", ROLE_STATE), "state" },				\
	{ NAMED("reason", ROLE_REASON, REASONS), "reason" },			\
	{ TASK("waker", ROLE_WAKER), "waker" },					\
	{ NAMED("waker_context", ROLE_WAKER_CONTEXT, CONTEXTS), "waker_context" }, \
	{ NAMED("edge", ROLE_EDGE, "|1=START 2=END 4=EXIT"), "edge" },		\
	{ STACK("stack", ROLE_STACK), "stack" },				\
	{ STACK("waker_stack", ROLE_WAKER_STACK), "waker_stack" }

#define AT_ITS_END								\
	{ TIME("time", ROLE_TIME), "time" },					\
	{ NUMBER("cpu", ROLE_CPU), "cpu" },					\
	{ TASK("task", ROLE_TASK), "task" }

static const struct row offcpu[] = {
	AT_ITS_END,
	{ TIME("duration", ROLE_DURATION), "offcpu" },
	{ TIME("runq", ROLE_RUNNABLE), "runq" },
	{ NUMBER("idle", ROLE_IDLE), "idle" },
	OF_THE_WAIT,
};

static const struct row blocked[] = {
	{ TIME("time", ROLE_TIME), "time-runq" },
	{ NUMBER("cpu", ROLE_CPU), "from_cpu" },
	{ TASK("task", ROLE_TASK), "task" },
	{ TIME("duration", ROLE_DURATION), "offcpu-runq" },
	{ NUMBER("idle", ROLE_IDLE), "idle" },
	OF_THE_WAIT,
};

/* Whatever it had waited for before, for a CPU it waits in earnest: never idle. */
static const struct row runq[] = {
	AT_ITS_END,
	{ TIME("duration", ROLE_DURATION), "runq" },
	OF_THE_WAIT,
};

static const struct row oncpu[] = {
	{ TIME("time", ROLE_TIME), "time-offcpu" },
	{ NUMBER("cpu", ROLE_CPU), "from_cpu" },
	{ TASK("task", ROLE_TASK), "task" },
	{ TIME("duration", ROLE_DURATION), "oncpu" },
	{ TIME("user", ROLE_USER_TIME), "user" },
	{ TIME("system", ROLE_SYSTEM_TIME), "system" },
	{ TIME("irq", ROLE_INTERRUPTED), "irq" },
	{ NAMED("edge", ROLE_EDGE, "|1=START 2=END 4=EXIT"), "edge" },
	{ STACK("stack", ROLE_STACK), "stack" },
};

/* About who woke: the duration is how long the other one had been blocked by then. */
static const struct row wakeup[] = {
	{ TIME("time", ROLE_TIME), "time-runq" },
	{ NUMBER("cpu", ROLE_CPU), "waker_cpu" },
	{ TASK("task", ROLE_TASK), "waker" },
	{ TIME("duration", ROLE_DURATION), "offcpu-runq" },
	{ TASK("target", ROLE_TARGET), "task" },
	{ NAMED("reason", ROLE_REASON, REASONS), "reason" },
	{ NUMBER("idle", ROLE_IDLE), "idle" },
	{ NAMED("context", ROLE_WAKER_CONTEXT, CONTEXTS), "waker_context" },
	{ STACK("stack", ROLE_STACK), "waker_stack" },
};

#define PART(rows, name, condition, summary)					\
	{ name, condition, summary, rows, sizeof(rows) / sizeof(*(rows)) }

static const struct part {
	const char *name, *condition, *summary;
	const struct row *rows;
	size_t nr;
} parts[] = {
	PART(offcpu, "offcpu", "offcpu", "part of sched: a time off a CPU, and where it began"),
	PART(blocked, "blocked", "offcpu-runq",
	     "part of sched: the time in which the thread could not have run"),
	PART(runq, "runq", "runq", "part of sched: the time in which it waited for a CPU"),
	PART(oncpu, "oncpu", "oncpu", "part of sched: the time on a CPU before it"),
	PART(wakeup, "wakeup", "waker", "part of sched: who ended the wait, and from where"),
};

#define NR_PARTS (sizeof(parts) / sizeof(parts[0]))

const struct event_desc *scheddesc_whole(bool stacks)
{
	static const struct event_desc descs[] = {
		{ .name = "sched", .nr_fields = SCHED_COLUMN_STACK, .fields = whole },
		{ .name = "sched", .nr_fields = SCHED_NR_COLUMNS, .fields = whole },
	};

	return &descs[stacks];
}

static const struct part *find_part(const char *name)
{
	for (size_t i = 0; i < NR_PARTS; i++)
		if (!strcmp(parts[i].name, name))
			return &parts[i];
	return NULL;
}

const char *scheddesc_name(const char *name)
{
	const struct part *part = find_part(name);

	if (!strcmp(name, scheddesc_whole(true)->name))
		return scheddesc_whole(true)->name;
	return part ? part->name : NULL;
}

const char *scheddesc_summary(const char *name)
{
	const struct part *part = find_part(name);

	return part ? part->summary : "each time a thread gets a CPU: how long it was off it, "
	       "blocked on what, waiting for a CPU, who woke it, and how long it had run before";
}

const struct event_desc *scheddesc_part(bool stacks, size_t i)
{
	static struct {
		struct event_desc desc;
		struct field_desc fields[MAX_FIELDS];
		const char *from[MAX_FIELDS];
	} made[2][NR_PARTS];
	struct event_desc *desc;

	if (i >= NR_PARTS)
		return NULL;
	desc = &made[stacks][i].desc;
	if (desc->name)
		return desc;
	for (size_t k = 0; k < parts[i].nr; k++) {
		const struct row *row = &parts[i].rows[k];

		if (row->field.type == FIELD_STACK && !stacks)
			continue;
		made[stacks][i].fields[desc->nr_fields] = row->field;
		made[stacks][i].from[desc->nr_fields++] = row->from;
	}
	desc->name = parts[i].name;
	desc->fields = made[stacks][i].fields;
	desc->part_of = "sched";
	desc->part_if = parts[i].condition;
	desc->part_from = made[stacks][i].from;
	return desc;
}
