#include "record/perfevent.h"
#include "record/numlist.h"
#include "record/rights.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

/* How often all is opened anew because threads were born meanwhile. */
#define MAX_ROUNDS 4

bool perfevent_raise_open_files(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= limit.rlim_max)
		return false;
	limit.rlim_cur = limit.rlim_max;
	return setrlimit(RLIMIT_NOFILE, &limit) == 0;
}

int perfevent_open(const struct perf_event_attr *attr, int tid, int cpu)
{
	long fd;

	do {
		fd = syscall(SYS_perf_event_open, attr, tid, cpu, -1, PERF_FLAG_FD_CLOEXEC);
	} while (fd < 0 && errno == EMFILE && perfevent_raise_open_files());
	return fd < 0 ? -errno : (int)fd;
}

static int paranoid_level(void)
{
	FILE *f = fopen("/proc/sys/kernel/perf_event_paranoid", "re");
	int level = 2;

	if (!f)
		return level;
	if (fscanf(f, "%d", &level) != 1)
		level = 2;
	fclose(f);
	return level;
}

/* Debian's kernels know a level 3, at which CAP_PERFMON is not enough. */
static int say_refused(struct diag *d, int err, const struct target *t)
{
	const char *what = t->all ? "whole CPUs" : t->child ? "this command" : "this process";
	char lacking[RIGHTS_TEXT_BYTES];
	int level = paranoid_level();

	if (level > 2 && !rights_lacks_bpf(lacking) && !rights_has_admin())
		return diag_set(d, err, "not allowed to record %s: kernel.perf_event_paranoid is %d, "
				"which asks for CAP_SYS_ADMIN: run as root with all rights, or set "
				"it to 2", what, level);
	if (rights_lacks_bpf(lacking))
		return diag_set(d, err, "not allowed to record %s: %s (run as root, or with it; "
				"kernel.perf_event_paranoid is %d)", what, lacking, level);
	return diag_set(d, err, "not allowed to record %s: run as root or with CAP_BPF and "
			"CAP_PERFMON (kernel.perf_event_paranoid is %d)", what, level);
}

int perfevent_say_error(struct diag *d, int err, const char *what, const struct target *t)
{
	switch (-err) {
	case EPERM:
	case EACCES:
		return say_refused(d, err, t);
	case ENOENT:
	case ENODEV:
	case EOPNOTSUPP:
		return diag_set(d, err, "this machine cannot count event '%s'", what);
	case EMFILE:
	case ENFILE:
		return diag_set(d, err, "too many open files for event '%s' on every thread "
				"(see: ulimit -n)", what);
	case ESRCH:
		return diag_set(d, err, "the process has ended");
	case EBUSY:
	case ENOSPC:
		return diag_set(d, err, "no counter is free for event '%s'", what);
	default:
		return diag_set(d, err, "cannot open event '%s': %s", what, strerror(-err));
	}
}

static int add(struct perfevents *p, const struct perfevent *e)
{
	if (p->nr == p->cap) {
		size_t cap = p->cap ? p->cap * 2 : 16;
		struct perfevent *list = realloc(p->list, cap * sizeof(*list));

		if (!list)
			return -ENOMEM;
		p->list = list;
		p->cap = cap;
	}
	p->list[p->nr++] = *e;
	return 0;
}

static int open_one(struct perfevents *p, const struct perfevent_plan *plan, uint32_t kind,
		    int tid, int cpu)
{
	struct perfevent e = { .cpu = cpu, .kind = kind };
	int err;

	e.fd = perfevent_open(&plan->attrs[kind], tid, cpu);
	if (e.fd < 0)
		return e.fd;
	err = add(p, &e);
	if (err) {
		close(e.fd);
		return err;
	}
	return plan->opened ? plan->opened(plan->ctx, &e) : 0;
}

struct cpu_list {
	int *cpus;
	size_t nr;
};

static bool is_system_wide(const struct perfevent_plan *plan, uint32_t kind)
{
	return plan->system_wide && plan->system_wide[kind];
}

static int open_kind(struct perfevents *p, const struct perfevent_plan *plan, uint32_t kind,
		     const struct cpu_list *online)
{
	static const int anywhere = -1;
	const struct target *t = plan->target;
	bool system_wide = is_system_wide(plan, kind);
	bool cpus_only = t->all || system_wide, each_cpu = cpus_only || plan->each_cpu;
	const int *cpus = system_wide ? online->cpus : each_cpu ? t->cpus : &anywhere;
	size_t nr_cpus = system_wide ? online->nr : each_cpu ? t->nr_cpus : 1;
	size_t nr_tids = cpus_only ? 1 : t->nr_tids, before = p->nr;
	int gone = -ESRCH;

	for (size_t i = 0; i < nr_tids; i++) {
		int tid = cpus_only ? -1 : t->tids[i];

		for (size_t c = 0; c < nr_cpus; c++) {
			int err = open_one(p, plan, kind, tid, cpus[c]);

			/* ENODEV: no such event, or a CPU that went offline. */
			if (err == -ESRCH || (err == -ENODEV && each_cpu))
				gone = err;
			else if (err)
				return err;
		}
	}
	return p->nr == before ? gone : 0;
}

static int open_round(struct perfevents *p, const struct perfevent_plan *plan,
		      const struct cpu_list *online, size_t *failed)
{
	int err = 0;

	for (size_t kind = 0; !err && kind < plan->nr_attrs; kind++) {
		*failed = kind;
		err = open_kind(p, plan, (uint32_t)kind, online);
	}
	return err;
}

int perfevents_open(struct perfevents *p, const struct perfevent_plan *plan, size_t *failed)
{
	struct cpu_list online = { 0 };
	bool by_thread = false;
	int err;

	*p = (struct perfevents){ 0 };
	*failed = 0;
	err = numlist_read("/sys/devices/system/cpu/online", &online.cpus, &online.nr);
	if (err)
		return err;
	for (uint32_t kind = 0; kind < plan->nr_attrs; kind++)
		by_thread |= !is_system_wide(plan, kind);
	for (int round = 0; round < MAX_ROUNDS; round++) {
		int born;

		err = open_round(p, plan, &online, failed);
		if (err || !by_thread || round == MAX_ROUNDS - 1)
			break;
		born = target_refresh_tids(plan->target, NULL);
		if (born <= 0)
			break;
		perfevents_close(p);
	}
	if (err)
		perfevents_close(p);
	free(online.cpus);
	return err;
}

int perfevents_control(const struct perfevents *p, unsigned long request)
{
	int err = 0;

	for (size_t i = 0; i < p->nr; i++) {
		if (ioctl(p->list[i].fd, request, 0) < 0 && !err)
			err = -errno;
	}
	return err;
}

void perfevents_close(struct perfevents *p)
{
	for (size_t i = 0; i < p->nr; i++)
		close(p->list[i].fd);
	free(p->list);
	*p = (struct perfevents){ 0 };
}
