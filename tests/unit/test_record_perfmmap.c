#include "record/perfevent.h"
#include "record/perfmmap.h"
#include "record/perfrings.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define DATA_BYTES 256

/* A buffer and the kernel's side of it. */
struct ring {
	struct perf_event_mmap_page page;
	uint64_t data[DATA_BYTES / 8];
	struct perfmmap m;
};

static void ring_init(struct ring *r, uint64_t position)
{
	memset(r, 0, sizeof(*r));
	r->page.data_head = r->page.data_tail = position;
	assert_int_equal(perfmmap_init(&r->m, &r->page, r->data, DATA_BYTES), 0);
}

static bool ring_write(struct ring *r, uint32_t type, const void *body, uint16_t body_bytes)
{
	struct perf_event_header header = {
		.type = type, .size = (uint16_t)(sizeof(header) + body_bytes),
	};
	uint8_t record[DATA_BYTES];

	if (r->page.data_head + header.size - r->page.data_tail > DATA_BYTES)
		return false;
	memcpy(record, &header, sizeof(header));
	memcpy(record + sizeof(header), body, body_bytes);
	for (size_t i = 0; i < header.size; i++) {
		size_t at = (r->page.data_head + i) % DATA_BYTES;

		((uint8_t *)r->data)[at] = record[i];
	}
	r->page.data_head += header.size;
	return true;
}

static void reads_records_at_every_position(void **state)
{
	uint64_t body[11];
	struct ring r;

	(void)state;
	for (size_t i = 0; i < 11; i++)
		body[i] = 0x0101010101010101 * (i + 1);
	for (uint64_t start = 0; start < 2 * DATA_BYTES; start += 8) {
		ring_init(&r, start);
		for (int round = 0; round < 5; round++) {
			const struct perf_event_header *record;

			assert_true(ring_write(&r, 9, body, sizeof(body)));
			assert_null(perfmmap_next(&r.m));
			perfmmap_refresh(&r.m);
			record = perfmmap_next(&r.m);
			assert_non_null(record);
			assert_int_equal(record->type, 9);
			assert_int_equal(record->size, sizeof(*record) + sizeof(body));
			assert_memory_equal(record + 1, body, sizeof(body));
			assert_null(perfmmap_next(&r.m));
			assert_int_equal(r.page.data_tail, r.page.data_head);
		}
		perfmmap_close(&r.m);
	}
}

static void keeps_room_until_it_is_read(void **state)
{
	uint64_t body[3] = { 0 };
	struct ring r;
	int written = 0, read = 0;

	(void)state;
	ring_init(&r, 8);
	while (ring_write(&r, 1, body, sizeof(body)))
		written++;
	assert_int_equal(written, DATA_BYTES / (8 + (int)sizeof(body)));
	assert_int_equal(perfmmap_fill_percent(&r.m), 100);
	perfmmap_refresh(&r.m);
	assert_non_null(perfmmap_next(&r.m));
	assert_false(ring_write(&r, 1, body, sizeof(body)));
	perfmmap_release_room(&r.m);
	assert_true(ring_write(&r, 1, body, sizeof(body)));
	perfmmap_refresh(&r.m);
	while (perfmmap_next(&r.m))
		read++;
	assert_int_equal(read, written);
	assert_int_equal(perfmmap_fill_percent(&r.m), 0);
	perfmmap_close(&r.m);
}

static void skips_what_is_no_record(void **state)
{
	static const uint16_t sizes[] = { 0, 4, 12, 64, 65535 };
	struct ring r;

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct perf_event_header header = { .type = 1, .size = sizes[i] };
		uint64_t body = 7;

		ring_init(&r, 0);
		memcpy(r.data, &header, sizeof(header));
		r.page.data_head = 16;
		perfmmap_refresh(&r.m);
		assert_null(perfmmap_next(&r.m));
		assert_int_equal(r.page.data_tail, 16);
		assert_true(ring_write(&r, 2, &body, sizeof(body)));
		perfmmap_refresh(&r.m);
		assert_int_equal(perfmmap_next(&r.m)->type, 2);
		perfmmap_close(&r.m);
	}
}

static uint64_t first_word(const struct perf_event_header *record)
{
	return *(const uint64_t *)(const void *)(record + 1);
}

#define NR_RINGS 5

static void merges_buffers_by_time(void **state)
{
	static struct ring memory[NR_RINGS];
	uint64_t next_time = 100, last = 0, until;
	const struct perf_event_header *record;
	size_t written = 0, read = 0;
	struct perfrings r;
	int cpu;

	(void)state;
	assert_int_equal(perfrings_init(&r, NR_RINGS, first_word), 0);
	for (int i = 0; i < NR_RINGS; i++) {
		ring_init(&memory[i], 0);
		r.rings[i].mmap = memory[i].m;
		r.rings[i].cpu = i;
	}
	r.nr = NR_RINGS;
	srand(1);
	for (int round = 0; round < 200; round++) {
		for (int n = rand() % 20; n > 0; n--) {
			int i = rand() % NR_RINGS;
			uint64_t body[2] = { next_time, (uint64_t)i };

			if (!ring_write(&memory[i], 1, body, sizeof(body)))
				continue;
			next_time += (uint64_t)(rand() % 3);
			written++;
		}
		/* Some records stay for the next round. */
		until = next_time - (uint64_t)(rand() % 8);
		perfrings_refresh(&r);
		while ((record = perfrings_next(&r, until, &cpu))) {
			assert_true(first_word(record) >= last);
			assert_true(first_word(record) <= until);
			assert_int_equal(((const uint64_t *)(const void *)record)[2], cpu);
			last = first_word(record);
			read++;
		}
	}
	perfrings_refresh(&r);
	while (perfrings_next(&r, UINT64_MAX, &cpu))
		read++;
	assert_int_equal(read, written);
	assert_true(written > 500);
	perfrings_release(&r);
}

/* A busy buffer is never seen empty, and its room must come back all the same. */
static void gives_room_back_while_busy(void **state)
{
	static struct ring memory;
	struct perfrings r;
	int cpu;

	(void)state;
	assert_int_equal(perfrings_init(&r, 1, first_word), 0);
	ring_init(&memory, 0);
	r.rings[0].mmap = memory.m;
	r.nr = 1;
	for (uint64_t time = 0; time < 100; time++) {
		const uint64_t later = time + 1;

		assert_true(ring_write(&memory, 1, &later, sizeof(later)));
		perfrings_refresh(&r);
		/* The last record is too new each time. */
		if (time)
			assert_non_null(perfrings_next(&r, time, &cpu));
		assert_null(perfrings_next(&r, time, &cpu));
	}
	perfrings_release(&r);
}

/* The event of a child that has ended does not keep the set readable. */
static void forgets_what_hung_up(void **state)
{
	struct perf_event_attr attr = {
		.size = sizeof(attr), .type = PERF_TYPE_SOFTWARE,
		.config = PERF_COUNT_SW_DUMMY, .task = 1, .exclude_kernel = 1,
	};
	size_t data_bytes = (size_t)sysconf(_SC_PAGESIZE);
	struct pollfd ready;
	struct perfrings r;
	int fds[2], fd;
	pid_t child;
	char byte;

	(void)state;
	assert_int_equal(pipe(fds), 0);
	child = fork();
	if (!child) {
		close(fds[1]);
		_exit(read(fds[0], &byte, 1) != 0);
	}
	fd = perfevent_open(&attr, child, -1);
	if (fd < 0) {
		close(fds[1]);
		skip();
	}
	assert_int_equal(perfrings_init(&r, 1, first_word), 0);
	assert_int_equal(perfrings_add(&r, fd, 0, &data_bytes), 0);
	close(fds[1]);
	assert_int_equal(waitpid(child, NULL, 0), child);
	ready = (struct pollfd){ .fd = r.poll_fd, .events = POLLIN };
	assert_int_equal(poll(&ready, 1, 10000), 1);
	perfrings_refresh(&r);
	assert_int_equal(poll(&ready, 1, 0), 0);
	perfrings_release(&r);
	close(fd);
	close(fds[0]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_records_at_every_position),
		cmocka_unit_test(keeps_room_until_it_is_read),
		cmocka_unit_test(skips_what_is_no_record),
		cmocka_unit_test(merges_buffers_by_time),
		cmocka_unit_test(gives_room_back_while_busy),
		cmocka_unit_test(forgets_what_hung_up),
	};

	return cmocka_run_group_tests_name("record/perfmmap", tests, NULL, NULL);
}
