#include "record/procfs.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#define PF_KTHREAD 0x00200000	/* include/linux/sched.h of the kernel */

/* A line of maps holds a path, whose newlines take four bytes each. */
#define MAPS_BUFFER_BYTES 32768

static int gone(int err)
{
	return err == ENOENT || err == ESRCH ? -ESRCH : -err;
}

/* Reads at most size_bytes - 1 and ends them with NUL; -ESRCH if it is gone. */
static ssize_t read_whole(const char *path, char *to, size_t size_bytes)
{
	size_t len = 0;
	ssize_t got = 0;
	int fd, err;

	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return gone(errno);
	while (len < size_bytes - 1) {
		got = read(fd, to + len, size_bytes - 1 - len);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			break;
		len += (size_t)got;
	}
	err = errno;
	close(fd);
	if (got < 0)
		return gone(err);
	to[len] = '\0';
	return (ssize_t)len;
}

/*
 * The name is whatever lies between the first "(" and the last ")": it may
 * itself hold both, spaces and newlines.
 */
int procfs_parse_stat(struct procfs_task *t, const char *text)
{
	const char *open_paren = strchr(text, '(');
	const char *close_paren = strrchr(text, ')');
	unsigned long long start_ticks;
	unsigned int flags;
	int parent;
	size_t len;

	if (!open_paren || !close_paren || close_paren < open_paren)
		return -EBADMSG;
	len = (size_t)(close_paren - open_paren - 1);
	if (len >= sizeof(t->comm))
		len = sizeof(t->comm) - 1;
	memcpy(t->comm, open_paren + 1, len);
	t->comm[len] = '\0';
	if (sscanf(close_paren + 1,
		   " %c %d %*d %*d %*d %*d %u %*u %*u %*u %*u %*u %*u %*d %*d"
		   " %*d %*d %*d %*d %llu",
		   &t->state, &parent, &flags, &start_ticks) != 4)
		return -EBADMSG;
	t->parent_pid = parent < 0 ? 0 : (uint32_t)parent;
	t->kernel_thread = flags & PF_KTHREAD;
	t->start_ns = start_ticks * (1000000000ull / (uint64_t)sysconf(_SC_CLK_TCK));
	return 0;
}

/* NSpid lists the id in every namespace, the innermost last. */
static uint32_t innermost_pid(const char *status, uint32_t fallback)
{
	const char *line = strstr(status, "\nNSpid:");
	uint32_t pid = fallback;

	if (!line)
		return fallback;
	for (line += strlen("\nNSpid:"); *line && *line != '\n';) {
		if (isdigit((unsigned char)*line)) {
			char *end;

			pid = (uint32_t)strtoul(line, &end, 10);
			line = end;
		} else {
			line++;
		}
	}
	return pid;
}

static uint32_t real_uid(const char *status)
{
	const char *line = strstr(status, "\nUid:");

	return line ? (uint32_t)strtoul(line + strlen("\nUid:"), NULL, 10) : UINT32_MAX;
}

/*
 * A title written over the arguments is padded with NULs, which are no
 * arguments; what was cut off ends with a NUL, too.
 */
static size_t trim_cmdline(char *cmdline, size_t len, size_t size_bytes)
{
	while (len && !cmdline[len - 1])
		len--;
	if (!len)
		return 0;
	if (len == size_bytes)
		len--;
	cmdline[len] = '\0';
	return len + 1;
}

int procfs_read_task(struct procfs_task *t, uint32_t pid, uint32_t tid)
{
	char path[64], text[8192];
	ssize_t len;
	int err;

	memset(t, 0, offsetof(struct procfs_task, cmdline));
	t->pid = pid;
	t->tid = tid;
	t->cmdline[0] = '\0';
	t->cmdline_bytes = 0;
	t->cgroup[0] = '\0';

	snprintf(path, sizeof(path), "/proc/%u/task/%u/stat", pid, tid);
	len = read_whole(path, text, sizeof(text));
	if (len < 0)
		return (int)len;
	err = procfs_parse_stat(t, text);
	if (err)
		return err;

	snprintf(path, sizeof(path), "/proc/%u/task/%u/status", pid, tid);
	len = read_whole(path, text, sizeof(text));
	if (len < 0)
		return (int)len;
	t->ns_pid = innermost_pid(text, tid);
	t->uid = real_uid(text);

	if (!t->kernel_thread) {
		snprintf(path, sizeof(path), "/proc/%u/cmdline", pid);
		len = read_whole(path, t->cmdline, sizeof(t->cmdline));
		if (len < 0)
			return (int)len;
		t->cmdline_bytes = trim_cmdline(t->cmdline, (size_t)len,
						sizeof(t->cmdline));
	}
	return procfs_read_cgroup(t->cgroup, sizeof(t->cgroup), pid);
}

int procfs_read_comm(char *to, size_t size_bytes, uint32_t pid, uint32_t tid)
{
	char path[64];
	ssize_t len;

	snprintf(path, sizeof(path), "/proc/%u/task/%u/comm", pid, tid);
	len = read_whole(path, to, size_bytes);
	if (len < 0)
		return (int)len;
	if (len > 0 && to[len - 1] == '\n')
		len--;
	to[len] = '\0';
	return 0;
}

/*
 * A line is "ID:CONTROLLERS:PATH", and ID 0 is the unified hierarchy.  On a
 * hybrid host everything sits in the root of that one, so the longest path of
 * the others says more.
 */
void procfs_parse_cgroup(char *to, size_t size_bytes, char *text)
{
	static const char deleted[] = " (deleted)";
	const char *best = "";
	char *line, *save = NULL;

	for (line = strtok_r(text, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save)) {
		char *at = strchr(line, ':');
		char *path = at ? strchr(at + 1, ':') : NULL;
		size_t len;

		if (!path++)
			continue;
		len = strlen(path);
		if (len >= sizeof(deleted) - 1 &&
		    !strcmp(path + len - (sizeof(deleted) - 1), deleted))
			path[len - (sizeof(deleted) - 1)] = '\0';
		if (!strncmp(line, "0::", 3) && strcmp(path, "/")) {
			best = path;
			break;
		}
		if (strlen(path) > strlen(best))
			best = path;
	}
	snprintf(to, size_bytes, "%s", best);
}

int procfs_owner(uint32_t tid)
{
	char path[64], line[256];
	int owner = -ESRCH;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%u/status", tid);
	f = fopen(path, "re");
	if (!f)
		return -ESRCH;
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "Tgid: %d", &owner) == 1)
			break;
	}
	fclose(f);
	return owner;
}

int procfs_read_cgroup(char *to, size_t size_bytes, uint32_t pid)
{
	char path[64], text[16384];
	ssize_t len;

	snprintf(path, sizeof(path), "/proc/%u/cgroup", pid);
	len = read_whole(path, text, sizeof(text));
	if (len == -ESRCH && !access("/proc/self/cgroup", F_OK))
		return -ESRCH;
	/* A kernel without cgroups has no such file. */
	if (len < 0)
		len = 0;
	text[len] = '\0';
	procfs_parse_cgroup(to, size_bytes, text);
	return 0;
}

static int each_number(const char *path, int (*fn)(void *ctx, uint32_t number), void *ctx)
{
	struct dirent *entry;
	DIR *dir = opendir(path);
	int err = 0;

	if (!dir)
		return gone(errno);
	while (!err && (entry = readdir(dir))) {
		char *end;
		unsigned long number;

		if (!isdigit((unsigned char)entry->d_name[0]))
			continue;
		number = strtoul(entry->d_name, &end, 10);
		if (!*end && number <= UINT32_MAX)
			err = fn(ctx, (uint32_t)number);
	}
	closedir(dir);
	return err;
}

int procfs_each_pid(int (*fn)(void *ctx, uint32_t pid), void *ctx)
{
	return each_number("/proc", fn, ctx);
}

int procfs_each_tid(uint32_t pid, int (*fn)(void *ctx, uint32_t tid), void *ctx)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%u/task", pid);
	return each_number(path, fn, ctx);
}

static const char *parse_hex(const char *at, uint64_t *value)
{
	const char *start = at;

	for (*value = 0; isxdigit((unsigned char)*at); at++) {
		int c = tolower((unsigned char)*at);

		*value = *value << 4 | (uint64_t)(c <= '9' ? c - '0' : c - 'a' + 10);
	}
	return at == start ? NULL : at;
}

/* Hexadecimal digits, then the separator. */
static bool take_hex(const char **at, char separator, uint64_t *value)
{
	const char *end = parse_hex(*at, value);

	if (!end || *end != separator)
		return false;
	*at = end + 1;
	return true;
}

/* The kernel writes a newline in a path as \012, and nothing else specially. */
static void unescape_newlines(char *path)
{
	char *from = path, *to = path;

	if (!strchr(path, '\\'))
		return;
	while (*from) {
		if (!strncmp(from, "\\012", 4)) {
			*to++ = '\n';
			from += 4;
		} else {
			*to++ = *from++;
		}
	}
	*to = '\0';
}

/* False for a line that is not an executable mapping. */
static bool parse_map(struct procfs_map *m, char *line)
{
	const char *at = line;
	uint64_t major, minor;
	char *path;

	if (!take_hex(&at, '-', &m->start) || !take_hex(&at, ' ', &m->end) ||
	    strnlen(at, 5) < 5 || at[2] != 'x')
		return false;
	m->prot = (at[0] == 'r' ? PROT_READ : 0) | (at[1] == 'w' ? PROT_WRITE : 0) |
		  PROT_EXEC;
	at += 5;
	if (!take_hex(&at, ' ', &m->offset) || !take_hex(&at, ':', &major) ||
	    !take_hex(&at, ' ', &minor))
		return false;
	m->dev_major = (uint32_t)major;
	m->dev_minor = (uint32_t)minor;
	m->inode = strtoull(at, &path, 10);
	while (*path == ' ')
		path++;
	unescape_newlines(path);
	m->path = path;
	return m->start < m->end;
}

/* Takes the whole lines out of text; returns how many bytes they were. */
static int take_maps(char *text, size_t *used_bytes,
		     int (*fn)(void *ctx, const struct procfs_map *m), void *ctx)
{
	char *line = text, *end;
	int err = 0;

	while (!err && (end = strchr(line, '\n'))) {
		struct procfs_map m;

		*end = '\0';
		if (parse_map(&m, line))
			err = fn(ctx, &m);
		line = end + 1;
	}
	*used_bytes = (size_t)(line - text);
	return err;
}

int procfs_each_map(uint32_t pid, int (*fn)(void *ctx, const struct procfs_map *m), void *ctx)
{
	char text[MAPS_BUFFER_BYTES], path[64];
	size_t len = 0, used;
	ssize_t got;
	int fd, err = 0;

	snprintf(path, sizeof(path), "/proc/%u/maps", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return gone(errno);
	while (!err) {
		got = read(fd, text + len, sizeof(text) - 1 - len);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0) {
			err = got < 0 ? gone(errno) : 0;
			break;
		}
		len += (size_t)got;
		text[len] = '\0';
		err = take_maps(text, &used, fn, ctx);
		len -= used;
		memmove(text, text + used, len);
		if (len == sizeof(text) - 1)
			err = -EBADMSG;
	}
	close(fd);
	return err;
}

static uint64_t timeval_ns(const struct timeval *tv)
{
	return (uint64_t)tv->tv_sec * 1000000000 + (uint64_t)tv->tv_usec * 1000;
}

void procfs_self_cost(uint64_t *user_ns, uint64_t *system_ns)
{
	struct rusage usage;

	memset(&usage, 0, sizeof(usage));
	getrusage(RUSAGE_SELF, &usage);
	*user_ns = timeval_ns(&usage.ru_utime);
	*system_ns = timeval_ns(&usage.ru_stime);
}
