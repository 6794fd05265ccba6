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

#include "record/schedprog_private.h"

/* 120,000 records: what a CPU that does nothing but switch fills in 100 ms. */
#define RECORDS_CPU_BYTES (16u << 20)
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
		.way = ring_way(p), .nr_probes = 1,
		.cpu_bytes = p->opts.cpu_bytes, .default_cpu_bytes = RECORDS_CPU_BYTES,
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

/* --- attaching ---------------------------------------------------------------------- */

static int attach(struct schedprog *p, struct diag *d)
{
	struct bpf_program *prog;

	bpf_object__for_each_program(prog, p->skel->obj) {
		const char *section = bpf_program__section_name(prog);
		struct bpf_link *link;
		bool is_iterator;

		if (!bpf_program__autoload(prog))
			continue;
		is_iterator = !strncmp(section, "iter", 4);
		link = is_iterator ? bpf_program__attach_iter(prog, NULL) :
				     bpf_program__attach_trace(prog);
		if (!link)
			return diag_set(d, -errno, "cannot attach to '%s': %s", section,
					strerror(errno));
		if (is_iterator)
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
		err = schedprog_load(p, d);
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

static void set_enabled(struct schedprog *p, uint32_t enabled)
{
	for (uint32_t cpu = 0; cpu < p->nr_cpus; cpu++)
		__atomic_store_n(&p->cpus[cpu].is_enabled, enabled, __ATOMIC_SEQ_CST);
}

/* What is there at the start is noted while the programs already run: nothing slips by. */
int schedprog_enable(struct schedprog *p, struct diag *d)
{
	struct sched_control *control = &p->skel->bss->control;
	int err;

	p->missed_before = count_missed(p);
	control->start_ns = monotonic_ns();
	__atomic_store_n(&control->noting, 1, __ATOMIC_SEQ_CST);
	/* Meanwhile a thread may go from a CPU to one whose programs do nothing yet. */
	control->everywhere_ns = UINT64_MAX;
	set_enabled(p, 1);
	control->everywhere_ns = monotonic_ns();
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
	set_enabled(p, 0);
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

int schedprog_first_wrong(const struct schedprog *p, bool user, struct sched_wrong *out)
{
	uint32_t which = user;

	return bpf_map_lookup_elem(bpf_map__fd(p->skel->maps.wrongs), &which, out) ? -errno : 0;
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
		out->checked += c->checked;
		out->wrong_kernel += c->wrong_kernel;
		out->wrong_user += c->wrong_user;
		out->unstable += c->unstable;
		out->unchecked += c->unchecked;
	}
	/* Some kernels show no switch away from some threads, and count no missed run either. */
	if (out->missed < unseen)
		out->missed = unseen;
}
