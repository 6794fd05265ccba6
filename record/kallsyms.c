#define _GNU_SOURCE
#include "record/kallsyms.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BUFFER_BYTES 65536
#define PAGE_BYTES 4096

struct tagged {
	uint64_t start;
	uint32_t tag, name;	/* in the pool */
};

struct kallsyms {
	struct symtab *kernel;
	struct tagged *tagged;
	size_t nr, cap;
	char *pool;
	size_t pool_len, pool_cap;
	uint32_t last_tag;
	/* while loading */
	uint64_t pending_start;		/* a symbol of the kernel proper */
	char pending[512];
	uint64_t end;
	bool any_address;
};

struct line {
	uint64_t address;
	char type;
	const char *name, *tag;		/* tag: NULL for the kernel proper */
};

/*
 * "ffffffff81000000 T name\t[tag]", the newline replaced by a NUL.  Written for
 * speed: kernels have some 100,000 to 250,000 lines.
 */
static bool parse(struct line *l, char *at)
{
	uint64_t address = 0;
	char *tab;

	for (; *at && *at != ' '; at++) {
		unsigned int c = (unsigned char)*at;

		if (c - '0' < 10u)
			address = address << 4 | (uint64_t)(c - '0');
		else if ((c | 0x20u) - 'a' < 6u)
			address = address << 4 | (uint64_t)((c | 0x20u) - 'a' + 10);
		else
			return false;
	}
	if (at[0] != ' ' || !at[1] || at[2] != ' ' || !at[3])
		return false;
	l->address = address;
	l->type = at[1];
	l->name = at + 3;
	tab = strchr(at + 3, '\t');
	if (tab)
		*tab = '\0';
	l->tag = tab && tab[1] == '[' ? tab + 1 : NULL;
	return true;
}

static bool is_text(char type)
{
	return type == 't' || type == 'T' || type == 'w' || type == 'W';
}

/* A function ends where data begin. */
static bool is_data(char type)
{
	return type == 'd' || type == 'D' || type == 'b' || type == 'B';
}

/* Compilers mark positions with names that say nothing to anybody. */
static bool is_marker(const char *name)
{
	return name[0] == '$' || !strncmp(name, "__pfx_", 6) || !strncmp(name, ".L", 2);
}

static int add_text(struct kallsyms *k, const char *text, uint32_t *at)
{
	size_t len = strlen(text) + 1;

	if (k->pool_len + len > k->pool_cap) {
		size_t cap = k->pool_cap ? k->pool_cap * 2 : 65536;
		char *pool = realloc(k->pool, cap);

		if (!pool)
			return -ENOMEM;
		k->pool = pool;
		k->pool_cap = cap;
	}
	memcpy(k->pool + k->pool_len, text, len);
	*at = (uint32_t)k->pool_len;
	k->pool_len += len;
	return 0;
}

static int add_tagged(struct kallsyms *k, const struct line *l)
{
	struct tagged *t;
	int err;

	if (k->nr == k->cap) {
		size_t cap = k->cap ? k->cap * 2 : 1024;

		t = realloc(k->tagged, cap * sizeof(*t));
		if (!t)
			return -ENOMEM;
		k->tagged = t;
		k->cap = cap;
	}
	t = &k->tagged[k->nr];
	t->start = l->address;
	if (!k->nr || strcmp(k->pool + k->last_tag, l->tag)) {
		err = add_text(k, l->tag, &k->last_tag);
		if (err)
			return err;
	}
	t->tag = k->last_tag;
	err = add_text(k, l->name, &t->name);
	if (!err)
		k->nr++;
	return err;
}

/* Of several names of one address perf shows the last, and so do we. */
static int put_pending(struct kallsyms *k, uint64_t end)
{
	struct symtab_entry e = {
		.start = k->pending_start,
		.size_bytes = end - k->pending_start,
		.name = k->pending,
	};

	return k->pending[0] ? symtab_add(k->kernel, &e) : 0;
}

static int add_line(struct kallsyms *k, const struct line *l)
{
	size_t len = strlen(l->name);
	int err = 0;

	if (is_data(l->type) && !l->tag && l->address > k->pending_start) {
		err = put_pending(k, l->address);
		k->pending[0] = '\0';
		return err;
	}
	if (!is_text(l->type) || is_marker(l->name) || !l->address)
		return 0;
	k->any_address = true;
	if (l->tag)
		return add_tagged(k, l);
	if (l->address < k->pending_start || len >= sizeof(k->pending))
		return 0;
	if (l->address != k->pending_start)
		err = put_pending(k, l->address);
	k->pending_start = l->address;
	memcpy(k->pending, l->name, len + 1);
	return err;
}

/* Takes the whole lines; returns how many bytes are left over, or -errno. */
static ssize_t take_lines(struct kallsyms *k, char *text, size_t len)
{
	char *line = text, *end;
	struct line l;
	int err;

	while ((end = memchr(line, '\n', (size_t)(text + len - line)))) {
		*end = '\0';
		if (parse(&l, line)) {
			err = add_line(k, &l);
			if (err)
				return err;
		}
		line = end + 1;
	}
	len -= (size_t)(line - text);
	memmove(text, line, len);
	return (ssize_t)len;
}

static int read_lines(struct kallsyms *k, int fd, char *text)
{
	size_t len = 0;

	for (;;) {
		ssize_t got = read(fd, text + len, BUFFER_BYTES - len);
		ssize_t left;

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return got < 0 ? -errno : 0;
		left = take_lines(k, text, len + (size_t)got);
		if (left < 0)
			return (int)left;
		if (left == BUFFER_BYTES)
			return -EBADMSG;
		len = (size_t)left;
	}
}

static int compare_tagged(const void *va, const void *vb, void *ctx)
{
	const struct tagged *a = va, *b = vb;
	const struct kallsyms *k = ctx;
	int order = a->tag == b->tag ? 0 : strcmp(k->pool + a->tag, k->pool + b->tag);

	if (order)
		return order;
	return a->start < b->start ? -1 : a->start > b->start;
}

int kallsyms_load(struct kallsyms **out)
{
	struct kallsyms *k = calloc(1, sizeof(*k));
	char *text = malloc(BUFFER_BYTES);
	int fd = open("/proc/kallsyms", O_RDONLY | O_CLOEXEC);
	int err = fd < 0 ? -errno : 0;

	if (!err && (!k || !text))
		err = -ENOMEM;
	if (!err)
		err = symtab_new(&k->kernel);
	if (!err)
		err = read_lines(k, fd, text);
	if (!err && !k->any_address)
		err = -EACCES;
	if (!err) {
		k->end = (k->pending_start + PAGE_BYTES) & ~(uint64_t)(PAGE_BYTES - 1);
		err = put_pending(k, k->end);
	}
	if (!err)
		err = symtab_finish(k->kernel);
	if (!err && k->nr)
		qsort_r(k->tagged, k->nr, sizeof(*k->tagged), compare_tagged, k);
	if (fd >= 0)
		close(fd);
	free(text);
	if (err) {
		kallsyms_free(k);
		return err;
	}
	*out = k;
	return 0;
}

void kallsyms_free(struct kallsyms *k)
{
	if (!k)
		return;
	symtab_free(k->kernel);
	free(k->tagged);
	free(k->pool);
	free(k);
}

struct symtab *kallsyms_kernel(struct kallsyms *k)
{
	return k->kernel;
}

uint64_t kallsyms_end(const struct kallsyms *k)
{
	return k->end;
}

size_t kallsyms_nr_tagged(const struct kallsyms *k)
{
	return k->nr;
}

struct kallsyms_tagged kallsyms_tagged_at(const struct kallsyms *k, size_t i)
{
	const struct tagged *t = &k->tagged[i];
	struct kallsyms_tagged out = {
		.start = t->start,
		.tag = k->pool + t->tag,
		.name = k->pool + t->name,
	};

	if (i + 1 < k->nr && k->tagged[i + 1].tag == t->tag)
		out.end = k->tagged[i + 1].start;
	else
		out.end = (t->start + PAGE_BYTES) & ~(uint64_t)(PAGE_BYTES - 1);
	return out;
}
