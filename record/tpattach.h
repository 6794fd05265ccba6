/*
 * Tracepoints, as kind_tracepoint.c finds them, and how their programs are attached.
 */
#ifndef RECORD_TPATTACH_H
#define RECORD_TPATTACH_H

#include "format/diag.h"
#include "record/probe.h"
#include "record/syscalltp.h"
#include "record/tpformat.h"
#include "record/tpmissed.h"
#include "record/tpraw.h"

#include <stdint.h>

struct attachset;

extern const struct probe_kind kind_tracepoint;

enum way { WAY_TYPED, WAY_UNTYPED, WAY_SYSCALL, WAY_CLASSIC };

/* What is private to a probe of this kind. */
struct tracepoint {
	char *system, *name;
	struct tpformat format;
	enum way way;
	struct tpraw raw;		/* WAY_TYPED and WAY_UNTYPED, else zeroed */
	struct syscalltp syscall;	/* WAY_SYSCALL */
	struct syscalltp_tables tables;	/* of the first such probe: of the whole set */
	struct tpmissed misses;		/* WAY_CLASSIC: the same */
	const struct tpmissed *counted;	/* where what it misses is counted, or NULL */
	uint32_t row;
};

/* 0, or -errno with d set. */
int tpattach_attach(struct probes *set, struct probe *p, struct probe_variant *v,
		    struct attachset *a, struct diag *d);
/*
 * How many hits the kernel left out while another program ran.  All calls pass the
 * programs in front of system calls, also those that are not asked for.
 */
uint64_t tpattach_missed(const struct probe *p);

#endif
