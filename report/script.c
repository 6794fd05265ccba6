#include "report/script.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "report/digits.h"
#include "report/escape.h"
#include "report/script_graph.h"
#include "report/script_private.h"
#include "report/script_slowest.h"

#define STACK_CACHE_BYTES (16u << 20)
#define FRAME_CACHE_BYTES (1u << 20)
#define COMM_CACHE_BYTES (256u << 10)
/* Ends query_each_record() when the limit is reached; no -errno. */
#define ENOUGH 1

bool script_shows_stack(const struct script *s, const struct script_event *e)
{
	return s->plan.stack && e->event->by_role[ROLE_STACK] >= 0;
}

void script_put_comma(struct script *s, bool *first)
{
	if (!*first)
		bytebuf_text(s->to, ",");
	*first = false;
}

void script_put_string(struct script *s, const char *text, size_t len_bytes)
{
	switch (s->opts->format) {
	case SCRIPT_JSON:
		bytebuf_put(s->to, "\"", 1);
		escape_json(s->to, text, len_bytes);
		bytebuf_put(s->to, "\"", 1);
		break;
	case SCRIPT_CSV:
		escape_csv(s->to, text, len_bytes);
		break;
	default:
		escape_terminal(s->to, text, len_bytes);
	}
}

void script_put_value(struct script *s, const struct script_value *v)
{
	bool is_short = s->opts->format == SCRIPT_TEXT && !s->opts->ns;

	switch (v->kind) {
	case SCRIPT_NUMBER:
		digits_put(s->to, v->number);
		break;
	case SCRIPT_SECONDS:
		digits_put_seconds(s->to, v->number, is_short ? 6 : 9, 0);
		break;
	case SCRIPT_STRING:
		script_put_string(s, v->text, v->len_bytes);
		break;
	case SCRIPT_WRITTEN:
		bytebuf_put(s->to, v->text, v->len_bytes);
		break;
	case SCRIPT_NOTHING:
		break;
	}
}

/* Calls with a depth are shown as a graph, unless the user wants certain fields. */
static bool is_graph(const struct script *s, const struct trace_event *e)
{
	return s->opts->format == SCRIPT_TEXT && !s->opts->fields && !s->opts->slowest &&
	       script_graph_takes(e);
}

static int put_record_graph(struct script *s, const struct query_record *r)
{
	int err = s->graph ? 0 : script_graph_new(&s->graph, s);

	return err ? err : script_graph_add(s->graph, r);
}

static int begin(struct script *s)
{
	if (s->opts->relative)
		s->start_ns = query_start_ns(s->query);
	return s->opts->format == SCRIPT_CSV ? script_csv_begin(s) : 0;
}

static int put_record(void *ctx, const struct query_record *r)
{
	struct script *s = ctx;
	const struct script_event *e;
	int err = 0;

	if (s->opts->limit && s->nr_records == s->opts->limit)
		return ENOUGH;
	if (s->nr_records++ == 0)
		err = begin(s);
	e = err ? NULL : script_event_get(s, r->event, s->diag);
	if (!e)
		return s->diag->text[0] ? -EINVAL : -ENOMEM;
	if (s->opts->format == SCRIPT_JSON)
		script_json_put(s, e, r);
	else if (s->opts->format == SCRIPT_CSV)
		script_csv_put(s, e, r);
	else if (is_graph(s, r->event))
		err = put_record_graph(s, r);
	else
		script_text_put(s, e, r);
	if (err)
		return err;
	if (s->scratch.err || s->scratch_stack.err)
		return -ENOMEM;
	output_settle(s->output);
	return output_error(s->output);
}

static int script_init(struct script *s, struct diag *d)
{
	int err = script_plan_make(&s->plan, s->opts, s->trace, d);

	if (!err)
		err = names_new(&s->names, s->trace);
	if (!err)
		err = textcache_new(&s->stacks, STACK_CACHE_BYTES);
	if (!err)
		err = textcache_new(&s->frame_texts, FRAME_CACHE_BYTES);
	if (!err)
		err = textcache_new(&s->comms, COMM_CACHE_BYTES);
	if (!err)
		err = nametexts_new(&s->nametexts);
	if (err)
		return err;
	s->text = (struct fieldtext) {
		.trace = s->trace, .names = s->names, .nametexts = s->nametexts };
	s->style = s->opts->format == SCRIPT_JSON ? FIELDTEXT_JSON :
		   s->opts->format == SCRIPT_CSV ? FIELDTEXT_CSV : FIELDTEXT_TERMINAL;
	s->heads = calloc(1u << SCRIPT_HEAD_BITS, sizeof(*s->heads));
	return s->heads ? 0 : -ENOMEM;
}

int script_write(struct query *q, const struct script_opts *opts, struct output *o,
		 struct diag *d)
{
	struct script s = {
		.opts = opts, .query = q, .trace = query_trace(q), .output = o,
		.to = output_buffer(o), .diag = d,
	};
	int err;

	arena_init(&s.arena);
	bytebuf_init(&s.scratch);
	bytebuf_init(&s.scratch_stack);
	err = script_init(&s, d);
	if (!err)
		err = opts->slowest ? script_slowest_each(q, opts->slowest, put_record, &s, d) :
				      query_each_record(q, put_record, &s, d);
	if (err == ENOUGH)
		err = 0;
	if (!err && s.graph)
		err = script_graph_end(s.graph);
	if (!err && !s.nr_records)
		err = begin(&s);
	query_count_frames(q, s.frames, s.unresolved);
	/* A share of all records cannot be told from a few. */
	query_count_truncated(q, opts->slowest ? 0 : s.truncated);
	if (!err)
		err = names_error(s.names);
	if (!err && !s.opts->limit)
		err = script_plan_check(&s.plan, s.trace, d);
	bytebuf_release(&s.scratch);
	bytebuf_release(&s.scratch_stack);
	textcache_free(s.stacks);
	textcache_free(s.frame_texts);
	textcache_free(s.comms);
	nametexts_free(s.nametexts);
	free(s.heads);
	script_graph_free(s.graph);
	script_event_free_all(&s);
	arena_release(&s.arena);
	names_free(s.names);
	free(s.plan.names);
	/* output_close() has the better words for its errors. */
	if (!err || output_error(o) || d->text[0])
		return err;
	return diag_set(d, err, "cannot print the records: %s", strerror(-err));
}
