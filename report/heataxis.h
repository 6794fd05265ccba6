/*
 * One axis of a heat map: whole numbers into cells that border on each other, each one
 * from a least to a greatest number.  Nobody knows the range before the end: cells
 * start narrow and grow, by merging neighbours, when there are more of them than the
 * limit.  So every cell of a coarser axis is made of whole cells of the finer one.
 */
#ifndef REPORT_HEATAXIS_H
#define REPORT_HEATAXIS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum heataxis_kind {
	HEATAXIS_LINEAR,	/* all cells are as wide */
	/*
	 * Cells are as wide within a power of two, and twice as wide in the next; next to
	 * 0 they hold one number each.  Negative numbers mirror the others.
	 */
	HEATAXIS_LOG,
};

/* The finest cells of HEATAXIS_LOG are those of format/buckets.h. */
#define HEATAXIS_FINEST_BITS 6

struct heataxis {
	enum heataxis_kind kind;
	bool fixed;		/* cells never grow */
	uint64_t width;		/* linear: of a cell, 1, 2, 10, 20, 100 ... times what it was */
	uint64_t unit;		/* linear: what it was at first */
	unsigned int bits;	/* log: 2^bits cells in a power of two */
	size_t limit;		/* of cells in use */
	bool used;
	int64_t first, last;	/* cells in use */
};

void heataxis_init_linear(struct heataxis *a, uint64_t width, size_t limit);
void heataxis_init_log(struct heataxis *a, size_t limit);

/* The cell of a number. */
int64_t heataxis_cell(const struct heataxis *a, int64_t v);
/* The least and the greatest number of a cell; limits of int64_t are kept. */
int64_t heataxis_low(const struct heataxis *a, int64_t cell);
int64_t heataxis_high(const struct heataxis *a, int64_t cell);
size_t heataxis_nr(const struct heataxis *a);

/*
 * Counts the cell of v as used.  Returns true when cells became wider for it, so that
 * numbers of cells are not what they were.
 */
bool heataxis_use(struct heataxis *a, int64_t v);
/* The next wider cells; false when they are as wide as can be. */
bool heataxis_widen(struct heataxis *a);
/* Cells of `times` the width; linear only. */
void heataxis_multiply(struct heataxis *a, uint64_t times);

/* Where a number lies, in cells: 2.5 is the middle of cell 2. */
double heataxis_place(const struct heataxis *a, double v);

#endif
