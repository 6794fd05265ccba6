#include "report/info.h"

#include "format/block.h"
#include "report/query_json.h"

#include <inttypes.h>
#include <string.h>

static void put_member(struct output *o, const char *key, uint64_t v)
{
	output_format(o, "\"%s\": %" PRIu64, key, v);
}

/* A key of the file may come twice; the last one counts. */
static void put_host(struct output *o, const struct trace *t)
{
	const char *key, *value, *between = "\n  ";

	output_text(o, "\"host\": {");
	for (size_t i = 0; i < trace_nr_host(t); i++) {
		trace_host_at(t, i, &key, &value);
		if (trace_host(t, key) != value)
			continue;
		output_text(o, between);
		query_json_text(o, key);
		output_text(o, ": ");
		query_json_text(o, value);
		between = ",\n  ";
	}
	output_text(o, "\n},\n");
}

static void put_clock(struct output *o, const struct info *info)
{
	output_format(o, "\"first_ns\": %" PRIu64 ", \"last_ns\": %" PRIu64
		      ", \"first_wall_ns\": %" PRIu64 ", \"last_wall_ns\": %" PRIu64
		      ", \"duration_ns\": %" PRIu64 ",\n", info->first_ns, info->last_ns,
		      info->first_wall_ns, info->last_wall_ns, info->last_ns - info->first_ns);
}

static void put_fields(struct output *o, const struct trace_event *e)
{
	for (uint32_t i = 0; i < e->nr_fields; i++) {
		const struct field_desc *f = &e->fields[i];

		output_text(o, i ? ",\n    {\"name\": " : "\n    {\"name\": ");
		query_json_text(o, f->name);
		output_format(o, ", \"type\": \"%s\", \"role\": \"%s\", \"unit\": ",
			      info_type_name(f->type), info_role_name(f->role));
		query_json_text(o, f->unit);
		output_text(o, "}");
	}
}

static void put_events(struct output *o, const struct info *info)
{
	output_text(o, "\"events\": [");
	for (size_t i = 0; i < info->nr_events; i++) {
		const struct trace_event *e = trace_event_at(info->trace, i);

		output_text(o, i ? ",\n  {\"name\": " : "\n  {\"name\": ");
		query_json_text(o, e->name);
		output_format(o, ", \"records\": %" PRIu64, info->records[i]);
		if (e->part_of) {
			const struct trace_event *whole =
				trace_event_by_id(info->trace, e->part_of);

			output_text(o, ", \"part_of\": ");
			query_json_text(o, whole ? whole->name : "");
		}
		output_text(o, ", \"fields\": [");
		put_fields(o, e);
		output_text(o, "]}");
		output_settle(o);
	}
	output_text(o, "\n],\n");
}

static void put_contents(struct output *o, const struct info *info)
{
	const struct trace_block_stats *stats = trace_block_stats(info->trace);

	output_format(o, "\"tasks\": {\"entries\": %" PRIu32 ", \"processes\": %" PRIu32
		      ", \"threads\": %" PRIu32 ", \"kernel_threads\": %" PRIu32 "},\n",
		      info->nr_tasks, info->nr_processes, info->nr_threads,
		      info->nr_kernel_threads);
	output_format(o, "\"modules\": %" PRIu64 ", \"mappings\": %" PRIu64
		      ", \"symbols\": %" PRIu64 ", \"frames\": %" PRIu64
		      ", \"stacks\": %" PRIu64 ",\n", stats[BLOCK_MODULES].nr_records,
		      stats[BLOCK_MAPPINGS].nr_records, stats[BLOCK_SYMBOLS].nr_records,
		      stats[BLOCK_FRAMES].nr_records, stats[BLOCK_STACKS].nr_records);
}

static void put_losses(struct output *o, const struct info *info)
{
	struct query_quality quality;

	query_get_quality(info->query, &quality);
	output_format(o, "\"lost\": %" PRIu64 ",\n\"losses\": [", quality.lost);
	for (size_t i = 0; i < info->nr_losses; i++) {
		const struct info_loss *l = &info->losses[i];
		const struct trace_event *e = trace_event_by_id(info->trace, l->event);

		output_format(o, "%s{\"cpu\": %" PRIu32 ", \"cause\": \"%s\", \"event\": ",
			      i ? ",\n  " : "\n  ", l->cpu, info_cause_name(l->cause));
		if (e)
			query_json_text(o, e->name);
		else
			output_text(o, "null");
		output_format(o, ", \"count\": %" PRIu64 "}", l->count);
		output_settle(o);
	}
	output_text(o, "\n],\n");
}

/* The index tells of all blocks but itself, so it is left out on pipes as well. */
static void put_blocks(struct output *o, const struct info *info)
{
	const struct trace_block_stats *stats = trace_block_stats(info->trace);
	const char *between = "\n  ";

	output_text(o, "\"blocks\": [");
	for (unsigned int i = 1; i <= 16; i++) {
		unsigned int type = i % 16;	/* unknown ones last */

		if (!stats[type].nr_blocks || type == BLOCK_INDEX)
			continue;
		output_format(o, "%s{\"type\": \"%s\", \"blocks\": %" PRIu64 ", \"records\": %"
			      PRIu64 ", \"bytes\": %" PRIu64 "}", between,
			      info_block_name(type), stats[type].nr_blocks,
			      stats[type].nr_records, stats[type].payload_bytes +
			      stats[type].nr_blocks * BLOCK_HEADER_BYTES);
		between = ",\n  ";
	}
	output_text(o, "\n],\n");
}

static void put_size(struct output *o, const struct info *info)
{
	double nr = info->nr_records ? (double)info->nr_records : 1;

	put_member(o, "file_bytes", info->file_bytes);
	output_format(o, ", \"bytes_per_record\": %.3f, \"file_bytes_per_record\": %.3f,\n",
		      info->nr_records ? (double)info->record_bytes / nr : 0.0,
		      info->nr_records ? (double)info->file_bytes / nr : 0.0);
}

static void put_cost(struct output *o, const struct info *info)
{
	if (!info->has_cost) {
		output_text(o, "\"recorder\": null,\n");
		return;
	}
	output_format(o, "\"recorder\": {\"user_ns\": %" PRIu64 ", \"system_ns\": %" PRIu64
		      "},\n", info->cost.user_ns, info->cost.system_ns);
}

void info_json(const struct info *info, struct output *o)
{
	output_format(o, "{\"trace_id\": \"%016" PRIx64 "\",\n", trace_id(info->trace));
	put_host(o, info->trace);
	put_clock(o, info);
	put_events(o, info);
	put_contents(o, info);
	put_losses(o, info);
	put_blocks(o, info);
	put_size(o, info);
	put_cost(o, info);
	query_json_quality(info->query, o);
	output_text(o, "}\n");
}
