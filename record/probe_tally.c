#include "record/probe_private.h"

#include <errno.h>
#include <string.h>

static bool is_plain(const struct probespec_field *f)
{
	return !f->hint && !strcmp(f->name, f->source);
}

/* Where who runs is asked for: the later, the less has to be kept. */
static struct probe_list *usual_side(struct probe_lists *l)
{
	return !l->start.p || l->end.p->span->by_thread ? &l->end : &l->start;
}

static bool is_builtin(const struct probe_list *l, const char *name)
{
	struct diag ignored = { "" };
	struct probe_value value;

	return !probe_builtin(name, &value) &&
	       l->p->kind->find(l->p, &l->p->variants[0], name, &value, &ignored) == -ENOENT;
}

static int append_once(struct probe_list *l, const struct probespec_field *f, struct diag *d)
{
	return probe_lists_find(l, f->name) ? 0 : probe_lists_append(l, f, d);
}

static int add_stacks(struct probe_list *l, bool kernel, bool user, struct diag *d)
{
	char kernel_name[] = "kstack", user_name[] = "ustack";
	struct probespec_field f = { .is_stack = true };
	int err = 0;

	if (kernel) {
		f.name = f.source = kernel_name;
		err = append_once(l, &f, d);
	}
	if (!err && user) {
		f.name = f.source = user_name;
		err = append_once(l, &f, d);
	}
	return err;
}

static bool has_stack(const struct probe_list *l)
{
	return probe_lists_find(l, "ustack") && probe_lists_find(l, "ustack")->is_stack;
}

/* from: what was to be recorded, where names that were given are known. */
static int add(struct probe_lists *to, const struct probe_lists *from,
	       const struct probespec_field *f, struct diag *d)
{
	const struct probespec_field *start, *end;
	bool kernel = false, user = false, task = false;
	struct probe_list *side = usual_side(to);
	int err;

	/* Addresses of a program need the process that runs, not one that the event names. */
	if (has_stack(side) && is_plain(f) && !strcmp(f->name, "pid")) {
		struct probespec_field process = { .source = f->source, .name = f->name,
						   .is_builtin = true };

		return append_once(side, &process, d);
	}
	start = is_plain(f) ? probe_lists_find(&from->start, f->name) : NULL;
	end = is_plain(f) ? probe_lists_find(&from->end, f->name) : NULL;
	if (start || end)
		return append_once(start ? &to->start : &to->end, start ? start : end, d);
	if (probe_lists_word(side->p, f, &kernel, &user, &task) && !task)
		return add_stacks(side, kernel, user, d);
	if (to->start.p && !strcmp(f->source, "duration"))
		return 0;
	if (!to->start.p || (is_builtin(&to->start, f->source) && is_builtin(&to->end, f->source)))
		return append_once(side, f, d);
	err = probe_lists_side(to, f, &side, d);
	return err ? err : append_once(side, f, d);
}

static int add_all(struct probe_lists *to, const struct probe_lists *from, const char *text,
		   struct diag *d)
{
	struct probespec_field *fields;
	size_t nr;
	int err = probespec_fields(&fields, &nr, text, d);

	if (err)
		return err;
	for (size_t i = 0; i < nr && !err; i++)
		err = add(to, from, &fields[i], d);
	probespec_free_fields(fields, nr);
	return err;
}

int probe_tally_choose(struct probe_lists *l, const struct tally_spec *tally, struct diag *d)
{
	const char *value = tally->hist ? tally->hist : tally->sum;
	struct probe_lists to = { .start = { .p = l->start.p, .keep_all = true },
				  .end = { .p = l->end.p, .keep_all = true } };
	int err = add_all(&to, l, tally->by, d);

	if (!err && value)
		err = add_all(&to, l, value, d);
	probe_lists_release(l);
	*l = to;
	return err;
}
