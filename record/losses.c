#include "record/losses.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "record/hostinfo.h"
#include "record/tally.h"

struct count {
	uint64_t ring_total;		/* as its source counts, since the start */
	uint64_t output;		/* since the last write */
};

/* What tables of spans and tallies counted of one probe, since the start. */
struct table_counts {
	uint64_t missed, no_room, no_start, no_end, open;
};

/* Rows: the sampler's events, then the probes. */
struct losses {
	struct sampler *sampler;
	struct sideband *sideband;
	struct probing *probing;
	uint32_t *event_ids;
	size_t nr_sampled, nr_rows;
	uint32_t nr_cpus;
	struct count *counts;		/* by row, then CPU */
	struct table_counts *tables;	/* by probe */
	uint64_t *sideband_totals;	/* by CPU */
	uint64_t total, no_start, no_end, since_ns;
};

static int add_rows(struct losses *l, const uint32_t *event_ids, size_t nr)
{
	size_t rows = l->nr_rows + nr;
	uint32_t *ids = realloc(l->event_ids, (rows + 1) * sizeof(*ids));
	struct count *counts;

	if (!ids)
		return -ENOMEM;
	l->event_ids = ids;
	counts = realloc(l->counts, (rows * l->nr_cpus + 1) * sizeof(*counts));
	if (!counts)
		return -ENOMEM;
	l->counts = counts;
	memset(counts + l->nr_rows * l->nr_cpus, 0, nr * l->nr_cpus * sizeof(*counts));
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

	l->tables = calloc(nr + 1, sizeof(*l->tables));
	if (!l->tables)
		return -ENOMEM;
	l->probing = probing;
	return add_rows(l, event_ids, nr);
}

void losses_free(struct losses *l)
{
	if (!l)
		return;
	free(l->event_ids);
	free(l->counts);
	free(l->tables);
	free(l->sideband_totals);
	free(l);
}

static void count_output(struct losses *l, uint32_t cpu, size_t row)
{
	if (cpu >= l->nr_cpus || row >= l->nr_rows)
		return;
	l->counts[row * l->nr_cpus + cpu].output++;
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
		struct count *t = &l->counts[row * l->nr_cpus + cpu];
		uint64_t ring = ring_losses(l, row, cpu);

		write_one(l, w, now_ns, cpu, l->event_ids[row], LOSS_RING, ring - t->ring_total);
		write_one(l, w, now_ns, cpu, l->event_ids[row], LOSS_OUTPUT, t->output);
		l->total += ring - t->ring_total;
		t->ring_total = ring;
		t->output = 0;
	}
}

/* As its tables count now. */
static struct table_counts look(struct losses *l, uint32_t probe)
{
	const struct probe *p = probing_probes(l->probing)->list[probe];
	struct table_counts now = {
		.missed = probing_missed(l->probing, probe), .open = l->tables[probe].open,
	};
	struct spanmaps_counts spans;

	if (p->span) {
		spanmaps_counts(probing_spans(l->probing), probe, &spans);
		now.no_room = spans.no_room + spans.backwards;
		now.no_start = spans.no_start;
		now.no_end = spans.replaced + now.open;
	}
	if (p->tally)
		now.no_room += tally_lost(p->tally) + tally_lost_buckets(p->tally);
	return now;
}

static void write_tables(struct losses *l, struct writer *w, uint64_t now_ns, uint32_t probe)
{
	uint32_t event = l->event_ids[l->nr_sampled + probe];
	struct table_counts *was = &l->tables[probe], now = look(l, probe);

	write_one(l, w, now_ns, LOSS_CPU_UNKNOWN, event, LOSS_RECURSION, now.missed - was->missed);
	write_one(l, w, now_ns, LOSS_CPU_UNKNOWN, event, LOSS_ROOM, now.no_room - was->no_room);
	write_one(l, w, now_ns, LOSS_CPU_UNKNOWN, event, LOSS_NO_START, now.no_start - was->no_start);
	write_one(l, w, now_ns, LOSS_CPU_UNKNOWN, event, LOSS_NO_END, now.no_end - was->no_end);
	l->total += now.missed - was->missed + now.no_room - was->no_room;
	l->no_start += now.no_start - was->no_start;
	l->no_end += now.no_end - was->no_end;
	*was = now;
}

void losses_close_spans(struct losses *l)
{
	for (uint32_t probe = 0; probe + l->nr_sampled < l->nr_rows; probe++)
		if (probing_probes(l->probing)->list[probe]->span)
			l->tables[probe].open =
				spanmaps_open_starts(probing_spans(l->probing), probe);
}

void losses_write(struct losses *l, struct writer *w, uint64_t now_ns)
{
	for (size_t row = 0; row < l->nr_rows; row++)
		write_row(l, w, now_ns, row);
	for (uint32_t probe = 0; probe + l->nr_sampled < l->nr_rows; probe++)
		write_tables(l, w, now_ns, probe);
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

void losses_unpaired(const struct losses *l, uint64_t *no_start, uint64_t *no_end)
{
	*no_start = l->no_start;
	*no_end = l->no_end;
}
