#define _GNU_SOURCE
#include "record/syscallargs_names.h"

#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#include <asm/termbits.h>
#include <linux/bpf.h>
#include <linux/close_range.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <linux/perf_event.h>
#include <linux/sockios.h>

#include "format/bytebuf.h"

/* Where the C library has another value than the kernel, or none. */
#if defined(__aarch64__) || defined(__arm__)
#define KERNEL_O_LARGEFILE 0400000
#elif defined(__powerpc__)
#define KERNEL_O_LARGEFILE 0200000
#else
#define KERNEL_O_LARGEFILE 0100000
#endif
#if defined(__x86_64__) || defined(__i386__)
#define KERNEL_MAP_32BIT 0x40
#else
#define KERNEL_MAP_32BIT 0
#endif

struct name {
	bool has_mask;		/* a mask of 0: not on this architecture */
	uint64_t mask, value;
	const char *text;
};

#define N(prefix, name) { false, 0, (uint64_t)(prefix##name), #name },
#define M(mask, prefix, name) { true, mask, (uint64_t)(prefix##name), #name },
#define MV(mask, value, name) { true, mask, (uint64_t)(value), #name },
#define V(value, name) { false, 0, (uint64_t)(value), #name },

#define ONE_OF(set, ...) static const struct name names_##set[] = { __VA_ARGS__ };
#define FLAGS(set, ...) static const struct name names_##set[] = { __VA_ARGS__ };
#include "record/syscallargs_names.def"
#undef ONE_OF
#undef FLAGS

static const struct {
	char kind;
	const struct name *list;
	size_t nr;
} sets[NAMES_MAX] = {
#define NR(set) (sizeof(names_##set) / sizeof(names_##set[0]))
#define ONE_OF(set, ...) [NAMES_##set] = { '=', names_##set, NR(set) },
#define FLAGS(set, ...) [NAMES_##set] = { '|', names_##set, NR(set) },
#include "record/syscallargs_names.def"
#undef ONE_OF
#undef FLAGS
};

static void put_number(struct bytebuf *to, uint64_t v)
{
	char text[24];

	if ((int64_t)v < 0)
		snprintf(text, sizeof(text), "%" PRId64, (int64_t)v);
	else
		snprintf(text, sizeof(text), v < 10 ? "%" PRIu64 : "%#" PRIx64, v);
	bytebuf_text(to, text);
}

static char *make(enum syscallargs_names set)
{
	struct bytebuf to;

	bytebuf_init(&to);
	bytebuf_u8(&to, (uint8_t)sets[set].kind);
	for (size_t i = 0; i < sets[set].nr; i++) {
		const struct name *n = &sets[set].list[i];

		if (n->has_mask && !n->mask)
			continue;
		if (to.len > 1)
			bytebuf_text(&to, " ");
		if (n->has_mask) {
			put_number(&to, n->mask);
			bytebuf_text(&to, "/");
		}
		put_number(&to, n->value);
		bytebuf_text(&to, "=");
		bytebuf_text(&to, n->text);
	}
	return bytebuf_take_text(&to);
}

const char *syscallargs_names(enum syscallargs_names set)
{
	static char *texts[NAMES_MAX];

	if (set > NAMES_none && set < NAMES_MAX && !texts[set])
		texts[set] = make(set);
	return set < NAMES_MAX ? texts[set] : NULL;
}
