/*
 * Spans: two probes, paired.  The start is a probe that stands in no list; the end
 * stands for both.
 */
#define _GNU_SOURCE
#include "record/probe_private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- pairing -------------------------------------------------------------------------- */

void probe_span_free(struct probe_span *s)
{
	if (!s)
		return;
	probe_free(s->start);
	for (size_t i = 0; s->key_names && i < s->nr_keys; i++)
		free(s->key_names[i]);
	free(s->key_names);
	free(s->name);
	free(s);
}

static int set_key_names(struct probe_span *s, const char *keys)
{
	struct probespec_key *list;
	size_t nr;

	if (probespec_keys(&list, &nr, keys, NULL))
		return -ENOMEM;
	s->key_names = calloc(nr, sizeof(*s->key_names));
	for (size_t i = 0; s->key_names && i < nr; i++) {
		s->key_names[s->nr_keys++] = list[i].start;
		list[i].start = NULL;
	}
	probespec_free_keys(list, nr);
	return s->key_names ? 0 : -ENOMEM;
}

int probe_span_join(struct probe *p, struct probe *start, const char *name, const char *keys)
{
	struct probe_span *s = calloc(1, sizeof(*s));

	if (!s) {
		probe_free(start);
		return -ENOMEM;
	}
	p->span = s;
	s->start = start;
	s->name = strdup(name);
	return s->name ? set_key_names(s, keys) : -ENOMEM;
}

/* What a spec means that matches one event, in no list. */
static int make_side(struct probes *set, const struct probe_spec *whole,
		     const struct probe_spec *side, struct probe **out, struct diag *d)
{
	const struct probe_kind *k = probe_find_kind(side->kind, strlen(side->kind));
	struct probe_spec spec = *side;
	struct probes scratch = *set;
	int err;

	if (!k)
		return diag_set(d, -EINVAL, "unknown kind of event '%s'", side->kind);
	spec.is_side = true;
	spec.filter = whole->filter;
	spec.tally = whole->tally;
	scratch.list = NULL;
	scratch.nr = scratch.cap = 0;
	err = k->expand(&scratch, &spec, d);
	memcpy(set->note, scratch.note, sizeof(set->note));
	if (!err && scratch.nr != 1)
		err = diag_set(d, -EINVAL, "'%s' are %zu events: a span has one start and one end",
			       side->text ? side->text : side->what, scratch.nr);
	if (err) {
		probe_release_all(&scratch);
		return err;
	}
	*out = scratch.list[0];
	free(scratch.list);
	return 0;
}

static int add_pair(struct probes *set, struct probe *end, struct probe *start,
		    const char *name, const char *keys, struct diag *d)
{
	int err = probe_append(set, end);

	if (err) {
		probe_free(start);
		probe_free(end);
	} else {
		err = probe_span_join(end, start, name, keys);
	}
	return err ? diag_set(d, err, "out of memory") : 0;
}

static int make_sides(struct probes *set, const struct probe_spec *whole,
		      const struct probe_spec *start, const struct probe_spec *end,
		      struct probe **from, struct probe **to, struct diag *d)
{
	int err = make_side(set, whole, start, from, d);

	if (err)
		return err;
	err = make_side(set, whole, end, to, d);
	if (err)
		probe_free(*from);
	return err;
}

int probe_span_pair(struct probes *set, const struct probe_spec *whole,
		    const struct probe_spec *start, const struct probe_spec *end,
		    const char *name, const char *keys, struct diag *d)
{
	struct probe *from, *to;
	int err = make_sides(set, whole, start, end, &from, &to, d);

	return err ? err : add_pair(set, to, from, name, keys, d);
}

/* The keys of one side, for those who look what it needs. */
static char *side_keys(const struct probespec_key *keys, size_t nr, bool of_start)
{
	size_t bytes = 1;
	char *text;

	for (size_t i = 0; i < nr; i++)
		bytes += strlen(of_start ? keys[i].start : keys[i].end) + 1;
	text = calloc(1, bytes);
	for (size_t i = 0; text && i < nr; i++) {
		strcat(text, i ? "," : "");
		strcat(text, of_start ? keys[i].start : keys[i].end);
	}
	return text;
}

static int expand_sides(struct probes *set, const struct probe_spec *spec, const char *keys,
			struct probe_spec *start, struct probe_spec *end, struct diag *d)
{
	struct probe *from, *to;
	char name[4096];
	int err = make_sides(set, spec, start, end, &from, &to, d);

	if (err)
		return err;
	snprintf(name, sizeof(name), "%s..%s%s%s", from->name, to->name, spec->keys ? "@" : "",
		 spec->keys ? spec->keys : "");
	return add_pair(set, to, from, name, keys, d);
}

int probe_span_expand(struct probes *set, const struct probe_spec *spec, struct diag *d)
{
	const char *keys = spec->keys ? spec->keys : "tid";
	struct probe_spec start = *spec->start, end = *spec;
	struct probespec_key *list;
	size_t nr;
	int err = probespec_keys(&list, &nr, keys, d);

	if (err)
		return err;
	/* What depends on who asks for stacks is the same on both sides. */
	start.kernel_stack = spec->kernel_stack;
	end.start = NULL;
	start.keys = side_keys(list, nr, true);
	end.keys = side_keys(list, nr, false);
	err = start.keys && end.keys ? expand_sides(set, spec, keys, &start, &end, d) :
				       diag_set(d, -ENOMEM, "out of memory");
	free(start.keys);
	free(end.keys);
	probespec_free_keys(list, nr);
	return err;
}

/* --- stacks ----------------------------------------------------------------------------- */

static void set_stacks(struct probe *p, const struct probe_spec *spec,
		       const struct probe_lists *l)
{
	const struct probe_list *start = &l->start, *end = &l->end;
	bool said = start->kernel_stack || start->user_stack || end->kernel_stack ||
		    end->user_stack;
	struct probe *usual = p->span->by_thread ? p : p->span->start;

	start->p->kernel_stack = start->kernel_stack;
	start->p->user_stack = start->user_stack;
	end->p->kernel_stack = end->kernel_stack;
	end->p->user_stack = end->user_stack;
	if (said)
		return;
	said = l->kernel_stack || l->user_stack;
	usual->kernel_stack = said ? l->kernel_stack : spec->kernel_stack;
	usual->user_stack = said ? l->user_stack : spec->user_stack;
}

static int check_words(const struct probe *p, const struct probe_lists *l, struct diag *d)
{
	bool start = l->start.kernel_stack || l->start.user_stack;
	bool end = l->end.kernel_stack || l->end.user_stack;

	if (start && end)
		return diag_set(d, -EINVAL, "'%s': a record holds one stack: ask for that of the "
				"start or that of the end", p->span->name);
	if (l->start.task && l->end.task)
		return diag_set(d, -EINVAL, "'%s': a record is about one task: that of the start "
				"or that of the end", p->span->name);
	return 0;
}

/* --- all of it -------------------------------------------------------------------------- */

/* What a function returns; of the kernel's, most say an errno like that. */
static void mark_result(struct probe *p)
{
	for (size_t i = 0; i < p->nr_fields; i++) {
		struct probe_field *f = &p->fields[i];

		if (strcmp(f->source, "retval") || !p->kind->frame)
			continue;
		f->role = ROLE_RESULT;
		if (f->result == RESULT_NUMBER && f->is_signed && f->hint == HINT_DECIMAL &&
		    f->space != SPACE_USER)
			f->hint = HINT_ERRNO;
		return;
	}
}

static void set_layout(struct probe *p)
{
	const uint32_t from = PROBE_DURATION_OFFSET + sizeof(uint64_t);
	uint32_t end = probe_fields_layout(p->span->start, from);

	p->span->image_bytes = end - from;
	probe_fields_layout(p, end);
}

int probe_span_finish(struct probe *p, const struct probe_spec *spec,
		      const struct probe_lists *l, struct diag *d)
{
	struct probe_span *s = p->span;
	int err = check_words(p, l, d);

	if (err)
		return err;
	if (spec->max_ns && spec->min_ns > spec->max_ns)
		return diag_set(d, -EINVAL, "'%s': no span is longer than --min and shorter than "
				"--max", s->name);
	s->min_ns = spec->min_ns;
	s->max_ns = spec->max_ns;
	s->task_of_end = l->end.task;
	s->end_is_anyones = !s->by_thread && !s->task_of_end;
	s->start_is_anyones = !s->by_thread && s->task_of_end;
	if (!spec->tally)
		set_stacks(p, spec, l);
	mark_result(p);
	set_layout(p);
	return probe_span_filter_set(p, spec, d);
}
