/*
 * Writes the BPF program of a probe's variant: who is recorded, the filter, the
 * fields, the stacks, and nothing that was not asked for.
 */
#ifndef RECORD_PROBEPROG_H
#define RECORD_PROBEPROG_H

#include "record/bpfcode.h"
#include "record/irqcontext.h"
#include "record/probe.h"
#include "record/proberings.h"

/* Who is recorded; the programs look it up before anything else. */
struct probeprog_target {
	uint32_t not_pid;	/* the recorder itself; 0: nobody is left out */
	struct irqcontext irqs;	/* interrupts while it runs are not its own */
	int traced_fd;		/* hash: process id -> __u8 on; -1: all processes */
	int traced_tids_fd;	/* hash: thread id -> __u8 on; -1: all threads */
	const int *cpus;	/* -C, sorted; NULL: all */
	size_t nr_cpus;
	int cgroup_fd;		/* cgroup array with one entry; -1: all */
	bool idle;		/* perf events: the idle tasks, too */
};

struct probeprog_env {
	struct proberings_maps maps;
	enum proberings_way way;
	struct probeprog_target target;
	struct spanmaps *spans;		/* tables of all spans; NULL: there are none */
};

/* What the largest record of the probe takes in a ring. */
size_t probeprog_max_bytes(const struct probe *p);
/* What waits of the start of a span, at most: a value of a table (record/spanmaps.h). */
size_t probeprog_start_bytes(const struct probe_span *span);
/*
 * Loads the variant's program into v->prog_fd.  The verifier's last words are in d
 * when it refuses.  Of a probe with a span it is the program of the end.
 */
int probeprog_load(const struct probe *p, struct probe_variant *v, uint32_t index,
		   const struct probeprog_env *env, struct diag *d);
/* The program of a variant of p->span->start; the index is that of p. */
int probeprog_load_start(const struct probe *p, struct probe_variant *v, uint32_t index,
			 const struct probeprog_env *env, struct diag *d);

/*
 * Times the kernel left out a run of the program because one was running already;
 * 0 where the kernel does not count them.
 */
uint64_t probeprog_missed(const struct probe_variant *v);

/*
 * For those who write parts of a program.  Registers r6 to r9 keep their meaning
 * (r6: the context, r7: thread id, and process id in the upper half); r0 to r5 are free
 * and do not survive a call.
 */
struct probeprog_builder {
	struct bpfcode code;
	const struct probe *probe;	/* whose program it is: of a start, the start */
	const struct probe_variant *variant;
	struct tally *tally;		/* of a start, that of its end; or NULL */
	const struct probeprog_env *env;
	int16_t slot;		/* offset from r10 of 8 bytes for the moment */
	int16_t stack_top;	/* offsets of r10 below this are free; see probeprog_stack() */
	int skip;		/* label: leave without a record */
	int lost;		/* label: count a lost record, then leave */
	uint32_t index;
	/*
	 * Ends of spans: stack slots of the address of what was kept of the start (struct
	 * spanmaps_start), and of the duration; FETCH_START and FETCH_DURATION read them.
	 */
	int16_t start, duration;
};

/* Room on the BPF stack, 8-byte aligned: its offset from r10. */
int16_t probeprog_stack(struct probeprog_builder *b, unsigned int size_bytes);
/*
 * The steps of a value: dst (r0 to r5) = the number or address.  r0-r5 are lost.  Of
 * RESULT_DATA_LOC_BYTES it is the address; RESULT_COMM has none.
 */
void probeprog_fetch(struct probeprog_builder *b, const struct probe_value *v, int dst);
/*
 * Calls the one of the two helpers that reads in that space; of SPACE_ANY the upper half of
 * addresses is the kernel's.  r1 and r2 are set, the address is in r3.
 */
void probeprog_fetch_memory(struct probeprog_builder *b, enum probe_space space, int of_kernel,
			    int of_user);

/* --- probefilter.c -------------------------------------------------------------------- */

/* Goes on if the probe's filter holds, else jumps to b->skip.  -errno with d set. */
int probefilter_emit(struct probeprog_builder *b, struct diag *d);

#endif
