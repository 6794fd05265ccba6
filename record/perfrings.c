#include "record/perfrings.h"

#include <errno.h>
#include <linux/perf_event.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <unistd.h>

int perfrings_init(struct perfrings *r, size_t max_rings,
		   uint64_t (*time_of)(const struct perf_event_header *record))
{
	*r = (struct perfrings){ .time_of = time_of, .cap = max_rings };
	r->poll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (r->poll_fd < 0)
		return -errno;
	r->rings = calloc(max_rings, sizeof(*r->rings));
	r->heap = calloc(max_rings, sizeof(*r->heap));
	return r->rings && r->heap ? 0 : -ENOMEM;
}

void perfrings_release(struct perfrings *r)
{
	for (size_t i = 0; i < r->nr; i++)
		perfmmap_close(&r->rings[i].mmap);
	if (r->time_of && r->poll_fd >= 0)
		close(r->poll_fd);
	free(r->rings);
	free(r->heap);
	*r = (struct perfrings){ .poll_fd = -1 };
}

int perfrings_add(struct perfrings *r, int fd, int cpu, size_t *data_bytes)
{
	size_t page_bytes = (size_t)sysconf(_SC_PAGESIZE);
	struct perfrings_ring *ring = &r->rings[r->nr];
	struct epoll_event ready = { .events = EPOLLIN, .data.fd = fd };
	int err;

	if (r->nr == r->cap)
		return -E2BIG;
	for (;;) {
		err = perfmmap_open(&ring->mmap, fd, *data_bytes);
		if ((err != -EPERM && err != -ENOMEM) || *data_bytes <= page_bytes)
			break;
		*data_bytes /= 2;
	}
	if (err)
		return err;
	ring->cpu = cpu;
	r->nr++;
	return epoll_ctl(r->poll_fd, EPOLL_CTL_ADD, fd, &ready) < 0 ? -errno : 0;
}

static const struct perfevent *owner_of_cpu(const struct perfevents *events, int cpu)
{
	const struct perfevent *e = events->list;

	while (e->cpu != cpu)
		e++;
	return e;
}

int perfrings_add_events(struct perfrings *r, const struct perfevents *events,
			 size_t data_bytes)
{
	int err = 0;

	for (size_t i = 0; !err && i < events->nr; i++) {
		const struct perfevent *e = &events->list[i];
		const struct perfevent *owner = owner_of_cpu(events, e->cpu);

		if (e == owner)
			err = perfrings_add(r, e->fd, e->cpu, &data_bytes);
		else if (ioctl(e->fd, PERF_EVENT_IOC_SET_OUTPUT, owner->fd) < 0)
			err = -errno;
	}
	return err;
}

/* Lets heap[0] sink to its place. */
static void sift_down(struct perfrings *r)
{
	struct perfrings_ring *moving = r->heap[0];
	size_t at = 0, child;

	while ((child = 2 * at + 1) < r->nr_heap) {
		if (child + 1 < r->nr_heap &&
		    r->heap[child + 1]->time_ns < r->heap[child]->time_ns)
			child++;
		if (moving->time_ns <= r->heap[child]->time_ns)
			break;
		r->heap[at] = r->heap[child];
		at = child;
	}
	r->heap[at] = moving;
}

static void push(struct perfrings *r, struct perfrings_ring *ring)
{
	size_t at = r->nr_heap++;

	while (at && ring->time_ns < r->heap[(at - 1) / 2]->time_ns) {
		r->heap[at] = r->heap[(at - 1) / 2];
		at = (at - 1) / 2;
	}
	r->heap[at] = ring;
}

/*
 * The record before is no longer needed.  Room goes back in steps, because a
 * busy buffer may never be seen empty.
 */
static bool fetch(struct perfrings *r, struct perfrings_ring *ring)
{
	struct perfmmap *m = &ring->mmap;

	if (m->tail - m->page->data_tail >= m->data_bytes / 8)
		perfmmap_release_room(m);
	ring->record = perfmmap_next(m);
	if (ring->record)
		ring->time_ns = r->time_of(ring->record);
	return ring->record;
}

/* Replaces the record that was handed out by the next one of its buffer. */
static void drop_taken(struct perfrings *r)
{
	if (!r->taken)
		return;
	r->taken = false;
	if (!fetch(r, r->heap[0])) {
		r->heap[0] = r->heap[--r->nr_heap];
		if (!r->nr_heap)
			return;
	}
	sift_down(r);
}

/*
 * The event of a task that is gone hangs up for good, and would keep the set
 * readable.  Its buffer may go on in the service of other events.
 */
static void forget_hung_up(struct perfrings *r)
{
	struct epoll_event ready[16];
	int nr = epoll_wait(r->poll_fd, ready, sizeof(ready) / sizeof(*ready), 0);

	for (int i = 0; i < nr; i++)
		if (ready[i].events & (EPOLLHUP | EPOLLERR))
			epoll_ctl(r->poll_fd, EPOLL_CTL_DEL, ready[i].data.fd, NULL);
}

void perfrings_refresh(struct perfrings *r)
{
	forget_hung_up(r);
	for (size_t i = 0; i < r->nr; i++)
		perfmmap_refresh(&r->rings[i].mmap);
	drop_taken(r);
	for (size_t i = 0; i < r->nr; i++) {
		if (!r->rings[i].record && fetch(r, &r->rings[i]))
			push(r, &r->rings[i]);
	}
}

const struct perf_event_header *perfrings_next(struct perfrings *r, uint64_t until_ns, int *cpu)
{
	drop_taken(r);
	if (!r->nr_heap || r->heap[0]->time_ns > until_ns)
		return NULL;
	r->taken = true;
	*cpu = r->heap[0]->cpu;
	return r->heap[0]->record;
}

unsigned int perfrings_fill_percent(const struct perfrings *r)
{
	unsigned int fullest = 0;

	for (size_t i = 0; i < r->nr; i++) {
		unsigned int percent = perfmmap_fill_percent(&r->rings[i].mmap);

		if (percent > fullest)
			fullest = percent;
	}
	return fullest;
}
