#include "report/info.h"

#include "format/block.h"
#include "report/query_parts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* --- words ------------------------------------------------------------------- */

static const char *word(const char *const *words, size_t nr, unsigned int i)
{
	return i < nr && words[i] ? words[i] : "unknown";
}

#define WORD(words, i) word(words, sizeof(words) / sizeof((words)[0]), i)

const char *info_block_name(unsigned int type)
{
	static const char *const words[] = {
		[BLOCK_HOST] = "host", [BLOCK_CLOCK] = "clock", [BLOCK_EVENT] = "events",
		[BLOCK_STRINGS] = "strings", [BLOCK_MODULES] = "modules",
		[BLOCK_FRAMES] = "frames", [BLOCK_STACKS] = "stacks",
		[BLOCK_TASKS] = "tasks", [BLOCK_MAPPINGS] = "mappings",
		[BLOCK_SYMBOLS] = "symbols", [BLOCK_LOSS] = "losses",
		[BLOCK_RECORDS] = "records", [BLOCK_COST] = "cost", [BLOCK_INDEX] = "index",
	};

	return WORD(words, type);
}

const char *info_cause_name(uint32_t cause)
{
	static const char *const words[] = {
		[LOSS_RING] = "ring", [LOSS_OUTPUT] = "output",
		[LOSS_SIDEBAND] = "sideband", [LOSS_THROTTLED] = "throttled",
		[LOSS_RECURSION] = "recursion", [LOSS_ROOM] = "no room in a table",
		[LOSS_NO_START] = "ends without a start",
		[LOSS_NO_END] = "starts without an end",
	};

	return WORD(words, cause);
}

const char *info_type_name(unsigned int type)
{
	static const char *const words[] = {
		[FIELD_UNSIGNED] = "unsigned", [FIELD_SIGNED] = "signed",
		[FIELD_STRING] = "string", [FIELD_BYTES] = "bytes", [FIELD_TASK] = "task",
		[FIELD_STACK] = "stack", [FIELD_FLOAT] = "float", [FIELD_FRAME] = "frame",
	};

	return WORD(words, type);
}

const char *info_role_name(unsigned int role)
{
	static const char *const words[ROLE_MAX] = {
		[ROLE_NONE] = "", [ROLE_TIME] = "time", [ROLE_CPU] = "cpu",
		[ROLE_TASK] = "task", [ROLE_STACK] = "stack", [ROLE_WEIGHT] = "weight",
		[ROLE_DURATION] = "duration", [ROLE_WAKER_STACK] = "waker stack",
		[ROLE_WAKER] = "waker", [ROLE_TARGET] = "target", [ROLE_COUNT] = "count",
		[ROLE_SUM] = "sum", [ROLE_BUCKET] = "bucket", [ROLE_STATE] = "state",
		[ROLE_LEAST] = "least", [ROLE_MOST] = "greatest", [ROLE_FIRST] = "first of a key",
		[ROLE_INTERVAL] = "interval", [ROLE_RESULT] = "result", [ROLE_DEPTH] = "depth",
		[ROLE_SLICE] = "slice", [ROLE_RUNNABLE] = "runnable", [ROLE_SKIPPED] = "skipped",
		[ROLE_USER_TIME] = "user time", [ROLE_SYSTEM_TIME] = "system time",
		[ROLE_INTERRUPTED] = "interrupted", [ROLE_FROM_CPU] = "from cpu",
		[ROLE_REASON] = "reason", [ROLE_IDLE] = "idle", [ROLE_WAKER_CPU] = "waker cpu",
		[ROLE_EDGE] = "edge",
	};

	return WORD(words, role);
}

/* --- collecting -------------------------------------------------------------- */

/* Events are announced while a pipe is read, so the counters grow. */
static int reserve_events(struct info *info)
{
	size_t nr = trace_nr_events(info->trace);
	uint64_t *grown;

	if (nr <= info->nr_events_cap)
		return 0;
	grown = realloc(info->records, nr * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	memset(grown + info->nr_events_cap, 0, (nr - info->nr_events_cap) * sizeof(*grown));
	info->records = grown;
	info->nr_events_cap = nr;
	return 0;
}

static void add_records(struct info *info, const struct trace_event *e, uint64_t nr)
{
	for (size_t i = 0; i < info->nr_events_cap; i++)
		if (trace_event_at(info->trace, i) == e)
			info->records[i] += nr;
}

static bool wants_all(void *ctx, const struct trace_event *e)
{
	(void)ctx;
	(void)e;
	return true;
}

static int count_part(void *ctx, struct trace_batch *part)
{
	const uint64_t *values;
	uint64_t nr = 0;

	if (trace_part_condition(part, &values)) {
		trace_damaged(part);
		return 0;
	}
	for (size_t i = 0; i < part->nr && values; i++)
		nr += values[i] != 0;
	add_records(ctx, part->event, values ? nr : part->nr);
	return 0;
}

static int count_batch(void *ctx, struct query_batch *b)
{
	struct info *info = ctx;
	int err = reserve_events(info);

	if (err)
		return err;
	add_records(info, b->event, b->nr);
	return query_parts_each(b->batch, wants_all, NULL, false, count_part, info);
}

static int compare_u32(const void *va, const void *vb)
{
	const uint32_t *a = va, *b = vb;

	return (*a > *b) - (*a < *b);
}

static uint32_t count_different(uint32_t *list, uint32_t nr)
{
	uint32_t different = 0;

	qsort(list, nr, sizeof(*list), compare_u32);
	for (uint32_t i = 0; i < nr; i++)
		different += !i || list[i] != list[i - 1];
	return different;
}

static int count_tasks(struct info *info)
{
	uint32_t nr_ids = trace_nr_tasks(info->trace), nr = 0, nr_kernel = 0;
	uint32_t *pids = malloc((nr_ids + 1) * sizeof(*pids));
	uint32_t *tids = malloc((nr_ids + 1) * sizeof(*tids));
	uint32_t *kernel = malloc((nr_ids + 1) * sizeof(*kernel));
	int err = pids && tids && kernel ? 0 : -ENOMEM;

	for (uint32_t id = 1; id < nr_ids && !err; id++) {
		const struct trace_task *task = trace_task(info->trace, id);

		info->nr_tasks += task != NULL;
		if (!task || task->flags & TASK_IDLE)
			continue;
		if (task->flags & TASK_KERNEL_THREAD) {
			kernel[nr_kernel++] = task->tid;
			continue;
		}
		pids[nr] = task->pid;
		tids[nr++] = task->tid;
	}
	if (!err) {
		info->nr_processes = count_different(pids, nr);
		info->nr_threads = count_different(tids, nr);
		info->nr_kernel_threads = count_different(kernel, nr_kernel);
	}
	free(pids);
	free(tids);
	free(kernel);
	return err;
}

static int compare_losses(const void *va, const void *vb)
{
	const struct info_loss *a = va, *b = vb;

	if (a->cpu != b->cpu)
		return a->cpu < b->cpu ? -1 : 1;
	if (a->event != b->event)
		return a->event < b->event ? -1 : 1;
	return (a->cause > b->cause) - (a->cause < b->cause);
}

static int sum_losses(struct info *info)
{
	size_t nr, kept = 0;
	const struct trace_loss *rows = trace_losses(info->trace, &nr);

	info->losses = calloc(nr + 1, sizeof(*info->losses));
	if (!info->losses)
		return -ENOMEM;
	for (size_t i = 0; i < nr; i++)
		info->losses[i] = (struct info_loss) {
			.cpu = rows[i].cpu, .event = rows[i].event, .cause = rows[i].cause,
			.count = rows[i].count,
		};
	qsort(info->losses, nr, sizeof(*info->losses), compare_losses);
	for (size_t i = 1; i < nr; i++) {
		if (compare_losses(&info->losses[kept], &info->losses[i]))
			info->losses[++kept] = info->losses[i];
		else
			info->losses[kept].count += info->losses[i].count;
	}
	info->nr_losses = nr ? kept + 1 : 0;
	return 0;
}

/* By the anchor that is nearest: wall clocks are set while traces are recorded. */
static uint64_t wall_of(const struct trace *t, uint64_t ns)
{
	uint64_t best = UINT64_MAX, wall = 0;
	const struct trace_clock *clocks;
	size_t nr;

	clocks = trace_clocks(t, &nr);
	for (size_t i = 0; i < nr; i++) {
		uint64_t at = clocks[i].trace_ns;
		uint64_t distance = at > ns ? at - ns : ns - at;

		if (distance >= best)
			continue;
		best = distance;
		wall = clocks[i].wall_ns + (ns - at);
	}
	return wall;
}

static void sum_bytes(struct info *info)
{
	static const unsigned int types[] = { BLOCK_RECORDS, BLOCK_FRAMES, BLOCK_STACKS };
	const struct trace_block_stats *stats = trace_block_stats(info->trace);

	info->nr_records = stats[BLOCK_RECORDS].nr_records;
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		info->record_bytes += stats[types[i]].payload_bytes +
				      stats[types[i]].nr_blocks * BLOCK_HEADER_BYTES;
	info->file_bytes = trace_size_bytes(info->trace);
}

int info_collect(struct info *info, struct query *q, struct diag *d)
{
	const struct trace_cost *costs;
	size_t nr;
	int err;

	memset(info, 0, sizeof(*info));
	info->query = q;
	info->trace = query_trace(q);
	err = query_each_batch(q, count_batch, info, d);
	if (!err)
		err = reserve_events(info);
	if (!err)
		err = count_tasks(info);
	if (!err)
		err = sum_losses(info);
	if (err)
		return diag_set(d, err, "out of memory");
	info->nr_events = trace_nr_events(info->trace);
	if (trace_block_stats(info->trace)[BLOCK_RECORDS].nr_records) {
		trace_time_range(info->trace, &info->first_ns, &info->last_ns);
		info->first_wall_ns = wall_of(info->trace, info->first_ns);
		info->last_wall_ns = wall_of(info->trace, info->last_ns);
	}
	sum_bytes(info);
	costs = trace_costs(info->trace, &nr);
	info->has_cost = nr;
	if (nr)
		info->cost = costs[nr - 1];
	return 0;
}

void info_release(struct info *info)
{
	free(info->records);
	free(info->losses);
	memset(info, 0, sizeof(*info));
}
