#include "report/stackempty.h"

#include "report/number.h"
#include "report/stacknotes.h"

#include <string.h>

/* Names may be many: a trace of all tracepoints has thousands. */
#define MAX_NAMES 3

/* As it was written; each -e is a line. */
static void put_asked_events(struct bytebuf *to, const char *events)
{
	for (; *events; events++)
		bytebuf_put(to, *events == '\n' ? "," : events, 1);
}

/* What would have been drawn. */
static void put_events_with_stacks(struct query *q, struct bytebuf *to)
{
	const struct trace *t = query_trace(q);
	size_t nr = 0;

	for (size_t i = 0; i < trace_nr_events(t); i++) {
		const struct trace_event *e = trace_event_at(t, i);

		if (e->by_role[ROLE_STACK] < 0 || !query_wants_event(q, e))
			continue;
		if (nr < MAX_NAMES)
			bytebuf_text(to, nr ? ", " : "");
		bytebuf_text(to, nr < MAX_NAMES ? e->name : nr == MAX_NAMES ? ", ..." : "");
		nr++;
	}
	bytebuf_text(to, nr ? "" : "an event with stacks");
}

static void put_option(struct bytebuf *to, const char *option, const char *arg)
{
	if (!arg)
		return;
	bytebuf_text(to, " ");
	bytebuf_text(to, option);
	bytebuf_text(to, " '");
	bytebuf_text(to, arg);
	bytebuf_text(to, "'");
}

/* False if everything was. */
static bool put_asked(struct query *q, struct bytebuf *to)
{
	const struct query_opts *asked = query_asked(q);
	size_t before = to->len;

	put_option(to, "--time", asked->time);
	put_option(to, "--pid", asked->pids);
	put_option(to, "--tid", asked->tids);
	put_option(to, "--comm", asked->comms);
	put_option(to, "--cpu", asked->cpus);
	put_option(to, "--filter", asked->filter);
	return to->len > before;
}

void stackempty_put(struct query *q, const struct stacksum_left_out *left_out,
		    struct bytebuf *to)
{
	const struct query_opts *asked = query_asked(q);
	struct query_quality quality;
	char note[STACKNOTES_BYTES], number[NUMBER_BYTES];

	if (!left_out->is_all)
		return;
	query_get_quality(q, &quality);
	bytebuf_text(to, "nothing to draw: ");
	if (!quality.records) {
		bytebuf_text(to, "no record of ");
	} else {
		bytebuf_text(to, number_grouped(number, quality.records));
		bytebuf_text(to, quality.records == 1 ? " record of " : " records of ");
	}
	if (asked->events)
		put_asked_events(to, asked->events);
	else
		put_events_with_stacks(q, to);
	bytebuf_text(to, " with");
	if (!put_asked(q, to))
		to->len -= strlen(" with");
	if (!quality.records)
		return;
	stacknotes_put(left_out, STACKNOTES_IDLE, note);
	bytebuf_text(to, ", ");
	bytebuf_text(to, *note ? note : "none of which has a weight");
}
