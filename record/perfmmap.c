#include "record/perfmmap.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define MAX_RECORD_BYTES 65536	/* sizes are 16 bits wide */

int perfmmap_init(struct perfmmap *m, struct perf_event_mmap_page *page, const void *data,
		  size_t data_bytes)
{
	*m = (struct perfmmap){ .page = page, .data = data, .data_bytes = data_bytes };
	m->tail = m->head = page->data_tail;
	m->copy = malloc(MAX_RECORD_BYTES);
	return m->copy ? 0 : -ENOMEM;
}

int perfmmap_open(struct perfmmap *m, int fd, size_t data_bytes)
{
	size_t page_bytes = (size_t)sysconf(_SC_PAGESIZE);
	size_t bytes = page_bytes + data_bytes;
	uint8_t *base;
	int err;

	base = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (base == MAP_FAILED)
		return -errno;
	err = perfmmap_init(m, (void *)base, base + page_bytes, data_bytes);
	if (err) {
		munmap(base, bytes);
		return err;
	}
	m->mapped = base;
	m->mapped_bytes = bytes;
	return 0;
}

void perfmmap_close(struct perfmmap *m)
{
	if (m->mapped)
		munmap(m->mapped, m->mapped_bytes);
	free(m->copy);
	*m = (struct perfmmap){ 0 };
}

void perfmmap_refresh(struct perfmmap *m)
{
	/* Pairs with the kernel's barrier between the records and data_head. */
	m->head = __atomic_load_n(&m->page->data_head, __ATOMIC_ACQUIRE);
}

void perfmmap_release_room(struct perfmmap *m)
{
	/* All reads of the records come before the kernel may overwrite them. */
	__atomic_store_n(&m->page->data_tail, m->tail, __ATOMIC_RELEASE);
}

const struct perf_event_header *perfmmap_next(struct perfmmap *m)
{
	const struct perf_event_header *header;
	size_t at = m->tail & (m->data_bytes - 1), size_bytes, first;

	if (m->tail == m->head) {
		if (m->page->data_tail != m->tail)
			perfmmap_release_room(m);
		return NULL;
	}
	/* Records start at multiples of 8, so a header never wraps. */
	header = (const void *)(m->data + at);
	size_bytes = header->size;
	if (size_bytes < sizeof(*header) || size_bytes % 8 || size_bytes > m->head - m->tail) {
		/* Not what a kernel writes: leave the rest out. */
		m->tail = m->head;
		perfmmap_release_room(m);
		return NULL;
	}
	m->tail += size_bytes;
	if (at + size_bytes <= m->data_bytes)
		return header;
	first = m->data_bytes - at;
	memcpy(m->copy, m->data + at, first);
	memcpy(m->copy + first, m->data, size_bytes - first);
	return (const void *)m->copy;
}

unsigned int perfmmap_fill_percent(const struct perfmmap *m)
{
	uint64_t head = __atomic_load_n(&m->page->data_head, __ATOMIC_RELAXED);

	return (unsigned int)((head - m->tail) * 100 / m->data_bytes);
}
