/*
 * What a probe on a function costs: the time it adds to a call, beside that of a
 * program that does nothing.
 *
 *	uprobecost [-c CALLS] [-r ROUNDS]
 *
 * Each round measures all set-ups one after the other; of each the fastest run is
 * printed.
 */
#include "record/attachset.h"
#include "record/bpfcode.h"
#include "record/probe.h"
#include "record/probeprog.h"
#include "record/proberings.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define BATCH 5000		/* calls between two looks at the rings */

struct setup {
	const char *name, *kind, *use, *fields;
	bool empty;
};

static const struct setup setups[] = {
	{ "no probe", NULL, NULL, NULL, false },
	{ "uprobe, empty program", "uprobe", "uprobe", "", true },
	{ "uprobe, record", "uprobe", "uprobe", "", false },
	{ "uprobe, int", "uprobe", "uprobe", "n", false },
	{ "uprobe, int and text", "uprobe", "uprobe", "n,text", false },
	{ "uprobe-multi, empty program", "uprobe", "uprobe-multi", "", true },
	{ "uprobe-multi, record", "uprobe", "uprobe-multi", "", false },
	{ "uprobe-multi, int", "uprobe", "uprobe-multi", "n", false },
	{ "uprobe-multi, int and text", "uprobe", "uprobe-multi", "n,text", false },
	{ "uretprobe, empty program", "uretprobe", "uprobe", "", true },
	{ "uretprobe, retval", "uretprobe", "uprobe", "retval", false },
	{ "uretprobe-multi, empty program", "uretprobe", "uprobe-multi", "", true },
	{ "uretprobe-multi, retval", "uretprobe", "uprobe-multi", "retval", false },
};

#define NR_SETUPS (sizeof(setups) / sizeof(setups[0]))

long uprobecost_target(int n, const char *text);

__attribute__((noipa)) long uprobecost_target(int n, const char *text)
{
	return n + text[0];
}

static double cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void count(void *ctx, uint32_t cpu, const struct probe_record *rec)
{
	(void)cpu;
	*(uint64_t *)ctx += rec->size_bytes != 0;
}

static int load_empty(struct probe_variant *v)
{
	struct bpf_insn insns[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	LIBBPF_OPTS(bpf_prog_load_opts, opts,
		    .expected_attach_type = (enum bpf_attach_type)v->expected_attach_type);

	v->prog_fd = bpf_prog_load(BPF_PROG_TYPE_KPROBE, "empty", "GPL", insns, 2, &opts);
	return v->prog_fd < 0 ? -errno : 0;
}

struct session {
	struct probes set;
	struct proberings *rings;
	struct attachset attached;
};

static int session_open(struct session *s, const struct setup *setup, struct diag *d)
{
	char what[PATH_MAX + 32], exe[PATH_MAX] = "";
	struct probe_spec spec = {
		.text = what, .kind = (char *)(uintptr_t)setup->kind, .what = what,
		.fields = (char *)(uintptr_t)setup->fields,
	};
	struct proberings_opts opts = { .way = RINGS_MAPPED, .nr_probes = 1 };
	struct probeprog_env env = {
		.way = RINGS_MAPPED,
		.target = { .traced_fd = -1, .traced_tids_fd = -1, .cgroup_fd = -1 },
	};
	struct probe *p;
	int err;

	if (readlink("/proc/self/exe", exe, sizeof(exe) - 1) < 0)
		return -errno;
	snprintf(what, sizeof(what), "%s:uprobecost_target", exe);
	s->set.use = setup->use;
	err = probe_resolve(&s->set, &spec, d);
	if (err)
		return err;
	p = s->set.list[0];
	opts.max_record_bytes = probeprog_max_bytes(p);
	err = proberings_open(&s->rings, &opts, d);
	if (err)
		return err;
	proberings_maps(s->rings, &env.maps);
	err = setup->empty ? load_empty(&p->variants[0]) :
			     probeprog_load(p, &p->variants[0], 0, &env, d);
	if (!err)
		err = p->kind->attach(&s->set, p, &p->variants[0], &s->attached, d);
	if (!err)
		proberings_enable(s->rings, true);
	return err;
}

static void session_close(struct session *s)
{
	attachset_close(&s->attached);
	proberings_close(s->rings);
	probe_release_all(&s->set);
}

static void take(struct session *s, uint64_t *nr)
{
	for (uint32_t lane = 0; s->rings && lane < proberings_nr_lanes(s->rings); lane++)
		proberings_take(s->rings, lane, UINT64_MAX, count, nr);
}

/* Nanoseconds per call, or below 0. */
static double measure(const struct setup *setup, long calls)
{
	struct session s = { .rings = NULL };
	struct diag d = { "" };
	volatile long sink = 0;
	uint64_t nr = 0;
	double ns = 0;
	int err = setup->kind ? session_open(&s, setup, &d) : 0;

	if (err)
		fprintf(stderr, "%s: %s\n", setup->name, d.text[0] ? d.text : strerror(-err));
	for (long done = 0; !err && done < calls; done += BATCH) {
		double start = cpu_ns();

		for (int i = 0; i < BATCH; i++)
			sink += uprobecost_target(i, "some text of 24 bytes");
		ns += cpu_ns() - start;
		take(&s, &nr);
	}
	if (!err && setup->kind && !setup->empty && nr != (uint64_t)calls) {
		fprintf(stderr, "%s: %lu records of %ld calls\n", setup->name, (unsigned long)nr,
			calls);
		err = -EIO;
	}
	session_close(&s);
	return err ? -1 : ns / (double)calls;
}

int main(int argc, char **argv)
{
	double best[NR_SETUPS], empty = 0;
	long calls = 50000;
	int rounds = 5, c;

	while ((c = getopt(argc, argv, "c:r:")) != -1) {
		if (c == 'c')
			calls = atol(optarg);
		else if (c == 'r')
			rounds = atoi(optarg);
		else
			return 2;
	}
	calls = (calls + BATCH - 1) / BATCH * BATCH;
	for (size_t i = 0; i < NR_SETUPS; i++)
		best[i] = -1;
	for (int round = 0; round < rounds; round++) {
		for (size_t i = 0; i < NR_SETUPS; i++) {
			double ns = measure(&setups[i], calls);

			if (ns >= 0 && (best[i] < 0 || ns < best[i]))
				best[i] = ns;
		}
	}
	for (size_t i = 0; i < NR_SETUPS; i++) {
		if (setups[i].empty)
			empty = best[i];
		if (best[i] < 0)
			printf("%-32s cannot be measured\n", setups[i].name);
		else
			printf("%-32s %8.0f ns  %5.3f of the empty program\n", setups[i].name,
			       best[i], empty > 0 ? best[i] / empty : 0);
	}
	return 0;
}
