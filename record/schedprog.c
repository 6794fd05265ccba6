#include "record/schedprog.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/membarrier.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "record/btftypes.h"
#include "record/cgroups.h"
#include "record/lockdown.h"
#include "record/procfs.h"
#include "record/schedprog_private.h"

#define LEAST_THREADS (16u << 10)
#define MOST_THREADS (1u << 20)
#define STACKS_CPU_BYTES (1u << 20)

static uint64_t monotonic_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* --- rings ------------------------------------------------------------------------- */

static bool may_use(const struct schedprog *p, const char *way)
{
	const char *at = p->opts.use;
	size_t len = strlen(way);

	while (at && (at = strstr(at, way))) {
		if ((at == p->opts.use || at[-1] == ',') && (at[len] == ',' || !at[len]))
			return true;
		at += len;
	}
	return !p->opts.use;
}

/* A list of ways may name none of these: then it is about something else. */
static enum proberings_way ring_way(const struct schedprog *p)
{
	bool mapped = may_use(p, "mapped"), ringbuf = may_use(p, "ringbuf");
	bool perfbuf = may_use(p, "perfbuf");

	if (mapped + ringbuf + perfbuf != 1)
		return RINGS_AUTO;
	return mapped ? RINGS_MAPPED : ringbuf ? RINGS_RINGBUF : RINGS_PERFBUF;
}

static int open_rings(struct schedprog *p, struct diag *d)
{
	struct proberings_opts records = {
		.way = ring_way(p), .cpu_bytes = p->opts.cpu_bytes, .nr_probes = 1,
		.max_record_bytes = sizeof(struct sched_record),
	};
	struct proberings_opts stacks = {
		.cpu_bytes = STACKS_CPU_BYTES, .nr_probes = 2,
		.max_record_bytes = sizeof(struct sched_stack) +
				    SCHED_MAX_STACK * sizeof(uint64_t),
	};
	int err = proberings_open(&p->records, &records, d);

	if (err)
		return err;
	stacks.way = proberings_way(p->records);
	return proberings_open(&p->stacks, &stacks, d);
}

/* --- loading ----------------------------------------------------------------------- */

static int silence(enum libbpf_print_level level, const char *format, va_list args)
{
	(void)level;
	(void)format;
	(void)args;
	return 0;
}

static uint32_t read_number(const char *path, const char *format)
{
	FILE *f = fopen(path, "re");
	unsigned int n = 0;

	if (f) {
		if (fscanf(f, format, &n) != 1)
			n = 0;
		fclose(f);
	}
	return n;
}

/* Room for many more threads than there are, but not for more than there can be. */
static uint32_t table_size(void)
{
	uint32_t most = read_number("/proc/sys/kernel/pid_max", "%u");
	uint32_t now = read_number("/proc/loadavg", "%*s %*s %*s %*u/%u");
	uint64_t size = 4ull * now;

	if (size < LEAST_THREADS)
		size = LEAST_THREADS;
	if (most && size > most)
		size = most;
	return size > MOST_THREADS ? MOST_THREADS : (uint32_t)size;
}

static bool has_tracepoint(const struct btftypes *types, const char *name)
{
	char text[128];

	snprintf(text, sizeof(text), "btf_trace_%s", name);
	return btftypes_find(types, text, BTF_KIND_TYPEDEF) != 0;
}

/* The previous thread: for a while there was its state before it. */
static uint32_t find_previous(const struct btftypes *types)
{
	uint32_t id = btftypes_find(types, "btf_trace_sched_switch", BTF_KIND_TYPEDEF);
	uint32_t prototype = btftypes_prototype(types, id);
	struct btftypes_member third;

	if (btftypes_nr_members(types, prototype) < 5)
		return 1;
	/* The first one is the tracepoint's own. */
	third = btftypes_member_at(types, prototype, 2);
	return btftypes_kind(types, btftypes_strip(types, third.type)) == BTF_KIND_PTR ? 1 : 2;
}

/* Programs for what this kernel does not have, or was not asked for, are left out. */
static void choose_programs(struct schedprog *p, const struct btftypes *types)
{
	bool mapped = proberings_way(p->records) == RINGS_MAPPED;
	struct bpf_program *prog;

	bpf_object__for_each_program(prog, p->skel->obj) {
		const char *name = bpf_program__name(prog), *suffix = strchr(name, '_');
		const char *section = bpf_program__section_name(prog);

		if (!strncmp(section, "tp_btf/", 7) && !has_tracepoint(types, section + 7))
			bpf_program__set_autoload(prog, false);
		if (suffix && !strcmp(suffix, mapped ? "_queue" : "_mapped"))
			bpf_program__set_autoload(prog, false);
	}
	if (p->opts.traced_fd < 0)
		bpf_program__set_autoload(p->skel->progs.execed, false);
}

static int share_maps(struct schedprog *p)
{
	struct proberings_maps records, stacks;
	int err;

	proberings_maps(p->records, &records);
	proberings_maps(p->stacks, &stacks);
	p->nr_cpus = records.nr_cpus;
	err = bpf_map__reuse_fd(p->skel->maps.records, records.ring_fd);
	if (!err)
		err = bpf_map__reuse_fd(p->skel->maps.records_lost, records.lost_fd);
	if (!err)
		err = bpf_map__reuse_fd(p->skel->maps.stacks, stacks.ring_fd);
	if (!err)
		err = bpf_map__reuse_fd(p->skel->maps.stacks_lost, stacks.lost_fd);
	if (!err)
		err = bpf_map__set_max_entries(p->skel->maps.cpus, p->nr_cpus);
	if (!err)
		err = bpf_map__set_max_entries(p->skel->maps.scratches, p->nr_cpus + 1);
	if (!err)
		err = bpf_map__set_max_entries(p->skel->maps.threads, table_size());
	if (!err && p->opts.traced_fd >= 0)
		err = bpf_map__reuse_fd(p->skel->maps.traced, p->opts.traced_fd);
	if (!err && p->opts.traced_tids_fd >= 0)
		err = bpf_map__reuse_fd(p->skel->maps.traced_tids, p->opts.traced_tids_fd);
	if (!err && p->opts.cgroup_fd >= 0)
		err = bpf_map__reuse_fd(p->skel->maps.cgroups, p->opts.cgroup_fd);
	p->skel->rodata->ring_bytes = records.cpu_bytes;
	p->skel->rodata->stack_ring_bytes = stacks.cpu_bytes;
	return err;
}

static void configure(struct schedprog *p, const struct btftypes *types)
{
	const struct target *target = p->opts.target;
	struct sched_bpf__rodata *c = p->skel->rodata;

	c->ring_is_ringbuf = proberings_way(p->records) == RINGS_RINGBUF;
	c->previous_arg = find_previous(types);
	c->nr_cpus = p->nr_cpus;
	c->min_ns = p->opts.min_ns;
	c->not_pid = target->all ? (uint32_t)getpid() : 0;
	c->by_process = p->opts.traced_fd >= 0;
	c->by_thread = p->opts.traced_tids_fd >= 0;
	c->in_cgroup = p->opts.cgroup_fd >= 0;
	c->cgroup_id = c->in_cgroup ? cgroups_id(target->cgroup_fd) : 0;
	c->all_threads = !c->by_process && !c->by_thread && !c->in_cgroup;
	c->on_some_cpus = target->some_cpus;
	c->want_kernel_stacks = p->opts.kernel_stack;
	c->want_user_stacks = p->opts.user_stack;
	c->may_read = !lockdown_is_confidential();
	c->check_stacks = p->opts.check_stacks;
	if (p->opts.kernel_stack)
		schedprog_find_symbols(p);
}

static int load(struct schedprog *p, struct diag *d)
{
	libbpf_print_fn_t old_print;
	struct btftypes *types;
	int err = btftypes_get(&types, NULL, d);

	if (err)
		return err;
	old_print = libbpf_set_print(silence);
	p->skel = sched_bpf__open();
	err = p->skel ? 0 : -errno;
	if (!err) {
		choose_programs(p, types);
		err = share_maps(p);
		configure(p, types);
	}
	if (!err)
		err = sched_bpf__load(p->skel);
	libbpf_set_print(old_print);
	btftypes_put(types);
	if (err == -EPERM || err == -EACCES)
		return diag_set(d, err, "cannot load the scheduler's programs: %s (run as root, or "
				"with CAP_BPF and CAP_PERFMON)", strerror(-err));
	return err ? diag_set(d, err, "cannot load the scheduler's programs: %s", strerror(-err)) :
		     0;
}

/* --- attaching ---------------------------------------------------------------------- */

static int attach(struct schedprog *p, struct diag *d)
{
	struct bpf_program *prog;

	bpf_object__for_each_program(prog, p->skel->obj) {
		const char *section = bpf_program__section_name(prog);
		struct bpf_link *link;

		if (!bpf_program__autoload(prog))
			continue;
		link = bpf_program__attach(prog);
		if (!link)
			return diag_set(d, -errno, "cannot attach to '%s': %s", section,
					strerror(errno));
		if (!strncmp(section, "iter", 4))
			p->iterator = link;
		else
			p->links[p->nr_links++] = link;
	}
	return 0;
}

static int map_cpus(struct schedprog *p)
{
	size_t bytes = p->nr_cpus * sizeof(*p->cpus);

	p->cpus = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED,
		       bpf_map__fd(p->skel->maps.cpus), 0);
	if (p->cpus == MAP_FAILED) {
		p->cpus = NULL;
		return -errno;
	}
	madvise(p->cpus, bytes, MADV_DONTFORK);
	for (size_t i = 0; i < p->opts.target->nr_cpus; i++)
		if ((uint32_t)p->opts.target->cpus[i] < p->nr_cpus)
			p->cpus[p->opts.target->cpus[i]].is_chosen = 1;
	return 0;
}

int schedprog_open(struct schedprog **out, const struct schedprog_opts *opts, struct diag *d)
{
	struct schedprog *p = calloc(1, sizeof(*p));
	int err;

	*out = NULL;
	if (!p)
		return diag_set(d, -ENOMEM, "out of memory");
	p->opts = *opts;
	err = open_rings(p, d);
	if (!err)
		err = load(p, d);
	if (!err) {
		err = map_cpus(p);
		if (err)
			diag_set(d, err, "cannot share memory with the scheduler's programs: %s",
				 strerror(-err));
	}
	if (!err)
		err = attach(p, d);
	if (err) {
		schedprog_close(p);
		return err;
	}
	*out = p;
	return 0;
}

void schedprog_close(struct schedprog *p)
{
	if (!p)
		return;
	for (size_t i = 0; i < p->nr_links; i++)
		bpf_link__destroy(p->links[i]);
	bpf_link__destroy(p->iterator);
	if (p->cpus)
		munmap(p->cpus, p->nr_cpus * sizeof(*p->cpus));
	sched_bpf__destroy(p->skel);
	proberings_close(p->records);
	proberings_close(p->stacks);
	free(p);
}

/* --- on and off ---------------------------------------------------------------------- */

int schedprog_iterate(const struct schedprog *p)
{
	char text[64];
	ssize_t got;
	int fd;

	if (!p->iterator)
		return -EOPNOTSUPP;
	fd = bpf_iter_create(bpf_link__fd(p->iterator));
	if (fd < 0)
		return -errno;
	/* The program writes nothing: one read is all of it. */
	do
		got = read(fd, text, sizeof(text));
	while (got > 0 || (got < 0 && (errno == EINTR || errno == EAGAIN)));
	close(fd);
	return got < 0 ? -errno : 0;
}

static uint64_t count_missed(const struct schedprog *p)
{
	struct bpf_program *prog;
	uint64_t missed = 0;

	bpf_object__for_each_program(prog, p->skel->obj) {
		struct bpf_prog_info info = { 0 };
		uint32_t bytes = sizeof(info);

		if (bpf_program__fd(prog) >= 0 &&
		    !bpf_obj_get_info_by_fd(bpf_program__fd(prog), &info, &bytes))
			missed += info.recursion_misses;
	}
	return missed;
}

/* What is there at the start is noted while the programs already run: nothing slips by. */
int schedprog_enable(struct schedprog *p, struct diag *d)
{
	struct sched_control *control = &p->skel->bss->control;
	int err;

	p->missed_before = count_missed(p);
	control->start_ns = monotonic_ns();
	__atomic_store_n(&control->noting, 1, __ATOMIC_SEQ_CST);
	__atomic_store_n(&control->enabled, 1, __ATOMIC_SEQ_CST);
	p->enabled = true;
	err = schedprog_iterate(p);
	/* Without an iterator threads are noted when they are first seen. */
	if (err == -EOPNOTSUPP)
		return 0;
	__atomic_store_n(&control->noting, 0, __ATOMIC_SEQ_CST);
	return err ? diag_set(d, err, "cannot look at all threads: %s", strerror(-err)) : 0;
}

void schedprog_disable(struct schedprog *p)
{
	if (!p->enabled)
		return;
	__atomic_store_n(&p->skel->bss->control.enabled, 0, __ATOMIC_SEQ_CST);
	p->disabled_ns = monotonic_ns();
	p->missed = count_missed(p) - p->missed_before;
	p->enabled = false;
	/*
	 * Programs run in read sections of RCU: those that have begun are waited for.  With
	 * CPUs that run without ticks the kernel refuses that; no program takes that long.
	 */
	if (syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0) < 0)
		usleep(20000);
}

/* --- the rest -------------------------------------------------------------------------- */

const char *schedprog_note(const struct schedprog *p)
{
	return p->note[0] ? p->note : NULL;
}

const char *schedprog_method(const struct schedprog *p)
{
	(void)p;
	return "tp_btf";
}

struct proberings *schedprog_records(struct schedprog *p)
{
	return p->records;
}

struct proberings *schedprog_stacks(struct schedprog *p)
{
	return p->stacks;
}

void schedprog_forget_stacks(struct schedprog *p)
{
	__atomic_store_n(&p->skel->bss->control.seed, p->skel->bss->control.seed + 1,
			 __ATOMIC_SEQ_CST);
}

void schedprog_get_counts(struct schedprog *p, struct schedprog_counts *out)
{
	uint64_t unseen = 0;

	*out = (struct schedprog_counts){
		.missed = p->enabled ? count_missed(p) - p->missed_before : p->missed,
	};
	for (uint32_t cpu = 0; cpu < p->nr_cpus; cpu++) {
		const volatile struct sched_cpu *c = &p->cpus[cpu];

		unseen += c->unseen;
		out->lost += proberings_lost(p->records, 0, cpu);
		out->no_room += c->no_room;
		out->no_wakeup += c->no_wakeup;
		out->walked += c->walked;
		out->remembered += c->remembered;
		out->wrong_stacks += c->wrong_stacks;
	}
	/* Some kernels show no switch away from some threads, and count no missed run either. */
	if (out->missed < unseen)
		out->missed = unseen;
}
