#include "cmd/record_options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/parse.h"

static int set_frequency(void *opts, const char *arg)
{
	struct record_opts *o = opts;

	return parse_number(arg, 1, 1000000, &o->session.frequency_hz, "frequency");
}

static int set_period(void *opts, const char *arg)
{
	struct record_opts *o = opts;

	return parse_number(arg, 1, UINT64_MAX / 2, &o->session.period, "count");
}

static int set_all(void *opts, const char *arg)
{
	(void)arg;
	((struct record_opts *)opts)->session.target.all = true;
	return 0;
}

static int set_pids(void *opts, const char *arg)
{
	((struct record_opts *)opts)->session.target.pid_list = arg;
	return 0;
}

static int set_tids(void *opts, const char *arg)
{
	((struct record_opts *)opts)->session.target.tid_list = arg;
	return 0;
}

static int set_cpus(void *opts, const char *arg)
{
	((struct record_opts *)opts)->session.target.cpu_list = arg;
	return 0;
}

static int set_events(void *opts, const char *arg)
{
	struct record_opts *o = opts;

	if (o->nr_events == MAX_EVENT_OPTIONS) {
		command_complain("more than %d -e: name several events in one, with commas or a glob",
				 MAX_EVENT_OPTIONS);
		return EXIT_USAGE;
	}
	o->events[o->nr_events++] = (struct session_event){ .text = arg };
	return 0;
}

static struct session_event *last_event(struct record_opts *o, const char *option)
{
	if (o->nr_events)
		return &o->events[o->nr_events - 1];
	command_complain("%s follows the -e that it belongs to", option);
	return NULL;
}

static int set_filter(void *opts, const char *arg)
{
	struct session_event *e = last_event(opts, "--filter");

	if (!e)
		return EXIT_USAGE;
	if (e->filter) {
		command_complain("event '%s' has two filters: join them with &&", e->text);
		return EXIT_USAGE;
	}
	e->filter = arg;
	return 0;
}

static int set_min(void *opts, const char *arg)
{
	struct session_event *e = last_event(opts, "--min");

	return e ? parse_seconds(arg, &e->min_ns, "the least duration") : EXIT_USAGE;
}

static int set_max(void *opts, const char *arg)
{
	struct session_event *e = last_event(opts, "--max");

	return e ? parse_seconds(arg, &e->max_ns, "the greatest duration") : EXIT_USAGE;
}

static int set_tally(void *opts, const char *arg)
{
	struct session_event *e = last_event(opts, "--tally");

	if (!e)
		return EXIT_USAGE;
	e->tally = arg;
	return 0;
}

static int set_cgroup(void *opts, const char *arg)
{
	((struct record_opts *)opts)->session.target.cgroup = arg;
	return 0;
}

static int set_use(void *opts, const char *arg)
{
	((struct record_opts *)opts)->session.use = arg;
	return 0;
}

static int set_graph(void *opts, const char *arg)
{
	struct record_opts *o = opts;

	if (o->session.graph) {
		command_complain("--graph is given twice: name several functions in one, with commas "
				 "or a glob");
		return EXIT_USAGE;
	}
	o->session.graph = arg;
	return 0;
}

static int set_depth(void *opts, const char *arg)
{
	struct record_opts *o = opts;
	uint64_t depth;
	int err = parse_number(arg, 1, 1000, &depth, "depth");

	o->session.graph_depth = err ? 0 : (unsigned int)depth;
	return err;
}

static int set_output(void *opts, const char *arg)
{
	((struct record_opts *)opts)->output = arg;
	return 0;
}

static int set_delay(void *opts, const char *arg)
{
	struct record_opts *o = opts;
	uint64_t ms;
	int err = parse_number(arg, 0, UINT64_C(1000) * 86400 * 365, &ms, "delay");

	o->session.delay_ns = err ? 0 : ms * 1000000;
	return err;
}

static int set_duration(void *opts, const char *arg)
{
	struct record_opts *o = opts;

	return parse_seconds(arg, &o->session.duration_ns, "duration");
}

static int set_buffer(void *opts, const char *arg)
{
	struct record_opts *o = opts;
	uint64_t bytes;
	int err = parse_size(arg, 4096, UINT64_C(64) << 20, &bytes, "buffer size");

	o->session.buffer_bytes = err ? 0 : (size_t)bytes;
	return err;
}

/* Of the event named last, or of all when none is named yet. */
static void set_stack(struct record_opts *o, bool kernel, bool user, enum session_choice on)
{
	struct session_event *e = o->nr_events ? &o->events[o->nr_events - 1] : NULL;

	if (kernel)
		*(e ? &e->kernel_stack : &o->session.kernel_stack) = on;
	if (user)
		*(e ? &e->user_stack : &o->session.user_stack) = on;
}

static int set_stacks_on(void *opts, const char *arg)
{
	(void)arg;
	set_stack(opts, true, true, SESSION_ON);
	return 0;
}

static int set_stacks_off(void *opts, const char *arg)
{
	(void)arg;
	set_stack(opts, true, true, SESSION_OFF);
	return 0;
}

static int choose_stack(const char *arg, enum session_choice *on, const char *option)
{
	if (strcmp(arg, "fp") && strcmp(arg, "no")) {
		command_complain("%s takes 'fp' (frame pointers) or 'no', not '%s'", option, arg);
		return EXIT_USAGE;
	}
	*on = strcmp(arg, "fp") ? SESSION_OFF : SESSION_ON;
	return 0;
}

static int set_user_stack(void *opts, const char *arg)
{
	enum session_choice on;
	int status = choose_stack(arg, &on, "--user-stack");

	if (!status)
		set_stack(opts, false, true, on);
	return status;
}

static int set_kernel_stack(void *opts, const char *arg)
{
	enum session_choice on;
	int status = choose_stack(arg, &on, "--kernel-stack");

	if (!status)
		set_stack(opts, true, false, on);
	return status;
}

static int set_idle(void *opts, const char *arg)
{
	(void)arg;
	((struct record_opts *)opts)->session.idle = true;
	return 0;
}

static int set_transport(void *opts, const char *arg)
{
	static const struct {
		const char *name;
		enum sampler_transport transport;
	} rows[] = {
		{ "auto", SAMPLER_AUTO },
		{ "ringbuf", SAMPLER_RING_BUFFER },
		{ "perfbuf", SAMPLER_PERF_BUFFER },
		{ "perf", SAMPLER_PERF_MMAP },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		if (!strcmp(arg, rows[i].name)) {
			((struct record_opts *)opts)->session.transport = rows[i].transport;
			return 0;
		}
	command_complain("--transport takes auto, ringbuf, perfbuf or perf, not '%s'", arg);
	return EXIT_USAGE;
}

static int set_quiet(void *opts, const char *arg)
{
	(void)arg;
	((struct record_opts *)opts)->quiet = true;
	return 0;
}

static int set_verbose(void *opts, const char *arg)
{
	(void)arg;
	((struct record_opts *)opts)->verbose = true;
	return 0;
}

static const struct option_row rows[] = {
	{ 'F', "freq", "HZ", "sample HZ times a second of CPU time (default: 99)", set_frequency },
	{ 'c', "count", "N", "sample every N events instead (cpu-clock: N ns)", set_period },
	{ 'e', "event", "EVENT", "what to record: cpu (default), sched, page-faults, "
	  "sched:sched_switch, 'kprobe:vfs_read(count)', ... (see: kymo list)", set_events },
	{ 0, "filter", "EXPR", "of the event before: only where EXPR holds (see kymo-filter(5))",
	  set_filter },
	{ 0, "graph", "FUNCTIONS", "every call in the kernel of and below these functions, with durations "
	  "(names, globs, commas)", set_graph },
	{ 0, "depth", "N", "of --graph: no deeper than N calls", set_depth },
	{ 0, "min", "TIME", "of the span before: only those that took at least TIME (5ms); of sched: "
	  "waits", set_min },
	{ 0, "max", "TIME", "of the span before: only those that took at most TIME", set_max },
	{ 0, "tally", "SPEC", "of the event before: no records, but sums in the kernel: "
	  "'by=comm; hist=duration; every=1s'", set_tally },
	{ 'a', "all-cpus", NULL, "the whole machine (default without a target)", set_all },
	{ 'C', "cpu", "LIST", "the whole of these CPUs, such as 0,2-3", set_cpus },
	{ 'G', "cgroup", "PATH", "tasks in this cgroup (v2) and below", set_cgroup },
	{ 'p', "pid", "LIST", "these processes, their threads and children", set_pids },
	{ 't', "tid", "LIST", "these threads", set_tids },
	{ 'o', "output", "FILE", "write FILE instead of trace.kymo; - is standard output", set_output },
	{ 'D', "delay", "MS", "start recording MS milliseconds after the start", set_delay },
	{ 0, "duration", "SECONDS", "stop after SECONDS (1.5, 500ms, 2m)", set_duration },
	{ 'g', "call-graph", NULL, "take stacks (default of samples and sched); of the event before, or of all",
	  set_stacks_on },
	{ 0, "no-stack", NULL, "take no stacks, likewise", set_stacks_off },
	{ 0, "user-stack", "HOW", "user stacks: fp (frame pointers, default) or no", set_user_stack },
	{ 0, "kernel-stack", "HOW", "kernel stacks: fp (default) or no", set_kernel_stack },
	{ 'I', "idle", NULL, "sample idle CPUs, too (task swapper)", set_idle },
	{ 'm', "buffer", "SIZE", "size of the kernel's buffer, such as 16M; the output queue has 4 times that", set_buffer },
	{ 0, "transport", "HOW", "auto, ringbuf, perfbuf or perf (no BPF)", set_transport },
	{ 0, "use", "LIST", "the only ways that may be taken: tp_btf, tracepoint, kprobe, fentry, ...",
	  set_use },
	{ 'q', "quiet", NULL, "say nothing but errors", set_quiet },
	{ 'v', "verbose", NULL, "say more", set_verbose },
	{ 0 },
};

const struct option_row *const record_options_tables[] = { rows, NULL };

void *record_options_new(void)
{
	struct record_opts *o = calloc(1, sizeof(*o));

	if (!o)
		return NULL;
	o->session.output_fd = -1;
	o->output = "trace.kymo";
	return o;
}
