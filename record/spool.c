#include "record/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct chunk {
	struct chunk *next;
	size_t size_bytes;
	uint8_t bytes[];
};

/*
 * The queue and everything else are under `lock`; the output is written
 * without it.  give_up_fd wakes the writing thread out of its poll() when
 * nobody reads the other end of a pipe any more.
 */
struct spool {
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct chunk *head, **tail;
	size_t queued_bytes, limit_bytes;
	uint64_t written_bytes;
	int fd, give_up_fd;
	int err;
	bool ending;
};

/* A regular file is always ready; a pipe or socket tells by POLLOUT. */
static int wait_writable(struct spool *s)
{
	struct pollfd p[2] = {
		{ .fd = s->fd, .events = POLLOUT },
		{ .fd = s->give_up_fd, .events = POLLIN },
	};

	while (poll(p, 2, -1) < 0)
		if (errno != EINTR)
			return -errno;
	if (p[1].revents)
		return -ECANCELED;
	return 0;
}

/*
 * Pipes are written in pieces that POLLOUT promises to take without blocking
 * (PIPE_BUF), so that giving up never finds the thread inside write(2).
 */
static int write_all(struct spool *s, const uint8_t *at, size_t left, bool in_pieces)
{
	while (left) {
		size_t piece = in_pieces && left > 4096 ? 4096 : left;
		ssize_t n;
		int err = wait_writable(s);

		if (err)
			return err;
		n = write(s->fd, at, piece);
		if (n < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (n < 0)
			return -errno;
		at += n;
		left -= (size_t)n;
		pthread_mutex_lock(&s->lock);
		s->written_bytes += (uint64_t)n;
		pthread_mutex_unlock(&s->lock);
	}
	return 0;
}

static void drop_all(struct spool *s)
{
	struct chunk *c;

	while ((c = s->head)) {
		s->head = c->next;
		free(c);
	}
	s->tail = &s->head;
	s->queued_bytes = 0;
}

static void *spool_thread(void *arg)
{
	struct spool *s = arg;
	bool in_pieces = lseek(s->fd, 0, SEEK_CUR) < 0;

	pthread_mutex_lock(&s->lock);
	for (;;) {
		struct chunk *c = s->head;
		int err;

		if (!c) {
			if (s->ending)
				break;
			pthread_cond_wait(&s->changed, &s->lock);
			continue;
		}
		s->head = c->next;
		if (!s->head)
			s->tail = &s->head;
		pthread_mutex_unlock(&s->lock);
		err = write_all(s, c->bytes, c->size_bytes, in_pieces);
		pthread_mutex_lock(&s->lock);
		s->queued_bytes -= c->size_bytes;
		free(c);
		if (err) {
			s->err = err;
			drop_all(s);
			pthread_cond_broadcast(&s->changed);
			break;
		}
		pthread_cond_broadcast(&s->changed);
	}
	pthread_mutex_unlock(&s->lock);
	return NULL;
}

/* Signals are for the main thread, which stops the recording in good order. */
static int start_thread(struct spool *s)
{
	sigset_t all, old;
	int err;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	err = pthread_create(&s->thread, NULL, spool_thread, s);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return -err;
}

int spool_open(struct spool **out, int fd, size_t limit_bytes)
{
	struct spool *s = calloc(1, sizeof(*s));
	int err = -ENOMEM;

	if (!s)
		goto fail;
	s->fd = fd;
	s->tail = &s->head;
	s->limit_bytes = limit_bytes;
	s->give_up_fd = eventfd(0, EFD_CLOEXEC);
	if (s->give_up_fd < 0) {
		err = -errno;
		goto fail;
	}
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->changed, NULL);
	err = start_thread(s);
	if (err)
		goto fail_thread;
	*out = s;
	return 0;

fail_thread:
	pthread_cond_destroy(&s->changed);
	pthread_mutex_destroy(&s->lock);
	close(s->give_up_fd);
fail:
	free(s);
	close(fd);
	return err;
}

int spool_put(void *spool, const void *bytes, size_t size_bytes, bool droppable)
{
	struct spool *s = spool;
	struct chunk *c;
	int err;

	pthread_mutex_lock(&s->lock);
	while (!s->err && s->queued_bytes &&
	       s->queued_bytes + size_bytes > s->limit_bytes && !droppable)
		pthread_cond_wait(&s->changed, &s->lock);
	err = s->err;
	if (!err && droppable && s->queued_bytes &&
	    s->queued_bytes + size_bytes > s->limit_bytes / 4 * 3)
		err = -ENOBUFS;
	if (err)
		goto out;
	c = malloc(sizeof(*c) + size_bytes);
	if (!c) {
		err = -ENOMEM;
		goto out;
	}
	memcpy(c->bytes, bytes, size_bytes);
	c->size_bytes = size_bytes;
	c->next = NULL;
	*s->tail = c;
	s->tail = &c->next;
	s->queued_bytes += size_bytes;
	pthread_cond_broadcast(&s->changed);
out:
	pthread_mutex_unlock(&s->lock);
	return err;
}

unsigned int spool_fill_percent(struct spool *s)
{
	unsigned int percent;

	pthread_mutex_lock(&s->lock);
	percent = (unsigned int)(s->queued_bytes * 100 / s->limit_bytes);
	pthread_mutex_unlock(&s->lock);
	return percent > 100 ? 100 : percent;
}

int spool_error(struct spool *s)
{
	int err;

	pthread_mutex_lock(&s->lock);
	err = s->err;
	pthread_mutex_unlock(&s->lock);
	return err;
}

void spool_give_up(struct spool *s)
{
	uint64_t one = 1;
	int saved = errno;

	/* Cannot fail for good: the counter is far from its limit. */
	while (write(s->give_up_fd, &one, sizeof(one)) < 0 && errno == EINTR)
		;
	errno = saved;
}

int spool_finish(struct spool *s, uint64_t *written_bytes)
{
	pthread_mutex_lock(&s->lock);
	s->ending = true;
	pthread_cond_broadcast(&s->changed);
	pthread_mutex_unlock(&s->lock);
	pthread_join(s->thread, NULL);
	/* Some file systems report a full disk or quota only here. */
	if (close(s->fd) < 0 && !s->err)
		s->err = -errno;
	s->fd = -1;
	*written_bytes = s->written_bytes;
	return s->err;
}

void spool_close(struct spool *s)
{
	uint64_t written_bytes;

	if (s->fd >= 0)
		spool_finish(s, &written_bytes);
	drop_all(s);
	pthread_cond_destroy(&s->changed);
	pthread_mutex_destroy(&s->lock);
	close(s->give_up_fd);
	free(s);
}
