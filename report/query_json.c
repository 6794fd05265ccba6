#include "report/query_json.h"

#include "report/escape.h"

#include <inttypes.h>
#include <string.h>

void query_json_text(struct output *o, const char *text)
{
	output_bytes(o, "\"", 1);
	escape_json(output_buffer(o), text, strlen(text));
	output_bytes(o, "\"", 1);
}

void query_json_quality(struct query *q, struct output *o)
{
	struct query_quality quality;
	const struct trace_health *h = &quality.health;

	query_get_quality(q, &quality);
	output_format(o, "\"quality\": {\"samples\": %" PRIu64 ", \"lost\": %" PRIu64
		      ", \"lost_notes\": %" PRIu64 ", \"frames\": %" PRIu64
		      ", \"unresolved_frames\": %" PRIu64 ", \"truncated_stacks\": %" PRIu64,
		      quality.records, quality.lost, quality.lost_notes, quality.frames,
		      quality.unresolved, quality.truncated_stacks);
	output_format(o, ", \"no_start\": %" PRIu64 ", \"no_end\": %" PRIu64, quality.no_start,
		      quality.no_end);
	if (quality.cut_spans)
		output_format(o, ", \"cut_spans\": %" PRIu64 ", \"cut_ns\": %" PRIu64,
			      quality.cut_spans, quality.cut_ns);
	if (quality.negative)
		output_format(o, ", \"negative\": %" PRIu64, quality.negative);
	output_format(o, ", \"cut\": %s, \"damaged_blocks\": %" PRIu64
		      ", \"damaged_bytes\": %" PRIu64 ", \"missing_blocks\": %" PRIu64
		      ", \"missing_samples\": %" PRIu64 "}", h->cut ? "true" : "false",
		      h->damaged_blocks, h->damaged_bytes, h->missing_blocks,
		      h->missing_records);
}
