#define _GNU_SOURCE
#include "record/ftnote.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define NOTE_PATH "/run/kymo-graph"
#define MAX_NOTE_BYTES 8192
/* While a recorder or its guard gives things back, which takes seconds when emulated. */
#define WAIT_MS 20000
#define TRY_MS 20
/* An instance is busy for a moment after its last file was closed. */
#define REMOVE_TRIES 250

/*
 * A line of the note is FILE=VALUE or FOLDER/, after one with the owner.  Whoever holds
 * the lock of the file owns the controls.
 */
struct ftnote {
	int tracing, fd;
	int guard_fd;		/* its end comes with ours */
	pid_t guard;
	bool is_named;		/* in the file system, for the next recorder */
};

/* --- giving back, also in the guard: system calls alone ---------------------------- */

static void sleep_ms(long ms)
{
	const struct timespec t = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };

	nanosleep(&t, NULL);
}

int ftnote_write(int tracing, const char *file, const char *text)
{
	size_t len = strlen(text);
	int fd = openat(tracing, file, O_WRONLY | O_TRUNC | O_CLOEXEC), err = 0;
	ssize_t n;

	if (fd < 0)
		return -errno;
	do {
		n = len ? write(fd, text, len) : 0;
		err = n < 0 ? -errno : 0;
	} while (err == -EINTR);
	if (close(fd) < 0 && !err)
		err = -errno;
	return err;
}

static void remove_folder(int tracing, const char *path)
{
	for (int i = 0; i < REMOVE_TRIES; i++) {
		if (unlinkat(tracing, path, AT_REMOVEDIR) == 0 || errno != EBUSY)
			return;
		sleep_ms(TRY_MS);
	}
}

static void give_line_back(int tracing, char *line, size_t len)
{
	char *value;

	line[len] = '\0';
	value = strchr(line, '=');
	if (value) {
		*value++ = '\0';
		ftnote_write(tracing, line, value);
	} else if (len && line[len - 1] == '/') {
		line[len - 1] = '\0';
		remove_folder(tracing, line);
	}
}

/*
 * The last line first.  Half a line is of a recorder that was killed before it changed
 * what the line is about.
 */
static void give_back(int tracing, int fd)
{
	char text[MAX_NOTE_BYTES + 1];
	ssize_t end = pread(fd, text, MAX_NOTE_BYTES, 0), start;

	while (end > 0 && text[end - 1] != '\n')
		end--;
	while (end > 0) {
		for (start = end; start > 0 && text[start - 1] != '\n'; start--)
			;
		if (start < end)
			give_line_back(tracing, text + start, (size_t)(end - start));
		end = start - 1;
	}
	if (ftruncate(fd, 0) < 0)
		return;
}

/* It may have been removed already, and another recorder's be in its place. */
static void remove_note(int fd, bool is_named)
{
	struct stat st;

	if (is_named && fstat(fd, &st) == 0 && st.st_nlink)
		unlink(NOTE_PATH);
}

/* --- the guard --------------------------------------------------------------------- */

enum { KEPT_TRACING = 3, KEPT_NOTE, KEPT_PIPE, NR_KEPT };

/* All else that the recorder has open ends with it, and not with us. */
static void keep_only(int tracing, int note, int pipe_end)
{
	int high[] = {
		fcntl(tracing, F_DUPFD, NR_KEPT), fcntl(note, F_DUPFD, NR_KEPT),
		fcntl(pipe_end, F_DUPFD, NR_KEPT),
	};
	int null = open("/dev/null", O_RDWR);

	for (int i = 0; i < 3; i++) {
		dup2(null, i);
		dup2(high[i], KEPT_TRACING + i);
	}
	if (close_range(NR_KEPT, ~0u, 0) < 0)
		for (int fd = NR_KEPT; fd < 4096; fd++)
			close(fd);
}

static void guard(const struct ftnote *n, int pipe_end)
{
	sigset_t all;
	ssize_t got;
	char end;

	prctl(PR_SET_NAME, "kymo-guard");
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, NULL);
	setsid();
	keep_only(n->tracing, n->fd, pipe_end);
	if (chdir("/") < 0)
		_exit(1);
	do {
		got = read(KEPT_PIPE, &end, 1);
	} while (got < 0 && errno == EINTR);
	/* A recorder that ends as it should says so, after it gave all back itself. */
	if (got == 1)
		_exit(0);
	give_back(KEPT_TRACING, KEPT_NOTE);
	remove_note(KEPT_NOTE, n->is_named);
	_exit(0);
}

static int start_guard(struct ftnote *n)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	n->guard = fork();
	if (n->guard == 0) {
		close(ends[1]);
		guard(n, ends[0]);
	}
	close(ends[0]);
	n->guard_fd = ends[1];
	return n->guard < 0 ? -errno : 0;
}

static void end_guard(struct ftnote *n)
{
	ssize_t put = n->guard_fd >= 0 ? write(n->guard_fd, "", 1) : 0;

	if (n->guard_fd >= 0)
		close(n->guard_fd);
	while (put == 1 && n->guard > 0 && waitpid(n->guard, NULL, 0) < 0 && errno == EINTR)
		;
}

/* --- the note ---------------------------------------------------------------------- */

/* The note begins with "#PID". */
static bool owner_lives(int fd)
{
	char text[32] = "";
	ssize_t n = pread(fd, text, sizeof(text) - 1, 0);
	int pid = n > 1 ? atoi(text + 1) : 0;

	return pid > 0 && (kill(pid, 0) == 0 || errno == EPERM);
}

/* Of a file that its owner removed before we had the lock, nobody will ever know. */
static int lock_named(void)
{
	struct stat st;
	bool wait;
	int fd, err;

	for (int waited_ms = 0;; waited_ms += TRY_MS) {
		fd = open(NOTE_PATH, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
		if (fd < 0)
			return -errno;
		err = flock(fd, LOCK_EX | LOCK_NB) < 0 ? -errno : 0;
		if (!err && fstat(fd, &st) == 0 && st.st_nlink)
			return fd;
		wait = !err || (err == -EWOULDBLOCK && waited_ms < WAIT_MS && !owner_lives(fd));
		close(fd);
		if (!wait)
			return err;
		sleep_ms(TRY_MS);
	}
}

/* Where /run cannot be written, the guard alone has to do. */
static int open_note(struct ftnote *n, struct diag *d)
{
	int fd = lock_named();

	if (fd == -EWOULDBLOCK)
		return diag_set(d, -EBUSY, "another kymo is recording with --graph: the kernel's "
				"function_graph tracer takes one at a time");
	n->is_named = fd >= 0;
	if (fd < 0)
		fd = memfd_create("kymo-graph", MFD_CLOEXEC);
	n->fd = fd;
	return fd < 0 ? diag_set(d, -errno, "cannot note what to give back in tracefs: %s",
				 strerror(errno)) : 0;
}

int ftnote_open(struct ftnote **out, int tracing, struct diag *d)
{
	struct ftnote *n = malloc(sizeof(*n));
	int err;

	if (!n)
		return diag_set(d, -ENOMEM, "out of memory");
	*n = (struct ftnote){ .tracing = tracing, .fd = -1, .guard_fd = -1 };
	err = open_note(n, d);
	if (!err) {
		give_back(tracing, n->fd);
		dprintf(n->fd, "#%d\n", getpid());
		err = start_guard(n);
		if (err)
			diag_set(d, err, "cannot start a process that guards tracefs: %s",
				 strerror(-err));
	}
	if (err) {
		ftnote_close(n);
		return err;
	}
	*out = n;
	return 0;
}

static int add_line(struct ftnote *n, const char *line, size_t len)
{
	off_t at = lseek(n->fd, 0, SEEK_END);

	if (at < 0 || (size_t)at + len > MAX_NOTE_BYTES)
		return at < 0 ? -errno : -E2BIG;
	return pwrite(n->fd, line, len, at) == (ssize_t)len ? 0 : -EIO;
}

int ftnote_add(struct ftnote *n, const char *file, const char *value)
{
	char line[1024];
	int len = snprintf(line, sizeof(line), "%s=%s\n", file, value);

	return len < (int)sizeof(line) ? add_line(n, line, (size_t)len) : -E2BIG;
}

int ftnote_add_folder(struct ftnote *n, const char *folder)
{
	char line[256];
	int len = snprintf(line, sizeof(line), "%s/\n", folder);

	return len < (int)sizeof(line) ? add_line(n, line, (size_t)len) : -E2BIG;
}

void ftnote_close(struct ftnote *n)
{
	if (!n)
		return;
	if (n->fd >= 0) {
		give_back(n->tracing, n->fd);
		remove_note(n->fd, n->is_named);
		end_guard(n);
		close(n->fd);
	}
	free(n);
}
