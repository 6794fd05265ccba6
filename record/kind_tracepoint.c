/*
 * Tracepoints: `sched:sched_switch`.  The kernel makes a record for its tracers, and
 * a program attached to a perf event sees that record.  What can be had from the
 * arguments is taken from there instead: no record is made, and detaching takes
 * microseconds instead of tens of milliseconds.
 */
#define _GNU_SOURCE
#include "record/probe.h"

#include <errno.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "record/nearnames.h"
#include "record/specnames.h"
#include "record/tpattach.h"
#include "record/tpfields.h"
#include "record/tracefs.h"

#define PROGRESS_STEP 100

static const char *const way_names[] = { "tp_btf", "raw_tp", "tp_btf", "tracepoint" };

static void free_tracepoint(struct tracepoint *t)
{
	if (!t)
		return;
	tpformat_release(&t->format);
	tpraw_release(&t->raw);
	syscalltp_release(&t->tables);
	tpmissed_release(&t->misses);
	free(t->system);
	free(t->name);
	free(t);
}

/* --- which way -------------------------------------------------------------------------- */

/* A field as the arguments give it. */
static int raw_value(const struct tracepoint *t, const char *event, const char *name,
		     struct probe_value *out)
{
	if (t->way == WAY_SYSCALL)
		return syscalltp_field(&t->syscall, &t->format, name, out);
	return tpraw_field(&t->raw, event, name, out);
}

struct needs {
	const char *event;
	const struct tracepoint *t;
	bool beyond_raw;		/* a field that only the record has */
};

/* Names that are no fields are no concern here. */
static int need(void *ctx, const char *name)
{
	struct needs *n = ctx;
	struct probe_value value;

	if (tpfields_find(&n->t->format, n->t->system, name, &value, NULL) == -ENOENT)
		return 0;
	n->beyond_raw |= raw_value(n->t, n->event, name, &value) != 0;
	return 0;
}

static bool is_covered(const struct tracepoint *t, const char *event,
		       const struct probe_spec *spec)
{
	struct needs n = { .event = event, .t = t };

	if (!spec->fields && !spec->tally)
		tpfields_names(&t->format, t->system, need, &n);
	specnames_each(spec, need, &n);
	return !n.beyond_raw;
}

static bool takes_syscall(struct tracepoint *t, const struct probe_spec *spec, const char *event)
{
	if (strcmp(t->system, "syscalls") || syscalltp_find(&t->syscall, t->name) ||
	    syscalltp_try())
		return false;
	t->way = WAY_SYSCALL;
	return is_covered(t, event, spec);
}

static bool takes_raw(struct tracepoint *t, const struct probe_spec *spec, const char *event,
		      bool typed, bool untyped)
{
	if (tpraw_find(&t->raw, t->name))
		return false;
	t->way = WAY_TYPED;
	t->raw.is_typed = typed && tpraw_try_typed(t->raw.types, t->raw.attach_id) == 0;
	if (t->raw.is_typed && is_covered(t, event, spec))
		return true;
	t->way = WAY_UNTYPED;
	t->raw.is_typed = false;
	if (untyped && tpraw_try_untyped() == 0 && is_covered(t, event, spec))
		return true;
	tpraw_release(&t->raw);
	return false;
}

/* The cheapest way that is allowed, works here and has all that is asked for. */
static int choose_way(struct tracepoint *t, struct probes *set, const struct probe_spec *spec,
		      const char *event, struct diag *d)
{
	bool classic = probe_may_use(set, way_names[WAY_CLASSIC]);
	bool typed = probe_may_use(set, way_names[WAY_TYPED]);
	bool untyped = probe_may_use(set, way_names[WAY_UNTYPED]);

	if (typed && takes_syscall(t, spec, event))
		return 0;
	/* Each read through an untyped pointer costs more than the kernel's record. */
	if (tpraw_has_event(event) && takes_raw(t, spec, event, typed, untyped && !classic))
		return 0;
	t->way = WAY_CLASSIC;
	if (!classic)
		return diag_set(d, -EOPNOTSUPP, "'%s' with these fields cannot be recorded in any "
				"of the ways allowed (%s)", event, set->use);
	return 0;
}

/* --- from text to probes -------------------------------------------------------------------- */

static int complain_unknown(const char *what, const char *system, struct diag *d)
{
	struct tracefs_names names;
	char near[320] = "";

	if (tracefs_find(&names, NULL, NULL) == 0) {
		struct nearnames n;

		nearnames_begin(&n, what);
		for (size_t i = 0; i < names.nr; i++)
			nearnames_try(&n, names.list[i]);
		nearnames_text(&n, near, sizeof(near));
		tracefs_release_names(&names);
	}
	return diag_set(d, -ENOENT, "no tracepoint '%s'%s; see: kymo list '%s:*'", what, near,
			*near ? system : "*");
}

static void set_program_type(struct probe_variant *v, const struct tracepoint *t)
{
	switch (t->way) {
	case WAY_TYPED:
		v->prog_type = BPF_PROG_TYPE_TRACING;
		v->expected_attach_type = BPF_TRACE_RAW_TP;
		v->attach_btf_id = t->raw.attach_id;
		break;
	case WAY_UNTYPED:
		v->prog_type = BPF_PROG_TYPE_RAW_TRACEPOINT;
		break;
	case WAY_SYSCALL:
		syscalltp_describe(&t->syscall, v);
		break;
	case WAY_CLASSIC:
		v->prog_type = BPF_PROG_TYPE_TRACEPOINT;
		break;
	}
}

static int add_probe(struct probes *set, const struct probe_spec *spec, const char *event,
		     struct tracepoint *t, char *format, struct diag *d)
{
	int err = choose_way(t, set, spec, event, d), btf_fd;
	struct probe *p;

	if (err)
		return err;
	btf_fd = t->way == WAY_TYPED ? btftypes_kernel_fd(t->raw.types, d) : 0;
	if (btf_fd < 0)
		return btf_fd;
	p = probe_add(set, &kind_tracepoint, event, 1);
	if (!p)
		return diag_set(d, -ENOMEM, "out of memory");
	p->format = format;
	p->private = t;
	set_program_type(&p->variants[0], t);
	p->variants[0].attach_btf_fd = btf_fd;
	snprintf(p->method, sizeof(p->method), "%s", way_names[t->way]);
	return 0;
}

static int expand_one(struct probes *set, const struct probe_spec *spec, const char *event,
		      struct diag *d)
{
	const char *colon = strchr(event, ':');
	struct tracepoint *t = calloc(1, sizeof(*t));
	char *format = NULL;
	int err = -ENOMEM;

	if (!t)
		return diag_set(d, err, "out of memory");
	t->system = colon ? strndup(event, (size_t)(colon - event)) : strdup("");
	t->name = strdup(colon ? colon + 1 : event);
	if (!t->system || !t->name)
		goto fail;
	err = tracefs_read_format(&format, t->system, t->name, d);
	if (err == -ENOENT)
		err = complain_unknown(event, t->system, d);
	if (!err)
		err = tpformat_parse(&t->format, format, t->system, t->name, d) ? -EBADMSG : 0;
	if (!err)
		err = add_probe(set, spec, event, t, format, d);
	if (!err)
		return 0;
fail:
	free(format);
	free_tracepoint(t);
	return diag_set(d, err, "out of memory");
}

static int expand_all(struct probes *set, const struct probe_spec *spec,
		      const struct tracefs_names *names, struct diag *d)
{
	size_t nr_strange = 0;
	int err = 0;

	for (size_t i = 0; i < names->nr && !err; i++) {
		struct diag why = { "" };

		if (set->progress && i % PROGRESS_STEP == 0)
			set->progress(set->progress_ctx, spec->what, i, names->nr);
		err = expand_one(set, spec, names->list[i], &why);
		if (err == -EBADMSG && ++nr_strange < names->nr) {
			snprintf(set->note, sizeof(set->note), "%zu of %zu tracepoints are left "
				 "out: %.400s", nr_strange, names->nr, why.text);
			err = 0;
		} else if (err) {
			diag_set(d, err, "%s", why.text);
		}
	}
	return err;
}

static int expand(struct probes *set, const struct probe_spec *spec, struct diag *d)
{
	struct tracefs_names names;
	int err;

	if (!strpbrk(spec->what, "*?["))
		return expand_one(set, spec, spec->what, d);
	err = tracefs_find(&names, spec->what, d);
	if (err)
		return err;
	if (!names.nr)
		err = diag_set(d, -ENOENT, "no tracepoint matches '%s' (see: kymo list '*:*')",
			       spec->what);
	else
		err = expand_all(set, spec, &names, d);
	tracefs_release_names(&names);
	return err;
}

/* --- values -------------------------------------------------------------------------------- */

/* What every record has before its fields; programs cannot see it there. */
static int find_common(const struct tracepoint *t, const char *name, struct probe_value *out)
{
	bool is_pid = !strcmp(name, "common_pid");

	if (!is_pid && strcmp(name, "common_type"))
		return -ENOENT;
	memset(out, 0, sizeof(*out));
	out->result = RESULT_NUMBER;
	out->size = is_pid ? 4 : 2;
	out->is_signed = is_pid;
	out->steps[0].op = is_pid ? FETCH_TID : FETCH_CONSTANT;
	out->steps[0].value = is_pid ? 0 : t->format.id;
	out->nr_steps = 1;
	return 0;
}

/* The field as it is in the record, got from the arguments. */
static int find_raw(const struct probe *p, const struct tracepoint *t, const char *name,
		    struct probe_value *out, struct diag *d)
{
	struct probe_value described;
	int err = tpfields_find(&t->format, t->system, name, &described, d);
	bool was_memory;

	if (err)
		return err;
	err = raw_value(t, p->name, name, out);
	if (err)
		return err;
	was_memory = out->result != RESULT_NUMBER;
	memcpy(described.steps, out->steps, sizeof(out->steps));
	described.nr_steps = out->nr_steps;
	if (was_memory && out->max_bytes < described.max_bytes)
		described.max_bytes = out->max_bytes;
	*out = described;
	return 0;
}

static int find(const struct probe *p, const struct probe_variant *v, const char *name,
		struct probe_value *out, struct diag *d)
{
	const struct tracepoint *t = p->private;
	int err;

	(void)v;
	err = t->way == WAY_CLASSIC ? tpfields_find(&t->format, t->system, name, out, d) :
				      find_raw(p, t, name, out, d);
	return err == -ENOENT ? find_common(t, name, out) : err;
}

static int names(const struct probe *p, bool usual, probe_name_fn fn, void *ctx)
{
	const struct tracepoint *t = p->private;

	(void)usual;
	return tpfields_names(&t->format, t->system, fn, ctx);
}

static void release(struct probe *p)
{
	free_tracepoint(p->private);
	p->private = NULL;
}

/* --- listing ---------------------------------------------------------------------------------- */

static char *fields_of(const char *event)
{
	const char *colon = strchr(event, ':');
	char *system = strndup(event, (size_t)(colon - event)), *format = NULL, *text = NULL;
	struct tpformat f;

	if (system && tracefs_read_format(&format, system, colon + 1, NULL) == 0 &&
	    tpformat_parse(&f, format, system, colon + 1, NULL) == 0) {
		text = tpfields_text(&f);
		tpformat_release(&f);
	}
	free(format);
	free(system);
	return text;
}

/* Why none of them can be recorded, or NULL. */
static const char *missing(void)
{
	int err = tpraw_try_untyped();

	return err == -EPERM ? "needs CAP_BPF and CAP_PERFMON" : NULL;
}

static int list(const struct probe_kind *k, const char *glob, bool verbose, probe_list_fn fn,
		void *ctx, struct diag *d)
{
	struct tracefs_names found;
	const char *why;
	int err;

	(void)k;
	err = tracefs_find(&found, glob, d);
	if (err)
		return err;
	why = missing();
	for (size_t i = 0; i < found.nr && !err; i++) {
		char *fields = verbose ? fields_of(found.list[i]) : NULL;
		struct probe_listing l = {
			.name = found.list[i], .fields = fields, .missing = why,
		};

		err = fn(ctx, &l);
		free(fields);
	}
	tracefs_release_names(&found);
	return err;
}

const struct probe_kind kind_tracepoint = {
	.name = "tracepoint",
	.aliases = "t,tp",
	.summary = "tracepoint of the kernel, with named fields: sched:sched_switch",
	.expand = expand,
	.find = find,
	.names = names,
	.attach = tpattach_attach,
	.release = release,
	.missed = tpattach_missed,
	.list = list,
};
