/*
 * Probes put together by hand, without the kinds: system calls of a child that makes a
 * known number of them.
 */
#ifndef UNIT_LIVE_PROBES_H
#define UNIT_LIVE_PROBES_H

#include "record/probeprog.h"
#include "record/proberings.h"
#include "record/spanmaps.h"
#include "record/tally.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define LIVE_MAX_FIELDS 12
#define LIVE_MAX_PROBES 3

struct live_probe {
	struct probe p;
	struct probe_variant v;
	struct probe_field fields[LIVE_MAX_FIELDS];
	struct probe_value values[LIVE_MAX_FIELDS];
	struct probe_value keys[PROBE_SPAN_MAX_KEYS];
	int link_fd;
	bool by_hand;			/* live_open() does not attach it */
};

struct live {
	struct live_probe probes[LIVE_MAX_PROBES];
	struct live_probe starts[LIVE_MAX_PROBES];	/* of those that are spans */
	struct probe_span spans[LIVE_MAX_PROBES];
	struct probe *list[LIVE_MAX_PROBES];
	uint32_t nr_probes;
	struct probes set;
	struct spanmaps *spanmaps;
	struct proberings *rings;
	struct probeprog_env env;
	struct diag diag;
	int traced_fd;
	bool traced_only;
	size_t cpu_bytes;
};

static inline void live_init(struct live *l)
{
	memset(l, 0, sizeof(*l));
	for (size_t i = 0; i < LIVE_MAX_PROBES; i++) {
		l->probes[i].link_fd = -1;
		l->probes[i].v.prog_fd = -1;
		l->starts[i].link_fd = -1;
		l->starts[i].v.prog_fd = -1;
	}
	l->traced_fd = bpf_map_create(BPF_MAP_TYPE_HASH, "test_traced", 4, 1, 64, NULL);
	l->traced_only = true;
	l->env.target = (struct probeprog_target){
		.traced_fd = -1, .traced_tids_fd = -1, .cgroup_fd = -1,
	};
}

static inline void live_make(struct live_probe *lp, const char *name, uint32_t prog_type)
{
	lp->p = (struct probe){
		.name = strdup(name), .fields = lp->fields, .variants = &lp->v,
		.nr_variants = 1,
	};
	lp->v = (struct probe_variant){
		.prog_type = prog_type, .prog_fd = -1, .values = lp->values, .keys = lp->keys,
	};
}

static inline struct live_probe *live_add(struct live *l, const char *name, uint32_t prog_type)
{
	struct live_probe *lp = &l->probes[l->nr_probes];

	l->list[l->nr_probes++] = &lp->p;
	live_make(lp, name, prog_type);
	return lp;
}

static inline void live_make_typed(struct live_probe *lp, const char *name, int id)
{
	live_make(lp, name, BPF_PROG_TYPE_TRACING);
	lp->v.expected_attach_type = BPF_TRACE_RAW_TP;
	lp->v.attach_btf_id = (uint32_t)id;
}

/* tp_btf: 0, or -errno where the kernel does not describe the tracepoint. */
static inline int live_add_typed(struct live *l, const char *name, struct live_probe **lp)
{
	int id = libbpf_find_vmlinux_btf_id(name, BPF_TRACE_RAW_TP);

	if (id < 0)
		return id;
	*lp = &l->probes[l->nr_probes];
	l->list[l->nr_probes++] = &(*lp)->p;
	live_make_typed(*lp, name, id);
	return 0;
}

/*
 * From one tracepoint to another, without keys.  First the fields of the start are added,
 * then live_span_middle() is called, then those of the end are added.
 */
static inline int live_add_span(struct live *l, const char *from, const char *to,
				struct live_probe **start, struct live_probe **end)
{
	int id = libbpf_find_vmlinux_btf_id(from, BPF_TRACE_RAW_TP);
	int err = id < 0 ? id : live_add_typed(l, to, end);

	if (err)
		return err;
	*start = &l->starts[l->nr_probes - 1];
	live_make_typed(*start, from, id);
	(*start)->p.fixed_bytes = 8;
	(*end)->p.span = &l->spans[l->nr_probes - 1];
	(*end)->p.span->start = &(*start)->p;
	return 0;
}

static inline void live_span_middle(struct live_probe *end)
{
	struct probe_span *span = end->p.span;

	span->start->fixed_bytes = (span->start->fixed_bytes + 7) & ~7u;
	span->image_bytes = span->start->fixed_bytes - 8;
	end->p.fixed_bytes = span->start->fixed_bytes;
}

static inline void live_key(struct live_probe *lp, size_t i, const struct fetch_step *steps,
			    uint32_t nr_steps)
{
	lp->keys[i] = (struct probe_value){
		.result = RESULT_NUMBER, .size = 8, .nr_steps = nr_steps,
	};
	memcpy(lp->keys[i].steps, steps, nr_steps * sizeof(*steps));
}

/* One more key of both sides. */
#define live_keys(end, start, ...) do { \
	live_key(start, (end)->p.span->nr_keys, LIVE_STEPS(__VA_ARGS__)); \
	live_key(end, (end)->p.span->nr_keys++, LIVE_STEPS(__VA_ARGS__)); \
} while (0)

static inline void live_by_thread(struct live_probe *start, struct live_probe *end)
{
	const struct fetch_step tid = { .op = FETCH_TID };

	live_key(start, 0, &tid, 1);
	live_key(end, 0, &tid, 1);
	end->p.span->nr_keys = 1;
	end->p.span->by_thread = true;
}

/* Adds a field with these steps and lays it out. */
static inline struct probe_field *live_field(struct live_probe *lp, int result, uint8_t size,
					     uint32_t max_bytes, int space,
					     const struct fetch_step *steps, uint32_t nr_steps)
{
	struct probe *p = &lp->p;
	struct probe_value *v = &lp->values[p->nr_fields];
	struct probe_field *f = &lp->fields[p->nr_fields++];
	uint32_t bytes = result == RESULT_NUMBER ? size : 4;

	*v = (struct probe_value){
		.nr_steps = nr_steps, .result = (uint8_t)result, .space = (uint8_t)space,
		.size = size, .max_bytes = max_bytes,
	};
	if (nr_steps)
		memcpy(v->steps, steps, nr_steps * sizeof(*steps));
	*f = (struct probe_field){
		.result = (uint8_t)result, .size = size, .space = (uint8_t)space,
		.max_bytes = max_bytes,
		.offset = (p->fixed_bytes + bytes - 1) & ~(bytes - 1),
	};
	p->fixed_bytes = f->offset + bytes;
	return f;
}

#define LIVE_STEPS(...) \
	(const struct fetch_step[]){ __VA_ARGS__ }, \
	sizeof((const struct fetch_step[]){ __VA_ARGS__ }) / sizeof(struct fetch_step)

#define live_number(lp, size, ...) \
	live_field(lp, RESULT_NUMBER, size, 0, SPACE_ANY, LIVE_STEPS(__VA_ARGS__))

static inline void live_stacks(struct live_probe *lp, bool kernel, bool user)
{
	lp->p.kernel_stack = kernel;
	lp->p.user_stack = user;
	lp->p.fixed_bytes = (lp->p.fixed_bytes + 3) & ~3u;
	lp->p.kernel_count_offset = lp->p.fixed_bytes;
	lp->p.fixed_bytes += kernel ? 4 : 0;
	lp->p.user_count_offset = lp->p.fixed_bytes;
	lp->p.fixed_bytes += user ? 4 : 0;
}

static inline int live_attach(struct live_probe *lp)
{
	bool typed = lp->v.prog_type == BPF_PROG_TYPE_TRACING;

	lp->link_fd = bpf_raw_tracepoint_open(typed ? NULL : lp->p.name, lp->v.prog_fd);
	return lp->link_fd < 0 ? -errno : 0;
}

/* Attaches to a perf event on one CPU. */
static inline int live_attach_perf(struct live_probe *lp, struct perf_event_attr *attr, int cpu)
{
	attr->size = sizeof(*attr);
	lp->link_fd = (int)syscall(SYS_perf_event_open, attr, -1, cpu, -1, PERF_FLAG_FD_CLOEXEC);
	if (lp->link_fd < 0 || ioctl(lp->link_fd, PERF_EVENT_IOC_SET_BPF, lp->v.prog_fd) < 0 ||
	    ioctl(lp->link_fd, PERF_EVENT_IOC_ENABLE, 0) < 0)
		return -errno;
	return 0;
}

static inline int live_load(struct live *l, uint32_t i)
{
	struct live_probe *lp = &l->probes[i], *start = &l->starts[i];
	int err = probeprog_load(&lp->p, &lp->v, i, &l->env, &l->diag);

	if (!err && lp->p.span) {
		err = probeprog_load_start(&lp->p, &start->v, i, &l->env, &l->diag);
		if (!err && !start->by_hand)
			err = live_attach(start);
	}
	return err || lp->by_hand ? err : live_attach(lp);
}

/* Opens the rings, loads and attaches everything; enabled is still off. */
static inline int live_open(struct live *l, enum proberings_way way)
{
	struct proberings_opts opts = {
		.way = way, .nr_probes = l->nr_probes, .cpu_bytes = l->cpu_bytes,
	};
	int err;

	for (uint32_t i = 0; i < l->nr_probes; i++) {
		struct probe *p = &l->probes[i].p;

		p->fixed_bytes = (p->fixed_bytes + 7) & ~7u;
		if (probeprog_max_bytes(p) > opts.max_record_bytes)
			opts.max_record_bytes = probeprog_max_bytes(p);
	}
	err = proberings_open(&l->rings, &opts, &l->diag);
	if (err)
		return err;
	proberings_maps(l->rings, &l->env.maps);
	l->env.way = proberings_way(l->rings);
	if (l->traced_only)
		l->env.target.traced_fd = l->traced_fd;
	l->set = (struct probes){ .list = l->list, .nr = l->nr_probes };
	err = spanmaps_open(&l->spanmaps, &l->set, l->env.maps.nr_cpus, &l->diag);
	l->env.spans = l->spanmaps;
	if (!err)
		err = tally_open(&l->set, l->env.maps.nr_cpus, l->env.maps.atomics, &l->diag);
	for (uint32_t i = 0; !err && i < l->nr_probes; i++)
		err = live_load(l, i);
	return err;
}

static inline void live_detach_one(struct live_probe *lp)
{
	if (lp->link_fd >= 0)
		close(lp->link_fd);
	lp->link_fd = -1;
}

static inline void live_detach(struct live *l)
{
	for (uint32_t i = 0; i < l->nr_probes; i++) {
		live_detach_one(&l->starts[i]);
		live_detach_one(&l->probes[i]);
	}
}

static inline void live_close(struct live *l)
{
	live_detach(l);
	for (uint32_t i = 0; i < l->nr_probes; i++) {
		if (l->probes[i].v.prog_fd >= 0)
			close(l->probes[i].v.prog_fd);
		if (l->starts[i].v.prog_fd >= 0)
			close(l->starts[i].v.prog_fd);
		free(l->probes[i].p.name);
		free(l->starts[i].p.name);
	}
	spanmaps_close(l->spanmaps);
	l->spanmaps = NULL;
	proberings_close(l->rings);
	l->rings = NULL;
	if (l->traced_fd >= 0)
		close(l->traced_fd);
}

static inline uint64_t live_lost(const struct live *l, uint32_t probe)
{
	uint64_t lost = 0;

	for (uint32_t cpu = 0; cpu < l->env.maps.nr_cpus; cpu++)
		lost += proberings_lost(l->rings, probe, cpu);
	return lost;
}

/*
 * Whether all hits of a probe are accounted for: seen, lost, or (where programs can be
 * preempted) left out by the kernel while another task was in the same program.  Those
 * are told of all tasks together.  `more` hits than were made are none too many.
 */
static inline bool live_adds_up(const struct live *l, uint32_t probe, uint64_t seen,
				uint64_t made, uint64_t more)
{
	uint64_t told = seen + live_lost(l, probe);
	uint64_t missed = probeprog_missed(&l->probes[probe].v);

	if (told > made + more || told + missed < made)
		printf("# probe %u: %lu made, %lu seen, %lu lost, %lu left out\n", probe, made,
		       seen, live_lost(l, probe), missed);
	return told <= made + more && told + missed >= made;
}

/* Everything that is there, from all lanes. */
static inline size_t live_take(struct live *l, proberings_fn fn, void *ctx)
{
	size_t nr = 0;

	for (uint32_t lane = 0; lane < proberings_nr_lanes(l->rings); lane++)
		nr += proberings_take(l->rings, lane, UINT64_MAX, fn, ctx);
	return nr;
}

/* --- the child ------------------------------------------------------------------------- */

struct live_child {
	pid_t pid;
	int go_fd;			/* closing it lets the child run */
};

static inline bool live_sleeps(pid_t pid)
{
	char path[64], state = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	file = fopen(path, "r");
	if (file && fscanf(file, "%*d (%*[^)]) %c", &state) != 1)
		state = 0;
	if (file)
		fclose(file);
	return state == 'S';
}

/* A child that waits in read(), calls work() once it is let run, then exits. */
static inline struct live_child live_fork(void (*work)(void *), void *ctx)
{
	struct live_child child;
	int ends[2];
	char c;

	if (pipe(ends) < 0)
		exit(99);
	fflush(stdout);
	child.pid = fork();
	if (!child.pid) {
		close(ends[1]);
		if (read(ends[0], &c, 1) == 0)
			work(ctx);
		/* Sanitizers do more in _exit(). */
		syscall(SYS_exit_group, 0);
	}
	close(ends[0]);
	child.go_fd = ends[1];
	while (!live_sleeps(child.pid))
		usleep(100);
	return child;
}

/* Lets it run and waits for its end. */
static inline int live_join(struct live_child *child)
{
	int status = -1;

	close(child->go_fd);
	waitpid(child->pid, &status, 0);
	return status;
}

static inline int live_follow(struct live *l, pid_t pid)
{
	uint32_t key = (uint32_t)pid;
	uint8_t on = 1;

	return bpf_map_update_elem(l->traced_fd, &key, &on, BPF_ANY);
}

static inline void live_getppid(void *nr)
{
	for (long i = 0; i < *(long *)nr; i++)
		syscall(SYS_getppid);
}

#endif
