/*
 * Between the files of proberings: each way of the records is one table of
 * functions.
 */
#ifndef RECORD_PROBERINGS_PRIVATE_H
#define RECORD_PROBERINGS_PRIVATE_H

#include "record/proberings.h"

struct proberings_ops {
	const char *name;
	/* -errno, with d set where there is more to say than that. */
	int (*open)(struct proberings *r, struct diag *d);
	void (*close)(struct proberings *r);
	size_t (*take)(struct proberings *r, uint32_t lane, uint64_t until_ns,
		       proberings_fn fn, void *ctx);
	unsigned int (*fill_percent)(const struct proberings *r);
	bool (*is_empty)(const struct proberings *r);	/* NULL: what is taken was all */
};

struct proberings {
	const struct proberings_ops *ops;
	enum proberings_way way;
	void *impl;
	struct proberings_maps maps;
	uint32_t nr_lanes;
	int poll_fd;
	uint32_t *enabled;		/* memory of the maps */
	uint64_t *lost;
};

const struct proberings_ops *proberings_mapped_ops(void);
const struct proberings_ops *proberings_queue_ringbuf(void);
const struct proberings_ops *proberings_queue_perfbuf(void);

/* An array that both sides see: its fd, and where it is mapped here. */
int proberings_map_array(const char *name, size_t value_bytes, uint32_t nr_values, int *fd,
			 void **mapped);
void proberings_unmap_array(void *mapped, size_t value_bytes, uint32_t nr_values);

#endif
