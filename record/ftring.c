#define _GNU_SOURCE
#include "record/ftring.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <traceevent/kbuffer.h>
#include <unistd.h>

#include "record/hostinfo.h"

#define STATS_BYTES 1024
#define MAX_PAGE_BYTES (1u << 20)

/* The ring of one CPU: one page of it, and how far we are. */
struct lane {
	struct kbuffer *reader;
	uint8_t *page;
	int fd, stats_fd;
	uint32_t cpu;
	const uint8_t *event;		/* the next one, or NULL */
	uint64_t time_ns;		/* its */
	uint64_t empty_ns;		/* when there was nothing more to read */
	bool missed;			/* events before this one */
};

struct ftring {
	struct lane *lanes;
	size_t nr_lanes;
	size_t page_bytes;
	struct lane *taken;		/* whose event was handed out last */
	bool missed;			/* by a page that was read since */
};

/* --- pages ------------------------------------------------------------------------- */

static bool load_page(struct ftring *r, struct lane *l)
{
	ssize_t n;

	do {
		n = read(l->fd, l->page, r->page_bytes);
	} while (n < 0 && errno == EINTR);
	if (n < (ssize_t)r->page_bytes || kbuffer_load_subbuffer(l->reader, l->page) < 0) {
		l->empty_ns = hostinfo_now_ns();
		return false;
	}
	l->missed = kbuffer_missed_events(l->reader) != 0;
	r->missed |= l->missed;
	return true;
}

static void set_event(struct lane *l, void *event, unsigned long long time_ns)
{
	l->event = event;
	l->time_ns = time_ns;
}

static void step(struct lane *l)
{
	unsigned long long time_ns = 0;
	void *event = kbuffer_next_event(l->reader, &time_ns);

	set_event(l, event, time_ns);
	l->missed = false;
}

/* A ring that was empty a moment ago has nothing from before that moment. */
static void fill(struct ftring *r, struct lane *l, uint64_t until_ns)
{
	unsigned long long time_ns = 0;
	void *event;

	while (!l->event && (!l->empty_ns || until_ns > l->empty_ns)) {
		if (!load_page(r, l))
			return;
		event = kbuffer_read_event(l->reader, &time_ns);
		set_event(l, event, time_ns);
	}
}

bool ftring_next(struct ftring *r, uint64_t until_ns, struct ftring_event *e)
{
	struct lane *first = NULL;

	if (r->taken)
		step(r->taken);
	r->taken = NULL;
	for (size_t i = 0; i < r->nr_lanes; i++) {
		struct lane *l = &r->lanes[i];

		fill(r, l, until_ns);
		if (l->event && (!first || l->time_ns < first->time_ns))
			first = l;
	}
	if (!first || first->time_ns > until_ns)
		return false;
	*e = (struct ftring_event){
		.time_ns = first->time_ns, .cpu = first->cpu, .data = first->event,
		.size_bytes = (size_t)kbuffer_event_size(first->reader),
		.missed = first->missed || r->missed,
	};
	r->missed = false;
	r->taken = first;
	return true;
}

/* --- losses ------------------------------------------------------------------------ */

static uint64_t count_of(const char *text, const char *name)
{
	const char *at = strstr(text, name);

	return at ? strtoull(at + strlen(name), NULL, 10) : 0;
}

/* "overrun: 3\ncommit overrun: 0\n ... dropped events: 0\n", after "entries: 12\n". */
static uint64_t lost_of_lane(const struct lane *l)
{
	char text[STATS_BYTES];
	ssize_t n = pread(l->stats_fd, text, sizeof(text) - 1, 0);

	if (n <= 0)
		return 0;
	text[n] = '\0';
	return count_of(text, "\noverrun:") + count_of(text, "\ncommit overrun:") +
	       count_of(text, "\ndropped events:");
}

uint64_t ftring_lost(const struct ftring *r, uint32_t cpu)
{
	for (size_t i = 0; i < r->nr_lanes; i++)
		if (r->lanes[i].cpu == cpu)
			return lost_of_lane(&r->lanes[i]);
	return 0;
}

/* --- life -------------------------------------------------------------------------- */

static int open_of_cpu(int folder, int cpu, const char *name, int flags)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "per_cpu/cpu%d/%s", cpu, name);
	fd = openat(folder, path, O_RDONLY | O_CLOEXEC | flags);
	return fd < 0 ? -errno : fd;
}

static int open_lane(struct ftring *r, struct lane *l, int folder, int cpu)
{
	l->cpu = (uint32_t)cpu;
	l->fd = open_of_cpu(folder, cpu, "trace_pipe_raw", O_NONBLOCK);
	l->stats_fd = open_of_cpu(folder, cpu, "stats", 0);
	l->page = malloc(r->page_bytes);
	l->reader = kbuffer_alloc(KBUFFER_LSIZE_SAME_AS_HOST, KBUFFER_ENDIAN_SAME_AS_HOST);
	if (!l->page || !l->reader)
		return -ENOMEM;
	return l->fd < 0 ? l->fd : l->stats_fd < 0 ? l->stats_fd : 0;
}

/* Newer kernels can be told another size than that of a page of memory. */
static size_t page_bytes(int folder)
{
	size_t size = (size_t)sysconf(_SC_PAGESIZE);
	int fd = openat(folder, "buffer_subbuf_size_kb", O_RDONLY | O_CLOEXEC);
	char text[32];
	ssize_t n;

	if (fd < 0)
		return size;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (n > 0) {
		text[n] = '\0';
		size = strtoul(text, NULL, 10) * 1024;
	}
	return size;
}

int ftring_open(struct ftring **out, int folder, const int *cpus, size_t nr_cpus,
		struct diag *d)
{
	struct ftring *r = calloc(1, sizeof(*r));
	int err = 0;

	if (!r)
		return diag_set(d, -ENOMEM, "out of memory");
	r->page_bytes = page_bytes(folder);
	r->lanes = calloc(nr_cpus + 1, sizeof(*r->lanes));
	if (!r->lanes || !r->page_bytes || r->page_bytes > MAX_PAGE_BYTES)
		err = -ENOMEM;
	for (size_t i = 0; i < nr_cpus && !err; i++)
		err = open_lane(r, &r->lanes[r->nr_lanes++], folder, cpus[i]);
	if (err) {
		ftring_close(r);
		return diag_set(d, err, "cannot open the rings of the kernel's tracer: %s",
				strerror(-err));
	}
	*out = r;
	return 0;
}

void ftring_close(struct ftring *r)
{
	if (!r)
		return;
	for (size_t i = 0; i < r->nr_lanes; i++) {
		struct lane *l = &r->lanes[i];

		if (l->fd >= 0)
			close(l->fd);
		if (l->stats_fd >= 0)
			close(l->stats_fd);
		free(l->page);
		if (l->reader)
			kbuffer_free(l->reader);
	}
	free(r->lanes);
	free(r);
}
