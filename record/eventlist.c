#include "record/eventlist.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

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

static int add_event(struct eventlist *l, const struct session_opts *o,
		     const struct session_event *e, struct diag *d)
{
	struct probe_spec *specs;
	size_t nr;
	int err = probespec_parse(&specs, &nr, e->text, d);

	if (err)
		return err;
	for (size_t i = 0; i < nr && !err; i++)
		err = strcmp(specs[i].kind, "sample") ? add_probe(l, o, e, &specs[i], d) :
							add_sampled(l, o, e, &specs[i], d);
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
