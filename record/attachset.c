#include "record/attachset.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#define MAX_THREADS 64
#define MIN_FDS_PER_THREAD 4

int attachset_add(struct attachset *a, int fd)
{
	if (a->nr == a->cap) {
		size_t cap = a->cap ? a->cap * 2 : 64;
		int *fds = realloc(a->fds, cap * sizeof(*fds));

		if (!fds) {
			close(fd);
			return -ENOMEM;
		}
		a->fds = fds;
		a->cap = cap;
	}
	a->fds[a->nr++] = fd;
	return 0;
}

struct closing {
	const int *fds;
	size_t nr;
	atomic_size_t next;
};

static void *close_some(void *arg)
{
	struct closing *c = arg;
	size_t i;

	while ((i = atomic_fetch_add(&c->next, 1)) < c->nr)
		close(c->fds[i]);
	return NULL;
}

void attachset_close(struct attachset *a)
{
	struct closing c = { .fds = a->fds, .nr = a->nr };
	pthread_t threads[MAX_THREADS];
	size_t nr = 0;

	while (nr < MAX_THREADS && nr < a->nr / MIN_FDS_PER_THREAD &&
	       pthread_create(&threads[nr], NULL, close_some, &c) == 0)
		nr++;
	close_some(&c);
	while (nr)
		pthread_join(threads[--nr], NULL);
	free(a->fds);
	*a = (struct attachset){ 0 };
}
