#include "report/heataxis.h"

#include <math.h>

/* Linear cells grow no wider; their sums still fit. */
#define WIDEST (UINT64_C(1) << 61)

void heataxis_init_linear(struct heataxis *a, uint64_t width, size_t limit)
{
	*a = (struct heataxis) {
		.kind = HEATAXIS_LINEAR, .width = width, .unit = width, .limit = limit,
	};
}

void heataxis_init_log(struct heataxis *a, size_t limit)
{
	*a = (struct heataxis) {
		.kind = HEATAXIS_LOG, .bits = HEATAXIS_FINEST_BITS, .limit = limit,
	};
}

/* --- cells of amounts, on a log axis ---------------------------------------------- */

static int64_t amount_cell(unsigned int bits, uint64_t v)
{
	unsigned int shift;

	if (v >> (bits + 1) == 0)
		return (int64_t)v;
	shift = 63 - (unsigned int)__builtin_clzll(v) - bits;
	return (int64_t)(((uint64_t)shift << bits) + (v >> shift));
}

/* The first number of a cell, as large as it may be. */
static uint64_t amount_low(unsigned int bits, uint64_t cell)
{
	uint64_t shift;

	if (cell >> (bits + 1) == 0)
		return cell;
	shift = (cell >> bits) - 1;
	if (shift + bits > 63)
		return UINT64_MAX;
	return (cell - (shift << bits)) << shift;
}

/* --- cells ------------------------------------------------------------------------ */

int64_t heataxis_cell(const struct heataxis *a, int64_t v)
{
	int64_t width = (int64_t)a->width;

	if (a->kind == HEATAXIS_LOG) {
		if (v >= 0)
			return amount_cell(a->bits, (uint64_t)v);
		return -amount_cell(a->bits, -(uint64_t)v);
	}
	return v >= 0 ? v / width : -((-(v + 1)) / width) - 1;
}

/* cell * width, no further than a number goes. */
static int64_t multiple(const struct heataxis *a, int64_t cell)
{
	int64_t product;

	if (__builtin_mul_overflow(cell, (int64_t)a->width, &product))
		return cell < 0 ? INT64_MIN : INT64_MAX;
	return product;
}

int64_t heataxis_low(const struct heataxis *a, int64_t cell)
{
	uint64_t amount;

	if (a->kind == HEATAXIS_LINEAR)
		return multiple(a, cell);
	if (cell >= 0) {
		amount = amount_low(a->bits, (uint64_t)cell);
		return amount > INT64_MAX ? INT64_MAX : (int64_t)amount;
	}
	amount = amount_low(a->bits, -(uint64_t)cell + 1) - 1;
	return amount > INT64_MAX ? INT64_MIN : -(int64_t)amount;
}

int64_t heataxis_high(const struct heataxis *a, int64_t cell)
{
	int64_t next = cell == INT64_MAX ? cell : heataxis_low(a, cell + 1);

	/* That is where the next cell begins, or further than numbers go. */
	if (next == INT64_MAX && heataxis_cell(a, next) == cell)
		return next;
	return next - 1;
}

size_t heataxis_nr(const struct heataxis *a)
{
	uint64_t more = (uint64_t)a->last - (uint64_t)a->first;

	if (!a->used)
		return 0;
	return more < SIZE_MAX ? (size_t)more + 1 : SIZE_MAX;
}

/* --- growing ---------------------------------------------------------------------- */

/* The cells in use, after the axis `was` changed. */
static void translate(struct heataxis *a, const struct heataxis *was)
{
	if (!a->used)
		return;
	a->first = heataxis_cell(a, heataxis_low(was, was->first));
	a->last = heataxis_cell(a, heataxis_low(was, was->last));
}

bool heataxis_widen(struct heataxis *a)
{
	const struct heataxis was = *a;
	uint64_t times;

	if (a->fixed || (a->kind == HEATAXIS_LOG ? !a->bits : a->width > WIDEST / 5))
		return false;
	if (a->kind == HEATAXIS_LOG) {
		a->bits--;
	} else {
		times = a->width / a->unit;
		while (times % 10 == 0)
			times /= 10;
		a->width *= times == 1 ? 2 : 5;
	}
	translate(a, &was);
	return true;
}

void heataxis_multiply(struct heataxis *a, uint64_t times)
{
	const struct heataxis was = *a;

	a->width *= times;
	translate(a, &was);
}

bool heataxis_use(struct heataxis *a, int64_t v)
{
	int64_t cell = heataxis_cell(a, v);
	bool wider = false;

	if (!a->used) {
		a->used = true;
		a->first = a->last = cell;
	}
	if (cell < a->first)
		a->first = cell;
	if (cell > a->last)
		a->last = cell;
	while (heataxis_nr(a) > a->limit && heataxis_widen(a))
		wider = true;
	return wider;
}

double heataxis_place(const struct heataxis *a, double v)
{
	int64_t cell;
	double low, high;

	if (a->kind == HEATAXIS_LINEAR)
		return v / (double)a->width;
	if (v >= 9.2e18 || v <= -9.2e18)
		return (double)heataxis_cell(a, v < 0 ? INT64_MIN : INT64_MAX);
	cell = heataxis_cell(a, (int64_t)floor(v));
	low = (double)heataxis_low(a, cell);
	high = (double)heataxis_high(a, cell) + 1;
	return (double)cell + (v - low) / (high - low);
}
