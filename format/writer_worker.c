#include "format/writer_private.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

/* One call of writer_pack_...() to be made. */
struct job {
	struct job *next;
	size_t waiting_bytes;
	struct writer_batch *batch;	/* records; or, if this is NULL: */
	struct block_header header;	/* of a block; of type 0: the losses */
	struct bytebuf block;
};

/*
 * The queue and everything else are under `lock`; `pack` is the thread's alone
 * while it runs, and what others may know of it is copied after each job.
 */
struct writer_worker {
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t work, idle;
	struct writer_pack *pack;
	struct job *head, **tail;
	size_t queued_bytes, limit_bytes;
	struct writer_stats stats;
	int err;
	bool busy, ending;
};

static void free_job(struct job *j)
{
	writer_batch_free(j->batch);
	bytebuf_release(&j->block);
	free(j);
}

static void do_job(struct writer_pack *p, struct job *j)
{
	if (j->batch)
		writer_pack_records(p, j->batch);
	else if (j->header.type)
		writer_pack_block(p, &j->header, &j->block);
	else
		writer_pack_losses(p);
}

/* Batches of full size are used again; memory that is new is slow. */
static void recycle(struct job *j)
{
	struct writer_batch *b = j->batch;

	if (!b || b->cap != b->source->cap)
		return;
	writer_batch_clear(b);
	b->next = b->source->spares;
	b->source->spares = b;
	j->batch = NULL;
}

static void *worker_thread(void *arg)
{
	struct writer_worker *k = arg;

	pthread_mutex_lock(&k->lock);
	for (;;) {
		struct job *j = k->head;

		if (!j) {
			if (k->ending)
				break;
			pthread_cond_wait(&k->work, &k->lock);
			continue;
		}
		k->head = j->next;
		if (!k->head)
			k->tail = &k->head;
		k->busy = true;
		pthread_mutex_unlock(&k->lock);
		do_job(k->pack, j);
		pthread_mutex_lock(&k->lock);
		k->busy = false;
		k->queued_bytes -= j->waiting_bytes;
		k->stats = k->pack->stats;
		k->err = k->pack->err;
		recycle(j);
		free_job(j);
		if (!k->head)
			pthread_cond_broadcast(&k->idle);
	}
	pthread_mutex_unlock(&k->lock);
	return NULL;
}

/* Signals are for the threads of the program, not for this one. */
static int start_thread(struct writer_worker *k)
{
	sigset_t all, old;
	int err;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	err = pthread_create(&k->thread, NULL, worker_thread, k);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return -err;
}

int writer_worker_start(struct writer_worker **out, struct writer_pack *p, size_t limit_bytes)
{
	struct writer_worker *k = calloc(1, sizeof(*k));
	int err;

	if (!k)
		return -ENOMEM;
	k->pack = p;
	k->tail = &k->head;
	k->limit_bytes = limit_bytes;
	k->stats = p->stats;
	k->err = p->err;
	pthread_mutex_init(&k->lock, NULL);
	pthread_cond_init(&k->work, NULL);
	pthread_cond_init(&k->idle, NULL);
	err = start_thread(k);
	if (err) {
		pthread_cond_destroy(&k->idle);
		pthread_cond_destroy(&k->work);
		pthread_mutex_destroy(&k->lock);
		free(k);
		return err;
	}
	*out = k;
	return 0;
}

void writer_worker_stop(struct writer_worker *k, bool at_once)
{
	struct job *left = NULL, *j;

	if (!k)
		return;
	pthread_mutex_lock(&k->lock);
	k->ending = true;
	if (at_once) {
		left = k->head;
		k->head = NULL;
		k->tail = &k->head;
	}
	pthread_cond_signal(&k->work);
	pthread_mutex_unlock(&k->lock);
	pthread_join(k->thread, NULL);
	while ((j = left)) {
		left = j->next;
		free_job(j);
	}
	pthread_cond_destroy(&k->idle);
	pthread_cond_destroy(&k->work);
	pthread_mutex_destroy(&k->lock);
	free(k);
}

bool writer_worker_room(struct writer_worker *k, size_t size_bytes)
{
	bool room;

	pthread_mutex_lock(&k->lock);
	room = !k->queued_bytes || k->queued_bytes + size_bytes < k->limit_bytes;
	pthread_mutex_unlock(&k->lock);
	return room;
}

static int push(struct writer_worker *k, struct job *j)
{
	int err;

	pthread_mutex_lock(&k->lock);
	*k->tail = j;
	k->tail = &j->next;
	k->queued_bytes += j->waiting_bytes;
	err = k->err;
	pthread_cond_signal(&k->work);
	pthread_mutex_unlock(&k->lock);
	return err;
}

int writer_worker_block(struct writer_worker *k, const struct block_header *h,
			const struct bytebuf *b)
{
	struct job *j = calloc(1, sizeof(*j));

	if (!j)
		return -ENOMEM;
	bytebuf_put(&j->block, b->data, b->len);
	if (j->block.err) {
		free_job(j);
		return -ENOMEM;
	}
	j->header = *h;
	j->waiting_bytes = sizeof(*j) + b->len;
	return push(k, j);
}

int writer_worker_records(struct writer_worker *k, struct writer_batch *b)
{
	struct job *j = calloc(1, sizeof(*j));

	if (!j) {
		writer_batch_free(b);
		return -ENOMEM;
	}
	j->batch = b;
	j->waiting_bytes = sizeof(*j) + writer_batch_bytes(b);
	return push(k, j);
}

int writer_worker_losses(struct writer_worker *k)
{
	struct job *j = calloc(1, sizeof(*j));

	if (!j)
		return -ENOMEM;
	j->waiting_bytes = sizeof(*j);
	return push(k, j);
}

struct writer_batch *writer_worker_spare(struct writer_worker *k, struct writer_source *s)
{
	struct writer_batch *b;

	pthread_mutex_lock(&k->lock);
	b = s->spares;
	if (b)
		s->spares = b->next;
	pthread_mutex_unlock(&k->lock);
	return b;
}

int writer_worker_stats(struct writer_worker *k, struct writer_stats *stats)
{
	int err;

	pthread_mutex_lock(&k->lock);
	*stats = k->stats;
	err = k->err;
	pthread_mutex_unlock(&k->lock);
	return err;
}

void writer_worker_sync(struct writer_worker *k)
{
	pthread_mutex_lock(&k->lock);
	while (k->head || k->busy)
		pthread_cond_wait(&k->idle, &k->lock);
	pthread_mutex_unlock(&k->lock);
}
