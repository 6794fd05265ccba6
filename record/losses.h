/*
 * What was lost, by CPU, event and cause: asked of the sampler and the side
 * band, or counted here, and written as intervals between two flushes.
 */
#ifndef RECORD_LOSSES_H
#define RECORD_LOSSES_H

#include "format/writer.h"
#include "record/probing.h"
#include "record/sampler.h"
#include "record/sideband.h"

#include <stdint.h>

struct losses;

/* event_ids[i] is the id in the file of the sampler's event i; they are copied. */
int losses_new(struct losses **out, struct sampler *sampler, struct sideband *sideband,
	       const uint32_t *event_ids, size_t nr_events);
/* The events of probes, too; event_ids[i] is that of probe i. */
int losses_add_probes(struct losses *l, struct probing *probing, const uint32_t *event_ids);
void losses_free(struct losses *l);
/* A record of the sampler's event was received and the output was too slow for it. */
void losses_output(struct losses *l, uint32_t cpu, uint32_t event);
/* The same of a probe. */
void losses_output_probe(struct losses *l, uint32_t cpu, uint32_t probe);
/* Writes what was lost since the last call. */
void losses_write(struct losses *l, struct writer *w, uint64_t now_ns);
/* Programs are done: starts of spans that still wait never get their ends. */
void losses_close_spans(struct losses *l);
/* Records lost so far, side band notes left out. */
uint64_t losses_total(const struct losses *l);
/* Spans of which only one side was seen, so far. */
void losses_unpaired(const struct losses *l, uint64_t *no_start, uint64_t *no_end);

#endif
