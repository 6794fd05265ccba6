/*
 * Threads that wait in known ways, each under a name of its own, for about a second:
 *
 *	waitmix FILE
 *
 * FILE, of at least 4 MiB, is read past the page cache.  Prints a line for each thread:
 *
 *	NAME TID WALL_NS CPU_NS RUN_DELAY_NS WAITED_NS USER_NS SYSTEM_NS END_NS
 *
 * WALL_NS is its life between two readings of the clock, END_NS the second one.  Then CPU_NS is
 * its CPU time, RUN_DELAY_NS how long the kernel says it had waited for a CPU, and USER_NS and
 * SYSTEM_NS how the kernel splits its CPU time, all since it began.  WAITED_NS is how long it was
 * in the calls that block, by the clock, less its CPU time and the delays for a CPU in them.
 *
 * One more line, named "request", is of the calls of request(): the first number is how many
 * there were, WALL_NS, CPU_NS and RUN_DELAY_NS are what passed in them.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define FILE_BYTES (4u << 20)
#define PIECE_BYTES 16384
#define SECOND_NS UINT64_C(1000000000)
#define BURN_NS (SECOND_NS / 2)
#define NR_WAITS 50
#define WAIT_US 15000
#define NR_REQUESTS 40
#define REQUEST_US 5000

static const char *path;
static int to_reader[2], to_receiver[2], to_poller[2];
static pthread_mutex_t held = PTHREAD_MUTEX_INITIALIZER;
static pthread_barrier_t taken, given;

struct account {
	uint64_t wall_ns, cpu_ns, delay_ns, user_ns, system_ns;
};

struct waits {
	uint64_t ns;
	struct account at;
};

/* What is printed in the end. */
struct told {
	long tid;
	struct account used;
	uint64_t waited_ns, end_ns;
};

static struct told requests;

static uint64_t clock_now(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * SECOND_NS + (uint64_t)t.tv_nsec;
}

/* Without memory or a stream, for both have locks that others wait for. */
static uint64_t run_delay_ns(void)
{
	int fd = open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC);
	unsigned long long delayed = 0;
	char text[64] = "";

	if (fd < 0 || read(fd, text, sizeof(text) - 1) <= 0 ||
	    sscanf(text, "%*u %llu", &delayed) != 1)
		delayed = 0;
	close(fd);
	return delayed;
}

static uint64_t in_ns(struct timeval t)
{
	return (uint64_t)t.tv_sec * SECOND_NS + (uint64_t)t.tv_usec * 1000;
}

static struct account account_now(void)
{
	struct rusage used;

	if (getrusage(RUSAGE_THREAD, &used))
		exit(1);
	return (struct account){
		clock_now(CLOCK_MONOTONIC), clock_now(CLOCK_THREAD_CPUTIME_ID), run_delay_ns(),
		in_ns(used.ru_utime), in_ns(used.ru_stime),
	};
}

static void wait_begins(struct waits *w)
{
	w->at.delay_ns = run_delay_ns();
	w->at.cpu_ns = clock_now(CLOCK_THREAD_CPUTIME_ID);
	w->at.wall_ns = clock_now(CLOCK_MONOTONIC);
}

/* What is between the two is in each of the three, and as little else as can be. */
static struct account since(const struct account *at)
{
	uint64_t wall_ns = clock_now(CLOCK_MONOTONIC) - at->wall_ns;
	uint64_t cpu_ns = clock_now(CLOCK_THREAD_CPUTIME_ID) - at->cpu_ns;

	return (struct account){
		.wall_ns = wall_ns, .cpu_ns = cpu_ns, .delay_ns = run_delay_ns() - at->delay_ns,
	};
}

/* What the call took, without its own work and what it waited for a CPU. */
static void wait_ends(struct waits *w)
{
	struct account in = since(&w->at);

	if (in.wall_ns > in.cpu_ns + in.delay_ns)
		w->ns += in.wall_ns - in.cpu_ns - in.delay_ns;
}

static void nap(long us)
{
	struct timespec t = { us / 1000000, us % 1000000 * 1000 };

	clock_nanosleep(CLOCK_MONOTONIC, 0, &t, NULL);
}

/* The nth of those it may run on, round and round. */
static void stay_on_cpu(int n)
{
	cpu_set_t allowed, one;
	int cpu = 0;

	if (sched_getaffinity(0, sizeof(allowed), &allowed))
		exit(1);
	for (n %= CPU_COUNT(&allowed); n || !CPU_ISSET(cpu, &allowed); cpu++)
		n -= CPU_ISSET(cpu, &allowed) != 0;
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	if (sched_setaffinity(0, sizeof(one), &one))
		exit(1);
}

static void sleeper(struct waits *w)
{
	for (int i = 0; i < NR_WAITS; i++) {
		wait_begins(w);
		nap(WAIT_US);
		wait_ends(w);
	}
}

static void reader(struct waits *w)
{
	ssize_t n = 1;
	char byte;

	while (n == 1) {
		wait_begins(w);
		n = read(to_reader[0], &byte, 1);
		wait_ends(w);
	}
}

static void writer(struct waits *w)
{
	for (int i = 0; i < NR_WAITS; i++) {
		wait_begins(w);
		nap(WAIT_US);
		wait_ends(w);
		if (write(to_reader[1], "", 1) != 1)
			exit(1);
	}
	close(to_reader[1]);
}

/* Has the lock while the locker asks for it. */
static void holder(struct waits *w)
{
	for (int i = 0; i < NR_WAITS; i++) {
		pthread_mutex_lock(&held);
		pthread_barrier_wait(&taken);
		wait_begins(w);
		nap(WAIT_US);
		wait_ends(w);
		pthread_mutex_unlock(&held);
		pthread_barrier_wait(&given);
	}
}

static void locker(struct waits *w)
{
	for (int i = 0; i < NR_WAITS; i++) {
		wait_begins(w);
		pthread_barrier_wait(&taken);
		pthread_mutex_lock(&held);
		pthread_mutex_unlock(&held);
		pthread_barrier_wait(&given);
		wait_ends(w);
	}
}

static void disk(struct waits *w)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_DIRECT);
	uint64_t until = clock_now(CLOCK_MONOTONIC) + BURN_NS;
	off_t at = 0;
	void *page;

	if (fd < 0 || posix_memalign(&page, 4096, PIECE_BYTES))
		exit(1);
	while (clock_now(CLOCK_MONOTONIC) < until) {
		wait_begins(w);
		if (pread(fd, page, PIECE_BYTES, at) != PIECE_BYTES)
			exit(1);
		wait_ends(w);
		at = (at + PIECE_BYTES) % FILE_BYTES;
	}
	free(page);
	close(fd);
}

/* The first touch of each page of a file that is not in the page cache. */
static void faulter(struct waits *w)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	volatile char *memory;

	if (fd < 0)
		exit(1);
	for (int round = 0; round < 4; round++) {
		posix_fadvise(fd, 0, FILE_BYTES, POSIX_FADV_DONTNEED);
		memory = mmap(NULL, FILE_BYTES, PROT_READ, MAP_SHARED, fd, 0);
		if (memory == MAP_FAILED ||
		    madvise((void *)memory, FILE_BYTES, MADV_RANDOM))
			exit(1);
		for (size_t at = 0; at < FILE_BYTES; at += 4 * PIECE_BYTES) {
			wait_begins(w);
			(void)memory[at];
			wait_ends(w);
		}
		munmap((void *)memory, FILE_BYTES);
	}
	close(fd);
}

/* From a socket of the network, to which the other end writes after a nap. */
static void receiver(struct waits *w)
{
	ssize_t n = 1;
	char byte;

	while (n == 1) {
		wait_begins(w);
		n = recv(to_receiver[0], &byte, 1, 0);
		wait_ends(w);
	}
}

static void sender(struct waits *w)
{
	for (int i = 0; i < NR_WAITS; i++) {
		wait_begins(w);
		nap(WAIT_US);
		wait_ends(w);
		if (send(to_receiver[1], "", 1, MSG_NOSIGNAL) != 1)
			exit(1);
	}
	close(to_receiver[1]);
}

static void poller(struct waits *w)
{
	struct pollfd p = { .fd = to_poller[0], .events = POLLIN };

	for (int i = 0; i < NR_WAITS; i++) {
		wait_begins(w);
		poll(&p, 1, WAIT_US / 1000);
		wait_ends(w);
	}
}

static void parent(struct waits *w)
{
	for (int i = 0; i < NR_WAITS / 5; i++) {
		pid_t child = fork();

		if (!child) {
			nap(5 * WAIT_US);
			_exit(0);
		}
		wait_begins(w);
		if (waitpid(child, NULL, 0) != child)
			exit(1);
		wait_ends(w);
	}
}

/* Locks of a file: each of the two has it most of the time. */
static void flocker(struct waits *w)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	for (int i = 0; i < NR_WAITS / 2; i++) {
		wait_begins(w);
		if (fd < 0 || flock(fd, LOCK_EX))
			exit(1);
		wait_ends(w);
		nap(WAIT_US);
		flock(fd, LOCK_UN);
		sched_yield();
	}
	close(fd);
}

static void burn_until_used(uint64_t ns)
{
	uint64_t until = clock_now(CLOCK_THREAD_CPUTIME_ID) + ns;

	while (clock_now(CLOCK_THREAD_CPUTIME_ID) < until)
		for (volatile int i = 0; i < 100000; i++)
			;
}

/* Two of these on one CPU. */
static void rival(struct waits *w)
{
	(void)w;
	burn_until_used(BURN_NS / 2);
}

static void user(struct waits *w)
{
	(void)w;
	burn_until_used(BURN_NS / 2);
}

static void kernel(struct waits *w)
{
	uint64_t until = clock_now(CLOCK_THREAD_CPUTIME_ID) + BURN_NS / 2;
	int fd = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	static char bytes[1 << 20];

	(void)w;
	while (clock_now(CLOCK_THREAD_CPUTIME_ID) < until)
		if (read(fd, bytes, sizeof(bytes)) != (ssize_t)sizeof(bytes))
			exit(1);
	close(fd);
}

__attribute__((noinline)) static void request(struct waits *w)
{
	wait_begins(w);
	nap(REQUEST_US);
	wait_ends(w);
	burn_until_used(REQUEST_US * 1000 / 5);
}

/* Waits in requests, and as much between them. */
static void server(struct waits *w)
{
	struct waits around = { 0 }, in_requests = { 0 };
	struct account in, all = { 0 };

	for (int i = 0; i < NR_REQUESTS; i++) {
		wait_begins(&around);
		request(&in_requests);
		in = since(&around.at);
		all.wall_ns += in.wall_ns;
		all.cpu_ns += in.cpu_ns;
		all.delay_ns += in.delay_ns;
		wait_begins(w);
		nap(REQUEST_US);
		wait_ends(w);
	}
	w->ns += in_requests.ns;
	requests = (struct told){ NR_REQUESTS, all, in_requests.ns, 0 };
}

static const struct actor {
	const char *name;
	void (*act)(struct waits *w);
} actors[] = {
	{ "sleeper", sleeper }, { "reader", reader }, { "writer", writer }, { "holder", holder },
	{ "locker", locker }, { "disk", disk }, { "faulter", faulter }, { "rival-1", rival },
	{ "rival-2", rival }, { "user", user }, { "kernel", kernel },
	{ "receiver", receiver }, { "sender", sender }, { "poller", poller },
	{ "parent", parent }, { "flocker-1", flocker }, { "flocker-2", flocker },
	{ "server", server },
};

#define NR_ACTORS (sizeof(actors) / sizeof(actors[0]))

static struct told told[NR_ACTORS];

static void *run(void *arg)
{
	const struct actor *a = arg;
	struct waits w = { 0 };
	struct account from, to;

	pthread_setname_np(pthread_self(), a->name);
	/*
	 * Linux 6.12 and later take a sleep for a wait for a CPU if the thread is moved to another
	 * one before its sleep counts (DELAY_DEQUEUE), and their account of delays has it.
	 */
	stay_on_cpu(a->act == rival ? 0 : (int)(a - actors));
	from = account_now();
	a->act(&w);
	to = account_now();
	told[a - actors] = (struct told){ syscall(SYS_gettid), to, w.ns, to.wall_ns };
	told[a - actors].used.wall_ns -= from.wall_ns;
	return NULL;
}

static void print(const char *name, const struct told *t)
{
	printf("%s %ld %llu %llu %llu %llu %llu %llu %llu\n", name, t->tid,
	       (unsigned long long)t->used.wall_ns, (unsigned long long)t->used.cpu_ns,
	       (unsigned long long)t->used.delay_ns, (unsigned long long)t->waited_ns,
	       (unsigned long long)t->used.user_ns, (unsigned long long)t->used.system_ns,
	       (unsigned long long)t->end_ns);
}

/* A connection of the machine to itself. */
static void connect_both(int ends[2])
{
	struct sockaddr_in at = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	socklen_t len = sizeof(at);
	int listening = socket(AF_INET, SOCK_STREAM, 0);

	ends[1] = socket(AF_INET, SOCK_STREAM, 0);
	if (listening < 0 || ends[1] < 0 || bind(listening, (struct sockaddr *)&at, sizeof(at)) ||
	    listen(listening, 1) || getsockname(listening, (struct sockaddr *)&at, &len) ||
	    connect(ends[1], (struct sockaddr *)&at, sizeof(at)))
		exit(1);
	ends[0] = accept(listening, NULL, NULL);
	close(listening);
}

int main(int argc, char **argv)
{
	pthread_t threads[NR_ACTORS];

	if (argc != 2)
		return 2;
	path = argv[1];
	connect_both(to_receiver);
	if (pipe(to_reader) || pipe(to_poller) || pthread_barrier_init(&taken, NULL, 2) ||
	    pthread_barrier_init(&given, NULL, 2))
		return 1;
	for (size_t i = 0; i < NR_ACTORS; i++)
		if (pthread_create(&threads[i], NULL, run, (void *)&actors[i]))
			return 1;
	for (size_t i = 0; i < NR_ACTORS; i++)
		pthread_join(threads[i], NULL);
	for (size_t i = 0; i < NR_ACTORS; i++)
		print(actors[i].name, &told[i]);
	print("request", &requests);
	return 0;
}
