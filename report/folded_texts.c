#include "report/folded_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "report/escape.h"

static const char java_comm[] = "java";

static bool is_java(struct folded *f, uint32_t group)
{
	struct bytebuf comm;

	if (f->java_asked == group + 1)
		return f->java_known;
	bytebuf_init(&comm);
	stacklevels_put_comm(stacksum_levels(f->sums), stacksum_groups(f->sums), group, &comm);
	f->java_known = comm.len >= strlen(java_comm) &&
			!memcmp(comm.data, java_comm, strlen(java_comm));
	f->java_asked = group + 1;
	bytebuf_release(&comm);
	return f->java_known;
}

static uint32_t keep_text(struct folded *f)
{
	return f->path.err ? 0 : textpool_put(f->pool, f->path.data, f->path.len);
}

static uint32_t frame_name(struct folded *f, uint32_t group, uint32_t frame)
{
	bool java = is_java(f, group);
	uint32_t *name = &f->frame_name[(frame < f->nr_frames ? frame : 0) * 2 + java];

	if (!*name) {
		bytebuf_clear(&f->path);
		folded_frame(&f->path, names_frame(f->names, frame), f->opts, java);
		*name = keep_text(f);
	}
	return *name;
}

static uint32_t waker_name(struct folded *f, uint32_t id)
{
	const char *text = chain_name(stacksum_chains(f->sums), id);

	if (!f->waker_name[id]) {
		bytebuf_clear(&f->path);
		escape_folded(&f->path, text, strlen(text));
		for (size_t i = 0; !f->path.err && i < f->path.len; i++)
			if (f->path.data[i] == ' ')
				f->path.data[i] = '_';
		f->waker_name[id] = keep_text(f);
	}
	return f->waker_name[id];
}

uint32_t folded_texts_name(void *folded, uint32_t group, enum calltree_kind kind, uint32_t id)
{
	struct folded *f = folded;

	switch (kind) {
	case CALLTREE_FRAME:
		return frame_name(f, group, id);
	case CALLTREE_WAKER:
		return waker_name(f, id);
	case CALLTREE_BORDER:
		return f->border;
	case CALLTREE_SEPARATOR:
		return f->separator;
	}
	return 0;
}

static int name_stack(struct folded *f, uint8_t *seen, uint32_t group, uint32_t stack)
{
	uint8_t bit = is_java(f, group) ? 2 : 1;
	const struct trace_stack *s;

	for (; (s = trace_stack(f->trace, stack)); stack = s->parent) {
		if (stack >= trace_nr_stacks(f->trace) || (seen[stack] & bit))
			break;
		seen[stack] |= bit;
		if (!frame_name(f, group, s->frame))
			return -ENOMEM;
	}
	return 0;
}

/* Of one chain; those of its beginning that others share are gone through again. */
static int name_chain(struct folded *f, uint8_t *seen, const struct stacksum_entry *e)
{
	const struct chains *chains = stacksum_chains(f->sums);
	const struct chain_link *link;
	int err = 0;

	for (uint32_t chain = e->chain; chain && !err; chain = link->next) {
		link = chain_at(chains, chain);
		err = name_stack(f, seen, e->group, link->stack);
		if (!err && !waker_name(f, link->name))
			err = -ENOMEM;
	}
	return err;
}

/* All names are known before the first line: the order needs them. */
static int name_frames(struct folded *f)
{
	uint8_t *seen = calloc((size_t)trace_nr_stacks(f->trace) + 1, 1);
	size_t nr;
	const struct stacksum_entry *e = stacksum_entries(f->sums, &nr);
	int err = seen ? 0 : -ENOMEM;

	for (size_t i = 0; i < nr && !err; i++) {
		err = name_stack(f, seen, e[i].group, e[i].stack);
		if (!err)
			err = name_chain(f, seen, &e[i]);
	}
	free(seen);
	return err;
}

/* "comm;cpu_3;blocked" */
static uint32_t name_part(struct folded *f, const struct stacksum_entry *e)
{
	const struct stacklevels *levels = stacksum_levels(f->sums);
	struct bytebuf *to = &f->path;
	size_t start;

	bytebuf_clear(to);
	for (size_t i = 0; i < levels->nr; i++) {
		if (i)
			bytebuf_text(to, ";");
		stacklevels_put(levels, stacksum_groups(f->sums), e->group, i,
				STACKLEVELS_FOLDED, to);
	}
	if (e->part) {
		if (levels->nr)
			bytebuf_text(to, ";");
		start = to->len;
		bytebuf_text(to, stacksum_part_name((enum stacksum_part)e->part));
		for (size_t i = start; !to->err && i < to->len; i++)
			if (to->data[i] == ' ')
				to->data[i] = '_';
	}
	return keep_text(f);
}

static int name_groups(struct folded *f)
{
	size_t nr, nr_parts = 0, end;
	const struct stacksum_entry *e = stacksum_entries(f->sums, &nr);

	for (size_t i = 0; i < nr; i = stacksum_group_end(f->sums, i))
		nr_parts++;
	f->parts = malloc((nr_parts + 1) * sizeof(*f->parts));
	if (!f->parts)
		return -ENOMEM;
	for (size_t i = 0; i < nr; i = end) {
		uint32_t label = name_part(f, &e[i]);

		end = stacksum_group_end(f->sums, i);
		if (!label)
			return -ENOMEM;
		f->parts[f->nr_parts++] = (struct part) { label, i, end };
	}
	return 0;
}

int folded_texts_make(struct folded *f)
{
	const struct chains *chains = stacksum_chains(f->sums);
	int err = textpool_new(&f->pool);

	if (err)
		return err;
	f->border = textpool_put(f->pool, "-", 1);
	f->separator = textpool_put(f->pool, "--", 2);
	f->nr_frames = trace_nr_frames(f->trace);
	f->frame_name = calloc((size_t)f->nr_frames + 1, 2 * sizeof(*f->frame_name));
	if (chains)
		f->waker_name = calloc((size_t)chain_nr_names(chains) + 1, sizeof(uint32_t));
	if (!f->frame_name || (chains && !f->waker_name) || !f->border || !f->separator)
		return -ENOMEM;
	err = name_frames(f);
	return err ? err : name_groups(f);
}
