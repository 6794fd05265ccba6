/* Which fields and stacks are wanted, before anybody looks up their values. */
#include "record/probe_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MAX_USUAL 60

/* --- lists ---------------------------------------------------------------------------- */

static int copy_text(char **to, const char *text)
{
	*to = text ? strdup(text) : NULL;
	return text && !*to ? -ENOMEM : 0;
}

int probe_lists_append(struct probe_list *l, const struct probespec_field *f, struct diag *d)
{
	struct probespec_field *more = realloc(l->list, (l->nr + 1) * sizeof(*more)), *to;

	if (!more)
		return diag_set(d, -ENOMEM, "out of memory");
	l->list = more;
	to = &more[l->nr++];
	*to = (struct probespec_field){ .hint_arg = f->hint_arg, .is_stack = f->is_stack,
					.is_builtin = f->is_builtin };
	if (copy_text(&to->width, f->width) || copy_text(&to->source, f->source) ||
	    copy_text(&to->name, f->name) || copy_text(&to->hint, f->hint) ||
	    copy_text(&to->hint_text, f->hint_text))
		return diag_set(d, -ENOMEM, "out of memory");
	return 0;
}

static void drop(struct probe_list *l, size_t i)
{
	struct probespec_field *f = &l->list[i];

	free(f->source);
	free(f->name);
	free(f->hint);
	free(f->hint_text);
	free(f->width);
	memmove(f, f + 1, (--l->nr - i) * sizeof(*f));
}

static void clear(struct probe_list *l)
{
	probespec_free_fields(l->list, l->nr);
	l->list = NULL;
	l->nr = 0;
}

void probe_lists_release(struct probe_lists *l)
{
	clear(&l->start);
	clear(&l->end);
}

const struct probespec_field *probe_lists_find(const struct probe_list *l, const char *name)
{
	for (size_t i = 0; i < l->nr; i++)
		if (!strcmp(l->list[i].name, name))
			return &l->list[i];
	return NULL;
}

/* --- what is usual ------------------------------------------------------------------------ */

static int take_usual(void *ctx, const char *name)
{
	struct probespec_field f = { 0 };
	struct probe_list *l = ctx;
	int err = -ENOMEM;

	if (l->nr == MAX_USUAL)
		return -E2BIG;
	f.source = f.name = strdup(name);
	if (f.source)
		err = probe_lists_append(l, &f, NULL);
	free(f.source);
	return err;
}

static int collect_usual(struct probe_list *l, struct diag *d)
{
	int err = l->p->kind->names(l->p, true, take_usual, l);

	l->is_usual = true;
	if (err && err != -E2BIG)
		return diag_set(d, err, "cannot list the fields of '%s': %s", l->p->name,
				strerror(-err));
	return 0;
}

/* Of a function, what is returned is called like that of a system call. */
static int rename_returned(struct probe_list *end)
{
	struct probespec_field *f = end->nr == 1 ? &end->list[0] : NULL;

	if (!f || strcmp(f->source, "retval"))
		return 0;
	free(f->name);
	f->name = strdup("ret");
	return f->name ? 0 : -ENOMEM;
}

/* --- words --------------------------------------------------------------------------------- */

bool probe_lists_word(const struct probe *p, const struct probespec_field *f,
		      bool *kernel_stack, bool *user_stack, bool *task)
{
	struct diag ignored = { "" };
	bool kernel = !strcmp(f->source, "stack") || !strcmp(f->source, "kstack");
	bool user = !strcmp(f->source, "stack") || !strcmp(f->source, "ustack");
	bool about = !strcmp(f->source, "task");
	struct probe_value own;

	if ((!kernel && !user && !about) || f->hint || strcmp(f->name, f->source) ||
	    p->kind->find(p, &p->variants[0], f->source, &own, &ignored) != -ENOENT)
		return false;
	*kernel_stack |= kernel;
	*user_stack |= user;
	*task |= about;
	return true;
}

static void take_words(struct probe_list *l)
{
	for (size_t i = 0; i < l->nr;) {
		if (probe_lists_word(l->p, &l->list[i], &l->kernel_stack, &l->user_stack,
				     &l->task))
			drop(l, i);
		else
			i++;
	}
}

/* --- one list for both sides ------------------------------------------------------------------ */

/* 0: it has it; -ENOENT: it does not; else it has it, but not like this. */
static int ask(const struct probe_list *l, const char *source, struct diag *d)
{
	struct probe_value value;

	return l->p ? probe_lookup(l->p, &l->p->variants[0], source, &value, d) : -ENOENT;
}

int probe_lists_side(struct probe_lists *l, const struct probespec_field *f,
		     struct probe_list **out, struct diag *d)
{
	struct probe_list *start = &l->start, *end = &l->end;
	struct diag why = { "" }, ignored = { "" };
	char starts[200], ends[200];
	int err = ask(start, f->source, &why), other;

	*out = start;
	if (!err)
		return 0;
	other = ask(end, f->source, &ignored);
	*out = end;
	if (!other || (err == -ENOENT && !start->p))
		return 0;
	*out = start;
	if (err != -ENOENT)
		return 0;
	*out = end;
	if (other != -ENOENT)
		return 0;
	probe_join_names(start->p, starts, sizeof(starts));
	probe_join_names(end->p, ends, sizeof(ends));
	return diag_set(d, -EINVAL, "neither start nor end of '%s' has a field '%s' (start: %s; "
			"end: %s)", end->p->name, f->source, starts, ends);
}

/* A word that says nothing of the side means the one where it is usual. */
static bool take_common_word(struct probe_lists *l, const struct probespec_field *f)
{
	bool task = false;

	return probe_lists_word(l->end.p, f, &l->kernel_stack, &l->user_stack, &task);
}

/* Leaves in the lists what `text` names: what is in them already, or else. */
static int choose(struct probe_lists *l, const char *text, struct diag *d)
{
	struct probe_lists chosen = { .start.p = l->start.p, .end.p = l->end.p };
	struct probespec_field *fields;
	size_t nr;
	int err = probespec_fields(&fields, &nr, text, d);

	if (err)
		return err;
	chosen.start.task = l->start.task;
	chosen.end.task = l->end.task;
	for (size_t i = 0; i < nr && !err; i++) {
		struct probespec_field *f = &fields[i];
		bool is_plain = !f->hint && !strcmp(f->name, f->source);
		const struct probespec_field *start, *end;
		struct probe_list *side;

		start = is_plain ? probe_lists_find(&l->start, f->name) : NULL;
		end = is_plain ? probe_lists_find(&l->end, f->name) : NULL;
		if (start || end) {
			err = probe_lists_append(start ? &chosen.start : &chosen.end,
						 start ? start : end, d);
		} else if (!take_common_word(&chosen, f)) {
			err = probe_lists_side(&chosen, f, &side, d);
			if (!err)
				err = probe_lists_append(side, f, d);
		}
	}
	probespec_free_fields(fields, nr);
	probe_lists_release(l);
	*l = chosen;
	return err;
}

/* --- all of it ------------------------------------------------------------------------------- */

static int collect(struct probe_list *l, const char *text, struct diag *d)
{
	int err;

	if (!text)
		return collect_usual(l, d);
	err = probespec_fields(&l->list, &l->nr, text, d);
	if (!err)
		take_words(l);
	return err;
}

/* Else nobody could say which of them is meant. */
static int check_names(const struct probe_list *l, struct diag *d)
{
	for (size_t i = 0; i < l->nr; i++)
		for (size_t k = 0; k < i; k++)
			if (!strcmp(l->list[i].name, l->list[k].name))
				return diag_set(d, -EINVAL, "'%s' has two fields '%s': call one "
						"of them differently (other=%s)", l->p->name,
						l->list[i].name, l->list[i].source);
	return 0;
}

static int check_sides(struct probe_lists *l, struct diag *d)
{
	for (size_t i = 0; i < l->end.nr;) {
		const char *name = l->end.list[i].name;
		const struct probespec_field *other = probe_lists_find(&l->start, name);

		if (!other) {
			i++;
		} else if (l->end.is_usual) {
			drop(&l->end, i);
		} else if (l->start.is_usual) {
			drop(&l->start, (size_t)(other - l->start.list));
		} else {
			return diag_set(d, -EINVAL, "'%s' has a field '%s' of its start and one of "
					"its end: call one of them differently (end_%s=%s)",
					l->end.p->name, name, name, l->end.list[i].source);
		}
	}
	return 0;
}

static int check_duration(struct probe_list *l, struct diag *d)
{
	const struct probespec_field *f = probe_lists_find(l, "duration");

	if (f && !l->is_usual)
		return diag_set(d, -EINVAL, "'%s' is a span, which has a duration of its own: call "
				"its field differently (other=%s)", l->p->name, f->source);
	if (f)
		drop(l, (size_t)(f - l->list));
	return 0;
}

static int collect_span(struct probe_lists *l, const struct probe_spec *spec, struct diag *d)
{
	int err = collect(&l->start, spec->start ? spec->start->fields : NULL, d);

	if (!err)
		err = collect(&l->end, spec->start ? spec->fields : NULL, d);
	if (!err && !spec->start)
		err = rename_returned(&l->end);
	if (!err && !spec->start && spec->fields)
		err = choose(l, spec->fields, d);
	if (!err && spec->chosen)
		err = choose(l, spec->chosen, d);
	if (!err)
		err = check_duration(&l->start, d);
	if (!err)
		err = check_duration(&l->end, d);
	if (!err)
		err = check_names(&l->start, d);
	return err ? err : check_sides(l, d);
}

int probe_lists_collect(struct probe_lists *l, struct probe *p, const struct probe_spec *spec,
			struct diag *d)
{
	int err;

	l->end.p = p;
	if (p->span) {
		l->start.p = p->span->start;
		err = collect_span(l, spec, d);
	} else {
		err = collect(&l->end, spec->fields, d);
	}
	if (!err)
		err = check_names(&l->end, d);
	return err ? diag_set(d, err, "out of memory") : 0;
}
