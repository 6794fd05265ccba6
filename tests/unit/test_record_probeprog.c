#include "record/probeprog.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "live_probes.h"

#define NR_CALLS 5000

static const enum proberings_way ways[] = { RINGS_MAPPED, RINGS_RINGBUF, RINGS_PERFBUF };

#define CTX(offset) { .op = FETCH_CTX, .size = 8, .value = offset }

struct counted {
	uint64_t enters, exits, wrong, others;
	uint64_t last_ns[2];
	uint32_t pid, ppid;
};

static void skip_if_denied(const struct live *l, int err)
{
	if (err == -EPERM || err == -EOPNOTSUPP) {
		print_message("# skip: %s\n", l->diag.text);
		skip();
	}
	if (err)
		fail_msg("%d: %s", err, l->diag.text);
}

static uint64_t data_u64(const struct probe_record *rec, uint32_t offset)
{
	uint64_t n;

	memcpy(&n, rec->data + offset, sizeof(n));
	return n;
}

static void count_record(void *ctx, uint32_t cpu, const struct probe_record *rec)
{
	struct counted *c = ctx;
	uint64_t value = data_u64(rec, 0);

	(void)cpu;
	if (rec->pid != c->pid || rec->tid != c->pid || rec->size_bytes != sizeof(*rec) + 8)
		c->wrong++;
	if (rec->probe == 0 && value == SYS_getppid)
		c->enters++;
	else if (rec->probe == 1 && value == c->ppid)
		c->exits++;
	else
		c->others++;
}

static void calls_are_counted(enum proberings_way way)
{
	struct live_probe *enter, *leave;
	struct live_child child;
	struct counted c = { 0 };
	struct live l;
	long nr = NR_CALLS;
	int err;

	live_init(&l);
	err = live_add_typed(&l, "sys_enter", &enter);
	if (!err)
		err = live_add_typed(&l, "sys_exit", &leave);
	if (!err) {
		live_number(enter, 8, CTX(8));
		live_number(leave, 8, CTX(8));
		err = live_open(&l, way);
	}
	if (err)
		live_close(&l);
	skip_if_denied(&l, err);
	child = live_fork(live_getppid, &nr);
	assert_int_equal(live_follow(&l, child.pid), 0);
	proberings_enable(l.rings, true);
	assert_int_equal(live_join(&child), 0);
	live_detach(&l);
	c.pid = (uint32_t)child.pid;
	c.ppid = (uint32_t)getpid();
	live_take(&l, count_record, &c);
	assert_int_equal(c.enters, NR_CALLS);
	assert_int_equal(c.exits, NR_CALLS);
	assert_int_equal(c.wrong, 0);
	/* The end of its wait, and its exit. */
	assert_true(c.others < 10);
	assert_int_equal(live_lost(&l, 0) + live_lost(&l, 1), 0);
	live_close(&l);
}

static void mapped_counts(void **state)
{
	(void)state;
	calls_are_counted(ways[0]);
}

static void ringbuf_counts(void **state)
{
	(void)state;
	calls_are_counted(ways[1]);
}

static void perfbuf_counts(void **state)
{
	(void)state;
	calls_are_counted(ways[2]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mapped_counts),
		cmocka_unit_test(ringbuf_counts),
		cmocka_unit_test(perfbuf_counts),
	};

	return cmocka_run_group_tests_name("record/probeprog", tests, NULL, NULL);
}
