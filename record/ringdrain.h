/*
 * Reading a BPF ring buffer (Documentation/bpf/ringbuf.rst of the kernel): one
 * buffer for all CPUs, in the order in which the messages were begun.
 */
#ifndef RECORD_RINGDRAIN_H
#define RECORD_RINGDRAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ringdrain {
	unsigned long *consumer;	/* a page of ours */
	const unsigned long *producer;	/* a page of the kernel's, then the data */
	const uint8_t *data;
	size_t data_bytes, page_bytes;
};

int ringdrain_open(struct ringdrain *r, int map_fd, size_t data_bytes);
void ringdrain_close(struct ringdrain *r);
/*
 * Hands over the messages that are complete now; they lie at multiples of 8.  One for
 * which fn returns false stays, and so do all after it.
 */
void ringdrain_run(struct ringdrain *r,
		   bool (*fn)(void *ctx, const void *message, size_t size_bytes), void *ctx);
unsigned int ringdrain_fill_percent(const struct ringdrain *r);

#endif
