/*
 * Where a row's threads waited and who woke them, for people: stacks by the few frames that
 * tell most, and stacks of which those are the same together.
 */
#ifndef REPORT_LATENCY_LINES_H
#define REPORT_LATENCY_LINES_H

#include "format/intern.h"
#include "report/latency.h"
#include "report/names.h"

/* Who woke those that waited there. */
struct latency_waker {
	uint32_t line;			/* index of the lines */
	uint32_t text;
	uint64_t ns, count;
};

struct latency_line {
	uint32_t text;
	uint64_t ns, count;
	size_t first_waker, nr_wakers;	/* the longest first */
};

/* The text of a stack or of a waker with its stack, of which few are asked for most often. */
struct latency_lines_known {
	uint64_t stack;			/* and the waker's comm */
	uint32_t kind, text;		/* text 0: free */
};

#define LATENCY_LINES_KNOWN 512

struct latency_lines {
	struct latency_line *lines;	/* the longest first */
	size_t nr;
	struct latency_waker *wakers;
	size_t nr_wakers;
	/* Private to latency_lines.c. */
	struct trace *trace;
	struct names *names;
	size_t max_frames;
	struct intern_strings texts;
	struct intern_pairs pairs;
	struct latency_lines_known known[LATENCY_LINES_KNOWN];
	uint8_t *passages;		/* by symbol: 2 if it says nothing; 0: not known */
	uint32_t nr_passages;
};

/* Frames of a stack, at most, unless said otherwise. */
#define LATENCY_LINES_FRAMES 4

int latency_lines_init(struct latency_lines *s, struct trace *t, size_t max_frames);
void latency_lines_release(struct latency_lines *s);
/* From now on they are those of this wait.  0 or -ENOMEM. */
int latency_lines_make(struct latency_lines *s, struct latency_tops *tops,
		       const struct latency_wait *wait);
/* "ep_poll <- do_epoll_wait <- epoll_wait"; raw, to be escaped. */
const struct intern_string *latency_lines_text(const struct latency_lines *s, uint32_t text);

#endif
