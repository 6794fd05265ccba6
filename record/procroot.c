#define _GNU_SOURCE
#include "record/procroot.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/*
 * Opening a device or a pipe can block or have effects, so the file is looked
 * at through an O_PATH fd first and then opened through that very fd, which
 * nobody can exchange in between.  Takes path_fd over.
 */
static int reopen_regular(int path_fd)
{
	char self[48];
	struct stat st;
	int fd, err = 0;

	if (path_fd < 0)
		return -errno;
	if (fstat(path_fd, &st) < 0)
		err = -errno;
	else if (!S_ISREG(st.st_mode))
		err = S_ISLNK(st.st_mode) ? -ELOOP : -EACCES;
	if (err) {
		close(path_fd);
		return err;
	}
	snprintf(self, sizeof(self), "/proc/self/fd/%d", path_fd);
	fd = open(self, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	err = errno;
	close(path_fd);
	return fd < 0 ? -err : fd;
}

/* An O_PATH fd, or -1 with errno. */
static int open_path(uint32_t pid, const char *path, int flags)
{
	struct open_how how = {
		.flags = (unsigned int)(O_PATH | O_CLOEXEC | flags),
		.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
	};
	char root[32];
	int root_fd, fd, err;

	if (!pid)
		return open(path, O_PATH | O_CLOEXEC | flags);
	snprintf(root, sizeof(root), "/proc/%u/root", pid);
	root_fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root_fd < 0)
		return -1;
	fd = (int)syscall(SYS_openat2, root_fd, path, &how, sizeof(how));
	/*
	 * Kernels before 5.6, and sandboxes, have no openat2(): then the path
	 * is followed as it is.  Callers compare what they got with the
	 * identity they expect.
	 */
	if (fd < 0 && (errno == ENOSYS || errno == EPERM)) {
		while (*path == '/')
			path++;
		fd = openat(root_fd, path, O_PATH | O_CLOEXEC | O_NOFOLLOW | flags);
	}
	err = errno;
	close(root_fd);
	errno = err;
	return fd;
}

int procroot_open_file(uint32_t pid, const char *path)
{
	return reopen_regular(open_path(pid, path, 0));
}

int procroot_open_dir(uint32_t pid, const char *path)
{
	int fd = open_path(pid, path, O_DIRECTORY);

	return fd < 0 ? -errno : fd;
}

int procroot_open_link(const char *path)
{
	return reopen_regular(open(path, O_PATH | O_CLOEXEC));
}

int procroot_open_at(int dir_fd, const char *name)
{
	return reopen_regular(openat(dir_fd, name, O_PATH | O_CLOEXEC | O_NOFOLLOW));
}
