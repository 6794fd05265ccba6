#include "record/drain_private.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "record/hostinfo.h"

/*
 * A BPF program reads the clock, walks the stack and only then hands the
 * message over: what is later than this before "now" may still be under way.
 */
#define SETTLE_NS UINT64_C(20000000)
/*
 * A note gets its time before it is visible; on a CPU that its hypervisor has
 * stolen, milliseconds may lie between.  Messages younger than this wait for
 * the next round, so that no sample overtakes the mapping it needs.
 */
#define NOTES_NS UINT64_C(3000000)
/* Exited tasks are kept that long for samples that come late. */
#define LINGER_NS UINT64_C(2000000000)
#define HELD_LIMIT_BYTES (4u << 20)
#define LAST_TRIES 100
#define LAST_TRY_MS 10
/* Above this the output is too slow, and samples are counted instead of kept. */
#define SPOOL_BUSY_PERCENT 50

/* --- notes ------------------------------------------------------------------------ */

/* What was recorded before that time belongs to the tasks as they are still known. */
static void take_probes(struct drain *dr, uint64_t until_ns)
{
	if (dr->opts.graph)
		ftgraph_run(dr->opts.graph, until_ns);
	if (dr->opts.sched) {
		sched_run(dr->opts.sched, until_ns);
		sched_forget(dr->opts.sched);
	}
	if (!dr->probes)
		return;
	probedrain_run(dr->probes, until_ns);
	probedrain_forget(dr->probes);
}

static void take_note(struct drain *dr, const struct note *n)
{
	take_probes(dr, n->time_ns);
	if (n->kind == NOTE_KSYMBOL) {
		if (n->ksymbol.gone)
			kernelmap_remove(dr->kernel, n->ksymbol.start);
		else
			kernelmap_add(dr->kernel, n->text, n->ksymbol.start,
				      n->ksymbol.size_bytes);
		stacks_kernel_changed(dr->stacks);
		if (dr->opts.graph)
			ftgraph_kernel_changed(dr->opts.graph);
		if (dr->opts.sched)
			sched_kernel_changed(dr->opts.sched);
		if (dr->probes)
			probedrain_kernel_changed(dr->probes);
		return;
	}
	tasks_note(dr->tasks, n);
	if (n->kind == NOTE_EXIT && n->pid == n->tid)
		symbolizer_process_exit(dr->symbolizer, n->pid);
}

static void take_notes(struct drain *dr, uint64_t until_ns)
{
	const struct note *n;

	while ((n = sideband_next(dr->opts.sideband, until_ns)))
		take_note(dr, n);
}

/* --- messages ----------------------------------------------------------------------- */

static void take_sample(struct drain *dr, const struct message_sample *m)
{
	const struct stacks_raw raw = { m->ips, m->kernel_frames, m->user_frames };
	uint64_t values[NR_FIELDS];
	struct task *task;

	if (m->event >= dr->opts.nr_events)
		return;
	if (dr->output_busy) {
		losses_output(dr->losses, m->m.cpu, m->event);
		return;
	}
	task = tasks_of_sample(dr->tasks, m->m.pid, m->m.tid, m->m.time_ns);
	if (!task) {
		losses_output(dr->losses, m->m.cpu, m->event);
		return;
	}
	values[FIELD_TIME] = m->m.time_ns;
	values[FIELD_CPU] = m->m.cpu;
	values[FIELD_TASK_ID] = task->id;
	values[FIELD_STACK_ID] = stacks_intern(dr->stacks, task->process, &raw);
	values[FIELD_PERIOD] = m->period;
	values[FIELD_STATE] = m->state;
	writer_record(dr->opts.writer, dr->event_ids[m->event], values);
	dr->nr_records++;
}

static void take_message(struct drain *dr, const struct message *m)
{
	take_notes(dr, m->time_ns);
	if (m->kind == MESSAGE_SAMPLE) {
		take_sample(dr, (const struct message_sample *)m);
	} else {
		take_probes(dr, m->time_ns);
		tasks_message(dr->tasks, (const struct message_task *)m);
	}
}

/* False when it does not fit: the message is taken at once then. */
static bool hold(struct held *h, const struct message *m, size_t size_bytes)
{
	size_t padded = (size_bytes + 7) & ~(size_t)7;
	uint64_t head = size_bytes;

	if (h->len + sizeof(head) + padded > HELD_LIMIT_BYTES)
		return false;
	if (h->len + sizeof(head) + padded > h->cap) {
		size_t cap = (h->cap ? h->cap * 2 : 65536) + padded;
		uint8_t *bytes = realloc(h->bytes, cap);

		if (!bytes)
			return false;
		h->bytes = bytes;
		h->cap = cap;
	}
	memcpy(h->bytes + h->len, &head, sizeof(head));
	memcpy(h->bytes + h->len + sizeof(head), m, size_bytes);
	h->len += sizeof(head) + padded;
	return true;
}

static void on_message(void *ctx, const struct message *m, size_t size_bytes)
{
	struct drain *dr = ctx;

	if (m->time_ns > dr->round_ns && hold(&dr->holding, m, size_bytes))
		return;
	take_message(dr, m);
}

/* What the last round put aside, unless it is still too early for it. */
static void take_held(struct drain *dr)
{
	struct held now = dr->holding;

	dr->holding = dr->held;
	dr->holding.len = 0;
	dr->held = now;
	for (size_t at = 0; at < now.len;) {
		uint64_t size_bytes;

		memcpy(&size_bytes, now.bytes + at, sizeof(size_bytes));
		at += sizeof(size_bytes);
		on_message(dr, (const struct message *)(const void *)(now.bytes + at),
			   size_bytes);
		at += (size_bytes + 7) & ~(size_t)7;
	}
}

static int take_round(struct drain *dr, uint64_t until_ns, struct diag *d)
{
	int err;

	dr->round_ns = until_ns;
	dr->output_busy = spool_fill_percent(dr->opts.spool) >= SPOOL_BUSY_PERCENT;
	if (dr->probes)
		probedrain_refuse(dr->probes, dr->losses, dr->output_busy);
	if (dr->opts.graph)
		ftgraph_refuse(dr->opts.graph, dr->output_busy);
	if (dr->opts.sched) {
		sched_refuse(dr->opts.sched, dr->output_busy);
		sched_take_stacks(dr->opts.sched);
	}
	err = sideband_drain(dr->opts.sideband);
	if (err)
		return diag_set(d, err, "cannot read the side band: %s", strerror(-err));
	take_held(dr);
	err = sampler_drain(dr->opts.sampler, on_message, dr);
	if (err)
		return diag_set(d, err, "cannot read the samples: %s", strerror(-err));
	take_notes(dr, dr->round_ns);
	take_probes(dr, dr->round_ns);
	if (dr->probes)
		probedrain_run_tallies(dr->probes, hostinfo_now_ns(), false);
	return 0;
}

int drain_run(struct drain *dr, struct diag *d)
{
	return take_round(dr, hostinfo_now_ns() - NOTES_NS, d);
}

/* --- rounds ---------------------------------------------------------------------------- */

static void write_modules(struct drain *dr)
{
	struct writer *w = dr->opts.writer;

	for (uint32_t id = 1; id <= modules_nr(dr->modules); id++) {
		struct module *m = modules_get(dr->modules, id);

		if (!m->changed)
			continue;
		m->changed = false;
		writer_module(w, &(struct writer_module){
			.id = id, .kind = m->kind, .bias = m->bias,
			.pid = m->kind == MODULE_JIT ? m->pid : 0,
			.path = writer_string(w, CLASS_PATH, m->path, strlen(m->path)),
			.build_id = m->build_id_bytes ?
				    writer_string(w, CLASS_BUILD_ID, m->build_id,
						  m->build_id_bytes) : 0,
		});
	}
}

int drain_flush(struct drain *dr, uint64_t now_ns)
{
	uint64_t safe_ns = dr->round_ns > SETTLE_NS ? dr->round_ns - SETTLE_NS : 0;

	if (dr->probes && probing_spans(dr->opts.probing))
		spanmaps_sweep(probing_spans(dr->opts.probing));
	stacks_name_frames(dr->stacks);
	write_modules(dr);
	losses_write(dr->losses, dr->opts.writer, now_ns);
	if (dr->opts.graph)
		ftgraph_write_losses(dr->opts.graph, now_ns);
	if (dr->opts.sched)
		sched_write_losses(dr->opts.sched, now_ns);
	tasks_reap(dr->tasks, now_ns > LINGER_NS ? now_ns - LINGER_NS : 0);
	return writer_flush(dr->opts.writer, safe_ns);
}

static bool are_rings_empty(const struct drain *dr)
{
	return (!dr->probes || probedrain_is_done(dr->probes)) &&
	       (!dr->opts.sched || sched_is_done(dr->opts.sched));
}

/*
 * Two rounds: the second takes what came while the first was under way.  A program that
 * lost its CPU in the middle of a record gets a second to have it back.
 */
int drain_finish(struct drain *dr)
{
	int err = take_round(dr, hostinfo_now_ns(), NULL);

	if (!err)
		err = take_round(dr, hostinfo_now_ns(), NULL);
	for (int i = 0; !err && i < LAST_TRIES && !are_rings_empty(dr); i++) {
		poll(NULL, 0, LAST_TRY_MS);
		err = take_round(dr, hostinfo_now_ns(), NULL);
	}
	if (dr->probes) {
		probedrain_run_tallies(dr->probes, hostinfo_now_ns(), true);
		losses_close_spans(dr->losses);
	}
	if (dr->opts.sched)
		sched_end(dr->opts.sched);
	tasks_finish(dr->tasks);
	if (dr->opts.graph)
		ftgraph_end(dr->opts.graph);
	return err ? err : drain_flush(dr, hostinfo_now_ns());
}

void drain_begin(struct drain *dr, uint64_t now_ns)
{
	if (dr->probes)
		probedrain_begin_tallies(dr->probes, now_ns);
}

int drain_snapshot(struct drain *dr, struct diag *d)
{
	const struct target *t = dr->opts.target;
	int err = 0;

	if (t->child)
		err = tasks_expect(dr->tasks, (uint32_t)t->child, "kymo");
	if (!err && t->all)
		err = tasks_snapshot_all(dr->tasks);
	for (size_t i = 0; !err && i < t->nr_pids; i++)
		err = tasks_snapshot_pid(dr->tasks, (uint32_t)t->pids[i]);
	if (err)
		return diag_set(d, err, "cannot read /proc: %s", strerror(-err));
	return 0;
}

void drain_get_counts(const struct drain *dr, struct drain_counts *counts)
{
	counts->records = dr->nr_records + (dr->probes ? probedrain_records(dr->probes) : 0);
	counts->lost = losses_total(dr->losses);
	losses_unpaired(dr->losses, &counts->no_start, &counts->no_end);
	if (dr->opts.graph) {
		counts->records += ftgraph_records(dr->opts.graph);
		counts->lost += ftgraph_lost(dr->opts.graph);
		counts->no_start += ftgraph_no_start(dr->opts.graph);
		counts->no_end += ftgraph_no_end(dr->opts.graph);
	}
	if (dr->opts.sched) {
		counts->records += sched_records(dr->opts.sched);
		counts->lost += sched_lost(dr->opts.sched);
	}
	counts->wrong_stacks = dr->opts.sched ? sched_wrong_stacks(dr->opts.sched) : 0;
	stacks_count(dr->stacks, &counts->frames, &counts->unresolved_frames);
}

const char *drain_note(const struct drain *dr)
{
	if (!sampler_user_only(dr->opts.sampler) && kernelmap_hidden(dr->kernel))
		return "the kernel hides its addresses: no kernel names "
		       "(set kernel.kptr_restrict to 0 or 1 and run as root)";
	return NULL;
}

void drain_close(struct drain *dr)
{
	if (!dr)
		return;
	probedrain_close(dr->probes);
	losses_free(dr->losses);
	stacks_free(dr->stacks);
	tasks_free(dr->tasks);
	symbolizer_close(dr->symbolizer);
	kernelmap_close(dr->kernel);
	modules_free(dr->modules);
	free(dr->event_ids);
	free(dr->held.bytes);
	free(dr->holding.bytes);
	free(dr);
}
