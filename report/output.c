#include "report/output.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SETTLE_BYTES (256u << 10)

struct output {
	int fd, err;
	bool own_fd;
	char *path;		/* the name given, for messages */
	char *target, *temp;	/* temp becomes target; NULL when written directly */
	struct bytebuf buffer;
};

static int write_all(int fd, const uint8_t *data, size_t left)
{
	while (left > 0) {
		ssize_t n = write(fd, data, left);

		if (n >= 0) {
			data += n;
			left -= (size_t)n;
		} else if (errno == EAGAIN) {
			/* Standard output may have been made non-blocking. */
			struct pollfd p = { .fd = fd, .events = POLLOUT };

			poll(&p, 1, -1);
		} else if (errno != EINTR) {
			return -errno;
		}
	}
	return 0;
}

static void flush(struct output *o)
{
	if (o->buffer.err && !o->err)
		o->err = o->buffer.err;
	if (!o->err)
		o->err = write_all(o->fd, o->buffer.data, o->buffer.len);
	bytebuf_clear(&o->buffer);
}

/*
 * A regular file is written beside its place, so that a view that fails half
 * way leaves the old one alone; through a symbolic link, beside what it points
 * to.  Pipes and devices are written to as they are.
 */
static int open_beside(struct output *o, const char *path)
{
	struct stat st;
	bool exists = stat(path, &st) == 0;
	size_t temp_bytes;
	int err;

	if (exists && S_ISDIR(st.st_mode))
		return -EISDIR;
	if (exists && !S_ISREG(st.st_mode))
		goto directly;
	o->target = exists ? realpath(path, NULL) : strdup(path);
	if (!o->target)
		return -errno;
	temp_bytes = strlen(o->target) + 32;
	o->temp = malloc(temp_bytes);
	if (!o->temp)
		return -ENOMEM;
	snprintf(o->temp, temp_bytes, "%s.%ld.tmp", o->target, (long)getpid());
	o->fd = open(o->temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	err = o->fd < 0 ? -errno : 0;
	if (!err) {
		/* Where rights cannot be set, those of a new file must do. */
		if (exists)
			(void)!fchmod(o->fd, st.st_mode & 0777);
		return 0;
	}
	free(o->temp);
	o->temp = NULL;
	if (!exists || (err != -EACCES && err != -EPERM))
		return err;
	/* A writable file in a folder that is not. */
directly:
	o->fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC | O_NOCTTY);
	return o->fd < 0 ? -errno : 0;
}

static void output_free(struct output *o)
{
	bytebuf_release(&o->buffer);
	free(o->path);
	free(o->target);
	free(o->temp);
	free(o);
}

int output_open(struct output **out, const char *path, struct diag *d)
{
	struct output *o = calloc(1, sizeof(*o));
	bool to_stdout = !path || strcmp(path, "-") == 0;
	int err = 0;

	if (!o)
		return diag_set(d, -ENOMEM, "out of memory");
	bytebuf_init(&o->buffer);
	o->fd = STDOUT_FILENO;
	o->own_fd = !to_stdout;
	o->path = strdup(to_stdout ? "standard output" : path);
	if (!o->path)
		err = -ENOMEM;
	if (!err && !to_stdout)
		err = open_beside(o, path);
	if (err) {
		output_free(o);
		return diag_set(d, err, "cannot write '%s': %s",
				to_stdout ? "standard output" : path,
				strerror(-err));
	}
	*out = o;
	return 0;
}

void output_bytes(struct output *o, const void *bytes, size_t size_bytes)
{
	bytebuf_put(&o->buffer, bytes, size_bytes);
	output_settle(o);
}

void output_text(struct output *o, const char *text)
{
	output_bytes(o, text, strlen(text));
}

void output_format(struct output *o, const char *fmt, ...)
{
	struct bytebuf *b = &o->buffer;
	va_list args, again;
	int n;

	va_start(args, fmt);
	va_copy(again, args);
	n = vsnprintf(NULL, 0, fmt, args);
	if (n < 0) {
		if (!o->err)
			o->err = -EINVAL;
	} else if (bytebuf_reserve(b, (size_t)n + 1) == 0) {
		vsnprintf((char *)b->data + b->len, (size_t)n + 1, fmt, again);
		b->len += (size_t)n;
	}
	va_end(again);
	va_end(args);
	output_settle(o);
}

struct bytebuf *output_buffer(struct output *o)
{
	return &o->buffer;
}

void output_settle(struct output *o)
{
	if (o->buffer.len >= SETTLE_BYTES || o->buffer.err)
		flush(o);
}

int output_error(const struct output *o)
{
	return o->err;
}

void output_abandon(struct output *o)
{
	if (!o)
		return;
	if (!o->err)
		o->err = -ECANCELED;
	output_close(o, NULL);
}

int output_close(struct output *o, struct diag *d)
{
	int err;

	if (!o)
		return 0;
	flush(o);
	if (o->own_fd && close(o->fd) && !o->err)
		o->err = -errno;
	if (o->temp && !o->err && rename(o->temp, o->target))
		o->err = -errno;
	if (o->temp && o->err)
		unlink(o->temp);
	err = o->err;
	if (err)
		diag_set(d, err, "cannot write '%s': %s", o->path, strerror(-err));
	output_free(o);
	return err;
}
