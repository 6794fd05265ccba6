#define _GNU_SOURCE
#include "record/modfile.h"

#include "record/procfs.h"
#include "record/procroot.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_VDSO_BYTES (1u << 20)

/*
 * The build-id decides where there is one.  Else the inode number does; the
 * device does not, because stat() and the maps of a process name different
 * ones on btrfs and overlayfs.
 */
static bool is_same_file(const struct module *mod, int fd, const struct elfid *id)
{
	struct stat st;

	if (mod->build_id_bytes)
		return mod->build_id_bytes == id->build_id_bytes &&
		       !memcmp(mod->build_id, id->build_id, id->build_id_bytes);
	if (!mod->inode)
		return true;
	return !fstat(fd, &st) && st.st_ino == mod->inode;
}

/*
 * The target of a map_files link is what the kernel has mapped.  It is the file
 * for sure when it has the name, though stat() says another inode.
 */
static bool has_name(const char *link, const struct module *mod, const char *path)
{
	static const char deleted[] = " (deleted)";
	char name[4200];
	ssize_t len = readlink(link, name, sizeof(name) - 1);
	size_t path_len = strlen(path);

	if (mod->build_id_bytes || len < 0 || (size_t)len < path_len)
		return false;
	name[len] = '\0';
	return !memcmp(name, path, path_len) &&
	       (!name[path_len] || !strcmp(name + path_len, deleted));
}

/* Takes the fd over; returns it if it is the file.  path is for map_files. */
static int accept_file(const struct module *mod, int fd, struct elfid *id,
		       const char *link, const char *path)
{
	if (fd < 0)
		return fd;
	if (elfid_read(id, fd) < 0)
		memset(id, 0, sizeof(*id));
	if (is_same_file(mod, fd, id) || (link && has_name(link, mod, path)))
		return fd;
	close(fd);
	return -ENOENT;
}

int modfile_open(const struct module *mod, const char *path, struct elfid *id)
{
	char link[96];
	int fd = -ENOENT;

	memset(id, 0, sizeof(*id));
	if (mod->pid && path[0] == '/')
		fd = accept_file(mod, procroot_open_file(mod->pid, path), id, NULL, NULL);
	if (fd < 0 && mod->pid && mod->map_end) {
		snprintf(link, sizeof(link), "/proc/%u/map_files/%" PRIx64 "-%" PRIx64,
			 mod->pid, mod->map_start, mod->map_end);
		fd = accept_file(mod, procroot_open_link(link), id, link, path);
	}
	/* Following map_files takes privileges that exe does not. */
	if (fd < 0 && mod->pid && (mod->build_id_bytes || mod->inode)) {
		snprintf(link, sizeof(link), "/proc/%u/exe", mod->pid);
		fd = accept_file(mod, procroot_open_link(link), id, NULL, NULL);
	}
	if (fd < 0 && path[0] == '/')
		fd = accept_file(mod, procroot_open_file(0, path), id, NULL, NULL);
	return fd < 0 ? -ENOENT : fd;
}

static int find_vdso_end(void *ctx, const struct procfs_map *m)
{
	uint64_t *range = ctx;

	if (m->start == range[0])
		range[1] = m->end;
	return 0;
}

static int copy_memory(const void *image, size_t size_bytes)
{
	int fd = memfd_create("vdso", MFD_CLOEXEC);
	int err;

	if (fd < 0)
		return -errno;
	if (write(fd, image, size_bytes) == (ssize_t)size_bytes)
		return fd;
	err = -errno;
	close(fd);
	return err ? err : -EIO;
}

/* The kernel maps one image into every process of the same word size. */
static int open_own_vdso(void)
{
	uint64_t range[2] = { getauxval(AT_SYSINFO_EHDR), 0 };

	if (!range[0])
		return -ENOENT;
	procfs_each_map((uint32_t)getpid(), find_vdso_end, range);
	if (range[1] <= range[0] || range[1] - range[0] > MAX_VDSO_BYTES)
		return -ENOENT;
	return copy_memory((const void *)(uintptr_t)range[0], range[1] - range[0]);
}

int modfile_open_vdso(uint32_t pid, uint64_t start, uint64_t end)
{
	char path[48];
	uint8_t *image;
	ssize_t got;
	int fd;

	if (sizeof(void *) == 4 || start > UINT32_MAX)
		return open_own_vdso();
	if (end <= start || end - start > MAX_VDSO_BYTES)
		return -EINVAL;
	snprintf(path, sizeof(path), "/proc/%u/mem", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	image = malloc(end - start);
	got = image ? pread(fd, image, end - start, (off_t)start) : -1;
	close(fd);
	fd = got > 0 ? copy_memory(image, (size_t)got) : -ENOENT;
	free(image);
	return fd;
}
