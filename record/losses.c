#include "record/losses.h"

#include <errno.h>
#include <stdlib.h>

#include "record/hostinfo.h"

struct tally {
	uint64_t ring_total;		/* as the sampler counts, since the start */
	uint64_t output;		/* since the last write */
};

struct losses {
	struct sampler *sampler;
	struct sideband *sideband;
	const uint32_t *event_ids;
	size_t nr_events;
	uint32_t nr_cpus;
	struct tally *tallies;		/* by event, then CPU */
	uint64_t *sideband_totals;	/* by CPU */
	uint64_t total, since_ns;
};

int losses_new(struct losses **out, struct sampler *sampler, struct sideband *sideband,
	       const uint32_t *event_ids, size_t nr_events)
{
	struct losses *l = calloc(1, sizeof(*l));

	if (!l)
		return -ENOMEM;
	l->sampler = sampler;
	l->sideband = sideband;
	l->event_ids = event_ids;
	l->nr_events = nr_events;
	l->nr_cpus = sampler_nr_cpus(sampler);
	l->since_ns = hostinfo_now_ns();
	l->tallies = calloc(nr_events * l->nr_cpus, sizeof(*l->tallies));
	l->sideband_totals = calloc(l->nr_cpus, sizeof(*l->sideband_totals));
	if (!l->tallies || !l->sideband_totals) {
		losses_free(l);
		return -ENOMEM;
	}
	*out = l;
	return 0;
}

void losses_free(struct losses *l)
{
	if (!l)
		return;
	free(l->tallies);
	free(l->sideband_totals);
	free(l);
}

void losses_output(struct losses *l, uint32_t cpu, uint32_t event)
{
	if (cpu >= l->nr_cpus || event >= l->nr_events)
		return;
	l->tallies[event * l->nr_cpus + cpu].output++;
	l->total++;
}

static void write_one(struct losses *l, struct writer *w, uint64_t now_ns, uint32_t cpu,
		      uint32_t event, enum loss_cause cause, uint64_t count)
{
	if (count)
		writer_loss(w, &(struct writer_loss){
			.first_ns = l->since_ns, .last_ns = now_ns, .cpu = cpu,
			.event = event, .cause = cause, .count = count,
		});
}

static void write_event(struct losses *l, struct writer *w, uint64_t now_ns, uint32_t event)
{
	for (uint32_t cpu = 0; cpu < l->nr_cpus; cpu++) {
		struct tally *t = &l->tallies[event * l->nr_cpus + cpu];
		uint64_t ring = sampler_lost(l->sampler, event, cpu);

		write_one(l, w, now_ns, cpu, l->event_ids[event], LOSS_RING,
			  ring - t->ring_total);
		write_one(l, w, now_ns, cpu, l->event_ids[event], LOSS_OUTPUT, t->output);
		l->total += ring - t->ring_total;
		t->ring_total = ring;
		t->output = 0;
	}
}

void losses_write(struct losses *l, struct writer *w, uint64_t now_ns)
{
	for (size_t event = 0; event < l->nr_events; event++)
		write_event(l, w, now_ns, (uint32_t)event);
	for (uint32_t cpu = 0; cpu < l->nr_cpus; cpu++) {
		uint64_t lost = sideband_lost(l->sideband, cpu) +
				sampler_lost(l->sampler, SAMPLER_TASKS, cpu);

		write_one(l, w, now_ns, cpu, 0, LOSS_SIDEBAND, lost - l->sideband_totals[cpu]);
		l->sideband_totals[cpu] = lost;
	}
	l->since_ns = now_ns;
}

uint64_t losses_total(const struct losses *l)
{
	return l->total;
}
