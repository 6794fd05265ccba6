#include "record/target.h"
#include "record/cgroups.h"
#include "record/numlist.h"
#include "record/procfs.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef PIDFD_THREAD
#define PIDFD_THREAD O_EXCL
#endif

#define ONLINE_CPUS "/sys/devices/system/cpu/online"

/* A process or thread whose end is awaited. */
struct target_watch {
	int id;
	int pidfd;		/* -1: cannot be had, asked by number */
	bool gone;
};

/* --- lists ------------------------------------------------------------------- */

static int find_cpus(struct target *t, const char *list, struct diag *d)
{
	int *online = NULL, err;
	size_t nr_online = 0;

	err = numlist_read(ONLINE_CPUS, &online, &nr_online);
	if (err)
		return diag_set(d, err, "cannot read %s: %s", ONLINE_CPUS, strerror(-err));
	if (!list) {
		t->cpus = online;
		t->nr_cpus = nr_online;
		return 0;
	}
	t->all = t->some_cpus = true;
	err = numlist_parse(list, 0, true, &t->cpus, &t->nr_cpus);
	if (err)
		diag_set(d, err, "bad list of CPUs '%s' (such as 0,2-3)", list);
	for (size_t i = 0; !err && i < t->nr_cpus; i++) {
		if (!numlist_has(online, nr_online, t->cpus[i]))
			err = diag_set(d, -ENODEV, "no CPU %d is online", t->cpus[i]);
	}
	free(online);
	return err;
}

struct tid_list {
	int *tids;
	size_t nr, cap;
};

static int add_tid(void *ctx, uint32_t tid)
{
	struct tid_list *l = ctx;

	if (l->nr == l->cap) {
		size_t cap = l->cap ? l->cap * 2 : 64;
		int *tids = realloc(l->tids, cap * sizeof(*tids));

		if (!tids)
			return -ENOMEM;
		l->tids = tids;
		l->cap = cap;
	}
	l->tids[l->nr++] = (int)tid;
	return 0;
}

static int compare_ints(const void *a, const void *b)
{
	int x = *(const int *)a, y = *(const int *)b;

	return (x > y) - (x < y);
}

/* The threads of all processes that still live; -ESRCH if none does. */
static int list_tids(const struct target *t, struct tid_list *l)
{
	int err = 0;

	*l = (struct tid_list){ 0 };
	for (size_t i = 0; i < t->nr_pids; i++) {
		err = procfs_each_tid((uint32_t)t->pids[i], add_tid, l);
		if (err && err != -ESRCH)
			break;
	}
	if ((err && err != -ESRCH) || !l->nr) {
		free(l->tids);
		*l = (struct tid_list){ 0 };
		return err ? err : -ESRCH;
	}
	qsort(l->tids, l->nr, sizeof(*l->tids), compare_ints);
	return 0;
}

int target_refresh_tids(struct target *t, struct diag *d)
{
	struct tid_list now;
	int err, born = 0;

	if (t->all || t->threads_only || t->child)
		return 0;
	err = list_tids(t, &now);
	if (err == -ESRCH)
		return diag_set(d, err, "the process has ended");
	if (err)
		return diag_set(d, err, "cannot list threads: %s", strerror(-err));
	for (size_t i = 0; i < now.nr && !born; i++)
		born = !numlist_has(t->tids, t->nr_tids, now.tids[i]);
	free(t->tids);
	t->tids = now.tids;
	t->nr_tids = now.nr;
	return born;
}

/* Turns numbers of processes or threads into the owning processes, each once. */
static int find_owners(struct target *t, const int *ids, size_t nr, const char *what,
		       struct diag *d)
{
	t->pids = calloc(nr, sizeof(*t->pids));
	if (!t->pids)
		return diag_set(d, -ENOMEM, "out of memory");
	for (size_t i = 0; i < nr; i++) {
		int owner = procfs_owner((uint32_t)ids[i]);
		size_t at = 0;

		if (owner < 0)
			return diag_set(d, -ESRCH, "no %s %d", what, ids[i]);
		while (at < t->nr_pids && t->pids[at] != owner)
			at++;
		if (at == t->nr_pids)
			t->pids[t->nr_pids++] = owner;
	}
	return 0;
}

static int find_processes(struct target *t, const char *list, struct diag *d)
{
	struct tid_list threads;
	int *ids = NULL, err;
	size_t nr = 0;

	err = numlist_parse(list, 1, false, &ids, &nr);
	if (err)
		return diag_set(d, err, "bad list of processes '%s' (such as 12,345)", list);
	err = find_owners(t, ids, nr, "process", d);
	if (!err) {
		err = list_tids(t, &threads);
		if (err)
			diag_set(d, err, "no process %d", ids[0]);
		t->tids = threads.tids;
		t->nr_tids = threads.nr;
	}
	free(ids);
	return err;
}

static int find_threads(struct target *t, const char *list, struct diag *d)
{
	int err = numlist_parse(list, 1, false, &t->tids, &t->nr_tids);

	if (err)
		return diag_set(d, err, "bad list of threads '%s' (such as 12,345)", list);
	t->threads_only = true;
	return find_owners(t, t->tids, t->nr_tids, "thread", d);
}

static int find_command(struct target *t, char **command, struct diag *d)
{
	int err = workload_fork(&t->workload, command, d);

	if (err)
		return err;
	t->child = t->workload.pid;
	t->pids = malloc(sizeof(*t->pids));
	t->tids = malloc(sizeof(*t->tids));
	if (!t->pids || !t->tids)
		return diag_set(d, -ENOMEM, "out of memory");
	t->pids[0] = t->tids[0] = t->child;
	t->nr_pids = t->nr_tids = 1;
	return 0;
}

/* --- the end of it ------------------------------------------------------------ */

static int watch(struct target *t, const int *ids, size_t nr, unsigned int flags)
{
	t->watches = calloc(nr, sizeof(*t->watches));
	if (!t->watches)
		return -ENOMEM;
	t->done_fd = epoll_create1(EPOLL_CLOEXEC);
	if (t->done_fd < 0)
		return -errno;
	for (size_t i = 0; i < nr; i++) {
		struct target_watch *w = &t->watches[t->nr_watches++];
		struct epoll_event ready = { .events = EPOLLIN };

		w->id = ids[i];
		w->pidfd = (int)syscall(SYS_pidfd_open, ids[i], flags);
		if (w->pidfd >= 0 && epoll_ctl(t->done_fd, EPOLL_CTL_ADD, w->pidfd, &ready) < 0)
			return -errno;
	}
	return 0;
}

static bool has_gone(const struct target *t, const struct target_watch *w)
{
	struct pollfd ready = { .fd = w->pidfd, .events = POLLIN };
	siginfo_t info = { 0 };

	if (w->pidfd >= 0)
		return poll(&ready, 1, 0) > 0;
	/* A dead child keeps its number until its status is taken. */
	if (w->id == t->workload.pid)
		return waitid(P_PID, (id_t)w->id, &info, WEXITED | WNOHANG | WNOWAIT) < 0 ||
		       info.si_pid;
	return kill(w->id, 0) < 0 && errno == ESRCH;
}

bool target_is_done(struct target *t)
{
	size_t nr_gone = 0;

	for (size_t i = 0; i < t->nr_watches; i++) {
		struct target_watch *w = &t->watches[i];

		if (!w->gone && has_gone(t, w)) {
			w->gone = true;
			/* Else the set would stay readable from here on. */
			if (w->pidfd >= 0)
				epoll_ctl(t->done_fd, EPOLL_CTL_DEL, w->pidfd, NULL);
		}
		nr_gone += w->gone;
	}
	return t->nr_watches && nr_gone == t->nr_watches;
}

int target_done_fd(const struct target *t)
{
	return t->done_fd;
}

/* --- life ----------------------------------------------------------------------- */

static int find_cgroup(struct target *t, const char *path, struct diag *d)
{
	int fd = cgroups_open(path);

	if (fd == -ENODEV)
		return diag_set(d, fd, "cannot record cgroup '%s': no cgroup2 file system is "
				"mounted", path);
	if (fd < 0)
		return diag_set(d, fd, "cannot record cgroup '%s': %s (a path below the cgroup2 "
				"mount)", path, strerror(-fd));
	t->cgroup_fd = fd;
	t->all = true;
	return 0;
}

/* A command beside -p or -t is not recorded: it says how long to record. */
static int find_timer(struct target *t, char **command, struct diag *d)
{
	int err = workload_fork(&t->workload, command, d);

	if (err)
		return err;
	err = watch(t, &t->workload.pid, 1, 0);
	if (err)
		return diag_set(d, err, "cannot watch the command: %s", strerror(-err));
	return 0;
}

int target_open(struct target *t, const struct target_opts *opts, struct diag *d)
{
	int ways = (opts->all || opts->cpu_list || opts->cgroup) + !!opts->pid_list + !!opts->tid_list;
	int err;

	*t = (struct target){
		.opened = true, .all = opts->all, .done_fd = -1, .cgroup_fd = -1,
	};
	workload_init(&t->workload);
	if (ways > 1)
		return diag_set(d, -EINVAL,
				"processes, threads and whole CPUs exclude each other");
	if (!ways && !opts->command)
		return diag_set(d, -EINVAL,
				"nothing to record: no command, process, thread or CPU");
	err = find_cpus(t, opts->cpu_list, d);
	if (!err && opts->cgroup)
		err = find_cgroup(t, opts->cgroup, d);
	if (!err && opts->pid_list)
		err = find_processes(t, opts->pid_list, d);
	else if (!err && opts->tid_list)
		err = find_threads(t, opts->tid_list, d);
	else if (!err && opts->command)
		err = find_command(t, opts->command, d);
	if (err || !t->nr_pids)
		return err;
	if (opts->command && !t->child)
		return find_timer(t, opts->command, d);
	err = t->threads_only ? watch(t, t->tids, t->nr_tids, PIDFD_THREAD) :
				watch(t, t->pids, t->nr_pids, 0);
	if (err)
		return diag_set(d, err, "cannot watch the target: %s", strerror(-err));
	return 0;
}

int target_start(struct target *t, struct diag *d)
{
	return workload_start(&t->workload, d);
}

bool target_wait(struct target *t, bool terminate, int *wait_status)
{
	return workload_wait(&t->workload, terminate, wait_status);
}

void target_release(struct target *t)
{
	if (!t->opened)
		return;
	workload_release(&t->workload);
	for (size_t i = 0; i < t->nr_watches; i++) {
		if (t->watches[i].pidfd >= 0)
			close(t->watches[i].pidfd);
	}
	if (t->done_fd >= 0)
		close(t->done_fd);
	if (t->cgroup_fd >= 0)
		close(t->cgroup_fd);
	free(t->watches);
	free(t->cpus);
	free(t->tids);
	free(t->pids);
	memset(t, 0, sizeof(*t));
}
