#include "format/writer_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void writer_numbers_release(struct writer_numbers *n)
{
	free(n->to_file);
	free(n->order);
	memset(n, 0, sizeof(*n));
}

uint32_t writer_numbers_file(const struct writer_numbers *n, uint64_t id)
{
	return id < n->cap ? n->to_file[id] : 0;
}

/* Room for ids below nr. */
static int grow(struct writer_numbers *n, uint32_t nr)
{
	uint32_t cap = n->cap ? n->cap : 1024;
	uint32_t *to_file;

	if (nr <= n->cap)
		return 0;
	while (cap < nr)
		cap *= 2;
	to_file = realloc(n->to_file, cap * sizeof(*to_file));
	if (!to_file)
		return -ENOMEM;
	memset(to_file + n->cap, 0, (cap - n->cap) * sizeof(*to_file));
	n->to_file = to_file;
	n->cap = cap;
	return 0;
}

static int push(uint32_t **v, size_t *nr, size_t *cap, uint32_t id)
{
	if (*nr == *cap) {
		size_t want = *cap ? *cap * 2 : 256;
		uint32_t *grown = realloc(*v, want * sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		*v = grown;
		*cap = want;
	}
	(*v)[(*nr)++] = id;
	return 0;
}

static int give_number(struct writer_numbers *n, uint32_t id, uint32_t nr_ids)
{
	int err;

	if (!id || id >= nr_ids || writer_numbers_file(n, id))
		return 0;
	err = grow(n, nr_ids);
	if (!err)
		err = push(&n->order, &n->nr_order, &n->cap_order, id);
	if (!err)
		n->to_file[id] = ++n->last;
	return err;
}

void writer_numbers_stack(struct writer *w, uint64_t id)
{
	const struct intern_pairs *stacks = &w->stacks;
	size_t nr = 0;
	int err = 0;

	/* Outer frames get the smaller ids, so the way up comes first. */
	while (id && id < stacks->nr && !writer_numbers_file(&w->stack_numbers, id) && !err) {
		uint64_t parent = stacks->by_id[id].a;

		err = push(&w->chain, &nr, &w->cap_chain, (uint32_t)id);
		id = parent < id ? parent : 0;
	}
	while (nr-- > 0 && !err) {
		uint32_t at = w->chain[nr];

		err = give_number(&w->frame_numbers, (uint32_t)stacks->by_id[at].b,
				  w->frames.nr);
		if (!err)
			err = give_number(&w->stack_numbers, at, stacks->nr);
	}
	if (err && !w->err)
		w->err = err;
}

void writer_numbers_frame(struct writer *w, uint64_t id)
{
	int err = id < w->frames.nr ?
		  give_number(&w->frame_numbers, (uint32_t)id, w->frames.nr) : 0;

	if (err && !w->err)
		w->err = err;
}

void writer_numbers_rest(struct writer *w)
{
	struct writer_numbers *frames = &w->frame_numbers, *stacks = &w->stack_numbers;
	int err = 0;

	for (; stacks->seen < w->stacks.nr && !w->err; stacks->seen++)
		writer_numbers_stack(w, stacks->seen);
	for (; frames->seen < w->frames.nr && !err; frames->seen++)
		err = give_number(frames, frames->seen, w->frames.nr);
	if (err && !w->err)
		w->err = err;
}
