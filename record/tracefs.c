#define _GNU_SOURCE
#include "record/tracefs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#define MAX_FORMAT_BYTES (256u << 10)

/* --- where it is ---------------------------------------------------------------------- */

/* The folder "events" below it; -errno. */
static int open_events(int at, const char *path)
{
	int fd = openat(at, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

/* A detached mount: gone with its last fd. */
static int open_private(void)
{
	int fs = fsopen("tracefs", FSOPEN_CLOEXEC), root, events;

	if (fs < 0)
		return -errno;
	if (fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0) {
		root = -errno;
	} else {
		root = fsmount(fs, FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV |
			       MOUNT_ATTR_NOEXEC);
		if (root < 0)
			root = -errno;
	}
	close(fs);
	if (root < 0)
		return root;
	events = open_events(root, "events");
	close(root);
	return events;
}

static bool is_there(const char *path)
{
	return access(path, F_OK) == 0;
}

static int say_unreachable(struct diag *d, int err, int private_err)
{
	if (err == -EACCES || err == -EPERM)
		return diag_set(d, err, "not allowed to read /sys/kernel/tracing: run as root or "
				"with CAP_DAC_READ_SEARCH, or let a group read it (mount -o "
				"remount,gid=GROUP,mode=750 /sys/kernel/tracing)");
	if (private_err == -ENODEV)
		return diag_set(d, -ENOENT, "this kernel has no tracefs, so that nothing tells "
				"what its tracepoints hold (raw_tracepoint: may work)");
	if (is_there("/sys/kernel/tracing/trace") || private_err == -ENOENT)
		return diag_set(d, -ENOENT, "tracefs shows no tracepoints: the kernel is locked "
				"down (see /sys/kernel/security/lockdown; raw_tracepoint: may work)");
	return diag_set(d, -ENOENT, "tracefs is not mounted (run: mount -t tracefs nodev "
			"/sys/kernel/tracing)");
}

/* Borrowed; opened once for the life of the process. */
static int events_folder(struct diag *d)
{
	static const char *const places[] = {
		"/sys/kernel/tracing/events", "/sys/kernel/debug/tracing/events",
	};
	static int events = -1;
	int err = -ENOENT, fd;

	if (events >= 0)
		return events;
	for (size_t i = 0; i < sizeof(places) / sizeof(*places); i++) {
		fd = open_events(AT_FDCWD, places[i]);
		if (fd >= 0) {
			events = fd;
			return fd;
		}
		if (fd != -ENOENT && err == -ENOENT)
			err = fd;
	}
	fd = open_private();
	if (fd < 0)
		return say_unreachable(d, err, fd);
	events = fd;
	return fd;
}

int tracefs_open(struct diag *d)
{
	int events = events_folder(d), fd;

	if (events < 0)
		return events;
	fd = open_events(events, "..");
	return fd < 0 ? diag_set(d, fd, "cannot open tracefs: %s", strerror(-fd)) : fd;
}

/* --- formats -------------------------------------------------------------------------- */

/* These files have no size of their own. */
static int read_all(int fd, char **out)
{
	size_t len = 0, cap = 0;
	char *text = NULL;

	for (;;) {
		ssize_t n;

		if (cap - len < 2) {
			char *more;

			cap = cap ? cap * 2 : 4096;
			more = cap <= MAX_FORMAT_BYTES ? realloc(text, cap) : NULL;
			if (!more) {
				free(text);
				return cap <= MAX_FORMAT_BYTES ? -ENOMEM : -EFBIG;
			}
			text = more;
		}
		n = read(fd, text + len, cap - len - 1);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			int err = -errno;

			free(text);
			return err;
		}
		if (n == 0)
			break;
		len += (size_t)n;
	}
	text[len] = '\0';
	*out = text;
	return 0;
}

static bool is_plain(const char *name)
{
	return *name && *name != '.' && !strchr(name, '/');
}

int tracefs_read_format(char **out, const char *system, const char *name, struct diag *d)
{
	int events = events_folder(d), fd, err;
	char path[PATH_MAX];

	if (events < 0)
		return events;
	if (!is_plain(system) || !is_plain(name))
		return -ENOENT;
	if (snprintf(path, sizeof(path), "%s/%s/format", system, name) >= (int)sizeof(path))
		return -ENOENT;
	fd = openat(events, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		err = -errno;
	} else {
		err = read_all(fd, out);
		close(fd);
	}
	if (!err || err == -ENOENT)
		return err;
	if (err == -EPERM || err == -EACCES)
		return diag_set(d, err, "not allowed to read what tracepoint '%s:%s' holds: run as "
				"root or with CAP_DAC_READ_SEARCH%s", system, name,
				geteuid() ? "" : " (is the kernel locked down?)");
	return diag_set(d, err, "cannot read the format of tracepoint '%s:%s': %s", system, name,
			strerror(-err));
}

/* --- names ---------------------------------------------------------------------------- */

static int add_name(struct tracefs_names *n, const char *system, const char *name)
{
	char *text;

	if (n->nr == n->cap) {
		size_t cap = n->cap ? n->cap * 2 : 256;
		char **list = realloc(n->list, cap * sizeof(*list));

		if (!list)
			return -ENOMEM;
		n->list = list;
		n->cap = cap;
	}
	if (asprintf(&text, "%s:%s", system, name) < 0)
		return -ENOMEM;
	n->list[n->nr++] = text;
	return 0;
}

static bool is_folder(int at, const struct dirent *e)
{
	int fd;

	if (e->d_name[0] == '.')
		return false;
	if (e->d_type != DT_UNKNOWN)
		return e->d_type == DT_DIR;
	fd = open_events(at, e->d_name);
	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

/* A folder of a folder, for readdir(); NULL with errno. */
static DIR *open_folder(int at, const char *name)
{
	int fd = open_events(at, name);
	DIR *dir;

	if (fd < 0) {
		errno = -fd;
		return NULL;
	}
	dir = fdopendir(fd);
	if (!dir)
		close(fd);
	return dir;
}

static int find_in_system(struct tracefs_names *out, int events, const char *system,
			  const char *name_glob)
{
	DIR *dir = open_folder(events, system);
	struct dirent *e;
	int err = 0;

	if (!dir)
		return errno == ENOENT ? 0 : -errno;
	while (!err && (e = readdir(dir)) != NULL)
		if (is_folder(dirfd(dir), e) &&
		    (!name_glob || fnmatch(name_glob, e->d_name, 0) == 0))
			err = add_name(out, system, e->d_name);
	closedir(dir);
	return err;
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/*
 * The events of "ftrace" are records of the function tracer and its like: they have
 * formats, but nothing can be attached to them.
 */
static bool is_tracer(const char *system)
{
	return !strcmp(system, "ftrace");
}

static int find_all(struct tracefs_names *out, int events, const char *system_glob,
		    const char *name_glob)
{
	DIR *dir = open_folder(events, ".");
	struct dirent *e;
	int err = 0;

	if (!dir)
		return -errno;
	while (!err && (e = readdir(dir)) != NULL)
		if (is_folder(dirfd(dir), e) && !is_tracer(e->d_name) &&
		    (!system_glob || fnmatch(system_glob, e->d_name, 0) == 0))
			err = find_in_system(out, events, e->d_name, name_glob);
	closedir(dir);
	return err;
}

int tracefs_find(struct tracefs_names *out, const char *glob, struct diag *d)
{
	const char *colon = glob ? strchr(glob, ':') : NULL;
	int events = events_folder(d), err;
	char *system = NULL;

	memset(out, 0, sizeof(*out));
	if (events < 0)
		return events;
	if (glob) {
		system = colon ? strndup(glob, (size_t)(colon - glob)) : strdup(glob);
		if (!system)
			return diag_set(d, -ENOMEM, "out of memory");
	}
	err = find_all(out, events, system, colon ? colon + 1 : NULL);
	free(system);
	if (err) {
		tracefs_release_names(out);
		return diag_set(d, err, "cannot list tracepoints: %s", strerror(-err));
	}
	if (out->nr)
		qsort(out->list, out->nr, sizeof(*out->list), compare_names);
	return 0;
}

void tracefs_release_names(struct tracefs_names *n)
{
	for (size_t i = 0; i < n->nr; i++)
		free(n->list[i]);
	free(n->list);
	memset(n, 0, sizeof(*n));
}
