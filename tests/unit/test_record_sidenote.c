#include "record/sidenote.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

/* A record as the kernel builds it, field by field. */
struct builder {
	uint64_t room[128];
	size_t len;
};

static void put(struct builder *b, const void *bytes, size_t len)
{
	memcpy((uint8_t *)b->room + b->len, bytes, len);
	b->len += len;
}

static void put_u32(struct builder *b, uint32_t value)
{
	put(b, &value, sizeof(value));
}

static void put_u64(struct builder *b, uint64_t value)
{
	put(b, &value, sizeof(value));
}

/* Padded with NUL to a multiple of 8, as the kernel does. */
static void put_text(struct builder *b, const char *text)
{
	put(b, text, strlen(text) + 1);
	while (b->len % 8)
		put(b, "", 1);
}

static void begin(struct builder *b, uint32_t type, uint16_t misc)
{
	struct perf_event_header header = { .type = type, .misc = misc };

	memset(b, 0, sizeof(*b));
	put(b, &header, sizeof(header));
}

static const struct perf_event_header *end(struct builder *b)
{
	struct perf_event_header *header = (void *)b->room;

	put_u32(b, 70);		/* pid, tid */
	put_u32(b, 71);
	put_u64(b, 123456789);
	put_u32(b, 5);		/* CPU */
	put_u32(b, 0);
	header->size = (uint16_t)b->len;
	return header;
}

static void begin_mmap(struct builder *b, uint16_t misc)
{
	begin(b, PERF_RECORD_MMAP2, misc);
	put_u32(b, 10);
	put_u32(b, 11);
	put_u64(b, 0x7f0000001000);
	put_u64(b, 0x2000);
	put_u64(b, 0x3000);
}

static void reads_a_mapping_with_inode(void **state)
{
	struct builder b;
	struct note n;

	(void)state;
	begin_mmap(&b, PERF_RECORD_MISC_USER);
	put_u32(&b, 8);
	put_u32(&b, 1);
	put_u64(&b, 4711);
	put_u64(&b, 0);
	put_u32(&b, PROT_READ | PROT_EXEC);
	put_u32(&b, MAP_PRIVATE);
	put_text(&b, "/usr/lib/x.so");
	assert_true(sidenote_parse(&n, end(&b)));
	assert_int_equal(n.kind, NOTE_MMAP);
	assert_int_equal(n.time_ns, 123456789);
	assert_int_equal(n.cpu, 5);
	assert_int_equal(n.pid, 10);
	assert_int_equal(n.tid, 11);
	assert_int_equal(n.mmap.start, 0x7f0000001000);
	assert_int_equal(n.mmap.size_bytes, 0x2000);
	assert_int_equal(n.mmap.offset, 0x3000);
	assert_int_equal(n.mmap.prot, PROT_READ | PROT_EXEC);
	assert_int_equal(n.mmap.dev_major, 8);
	assert_int_equal(n.mmap.dev_minor, 1);
	assert_int_equal(n.mmap.inode, 4711);
	assert_int_equal(n.mmap.build_id_bytes, 0);
	assert_string_equal(n.text, "/usr/lib/x.so");
}

static void reads_a_mapping_with_build_id(void **state)
{
	uint8_t build_id[24] = { 20, 0, 0, 0, 0xab, 0xcd };
	struct builder b;
	struct note n;

	(void)state;
	for (int pass = 0; pass < 2; pass++) {
		build_id[0] = pass ? 255 : 20;	/* more than fits is cut */
		begin_mmap(&b, PERF_RECORD_MISC_USER | PERF_RECORD_MISC_MMAP_BUILD_ID);
		put(&b, build_id, sizeof(build_id));
		put_u32(&b, PROT_EXEC);
		put_u32(&b, MAP_PRIVATE);
		put_text(&b, "/bin/x");
		assert_true(sidenote_parse(&n, end(&b)));
		assert_int_equal(n.mmap.build_id_bytes, 20);
		assert_memory_equal(n.mmap.build_id, build_id + 4, 20);
		assert_int_equal(n.mmap.inode, 0);
		assert_int_equal(n.mmap.dev_major, 0);
	}
}

static void leaves_data_mappings_out(void **state)
{
	struct builder b;
	struct note n;

	(void)state;
	begin_mmap(&b, PERF_RECORD_MISC_USER);
	put_u64(&b, 0);
	put_u64(&b, 0);
	put_u64(&b, 0);
	put_u32(&b, PROT_READ);
	put_u32(&b, MAP_PRIVATE);
	put_text(&b, "/data");
	assert_false(sidenote_parse(&n, end(&b)));
}

static void reads_names_births_and_deaths(void **state)
{
	struct builder b;
	struct note n;

	(void)state;
	begin(&b, PERF_RECORD_COMM, PERF_RECORD_MISC_COMM_EXEC);
	put_u32(&b, 20);
	put_u32(&b, 21);
	put_text(&b, "name");
	assert_true(sidenote_parse(&n, end(&b)));
	assert_int_equal(n.kind, NOTE_COMM);
	assert_int_equal(n.tid, 21);
	assert_true(n.comm.exec);
	assert_string_equal(n.text, "name");

	for (int pass = 0; pass < 2; pass++) {
		begin(&b, pass ? PERF_RECORD_EXIT : PERF_RECORD_FORK, 0);
		put_u32(&b, 30);
		put_u32(&b, 31);
		put_u32(&b, 32);
		put_u32(&b, 33);
		put_u64(&b, 1);
		assert_true(sidenote_parse(&n, end(&b)));
		assert_int_equal(n.kind, pass ? NOTE_EXIT : NOTE_FORK);
		assert_int_equal(n.pid, 30);
		assert_int_equal(n.fork.parent_pid, 31);
		assert_int_equal(n.tid, 32);
		assert_int_equal(n.fork.parent_tid, 33);
		assert_string_equal(n.text, "");
	}
}

static void reads_kernel_code_and_cgroups(void **state)
{
	struct builder b;
	struct note n;

	(void)state;
	begin(&b, PERF_RECORD_KSYMBOL, 0);
	put_u64(&b, 0xffffffffc0001000);
	put_u32(&b, 0x123);
	put_u32(&b, PERF_RECORD_KSYMBOL_TYPE_BPF |
		    PERF_RECORD_KSYMBOL_FLAGS_UNREGISTER << 16);
	put_text(&b, "bpf_prog_1");
	assert_true(sidenote_parse(&n, end(&b)));
	assert_int_equal(n.kind, NOTE_KSYMBOL);
	assert_int_equal(n.ksymbol.start, 0xffffffffc0001000);
	assert_int_equal(n.ksymbol.size_bytes, 0x123);
	assert_true(n.ksymbol.gone);
	assert_true(n.ksymbol.bpf);
	assert_string_equal(n.text, "bpf_prog_1");

	begin(&b, PERF_RECORD_CGROUP, 0);
	put_u64(&b, 99);
	put_text(&b, "/a/b");
	assert_true(sidenote_parse(&n, end(&b)));
	assert_int_equal(n.kind, NOTE_CGROUP);
	assert_int_equal(n.cgroup.id, 99);
	assert_string_equal(n.text, "/a/b");
}

/* As the kernel tells the third listener: two trailers more than there are. */
static void finds_the_time_of_kernel_symbols(void **state)
{
	static const char *const names[] = { "", "bpf_pro", "bpf_prog", "bpf_prog_1234567890abcdef" };
	struct perf_event_header *header;
	struct builder b;
	struct note n;

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		begin(&b, PERF_RECORD_KSYMBOL, 0);
		put_u64(&b, 0xffffffffc0001000);
		put_u64(&b, 0x123);
		put_text(&b, names[i]);
		end(&b);
		for (int more = 0; more < 6; more++)
			put_u64(&b, 0xffffffff00000000);
		header = (void *)b.room;
		header->size = (uint16_t)b.len;
		assert_int_equal(sidenote_time(header), 123456789);
		assert_true(sidenote_parse(&n, header));
		assert_int_equal(n.time_ns, 123456789);
		assert_int_equal(n.cpu, 5);
		assert_string_equal(n.text, names[i]);
	}
}

static void counts_losses(void **state)
{
	struct builder b;

	(void)state;
	begin(&b, PERF_RECORD_LOST, 0);
	put_u64(&b, 1);
	put_u64(&b, 17);
	assert_int_equal(sidenote_lost(end(&b)), 17);
	assert_int_equal(sidenote_time((const void *)b.room), 123456789);
}

static void refuses_short_and_unended_records(void **state)
{
	static const uint32_t types[] = {
		PERF_RECORD_MMAP2, PERF_RECORD_COMM, PERF_RECORD_FORK, PERF_RECORD_EXIT,
		PERF_RECORD_KSYMBOL, PERF_RECORD_CGROUP, PERF_RECORD_LOST, 0, 999,
	};
	struct builder b;
	struct note n;

	(void)state;
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		begin(&b, types[i], 0);
		assert_false(sidenote_parse(&n, end(&b)));
		assert_int_equal(sidenote_lost((const void *)b.room), 0);
	}
	begin(&b, PERF_RECORD_COMM, 0);
	put_u64(&b, 0);
	put(&b, "no end! ", 8);
	assert_false(sidenote_parse(&n, end(&b)));
	assert_int_equal(sidenote_time(&(struct perf_event_header){ .size = 8 }), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_a_mapping_with_inode),
		cmocka_unit_test(reads_a_mapping_with_build_id),
		cmocka_unit_test(leaves_data_mappings_out),
		cmocka_unit_test(reads_names_births_and_deaths),
		cmocka_unit_test(reads_kernel_code_and_cgroups),
		cmocka_unit_test(finds_the_time_of_kernel_symbols),
		cmocka_unit_test(counts_losses),
		cmocka_unit_test(refuses_short_and_unended_records),
	};

	return cmocka_run_group_tests_name("record/sidenote", tests, NULL, NULL);
}
