#include "record/tasks_private.h"

#include <errno.h>

struct map_reader {
	struct tasks *tasks;
	struct process *process;
};

int tasks_map(struct tasks *t, struct process *p, const struct modules_file *f,
		   uint64_t offset, uint32_t prot, uint64_t time_ns)
{
	struct module *mod = modules_file(t->opts.modules, f);
	struct mapping m = {
		.start = f->start, .end = f->start + f->size_bytes,
		.offset = offset, .prot = prot,
	};

	if (!mod || m.end < m.start)
		return -ENOMEM;
	m.module = mod->id;
	p->maps_generation = ++t->generation;
	if (p->maps_written)
		tasks_write_mapping(t, p, &m, time_ns);
	return addrspace_map(&p->maps, &m);
}

static int read_map(void *ctx, const struct procfs_map *m)
{
	struct map_reader *r = ctx;
	struct modules_file f = {
		.path = m->path, .pid = r->process->pid, .start = m->start,
		.size_bytes = m->end - m->start, .dev_major = m->dev_major,
		.dev_minor = m->dev_minor, .inode = m->inode,
	};

	return tasks_map(r->tasks, r->process, &f, m->offset, m->prot, 0);
}

static void fill_process(struct tasks *t, struct process *p, const struct procfs_task *f)
{
	p->parent_pid = f->parent_pid;
	p->ns_pid = f->ns_pid;
	p->uid = f->uid;
	p->kernel = f->kernel_thread;
	if (f->cmdline_bytes)
		p->cmdline = writer_string(t->opts.writer, CLASS_ARGUMENT, f->cmdline,
					   f->cmdline_bytes);
	p->cgroup = tasks_string(t, CLASS_CGROUP, f->cgroup);
}

void tasks_ask_proc(struct tasks *t, struct process *p)
{
	struct procfs_task f;

	if (procfs_read_task(&f, p->pid, p->pid) == 0)
		fill_process(t, p, &f);
}

struct process *tasks_process_from_proc(struct tasks *t, uint32_t pid)
{
	struct map_reader r = { .tasks = t };
	struct procfs_task f;

	if (procfs_read_task(&f, pid, pid) < 0)
		return NULL;
	r.process = tasks_new_process(t, pid);
	if (!r.process)
		return NULL;
	fill_process(t, r.process, &f);
	if (!r.process->kernel)
		procfs_each_map(pid, read_map, &r);
	return r.process;
}

struct task *tasks_thread_from_proc(struct tasks *t, struct process *p, uint32_t tid,
				     uint64_t time_ns, uint32_t flags)
{
	char comm[64] = "";
	struct task *k;

	if (procfs_read_comm(comm, sizeof(comm), p->pid, tid) < 0 && flags & TASK_AT_START)
		return NULL;
	k = tasks_new_thread(t, p, tid, time_ns);
	if (!k)
		return NULL;
	k->comm = tasks_string(t, CLASS_COMMAND, comm);
	k->flags = flags | (p->kernel ? TASK_KERNEL_THREAD : 0);
	tasks_write(t, k);
	return k;
}

static int snapshot_thread(void *ctx, uint32_t tid)
{
	struct map_reader *r = ctx;

	if (!pidmap_get(&r->tasks->threads, tid))
		tasks_thread_from_proc(r->tasks, r->process, tid, 0, TASK_AT_START);
	return 0;
}

int tasks_snapshot_pid(struct tasks *t, uint32_t pid)
{
	struct map_reader r = { .tasks = t };

	if (pidmap_get(&t->processes, pid))
		return 0;
	r.process = tasks_process_from_proc(t, pid);
	if (!r.process)
		return 0;
	procfs_each_tid(pid, snapshot_thread, &r);
	if (r.process->nr_threads) {
		tasks_write_mappings(t, r.process, 0);
		return 0;
	}
	pidmap_remove(&t->processes, pid);
	tasks_free_process(r.process);
	return 0;
}

static int snapshot_process(void *ctx, uint32_t pid)
{
	return tasks_snapshot_pid(ctx, pid);
}

static int add_task(struct tasks *t, uint32_t pid, const char *comm, uint32_t flags)
{
	struct process *p = tasks_new_process(t, pid);
	struct task *k = p ? tasks_new_thread(t, p, pid, 0) : NULL;

	if (!k)
		return -ENOMEM;
	p->kernel = flags & TASK_KERNEL_THREAD;
	k->comm = tasks_string(t, CLASS_COMMAND, comm);
	k->flags = flags;
	tasks_write(t, k);
	return 0;
}

int tasks_expect(struct tasks *t, uint32_t pid, const char *comm)
{
	return add_task(t, pid, comm, 0);
}

/* Every CPU has an idle task of its own; all of them are pid 0. */
int tasks_snapshot_all(struct tasks *t)
{
	int err = add_task(t, 0, "swapper",
			   TASK_IDLE | TASK_KERNEL_THREAD | TASK_AT_START);

	return err ? err : procfs_each_pid(snapshot_process, t);
}
