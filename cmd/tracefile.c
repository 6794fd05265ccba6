#include "cmd/tracefile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmd/command.h"

/*
 * With -o - the trace has standard output for itself: what the command prints
 * goes to standard error, as with perf record.
 */
static int open_stdout(struct tracefile *f)
{
	if (isatty(STDOUT_FILENO)) {
		command_complain("will not write a trace to a terminal (use -o FILE or a pipe)");
		return EXIT_USAGE;
	}
	f->to_pipe = true;
	f->fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
	if (f->fd < 0 || dup2(STDERR_FILENO, STDOUT_FILENO) < 0) {
		command_complain("cannot use standard output: %s", strerror(errno));
		return EXIT_FAIL;
	}
	return 0;
}

/* Under sudo the trace belongs to who typed it, to be looked at without. */
static void give_to_caller(int fd)
{
	const char *uid = getenv("SUDO_UID"), *gid = getenv("SUDO_GID");
	unsigned long user, group;
	char *end_uid, *end_gid;

	if (geteuid() != 0 || !uid || !gid)
		return;
	user = strtoul(uid, &end_uid, 10);
	group = strtoul(gid, &end_gid, 10);
	if (*uid && !*end_uid && *gid && !*end_gid &&
	    fchown(fd, (uid_t)user, (gid_t)group) < 0)
		command_complain("the trace stays root's: %s", strerror(errno));
}

int tracefile_open(struct tracefile *f, const char *path)
{
	int flags = O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC;
	struct stat st;

	*f = (struct tracefile){ .path = path, .fd = -1 };
	if (!strcmp(path, "-"))
		return open_stdout(f);
	if (stat(path, &st) < 0 || S_ISREG(st.st_mode)) {
		int len = snprintf(f->temporary, sizeof(f->temporary), "%s.%d.tmp", path,
				   (int)getpid());

		flags |= O_EXCL | O_NOFOLLOW;
		if (len < 0 || (size_t)len >= sizeof(f->temporary)) {
			command_complain("cannot write '%s': the name is too long", path);
			return EXIT_FAIL;
		}
	}
	/* A trace tells a lot about a machine: it is for its owner alone. */
	f->fd = open(f->temporary[0] ? f->temporary : path, flags, 0600);
	if (f->fd < 0) {
		command_complain("cannot write '%s': %s (use -o FILE to write elsewhere)", path,
				 strerror(errno));
		f->temporary[0] = '\0';
		return EXIT_FAIL;
	}
	if (f->temporary[0])
		give_to_caller(f->fd);
	return 0;
}

int tracefile_place(struct tracefile *f)
{
	char old[sizeof(f->temporary) + 4];
	struct stat st;

	if (!f->temporary[0])
		return 0;
	snprintf(old, sizeof(old), "%s.old", f->path);
	if (stat(f->path, &st) == 0 && st.st_size > 0 && rename(f->path, old) < 0) {
		command_complain("cannot keep the old '%s' as '%s': %s", f->path, old,
				 strerror(errno));
		return EXIT_FAIL;
	}
	if (rename(f->temporary, f->path) < 0) {
		command_complain("cannot name the trace '%s': %s (it is '%s')", f->path,
				 strerror(errno), f->temporary);
		return EXIT_FAIL;
	}
	f->temporary[0] = '\0';
	return 0;
}

void tracefile_withdraw(struct tracefile *f)
{
	if (f->temporary[0])
		unlink(f->temporary);
	f->temporary[0] = '\0';
}
