#define _GNU_SOURCE
#include "record/probeprog.h"

#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/user.h>

#include <cmocka.h>

#include "live_probes.h"

#define NR_CALLS 3000
#define MAX_KEPT 64

static const enum proberings_way ways[] = { RINGS_MAPPED, RINGS_RINGBUF, RINGS_PERFBUF };
static const char *const way_names[] = { "mapped", "ringbuf", "perfbuf" };
#define NR_WAYS 3

#define CTX(offset) { .op = FETCH_CTX, .size = 8, .value = offset }
#ifdef __x86_64__
#define ARG_OFFSET(n) ((n) == 0 ? offsetof(struct user_regs_struct, rdi) : \
		       (n) == 1 ? offsetof(struct user_regs_struct, rsi) : \
				  offsetof(struct user_regs_struct, rdx))
#else
#define ARG_OFFSET(n) (8 * (n))
#endif
/* What the system call was given as argument n, in a typed program. */
#define ARG(n) CTX(0), { .op = FETCH_TYPED, .size = 8, .value = (int64_t)ARG_OFFSET(n) }
#define READ_ARG(n) CTX(0), { .op = FETCH_KERNEL, .size = 8, .value = (int64_t)ARG_OFFSET(n) }

static void skip_if_impossible(const struct live *l, int err)
{
	if (err == -EPERM || err == -EOPNOTSUPP) {
		print_message("# skip: %s\n", l->diag.text);
		skip();
	}
	if (err)
		fail_msg("%d: %s", err, l->diag.text);
}

/* --- what came ----------------------------------------------------------------------- */

struct kept {
	struct probe_record *list[MAX_KEPT];
	uint32_t cpu[MAX_KEPT];
	size_t nr;
	uint32_t pid;
	uint64_t id;			/* the first field, 64 bits */
};

static void keep_record(void *ctx, uint32_t cpu, const struct probe_record *rec)
{
	struct kept *k = ctx;
	uint64_t id;

	memcpy(&id, rec->data, sizeof(id));
	if (rec->pid != k->pid || id != k->id || k->nr == MAX_KEPT)
		return;
	k->list[k->nr] = malloc(rec->size_bytes);
	assert_non_null(k->list[k->nr]);
	memcpy(k->list[k->nr], rec, rec->size_bytes);
	k->cpu[k->nr++] = cpu;
}

static void forget_records(struct kept *k)
{
	while (k->nr)
		free(k->list[--k->nr]);
}

static uint64_t number_of(const struct live_probe *lp, const struct probe_record *rec, size_t i)
{
	const struct probe_field *f = &lp->fields[i];
	uint64_t n = 0;

	memcpy(&n, rec->data + f->offset, f->size);
	return n;
}

static int32_t length_of(const struct live_probe *lp, const struct probe_record *rec, size_t i)
{
	int32_t length;

	memcpy(&length, rec->data + lp->fields[i].offset, sizeof(length));
	return length;
}

static const uint8_t *part_of(const struct live_probe *lp, const struct probe_record *rec,
			      size_t wanted)
{
	uint32_t at = lp->p.fixed_bytes;

	for (size_t i = 0; i < wanted; i++) {
		int32_t length = lp->fields[i].result == RESULT_NUMBER ? 0 :
				 length_of(lp, rec, i);

		if (length > 0)
			at += ((uint32_t)length + 7) & ~7u;
	}
	return rec->data + at;
}

/* The system call that is told apart by its number: sys_enter of getppid. */
static int open_enter(struct live *l, struct live_probe **enter)
{
	int err;

	live_init(l);
	err = live_add_typed(l, "sys_enter", enter);
	if (!err)
		live_number(*enter, 8, CTX(8));
	return err;
}

/* Runs work() in a child; its getppid calls are kept. */
static void record_child(struct live *l, void (*work)(void *), void *ctx, struct kept *k)
{
	struct live_child child = live_fork(work, ctx);

	*k = (struct kept){ .pid = (uint32_t)child.pid, .id = SYS_getppid };
	assert_int_equal(live_follow(l, child.pid), 0);
	proberings_enable(l->rings, true);
	assert_int_equal(live_join(&child), 0);
	live_detach(l);
	live_take(l, keep_record, k);
	for (uint32_t i = 0; i < l->nr_probes; i++)
		assert_int_equal(live_lost(l, i), 0);
}

static bool opens(struct live *l, size_t way)
{
	int err = live_open(l, ways[way]);

	if (err == -EOPNOTSUPP && way == 0) {
		print_message("# %s: %s\n", way_names[way], l->diag.text);
		live_close(l);
		return false;
	}
	if (err)
		live_close(l);
	skip_if_impossible(l, err);
	assert_string_equal(proberings_way_name(l->rings), way_names[way]);
	return true;
}

/* --- counts ---------------------------------------------------------------------------- */

struct counted {
	uint64_t enters, exits, wrong, others;
	uint64_t last_ns;
	uint32_t pid, ppid;
};

static void count_record(void *ctx, uint32_t cpu, const struct probe_record *rec)
{
	struct counted *c = ctx;
	uint64_t value;

	(void)cpu;
	memcpy(&value, rec->data, sizeof(value));
	if (rec->pid != c->pid || rec->tid != c->pid || rec->size_bytes != sizeof(*rec) + 8)
		c->wrong++;
	if (rec->probe == 0 && value == SYS_getppid)
		c->enters++;
	else if (rec->probe == 1 && value == c->ppid)
		c->exits++;
	else
		c->others++;
}

static void calls_are_counted(void **state)
{
	(void)state;
	for (size_t way = 0; way < NR_WAYS; way++) {
		struct counted c = { .ppid = (uint32_t)getpid() };
		struct live_probe *enter, *leave = NULL;
		struct live_child child;
		long nr = NR_CALLS;
		struct live l;

		skip_if_impossible(&l, open_enter(&l, &enter));
		assert_int_equal(live_add_typed(&l, "sys_exit", &leave), 0);
		live_number(leave, 8, CTX(8));
		if (!opens(&l, way))
			continue;
		child = live_fork(live_getppid, &nr);
		c.pid = (uint32_t)child.pid;
		assert_int_equal(live_follow(&l, child.pid), 0);
		proberings_enable(l.rings, true);
		assert_int_equal(live_join(&child), 0);
		live_detach(&l);
		live_take(&l, count_record, &c);
		assert_int_equal(c.enters, NR_CALLS);
		assert_int_equal(c.exits, NR_CALLS);
		assert_int_equal(c.wrong, 0);
		/* The end of its wait, and its exit. */
		assert_true(c.others < 10);
		assert_int_equal(live_lost(&l, 0) + live_lost(&l, 1), 0);
		live_close(&l);
	}
}

/* --- numbers ------------------------------------------------------------------------------ */

struct pieces {
	uint8_t u8;
	int8_t s8;
	uint16_t u16;
	int16_t s16;
	uint32_t u32;
	int32_t s32;
	uint64_t u64;
	const struct pieces *next;
};

static const struct pieces last_piece = { .u64 = 4242 };
static const struct pieces some_pieces = {
	0x81, -2, 0x8182, -300, 0x81828384, -70000, 0x8182838485868788, &last_piece,
};

/* Programs cannot wait for a page: the child has touched what it passes. */
static void touch(const void *at)
{
	(void)*(const volatile char *)at;
}

static void call_with_pieces(void *ctx)
{
	touch(&some_pieces);
	touch(&last_piece);
	syscall(SYS_getppid, &some_pieces, 0x8182838485868788, 8, 3);
	(void)ctx;
}

#define PIECE(field, sign) ARG(0), { .op = FETCH_USER, .is_signed = sign, \
	.size = sizeof(some_pieces.field), .value = offsetof(struct pieces, field) }

static void numbers_are_exact(void **state)
{
	(void)state;
	for (size_t way = 0; way < NR_WAYS; way++) {
		struct live_probe *enter;
		struct kept k;
		struct live l;

		skip_if_impossible(&l, open_enter(&l, &enter));
		live_number(enter, 1, PIECE(u8, false));
		live_number(enter, 2, PIECE(s8, true));
		live_number(enter, 8, PIECE(s16, true));
		live_number(enter, 8, PIECE(u16, false));
		live_number(enter, 8, PIECE(s32, true));
		live_number(enter, 4, PIECE(u32, false));
		live_number(enter, 8, PIECE(next, false),
			    { .op = FETCH_USER, .size = 8,
			      .value = offsetof(struct pieces, u64) },
			    { .op = FETCH_ADD, .value = -4200 });
		live_number(enter, 8, ARG(0), { .op = FETCH_USER, .size = 8, .value = 1 << 30 });
		live_number(enter, 8, READ_ARG(1),
			    { .op = FETCH_BITS, .shift = 4, .size = 8, .is_signed = true });
		live_number(enter, 4, ARG(1), { .op = FETCH_BITS, .shift = 56, .size = 8 });
		live_number(enter, 8, { .op = FETCH_CONSTANT, .value = 0x123456789abcdef0 });
		if (!opens(&l, way))
			continue;
		record_child(&l, call_with_pieces, NULL, &k);
		assert_int_equal(k.nr, 1);
		assert_int_equal(number_of(enter, k.list[0], 1), 0x81);
		assert_int_equal(number_of(enter, k.list[0], 2), 0xfffe);
		assert_int_equal(number_of(enter, k.list[0], 3), -300);
		assert_int_equal(number_of(enter, k.list[0], 4), 0x8182);
		assert_int_equal(number_of(enter, k.list[0], 5), -70000);
		assert_int_equal(number_of(enter, k.list[0], 6), 0x81828384);
		assert_int_equal(number_of(enter, k.list[0], 7), 42);
		assert_int_equal(number_of(enter, k.list[0], 8), 0);
		assert_int_equal(number_of(enter, k.list[0], 9), 0x78);
		assert_int_equal(number_of(enter, k.list[0], 10), 0x81);
		assert_int_equal(number_of(enter, k.list[0], 11), 0x123456789abcdef0);
		/* What lies between the numbers is zero. */
		assert_int_equal(k.list[0]->data[9], 0);
		forget_records(&k);
		live_close(&l);
	}
}

static int64_t task_offset(const char *member)
{
	struct btf *btf = btf__load_vmlinux_btf();
	int id = btf ? btf__find_by_name_kind(btf, "task_struct", BTF_KIND_STRUCT) : -1;
	const struct btf_type *type = id > 0 ? btf__type_by_id(btf, (uint32_t)id) : NULL;
	int64_t offset = -1;

	for (uint16_t i = 0; type && i < btf_vlen(type); i++)
		if (strcmp(btf__name_by_offset(btf, btf_members(type)[i].name_off), member) == 0)
			offset = btf_member_bit_offset(type, i) / 8;
	btf__free(btf);
	return offset;
}

static void who_and_where(void **state)
{
	int64_t pid_offset = task_offset("pid");
	struct live_probe *enter;
	struct live l;
	struct kept k;
	long one = 1;

	(void)state;
	skip_if_impossible(&l, open_enter(&l, &enter));
	live_number(enter, 4, { .op = FETCH_PID });
	live_number(enter, 4, { .op = FETCH_TID });
	live_number(enter, 4, { .op = FETCH_UID });
	live_number(enter, 4, { .op = FETCH_GID });
	live_number(enter, 4, { .op = FETCH_CPU });
	live_number(enter, 8, { .op = FETCH_CGROUP });
	live_number(enter, 4, { .op = FETCH_CURRENT },
		    { .op = FETCH_KERNEL, .size = 4, .value = pid_offset });
	live_number(enter, 8, { .op = FETCH_CTX_ADDRESS, .value = 8 },
		    { .op = FETCH_KERNEL, .size = 8, .value = 0 });
	live_number(enter, 8, { .op = FETCH_CONSTANT, .value = 5 },
		    { .op = FETCH_ADD_CTX, .value = 8, .shift = 3 });
	skip_if_impossible(&l, live_open(&l, RINGS_AUTO));
	record_child(&l, live_getppid, &one, &k);
	assert_int_equal(k.nr, 1);
	assert_int_equal(number_of(enter, k.list[0], 1), k.pid);
	assert_int_equal(number_of(enter, k.list[0], 2), k.pid);
	assert_int_equal(number_of(enter, k.list[0], 3), getuid());
	assert_int_equal(number_of(enter, k.list[0], 4), getgid());
	assert_int_equal(number_of(enter, k.list[0], 5), k.cpu[0]);
	assert_true(number_of(enter, k.list[0], 6) > 0);
	assert_int_equal(number_of(enter, k.list[0], 7), k.pid);
	assert_int_equal(number_of(enter, k.list[0], 8), SYS_getppid);
	assert_int_equal(number_of(enter, k.list[0], 9), 5 + 8 * SYS_getppid);
	forget_records(&k);
	live_close(&l);
}

/* --- texts --------------------------------------------------------------------------------- */

static const char text[] = "a text of some length";
static const char *const bad_address = (const char *)16;

static void call_with_texts(void *ctx)
{
	(void)ctx;
	touch(text);
	syscall(SYS_getppid, text, "", bad_address);
	syscall(SYS_getppid, bad_address, text, text);
}

static void expect_part(const struct live_probe *lp, const struct probe_record *rec, size_t i,
			const void *wanted, int32_t length)
{
	uint8_t zeros[8] = { 0 };

	assert_int_equal(length_of(lp, rec, i), length);
	assert_memory_equal(part_of(lp, rec, i), wanted, (size_t)length);
	assert_memory_equal(part_of(lp, rec, i) + length, zeros, (size_t)(-length & 7));
}

static void texts_are_exact(void **state)
{
	(void)state;
	for (size_t way = 0; way < NR_WAYS; way++) {
		struct live_probe *enter;
		struct kept k;
		struct live l;

		skip_if_impossible(&l, open_enter(&l, &enter));
		live_field(enter, RESULT_STRING, 0, 64, SPACE_USER, LIVE_STEPS(ARG(0)));
		live_field(enter, RESULT_STRING, 0, 64, SPACE_ANY, LIVE_STEPS(READ_ARG(1)));
		live_field(enter, RESULT_STRING, 0, 8, SPACE_USER, LIVE_STEPS(ARG(2)));
		live_field(enter, RESULT_BYTES, 0, 11, SPACE_ANY, LIVE_STEPS(ARG(0)));
		live_field(enter, RESULT_COMM, 0, 16, SPACE_ANY, NULL, 0);
		live_field(enter, RESULT_STRING, 0, 16, SPACE_ANY,
			   LIVE_STEPS({ .op = FETCH_CURRENT },
				      { .op = FETCH_ADD, .value = task_offset("comm") }));
		if (!opens(&l, way))
			continue;
		prctl(PR_SET_NAME, "named so");
		record_child(&l, call_with_texts, NULL, &k);
		assert_int_equal(k.nr, 2);
		expect_part(enter, k.list[0], 1, text, sizeof(text));
		expect_part(enter, k.list[0], 2, "", 1);
		assert_int_equal(length_of(enter, k.list[0], 3), -EFAULT);
		expect_part(enter, k.list[0], 4, text, 11);
		expect_part(enter, k.list[0], 5, "named so", 9);
		expect_part(enter, k.list[0], 6, "named so", 9);
		assert_int_equal(k.list[0]->size_bytes, sizeof(struct probe_record) +
				 enter->p.fixed_bytes + 24 + 8 + 16 + 16 + 16);
		assert_int_equal(length_of(enter, k.list[1], 1), -EFAULT);
		expect_part(enter, k.list[1], 2, text, sizeof(text));
		expect_part(enter, k.list[1], 3, "a text ", 8);
		assert_int_equal(length_of(enter, k.list[1], 4), -EFAULT);
		assert_int_equal(k.list[1]->size_bytes, sizeof(struct probe_record) +
				 enter->p.fixed_bytes + 24 + 8 + 16 + 16);
		forget_records(&k);
		live_close(&l);
	}
}

/* The verifier follows every way through a program: it must not give up. */
static void many_texts(void **state)
{
	(void)state;
	for (size_t way = 0; way < NR_WAYS; way++) {
		struct live_probe *enter;
		struct kept k;
		struct live l;

		skip_if_impossible(&l, open_enter(&l, &enter));
		for (size_t i = 1; i < LIVE_MAX_FIELDS; i++)
			live_field(enter, i % 4 ? RESULT_STRING : RESULT_COMM, 0, 4096, SPACE_ANY,
				   LIVE_STEPS(READ_ARG(0)));
		live_stacks(enter, true, true);
		if (!opens(&l, way))
			continue;
		prctl(PR_SET_NAME, text);
		record_child(&l, call_with_texts, NULL, &k);
		assert_int_equal(k.nr, 2);
		for (size_t i = 1; i < LIVE_MAX_FIELDS; i++)
			expect_part(enter, k.list[0], i, i % 4 ? text : "a text of some ",
				    i % 4 ? sizeof(text) : 16);
		forget_records(&k);
		live_close(&l);
	}
}

static void call_with_names(void *ctx)
{
	char name[16] = "";

	(void)ctx;
	for (int length = 0; length < 16; length++) {
		memset(name, 0, sizeof(name));
		memset(name, 'a' + length, (size_t)length);
		prctl(PR_SET_NAME, name);
		syscall(SYS_getppid);
	}
}

static void names_of_any_length(void **state)
{
	struct live_probe *enter;
	struct kept k;
	struct live l;

	(void)state;
	skip_if_impossible(&l, open_enter(&l, &enter));
	live_field(enter, RESULT_COMM, 0, 16, SPACE_ANY, NULL, 0);
	skip_if_impossible(&l, live_open(&l, RINGS_AUTO));
	record_child(&l, call_with_names, NULL, &k);
	assert_int_equal(k.nr, 16);
	for (int length = 0; length < 16; length++) {
		char name[16] = "";

		memset(name, 'a' + length, (size_t)length);
		expect_part(enter, k.list[length], 1, name, length + 1);
	}
	forget_records(&k);
	live_close(&l);
}

/* --- classic tracepoints ---------------------------------------------------------------------- */

static int tracepoint_id(const char *name)
{
	static const char *const roots[] = { "/sys/kernel/tracing", "/sys/kernel/debug/tracing" };
	int id = -1;

	for (size_t i = 0; id < 0 && i < 2; i++) {
		char path[256];
		FILE *file;

		snprintf(path, sizeof(path), "%s/events/%s/id", roots[i], name);
		file = fopen(path, "r");
		if (file && fscanf(file, "%d", &id) != 1)
			id = -1;
		if (file)
			fclose(file);
	}
	return id;
}

static void run_true(void *ctx)
{
	(void)ctx;
	execl("/bin/true", "true", NULL);
	_exit(1);
}

struct executed {
	const struct live_probe *lp;
	uint32_t pid;
	size_t nr;
};

static void check_exec(void *ctx, uint32_t cpu, const struct probe_record *rec)
{
	static const char path[] = "/bin/true";
	struct executed *e = ctx;

	(void)cpu;
	assert_int_equal(rec->pid, e->pid);
	expect_part(e->lp, rec, 0, path, sizeof(path));
	expect_part(e->lp, rec, 1, path, sizeof(path));
	expect_part(e->lp, rec, 2, "/bin", 4);
	assert_int_equal(number_of(e->lp, rec, 3), e->pid);
	e->nr++;
}

static void data_locations(void **state)
{
	int id = tracepoint_id("sched/sched_process_exec");

	(void)state;
	if (id < 0)
		skip();
	for (size_t way = 0; way < NR_WAYS; way++) {
		struct perf_event_attr attr = {
			.type = PERF_TYPE_TRACEPOINT, .config = (uint64_t)id, .sample_period = 1,
		};
		struct fetch_step location = { .op = FETCH_DATA_LOC, .size = 4, .value = 8 };
		struct live_child child;
		struct executed e = { 0 };
		struct live_probe *lp;
		struct live l;

		live_init(&l);
		lp = live_add(&l, "sched_process_exec", BPF_PROG_TYPE_TRACEPOINT);
		live_field(lp, RESULT_STRING, 0, 64, SPACE_KERNEL, &location, 1);
		live_field(lp, RESULT_DATA_LOC_BYTES, 0, 64, SPACE_KERNEL, &location, 1);
		live_field(lp, RESULT_DATA_LOC_BYTES, 0, 4, SPACE_KERNEL, &location, 1);
		live_number(lp, 4, { .op = FETCH_CTX, .size = 4, .value = 12 });
		lp->by_hand = true;
		if (!opens(&l, way))
			continue;
		/* One CPU is enough for a child that stays there. */
		child = live_fork(run_true, NULL);
		sched_setaffinity(child.pid, sizeof(cpu_set_t), &(cpu_set_t){ { 1 } });
		assert_int_equal(live_follow(&l, child.pid), 0);
		assert_int_equal(live_attach_perf(lp, &attr, 0), 0);
		proberings_enable(l.rings, true);
		assert_int_equal(live_join(&child), 0);
		live_detach(&l);
		e = (struct executed){ .lp = lp, .pid = (uint32_t)child.pid };
		live_take(&l, check_exec, &e);
		assert_int_equal(e.nr, 1);
		assert_int_equal(live_lost(&l, 0), 0);
		live_close(&l);
	}
}

/* --- stacks --------------------------------------------------------------------------------------- */

static void check_stacks(const struct live_probe *enter, const struct probe_record *rec)
{
	const uint64_t *ips = (const void *)(rec->data + enter->p.fixed_bytes);
	uint64_t start = (uint64_t)(uintptr_t)syscall;
	int32_t kernel, user;

	memcpy(&kernel, rec->data + enter->p.kernel_count_offset, 4);
	memcpy(&user, rec->data + enter->p.user_count_offset, 4);
	assert_true(kernel > 1 && kernel <= PROBE_MAX_STACK);
	assert_true(user > 0 && user <= PROBE_MAX_STACK);
	assert_int_equal(rec->size_bytes, sizeof(*rec) + enter->p.fixed_bytes +
			 8 * (uint32_t)(kernel + user));
	for (int32_t i = 0; i < kernel; i++)
		assert_true((int64_t)ips[i] < 0);
	for (int32_t i = 0; i < user; i++)
		assert_true((int64_t)ips[kernel + i] >= 0);
	/* Where the child is: in the C library's own function. */
	assert_in_range(ips[kernel], start, start + 128);
}

static void stacks_are_whole(void **state)
{
	(void)state;
	for (size_t way = 0; way < NR_WAYS; way++) {
		struct live_probe *enter;
		struct kept k;
		struct live l;
		long nr = 20;

		skip_if_impossible(&l, open_enter(&l, &enter));
		live_stacks(enter, true, true);
		if (!opens(&l, way))
			continue;
		record_child(&l, live_getppid, &nr, &k);
		assert_int_equal(k.nr, nr);
		for (size_t i = 0; i < k.nr; i++)
			check_stacks(enter, k.list[i]);
		forget_records(&k);
		live_close(&l);
	}
}

/* --- targets ---------------------------------------------------------------------------------------- */

static size_t count_with_target(const struct probeprog_target *target, bool by_process)
{
	struct live_probe *enter;
	struct kept k;
	struct live l;
	long nr = 7;

	skip_if_impossible(&l, open_enter(&l, &enter));
	l.env.target = *target;
	l.traced_only = by_process;
	skip_if_impossible(&l, live_open(&l, RINGS_AUTO));
	record_child(&l, live_getppid, &nr, &k);
	nr = (long)k.nr;
	forget_records(&k);
	live_close(&l);
	return (size_t)nr;
}

static size_t count_on_cpus(const int *cpus, size_t nr_cpus)
{
	struct probeprog_target t = {
		.traced_fd = -1, .traced_tids_fd = -1, .cgroup_fd = -1,
		.cpus = cpus, .nr_cpus = nr_cpus,
	};

	return count_with_target(&t, true);
}

static void targets_are_held(void **state)
{
	struct probeprog_target t = { .traced_fd = -1, .traced_tids_fd = -1, .cgroup_fd = -1 };
	const int nowhere[] = { 4000, 4001, 5000 };
	const int everywhere[] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 63 };
	cpu_set_t first = { { 1 } }, before;
	uint32_t other = (uint32_t)getpid();
	uint8_t on = 1;

	(void)state;
	assert_int_equal(count_with_target(&t, false), 7);
	assert_int_equal(count_with_target(&t, true), 7);
	assert_int_equal(count_on_cpus(nowhere, 3), 0);
	sched_getaffinity(0, sizeof(before), &before);
	sched_setaffinity(0, sizeof(first), &first);
	assert_int_equal(count_on_cpus(everywhere, 17), 7);
	assert_int_equal(count_on_cpus(everywhere, 1), 7);
	assert_int_equal(count_on_cpus(everywhere + 1, 16), 0);
	sched_setaffinity(0, sizeof(before), &before);
	/* Threads that are not the child's. */
	t.traced_tids_fd = bpf_map_create(BPF_MAP_TYPE_HASH, "test_tids", 4, 1, 4, NULL);
	assert_int_equal(bpf_map_update_elem(t.traced_tids_fd, &other, &on, BPF_ANY), 0);
	assert_int_equal(count_with_target(&t, true), 0);
	close(t.traced_tids_fd);
}

static void recorder_is_left_out(void **state)
{
	struct live_probe *enter;
	struct kept k = { .pid = (uint32_t)getpid(), .id = SYS_getppid };
	struct live l;
	long nr = 100;

	(void)state;
	for (int left_out = 0; left_out < 2; left_out++) {
		skip_if_impossible(&l, open_enter(&l, &enter));
		l.traced_only = false;
		l.env.target.not_pid = left_out ? (uint32_t)getpid() : 0;
		l.cpu_bytes = 4 << 20;
		skip_if_impossible(&l, live_open(&l, RINGS_AUTO));
		proberings_enable(l.rings, true);
		live_getppid(&nr);
		proberings_enable(l.rings, false);
		live_getppid(&nr);
		live_take(&l, keep_record, &k);
		assert_int_equal(k.nr, left_out ? 0 : MAX_KEPT);
		forget_records(&k);
		live_close(&l);
	}
}

static int unified_cgroup(char *path, size_t size_bytes)
{
	static const char *const roots[] = { "/sys/fs/cgroup", "/sys/fs/cgroup/unified" };

	for (size_t i = 0; i < 2; i++) {
		snprintf(path, size_bytes, "%s/cgroup.procs", roots[i]);
		if (access(path, W_OK) == 0 && (snprintf(path, size_bytes, "%s/cgroup.controllers",
							 roots[i]), access(path, F_OK) == 0)) {
			snprintf(path, size_bytes, "%s/kymo-test-%d", roots[i], getpid());
			return mkdir(path, 0755) < 0 ? -errno : 0;
		}
	}
	return -ENOENT;
}

static void cgroups_are_held(void **state)
{
	struct probeprog_target t = { .traced_fd = -1, .traced_tids_fd = -1 };
	char path[128], root[160];
	int fds[2];

	(void)state;
	if (unified_cgroup(path, sizeof(path))) {
		print_message("# skip: no cgroup v2 that can be written\n");
		skip();
	}
	snprintf(root, sizeof(root), "%s/..", path);
	t.cgroup_fd = bpf_map_create(BPF_MAP_TYPE_CGROUP_ARRAY, "test_cgroup", 4, 4, 1, NULL);
	for (int i = 0; i < 2; i++) {
		uint32_t row = 0;

		fds[i] = open(i ? root : path, O_RDONLY | O_DIRECTORY);
		assert_true(fds[i] >= 0);
		assert_int_equal(bpf_map_update_elem(t.cgroup_fd, &row, &fds[i], BPF_ANY), 0);
		assert_int_equal(count_with_target(&t, true), i ? 7 : 0);
	}
	for (int i = 0; i < 2; i++)
		close(fds[i]);
	close(t.cgroup_fd);
	rmdir(path);
}

/* --- refusals ------------------------------------------------------------------------------------------ */

static void refusals_have_a_reason(void **state)
{
	struct live_probe *enter;
	struct live l;

	(void)state;
	skip_if_impossible(&l, open_enter(&l, &enter));
	live_number(enter, 8, { .op = FETCH_CONSTANT, .value = 16 },
		    { .op = FETCH_TYPED, .size = 8 });
	assert_true(live_open(&l, RINGS_AUTO) < 0);
	assert_non_null(strstr(l.diag.text, "cannot load the program of probe 'sys_enter'"));
	if (!strstr(l.diag.text, "CAP_BPF"))
		assert_non_null(strstr(l.diag.text, "the kernel says: R0 invalid mem access"));
	live_close(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(calls_are_counted),
		cmocka_unit_test(numbers_are_exact),
		cmocka_unit_test(who_and_where),
		cmocka_unit_test(texts_are_exact),
		cmocka_unit_test(many_texts),
		cmocka_unit_test(names_of_any_length),
		cmocka_unit_test(data_locations),
		cmocka_unit_test(stacks_are_whole),
		cmocka_unit_test(targets_are_held),
		cmocka_unit_test(recorder_is_left_out),
		cmocka_unit_test(cgroups_are_held),
		cmocka_unit_test(refusals_have_a_reason),
	};

	return cmocka_run_group_tests_name("record/probeprog", tests, NULL, NULL);
}
