#include "report/heatgrid.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "format/buckets.h"
#include "report/heatmap_ticks.h"

#define NR_NUMBERS 20000

static uint64_t random_state = 88172645463325252u;

static uint64_t random_number(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

/* Of every size and both signs. */
static int64_t random_signed(unsigned int bits)
{
	uint64_t v = random_number() >> (64 - bits + random_number() % bits);

	return random_number() & 1 ? (int64_t)v : -(int64_t)v;
}

/* The number lies within its cell, and the next cell begins where it ends. */
static void check_cell(const struct heataxis *a, int64_t v)
{
	int64_t cell = heataxis_cell(a, v);
	int64_t low = heataxis_low(a, cell), high = heataxis_high(a, cell);

	assert_true(low <= v && v <= high);
	assert_true(heataxis_cell(a, low) == cell && heataxis_cell(a, high) == cell);
	if (high < INT64_MAX)
		assert_true(heataxis_cell(a, high + 1) == cell + 1);
	if (low > INT64_MIN)
		assert_true(heataxis_cell(a, low - 1) == cell - 1);
}

static const int64_t special[] = {
	0, 1, -1, 2, -2, 63, 64, 127, 128, 129, -127, -128, -129, 1000000, INT64_MAX, INT64_MIN,
	INT64_MAX - 1, INT64_MIN + 1, INT64_C(1) << 62, -(INT64_C(1) << 62), (INT64_C(1) << 62) - 1,
};

static void check_axis(struct heataxis a)
{
	do {
		for (size_t i = 0; i < sizeof(special) / sizeof(special[0]); i++)
			check_cell(&a, special[i]);
		for (int i = 0; i < 2000; i++)
			check_cell(&a, random_signed(63));
	} while (heataxis_widen(&a));
}

static void test_cells_border_on_each_other(void **state)
{
	struct heataxis a;

	(void)state;
	heataxis_init_log(&a, 100);
	check_axis(a);
	heataxis_init_linear(&a, 1, 100);
	check_axis(a);
	heataxis_init_linear(&a, 1000, 100);
	check_axis(a);
}

static void test_finest_log_cells_are_buckets(void **state)
{
	struct heataxis a;

	(void)state;
	heataxis_init_log(&a, 100);
	for (int i = 0; i < NR_NUMBERS; i++) {
		int64_t v = random_signed(63);

		assert_true(heataxis_cell(&a, v) == buckets_signed_index(v));
	}
}

static void test_wider_cells_hold_whole_ones(void **state)
{
	(void)state;
	for (int kind = 0; kind < 2; kind++) {
		struct heataxis a, wider;

		if (kind == 0)
			heataxis_init_linear(&a, 3, 10);
		else
			heataxis_init_log(&a, 10);
		for (wider = a; heataxis_widen(&wider); a = wider) {
			for (int i = 0; i < 500; i++) {
				int64_t cell = heataxis_cell(&a, random_signed(60));

				assert_true(heataxis_cell(&wider, heataxis_low(&a, cell)) ==
					    heataxis_cell(&wider, heataxis_high(&a, cell)));
			}
		}
	}
}

static void test_axis_stays_within_limit(void **state)
{
	struct heataxis a;

	(void)state;
	heataxis_init_linear(&a, 1, 50);
	for (int i = 1; i < 63; i++) {
		heataxis_use(&a, random_signed((unsigned int)i));
		assert_true(heataxis_nr(&a) <= 50);
	}
	heataxis_use(&a, INT64_MIN);
	heataxis_use(&a, INT64_MAX);
	assert_true(heataxis_nr(&a) <= 50);
	/* As fine as it may be: 2, then 5 times as wide. */
	heataxis_init_linear(&a, 1, 50);
	heataxis_use(&a, 0);
	heataxis_use(&a, 499);
	assert_int_equal(a.width, 10);
	heataxis_use(&a, 500);
	assert_int_equal(a.width, 20);
}

struct number {
	int64_t x, y;
	uint64_t count;
	size_t panel;
};

/* Whatever the order, and however often it grew: each number is in its cell. */
static void check_grid(const struct heataxis *x, const struct heataxis *y, unsigned int bits)
{
	static struct number all[NR_NUMBERS];
	struct heatgrid g;
	uint64_t sum = 0, want = 0;

	heatgrid_init(&g, x, y);
	assert_int_equal(heatgrid_panels(&g, 3), 0);
	for (size_t i = 0; i < NR_NUMBERS; i++) {
		all[i] = (struct number) {
			random_signed(1 + (unsigned int)(i * (bits - 1) / NR_NUMBERS)),
			random_signed(1 + (unsigned int)(i * 40 / NR_NUMBERS)),
			1 + random_number() % 3, random_number() % 3,
		};
		assert_int_equal(heatgrid_add(&g, all[i].panel, all[i].x, all[i].y, all[i].count), 0);
		want += all[i].count;
	}
	assert_int_equal(g.panels[0].total + g.panels[1].total + g.panels[2].total, want);
	for (size_t p = 0; p < 3; p++)
		for (int64_t i = g.x.first; i <= g.x.last; i++)
			for (int64_t j = g.y.first; j <= g.y.last; j++)
				sum += heatgrid_count(&g, p, i, j);
	assert_int_equal(sum, want);
	/* Take them out again, one by one, and nothing is left. */
	for (size_t i = 0; i < NR_NUMBERS; i++) {
		const struct number *n = &all[i];

		assert_true(heatgrid_count(&g, n->panel, heataxis_cell(&g.x, n->x),
					   heataxis_cell(&g.y, n->y)) >= n->count);
		assert_int_equal(heatgrid_add(&g, n->panel, n->x, n->y, 0 - n->count), 0);
	}
	for (size_t p = 0; p < 3; p++)
		for (int64_t i = g.x.first; i <= g.x.last; i++)
			for (int64_t j = g.y.first; j <= g.y.last; j++)
				assert_int_equal(heatgrid_count(&g, p, i, j), 0);
	heatgrid_release(&g);
}

static void test_grid_counts(void **state)
{
	struct heataxis x, y;

	(void)state;
	heataxis_init_linear(&x, 1000, 300);
	heataxis_init_log(&y, 60);
	check_grid(&x, &y, 60);
	heataxis_init_linear(&y, 1, 70);
	check_grid(&x, &y, 30);
}

static void test_grid_keeps_longest_interval(void **state)
{
	struct heataxis x, y;
	struct heatgrid g;

	(void)state;
	heataxis_init_linear(&x, 1, 10);
	heataxis_init_linear(&y, 1, 10);
	heatgrid_init(&g, &x, &y);
	assert_int_equal(heatgrid_panels(&g, 1), 0);
	for (int64_t t = 0; t < 1000; t += 100) {
		assert_int_equal(heatgrid_add(&g, 0, t, 1, 1), 0);
		assert_int_equal(heatgrid_interval(&g, 0, t, (uint64_t)t / 10), 0);
	}
	assert_int_equal(g.x.width, 100);
	assert_int_equal(heatgrid_interval_at(&g, 0, 9), 90);
	x = g.x;
	heataxis_multiply(&x, 5);
	assert_int_equal(heatgrid_move(&g, &x, &g.y), 0);
	assert_int_equal(heatgrid_interval_at(&g, 0, 0), 40);
	assert_int_equal(heatgrid_interval_at(&g, 0, 1), 90);
	assert_int_equal(heatgrid_count(&g, 0, 1, 1), 5);
	heatgrid_release(&g);
}

static void check_text(double v, double step, double scale, const char *unit, const char *want)
{
	char text[HEATMAP_TICKS_TEXT];

	heatmap_ticks_text(text, v, step, scale, unit);
	assert_string_equal(text, want);
}

static void test_texts(void **state)
{
	(void)state;
	check_text(0, 1, 0, "ns", "0 ns");
	check_text(20e6, 1e6, 20e6, "ns", "20 ms");
	check_text(1.28e9, 20e6, 1.28e9, "ns", "1.28 s");
	check_text(1e9, 20e6, 1e9, "ns", "1.00 s");
	check_text(1048576, 65536, 1048576, "ns", "1.049 ms");
	check_text(-1500, 500, -1500, "ns", "-1.5 us");
	check_text(4096, 4096, 4096, "B", "4 KiB");
	check_text(1234567, 1, 1234567, "", "1,234,567");
	check_text(5e12, 1e12, 5e12, "", "5,000 G");
	check_text(123, 1, 123, "C", "123 C");
	check_text(3600e9, 60e9, 3600e9, "ns", "3,600 s");
	check_text(1.8e19, 1e17, 1.8e19, "", "18.0 E");
}

/* Ticks are within the range, apart from each other, and no two say the same. */
static void check_ticks(const struct heatmap_ticks_range *r, size_t least)
{
	struct heatmap_tick ticks[HEATMAP_TICKS_MAX];
	size_t nr = heatmap_ticks(r, ticks);

	assert_true(nr >= least && nr <= HEATMAP_TICKS_MAX);
	for (size_t i = 0; i < nr; i++) {
		assert_true(ticks[i].place >= (double)r->first - 1e-6);
		assert_true(ticks[i].place <= (double)r->first + r->nr + 1e-6);
		for (size_t j = 0; j < i; j++) {
			assert_true(fabs(ticks[i].place - ticks[j].place) * r->cell_px >=
				    r->apart_px - 1e-6);
			assert_string_not_equal(ticks[i].text, ticks[j].text);
		}
	}
}

static void test_ticks(void **state)
{
	static const char *const units[] = { "ns", "B", "" };

	(void)state;
	for (int i = 0; i < 3000; i++) {
		struct heatmap_ticks_range r = {
			.cell_px = 4 + (double)(random_number() % 20), .apart_px = 17,
			.unit = units[random_number() % 3],
		};
		struct heataxis a;

		if (random_number() & 1)
			heataxis_init_log(&a, 50 + random_number() % 100);
		else
			heataxis_init_linear(&a, 1, 50 + random_number() % 500);
		for (int j = 0; j < 10; j++)
			heataxis_use(&a, random_signed(1 + (unsigned int)(random_number() % 50)));
		r.axis = &a;
		r.first = a.first;
		r.nr = (uint32_t)heataxis_nr(&a);
		check_ticks(&r, r.nr * r.cell_px > 400 ? 2 : 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cells_border_on_each_other),
		cmocka_unit_test(test_finest_log_cells_are_buckets),
		cmocka_unit_test(test_wider_cells_hold_whole_ones),
		cmocka_unit_test(test_axis_stays_within_limit),
		cmocka_unit_test(test_grid_counts),
		cmocka_unit_test(test_grid_keeps_longest_interval),
		cmocka_unit_test(test_texts),
		cmocka_unit_test(test_ticks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
