/*
 * What the files of the filter compiler share.  Nobody else includes this.
 */
#ifndef RECORD_PROBEFILTER_PRIVATE_H
#define RECORD_PROBEFILTER_PRIVATE_H

#include "record/probeprog.h"

#define PROBEFILTER_MAX_SLOTS 16

struct probefilter {
	struct probeprog_builder *b;
	/* Numbers that wait on the BPF stack while another is worked out. */
	int16_t slots[PROBEFILTER_MAX_SLOTS];
	unsigned int nr_slots, slots_used;
	int16_t text[2];		/* room for comm, and for other text; or 0 */
	unsigned int nr_jumps;		/* in loops */
	bool no_room;			/* for more slots or jumps */
	struct diag *d;
	int err;
};

/* A jump that is always taken, or never. */
void probefilter_constant(struct probefilter *f, bool taken, int label);

/*
 * Comparisons, globs and truth of text: jump to the label if the outcome is
 * `want`, else go on.
 */
void probefilter_compare_text(struct probefilter *f, const struct expr_node *n, int label,
			      bool want);
void probefilter_match_text(struct probefilter *f, const struct expr_node *n, int label,
			    bool want);
void probefilter_any_text(struct probefilter *f, const struct expr_node *n, int label,
			  bool want);

/* --- probefilter_glob.c ------------------------------------------------------------- */

/* Whether the pattern is short enough for the kernel. */
bool probefilter_glob_fits(const char *pattern, size_t len_bytes);
/*
 * r0 = whether such a pattern matches the text on the BPF stack, of at most that size
 * with its NUL.
 */
void probefilter_glob_emit(struct probefilter *f, const char *pattern, size_t len_bytes,
			   int16_t at, unsigned int size_bytes);

#endif
