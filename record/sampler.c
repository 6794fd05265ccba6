#include "record/sampler.h"
#include "record/sampler_backend.h"

#include <bpf/libbpf.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "record/kernelbtf.h"
#include "record/lockdown.h"
#include "record/rights.h"

#define MIN_BUFFER_BYTES (1u << 20)
#define MAX_BUFFER_BYTES (64u << 20)
/* Two stacks of some 40 frames: most messages are smaller. */
#define BYTES_PER_SAMPLE 800
/* What is assumed of an event that comes by count. */
#define RATE_BY_COUNT_HZ 1000
/* The timers of clocks run no faster (perf_swevent_start_hrtimer() of the kernel). */
#define MIN_CLOCK_PERIOD_NS 10000

/* --- preparing the events ------------------------------------------------------ */

__attribute__((format(printf, 2, 3)))
static void add_note(struct sampler *s, const char *fmt, ...)
{
	size_t len = strlen(s->note);
	va_list args;

	if (len)
		len += (size_t)snprintf(s->note + len, sizeof(s->note) - len, "; ");
	if (len >= sizeof(s->note))
		return;
	va_start(args, fmt);
	vsnprintf(s->note + len, sizeof(s->note) - len, fmt, args);
	va_end(args);
}

static uint64_t frequency_limit_hz(void)
{
	FILE *f = fopen("/proc/sys/kernel/perf_event_max_sample_rate", "re");
	uint64_t limit_hz = 0;

	if (!f)
		return UINT64_MAX;
	if (fscanf(f, "%" SCNu64, &limit_hz) != 1 || !limit_hz)
		limit_hz = UINT64_MAX;
	fclose(f);
	return limit_hz;
}

static void prepare_attr(struct sampler *s, size_t i)
{
	const struct sampled *e = &s->events[i];
	struct perf_event_attr *attr = &s->attrs[i];
	const struct sampler_opts *o = &s->opts;

	attr->size = sizeof(*attr);
	attr->type = e->perf_type;
	attr->config = e->perf_config;
	attr->disabled = 1;
	attr->inherit = !s->target->all;
	attr->enable_on_exec = s->target->child && !s->target->all && !o->delayed;
	/* Hardware counters mostly stand still in idle, and few know this bit. */
	attr->exclude_idle = !o->idle && e->perf_type == PERF_TYPE_SOFTWARE;
	attr->exclude_kernel = e->exclude_kernel;
	attr->exclude_user = e->exclude_user;
	attr->exclude_hv = e->exclude_hv;
	attr->precise_ip = e->precise & 3;
	if (e->period) {
		attr->sample_period = e->period;
	} else {
		attr->freq = 1;
		attr->sample_freq = e->frequency_hz;
	}
}

static void limit_frequency(struct sampler *s)
{
	uint64_t limit_hz = frequency_limit_hz(), lowered_hz = 0;

	for (size_t i = 0; i < s->opts.nr_events; i++) {
		if (!s->attrs[i].freq || s->attrs[i].sample_freq <= limit_hz)
			continue;
		lowered_hz = s->attrs[i].sample_freq;
		s->attrs[i].sample_freq = limit_hz;
	}
	if (lowered_hz)
		add_note(s, "frequency lowered from %" PRIu64 " to the kernel's limit of %" PRIu64
			 " Hz (see: sysctl kernel.perf_event_max_sample_rate)",
			 lowered_hz, limit_hz);
}

/* Else each sample would weigh less than the time it stands for. */
static void limit_period(struct sampler *s)
{
	bool raised = false;

	for (size_t i = 0; i < s->opts.nr_events; i++) {
		if (s->attrs[i].freq || strcmp(s->events[i].unit, "ns") != 0 ||
		    s->attrs[i].sample_period >= MIN_CLOCK_PERIOD_NS)
			continue;
		s->attrs[i].sample_period = MIN_CLOCK_PERIOD_NS;
		raised = true;
	}
	if (raised)
		add_note(s, "count of clocks raised to the kernel's limit of %d ns",
			 MIN_CLOCK_PERIOD_NS);
}

size_t sampler_buffer_bytes(const struct sampler *s)
{
	size_t wanted = s->opts.buffer_bytes, bytes;

	for (size_t i = 0; !s->opts.buffer_bytes && i < s->opts.nr_events; i++) {
		uint64_t rate_hz = s->attrs[i].freq ? s->attrs[i].sample_freq : RATE_BY_COUNT_HZ;

		wanted += rate_hz * s->target->nr_cpus * BYTES_PER_SAMPLE;
	}
	bytes = s->opts.buffer_bytes ? (size_t)sysconf(_SC_PAGESIZE) : MIN_BUFFER_BYTES;
	while (bytes < wanted && bytes < MAX_BUFFER_BYTES)
		bytes *= 2;
	return bytes;
}

int sampler_open_events(struct sampler *s, bool each_cpu,
			int (*opened)(void *ctx, const struct perfevent *e), struct diag *d)
{
	struct perfevent_plan plan = {
		.attrs = s->attrs, .nr_attrs = s->opts.nr_events, .target = s->target,
		.each_cpu = each_cpu, .system_wide = s->system_wide,
		.opened = opened, .ctx = s,
	};
	size_t failed = 0;
	int err = perfevents_open(&s->perf, &plan, &failed);

	if (err)
		perfevent_say_error(d, err, s->events[failed].name, s->target);
	return err;
}

/* --- opening --------------------------------------------------------------------- */

static int try_backend(struct sampler *s, enum sampler_transport transport, bool *unusable,
		       struct diag *d)
{
	int err;

	*unusable = false;
	s->transport = transport;
	s->backend = transport == SAMPLER_PERF_MMAP ? sampler_perf_backend() :
						      sampler_bpf_backend();
	err = s->backend->open(s, unusable, d);
	if (!err)
		return 0;
	perfevents_close(&s->perf);
	s->backend->close(s);
	s->backend = NULL;
	return err;
}

static bool is_refusal(int err)
{
	return err == -EPERM || err == -EACCES;
}

/* Why programs were not loaded, and what to do about it. */
static void explain(struct sampler *s, int err)
{
	char lacking[RIGHTS_TEXT_BYTES];
	const char *why = strerror(-err);

	if (is_refusal(err) && rights_lacks_bpf(lacking)) {
		snprintf(s->no_bpf, sizeof(s->no_bpf), "%s; run as root, or give kymo what is "
			 "missing (setcap)", lacking);
		return;
	}
	if (lockdown_is_confidential())
		why = "the kernel is locked down: lockdown=confidentiality";
	else if (err == -EMFILE)
		why = "too many open files, see: ulimit -n";
	else if (err == -ENOMEM)
		why = "out of memory";
	else if (s->no_types)
		why = "the kernel does not tell its types in " KERNELBTF_PATH;
	snprintf(s->no_bpf, sizeof(s->no_bpf), "%s", why);
}

static void note_fallback(struct sampler *s, int err)
{
	const char *whom = s->target->all ? "whole CPUs" :
			   s->target->child ? "this command" : "this process";

	if (!is_refusal(err))
		add_note(s, "cannot load BPF programs (%s): sampling %s through perf_event_open",
			 s->no_bpf, whom);
	else if (s->user_only)
		add_note(s, "not allowed to load BPF programs: sampling %s in user space through "
			 "perf_event_open (run as root or with CAP_BPF and CAP_PERFMON for "
			 "kernel stacks)", whom);
	else
		add_note(s, "not allowed to load BPF programs: sampling %s through "
			 "perf_event_open (run as root or with CAP_BPF)", whom);
}

/*
 * BPF programs number processes as the outermost pid namespace does.  In a
 * container /proc and perf events have other numbers for them.
 */
static bool in_pid_namespace(void)
{
	const ino_t outermost = 0xeffffffc;	/* PROC_PID_INIT_INO in linux/proc_ns.h */
	struct stat st;

	return stat("/proc/self/ns/pid", &st) == 0 && st.st_ino != outermost;
}

/* What was asked for and only programs can do, or NULL. */
static const char *needs_bpf(const struct sampler *s)
{
	for (size_t i = 0; i < s->opts.nr_events; i++)
		if (s->events[i].filter)
			return "a filter";
	return s->target->cgroup_fd >= 0 ? "choosing by cgroup" : NULL;
}

static int open_first_usable(struct sampler *s, struct diag *d)
{
	bool unusable;
	int err, bpf_err;

	if (needs_bpf(s) && s->opts.transport == SAMPLER_PERF_MMAP)
		return diag_set(d, -EOPNOTSUPP, "%s needs BPF (leave out --transport)",
				needs_bpf(s));
	if (s->opts.transport != SAMPLER_PERF_MMAP && in_pid_namespace()) {
		if (s->opts.transport != SAMPLER_AUTO)
			return diag_set(d, -EOPNOTSUPP, "BPF programs do not know the process "
					"numbers of this pid namespace (leave out --transport)");
		if (needs_bpf(s))
			return diag_set(d, -EOPNOTSUPP, "%s needs BPF, which does not know the "
					"process numbers of this pid namespace", needs_bpf(s));
		add_note(s, "in a pid namespace of its own: sampling through perf_event_open");
		snprintf(s->no_bpf, sizeof(s->no_bpf), "in a pid namespace of its own, whose "
			 "process numbers BPF does not know");
		return try_backend(s, SAMPLER_PERF_MMAP, &unusable, d);
	}
	if (s->opts.transport != SAMPLER_AUTO) {
		snprintf(s->no_bpf, sizeof(s->no_bpf), "leave out --transport");
		err = try_backend(s, s->opts.transport, &unusable, d);
		if (unusable && (err == -EPERM || err == -EACCES))
			diag_set(d, err, "not allowed to load BPF programs (run as root or with "
				 "CAP_BPF and CAP_PERFMON)");
		else if (unusable)
			diag_set(d, err, "cannot load BPF programs: %s", strerror(-err));
		return err;
	}
	err = try_backend(s, SAMPLER_RING_BUFFER, &unusable, d);
	if (!err || !unusable)
		return err;
	/* Without rights the other one would fail alike. */
	if (err != -EPERM && err != -EACCES)
		err = try_backend(s, SAMPLER_PERF_BUFFER, &unusable, d);
	if (!err || !unusable)
		return err;
	bpf_err = err;
	explain(s, err);
	if (needs_bpf(s))
		return diag_set(d, err, "%s needs BPF, which cannot be loaded here (%s)",
				needs_bpf(s), s->no_bpf);
	err = try_backend(s, SAMPLER_PERF_MMAP, &unusable, d);
	if (!err)
		note_fallback(s, bpf_err);
	return err;
}

int sampler_open(struct sampler **out, const struct sampler_opts *opts, struct target *target,
		 struct diag *d)
{
	struct sampler *s;
	int err;

	if (opts->nr_events > SAMPLE_MAX_EVENTS)
		return diag_set(d, -E2BIG, "at most %d events can be sampled at a time",
				SAMPLE_MAX_EVENTS);
	s = calloc(1, sizeof(*s));
	if (!s)
		return diag_set(d, -ENOMEM, "out of memory");
	s->opts = *opts;
	s->target = target;
	err = libbpf_num_possible_cpus();
	if (err < 0) {
		free(s);
		return diag_set(d, err, "cannot count the CPUs: %s", strerror(-err));
	}
	s->nr_cpus = (uint32_t)err;
	for (size_t i = 0; i < opts->nr_events; i++) {
		s->events[i] = opts->events[i];
		prepare_attr(s, i);
	}
	limit_frequency(s);
	limit_period(s);
	err = open_first_usable(s, d);
	if (err) {
		free(s);
		return diag_set(d, err, "cannot start sampling: %s", strerror(-err));
	}
	*out = s;
	return 0;
}

void sampler_close(struct sampler *s)
{
	if (!s)
		return;
	perfevents_close(&s->perf);
	s->backend->close(s);
	free(s);
}

/* --- running ---------------------------------------------------------------------- */

int sampler_enable(struct sampler *s, struct diag *d)
{
	for (size_t i = 0; i < s->perf.nr; i++) {
		const struct perfevent *e = &s->perf.list[i];

		if (s->attrs[e->kind].enable_on_exec)
			continue;
		if (ioctl(e->fd, PERF_EVENT_IOC_ENABLE, 0) < 0)
			return diag_set(d, -errno, "cannot start sampling: %s", strerror(errno));
	}
	return 0;
}

int sampler_disable(struct sampler *s)
{
	s->stopped = true;
	return perfevents_control(&s->perf, PERF_EVENT_IOC_DISABLE);
}

int sampler_get_maps(const struct sampler *s, struct sampler_maps *maps)
{
	*maps = (struct sampler_maps){ -1, -1, -1 };
	if (!s->backend->maps)
		return s->no_types ? -ENODATA : -EOPNOTSUPP;
	s->backend->maps(s, maps);
	return 0;
}

const char *sampler_no_bpf(const struct sampler *s)
{
	return s->no_bpf;
}

size_t sampler_fds(const struct sampler *s, int *fds, size_t max)
{
	if (max)
		fds[0] = s->backend->poll_fd(s);
	return 1;
}

int sampler_drain(struct sampler *s,
		  void (*fn)(void *ctx, const struct message *m, size_t size_bytes), void *ctx)
{
	return s->backend->drain(s, fn, ctx);
}

/* --- telling ------------------------------------------------------------------------ */

enum sampler_transport sampler_transport(const struct sampler *s)
{
	return s->transport;
}

bool sampler_user_only(const struct sampler *s)
{
	return s->user_only;
}

const char *sampler_note(const struct sampler *s)
{
	return s->note[0] ? s->note : NULL;
}

uint64_t sampler_lost(struct sampler *s, uint32_t event, uint32_t cpu)
{
	if (cpu >= s->nr_cpus || (event >= s->opts.nr_events && event != SAMPLER_TASKS))
		return 0;
	return s->backend->lost(s, event, cpu);
}

uint32_t sampler_nr_cpus(const struct sampler *s)
{
	return s->nr_cpus;
}

uint64_t sampler_period(const struct sampler *s, uint32_t event)
{
	const struct perf_event_attr *attr;

	if (event >= s->opts.nr_events)
		return 0;
	attr = &s->attrs[event];
	if (!attr->freq)
		return attr->sample_period;
	/* Clocks have a fixed period; of other events the kernel finds it. */
	return strcmp(s->events[event].unit, "ns") == 0 ? 1000000000 / attr->sample_freq : 1;
}
