/*
 * Makes system calls of every family with known arguments, in the current folder:
 * files, memory, sockets, signals, timers, a thread and a child.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

/* Calls that fail on purpose have results, too: none is looked at. */
static void ignore(long result)
{
	(void)result;
}

static void files(void)
{
	static char text[] = "one\ntwo\n";
	struct iovec parts[] = { { text, 4 }, { text + 4, 4 } };
	struct stat st;
	char buf[64], cwd[4096];
	int fd = open("file one", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);

	ignore(write(fd, text, sizeof(text) - 1));
	ignore(writev(fd, parts, 2));
	ignore(lseek(fd, -4, SEEK_END));
	ignore(read(fd, buf, sizeof(buf)));
	ignore(pread(fd, buf, 4, 4));
	ignore(fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 4096));
	ignore(fcntl(fd, F_GETFL));
	ignore(fcntl(fd, F_SETFD, FD_CLOEXEC));
	ignore(flock(fd, LOCK_EX | LOCK_NB));
	ignore(fchmod(fd, 0600));
	ignore(fchown(fd, (uid_t)-1, (gid_t)-1));
	ignore(ftruncate(fd, 4));
	ignore(fsync(fd));
	ignore(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED));
	ignore(dup3(fd, 100, O_CLOEXEC));
	ignore(close(100));
	ignore(close(fd));
	ignore(open("none/such", O_RDONLY | O_NOFOLLOW));
	ignore(open("file one", O_RDONLY | O_DIRECTORY));
	ignore(open("file one", O_WRONLY | O_APPEND | O_DSYNC));
	ignore(open("", O_RDONLY));
	ignore(access("file one", R_OK | W_OK));
	ignore(faccessat(AT_FDCWD, "file one", X_OK, AT_EACCESS));
	ignore(fstatat(AT_FDCWD, "file one", &st, AT_SYMLINK_NOFOLLOW));
	ignore(mkdir("folder \"quoted\"", 0755));
	ignore(rename("file one", "file\ttwo"));
	ignore(symlink("file\ttwo", "link"));
	ignore(readlink("link", buf, sizeof(buf)));
	ignore(setxattr("file\ttwo", "user.kymo", "x", 1, XATTR_CREATE));
	ignore(unlinkat(AT_FDCWD, "folder \"quoted\"", AT_REMOVEDIR));
	ignore(unlink("none"));
	ignore(umask(027));
	ignore(getcwd(cwd, sizeof(cwd)) ? 0 : -1);
	ignore(chdir("."));
}

static void memory(void)
{
	size_t size = 1 << 16;
	char *m = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int fd = memfd_create("kymo memory", MFD_CLOEXEC);

	ignore(mprotect(m, 4096, PROT_NONE));
	ignore(madvise(m + 4096, 4096, MADV_DONTNEED));
	ignore(mremap(m, size, 2 * size, 0) == MAP_FAILED);
	ignore(munmap(m, size));
	ignore(ftruncate(fd, 4096));
	ignore(mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0) == MAP_FAILED);
	ignore(mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, 999, 0) == MAP_FAILED);
}

static void sockets(void)
{
	int one = 1, pair[2], s = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = "none" };
	char buf[16];

	ignore(setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)));
	ignore(listen(s, 5));
	ignore(accept4(s, NULL, NULL, SOCK_CLOEXEC));
	ignore(shutdown(s, SHUT_RDWR));
	ignore(socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, IPPROTO_UDP));
	ignore(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair));
	ignore(sendto(pair[0], "hello", 5, MSG_NOSIGNAL, NULL, 0));
	ignore(recvfrom(pair[1], buf, sizeof(buf), MSG_PEEK | MSG_DONTWAIT, NULL, NULL));
	s = socket(AF_UNIX, SOCK_DGRAM, 0);
	ignore(connect(s, (struct sockaddr *)&address, sizeof(address)));
}

static void waiting(void)
{
	struct itimerspec never = { .it_value = { .tv_sec = 1000 } };
	struct timespec soon = { .tv_nsec = 1000 }, now;
	struct epoll_event event = { .events = EPOLLIN };
	int poll_fd = epoll_create1(EPOLL_CLOEXEC), fd = eventfd(1, EFD_NONBLOCK | EFD_CLOEXEC);
	int timer = timerfd_create(CLOCK_BOOTTIME, TFD_NONBLOCK);

	ignore(epoll_ctl(poll_fd, EPOLL_CTL_ADD, fd, &event));
	ignore(epoll_wait(poll_fd, &event, 1, 0));
	ignore(epoll_ctl(poll_fd, EPOLL_CTL_DEL, fd, NULL));
	ignore(timerfd_settime(timer, TFD_TIMER_ABSTIME, &never, NULL));
	ignore(clock_nanosleep(CLOCK_MONOTONIC, 0, &soon, NULL));
	ignore(clock_getres(CLOCK_PROCESS_CPUTIME_ID, &now));
}

static void processes(void)
{
	struct rusage usage;
	struct rlimit limit;
	sigset_t set;
	char random[8];

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	ignore(sigprocmask(SIG_BLOCK, &set, NULL));
	ignore(kill(getpid(), 0));
	ignore(kill(getpid(), SIGWINCH));
	ignore(kill(1 << 22, SIGTERM));
	ignore(signal(SIGUSR2, SIG_IGN) == SIG_ERR);
	ignore(prctl(PR_SET_NAME, "renamed"));
	ignore(prctl(PR_GET_DUMPABLE));
	ignore(getrusage(RUSAGE_CHILDREN, &usage));
	ignore(getrlimit(RLIMIT_NOFILE, &limit));
	ignore(getpriority(PRIO_PROCESS, 0));
	ignore(getrandom(random, sizeof(random), GRND_NONBLOCK));
	ignore(getppid());
}

static void *in_a_thread(void *arg)
{
	ignore(access("from a thread", F_OK));
	return arg;
}

int main(void)
{
	pthread_t thread;
	pid_t child;

	files();
	memory();
	sockets();
	waiting();
	processes();
	if (pthread_create(&thread, NULL, in_a_thread, NULL))
		return 1;
	pthread_join(thread, NULL);
	child = fork();
	if (!child) {
		ignore(access("from a child", F_OK));
		_exit(7);
	}
	ignore(waitpid(child, NULL, 0));
	return 0;
}
