/*
 * Why threads are blocked: kernel stacks as kernels from 5.10 to 7.2 have them, and threads
 * of this machine that wait for each kind of thing.
 */
#include "record/schedreason.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

/* --- stacks as text, innermost first ------------------------------------------------- */

static struct schedreason reason_of(const char *stack)
{
	char text[2048], *next = text, *name;
	struct schedreason_walk walk;

	snprintf(text, sizeof(text), "%s", stack);
	schedreason_begin(&walk);
	while ((name = strsep(&next, " \n")))
		if (*name && !schedreason_next(&walk, schedreason_row(name)))
			break;
	return schedreason_end(&walk);
}

#define ENTRY " do_syscall_64 entry_SYSCALL_64_after_hwframe"
#define THREAD " kthread ret_from_fork ret_from_fork_asm"
#define FAULT " handle_mm_fault do_user_addr_fault exc_page_fault asm_exc_page_fault"

static const struct {
	const char *stack;
	enum sched_reason reason;
	bool idle;
} known[] = {
	{ "__schedule schedule futex_wait_queue_me futex_wait do_futex __x64_sys_futex" ENTRY,
	  SCHED_REASON_FUTEX, false },
	{ "__schedule schedule futex_do_wait __futex_wait futex_wait do_futex" ENTRY,
	  SCHED_REASON_FUTEX, false },
	{ "__schedule schedule schedule_timeout do_semtimedop" ENTRY, SCHED_REASON_FUTEX, false },
	{ "schedule do_nanosleep hrtimer_nanosleep common_nsleep __x64_sys_clock_nanosleep" ENTRY,
	  SCHED_REASON_SLEEP, false },
	{ "schedule pipe_wait pipe_read new_sync_read vfs_read ksys_read" ENTRY,
	  SCHED_REASON_PIPE, false },
	{ "schedule anon_pipe_read vfs_read ksys_read" ENTRY, SCHED_REASON_PIPE, false },
	{ "schedule schedule_timeout wait_woken n_tty_read tty_read vfs_read" ENTRY,
	  SCHED_REASON_PIPE, false },
	{ "schedule schedule_timeout unix_stream_data_wait unix_stream_read_generic" ENTRY,
	  SCHED_REASON_PIPE, false },
	/* A helper of all sockets, under one of this machine and under one that is not. */
	{ "schedule schedule_timeout __skb_wait_for_more_packets __skb_recv_datagram "
	  "skb_recv_datagram __unix_dgram_recvmsg unix_dgram_recvmsg sock_recvmsg" ENTRY,
	  SCHED_REASON_PIPE, false },
	{ "schedule schedule_timeout __skb_wait_for_more_packets __skb_recv_udp udp_recvmsg "
	  "inet_recvmsg sock_recvmsg" ENTRY, SCHED_REASON_NETWORK, false },
	{ "schedule schedule_timeout __skb_wait_for_more_packets skb_recv_datagram hci_recvmsg"
	  ENTRY, SCHED_REASON_NETWORK, false },
	{ "schedule schedule_timeout wait_woken sk_wait_data tcp_recvmsg_locked tcp_recvmsg" ENTRY,
	  SCHED_REASON_NETWORK, false },
	{ "schedule schedule_timeout inet_csk_accept inet_accept __sys_accept4" ENTRY,
	  SCHED_REASON_NETWORK, true },
	{ "schedule schedule_timeout __skb_wait_for_more_packets skb_recv_datagram unix_accept"
	  ENTRY, SCHED_REASON_PIPE, true },
	/* Disks, with pages and with folios. */
	{ "schedule io_schedule wait_on_page_bit_common generic_file_buffered_read "
	  "ext4_file_read_iter" ENTRY, SCHED_REASON_DISK, false },
	{ "schedule io_schedule folio_wait_bit_common filemap_update_page filemap_get_pages "
	  "filemap_read ext4_file_read_iter vfs_read" ENTRY, SCHED_REASON_DISK, false },
	{ "schedule jbd2_log_wait_commit jbd2_complete_transaction ext4_sync_file do_fsync" ENTRY,
	  SCHED_REASON_DISK, false },
	{ "schedule schedule_timeout io_schedule_timeout __wait_for_common.constprop.0 "
	  "wait_for_completion_io_timeout submit_bio_wait blkdev_issue_flush" ENTRY,
	  SCHED_REASON_DISK, false },
	{ "schedule blkdev_direct_IO_simple.constprop.0 blkdev_read_iter" ENTRY,
	  SCHED_REASON_DISK, false },
	/* A fault that waits for the disk is a fault; one that waits for a lock is not. */
	{ "schedule io_schedule folio_wait_bit_common filemap_fault __do_fault do_fault "
	  "__handle_mm_fault" FAULT, SCHED_REASON_PAGE_FAULT, false },
	{ "schedule io_schedule __lock_page_or_retry do_swap_page __handle_mm_fault" FAULT,
	  SCHED_REASON_PAGE_FAULT, false },
	{ "schedule handle_userfault hugetlb_fault" FAULT, SCHED_REASON_PAGE_FAULT, false },
	{ "schedule rwsem_down_read_slowpath down_read_killable do_user_addr_fault exc_page_fault",
	  SCHED_REASON_LOCK, false },
	{ "schedule io_schedule folio_wait_bit_common filemap_fault __do_fault el0_da "
	  "handle_mm_fault do_page_fault do_mem_abort el0_sync", SCHED_REASON_PAGE_FAULT, false },
	/* The innermost one tells. */
	{ "schedule schedule_preempt_disabled __mutex_lock.constprop.0 __mutex_lock_slowpath "
	  "mutex_lock ext4_file_write_iter vfs_write" ENTRY, SCHED_REASON_LOCK, false },
	{ "schedule percpu_rwsem_wait __percpu_down_read cgroup_threadgroup_change_begin" ENTRY,
	  SCHED_REASON_LOCK, false },
	{ "schedule schedule_hrtimeout_range_clock ep_poll do_epoll_wait __x64_sys_epoll_wait"
	  ENTRY, SCHED_REASON_POLL, true },
	{ "schedule schedule_hrtimeout_range poll_schedule_timeout.constprop.0 do_poll do_sys_poll"
	  ENTRY, SCHED_REASON_POLL, true },
	{ "schedule io_cqring_wait_schedule io_cqring_wait __do_sys_io_uring_enter" ENTRY,
	  SCHED_REASON_POLL, true },
	{ "schedule do_wait kernel_wait4 __do_sys_wait4" ENTRY, SCHED_REASON_CHILD, false },
	{ "schedule schedule_timeout __wait_for_common wait_for_completion_state kernel_clone "
	  "__do_sys_vfork" ENTRY, SCHED_REASON_CHILD, false },
	{ "schedule do_sigtimedwait __x64_sys_rt_sigtimedwait" ENTRY, SCHED_REASON_OTHER, true },
	{ "schedule __x64_sys_pause" ENTRY, SCHED_REASON_OTHER, true },
	/* Kernel threads: without work where they wait in their main function only. */
	{ "schedule worker_thread" THREAD, SCHED_REASON_WORK, true },
	{ "schedule kjournald2" THREAD, SCHED_REASON_WORK, true },
	{ "schedule schedule_timeout rcu_gp_fqs_loop rcu_gp_kthread" THREAD,
	  SCHED_REASON_WORK, true },
	{ "schedule smpboot_thread_fn" THREAD, SCHED_REASON_WORK, true },
	{ "schedule kthreadd ret_from_fork", SCHED_REASON_WORK, true },
	{ "schedule io_schedule wait_on_buffer jbd2_journal_commit_transaction kjournald2" THREAD,
	  SCHED_REASON_DISK, false },
	{ "schedule rq_qos_wait wbt_wait __rq_qos_throttle blk_mq_submit_bio wb_workfn "
	  "process_one_work worker_thread" THREAD, SCHED_REASON_DISK, false },
	{ "schedule schedule_timeout wait_for_completion __flush_work some_work process_one_work "
	  "worker_thread" THREAD, SCHED_REASON_OTHER, false },
	{ "schedule mutex_lock process_one_work worker_thread" THREAD, SCHED_REASON_LOCK, false },
	/* Nothing that is known. */
	{ "schedule ptrace_stop ptrace_do_notify get_signal", SCHED_REASON_OTHER, false },
	{ "", SCHED_REASON_OTHER, false },
};

static void test_known(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++) {
		struct schedreason got = reason_of(known[i].stack);

		if (got.reason != known[i].reason || got.idle != known[i].idle)
			fail_msg("%s: reason %d idle %d, not %d %d", known[i].stack, got.reason,
				 got.idle, known[i].reason, known[i].idle);
	}
}

static void test_names(void **state)
{
	(void)state;
	assert_int_equal(schedreason_row("no_such_function"), SCHEDREASON_NO_ROW);
	assert_int_equal(schedreason_row(""), SCHEDREASON_NO_ROW);
	/* Compilers append to names; a name that only begins like another is not that one. */
	assert_int_equal(schedreason_row("ep_poll.isra.0"), schedreason_row("ep_poll"));
	assert_int_equal(schedreason_row("ep_poll_callback"), SCHEDREASON_NO_ROW);
	assert_int_not_equal(schedreason_row("ep_poll"), SCHEDREASON_NO_ROW);
}

/* --- threads that wait --------------------------------------------------------------- */

struct wait {
	struct wait *next;
	void (*fn)(struct wait *w);
	int fds[2], semaphore;
	pid_t tid;
	struct sockaddr_in address;
	pthread_mutex_t mutex;
};

static void *run(void *arg)
{
	struct wait *w = arg;

	__atomic_store_n(&w->tid, (pid_t)syscall(SYS_gettid), __ATOMIC_RELEASE);
	w->fn(w);
	return NULL;
}

/* The names of /proc/.../stack; false: it cannot be read here. */
static bool read_stack(const char *path, char *to, size_t size)
{
	char line[256], name[128];
	FILE *f = fopen(path, "re");
	size_t len = 0;

	*to = '\0';
	if (!f)
		return false;
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "[<%*[^>]>] %127[^+ ]", name) == 1 && len < size - sizeof(name))
			len += (size_t)snprintf(to + len, size - len, "%s ", name);
	fclose(f);
	return len > 0;
}

static void sleep_a_little(void)
{
	nanosleep(&(struct timespec){ 0, 2000000 }, NULL);
}

/* Until it waits where it is to; the last stack seen tells what it did instead. */
static void expect_at(const char *path, enum sched_reason reason, bool idle)
{
	char stack[2048] = "";
	struct schedreason got = { 0, false };
	bool was_read = false;

	for (int i = 0; i < 2500; i++) {
		if (read_stack(path, stack, sizeof(stack))) {
			was_read = true;
			got = reason_of(stack);
			if (got.reason == reason && got.idle == idle)
				return;
		}
		sleep_a_little();
	}
	if (!was_read)
		skip();
	fail_msg("%s: reason %d idle %d, not %d %d", stack, got.reason, got.idle, reason, idle);
}

/* What threads that never end still use, where a leak checker finds it. */
static struct wait *left;

/* The thread is left where it is: but for that of a semaphore, its wait never ends. */
static void expect(void (*fn)(struct wait *w), enum sched_reason reason, bool idle)
{
	struct wait *w = calloc(1, sizeof(*w));
	pthread_t thread;
	char path[64];

	assert_non_null(w);
	w->next = left;
	left = w;
	w->fn = fn;
	assert_int_equal(pthread_create(&thread, NULL, run, w), 0);
	pthread_detach(thread);
	while (!__atomic_load_n(&w->tid, __ATOMIC_ACQUIRE))
		sleep_a_little();
	snprintf(path, sizeof(path), "/proc/self/task/%d/stack", w->tid);
	expect_at(path, reason, idle);
	if (w->semaphore > 0)
		semctl(w->semaphore, 0, IPC_RMID);
}

static void wait_sleep(struct wait *w)
{
	(void)w;
	nanosleep(&(struct timespec){ 1000, 0 }, NULL);
}

static void wait_futex(struct wait *w)
{
	pthread_mutex_init(&w->mutex, NULL);
	pthread_mutex_lock(&w->mutex);
	pthread_mutex_lock(&w->mutex);
}

static void wait_semaphore(struct wait *w)
{
	struct sembuf down = { 0, -1, 0 };

	w->semaphore = semget(IPC_PRIVATE, 1, 0600);
	if (w->semaphore >= 0 && semop(w->semaphore, &down, 1) < 0)
		return;
}

static void wait_pipe_read(struct wait *w)
{
	char c;

	if (!pipe(w->fds) && read(w->fds[0], &c, 1) < 0)
		return;
}

static void wait_pipe_write(struct wait *w)
{
	static char much[1 << 20];

	if (!pipe(w->fds) && write(w->fds[1], much, sizeof(much)) < 0)
		return;
}

static void wait_eventfd(struct wait *w)
{
	eventfd_t value;

	(void)w;
	eventfd_read(eventfd(0, 0), &value);
}

static void wait_unix(struct wait *w, int type)
{
	char c;

	if (!socketpair(AF_UNIX, type, 0, w->fds))
		recv(w->fds[0], &c, 1, 0);
}

static void wait_unix_stream(struct wait *w)
{
	wait_unix(w, SOCK_STREAM);
}

static void wait_unix_datagram(struct wait *w)
{
	wait_unix(w, SOCK_DGRAM);
}

static int bound(struct wait *w, int type)
{
	socklen_t len = sizeof(w->address);
	int fd = socket(AF_INET, type, 0);

	w->address.sin_family = AF_INET;
	w->address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (bind(fd, (struct sockaddr *)&w->address, len) ||
	    getsockname(fd, (struct sockaddr *)&w->address, &len) ||
	    (type == SOCK_STREAM && listen(fd, 1)))
		return -1;
	return fd;
}

static void wait_udp(struct wait *w)
{
	char c;

	recv(bound(w, SOCK_DGRAM), &c, 1, 0);
}

static void wait_accept(struct wait *w)
{
	accept(bound(w, SOCK_STREAM), NULL, NULL);
}

static void wait_tcp(struct wait *w)
{
	int server = bound(w, SOCK_STREAM), fd = socket(AF_INET, SOCK_STREAM, 0);
	char c;

	if (server >= 0 && !connect(fd, (struct sockaddr *)&w->address, sizeof(w->address)))
		recv(fd, &c, 1, 0);
}

static void wait_poll(struct wait *w)
{
	if (!pipe(w->fds))
		poll(&(struct pollfd){ .fd = w->fds[0], .events = POLLIN }, 1, -1);
}

static void wait_epoll(struct wait *w)
{
	struct epoll_event e = { .events = EPOLLIN };
	int fd = epoll_create1(0);

	if (!pipe(w->fds) && !epoll_ctl(fd, EPOLL_CTL_ADD, w->fds[0], &e))
		epoll_wait(fd, &e, 1, -1);
}

static void wait_select(struct wait *w)
{
	(void)w;
	select(0, NULL, NULL, NULL, NULL);
}

static void wait_child(struct wait *w)
{
	pid_t pid = fork();

	(void)w;
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		pause();
		_exit(0);
	}
	waitpid(pid, NULL, 0);
}

static void wait_signal(struct wait *w)
{
	sigset_t set;
	int sig;

	(void)w;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigwait(&set, &sig);
}

static void wait_pause(struct wait *w)
{
	(void)w;
	pause();
}

static void wait_flock(struct wait *w)
{
	char path[] = "/tmp/kymo-flock-XXXXXX";

	w->fds[0] = mkstemp(path);
	w->fds[1] = open(path, O_RDWR);
	unlink(path);
	if (!flock(w->fds[0], LOCK_EX))
		flock(w->fds[1], LOCK_EX);
}

#define LIVE(name, reason, idle)					\
static void test_##name(void **state)					\
{									\
	(void)state;							\
	expect(wait_##name, SCHED_REASON_##reason, idle);		\
}

LIVE(sleep, SLEEP, false)
LIVE(futex, FUTEX, false)
LIVE(semaphore, FUTEX, false)
LIVE(pipe_read, PIPE, false)
LIVE(pipe_write, PIPE, false)
LIVE(eventfd, PIPE, false)
LIVE(unix_stream, PIPE, false)
LIVE(unix_datagram, PIPE, false)
LIVE(udp, NETWORK, false)
LIVE(tcp, NETWORK, false)
LIVE(accept, NETWORK, true)
LIVE(poll, POLL, true)
LIVE(epoll, POLL, true)
LIVE(select, POLL, true)
LIVE(child, CHILD, false)
LIVE(signal, OTHER, true)
#ifdef SYS_pause
LIVE(pause, OTHER, true)
#else
LIVE(pause, POLL, true)			/* there it is a poll of nothing */
#endif
LIVE(flock, LOCK, false)

static void test_kernel_thread(void **state)
{
	FILE *f = fopen("/proc/2/comm", "re");
	char comm[32] = "";

	(void)state;
	if (f && !fgets(comm, sizeof(comm), f))
		*comm = '\0';
	if (f)
		fclose(f);
	/* Not seen from within a container. */
	if (strcmp(comm, "kthreadd\n"))
		skip();
	expect_at("/proc/2/stack", SCHED_REASON_WORK, true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_known),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_sleep),
		cmocka_unit_test(test_futex),
		cmocka_unit_test(test_semaphore),
		cmocka_unit_test(test_pipe_read),
		cmocka_unit_test(test_pipe_write),
		cmocka_unit_test(test_eventfd),
		cmocka_unit_test(test_unix_stream),
		cmocka_unit_test(test_unix_datagram),
		cmocka_unit_test(test_udp),
		cmocka_unit_test(test_tcp),
		cmocka_unit_test(test_accept),
		cmocka_unit_test(test_poll),
		cmocka_unit_test(test_epoll),
		cmocka_unit_test(test_select),
		cmocka_unit_test(test_child),
		cmocka_unit_test(test_signal),
		cmocka_unit_test(test_pause),
		cmocka_unit_test(test_flock),
		cmocka_unit_test(test_kernel_thread),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
