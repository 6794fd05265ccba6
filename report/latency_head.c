/*
 * What stands before a latency breakdown as text: how much there was, and what must be said.
 */
#include "report/latency_print.h"

#include "report/number.h"

static void put_remark(struct output *o, uint64_t nr, const char *noun, const char *what)
{
	if (!nr)
		return;
	output_text(o, "# ");
	latency_print_count(o, nr, noun);
	output_format(o, " %s\n", what);
}

static void put_remarks(const struct latency_print *p, struct output *o)
{
	const struct latency_tops *tops = latency_tops(p->latency);
	struct latency_remarks r;
	char number[NUMBER_BYTES];

	latency_get_remarks(p->latency, &r);
	put_remark(o, r.nr_cut, latency_total(p->latency)->nr_spans ? "span" : "record",
		   "cut at an end of the time range");
	put_remark(o, r.nr_impossible, "time", "longer than there was: cut");
	put_remark(o, r.nr_overflow, "record", "left out: the sum is larger than 64 bits");
	put_remark(o, r.nr_no_task, "span", "of unknown threads: all unexplained");
	put_remark(o, r.nr_forgotten, "span", "with a part longer ago, or told by records that are "
		   "longer ago, than what is kept: unexplained");
	put_remark(o, r.nr_early, "span", "in slices with very many: interrupts count as on CPU");
	put_remark(o, r.nr_no_room, "value", "in no distribution: there are too many rows");
	if (r.nr_unwoken) {
		output_text(o, "# ");
		latency_print_count(o, r.nr_unwoken, "wait");
		output_format(o, ", %s in all, that nobody was seen to end: told as blocked, also "
			      "what of it was waiting for a CPU\n", number_ns(number, r.unwoken_ns));
	}
	if (r.nr_more_groups)
		output_format(o, "# %s rows more are one: (more)\n",
			      number_grouped(number, r.nr_more_groups));
	if (r.overlap_ns)
		output_format(o, "# %s are told twice: times of records overlap\n",
			      number_ns(number, r.overlap_ns));
	if (tops->dropped_ns)
		output_format(o, "# stacks of %s are left out: there are too many of them\n",
			      number_ns(number, tops->dropped_ns));
}

static uint64_t length_of(const struct latency *l)
{
	uint64_t first_ns, last_ns;

	latency_range(l, &first_ns, &last_ns);
	return last_ns > first_ns ? last_ns - first_ns : 0;
}

void latency_head(const struct latency_print *p, struct output *o)
{
	const struct latency_row *total = latency_total(p->latency);
	char line[512], number[NUMBER_BYTES];

	query_quality_line(p->query, line, sizeof(line));
	output_format(o, "# %s\n#\n# ", line);
	if (total->nr_spans) {
		latency_print_count(o, total->nr_spans, "span");
		output_text(o, " of ");
	}
	latency_print_count(o, total->nr_threads, "thread");
	output_format(o, ", %s of wall clock", number_ns(number, total->wall_ns));
	output_format(o, ", in %s of trace\n", number_ns(number, length_of(p->latency)));
	put_remarks(p, o);
	if (total->ns[LATENCY_ON_USER] + total->ns[LATENCY_ON_KERNEL])
		output_text(o, "# User and Kernel: time on a CPU, in the proportion of the "
			    "kernel's ticks\n");
	if (total->ns[LATENCY_ON_CPU] && !total->nr_spans)
		output_text(o, "# On CPU: of those that had no tick: user or kernel is not "
			    "known\n");
	if (total->idle_ns)
		output_text(o, "# Idle: blocked, but merely waiting for something to do\n");
	output_text(o, "#\n");
}
