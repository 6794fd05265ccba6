#include "record/probing.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "record/attachset.h"
#include "record/perfevent.h"
#include "record/probeprog.h"
#include "record/tally.h"

/* Runs that the kernel left out: before the probe was enabled, and from then on. */
struct missed {
	uint64_t before, total;
};

struct probing {
	struct probing_opts opts;
	struct probes probes;
	struct proberings *rings;
	struct spanmaps *spans;		/* NULL: none */
	struct attachset attached;
	struct missed *missed;		/* by probe */
	struct irqcontext irqs;
	bool is_enabled;
};

/* Whoever looks at an event by its name must get one, not two with other filters. */
static int check_names(const struct probes *set, size_t before, const struct probe_spec *spec,
		       struct diag *d)
{
	for (size_t i = before; i < set->nr; i++)
		for (size_t k = 0; k < before; k++)
			if (!strcmp(set->list[i]->name, set->list[k]->name))
				return diag_set(d, -EINVAL, "event '%s' is asked for twice, the "
						"second time by '%s': leave that out, or join "
						"their filters with ||", set->list[i]->name,
						spec->text);
	return 0;
}

static int check_durations(const struct probes *set, size_t before,
			   const struct probe_spec *spec, struct diag *d)
{
	if (spec->min_ns && spec->max_ns && spec->min_ns > spec->max_ns)
		return diag_set(d, -EINVAL, "no duration of '%s' is at least --min and at most "
				"--max", spec->text);
	for (size_t i = before; i < set->nr && (spec->min_ns || spec->max_ns); i++) {
		if (!set->list[i]->span)
			return diag_set(d, -EINVAL, "'%s' has no duration that --min and --max could "
					"look at: a span has one, START..END", set->list[i]->name);
		set->list[i]->span->min_ns = spec->min_ns;
		set->list[i]->span->max_ns = spec->max_ns;
	}
	return 0;
}

static int resolve_all(struct probing *p, struct diag *d)
{
	int err = 0;

	for (size_t i = 0; i < p->opts.nr_specs && !err; i++) {
		size_t before = p->probes.nr;

		err = probe_resolve(&p->probes, &p->opts.specs[i], d);
		if (!err)
			err = check_names(&p->probes, before, &p->opts.specs[i], d);
		if (!err)
			err = check_durations(&p->probes, before, &p->opts.specs[i], d);
	}
	return err;
}

static enum proberings_way ring_way(const struct probing *p)
{
	static const struct {
		const char *name;
		enum proberings_way way;
	} ways[] = {
		{ "mapped", RINGS_MAPPED }, { "ringbuf", RINGS_RINGBUF },
		{ "perfbuf", RINGS_PERFBUF },
	};
	enum proberings_way found = RINGS_AUTO;
	size_t nr = 0;

	if (p->opts.way != RINGS_AUTO || !p->opts.use)
		return p->opts.way;
	/* A list of ways may name none of these, or all that it allows. */
	for (size_t i = 0; i < sizeof(ways) / sizeof(*ways); i++) {
		if (probe_may_use(&p->probes, ways[i].name)) {
			found = ways[i].way;
			nr++;
		}
	}
	return nr == 1 ? found : RINGS_AUTO;
}

static int open_rings(struct probing *p, struct diag *d)
{
	struct proberings_opts opts = {
		.way = ring_way(p), .cpu_bytes = p->opts.cpu_bytes,
		.nr_probes = (uint32_t)p->probes.nr,
	};

	for (size_t i = 0; i < p->probes.nr; i++) {
		const struct probe *probe = p->probes.list[i];
		size_t bytes = probe->tally ? 0 : probeprog_max_bytes(probe);

		if (bytes > opts.max_record_bytes)
			opts.max_record_bytes = bytes;
	}
	return proberings_open(&p->rings, &opts, d);
}

static int open_tables(struct probing *p, struct diag *d)
{
	struct proberings_maps maps;
	bool spans = false;
	int err;

	proberings_maps(p->rings, &maps);
	for (size_t i = 0; i < p->probes.nr; i++)
		spans |= p->probes.list[i]->span != NULL;
	err = tally_open(&p->probes, maps.nr_cpus, maps.atomics, d);
	return err || !spans ? err : spanmaps_open(&p->spans, &p->probes, maps.nr_cpus, d);
}

static void describe_target(const struct probing *p, struct probeprog_target *t)
{
	const struct target *target = p->opts.target;

	*t = (struct probeprog_target){
		.not_pid = target->all ? (uint32_t)getpid() : 0,
		.traced_fd = p->opts.traced_fd, .traced_tids_fd = p->opts.traced_tids_fd,
		.cgroup_fd = p->opts.cgroup_fd, .irqs = p->irqs,
	};
	if (target->some_cpus) {
		t->cpus = target->cpus;
		t->nr_cpus = target->nr_cpus;
	}
}

static int attach_start(struct probing *p, uint32_t index, const struct probeprog_env *env,
			struct diag *d)
{
	struct probe *probe = p->probes.list[index], *start = probe->span->start;
	int err = 0;

	for (size_t i = 0; i < start->nr_variants && !err; i++) {
		struct probe_variant *v = &start->variants[i];

		err = probeprog_load_start(probe, v, index, env, d);
		if (!err)
			err = start->kind->attach(&p->probes, start, v, &p->attached, d);
	}
	return err;
}

static int attach_one(struct probing *p, uint32_t index, const struct probeprog_env *env,
		      struct diag *d)
{
	struct probe *probe = p->probes.list[index];
	int err = 0;

	for (size_t i = 0; i < probe->nr_variants && !err; i++) {
		struct probe_variant *v = &probe->variants[i];

		err = probeprog_load(probe, v, index, env, d);
		if (!err)
			err = probe->kind->attach(&p->probes, probe, v, &p->attached, d);
	}
	if (!err && probe->span)
		err = attach_start(p, index, env, d);
	if (err)
		diag_set(d, err, "cannot attach to '%s': %s", probe->name, strerror(-err));
	return err;
}

static int attach_all(struct probing *p, struct diag *d)
{
	struct probeprog_env env = { .way = proberings_way(p->rings), .spans = p->spans };
	int err = 0;

	proberings_maps(p->rings, &env.maps);
	describe_target(p, &env.target);
	for (size_t i = 0; i < p->probes.nr && !err; i++) {
		if (p->opts.progress && p->opts.progress(p->opts.progress_ctx, "attaching", i,
							 p->probes.nr))
			return diag_set(d, -EINTR, "interrupted, with %zu of %zu events attached; "
					"nothing was recorded", i, p->probes.nr);
		err = attach_one(p, (uint32_t)i, &env, d);
	}
	return err;
}

int probing_open(struct probing **out, const struct probing_opts *opts, struct diag *d)
{
	struct probing *p = calloc(1, sizeof(*p));
	int err;

	if (!p)
		return diag_set(d, -ENOMEM, "out of memory");
	p->opts = *opts;
	p->probes.pids = opts->target->pids;
	p->probes.nr_pids = opts->target->child ? 0 : opts->target->nr_pids;
	p->probes.use = opts->use;
	p->probes.progress = opts->progress;
	p->probes.progress_ctx = opts->progress_ctx;
	/* Two for each event at least; the command that is recorded has its limit already. */
	perfevent_raise_open_files();
	err = resolve_all(p, d);
	if (!err) {
		p->missed = calloc(p->probes.nr + 1, sizeof(*p->missed));
		err = p->missed ? open_rings(p, d) : diag_set(d, -ENOMEM, "out of memory");
	}
	if (!err)
		err = open_tables(p, d);
	if (!err && opts->target->all)
		irqcontext_find(&p->irqs);
	if (!err)
		err = attach_all(p, d);
	if (err) {
		probing_close(p);
		return err;
	}
	*out = p;
	return 0;
}

const struct probes *probing_probes(const struct probing *p)
{
	return &p->probes;
}

struct proberings *probing_rings(struct probing *p)
{
	return p->rings;
}

struct spanmaps *probing_spans(struct probing *p)
{
	return p->spans;
}

const char *probing_note(const struct probing *p)
{
	return p->probes.note[0] ? p->probes.note : NULL;
}

const char *probing_irq_note(const struct probing *p)
{
	if (!p->opts.target->all || p->irqs.way != IRQCONTEXT_UNKNOWN)
		return NULL;
	return "interrupts that come while kymo itself runs are left out: neither the kernel's "
	       "types nor its symbols tell how to know them (see: kernel.kptr_restrict)";
}

static uint64_t count_missed(const struct probe *p)
{
	uint64_t missed = 0;

	for (size_t i = 0; i < p->nr_variants; i++)
		missed += probeprog_missed(&p->variants[i]);
	if (p->kind->missed)
		missed += p->kind->missed(p);
	return p->span ? missed + count_missed(p->span->start) : missed;
}

/* What programs miss while they do nothing anyway is no loss. */
void probing_enable(struct probing *p, bool on)
{
	for (size_t i = 0; on && i < p->probes.nr; i++)
		p->missed[i].before = count_missed(p->probes.list[i]);
	for (uint32_t i = 0; !on && i < p->probes.nr; i++)
		probing_missed(p, i);
	p->is_enabled = on;
	proberings_enable(p->rings, on);
}

uint64_t probing_missed(struct probing *p, uint32_t probe)
{
	struct missed *m = &p->missed[probe];

	if (p->is_enabled)
		m->total = count_missed(p->probes.list[probe]) - m->before;
	return m->total;
}

void probing_close(struct probing *p)
{
	if (!p)
		return;
	attachset_close(&p->attached);
	probe_release_all(&p->probes);
	spanmaps_close(p->spans);
	proberings_close(p->rings);
	free(p->missed);
	free(p);
}
