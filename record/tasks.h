/*
 * The tasks of the recording: who they are, where their code lies, and which
 * id stands for them in the file.  Fed by /proc at the start, by side band notes
 * and by the exec and fork messages of the BPF programs, in time order.
 *
 * One thread at a time.
 */
#ifndef RECORD_TASKS_H
#define RECORD_TASKS_H

#include "bpf/sample.h"
#include "format/writer.h"
#include "record/addrspace.h"
#include "record/modules.h"
#include "record/sideband.h"

#include <stdbool.h>
#include <stdint.h>

struct process {
	uint32_t pid, parent_pid, ns_pid;
	uint32_t cmdline, cgroup;	/* string ids */
	uint32_t uid;			/* as of its last fork or exec */
	bool kernel;			/* a kernel thread or the idle task */
	bool maps_written;
	uint32_t nr_threads, nr_live;	/* with and without those that exited */
	uint64_t maps_generation;	/* differs for every state of every process */
	struct addrspace maps;
};

struct task {
	struct process *process;
	uint32_t tid, id;		/* id: in the file, of its present name */
	uint32_t comm;			/* string id */
	uint32_t flags, previous;
	uint64_t time_ns, exit_ns;
};

struct tasks;

struct tasks_opts {
	struct writer *writer;
	struct modules *modules;
	bool ask_proc;		/* no BPF messages: ask /proc at exec and fork */
};

int tasks_new(struct tasks **out, const struct tasks_opts *opts);
void tasks_free(struct tasks *t);
/* Reads from /proc what exists now; a process that vanished is no error. */
int tasks_snapshot_all(struct tasks *t);
int tasks_snapshot_pid(struct tasks *t, uint32_t pid);
/* The command that is about to exec: what it is until then does not matter. */
int tasks_expect(struct tasks *t, uint32_t pid, const char *comm);
/* Side band notes other than NOTE_KSYMBOL. */
void tasks_note(struct tasks *t, const struct note *n);
/* MESSAGE_EXEC and MESSAGE_FORK. */
void tasks_message(struct tasks *t, const struct message_task *m);
/*
 * The task a sample belongs to, made from /proc when its birth was not noticed;
 * NULL when memory is short.  Writes its process's mappings to the file if that
 * has not been done.
 */
struct task *tasks_of_sample(struct tasks *t, uint32_t pid, uint32_t tid, uint64_t time_ns);
/* The same of a thread whose process is not told. */
struct task *tasks_of_thread(struct tasks *t, uint32_t tid, uint64_t time_ns);
/* Forgets tasks that exited before that time. */
void tasks_reap(struct tasks *t, uint64_t before_ns);
/* Writes what was put off: mappings of processes never sampled. */
void tasks_finish(struct tasks *t);

#endif
