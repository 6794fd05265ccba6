#include "record/ringdrain.h"

#include <errno.h>
#include <linux/bpf.h>
#include <sys/mman.h>
#include <unistd.h>

int ringdrain_open(struct ringdrain *r, int map_fd, size_t data_bytes)
{
	size_t page_bytes = (size_t)sysconf(_SC_PAGESIZE);
	void *consumer, *producer;

	consumer = mmap(NULL, page_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, map_fd, 0);
	if (consumer == MAP_FAILED)
		return -errno;
	/* The kernel maps the data twice in a row, so that no message wraps. */
	producer = mmap(NULL, page_bytes + 2 * data_bytes, PROT_READ, MAP_SHARED, map_fd,
			(off_t)page_bytes);
	if (producer == MAP_FAILED) {
		int err = -errno;

		munmap(consumer, page_bytes);
		return err;
	}
	*r = (struct ringdrain){
		.consumer = consumer, .producer = producer,
		.data = (const uint8_t *)producer + page_bytes,
		.data_bytes = data_bytes, .page_bytes = page_bytes,
	};
	return 0;
}

void ringdrain_close(struct ringdrain *r)
{
	if (!r->consumer)
		return;
	munmap(r->consumer, r->page_bytes);
	munmap((void *)(uintptr_t)r->producer, r->page_bytes + 2 * r->data_bytes);
	*r = (struct ringdrain){ 0 };
}

void ringdrain_run(struct ringdrain *r,
		   bool (*fn)(void *ctx, const void *message, size_t size_bytes), void *ctx)
{
	unsigned long at = *r->consumer, end, returned = at;
	/* Room goes back in steps: the two positions share no cache line to fight over. */
	size_t step = r->data_bytes / 16;

	/* Up to what is there now: a busy machine must not keep us here for good. */
	end = __atomic_load_n(r->producer, __ATOMIC_ACQUIRE);
	while (at < end) {
		const uint8_t *record = r->data + (at & (r->data_bytes - 1));
		uint32_t header = __atomic_load_n((const uint32_t *)(const void *)record,
						  __ATOMIC_ACQUIRE);
		uint32_t size_bytes = header & ~(BPF_RINGBUF_BUSY_BIT | BPF_RINGBUF_DISCARD_BIT);

		if (header & BPF_RINGBUF_BUSY_BIT)
			break;
		if (!(header & BPF_RINGBUF_DISCARD_BIT) &&
		    !fn(ctx, record + BPF_RINGBUF_HDR_SZ, size_bytes))
			break;
		at += (BPF_RINGBUF_HDR_SZ + size_bytes + 7) & ~7ul;
		if (at - returned >= step) {
			__atomic_store_n(r->consumer, at, __ATOMIC_RELEASE);
			returned = at;
		}
	}
	if (at != returned)
		__atomic_store_n(r->consumer, at, __ATOMIC_RELEASE);
}

unsigned int ringdrain_fill_percent(const struct ringdrain *r)
{
	unsigned long head = __atomic_load_n(r->producer, __ATOMIC_RELAXED);

	return (unsigned int)((head - *r->consumer) * 100 / r->data_bytes);
}
