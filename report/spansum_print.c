#include "report/spansum.h"

#include <inttypes.h>
#include <string.h>

#include "report/escape.h"
#include "report/number.h"
#include "report/query_json.h"

#define LEAST_NAME 15
#define MOST_NAME 48		/* longer ones push what follows to the right */

static const double percentiles[] = { 0.5, 0.99 };

#define NR_PERCENTILES (sizeof(percentiles) / sizeof(percentiles[0]))

struct figures {
	double total, least, mean, most, deviation, parts[NR_PERCENTILES];
};

static struct figures figures_of(const struct spansum_row *row)
{
	const struct histogram *h = &row->durations;
	struct figures f = {
		.total = h->sum, .least = histogram_number(h, h->least),
		.mean = histogram_mean(h), .most = histogram_number(h, h->most),
		.deviation = spansum_deviation(row),
	};

	for (size_t i = 0; i < NR_PERCENTILES; i++)
		f.parts[i] = histogram_percentile(h, percentiles[i]);
	return f;
}

/* A call is called by what follows the last colon, as script has it. */
static const char *name_of(const struct spansum_row *row)
{
	const char *colon = strrchr(row->event->name, ':');

	return row->has_result && colon && colon[1] ? colon + 1 : row->event->name;
}

static const char *comm_of(struct trace *t, const struct spansum_thread *thread)
{
	const struct trace_task *task = trace_task(t, thread->task);
	const char *comm = task ? trace_text(t, task->comm) : "";

	return *comm ? comm : "[unknown]";
}

/* --- text ------------------------------------------------------------------------------- */

/* Escaped, filled up on the right. */
static void put_name(struct output *o, const char *name, int width)
{
	struct bytebuf *to = output_buffer(o);
	size_t from = to->len;
	int nr = 0;

	escape_terminal(to, name, strlen(name));
	for (size_t i = from; i < to->len; i++)
		nr += (to->data[i] & 0xc0) != 0x80;
	for (; nr < width; nr++)
		bytebuf_put(to, " ", 1);
}

static int widest_name(const struct spansum *s)
{
	int widest = LEAST_NAME;

	for (size_t i = 0; i < s->nr_rows; i++) {
		size_t len = strlen(name_of(&s->rows[i]));

		if ((size_t)widest < len)
			widest = len < MOST_NAME ? (int)len : MOST_NAME;
	}
	return widest;
}

static void put_head(struct output *o, int name, int ms)
{
	static const char line[] = "------------------------------------------------";

	output_format(o, "   %-*s %9s %7s %*s %*s %*s %*s %8s %*s %*s\n", name, "span", "calls",
		      "errors", ms + 1, "total", ms, "min", ms, "avg", ms, "max", "stddev", ms,
		      "p50", ms, "p99");
	output_format(o, "   %-*s %9s %7s %*s %*s %*s %*s %8s %*s %*s\n", name, "", "", "", ms + 1,
		      "(ms)", ms, "(ms)", ms, "(ms)", ms, "(ms)", "(%)", ms, "(ms)", ms, "(ms)");
	output_format(o, "   %.*s %.9s %.7s %.*s %.*s %.*s %.*s %.8s %.*s %.*s\n", name, line,
		      line, line, ms + 1, line, ms, line, ms, line, ms, line, line, ms, line, ms,
		      line);
}

static void put_row_text(struct output *o, const struct spansum_row *row, int name, int ms,
			 int decimals)
{
	struct figures f = figures_of(row);

	output_text(o, "   ");
	put_name(o, name_of(row), name);
	output_format(o, " %9" PRIu64, row->durations.count);
	if (row->has_result)
		output_format(o, " %7" PRIu64, row->errors);
	else
		output_format(o, " %7s", "");
	output_format(o, " %*.*f %*.*f %*.*f %*.*f %7.2f%% %*.*f %*.*f\n", ms + 1, decimals,
		      f.total / 1e6, ms, decimals, f.least / 1e6, ms, decimals, f.mean / 1e6, ms,
		      decimals, f.most / 1e6, f.deviation, ms, decimals, f.parts[0] / 1e6, ms,
		      decimals, f.parts[1] / 1e6);
	output_settle(o);
}

static void put_thread_text(struct output *o, const struct spansum *s,
			    const struct spansum_thread *thread)
{
	const struct trace_task *task = trace_task(s->trace, thread->task);
	char number[NUMBER_BYTES];

	output_text(o, "\n ");
	put_name(o, comm_of(s->trace, thread), 0);
	output_format(o, " (%" PRIu32 "), %s span%s, %.1f %%\n\n", task ? task->tid : 0,
		      number_grouped(number, thread->nr_spans), thread->nr_spans == 1 ? "" : "s",
		      number_percent(thread->nr_spans, s->nr_spans));
}

static void put_text(const struct spansum *s, struct output *o, bool ns)
{
	int name = widest_name(s), ms = ns ? 12 : 9, decimals = ns ? 6 : 3;

	output_text(o, s->nr_threads ? "Summary of spans:\n" : "no spans\n");
	for (size_t i = 0; i < s->nr_threads && !output_error(o); i++) {
		const struct spansum_thread *t = &s->threads[i];

		put_thread_text(o, s, t);
		put_head(o, name, ms);
		for (size_t k = 0; k < t->nr_rows; k++)
			put_row_text(o, &s->rows[t->first + k], name, ms, decimals);
	}
}

/* --- JSON and CSV ------------------------------------------------------------------------- */

static void put_row_json(struct output *o, const struct spansum_row *row)
{
	struct figures f = figures_of(row);

	output_text(o, "{\"name\": ");
	query_json_text(o, name_of(row));
	output_text(o, ", \"event\": ");
	query_json_text(o, row->event->name);
	output_format(o, ", \"calls\": %" PRIu64 ", \"errors\": ", row->durations.count);
	if (row->has_result)
		output_format(o, "%" PRIu64, row->errors);
	else
		output_text(o, "null");
	output_format(o, ", \"total_ns\": %.0f, \"min_ns\": %.0f, \"avg_ns\": %.1f, "
		      "\"max_ns\": %.0f, \"stddev_percent\": %.4f, \"p50_ns\": %.0f, "
		      "\"p99_ns\": %.0f}", f.total, f.least, f.mean, f.most, f.deviation,
		      f.parts[0], f.parts[1]);
	output_settle(o);
}

static void put_json(const struct spansum *s, struct query *q, struct output *o)
{
	output_text(o, "{");
	query_json_quality(q, o);
	output_format(o, ",\n\"spans\": %" PRIu64 ",\n\"threads\": [", s->nr_spans);
	for (size_t i = 0; i < s->nr_threads && !output_error(o); i++) {
		const struct spansum_thread *t = &s->threads[i];
		const struct trace_task *task = trace_task(s->trace, t->task);

		output_text(o, i ? ",\n  {\"comm\": " : "\n  {\"comm\": ");
		query_json_text(o, comm_of(s->trace, t));
		output_format(o, ", \"pid\": %" PRIu32 ", \"tid\": %" PRIu32 ", \"spans\": %" PRIu64
			      ", \"percent\": %.4f, \"calls\": [", task ? task->pid : 0,
			      task ? task->tid : 0, t->nr_spans,
			      number_percent(t->nr_spans, s->nr_spans));
		for (size_t k = 0; k < t->nr_rows; k++) {
			output_text(o, k ? ",\n    " : "\n    ");
			put_row_json(o, &s->rows[t->first + k]);
		}
		output_text(o, "]}");
	}
	output_text(o, "\n]}\n");
}

static void put_row_csv(struct output *o, const struct spansum *s,
			const struct spansum_thread *thread, const struct spansum_row *row)
{
	const struct trace_task *task = trace_task(s->trace, thread->task);
	const char *comm = comm_of(s->trace, thread);
	struct figures f = figures_of(row);

	escape_csv(output_buffer(o), comm, strlen(comm));
	output_format(o, ",%" PRIu32 ",%" PRIu32 ",", task ? task->pid : 0, task ? task->tid : 0);
	escape_csv(output_buffer(o), row->event->name, strlen(row->event->name));
	output_format(o, ",%" PRIu64 ",", row->durations.count);
	if (row->has_result)
		output_format(o, "%" PRIu64, row->errors);
	output_format(o, ",%.0f,%.0f,%.1f,%.0f,%.4f,%.0f,%.0f\n", f.total, f.least, f.mean, f.most,
		      f.deviation, f.parts[0], f.parts[1]);
	output_settle(o);
}

static void put_csv(const struct spansum *s, struct output *o)
{
	output_text(o, "comm,pid,tid,event,calls,errors,total_ns,min_ns,avg_ns,max_ns,"
		    "stddev_percent,p50_ns,p99_ns\n");
	for (size_t i = 0; i < s->nr_threads && !output_error(o); i++)
		for (size_t k = 0; k < s->threads[i].nr_rows; k++)
			put_row_csv(o, s, &s->threads[i], &s->rows[s->threads[i].first + k]);
}

void spansum_print(const struct spansum *s, struct query *q, struct output *o,
		   enum spansum_format format, bool ns)
{
	if (format == SPANSUM_JSON)
		put_json(s, q, o);
	else if (format == SPANSUM_CSV)
		put_csv(s, o);
	else
		put_text(s, o, ns);
}
