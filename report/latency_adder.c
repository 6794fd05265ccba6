#include "report/latency_adder.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* 8 of 100 KiB: one is filled, one is added up, and the others even out their speeds. */
#define NR_PARCELS 8
#define PARCEL_PIECES 1024

struct parcel {
	size_t nr;
	uint32_t rows[PARCEL_PIECES];
	struct latency_piece pieces[PARCEL_PIECES];
};

struct latency_adder {
	struct latency *l;
	latency_adder_fn fn;
	bool has_thread;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	/* Under the lock: parcels that were filled, and those of them that were added up. */
	size_t nr_filled, nr_added;
	bool is_last;
	int err;
	struct parcel parcels[NR_PARCELS];
};

/* NULL: there are no more. */
static struct parcel *wait_for_parcel(struct latency_adder *a)
{
	struct parcel *p = NULL;

	pthread_mutex_lock(&a->lock);
	while (a->nr_added == a->nr_filled && !a->is_last)
		pthread_cond_wait(&a->changed, &a->lock);
	if (a->nr_added < a->nr_filled)
		p = &a->parcels[a->nr_added % NR_PARCELS];
	pthread_mutex_unlock(&a->lock);
	return p;
}

/* After an error parcels are taken, so that nobody waits, but not added. */
static void *add_parcels(void *ctx)
{
	struct latency_adder *a = ctx;
	struct parcel *p;
	int err = 0;

	while ((p = wait_for_parcel(a))) {
		if (!err)
			err = a->fn(a->l, p->rows, p->pieces, p->nr);
		p->nr = 0;
		pthread_mutex_lock(&a->lock);
		a->nr_added++;
		a->err = err;
		pthread_cond_signal(&a->changed);
		pthread_mutex_unlock(&a->lock);
	}
	return NULL;
}

int latency_adder_new(struct latency_adder **out, struct latency *l, latency_adder_fn fn)
{
	struct latency_adder *a = calloc(1, sizeof(*a));

	if (!a)
		return -ENOMEM;
	a->l = l;
	a->fn = fn;
	pthread_mutex_init(&a->lock, NULL);
	pthread_cond_init(&a->changed, NULL);
	/* Without a thread it is slower, that is all. */
	a->has_thread = !trace_is_stream(l->trace) &&
			!pthread_create(&a->thread, NULL, add_parcels, a);
	*out = a;
	return 0;
}

/* The parcel that is filled now goes, and the next one is free when this returns. */
static int hand_over(struct latency_adder *a)
{
	int err;

	pthread_mutex_lock(&a->lock);
	a->nr_filled++;
	pthread_cond_signal(&a->changed);
	while (a->nr_filled - a->nr_added == NR_PARCELS)
		pthread_cond_wait(&a->changed, &a->lock);
	err = a->err;
	pthread_mutex_unlock(&a->lock);
	return err;
}

int latency_adder_add(struct latency_adder *a, const uint32_t *rows,
		      const struct latency_piece *p, size_t nr)
{
	int err = 0;

	if (!a->has_thread)
		return a->err ? a->err : (a->err = a->fn(a->l, rows, p, nr));
	while (nr && !err) {
		struct parcel *to = &a->parcels[a->nr_filled % NR_PARCELS];
		size_t room = PARCEL_PIECES - to->nr, part = nr < room ? nr : room;

		memcpy(to->rows + to->nr, rows, part * sizeof(*rows));
		memcpy(to->pieces + to->nr, p, part * sizeof(*p));
		to->nr += part;
		rows += part;
		p += part;
		nr -= part;
		if (to->nr == PARCEL_PIECES)
			err = hand_over(a);
	}
	return err;
}

int latency_adder_finish(struct latency_adder *a)
{
	int err;

	if (a->has_thread) {
		pthread_mutex_lock(&a->lock);
		a->nr_filled++;
		a->is_last = true;
		pthread_cond_signal(&a->changed);
		pthread_mutex_unlock(&a->lock);
		pthread_join(a->thread, NULL);
	}
	err = a->err;
	pthread_cond_destroy(&a->changed);
	pthread_mutex_destroy(&a->lock);
	free(a);
	return err;
}
