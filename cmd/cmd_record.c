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
#include "cmd/record_options.h"
#include "cmd/tracefile.h"
#include "cmd/version.h"
#include "record/session.h"

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
	fprintf(stderr, "%skymo record: %" PRIu64 " %s, %" PRIu64 " lost, %s in %s, "
		"%.1f s, recorder used %.0f ms%s%s", head, sum->events,
		o->nr_events || o->session.graph ? "records" : "samples", sum->lost, bytes,
		o->file.to_pipe ? "the pipe" : o->output, wall, cpu * 1e3, share, tail);
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
	if (sum->no_start || sum->no_end)
		fprintf(stderr, "kymo record: %" PRIu64 " end%s without a start, %" PRIu64
			" start%s without an end (begun before the recording, ended after it or "
			"never, or started anew)\n", sum->no_start,
			sum->no_start == 1 ? "" : "s", sum->no_end, sum->no_end == 1 ? "" : "s");
	if (sum->wrong_stacks)
		fprintf(stderr, "kymo record: %" PRIu64 " kernel stacks of waits were not what was "
			"remembered: do not trust those of this trace (kymo info tells the rate)\n",
			sum->wrong_stacks);
	if (sum->frames && o->verbose)
		fprintf(stderr, "kymo record: %" PRIu64 " of %" PRIu64
			" distinct frames have no name\n", sum->unresolved_frames, sum->frames);
}

/* --- running ----------------------------------------------------------------------- */

static _Atomic(struct session *) running;
static atomic_bool stopped_early;	/* by a signal, before there was a session */
static bool progress_is_shown;		/* in a line without an end */

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
	struct sigaction ignore = { .sa_handler = SIG_IGN }, old;

	sigaction(SIGINT, &stop, NULL);
	sigaction(SIGTERM, &stop, NULL);
	/* Under nohup(1) the recording outlives its terminal. */
	sigaction(SIGHUP, NULL, &old);
	if (old.sa_handler != SIG_IGN)
		sigaction(SIGHUP, &stop, NULL);
	sigaction(SIGPIPE, &ignore, NULL);
}

/* Of few places it would only flicker.  Whoever interrupts need not wait for the rest. */
static int show_attaching(void *ctx, const char *what, size_t done, size_t all)
{
	const struct record_opts *o = ctx;

	if (!o->quiet && isatty(STDERR_FILENO) && all >= 200 && done % 8 == 0) {
		fprintf(stderr, "\rkymo record: %s %zu of %zu\033[K", what, done, all);
		fflush(stderr);
		progress_is_shown = true;
	}
	return atomic_load(&stopped_early);
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

	err = session_open(&s, &o->session, show_attaching, o, &d);
	o->session.output_fd = -1;
	if (progress_is_shown)
		fprintf(stderr, "\r\033[K");
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
	if (o->session.graph_depth && !o->session.graph) {
		command_complain("--depth goes with --graph FUNCTION");
		return EXIT_USAGE;
	}
	o->session.events = o->events;
	o->session.nr_events = o->nr_events;
	if (t->all && (t->pid_list || t->tid_list)) {
		command_complain("-a is the whole machine: leave out -p and -t");
		return EXIT_USAGE;
	}
	if (nr_args)
		t->command = args;
	if (!nr_args && !t->pid_list && !t->tid_list && !t->cpu_list && !t->cgroup &&
	    !t->all) {
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
	.options = record_options_tables,
	.run = run,
	.opts_new = record_options_new,
};
