/*
 * A perf mmap buffer: records that the kernel writes and we read, in a ring of
 * shared pages (perf_event_open(2), "MMAP layout").
 *
 *	perfmmap_refresh(m);			what is there by now
 *	while ((record = perfmmap_next(m)))	NULL: no more of that
 *		...
 *
 * A record is valid until the next call for the same buffer; its room goes back
 * to the kernel when perfmmap_next() returns NULL or by perfmmap_release_room().
 */
#ifndef RECORD_PERFMMAP_H
#define RECORD_PERFMMAP_H

#include <linux/perf_event.h>
#include <stddef.h>
#include <stdint.h>

struct perfmmap {
	struct perf_event_mmap_page *page;
	const uint8_t *data;
	size_t data_bytes;	/* a power of two */
	uint64_t head, tail;	/* of what was seen, of what was taken */
	uint8_t *copy;		/* a record that wraps around the end */
	void *mapped;		/* NULL: memory of the caller */
	size_t mapped_bytes;
};

/* data_bytes is a power of two of at least a page. */
int perfmmap_open(struct perfmmap *m, int fd, size_t data_bytes);
/* Over memory that somebody else owns. */
int perfmmap_init(struct perfmmap *m, struct perf_event_mmap_page *page, const void *data,
		  size_t data_bytes);
void perfmmap_close(struct perfmmap *m);
void perfmmap_refresh(struct perfmmap *m);
const struct perf_event_header *perfmmap_next(struct perfmmap *m);
/* The record that was returned last is no longer needed, either. */
void perfmmap_release_room(struct perfmmap *m);
unsigned int perfmmap_fill_percent(const struct perfmmap *m);

#endif
