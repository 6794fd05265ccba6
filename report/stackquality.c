#include "report/stackquality.h"

#include <errno.h>
#include <stdlib.h>

/* What is in one stack, from its outermost frame to this one. */
struct content {
	uint32_t frames, unresolved;
	bool known, truncated;
};

struct counter {
	const struct trace *trace;
	struct names *names;
	struct content *contents;	/* by stack id */
	uint32_t nr_stacks;
	uint32_t *path;
	size_t cap_path;
};

static int push(struct counter *c, size_t *nr, uint32_t stack)
{
	size_t cap = c->cap_path ? c->cap_path * 2 : 256;
	uint32_t *path;

	if (*nr == c->cap_path) {
		path = realloc(c->path, cap * sizeof(*path));
		if (!path)
			return -ENOMEM;
		c->path = path;
		c->cap_path = cap;
	}
	c->path[(*nr)++] = stack;
	return 0;
}

static struct content with_frame(struct counter *c, struct content outer, uint32_t frame)
{
	const struct frame_name *name = names_frame(c->names, frame);
	const struct trace_frame *f = trace_frame(c->trace, frame);

	outer.known = true;
	if (f && !f->module && f->offset == FRAME_TRUNCATED) {
		outer.truncated = true;
	} else {
		outer.frames++;
		outer.unresolved += !name->resolved;
	}
	return outer;
}

static int content_of(struct counter *c, uint32_t stack, struct content *out)
{
	struct content content = { .frames = 0 };
	const struct trace_stack *s;
	size_t nr = 0;

	for (; (s = trace_stack(c->trace, stack)) && stack < c->nr_stacks; stack = s->parent) {
		if (c->contents[stack].known) {
			content = c->contents[stack];
			break;
		}
		if (push(c, &nr, stack))
			return -ENOMEM;
	}
	while (nr > 0) {
		stack = c->path[--nr];
		content = with_frame(c, content, trace_stack(c->trace, stack)->frame);
		c->contents[stack] = content;
	}
	*out = content;
	return 0;
}

int stackquality_count(const struct stacksum *s, struct names *names, struct query *q)
{
	struct counter c = { .trace = query_trace(q), .names = names };
	double frames = 0, unresolved = 0, truncated = 0, scale;
	size_t nr;
	const struct stacksum_entry *e = stacksum_entries(s, &nr);
	int err = 0;

	c.nr_stacks = trace_nr_stacks(c.trace);
	c.contents = calloc((size_t)c.nr_stacks + 1, sizeof(*c.contents));
	if (!c.contents)
		return -ENOMEM;
	for (size_t i = 0; i < nr && !err; i++) {
		struct content content = { .frames = 0 };

		err = content_of(&c, e[i].stack, &content);
		frames += (double)e[i].count * content.frames;
		unresolved += (double)e[i].count * content.unresolved;
		truncated += content.truncated ? (double)e[i].count : 0;
	}
	/* Weights stand for records: only shares are told. */
	scale = nr ? (double)stacksum_records(s) / (double)stacksum_total(s) : 0;
	query_count_frames(q, (uint64_t)(frames * scale + 0.5),
			   (uint64_t)(unresolved * scale + 0.5));
	query_count_truncated(q, (uint64_t)(truncated * scale + 0.5));
	free(c.contents);
	free(c.path);
	return err;
}
