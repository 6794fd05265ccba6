#include "format/trace_private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define STREAM_BYTES (64u << 10)	/* asked of a stream at a time */
#define AHEAD_BYTES (4u << 10)		/* of a file: small blocks stand together */

static int window_grow(struct trace_window *w, size_t want)
{
	uint8_t *data;

	if (want <= w->cap)
		return 0;
	data = realloc(w->data, want);
	if (!data)
		return -ENOMEM;
	w->data = data;
	w->cap = want;
	return 0;
}

void trace_source_release(struct trace_window *w)
{
	free(w->data);
	memset(w, 0, sizeof(*w));
}

/*
 * Moves the window so that it starts at offset.  On a stream the offset may
 * lie behind its end: the reader passes over a damaged block.
 */
static void window_move(struct trace_source *s, struct trace_window *w, uint64_t offset)
{
	if (offset >= w->start && offset - w->start <= w->len) {
		size_t drop = (size_t)(offset - w->start);

		memmove(w->data, w->data + drop, w->len - drop);
		w->len -= drop;
		w->start = offset;
		return;
	}
	if (s->in.size_bytes != TRACE_STREAM) {
		w->start = offset;
		w->len = 0;
		return;
	}
	while (!s->ended && w->start + w->len < offset) {
		uint64_t left = offset - w->start - w->len;
		int64_t n;

		w->start += w->len;
		w->len = 0;
		n = s->in.read_at(s->in.ctx, w->start, w->data,
				  left < w->cap ? (size_t)left : w->cap);
		if (n <= 0) {
			s->err = (int)n;
			s->ended = true;
			break;
		}
		w->len = (size_t)n;
	}
	w->start += w->len;
	w->len = 0;
}

/*
 * A hostile length costs no memory before its bytes are there: the window
 * doubles as they arrive.
 */
static int window_fill(struct trace_source *s, struct trace_window *w, size_t size_bytes)
{
	while (w->len < size_bytes && !s->ended && !s->err) {
		size_t ask = size_bytes - w->len;
		int64_t n;

		if (w->len == w->cap && window_grow(w, w->cap * 2))
			return -ENOMEM;
		if (ask < AHEAD_BYTES)
			ask = AHEAD_BYTES;
		if (ask > w->cap - w->len || s->in.size_bytes == TRACE_STREAM)
			ask = w->cap - w->len;
		n = s->in.read_at(s->in.ctx, w->start + w->len, w->data + w->len, ask);
		if (n < 0)
			s->err = (int)n;
		if (n == 0 && s->in.size_bytes == TRACE_STREAM)
			s->ended = true;
		if (n <= 0)
			break;
		w->len += (size_t)n;
	}
	return 0;
}

/* At least this much; a file holds what is asked of it, a stream may not. */
static size_t window_bytes(const struct trace_source *s, uint64_t offset, size_t size_bytes)
{
	uint64_t size = s->in.size_bytes;
	uint64_t left = offset < size ? size - offset : 0;

	if (size == TRACE_STREAM || size_bytes < STREAM_BYTES || left < STREAM_BYTES)
		return STREAM_BYTES;
	return left < size_bytes ? (size_t)left : size_bytes;
}

const uint8_t *trace_source_view(struct trace_source *s, struct trace_window *w,
				 uint64_t offset, size_t size_bytes, size_t *got)
{
	uint64_t drop;

	*got = 0;
	if (window_grow(w, window_bytes(s, offset, size_bytes)))
		return NULL;
	if (offset < w->start || offset - w->start > w->len ||
	    size_bytes > w->len - (offset - w->start)) {
		window_move(s, w, offset);
		if (window_fill(s, w, size_bytes))
			return NULL;
	}
	/* A stream may have ended before the offset. */
	drop = offset - w->start;
	if (drop > w->len)
		return w->data;
	*got = w->len - (size_t)drop;
	if (*got > size_bytes)
		*got = size_bytes;
	return w->data + drop;
}

/* --- files -------------------------------------------------------------------- */

struct file {
	int fd;
	bool stream;
};

static int64_t file_read_at(void *ctx, uint64_t offset, void *to, size_t size_bytes)
{
	struct file *f = ctx;
	ssize_t n;

	do {
		n = f->stream ? read(f->fd, to, size_bytes)
			      : pread(f->fd, to, size_bytes, (off_t)offset);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

static void file_close(void *ctx)
{
	struct file *f = ctx;

	if (f->fd != STDIN_FILENO)
		close(f->fd);
	free(f);
}

int trace_source_open(struct trace_input *in, const char *path, struct diag *d)
{
	bool is_stdin = !strcmp(path, "-");
	struct file *f = malloc(sizeof(*f));
	struct stat st;
	int err;

	if (!f)
		return diag_set(d, -ENOMEM, "cannot open '%s': out of memory", path);
	f->fd = is_stdin ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
	if (f->fd < 0 || fstat(f->fd, &st)) {
		err = -errno;
		if (f->fd > STDIN_FILENO)
			close(f->fd);
		free(f);
		return diag_set(d, err, "cannot open '%s': %s", path, strerror(-err));
	}
	if (S_ISDIR(st.st_mode)) {
		file_close(f);
		return diag_set(d, -EISDIR, "cannot open '%s': is a directory", path);
	}
	f->stream = is_stdin || !S_ISREG(st.st_mode);
	in->read_at = file_read_at;
	in->close = file_close;
	in->ctx = f;
	in->size_bytes = f->stream ? TRACE_STREAM : (uint64_t)st.st_size;
	return 0;
}
