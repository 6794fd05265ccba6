/*
 * How the boxes of a flame graph are called and which colours they have: by the kind of
 * code, by what a thread did, and, where wakers stand on waits, by whose stack it is.
 */
#ifndef REPORT_FLAMEBOX_H
#define REPORT_FLAMEBOX_H

#include "format/bytebuf.h"
#include "report/flamelayout.h"
#include "report/names.h"
#include "report/stacksum.h"

#include <stdbool.h>
#include <stddef.h>

enum flamebox_palette {
	FLAMEBOX_ROOT, FLAMEBOX_GROUP,
	FLAMEBOX_ON_CPU, FLAMEBOX_WAITING, FLAMEBOX_BLOCKED, FLAMEBOX_SKIPPED,
	FLAMEBOX_USER, FLAMEBOX_KERNEL, FLAMEBOX_JIT, FLAMEBOX_UNKNOWN,
	FLAMEBOX_WAIT_USER, FLAMEBOX_WAIT_KERNEL,
	FLAMEBOX_WAKER_1, FLAMEBOX_WAKER_2, FLAMEBOX_WAKER_3, FLAMEBOX_WAKER_4,
	FLAMEBOX_SEPARATOR,
	FLAMEBOX_NR_PALETTES,
};

#define FLAMEBOX_CLASS_BYTES 8

/* Appends the name, without control characters, and tells the class of the style sheet. */
enum flamebox_palette flamebox_name(const struct stacksum *sums, struct names *names,
				    const struct flame_box *box, struct bytebuf *to,
				    char class[FLAMEBOX_CLASS_BYTES]);
/* What the legend says of the palette, or NULL, and the class of its patch. */
const char *flamebox_legend(enum flamebox_palette palette, char class[FLAMEBOX_CLASS_BYTES]);

#endif
