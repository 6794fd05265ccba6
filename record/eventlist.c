#include "record/eventlist.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "record/scheddesc.h"

static bool choose(enum session_choice own, enum session_choice general, bool usual)
{
	if (own == SESSION_DEFAULT)
		own = general;
	return own == SESSION_DEFAULT ? usual : own == SESSION_ON;
}

static int add_sampled(struct eventlist *l, const struct session_opts *o,
		       const struct session_event *e, const struct probe_spec *spec,
		       struct diag *d)
{
	struct sampled *s = &l->sampled[l->nr_sampled];
	int err;

	if (l->nr_sampled == SAMPLE_MAX_EVENTS)
		return diag_set(d, -E2BIG, "more than %d events to be sampled", SAMPLE_MAX_EVENTS);
	if (spec->fields)
		return diag_set(d, -EINVAL, "event '%s' is sampled: it has no list of fields",
				spec->text);
	if (e->tally || e->min_ns || e->max_ns)
		return diag_set(d, -EINVAL, "event '%s' is sampled: %s is for probes and spans",
				spec->text, e->tally ? "--tally" : "--min and --max");
	err = sampled_parse(s, spec->what, d);
	if (err)
		return -EINVAL;
	if (o->frequency_hz || o->period) {
		s->frequency_hz = o->frequency_hz;
		s->period = o->period;
	}
	s->kernel_stack = choose(e->kernel_stack, o->kernel_stack, true);
	s->user_stack = choose(e->user_stack, o->user_stack, true);
	s->filter = e->filter;
	for (size_t i = 0; i < l->nr_sampled; i++)
		if (!strcmp(l->sampled[i].name, s->name))
			return diag_set(d, -EINVAL, "event '%s' is asked for twice, the second time "
					"by '%s': leave that out, or join their filters with ||",
					s->name, spec->text);
	l->nr_sampled++;
	return 0;
}

/* Takes the texts over. */
static int add_probe(struct eventlist *l, const struct session_opts *o,
		     const struct session_event *e, struct probe_spec *spec, struct diag *d)
{
	struct probe_spec *more = realloc(l->probes, (l->nr_probes + 1) * sizeof(*more));

	if (!more)
		return diag_set(d, -ENOMEM, "out of memory");
	l->probes = more;
	spec->filter = e->filter;
	spec->tally = e->tally;
	spec->min_ns = e->min_ns;
	spec->max_ns = e->max_ns;
	spec->kernel_stack = choose(e->kernel_stack, o->kernel_stack, false);
	spec->user_stack = choose(e->user_stack, o->user_stack, false);
	l->probes[l->nr_probes++] = *spec;
	memset(spec, 0, sizeof(*spec));
	return 0;
}

/* Every thread's time is to add up: what is left out of it would be missing in each sum. */
static int check_sched(const struct session_event *e, const struct probe_spec *spec,
		       struct diag *d)
{
	const char *name = spec->what;

	if (spec->fields)
		return diag_set(d, -EINVAL, "event '%s' has the fields that it has: it takes no list "
				"of fields (see: kymo list -v sched)", name);
	if (e->filter)
		return diag_set(d, -EINVAL, "event '%s' takes no --filter, or the times of a thread "
				"would not add up: filter when you look at it, or record less with "
				"-p, -t, -C, -G or --min", name);
	if (e->max_ns || e->tally)
		return diag_set(d, -EINVAL, "event '%s' takes no %s: every wait of at least --min is "
				"a record", name, e->tally ? "--tally" : "--max");
	if (e->min_ns && strcmp(name, scheddesc_whole(true)->name) && strcmp(name, "offcpu"))
		return diag_set(d, -EINVAL, "--min looks at the whole time off a CPU, not at '%s': "
				"-e sched --min TIME records it, '%s' is filtered when you look at it",
				name, name);
	return 0;
}

/* Several parts are one recording; what is said twice is a mistake. */
static int add_sched(struct eventlist *l, const struct session_opts *o,
		     const struct session_event *e, const struct probe_spec *spec, struct diag *d)
{
	bool is_whole = !strcmp(spec->what, scheddesc_whole(true)->name);
	struct eventlist_sched *s = &l->sched;
	int err = check_sched(e, spec, d);

	if (err)
		return err;
	if (s->wanted && (is_whole || !s->part || !strcmp(s->part, spec->what)))
		return diag_set(d, -EINVAL, "event 'sched' is asked for twice, the second time by "
				"'%s': leave that out, it is recorded with all of its parts",
				spec->text);
	if (s->wanted && s->min_ns != e->min_ns)
		return diag_set(d, -EINVAL, "'%s' and '%s' are parts of the same records, which have "
				"one --min: say it once, -e sched --min TIME", s->part, spec->text);
	s->kernel_stack |= choose(e->kernel_stack, o->kernel_stack, true);
	s->user_stack |= choose(e->user_stack, o->user_stack, true);
	s->min_ns = e->min_ns;
	s->part = is_whole ? NULL : scheddesc_name(spec->what);
	s->wanted = true;
	return 0;
}

static int add_spec(struct eventlist *l, const struct session_opts *o,
		    const struct session_event *e, struct probe_spec *spec, struct diag *d)
{
	if (strcmp(spec->kind, "sample"))
		return add_probe(l, o, e, spec, d);
	return scheddesc_name(spec->what) ? add_sched(l, o, e, spec, d) :
					    add_sampled(l, o, e, spec, d);
}

static int add_event(struct eventlist *l, const struct session_opts *o,
		     const struct session_event *e, struct diag *d)
{
	struct probe_spec *specs;
	size_t nr;
	int err = probespec_parse(&specs, &nr, e->text, d);

	if (err)
		return err;
	for (size_t i = 0; i < nr && !err; i++)
		err = add_spec(l, o, e, &specs[i], d);
	probespec_free(specs, nr);
	return err;
}

int eventlist_init(struct eventlist *l, const struct session_opts *opts, struct diag *d)
{
	static const struct session_event usual = { .text = "cpu" };
	int err = 0;

	memset(l, 0, sizeof(*l));
	if (!opts->nr_events && opts->graph)
		return 0;
	if (!opts->nr_events)
		return add_event(l, opts, &usual, d);
	for (size_t i = 0; i < opts->nr_events && !err; i++)
		err = add_event(l, opts, &opts->events[i], d);
	return err;
}

void eventlist_release(struct eventlist *l)
{
	probespec_free(l->probes, l->nr_probes);
	l->probes = NULL;
	l->nr_probes = 0;
}
