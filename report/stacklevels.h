/*
 * The levels between the root of a flame graph and its stacks (`--by comm,cpu`): whose
 * stacks are summed apart.  "pid" and "tid" are one level that names the comm, too.
 */
#ifndef REPORT_STACKLEVELS_H
#define REPORT_STACKLEVELS_H

#include "format/bytebuf.h"
#include "format/diag.h"
#include "report/groups.h"
#include "report/profile_keys.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Comm, process and thread, at most. */
#define STACKLEVELS_MAX_KEYS 3

struct stacklevel {
	uint8_t nr;
	uint8_t keys[STACKLEVELS_MAX_KEYS];	/* indexes */
};

/* Not to be copied: the keys are not. */
struct stacklevels {
	struct profile_keys keys;
	struct stacklevel list[PROFILE_MAX_KEYS];
	size_t nr;
};

/*
 * "none" or names of keys as report/profile_keys.h has them.  `first`, not NULL, is a
 * level above those.  -EINVAL with d set.
 */
int stacklevels_parse(struct stacklevels *l, const char *first, const char *text,
		      struct diag *d);
enum stacklevels_style {
	STACKLEVELS_PICTURE,	/* "bash (pid 12)", "CPU 3"; not escaped */
	STACKLEVELS_FOLDED,	/* "bash-12", "CPU_3"; escaped */
};

/* In the place of a group: of records whose event has no value for a key. */
#define STACKLEVELS_NO_GROUP UINT32_MAX

/* The text of one level of a group. */
void stacklevels_put(const struct stacklevels *l, struct groups *g, uint32_t group, size_t level,
		     enum stacklevels_style style, struct bytebuf *to);
/* The comm of the group, raw; nothing if the levels do not have it. */
void stacklevels_put_comm(const struct stacklevels *l, struct groups *g, uint32_t group,
			  struct bytebuf *to);

#endif
