/*
 * Opening: what records are made with, and the events as they are announced in the file.
 */
#include "record/drain_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static uint32_t announce(struct writer *w, const struct sampled *e)
{
	const struct field_desc fields[NR_FIELDS] = {
		[FIELD_TIME] = { "time", FIELD_UNSIGNED, ROLE_TIME, 0, 0, "ns" },
		[FIELD_CPU] = { "cpu", FIELD_UNSIGNED, ROLE_CPU, 0, 0, "" },
		[FIELD_TASK_ID] = { "task", FIELD_TASK, ROLE_TASK, 0, 0, "" },
		[FIELD_STACK_ID] = { "stack", FIELD_STACK, ROLE_STACK, 0, 0, "" },
		[FIELD_PERIOD] = { "period", FIELD_UNSIGNED, ROLE_WEIGHT, 0, 0, e->unit },
		[FIELD_STATE] = { "state", FIELD_UNSIGNED, ROLE_STATE, HINT_CHAR, 0, "" },
	};
	struct event_desc desc = { .name = e->name, .nr_fields = NR_FIELDS, .fields = fields };

	return writer_event(w, &desc);
}

static int announce_probes(struct drain *dr)
{
	size_t nr = probing_probes(dr->opts.probing)->nr;
	struct probedrain_opts opts = {
		.probing = dr->opts.probing, .writer = dr->opts.writer,
		.tasks = dr->tasks, .stacks = dr->stacks,
		.kernel = dr->kernel, .symbolizer = dr->symbolizer,
	};
	uint32_t *ids;
	int err = probedrain_open(&dr->probes, &opts);

	if (err)
		return err;
	ids = calloc(nr + 1, sizeof(*ids));
	if (!ids)
		return -ENOMEM;
	for (size_t i = 0; i < nr; i++)
		ids[i] = probedrain_event(dr->probes, (uint32_t)i);
	err = losses_add_probes(dr->losses, dr->opts.probing, ids);
	free(ids);
	return err;
}

static int announce_graph(struct drain *dr)
{
	const struct ftgraph_drain to = {
		.writer = dr->opts.writer, .tasks = dr->tasks, .stacks = dr->stacks,
		.kernel = dr->kernel, .symbolizer = dr->symbolizer,
	};

	return ftgraph_begin(dr->opts.graph, &to);
}

static int announce_sched(struct drain *dr)
{
	const struct sched_drain to = {
		.writer = dr->opts.writer, .tasks = dr->tasks, .stacks = dr->stacks,
		.kernel = dr->kernel, .symbolizer = dr->symbolizer,
	};

	return sched_begin(dr->opts.sched, &to);
}

static int announce_all(struct drain *dr)
{
	int err;

	dr->event_ids = calloc(dr->opts.nr_events + 1, sizeof(*dr->event_ids));
	if (!dr->event_ids)
		return -ENOMEM;
	for (size_t i = 0; i < dr->opts.nr_events; i++)
		dr->event_ids[i] = announce(dr->opts.writer, &dr->opts.events[i]);
	err = losses_new(&dr->losses, dr->opts.sampler, dr->opts.sideband, dr->event_ids,
			 dr->opts.nr_events);
	if (!err && dr->opts.graph)
		err = announce_graph(dr);
	if (!err && dr->opts.sched)
		err = announce_sched(dr);
	return err || !dr->opts.probing ? err : announce_probes(dr);
}

static int open_parts(struct drain *dr)
{
	struct tasks_opts to = {
		.writer = dr->opts.writer,
		.ask_proc = sampler_transport(dr->opts.sampler) == SAMPLER_PERF_MMAP,
	};
	struct stacks_opts so = { .writer = dr->opts.writer };
	int err;

	err = modules_new(&dr->modules);
	if (err)
		return err;
	err = kernelmap_open(&dr->kernel, dr->modules);
	if (err)
		return err;
	err = symbolizer_open(&dr->symbolizer, dr->modules, dr->kernel);
	if (err)
		return err;
	to.modules = so.modules = dr->modules;
	so.kernel = dr->kernel;
	so.symbolizer = dr->symbolizer;
	err = tasks_new(&dr->tasks, &to);
	if (err)
		return err;
	return stacks_new(&dr->stacks, &so);
}

int drain_open(struct drain **out, const struct drain_opts *opts, struct diag *d)
{
	struct drain *dr = calloc(1, sizeof(*dr));
	int err;

	if (!dr)
		return diag_set(d, -ENOMEM, "out of memory");
	dr->opts = *opts;
	err = open_parts(dr);
	if (!err)
		err = announce_all(dr);
	if (err) {
		drain_close(dr);
		return diag_set(d, err, "cannot start recording: %s", strerror(-err));
	}
	*out = dr;
	return 0;
}
