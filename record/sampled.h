/*
 * Events that are sampled, by the names of perf: `cpu-clock`, `cycles:u`, `r1a8`.
 */
#ifndef RECORD_SAMPLED_H
#define RECORD_SAMPLED_H

#include "format/diag.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SAMPLED_NAME_BYTES 64

struct sampled {
	char name[SAMPLED_NAME_BYTES];	/* as typed; of "cpu", the one chosen */
	uint32_t perf_type;
	uint64_t perf_config;
	const char *unit;		/* of the weight: "ns" for clocks, else "" */
	uint64_t frequency_hz, period;	/* one of them is not 0 */
	bool exclude_kernel, exclude_user, exclude_hv;
	uint8_t precise;		/* p, pp, ppp */
	bool kernel_stack, user_stack;	/* the caller's; false at first */
	const char *filter;		/* the caller's: an expression, or NULL; borrowed */
};

/*
 * A name of the table (record/sampled.def) or rHEX, with modifiers after a colon:
 * u user, k kernel, h hypervisor only, p precise.  "cpu" is cycles where the machine
 * counts them, else cpu-clock.  -ENOENT: no such name; -EINVAL: a modifier is not
 * known; both with d set.
 */
int sampled_parse(struct sampled *out, const char *text, struct diag *d);
/* Whether the text before a colon, if any, is such a name. */
bool sampled_is_name(const char *text);
/* Names of the table, and whether this machine has it; NULL past the last. */
const char *sampled_name_at(size_t i, bool *is_clock);
bool sampled_can_count(const struct sampled *s);

#endif
