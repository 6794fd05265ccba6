#include "record/losses.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "record/hostinfo.h"

/* What nobody knows the CPU of. */
#define NO_CPU UINT32_MAX

struct tally {
	uint64_t ring_total;		/* as its source counts, since the start */
	uint64_t output;		/* since the last write */
};

/* Rows: the sampler's events, then the probes. */
struct losses {
	struct sampler *sampler;
	struct sideband *sideband;
	struct probing *probing;
	uint32_t *event_ids;
	size_t nr_sampled, nr_rows;
	uint32_t nr_cpus;
	struct tally *tallies;		/* by row, then CPU */
	uint64_t *missed_totals;	/* by probe */
	uint64_t *sideband_totals;	/* by CPU */
	uint64_t total, since_ns;
};

static int add_rows(struct losses *l, const uint32_t *event_ids, size_t nr)
{
	size_t rows = l->nr_rows + nr;
	uint32_t *ids = realloc(l->event_ids, (rows + 1) * sizeof(*ids));
	struct tally *tallies;

	if (!ids)
		return -ENOMEM;
	l->event_ids = ids;
	tallies = realloc(l->tallies, (rows * l->nr_cpus + 1) * sizeof(*tallies));
	if (!tallies)
		return -ENOMEM;
	l->tallies = tallies;
	memset(tallies + l->nr_rows * l->nr_cpus, 0, nr * l->nr_cpus * sizeof(*tallies));
	for (size_t i = 0; i < nr; i++)
		ids[l->nr_rows + i] = event_ids[i];
	l->nr_rows = rows;
	return 0;
}

int losses_new(struct losses **out, struct sampler *sampler, struct sideband *sideband,
	       const uint32_t *event_ids, size_t nr_events)
{
	struct losses *l = calloc(1, sizeof(*l));

	if (!l)
		return -ENOMEM;
	l->sampler = sampler;
	l->sideband = sideband;
	l->nr_cpus = sampler_nr_cpus(sampler);
	l->since_ns = hostinfo_now_ns();
	l->nr_sampled = nr_events;
	l->sideband_totals = calloc(l->nr_cpus, sizeof(*l->sideband_totals));
	if (!l->sideband_totals || add_rows(l, event_ids, nr_events) < 0) {
		losses_free(l);
		return -ENOMEM;
	}
	*out = l;
	return 0;
}

int losses_add_probes(struct losses *l, struct probing *probing, const uint32_t *event_ids)
{
	size_t nr = probing_probes(probing)->nr;

	l->missed_totals = calloc(nr + 1, sizeof(*l->missed_totals));
	if (!l->missed_totals)
		return -ENOMEM;
	l->probing = probing;
	return add_rows(l, event_ids, nr);
}

void losses_free(struct losses *l)
{
	if (!l)
		return;
	free(l->event_ids);
	free(l->tallies);
	free(l->missed_totals);
	free(l->sideband_totals);
	free(l);
}

static void count_output(struct losses *l, uint32_t cpu, size_t row)
{
	if (cpu >= l->nr_cpus || row >= l->nr_rows)
		return;
	l->tallies[row * l->nr_cpus + cpu].output++;
	l->total++;
}

void losses_output(struct losses *l, uint32_t cpu, uint32_t event)
{
	if (event < l->nr_sampled)
		count_output(l, cpu, event);
}

void losses_output_probe(struct losses *l, uint32_t cpu, uint32_t probe)
{
	count_output(l, cpu, l->nr_sampled + probe);
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

static uint64_t ring_losses(struct losses *l, size_t row, uint32_t cpu)
{
	if (row < l->nr_sampled)
		return sampler_lost(l->sampler, (uint32_t)row, cpu);
	return proberings_lost(probing_rings(l->probing), (uint32_t)(row - l->nr_sampled), cpu);
}

static void write_row(struct losses *l, struct writer *w, uint64_t now_ns, size_t row)
{
	for (uint32_t cpu = 0; cpu < l->nr_cpus; cpu++) {
		struct tally *t = &l->tallies[row * l->nr_cpus + cpu];
		uint64_t ring = ring_losses(l, row, cpu);

		write_one(l, w, now_ns, cpu, l->event_ids[row], LOSS_RING, ring - t->ring_total);
		write_one(l, w, now_ns, cpu, l->event_ids[row], LOSS_OUTPUT, t->output);
		l->total += ring - t->ring_total;
		t->ring_total = ring;
		t->output = 0;
	}
}

static void write_missed(struct losses *l, struct writer *w, uint64_t now_ns)
{
	for (size_t row = l->nr_sampled; row < l->nr_rows; row++) {
		uint64_t *total = &l->missed_totals[row - l->nr_sampled];
		uint64_t missed = probing_missed(l->probing, (uint32_t)(row - l->nr_sampled));

		write_one(l, w, now_ns, NO_CPU, l->event_ids[row], LOSS_RECURSION,
			  missed - *total);
		l->total += missed - *total;
		*total = missed;
	}
}

void losses_write(struct losses *l, struct writer *w, uint64_t now_ns)
{
	for (size_t row = 0; row < l->nr_rows; row++)
		write_row(l, w, now_ns, row);
	write_missed(l, w, now_ns);
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
