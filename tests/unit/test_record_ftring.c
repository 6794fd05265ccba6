/*
 * Pages of the kernel's trace rings: read from a folder that looks like tracefs, as one
 * stream in time order.
 */
#include "record/ftring.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define NR_CPUS 2
#define ALL UINT64_MAX
/* Of a page: u64 time, long committed bytes, events. */
#define HEAD_BYTES 16
#define MISSED (1u << 31)
#define TIME_EXTEND 30
#define DELTA_BITS 27

struct page {
	uint8_t bytes[65536];
	size_t size, len;
	uint64_t time_ns;
};

struct fixture {
	char folder[64];
	struct ftring *ring;
	struct page page;
};

static void path_of(const struct fixture *f, int cpu, const char *name, char *to, size_t size)
{
	snprintf(to, size, "%s/per_cpu/cpu%d/%s", f->folder, cpu, name);
}

static void write_file(const struct fixture *f, int cpu, const char *name, const void *data,
		       size_t len)
{
	char path[256];
	FILE *out;

	path_of(f, cpu, name, path, sizeof(path));
	out = fopen(path, "ab");
	assert_non_null(out);
	assert_int_equal(fwrite(data, 1, len, out), len);
	fclose(out);
}

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	char path[128];

	if (!f)
		return -1;
	*state = f;
	f->page.size = (size_t)sysconf(_SC_PAGESIZE);
	strcpy(f->folder, "/tmp/kymo-ftring-XXXXXX");
	if (!mkdtemp(f->folder))
		return -1;
	snprintf(path, sizeof(path), "%s/per_cpu", f->folder);
	mkdir(path, 0700);
	for (int cpu = 0; cpu < NR_CPUS; cpu++) {
		snprintf(path, sizeof(path), "%s/per_cpu/cpu%d", f->folder, cpu);
		mkdir(path, 0700);
		write_file(f, cpu, "trace_pipe_raw", "", 0);
		write_file(f, cpu, "stats", "entries: 9\noverrun: 7\n", 22);
	}
	write_file(f, 1, "stats", "commit overrun: 20\nbytes: 3\ndropped events: 100\n", 47);
	return 0;
}

static int tear_down(void **state)
{
	static const char *const names[] = { "trace_pipe_raw", "stats", "" };
	struct fixture *f = *state;
	char path[256];

	ftring_close(f->ring);
	for (int cpu = 0; cpu < NR_CPUS; cpu++)
		for (size_t i = 0; i < 3; i++) {
			path_of(f, cpu, names[i], path, sizeof(path));
			remove(path);
		}
	snprintf(path, sizeof(path), "%s/per_cpu", f->folder);
	remove(path);
	remove(f->folder);
	free(f);
	return 0;
}

static void open_ring(struct fixture *f)
{
	static const int cpus[NR_CPUS] = { 0, 1 };
	int folder = open(f->folder, O_RDONLY | O_DIRECTORY);

	assert_true(folder >= 0);
	assert_int_equal(ftring_open(&f->ring, folder, cpus, NR_CPUS, NULL), 0);
	close(folder);
}

/* --- pages ------------------------------------------------------------------------------ */

static void page_begin(struct fixture *f, uint64_t time_ns)
{
	struct page *p = &f->page;

	memset(p->bytes, 0, sizeof(p->bytes));
	memcpy(p->bytes, &time_ns, sizeof(time_ns));
	p->len = HEAD_BYTES;
	p->time_ns = time_ns;
}

static void put_word(struct page *p, uint32_t word)
{
	memcpy(p->bytes + p->len, &word, sizeof(word));
	p->len += sizeof(word);
}

/* An event of 8 bytes, the first of which is the letter. */
static void page_event(struct fixture *f, uint64_t time_ns, char letter)
{
	struct page *p = &f->page;
	uint64_t delta_ns = time_ns - p->time_ns;
	const uint32_t low = (1u << DELTA_BITS) - 1;

	if (delta_ns > low) {
		put_word(p, ((uint32_t)delta_ns & low) << 5 | TIME_EXTEND);
		put_word(p, (uint32_t)(delta_ns >> DELTA_BITS));
		delta_ns = 0;
	}
	put_word(p, (uint32_t)delta_ns << 5 | 2);
	put_word(p, (uint32_t)(unsigned char)letter);
	put_word(p, 0);
	p->time_ns = time_ns;
}

static void page_end(struct fixture *f, int cpu, uint32_t flags)
{
	struct page *p = &f->page;
	uint64_t commit = (p->len - HEAD_BYTES) | flags;

	memcpy(p->bytes + 8, &commit, sizeof(commit));
	write_file(f, cpu, "trace_pipe_raw", p->bytes, p->size);
}

static void expect_event(struct fixture *f, uint64_t until_ns, uint64_t time_ns, uint32_t cpu,
			 char letter, bool missed)
{
	struct ftring_event e;

	assert_true(ftring_next(f->ring, until_ns, &e));
	assert_int_equal(e.data[0], letter);
	assert_int_equal(e.time_ns, time_ns);
	assert_int_equal(e.cpu, cpu);
	assert_int_equal(e.size_bytes, 8);
	assert_int_equal(e.missed, missed);
}

static void expect_end(struct fixture *f, uint64_t until_ns)
{
	struct ftring_event e;

	assert_false(ftring_next(f->ring, until_ns, &e));
}

/* --- tests ------------------------------------------------------------------------------- */

static void orders_events_of_all_cpus(void **state)
{
	struct fixture *f = *state;

	page_begin(f, 1000);
	page_event(f, 1000, 'a');
	page_event(f, 1500, 'd');
	page_end(f, 0, 0);
	page_begin(f, 3000);
	page_event(f, 3000 + UINT64_C(5000000000), 'f');
	page_end(f, 0, 0);
	page_begin(f, 1100);
	page_event(f, 1200, 'b');
	page_event(f, 1300, 'c');
	page_event(f, 2000, 'e');
	page_end(f, 1, 0);
	open_ring(f);
	expect_event(f, ALL, 1000, 0, 'a', false);
	expect_event(f, ALL, 1200, 1, 'b', false);
	expect_event(f, ALL, 1300, 1, 'c', false);
	expect_event(f, ALL, 1500, 0, 'd', false);
	expect_event(f, ALL, 2000, 1, 'e', false);
	expect_event(f, ALL, UINT64_C(5000003000), 0, 'f', false);
	expect_end(f, ALL);
}

static void keeps_what_is_later(void **state)
{
	struct fixture *f = *state;

	page_begin(f, 1000);
	page_event(f, 1000, 'a');
	page_event(f, 1500, 'b');
	page_end(f, 0, 0);
	open_ring(f);
	expect_end(f, 999);
	expect_event(f, 1499, 1000, 0, 'a', false);
	expect_end(f, 1499);
	expect_end(f, 1499);
	expect_event(f, 1500, 1500, 0, 'b', false);
	expect_end(f, ALL);
}

/* Pages without events are nothing special; what comes later is read later. */
static void reads_on(void **state)
{
	struct fixture *f = *state;

	open_ring(f);
	expect_end(f, ALL);
	page_begin(f, 1000);
	page_end(f, 0, 0);
	page_begin(f, 1000);
	page_event(f, 1000, 'a');
	page_end(f, 0, 0);
	expect_event(f, ALL, 1000, 0, 'a', false);
	expect_end(f, ALL);
	page_begin(f, 2000);
	page_event(f, 2000, 'b');
	page_end(f, 1, 0);
	expect_event(f, ALL, 2000, 1, 'b', false);
	expect_end(f, ALL);
}

/*
 * Of the second page something is missing before it: whatever comes after the last event
 * of the first page is told so, and so is what comes after the gap.
 */
static void tells_of_gaps_on_both_of_their_sides(void **state)
{
	struct fixture *f = *state;

	page_begin(f, 1000);
	page_event(f, 1000, 'a');
	page_end(f, 0, 0);
	page_begin(f, 5000);
	page_event(f, 5000, 'd');
	page_event(f, 5001, 'e');
	page_end(f, 0, MISSED);
	page_begin(f, 2000);
	page_event(f, 2000, 'b');
	page_event(f, 2001, 'c');
	page_end(f, 1, 0);
	open_ring(f);
	expect_event(f, ALL, 1000, 0, 'a', false);
	expect_event(f, ALL, 2000, 1, 'b', true);
	expect_event(f, ALL, 2001, 1, 'c', false);
	expect_event(f, ALL, 5000, 0, 'd', true);
	expect_event(f, ALL, 5001, 0, 'e', false);
	expect_end(f, ALL);
}

static void counts_losses(void **state)
{
	struct fixture *f = *state;

	open_ring(f);
	assert_int_equal(ftring_lost(f->ring, 0), 7);
	assert_int_equal(ftring_lost(f->ring, 1), 127);
	assert_int_equal(ftring_lost(f->ring, 5), 0);
}

static void needs_its_files(void **state)
{
	struct fixture *f = *state;
	int folder = open(f->folder, O_RDONLY | O_DIRECTORY), cpu = 7;
	struct ftring *r;
	struct diag d = { "" };

	assert_true(ftring_open(&r, folder, &cpu, 1, &d) < 0);
	assert_non_null(strstr(d.text, "rings"));
	close(folder);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(orders_events_of_all_cpus),
		TEST(keeps_what_is_later),
		TEST(reads_on),
		TEST(tells_of_gaps_on_both_of_their_sides),
		TEST(counts_losses),
		TEST(needs_its_files),
	};

	return cmocka_run_group_tests_name("record/ftring", tests, NULL, NULL);
}
