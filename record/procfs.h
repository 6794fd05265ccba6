/*
 * What /proc says about processes.  Everything may vanish while it is read:
 * -ESRCH then, and nothing was reported.
 */
#ifndef RECORD_PROCFS_H
#define RECORD_PROCFS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct procfs_task {
	uint32_t pid, tid, parent_pid, ns_pid;	/* ns_pid: innermost namespace */
	uint32_t uid;			/* the real one */
	uint64_t start_ns;		/* since boot, as in /proc/PID/stat */
	bool kernel_thread;
	char state;
	char comm[64];
	char cmdline[4096];		/* arguments, each ended by NUL */
	size_t cmdline_bytes;
	char cgroup[1024];		/* path; v2, else the longest of v1 */
};

/* pid == tid for a process; cmdline and cgroup are those of the process. */
int procfs_read_task(struct procfs_task *t, uint32_t pid, uint32_t tid);
/* The name of one thread alone. */
int procfs_read_comm(char *to, size_t size_bytes, uint32_t pid, uint32_t tid);
/* Of that, what is in the text of /proc/PID/stat: 0 or -EBADMSG. */
int procfs_parse_stat(struct procfs_task *t, const char *text);
/* The path that /proc/PID/cgroup names; the text is cut in pieces. */
void procfs_parse_cgroup(char *to, size_t size_bytes, char *text);
/* cgroup path alone. */
int procfs_read_cgroup(char *to, size_t size_bytes, uint32_t pid);
/* The process that a thread belongs to, or -ESRCH. */
int procfs_owner(uint32_t tid);
/* Calls fn for each process number, or each thread of one. */
int procfs_each_pid(int (*fn)(void *ctx, uint32_t pid), void *ctx);
int procfs_each_tid(uint32_t pid, int (*fn)(void *ctx, uint32_t tid), void *ctx);

struct procfs_map {
	uint64_t start, end, offset;
	uint32_t prot;			/* PROT_ bits */
	uint32_t dev_major, dev_minor;
	uint64_t inode;
	const char *path;		/* valid during the call */
};

/* Executable mappings only. */
int procfs_each_map(uint32_t pid, int (*fn)(void *ctx, const struct procfs_map *m), void *ctx);
/* CPU time of the calling process so far. */
void procfs_self_cost(uint64_t *user_ns, uint64_t *system_ns);

#endif
