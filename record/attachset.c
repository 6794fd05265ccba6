#define _GNU_SOURCE
#include "record/attachset.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/*
 * Some kinds take their time side by side.  Perf events of tracepoints do not: the
 * kernel waits for two grace periods of RCU at each, 20 to 80 ms, under one lock.
 * More threads would only make us wait longer for those that are in the middle of it.
 */
#define MAX_THREADS 12
#define FDS_PER_THREAD 4
#define PATIENCE_MS 1000

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
	atomic_size_t next;		/* the first that nobody has taken */
	pthread_mutex_t lock;
	pthread_cond_t ended;
	size_t nr_threads;		/* still at it; under the lock */
};

static void *close_some(void *arg)
{
	struct closing *c = arg;
	size_t i;

	while ((i = atomic_fetch_add(&c->next, 1)) < c->nr)
		close(c->fds[i]);
	pthread_mutex_lock(&c->lock);
	c->nr_threads--;
	pthread_cond_signal(&c->ended);
	pthread_mutex_unlock(&c->lock);
	return NULL;
}

static size_t start(struct closing *c, pthread_t *threads)
{
	size_t most = c->nr / FDS_PER_THREAD + 1, nr = 0;

	while (nr < most && nr < MAX_THREADS) {
		pthread_mutex_lock(&c->lock);
		c->nr_threads++;
		pthread_mutex_unlock(&c->lock);
		if (pthread_create(&threads[nr], NULL, close_some, c)) {
			c->nr_threads--;
			break;
		}
		nr++;
	}
	return nr;
}

static void wait_a_while(struct closing *c)
{
	struct timespec until;
	int err = 0;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += PATIENCE_MS / 1000;
	until.tv_nsec += PATIENCE_MS % 1000 * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	pthread_mutex_lock(&c->lock);
	while (c->nr_threads && !err)
		err = pthread_cond_timedwait(&c->ended, &c->lock, &until);
	pthread_mutex_unlock(&c->lock);
}

static int compare_fds(const void *a, const void *b)
{
	int x = *(const int *)a, y = *(const int *)b;

	return x < y ? -1 : x > y;
}

/* Of the child: nothing of its parent stays open but what it is to close, sorted. */
static void keep_only(const int *fds, size_t nr)
{
	unsigned int from = 0;

	for (size_t i = 0; i < nr; i++) {
		if ((unsigned int)fds[i] > from)
			close_range(from, (unsigned int)fds[i] - 1, 0);
		from = (unsigned int)fds[i] + 1;
	}
	close_range(from, ~0u, 0);
}

/*
 * Whoever closes them last waits for the kernel; that need not be the user.  Only
 * system calls here: the other threads' locks are as they were.
 */
static void close_in_background(const int *fds, size_t nr)
{
	/* Nobody is there to wait for the one that goes on. */
	if (fork() != 0)
		_exit(0);
	prctl(PR_SET_NAME, "kymo-detach");
	keep_only(fds, nr);
	if (chdir("/") < 0)
		_exit(1);
	for (size_t i = 0; i < nr; i++)
		close(fds[i]);
	_exit(0);
}

static void leave_to_child(const int *fds, size_t nr)
{
	pid_t pid = fork();

	if (pid == 0)
		close_in_background(fds, nr);
	while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}

static void close_rest(struct attachset *a, size_t first)
{
	size_t nr = first < a->nr ? a->nr - first : 0;

	if (nr) {
		qsort(a->fds + first, nr, sizeof(*a->fds), compare_fds);
		leave_to_child(a->fds + first, nr);
	}
	for (size_t i = first; i < a->nr; i++)
		close(a->fds[i]);
}

void attachset_close(struct attachset *a)
{
	struct closing c = { .fds = a->fds, .nr = a->nr };
	pthread_t threads[MAX_THREADS];
	pthread_condattr_t attr;
	size_t nr;

	if (!a->nr) {
		free(a->fds);
		*a = (struct attachset){ 0 };
		return;
	}
	pthread_mutex_init(&c.lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&c.ended, &attr);
	pthread_condattr_destroy(&attr);
	nr = start(&c, threads);
	if (nr)
		wait_a_while(&c);
	close_rest(a, atomic_exchange(&c.next, SIZE_MAX / 2));
	while (nr)
		pthread_join(threads[--nr], NULL);
	pthread_cond_destroy(&c.ended);
	pthread_mutex_destroy(&c.lock);
	free(a->fds);
	*a = (struct attachset){ 0 };
}
