#include "report/info.h"

#include "format/block.h"
#include "report/escape.h"
#include "report/number.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static void put_text(struct output *o, const char *text)
{
	escape_terminal(output_buffer(o), text, strlen(text));
}

static void put_label(struct output *o, const char *label)
{
	output_text(o, "  ");
	put_text(o, label);
	output_format(o, "%*s", strlen(label) < 15 ? (int)(15 - strlen(label)) : 1, "");
}

static void put_row(struct output *o, const char *label, const char *text)
{
	put_label(o, label);
	put_text(o, text);
	output_text(o, "\n");
}

static void put_host(struct output *o, const struct trace *t)
{
	const char *key, *value;

	output_text(o, "host\n");
	for (size_t i = 0; i < trace_nr_host(t); i++) {
		trace_host_at(t, i, &key, &value);
		put_row(o, key, value);
	}
}

static void put_wall(struct output *o, const char *label, uint64_t wall_ns, uint64_t trace_ns)
{
	time_t seconds = (time_t)(wall_ns / 1000000000);
	char date[64] = "";
	struct tm tm;

	put_label(o, label);
	if (wall_ns && gmtime_r(&seconds, &tm) &&
	    strftime(date, sizeof(date), "%Y-%m-%d %H:%M:%S", &tm))
		output_format(o, "%s.%06u UTC, ", date,
			      (unsigned int)(wall_ns % 1000000000 / 1000));
	output_format(o, "%" PRIu64 ".%09" PRIu64 " on the trace clock\n",
		      trace_ns / 1000000000, trace_ns % 1000000000);
}

static void put_clock(struct output *o, const struct info *info)
{
	char number[NUMBER_BYTES];

	output_text(o, "\nrecords\n");
	if (!info->nr_records) {
		output_text(o, "  none\n");
		return;
	}
	put_wall(o, "first", info->first_wall_ns, info->first_ns);
	put_wall(o, "last", info->last_wall_ns, info->last_ns);
	put_row(o, "duration", number_ns(number, info->last_ns - info->first_ns));
}

static void put_fields(struct output *o, const struct trace_event *e)
{
	for (uint32_t f = 0; f < e->nr_fields; f++) {
		const struct field_desc *field = &e->fields[f];

		output_text(o, "  ");
		put_label(o, field->name);
		output_text(o, info_type_name(field->type));
		if (*field->unit) {
			output_text(o, ", ");
			put_text(o, field->unit);
		}
		if (field->role)
			output_format(o, ", the %s", info_role_name(field->role));
		output_text(o, "\n");
	}
}

/* What can be asked for by name, but is not stored again. */
static void put_parts(struct output *o, const struct info *info, const struct trace_event *whole)
{
	char number[NUMBER_BYTES];

	for (size_t i = 0; i < info->nr_events; i++) {
		const struct trace_event *e = trace_event_at(info->trace, i);

		if (e->part_of != whole->id)
			continue;
		output_text(o, "  ");
		put_label(o, e->name);
		output_format(o, "%s records in those of ", number_grouped(number, info->records[i]));
		put_text(o, whole->name);
		for (uint32_t f = 0; f < e->nr_fields; f++) {
			output_text(o, f ? ", " : ": ");
			put_text(o, e->fields[f].name);
		}
		output_text(o, "\n");
	}
}

static void put_events(struct output *o, const struct info *info)
{
	char number[NUMBER_BYTES];

	output_text(o, "\nevents\n");
	for (size_t i = 0; i < info->nr_events; i++) {
		const struct trace_event *e = trace_event_at(info->trace, i);

		if (e->part_of)
			continue;
		put_label(o, e->name);
		output_format(o, "%s records\n", number_grouped(number, info->records[i]));
		put_fields(o, e);
		put_parts(o, info, e);
		output_settle(o);
	}
}

static void put_count(struct output *o, const char *label, uint64_t v)
{
	char number[NUMBER_BYTES];

	put_row(o, label, number_grouped(number, v));
}

static void put_contents(struct output *o, const struct info *info)
{
	const struct trace_block_stats *stats = trace_block_stats(info->trace);

	output_text(o, "\ncontents\n");
	put_count(o, "processes", info->nr_processes);
	put_count(o, "threads", info->nr_threads);
	put_count(o, "kernel threads", info->nr_kernel_threads);
	put_count(o, "modules", stats[BLOCK_MODULES].nr_records);
	put_count(o, "mappings", stats[BLOCK_MAPPINGS].nr_records);
	put_count(o, "symbols", stats[BLOCK_SYMBOLS].nr_records);
	put_count(o, "frames", stats[BLOCK_FRAMES].nr_records);
	put_count(o, "stacks", stats[BLOCK_STACKS].nr_records);
}

static void put_losses(struct output *o, const struct info *info)
{
	char number[NUMBER_BYTES];

	output_text(o, "\nlosses\n");
	for (size_t i = 0; i < info->nr_losses; i++) {
		const struct info_loss *l = &info->losses[i];
		const struct trace_event *e = trace_event_by_id(info->trace, l->event);

		if (l->cpu == LOSS_CPU_UNKNOWN)
			output_text(o, "  any CPU       ");
		else
			output_format(o, "  CPU %-10" PRIu32, l->cpu);
		output_format(o, " %12s  %s", number_grouped(number, l->count),
			      info_cause_name(l->cause));
		if (e) {
			output_text(o, ", ");
			put_text(o, e->name);
		}
		output_text(o, "\n");
		output_settle(o);
	}
	if (!info->nr_losses)
		output_text(o, "  none\n");
}

static double per(uint64_t bytes, uint64_t nr)
{
	return nr ? (double)bytes / (double)nr : 0;
}

/* The index tells of all blocks but itself, so it is left out on pipes as well. */
static void put_blocks(struct output *o, const struct info *info)
{
	const struct trace_block_stats *stats = trace_block_stats(info->trace);

	output_format(o, "\n%-12s %8s %12s %12s %10s\n", "blocks", "number", "entries", "bytes",
		      "each");
	for (unsigned int i = 1; i <= 16; i++) {
		unsigned int type = i % 16;	/* unknown ones last */
		const struct trace_block_stats *s = &stats[type];
		uint64_t bytes = s->payload_bytes + s->nr_blocks * BLOCK_HEADER_BYTES;

		if (s->nr_blocks && type != BLOCK_INDEX)
			output_format(o, "  %-10s %8" PRIu64 " %12" PRIu64 " %12" PRIu64
				      " %10.2f\n", info_block_name(type), s->nr_blocks,
				      s->nr_records, bytes, per(bytes, s->nr_records));
	}
}

static void put_size(struct output *o, const struct info *info)
{
	char number[NUMBER_BYTES];

	output_text(o, "\nsize\n");
	put_row(o, "file", number_bytes(number, info->file_bytes));
	if (!info->nr_records)
		return;
	output_format(o, "  bytes/record   %.2f in records, frames and stacks; "
		      "%.2f in the whole file\n", per(info->record_bytes, info->nr_records),
		      per(info->file_bytes, info->nr_records));
}

static void put_cost(struct output *o, const struct info *info)
{
	uint64_t busy_ns = info->cost.user_ns + info->cost.system_ns;
	char user[NUMBER_BYTES], system[NUMBER_BYTES];

	if (!info->has_cost)
		return;
	output_format(o, "\nrecorder\n  CPU time       %s user, %s system",
		      number_ns(user, info->cost.user_ns),
		      number_ns(system, info->cost.system_ns));
	if (info->last_ns > info->first_ns)
		output_format(o, ", %.2f %% of one CPU",
			      number_percent(busy_ns, info->last_ns - info->first_ns));
	output_text(o, "\n");
}

void info_text(const struct info *info, struct output *o)
{
	char line[512];

	put_host(o, info->trace);
	put_clock(o, info);
	put_events(o, info);
	put_contents(o, info);
	put_losses(o, info);
	put_blocks(o, info);
	put_size(o, info);
	put_cost(o, info);
	query_quality_line(info->query, line, sizeof(line));
	output_format(o, "\nhealth\n  %s\n", line);
}
