#include "report/handover.h"

#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>

/* One parcel is filled, one is taken, and the others even out their speeds. */
#define NR_PARCELS 8
#define PARCEL_ITEMS 1024
/* Who waits is woken when there is work for a while: to wake takes as long as some of it. */
#define WORTH_WAKING (NR_PARCELS / 2)

struct handover {
	handover_fn fn;
	void *ctx;
	size_t item_bytes;
	uint8_t *items;			/* NR_PARCELS times PARCEL_ITEMS */
	uint8_t *next;			/* in the parcel that is being filled */
	size_t nr;			/* of its items that are there */
	bool has_thread;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	/* Under the lock: parcels that were filled, and those of them that were taken. */
	size_t nr_filled, nr_taken;
	size_t nr_last;			/* items of the last parcel */
	bool is_last;
	int err;
};

static uint8_t *parcel(const struct handover *h, size_t nr)
{
	return h->items + nr % NR_PARCELS * PARCEL_ITEMS * h->item_bytes;
}

/* How many items there are now; 0: there are no more. */
static size_t wait_for_parcel(struct handover *h)
{
	size_t nr = 0;

	pthread_mutex_lock(&h->lock);
	while (h->nr_taken == h->nr_filled && !h->is_last)
		pthread_cond_wait(&h->changed, &h->lock);
	if (h->nr_taken < h->nr_filled)
		nr = h->is_last && h->nr_taken + 1 == h->nr_filled ? h->nr_last : PARCEL_ITEMS;
	pthread_mutex_unlock(&h->lock);
	return nr;
}

/* After an error parcels are still fetched, so that nobody waits. */
static void *take_parcels(void *ctx)
{
	struct handover *h = ctx;
	size_t taken = 0, nr;
	int err = 0;

	while ((nr = wait_for_parcel(h))) {
		if (!err)
			err = h->fn(h->ctx, parcel(h, taken), nr);
		taken++;
		pthread_mutex_lock(&h->lock);
		h->nr_taken = taken;
		h->err = err;
		if (h->nr_filled - taken <= NR_PARCELS - WORTH_WAKING)
			pthread_cond_signal(&h->changed);
		pthread_mutex_unlock(&h->lock);
	}
	return NULL;
}

int handover_new(struct handover **out, size_t item_bytes, bool threaded, handover_fn fn,
		 void *ctx)
{
	struct handover *h = calloc(1, sizeof(*h));

	if (!h)
		return -ENOMEM;
	*h = (struct handover) { .fn = fn, .ctx = ctx, .item_bytes = item_bytes };
	pthread_mutex_init(&h->lock, NULL);
	pthread_cond_init(&h->changed, NULL);
	h->items = malloc(NR_PARCELS * PARCEL_ITEMS * item_bytes);
	if (!h->items) {
		handover_free(h);
		return -ENOMEM;
	}
	h->next = h->items;
	h->has_thread = threaded && !pthread_create(&h->thread, NULL, take_parcels, h);
	*out = h;
	return 0;
}

void *handover_next(struct handover *h)
{
	return h->next;
}

/* The parcel that is filled now goes, and the next one is free when this returns. */
static int give(struct handover *h)
{
	int err;

	pthread_mutex_lock(&h->lock);
	h->nr_filled++;
	if (h->nr_filled - h->nr_taken >= WORTH_WAKING)
		pthread_cond_signal(&h->changed);
	while (h->nr_filled - h->nr_taken == NR_PARCELS)
		pthread_cond_wait(&h->changed, &h->lock);
	err = h->err;
	pthread_mutex_unlock(&h->lock);
	h->next = parcel(h, h->nr_filled);
	h->nr = 0;
	return err;
}

static int take_here(struct handover *h)
{
	if (!h->err && h->nr)
		h->err = h->fn(h->ctx, h->items, h->nr);
	h->next = h->items;
	h->nr = 0;
	return h->err;
}

int handover_put(struct handover *h)
{
	h->next += h->item_bytes;
	if (++h->nr < PARCEL_ITEMS)
		return 0;
	return h->has_thread ? give(h) : take_here(h);
}

int handover_flush(struct handover *h)
{
	return h->has_thread ? 0 : take_here(h);
}

static void join(struct handover *h)
{
	pthread_mutex_lock(&h->lock);
	h->nr_filled += h->nr > 0;
	h->nr_last = h->nr ? h->nr : PARCEL_ITEMS;
	h->is_last = true;
	pthread_cond_signal(&h->changed);
	pthread_mutex_unlock(&h->lock);
	pthread_join(h->thread, NULL);
	h->has_thread = false;
	h->nr = 0;
}

int handover_finish(struct handover *h)
{
	if (!h->has_thread)
		return take_here(h);
	join(h);
	return h->err;
}

void handover_free(struct handover *h)
{
	if (!h)
		return;
	if (h->has_thread)
		join(h);
	pthread_cond_destroy(&h->changed);
	pthread_mutex_destroy(&h->lock);
	free(h->items);
	free(h);
}
