#define _GNU_SOURCE
#include "record/tpattach.h"

#include <errno.h>
#include <linux/perf_event.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "record/attachset.h"
#include "record/perfevent.h"

/*
 * The program runs on all CPUs, whichever the event is on.  The event itself stays
 * disabled: it is nothing but a handle.
 */
static int attach_classic(const struct tracepoint *t, int prog_fd)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_TRACEPOINT, .size = sizeof(attr), .config = t->format.id,
		.disabled = 1,
	};
	int cpu = sched_getcpu(), fd = perfevent_open(&attr, -1, cpu < 0 ? 0 : cpu), err;

	if (fd < 0)
		return fd;
	if (ioctl(fd, PERF_EVENT_IOC_SET_BPF, prog_fd) < 0) {
		err = -errno;
		close(fd);
		return err;
	}
	return fd;
}

static struct tracepoint *of_way(const struct probe *p, enum way way)
{
	struct tracepoint *t = p->private;

	return p->kind == &kind_tracepoint && t->way == way ? t : NULL;
}

/* The first of the set that takes the way: it holds what they share. */
static struct tracepoint *first_of_way(const struct probes *set, enum way way)
{
	for (size_t i = 0; i < set->nr; i++) {
		const struct probe *p = set->list[i];
		struct tracepoint *t = of_way(p, way);

		if (!t && p->span)
			t = of_way(p->span->start, way);
		if (t)
			return t;
	}
	return NULL;
}

/* Where nothing can be counted it is recorded all the same. */
static void count_missed(struct probes *set, struct tracepoint *t, struct attachset *a)
{
	struct tpmissed *misses = &first_of_way(set, WAY_CLASSIC)->misses;
	int row;

	if (!misses->is_tried)
		tpmissed_open(misses, 2 * (uint32_t)set->nr);
	row = tpmissed_attach(misses, t->name, a);
	if (row < 0)
		return;
	t->counted = misses;
	t->row = (uint32_t)row;
}

uint64_t tpattach_missed(const struct probe *p)
{
	const struct tracepoint *t = p->private;

	if (t->way == WAY_SYSCALL)
		return syscalltp_missed(&t->tables);
	return t->counted ? tpmissed_count(t->counted, t->row) : 0;
}

static int say_refused(const struct probe *p, int err, struct diag *d)
{
	switch (-err) {
	case EPERM:
	case EACCES:
		return diag_set(d, err, "not allowed to attach to '%s': run as root or with CAP_BPF "
				"and CAP_PERFMON", p->name);
	case ENOENT:
		return diag_set(d, err, "tracepoint '%s' went away", p->name);
	case EMFILE:
		return diag_set(d, err, "too many open files for '%s' (see: ulimit -n)", p->name);
	default:
		return diag_set(d, err, "cannot attach to '%s': %s", p->name, strerror(-err));
	}
}

int tpattach_attach(struct probes *set, struct probe *p, struct probe_variant *v,
		    struct attachset *a, struct diag *d)
{
	struct tracepoint *t = p->private;
	int fd;

	if (t->way == WAY_SYSCALL) {
		fd = syscalltp_attach(&t->syscall, &first_of_way(set, WAY_SYSCALL)->tables,
				      v->prog_fd, a);
		return fd < 0 ? say_refused(p, fd, d) : 0;
	}
	if (t->way == WAY_CLASSIC)
		fd = attach_classic(t, v->prog_fd);
	else
		fd = tpraw_attach(t->way == WAY_UNTYPED ? t->name : NULL, v->prog_fd);
	if (fd < 0)
		return say_refused(p, fd, d);
	if (t->way == WAY_CLASSIC)
		count_missed(set, t, a);
	return attachset_add(a, fd) ? diag_set(d, -ENOMEM, "out of memory") : 0;
}
