#define _GNU_SOURCE
#include "record/libfind.h"

#include "record/elfid.h"
#include "record/ldcache.h"
#include "record/procfs.h"
#include "record/procroot.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_CACHE_BYTES (64u << 20)
/* Where processes look that are not ours; their own PATH says nothing of it. */
#define USUAL_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

#if defined(__x86_64__)
#define MULTIARCH "x86_64-linux-gnu"
#elif defined(__aarch64__)
#define MULTIARCH "aarch64-linux-gnu"
#else
#define MULTIARCH "none"
#endif

static const char *const library_folders[] = {
	"/lib/" MULTIARCH, "/usr/lib/" MULTIARCH, "/lib64", "/usr/lib64", "/lib", "/usr/lib",
	"/usr/local/lib",
};

/* One search in one root. */
struct search {
	struct libfind_files *out;
	const char *name;
	enum libfind_sense sense;
	uint32_t pid;
	struct diag *d;
};

/* --- results --------------------------------------------------------------------------- */

static bool is_listed(const struct libfind_files *files, const struct stat *st)
{
	struct stat other;

	for (size_t i = 0; i < files->nr; i++)
		if (!fstat(files->list[i].fd, &other) && other.st_ino == st->st_ino &&
		    other.st_dev == st->st_dev)
			return true;
	return false;
}

/* Takes the fd over. */
static int add_file(struct search *s, int fd, const char *path)
{
	struct libfind_files *to = s->out;
	struct libfind_file *list;
	struct stat st;
	char *copy;

	if (fstat(fd, &st) < 0 || is_listed(to, &st)) {
		close(fd);
		return 0;
	}
	list = realloc(to->list, (to->nr + 1) * sizeof(*list));
	if (list)
		to->list = list;
	copy = strdup(path);
	if (!list || !copy) {
		close(fd);
		free(copy);
		return diag_set(s->d, -ENOMEM, "out of memory");
	}
	list[to->nr++] = (struct libfind_file){ .path = copy, .pid = s->pid, .fd = fd };
	return 0;
}

void libfind_release(struct libfind_files *files)
{
	for (size_t i = 0; i < files->nr; i++) {
		free(files->list[i].path);
		if (files->list[i].fd >= 0)
			close(files->list[i].fd);
	}
	free(files->list);
	*files = (struct libfind_files){ 0 };
}

/* Linker scripts and shell scripts bear the names of libraries and programs, too. */
static int open_elf(struct search *s, const char *path)
{
	int fd = procroot_open_file(s->pid, path);
	struct elfid id;

	if (fd < 0)
		return fd;
	if (!elfid_read(&id, fd))
		return fd;
	close(fd);
	return -ENOEXEC;
}

/* 1: found, it is enough. */
static int try_path(void *ctx, const char *path)
{
	struct search *s = ctx;
	int fd = open_elf(s, path), err;

	if (fd < 0)
		return 0;
	err = add_file(s, fd, path);
	return err ? err : 1;
}

/* --- what a process has mapped --------------------------------------------------------- */

/* "python3" also means python3.11, to which it is but a link. */
static bool is_program_called(const char *file, const char *name)
{
	size_t len = strlen(name);

	return !strncmp(file, name, len) &&
	       !file[len + strspn(file + len, ".0123456789")];
}

struct mapped {
	struct search *s;
	struct procfs_map map;
	char path[PATH_MAX];
	bool found;
};

static int match_map(void *ctx, const struct procfs_map *m)
{
	struct mapped *found = ctx;
	const char *slash = strrchr(m->path, '/'), *file = slash ? slash + 1 : NULL;
	char name[NAME_MAX + 1];

	if (found->found || m->path[0] != '/' || !file)
		return 0;
	snprintf(name, sizeof(name), "%.*s", (int)strcspn(file, " "), file);
	if (found->s->sense == LIBFIND_LIBRARY ?
	    !ldcache_is_called(name, found->s->name) :
	    strstr(name, ".so") || !is_program_called(name, found->s->name))
		return 0;
	if (snprintf(found->path, sizeof(found->path), "%s", m->path) < (int)sizeof(found->path)) {
		found->map = *m;
		found->found = true;
	}
	return 0;
}

/*
 * By its path if that is still the file that is mapped, else, for files that
 * were deleted or replaced, through the mapping.
 */
static int open_mapped(struct mapped *m)
{
	int fd = open_elf(m->s, m->path);
	char link[96];
	struct stat st;

	if (fd >= 0 && !fstat(fd, &st) && st.st_ino == m->map.inode)
		return fd;
	snprintf(link, sizeof(link), "/proc/%u/map_files/%" PRIx64 "-%" PRIx64, m->s->pid,
		 m->map.start, m->map.end);
	if (fd >= 0) {
		int mapped_fd = procroot_open_link(link);

		/* Some file systems tell another inode in the maps than by stat(). */
		if (mapped_fd < 0)
			return fd;
		close(fd);
		return mapped_fd;
	}
	return procroot_open_link(link);
}

static int find_mapped(struct search *s)
{
	struct mapped m = { .s = s };
	int err, fd;

	err = procfs_each_map(s->pid, match_map, &m);
	if (err)
		return diag_set(s->d, -ESRCH, "process %u is gone, or not ours to look at",
				s->pid);
	if (!m.found)
		return 0;
	fd = open_mapped(&m);
	if (fd < 0)
		return diag_set(s->d, fd, "cannot open '%s', which process %u has mapped: %s",
				m.path, s->pid, strerror(-fd));
	err = add_file(s, fd, m.path);
	return err ? err : 1;
}

/* --- where it would be found ------------------------------------------------------------ */

static int search_cache(struct search *s)
{
	int fd = procroot_open_file(s->pid, "/etc/ld.so.cache"), ret = 0;
	char *cache = NULL;
	struct stat st;

	if (fd < 0)
		return 0;
	if (!fstat(fd, &st) && st.st_size > 0 && st.st_size <= MAX_CACHE_BYTES)
		cache = malloc((size_t)st.st_size);
	if (cache && pread(fd, cache, (size_t)st.st_size, 0) == st.st_size)
		ret = ldcache_each(cache, (size_t)st.st_size, s->name, try_path, s);
	free(cache);
	close(fd);
	return ret == -EBADMSG ? 0 : ret;
}

static int search_folder(struct search *s, const char *folder)
{
	char best[NAME_MAX + 1] = "", path[PATH_MAX], self[48];
	int fd = procroot_open_dir(s->pid, folder);
	struct dirent *e;
	DIR *dir;

	if (fd < 0)
		return 0;
	/* An O_PATH descriptor cannot be read itself. */
	snprintf(self, sizeof(self), "/proc/self/fd/%d/", fd);
	dir = opendir(self);
	while (dir && (e = readdir(dir)))
		if (ldcache_is_called(e->d_name, s->name) && strverscmp(e->d_name, best) > 0)
			snprintf(best, sizeof(best), "%s", e->d_name);
	if (dir)
		closedir(dir);
	close(fd);
	snprintf(path, sizeof(path), "%s/%s", folder, best);
	return best[0] ? try_path(s, path) : 0;
}

static int search_libraries(struct search *s)
{
	int ret = search_cache(s);

	for (size_t i = 0; !ret && i < sizeof(library_folders) / sizeof(*library_folders); i++)
		ret = search_folder(s, library_folders[i]);
	return ret;
}

static int search_programs(struct search *s)
{
	const char *at = s->pid ? NULL : getenv("PATH");
	char path[PATH_MAX];
	int ret = 0;

	for (at = at ? at : USUAL_PATH; !ret && *at; at += *at == ':') {
		size_t len = strcspn(at, ":");

		if (len && snprintf(path, sizeof(path), "%.*s/%s", (int)len, at, s->name) <
			   (int)sizeof(path))
			ret = try_path(s, path);
		at += len;
	}
	return ret;
}

/* A path is meant as it is; if the process does not see it, as we see it. */
static int open_path(struct search *s)
{
	char whole[PATH_MAX];
	const char *path = s->name;
	int fd = -ENOENT, err;

	if (s->sense != LIBFIND_PROGRAM)
		return 0;
	if (strlen(path) >= PATH_MAX)
		return diag_set(s->d, -ENAMETOOLONG, "path of %zu bytes is too long",
				strlen(path));
	if (path[0] == '/' && s->pid)
		fd = procroot_open_file(s->pid, path);
	if (fd < 0) {
		s->pid = 0;
		if (path[0] != '/' && realpath(path, whole))
			path = whole;
		fd = procroot_open_file(0, path);
	}
	if (fd == -ENOENT || fd == -ENOTDIR)
		return 0;
	if (fd < 0)
		return diag_set(s->d, fd, "cannot open '%s': %s", path,
				fd == -EACCES ? "not allowed, or no regular file" :
				strerror(-fd));
	err = add_file(s, fd, path);
	return err ? err : 1;
}

static int search_root(struct search *s)
{
	int ret = 0;

	if (strchr(s->name, '/'))
		return open_path(s);
	if (s->pid)
		ret = find_mapped(s);
	if (!ret)
		ret = s->sense == LIBFIND_PROGRAM ? search_programs(s) : search_libraries(s);
	return ret;
}

int libfind_open(struct libfind_files *out, const char *name, enum libfind_sense sense,
		 const pid_t *pids, size_t nr_pids, struct diag *d)
{
	int ret = 0;

	*out = (struct libfind_files){ 0 };
	if (!*name)
		return -ENOENT;
	for (size_t i = 0; i < (nr_pids ? nr_pids : 1) && ret >= 0; i++) {
		struct search s = {
			.out = out, .name = name, .sense = sense, .d = d,
			.pid = nr_pids ? (uint32_t)pids[i] : 0,
		};

		ret = search_root(&s);
	}
	if (ret < 0)
		return ret;
	return out->nr ? 0 : -ENOENT;
}

static const char *next_colon(const char *at)
{
	while ((at = strchr(at, ':')) && at[1] == ':')
		at += strspn(at, ":");
	return at;
}

static bool is_there(const char *name, const pid_t *pids, size_t nr_pids)
{
	struct libfind_files files;
	int err = libfind_open(&files, name, LIBFIND_PROGRAM, pids, nr_pids, NULL);

	libfind_release(&files);
	return !err;
}

int libfind_split(const char *what, const pid_t *pids, size_t nr_pids, char **name,
		  const char **rest)
{
	const char *first = next_colon(what);

	for (const char *colon = first; colon; colon = next_colon(colon + 1)) {
		*name = strndup(what, (size_t)(colon - what));
		*rest = colon + 1;
		if (!*name)
			return -ENOMEM;
		if (!strchr(*name, '/') || is_there(*name, pids, nr_pids))
			return 0;
		free(*name);
	}
	if (!first)
		return -EINVAL;
	*name = strndup(what, (size_t)(first - what));
	*rest = first + 1;
	return *name ? 0 : -ENOMEM;
}
