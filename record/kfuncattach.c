#define _GNU_SOURCE
#include "record/kfuncprobe.h"

#include <errno.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "record/lockdown.h"
#include "record/perfevent.h"

#define MAX_LINKS 256		/* of one glob, when some functions are refused */
#define MAX_NAMED 3

/* --- one place ------------------------------------------------------------------------------ */

/* The attributes of all kprobes, or of all kretprobes.  -errno. */
static int describe_kprobe(struct perf_event_attr *attr, bool is_return)
{
	int type = kfunctry_pmu("type", ""), bit = kfunctry_pmu("format/retprobe", "config:");

	memset(attr, 0, sizeof(*attr));
	if (type < 0 || bit < 0)
		return type < 0 ? type : bit;
	attr->size = sizeof(*attr);
	attr->sample_period = 1;
	attr->wakeup_events = 1;
	attr->type = (uint32_t)type;
	attr->config = is_return ? 1ull << bit : 0;
	return 0;
}

/* By name, or with NULL by address. */
static int open_kprobe(const struct perf_event_attr *common, const char *function,
		       uint64_t address, uint64_t offset, int prog)
{
	struct perf_event_attr attr = *common;
	int fd;

	attr.config1 = (uintptr_t)function;
	/* Behind a name, its offset; without, the address. */
	attr.config2 = function ? offset : address + offset;
	fd = perfevent_open(&attr, -1, 0);
	if (fd < 0)
		return fd;
	if (ioctl(fd, PERF_EVENT_IOC_SET_BPF, prog) || ioctl(fd, PERF_EVENT_IOC_ENABLE, 0)) {
		int err = -errno;

		close(fd);
		return err;
	}
	return fd;
}

static int say_error(const struct kfuncprobe *k, const struct probe *p, int err, struct diag *d)
{
	const char *why = NULL;

	if (err == -EINTR)
		return diag_set(d, err, "interrupted while attaching to '%s'; nothing was recorded",
				p->name);
	if (lockdown_is_confidential())
		why = "the kernel is locked down (lockdown=confidentiality)";
	else if (err == -EPERM || err == -EACCES)
		why = "no right to (CAP_PERFMON and CAP_BPF, or CAP_SYS_ADMIN)";
	else
		why = kfuncs_obstacle(k->function);
	if (!why && err == -ENOENT)
		why = "it has been inlined into its callers, or its module is not loaded";
	if (!why && k->has_offset && (err == -EILSEQ || err == -EINVAL || err == -ERANGE))
		why = "no instruction begins at that offset";
	/* What was typed is right; it is this kernel that cannot. */
	return diag_set(d, err == -EINVAL ? -EOPNOTSUPP : err, "cannot probe '%s': %s", p->name,
			why ? why : strerror(-err));
}

/* Names that several functions have, as static ones may, need their addresses. */
static int attach_each_address(const struct kfuncprobe *k, const struct perf_event_attr *attr,
			       int prog, struct attachset *a, size_t *nr, struct diag *d)
{
	struct kfuncs found = { 0 };
	int err = kfuncs_find(&found, k->module, k->function, true, d);

	for (size_t i = 0; i < found.nr && !err; i++) {
		int fd = found.list[i].address ?
			 open_kprobe(attr, NULL, found.list[i].address, k->offset, prog) :
			 -EADDRNOTAVAIL;

		err = fd < 0 ? fd : attachset_add(a, fd);
	}
	*nr = found.nr;
	kfuncs_release(&found);
	return err || *nr ? err : -ENOENT;
}

static int attach_one(const struct kfuncprobe *k, struct probe *p, int prog,
		      struct attachset *a, struct diag *d)
{
	const char *word = k->is_return ? "kretprobe" : "kprobe";
	struct perf_event_attr attr;
	char name[256];
	size_t nr = 1;
	int fd, err = describe_kprobe(&attr, k->is_return);

	if (err)
		return say_error(k, p, err, d);
	snprintf(name, sizeof(name), "%s%s%s", k->module ? k->module : "",
		 k->module && *k->module ? ":" : "", k->function);
	fd = open_kprobe(&attr, name, 0, k->offset, prog);
	err = fd < 0 ? fd : attachset_add(a, fd);
	/* Kernels also differ in whether they look up "MODULE:FUNCTION". */
	if (err == -EADDRNOTAVAIL || (err == -ENOENT && strchr(name, ':')))
		err = attach_each_address(k, &attr, prog, a, &nr, d);
	if (err)
		return say_error(k, p, err, d);
	if (nr > 1)
		snprintf(p->method, sizeof(p->method), "%s x %zu", word, nr);
	else
		snprintf(p->method, sizeof(p->method), "%s", word);
	return 0;
}

static int attach_fentry(const struct kfuncprobe *k, struct probe *p, int prog,
			 struct attachset *a, struct diag *d)
{
	int fd = bpf_raw_tracepoint_open(NULL, prog);
	int err = fd < 0 ? -errno : attachset_add(a, fd);

	if (err)
		return say_error(k, p, err, d);
	snprintf(p->method, sizeof(p->method), "%s", k->is_return ? "fexit" : "fentry");
	return 0;
}

/* --- many places ------------------------------------------------------------------------------- */

struct many {
	struct probes *set;
	struct probe *p;
	const struct kfuncprobe *k;
	struct attachset *a;
	struct perf_event_attr attr;
	int prog, err;
	size_t nr_attached, nr_refused, nr_links;
	const char *refused[MAX_NAMED];
};

static void refuse(struct many *m, const struct kfunc *f, int err)
{
	if (m->nr_refused < MAX_NAMED)
		m->refused[m->nr_refused] = f->name;
	m->nr_refused++;
	m->err = err;
}

static int report_progress(const struct probes *set, const struct probe *p, size_t done,
			   size_t all)
{
	return set->progress && set->progress(set->progress_ctx, p->name, done, all) ? -EINTR : 0;
}

static int attach_place(struct many *m, const struct kfunc *f)
{
	int fd = open_kprobe(&m->attr, f->address ? NULL : f->name, f->address, 0, m->prog);

	if (fd < 0) {
		refuse(m, f, fd);
		/* No later one will do better. */
		return fd == -EPERM || fd == -EACCES || fd == -EMFILE || fd == -ENOMEM ? fd : 0;
	}
	m->nr_attached++;
	return attachset_add(m->a, fd);
}

/* Halves what the kernel refuses as a whole, until those that it refuses are alone. */
static int attach_multi(struct many *m, const char **names, const unsigned long *addresses,
			size_t first, size_t nr)
{
	int fd = kfunctry_link_multi(m->prog, names + first,
				     addresses ? addresses + first : NULL, nr, m->k->is_return);
	int err;

	if (fd >= 0) {
		m->nr_attached += nr;
		m->nr_links++;
		return attachset_add(m->a, fd);
	}
	if (nr == 1 || fd == -EPERM || m->nr_links + m->nr_refused > MAX_LINKS) {
		for (size_t i = 0; i < nr; i++)
			refuse(m, &m->k->places.list[first + i], fd);
		return fd == -EPERM ? fd : 0;
	}
	err = attach_multi(m, names, addresses, first, nr / 2);
	return err ? err : attach_multi(m, names, addresses, first + nr / 2, nr - nr / 2);
}

static int attach_all_multi(struct many *m)
{
	const struct kfuncs *places = &m->k->places;
	const char **names = calloc(places->nr, sizeof(*names));
	unsigned long *addresses = calloc(places->nr, sizeof(*addresses));
	bool has_addresses = true;
	int err = -ENOMEM;

	for (size_t i = 0; names && addresses && i < places->nr; i++) {
		names[i] = places->list[i].name;
		addresses[i] = (unsigned long)places->list[i].address;
		has_addresses &= addresses[i] != 0;
	}
	if (names && addresses)
		err = attach_multi(m, names, has_addresses ? addresses : NULL, 0, places->nr);
	free(names);
	free(addresses);
	return err;
}

static void note_refused(const struct many *m)
{
	struct probes *set = m->set;
	size_t len = strlen(set->note);

	if (m->nr_refused)
		snprintf(set->note + len, sizeof(set->note) - len,
			 "%s%zu of %zu functions of '%s' cannot be probed: %s%s%s%s%s%s",
			 len ? "; " : "", m->nr_refused, m->nr_refused + m->nr_attached,
			 m->p->name, m->refused[0], m->nr_refused > 1 ? ", " : "",
			 m->nr_refused > 1 ? m->refused[1] : "", m->nr_refused > 2 ? ", " : "",
			 m->nr_refused > 2 ? m->refused[2] : "",
			 m->nr_refused > MAX_NAMED ? " ..." : "");
}

static int attach_many(struct probes *set, struct probe *p, const struct kfuncprobe *k,
		       struct probe_variant *v, struct attachset *a, struct diag *d)
{
	struct many m = { .set = set, .p = p, .k = k, .a = a, .prog = v->prog_fd };
	const char *word = k->is_return ? "kretprobe" : "kprobe";
	int err;

	err = k->way == KFUNC_MULTI ? attach_all_multi(&m)
				    : describe_kprobe(&m.attr, k->is_return);
	for (size_t i = 0; k->way == KFUNC_KPROBE && i < k->places.nr && !err; i++) {
		err = report_progress(set, p, i, k->places.nr);
		if (!err)
			err = attach_place(&m, &k->places.list[i]);
	}
	if (err || !m.nr_attached)
		return say_error(k, p, err ? err : m.err, d);
	note_refused(&m);
	snprintf(p->method, sizeof(p->method), "%s%s x %zu", word,
		 k->way == KFUNC_MULTI ? "-multi" : "", m.nr_attached);
	return 0;
}

/* One of the programs that each know their function; some may be refused, not all. */
static int attach_own_place(struct probes *set, struct probe *p, const struct kfuncprobe *k,
			    struct probe_variant *v, struct attachset *a, struct diag *d)
{
	const struct kfunc *f = v->private;
	size_t i = (size_t)(v - p->variants), nr = 0;
	struct perf_event_attr attr;
	int err = describe_kprobe(&attr, k->is_return);
	int fd = err ? err : open_kprobe(&attr, NULL, f->address, 0, v->prog_fd);

	err = report_progress(set, p, i, p->nr_variants);
	sscanf(p->method, "kretprobe x %zu", &nr);
	if (fd >= 0) {
		if (attachset_add(a, fd))
			err = -ENOMEM;
		snprintf(p->method, sizeof(p->method), "kretprobe x %zu", nr + 1);
	} else if (i + 1 == p->nr_variants && !nr) {
		err = fd;
	} else if (!*set->note) {
		snprintf(set->note, sizeof(set->note), "some functions of '%s' cannot be probed: "
			 "%s", p->name, f->name);
	}
	return err ? say_error(k, p, err, d) : 0;
}

int kfuncattach_attach(struct probes *set, struct probe *p, struct probe_variant *v,
		       struct attachset *a, struct diag *d)
{
	const struct kfuncprobe *k = p->private;

	if (k->is_variant_each)
		return attach_own_place(set, p, k, v, a, d);
	if (k->is_glob)
		return attach_many(set, p, k, v, a, d);
	if (k->way == KFUNC_FENTRY)
		return attach_fentry(k, p, v->prog_fd, a, d);
	return attach_one(k, p, v->prog_fd, a, d);
}
