#include "record/addrspace.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void addrspace_init(struct addrspace *a)
{
	memset(a, 0, sizeof(*a));
}

void addrspace_release(struct addrspace *a)
{
	free(a->maps);
	addrspace_init(a);
}

void addrspace_clear(struct addrspace *a)
{
	a->nr = 0;
}

static int reserve(struct addrspace *a, size_t nr)
{
	size_t cap = a->cap ? a->cap : 8;
	struct mapping *maps;

	if (nr <= a->cap)
		return 0;
	while (cap < nr)
		cap *= 2;
	maps = realloc(a->maps, cap * sizeof(*maps));
	if (!maps)
		return -ENOMEM;
	a->maps = maps;
	a->cap = cap;
	return 0;
}

int addrspace_copy(struct addrspace *to, const struct addrspace *from)
{
	int err = reserve(to, from->nr);

	if (err)
		return err;
	if (from->nr)
		memcpy(to->maps, from->maps, from->nr * sizeof(*from->maps));
	to->nr = from->nr;
	return 0;
}

/* The first mapping that ends above the address; nr when there is none. */
static size_t first_above(const struct addrspace *a, uint64_t address)
{
	size_t low = 0, high = a->nr;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (a->maps[mid].end > address)
			high = mid;
		else
			low = mid + 1;
	}
	return low;
}

int addrspace_map(struct addrspace *a, const struct mapping *m)
{
	struct mapping put[3];
	size_t nr_put = 0, first, past;
	int err;

	if (m->start >= m->end)
		return -EINVAL;
	first = first_above(a, m->start);
	for (past = first; past < a->nr && a->maps[past].start < m->end; past++)
		;
	if (first < past && a->maps[first].start < m->start) {
		put[nr_put] = a->maps[first];
		put[nr_put++].end = m->start;
	}
	put[nr_put++] = *m;
	if (first < past && a->maps[past - 1].end > m->end) {
		put[nr_put] = a->maps[past - 1];
		put[nr_put].offset += m->end - put[nr_put].start;
		put[nr_put++].start = m->end;
	}
	err = reserve(a, a->nr - (past - first) + nr_put);
	if (err)
		return err;
	memmove(a->maps + first + nr_put, a->maps + past,
		(a->nr - past) * sizeof(*a->maps));
	memcpy(a->maps + first, put, nr_put * sizeof(*put));
	a->nr = a->nr - (past - first) + nr_put;
	return 0;
}

const struct mapping *addrspace_find(const struct addrspace *a, uint64_t address)
{
	size_t i = first_above(a, address);

	return i < a->nr && a->maps[i].start <= address ? &a->maps[i] : NULL;
}
