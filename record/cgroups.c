#include "record/cgroups.h"

#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <mntent.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static int find_mount(char *to, size_t size)
{
	FILE *f = setmntent("/proc/self/mounts", "re");
	struct mntent *m;
	int err = -ENOENT;

	if (!f)
		return -errno;
	while (err && (m = getmntent(f)))
		if (!strcmp(m->mnt_type, "cgroup2") && strlen(m->mnt_dir) < size) {
			strcpy(to, m->mnt_dir);
			err = 0;
		}
	endmntent(f);
	return err;
}

/* On 64-bit kernels the inode number of its folder is the id of a cgroup. */
int cgroups_each(void (*fn)(void *ctx, uint64_t id, const char *path), void *ctx)
{
	char root[4096];
	char *roots[] = { root, NULL };
	size_t skip;
	FTSENT *e;
	FTS *tree;
	int err = find_mount(root, sizeof(root));

	if (err)
		return err == -ENOENT ? 0 : err;
	skip = strlen(root);
	tree = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR | FTS_XDEV, NULL);
	if (!tree)
		return -errno;
	while ((e = fts_read(tree)))
		if (e->fts_info == FTS_D)
			fn(ctx, e->fts_statp->st_ino, e->fts_path[skip] ? e->fts_path + skip : "/");
	fts_close(tree);
	return 0;
}

int cgroups_open(const char *path)
{
	char root[4096], full[8192];
	int err = find_mount(root, sizeof(root)), n, fd;

	if (err)
		return err == -ENOENT ? -ENODEV : err;
	n = snprintf(full, sizeof(full), "%s/%s", root, path);
	if (n < 0 || (size_t)n >= sizeof(full))
		return -ENAMETOOLONG;
	fd = open(full, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

uint64_t cgroups_id(int fd)
{
	struct stat st;

	return fstat(fd, &st) < 0 ? 0 : st.st_ino;
}
