#include "record/tasks.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "record/cgroups.h"
#include "record/procfs.h"
#include "record/tasks_private.h"

uint32_t tasks_string(struct tasks *t, enum privacy_class class, const char *text)
{
	return *text ? writer_string(t->opts.writer, class, text, strlen(text)) : 0;
}

void tasks_write(struct tasks *t, const struct task *k)
{
	const struct process *p = k->process;

	writer_task(t->opts.writer, &(struct writer_task){
		.id = k->id, .time_ns = k->time_ns, .exit_ns = k->exit_ns,
		.pid = p->pid, .tid = k->tid, .parent_pid = p->parent_pid,
		.ns_pid = p->ns_pid, .flags = k->flags, .previous = k->previous,
		.comm = k->comm, .cmdline = p->cmdline, .cgroup = p->cgroup,
		.uid = p->uid,
	});
}

void tasks_write_mapping(struct tasks *t, const struct process *p,
			  const struct mapping *m, uint64_t time_ns)
{
	writer_mapping(t->opts.writer, &(struct writer_mapping){
		.time_ns = time_ns, .pid = p->pid, .start = m->start,
		.size_bytes = m->end - m->start, .offset = m->offset,
		.module = m->module, .prot = m->prot,
	});
}

void tasks_write_mappings(struct tasks *t, struct process *p, uint64_t time_ns)
{
	if (p->maps_written)
		return;
	for (size_t i = 0; i < p->maps.nr; i++)
		tasks_write_mapping(t, p, &p->maps.maps[i], time_ns);
	p->maps_written = true;
}

/* --- the two tables ---------------------------------------------------------- */

void tasks_free_process(struct process *p)
{
	addrspace_release(&p->maps);
	free(p);
}

/* The last thread takes its process along, unless the number has a new owner. */
static void thread_forget(struct tasks *t, struct task *k)
{
	struct process *p = k->process;

	if (pidmap_get(&t->threads, k->tid) == k)
		pidmap_remove(&t->threads, k->tid);
	free(k);
	if (--p->nr_threads)
		return;
	if (pidmap_get(&t->processes, p->pid) == p)
		pidmap_remove(&t->processes, p->pid);
	tasks_free_process(p);
}

struct process *tasks_new_process(struct tasks *t, uint32_t pid)
{
	struct process *p = calloc(1, sizeof(*p));

	if (!p || pidmap_put(&t->processes, pid, p) < 0) {
		free(p);
		return NULL;
	}
	addrspace_init(&p->maps);
	p->pid = p->ns_pid = pid;
	p->uid = TASK_UID_UNKNOWN;
	p->maps_generation = ++t->generation;
	return p;
}

int tasks_bury(struct tasks *t, struct task *k)
{
	k->process->nr_live--;
	if (t->nr_dead == t->cap_dead) {
		size_t cap = t->cap_dead ? t->cap_dead * 2 : 64;
		struct dead *dead = realloc(t->dead, cap * sizeof(*dead));

		if (!dead)
			return -ENOMEM;
		t->dead = dead;
		t->cap_dead = cap;
	}
	t->dead[t->nr_dead++] = (struct dead){ k->exit_ns, k };
	return 0;
}

/*
 * A number that is taken again replaces a thread whose exit note was lost; that
 * one is treated as dead from now on.
 */
struct task *tasks_new_thread(struct tasks *t, struct process *p, uint32_t tid,
			       uint64_t time_ns)
{
	struct task *old = pidmap_get(&t->threads, tid), *k = calloc(1, sizeof(*k));

	if (!k || pidmap_put(&t->threads, tid, k) < 0) {
		free(k);
		return NULL;
	}
	if (old && !old->exit_ns) {
		old->exit_ns = time_ns;
		tasks_bury(t, old);
	}
	k->process = p;
	k->tid = tid;
	k->id = ++t->next_id;
	k->time_ns = time_ns;
	p->nr_threads++;
	p->nr_live++;
	return k;
}

/* --- samples ------------------------------------------------------------------------ */

struct task *tasks_of_sample(struct tasks *t, uint32_t pid, uint32_t tid, uint64_t time_ns)
{
	struct task *k = pidmap_get(&t->threads, tid);
	struct process *p;

	if (k && k->process->pid == pid) {
		tasks_write_mappings(t, k->process, time_ns);
		return k;
	}
	p = pidmap_get(&t->processes, pid);
	if (!p)
		p = tasks_process_from_proc(t, pid);
	if (!p)
		p = tasks_new_process(t, pid);
	if (!p)
		return NULL;
	k = tasks_thread_from_proc(t, p, tid, time_ns, 0);
	if (k)
		tasks_write_mappings(t, p, time_ns);
	return k;
}

struct task *tasks_of_thread(struct tasks *t, uint32_t tid, uint64_t time_ns)
{
	const struct task *k = pidmap_get(&t->threads, tid);
	int owner = k ? (int)k->process->pid : procfs_owner(tid);

	return tasks_of_sample(t, owner < 0 ? tid : (uint32_t)owner, tid, time_ns);
}

void tasks_reap(struct tasks *t, uint64_t before_ns)
{
	size_t kept = 0;

	for (size_t i = 0; i < t->nr_dead; i++) {
		if (t->dead[i].exit_ns < before_ns)
			thread_forget(t, t->dead[i].task);
		else
			t->dead[kept++] = t->dead[i];
	}
	t->nr_dead = kept;
}

void tasks_finish(struct tasks *t)
{
	for (size_t i = 0; i < t->processes.cap; i++) {
		struct process *p = t->processes.slots[i].value;

		if (p)
			tasks_write_mappings(t, p, 0);
	}
}

/* --- life ------------------------------------------------------------------------------ */

int tasks_new(struct tasks **out, const struct tasks_opts *opts)
{
	struct tasks *t = calloc(1, sizeof(*t));

	if (!t)
		return -ENOMEM;
	t->opts = *opts;
	pidmap_init(&t->threads);
	pidmap_init(&t->processes);
	/* Without the names of cgroups, /proc is asked for each process. */
	cgroups_each(tasks_cgroup, t);
	*out = t;
	return 0;
}

void tasks_free(struct tasks *t)
{
	if (!t)
		return;
	tasks_reap(t, UINT64_MAX);
	for (size_t i = 0; i < t->threads.cap; i++)
		free(t->threads.slots[i].value);
	for (size_t i = 0; i < t->processes.cap; i++)
		if (t->processes.slots[i].value)
			tasks_free_process(t->processes.slots[i].value);
	pidmap_release(&t->threads);
	pidmap_release(&t->processes);
	free(t->cgroups);
	free(t->dead);
	free(t);
}
