#include "record/tasks_private.h"

#include <stdlib.h>
#include <string.h>

#define CGROUP_ROOT "/"

static struct cgroup_name *cgroup_slot(struct tasks *t, uint64_t id, bool make)
{
	for (size_t i = 0; i < t->nr_cgroups; i++)
		if (t->cgroups[i].id == id)
			return &t->cgroups[i];
	if (!make)
		return NULL;
	if (t->nr_cgroups == t->cap_cgroups) {
		size_t cap = t->cap_cgroups ? t->cap_cgroups * 2 : 32;
		struct cgroup_name *c = realloc(t->cgroups, cap * sizeof(*c));

		if (!c)
			return NULL;
		t->cgroups = c;
		t->cap_cgroups = cap;
	}
	t->cgroups[t->nr_cgroups] = (struct cgroup_name){ .id = id };
	return &t->cgroups[t->nr_cgroups++];
}

void tasks_cgroup(void *tasks, uint64_t id, const char *path)
{
	struct tasks *t = tasks;
	struct cgroup_name *slot = cgroup_slot(t, id, true);

	if (!slot)
		return;
	slot->path = tasks_string(t, CLASS_CGROUP, path);
	slot->is_root = !strcmp(path, CGROUP_ROOT);
}

/*
 * The cgroup of a task that the kernel just told of: by its v2 id when that is
 * known and not merely the root, which is where hybrid hosts leave everything;
 * else /proc while the task lives; else it stays that of its parent.
 */
static void update_cgroup(struct tasks *t, struct process *p, uint64_t id)
{
	const struct cgroup_name *known = id ? cgroup_slot(t, id, false) : NULL;
	char path[1024];

	if (known && known->path && !known->is_root) {
		p->cgroup = known->path;
		return;
	}
	if (procfs_read_cgroup(path, sizeof(path), p->pid) == 0)
		p->cgroup = tasks_string(t, CLASS_CGROUP, path);
}

static void on_mmap_note(struct tasks *t, const struct note *n)
{
	struct process *p = pidmap_get(&t->processes, n->pid);
	struct modules_file f = {
		.path = n->text, .pid = n->pid, .start = n->mmap.start,
		.size_bytes = n->mmap.size_bytes,
		.build_id = n->mmap.build_id_bytes ? n->mmap.build_id : NULL,
		.build_id_bytes = n->mmap.build_id_bytes,
		.dev_major = n->mmap.dev_major, .dev_minor = n->mmap.dev_minor,
		.inode = n->mmap.inode,
	};

	if (p)
		tasks_map(t, p, &f, n->mmap.offset, n->mmap.prot, n->time_ns);
}

/* A new name is a new entry, so that earlier records keep the old one. */
static void rename_task(struct tasks *t, struct task *k, uint32_t comm, uint64_t time_ns)
{
	k->previous = k->id;
	k->id = ++t->next_id;
	k->comm = comm;
	k->time_ns = time_ns;
	k->flags &= ~(uint32_t)TASK_AT_START;
	tasks_write(t, k);
}

/*
 * A thread that runs exec takes over the number of its process, whose leader
 * has exited before.  Of the thread's old number nothing is heard again.
 */
static struct task *take_over(struct tasks *t, struct process *p, uint64_t time_ns)
{
	struct task *k = tasks_new_thread(t, p, p->pid, time_ns);

	for (size_t i = 0; k && i < t->threads.cap; i++) {
		struct task *old = t->threads.slots[i].value;

		if (!old || old == k || old->process != p || old->exit_ns)
			continue;
		k->comm = old->comm;
		old->exit_ns = time_ns;
		old->flags |= TASK_EXITED;
		tasks_write(t, old);
		tasks_bury(t, old);
	}
	if (k)
		tasks_write(t, k);
	return k;
}

static void on_comm_note(struct tasks *t, const struct note *n)
{
	struct task *k = pidmap_get(&t->threads, n->tid);
	struct process *p = pidmap_get(&t->processes, n->pid);

	if (n->comm.exec && p && n->tid == n->pid && (!k || k->exit_ns))
		k = take_over(t, p, n->time_ns);
	if (!k)
		return;
	if (n->comm.exec) {
		addrspace_clear(&k->process->maps);
		k->process->maps_generation = ++t->generation;
		/* Maps between fork and exec matter only to samples taken there. */
		k->process->maps_written = true;
		k->process->kernel = false;
		if (t->opts.ask_proc)
			tasks_ask_proc(t, k->process);
	}
	rename_task(t, k, tasks_string(t, CLASS_COMMAND, n->text), n->time_ns);
}

static struct process *fork_process(struct tasks *t, const struct process *parent,
				    uint32_t pid)
{
	struct process *old = pidmap_get(&t->processes, pid);
	struct process *p = tasks_new_process(t, pid);

	if (!p)
		return NULL;
	if (old && !old->nr_threads)
		tasks_free_process(old);
	p->parent_pid = parent->pid;
	p->cmdline = parent->cmdline;
	p->cgroup = parent->cgroup;
	p->uid = parent->uid;
	p->kernel = parent->kernel;
	addrspace_copy(&p->maps, &parent->maps);
	return p;
}

static void on_fork_note(struct tasks *t, const struct note *n)
{
	struct process *parent = pidmap_get(&t->processes, n->fork.parent_pid), *p;
	struct task *from = pidmap_get(&t->threads, n->fork.parent_tid), *k;

	if (!parent)
		return;
	k = pidmap_get(&t->threads, n->tid);
	if (k && !k->exit_ns && k->process->pid == n->pid && k->flags & TASK_AT_START)
		return;		/* the snapshot saw it already */
	p = parent;
	if (n->pid != n->fork.parent_pid)
		p = fork_process(t, parent, n->pid);
	k = p ? tasks_new_thread(t, p, n->tid, n->time_ns) : NULL;
	if (!k)
		return;
	if (t->opts.ask_proc && p != parent)
		tasks_ask_proc(t, p);
	k->comm = from ? from->comm : 0;
	k->flags = p->kernel ? TASK_KERNEL_THREAD : 0;
	tasks_write(t, k);
}

static void on_exit_note(struct tasks *t, const struct note *n)
{
	struct task *k = pidmap_get(&t->threads, n->tid);

	if (!k || k->exit_ns)
		return;
	k->exit_ns = n->time_ns;
	k->flags |= TASK_EXITED;
	tasks_write(t, k);
	if (k->process->nr_live == 1)
		tasks_write_mappings(t, k->process, n->time_ns);
	tasks_bury(t, k);
}

void tasks_note(struct tasks *t, const struct note *n)
{
	switch (n->kind) {
	case NOTE_MMAP:
		on_mmap_note(t, n);
		break;
	case NOTE_COMM:
		on_comm_note(t, n);
		break;
	case NOTE_FORK:
		on_fork_note(t, n);
		break;
	case NOTE_EXIT:
		on_exit_note(t, n);
		break;
	case NOTE_CGROUP:
		tasks_cgroup(t, n->cgroup.id, n->text);
		break;
	case NOTE_KSYMBOL:
		break;
	}
}

void tasks_message(struct tasks *t, const struct message_task *m)
{
	struct task *k = pidmap_get(&t->threads, m->m.tid);
	struct process *p;

	if (!k || (m->m.kind == MESSAGE_FORK && m->m.pid != m->m.tid))
		return;
	p = k->process;
	p->parent_pid = m->parent_pid;
	p->ns_pid = m->ns_pid;
	p->uid = m->uid;
	if (m->m.kind == MESSAGE_EXEC) {
		p->cmdline = writer_string(t->opts.writer, CLASS_ARGUMENT, m->args,
					   m->args_bytes);
		update_cgroup(t, p, m->cgroup_id);
	}
	tasks_write(t, k);
}

