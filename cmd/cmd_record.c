#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmd/command.h"
#include "cmd/parse.h"
#include "cmd/tracefile.h"
#include "cmd/version.h"
#include "record/session.h"

struct record_opts {
	struct session_opts session;
	const char *output;
	struct tracefile file;
	bool quiet, verbose;
};

/* --- options ------------------------------------------------------------------ */

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
	((struct record_opts *)opts)->session.events = arg;
	return 0;
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

static int set_stacks_on(void *opts, const char *arg)
{
	struct record_opts *o = opts;

	(void)arg;
	o->session.kernel_stack = o->session.user_stack = true;
	return 0;
}

static int set_stacks_off(void *opts, const char *arg)
{
	struct record_opts *o = opts;

	(void)arg;
	o->session.kernel_stack = o->session.user_stack = false;
	return 0;
}

static int choose_stack(const char *arg, bool *on, const char *option)
{
	if (strcmp(arg, "fp") && strcmp(arg, "no")) {
		command_complain("%s takes 'fp' (frame pointers) or 'no', not '%s'", option, arg);
		return EXIT_USAGE;
	}
	*on = !strcmp(arg, "fp");
	return 0;
}

static int set_user_stack(void *opts, const char *arg)
{
	return choose_stack(arg, &((struct record_opts *)opts)->session.user_stack,
			    "--user-stack");
}

static int set_kernel_stack(void *opts, const char *arg)
{
	return choose_stack(arg, &((struct record_opts *)opts)->session.kernel_stack,
			    "--kernel-stack");
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
	{ 'e', "event", "LIST", "what to sample: cpu (default), cpu-clock, cycles, page-faults, ...",
	  set_events },
	{ 'a', "all-cpus", NULL, "the whole machine (default without a target)", set_all },
	{ 'C', "cpu", "LIST", "the whole of these CPUs, such as 0,2-3", set_cpus },
	{ 'p', "pid", "LIST", "these processes, their threads and children", set_pids },
	{ 't', "tid", "LIST", "these threads", set_tids },
	{ 'o', "output", "FILE", "write FILE instead of trace.kymo; - is standard output", set_output },
	{ 'D', "delay", "MS", "start sampling MS milliseconds after the start", set_delay },
	{ 0, "duration", "SECONDS", "stop after SECONDS (1.5, 500ms, 2m)", set_duration },
	{ 'g', "call-graph", NULL, "take stacks (default)", set_stacks_on },
	{ 0, "no-stack", NULL, "take no stacks", set_stacks_off },
	{ 0, "user-stack", "HOW", "user stacks: fp (frame pointers, default) or no", set_user_stack },
	{ 0, "kernel-stack", "HOW", "kernel stacks: fp (default) or no", set_kernel_stack },
	{ 'I', "idle", NULL, "sample idle CPUs, too (task swapper)", set_idle },
	{ 'm', "buffer", "SIZE", "size of the kernel's buffer, such as 16M; the output queue has 4 times that", set_buffer },
	{ 0, "transport", "HOW", "auto, ringbuf, perfbuf or perf (no BPF)", set_transport },
	{ 'q', "quiet", NULL, "say nothing but errors", set_quiet },
	{ 'v', "verbose", NULL, "say more", set_verbose },
	{ 0 },
};

static const struct option_row *const tables[] = { rows, NULL };

static void *opts_new(void)
{
	struct record_opts *o = calloc(1, sizeof(*o));

	if (!o)
		return NULL;
	o->session.kernel_stack = o->session.user_stack = true;
	o->session.output_fd = -1;
	o->output = "trace.kymo";
	return o;
}

/* --- telling ---------------------------------------------------------------------- */

static void format_bytes(char *to, size_t size, uint64_t bytes)
{
	if (bytes < 10000)
		snprintf(to, size, "%" PRIu64 " B", bytes);
	else if (bytes < 10000000)
		snprintf(to, size, "%.1f kB", (double)bytes / 1e3);
	else
		snprintf(to, size, "%.1f MB", (double)bytes / 1e6);
}

static void tell(const char *head, const struct record_opts *o,
		 const struct session_summary *sum, const char *tail)
{
	double wall = (double)sum->wall_ns / 1e9, life = (double)sum->life_ns / 1e9;
	double cpu = (double)(sum->user_ns + sum->system_ns) / 1e9;
	char bytes[32], share[32] = "";

	format_bytes(bytes, sizeof(bytes), sum->bytes);
	/* The start costs the same however long it lasts: no share of a moment. */
	if (life > 0.5)
		snprintf(share, sizeof(share), " (%.2f %% of a CPU)", 100 * cpu / life);
	fprintf(stderr, "%skymo record: %" PRIu64 " samples, %" PRIu64 " lost, %s in %s, "
		"%.1f s, recorder used %.0f ms%s%s", head, sum->events, sum->lost,
		bytes, o->file.to_pipe ? "the pipe" : o->output, wall, cpu * 1e3, share, tail);
}

static void show_progress(void *ctx, const struct session_summary *so_far)
{
	tell("\r", ctx, so_far, "\033[K");
	fflush(stderr);
}

static void tell_end(const struct record_opts *o, const struct session_summary *sum)
{
	bool line = isatty(STDERR_FILENO);

	if (o->quiet)
		return;
	tell(line ? "\r" : "", o, sum, line ? "\033[K\n" : "\n");
	if (sum->frames && o->verbose)
		fprintf(stderr, "kymo record: %" PRIu64 " of %" PRIu64
			" distinct frames have no name\n", sum->unresolved_frames, sum->frames);
}

/* --- running ----------------------------------------------------------------------- */

static _Atomic(struct session *) running;
static atomic_bool stopped_early;	/* by a signal, before there was a session */

static void on_signal(int sig)
{
	struct session *s = atomic_load(&running);

	(void)sig;
	if (s)
		session_stop(s);
	else
		atomic_store(&stopped_early, true);
}

static void catch_signals(void)
{
	struct sigaction stop = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
	struct sigaction ignore = { .sa_handler = SIG_IGN };

	sigaction(SIGINT, &stop, NULL);
	sigaction(SIGTERM, &stop, NULL);
	sigaction(SIGHUP, &stop, NULL);
	sigaction(SIGPIPE, &ignore, NULL);
}

static int exit_status(const struct session_summary *sum)
{
	if (!sum->has_status)
		return EXIT_OK;
	if (WIFSIGNALED(sum->wait_status))
		return 128 + WTERMSIG(sum->wait_status);
	return WEXITSTATUS(sum->wait_status);
}

static int run_session(struct record_opts *o, struct session *s, struct session_summary *sum)
{
	struct diag d = { "" };
	int status;

	if (session_start(s, &d) < 0) {
		command_complain("%s", d.text);
		return EXIT_FAIL;
	}
	status = tracefile_place(&o->file);
	if (status)
		session_stop(s);
	if (session_run(s, isatty(STDERR_FILENO) && !o->quiet ? show_progress : NULL, o, sum,
			&d) < 0) {
		tell_end(o, sum);
		command_complain("%s", d.text);
		return EXIT_FAIL;
	}
	tell_end(o, sum);
	return status ? status : exit_status(sum);
}

static int record(struct record_opts *o)
{
	struct session_summary sum = { 0 };
	struct diag d = { "" };
	struct session *s;
	const char *note;
	int status, err;

	err = session_open(&s, &o->session, &d);
	o->session.output_fd = -1;
	if (err) {
		command_complain("%s", d.text);
		return err == -EINVAL ? EXIT_USAGE : EXIT_FAIL;
	}
	for (size_t i = 0; !o->quiet && (note = session_note(s, i)); i++)
		command_complain("%s", note);
	atomic_store(&running, s);
	if (atomic_load(&stopped_early))
		session_stop(s);
	status = run_session(o, s, &sum);
	atomic_store(&running, NULL);
	session_close(s);
	return status;
}

static int run(int nr_args, char **args, void *opts)
{
	struct record_opts *o = opts;
	struct target_opts *t = &o->session.target;
	int status;

	if (o->session.frequency_hz && o->session.period) {
		command_complain("-F and -c exclude each other: a frequency or a count");
		return EXIT_USAGE;
	}
	if (t->all && (t->pid_list || t->tid_list)) {
		command_complain("-a is the whole machine: leave out -p and -t");
		return EXIT_USAGE;
	}
	if (nr_args)
		t->command = args;
	if (!nr_args && !t->pid_list && !t->tid_list && !t->cpu_list && !t->all) {
		t->all = true;
		if (!o->quiet && !o->session.duration_ns)
			command_complain("recording the whole machine until Ctrl-C");
	}
	command_line(&o->session.argc, &o->session.argv);
	o->session.version = KYMO_VERSION;
	/* Opening a FIFO waits for its reader, and a signal must end that. */
	status = tracefile_open(&o->file, o->output);
	if (status)
		return status;
	o->session.output_fd = o->file.fd;
	catch_signals();
	status = record(o);
	tracefile_withdraw(&o->file);
	return status;
}

const struct command cmd_record = {
	.name = "record",
	.summary = "record this machine, a process or a command",
	.usage = "[options] [-- command [arguments]]",
	.options = tables,
	.run = run,
	.opts_new = opts_new,
};
