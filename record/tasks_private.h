/*
 * What the files behind record/tasks.h share: tasks.c keeps the tables,
 * tasks_proc.c fills them from /proc, tasks_note.c from the kernel's notes.
 */
#ifndef RECORD_TASKS_PRIVATE_H
#define RECORD_TASKS_PRIVATE_H

#include "record/pidmap.h"
#include "record/procfs.h"
#include "record/tasks.h"

/* A thread that exited, to be forgotten once no sample of it can come. */
struct dead {
	uint64_t exit_ns;
	struct task *task;
};

/* Paths by cgroup v2 id, as the side band tells them. */
struct cgroup_name {
	uint64_t id;
	uint32_t path;
	bool is_root;
};

struct tasks {
	struct tasks_opts opts;
	struct pidmap threads, processes;
	struct dead *dead;
	size_t nr_dead, cap_dead;
	struct cgroup_name *cgroups;
	size_t nr_cgroups, cap_cgroups;
	uint32_t next_id;
	uint64_t generation;
};

uint32_t tasks_string(struct tasks *t, enum privacy_class class, const char *text);
/* Writes the entry, or writes it again with what is known now. */
void tasks_write(struct tasks *t, const struct task *k);
void tasks_write_mapping(struct tasks *t, const struct process *p,
			 const struct mapping *m, uint64_t time_ns);
/* All mappings of the process, once. */
void tasks_write_mappings(struct tasks *t, struct process *p, uint64_t time_ns);

/* NULL when out of memory; not written yet. */
struct process *tasks_new_process(struct tasks *t, uint32_t pid);
struct task *tasks_new_thread(struct tasks *t, struct process *p, uint32_t tid,
			      uint64_t time_ns);
void tasks_free_process(struct process *p);
/* The thread exited: it is forgotten by a later tasks_reap(). */
int tasks_bury(struct tasks *t, struct task *k);

/* What a cgroup id stands for; an fn for cgroups_each(). */
void tasks_cgroup(void *tasks, uint64_t id, const char *path);
/* Maps a file into the process; writes the mapping if the others are written. */
int tasks_map(struct tasks *t, struct process *p, const struct modules_file *f,
	      uint64_t offset, uint32_t prot, uint64_t time_ns);
/* From /proc: NULL when it is gone. */
struct process *tasks_process_from_proc(struct tasks *t, uint32_t pid);
struct task *tasks_thread_from_proc(struct tasks *t, struct process *p, uint32_t tid,
				    uint64_t time_ns, uint32_t flags);
/* Parent, namespace pid, command line and cgroup of a process, from /proc. */
void tasks_ask_proc(struct tasks *t, struct process *p);

#endif
