/*
 * What a probe costs: the time it adds to a getppid() whose enter and exit are both
 * hit, and how many records reach a reader that only looks at them.
 *
 *	probecost [-c CALLS] [-r ROUNDS] [-w mapped|ringbuf|perfbuf]
 *		  [-s SET-UPS]			as many of the first ones
 *		  [-x SET-UP]			only that one, by number, beside the first two
 *
 * Time is the CPU's, of the calling threads.  Each round measures all set-ups one after
 * the other; of each the run that was disturbed least is printed.
 */
#include "unit/live_tallies.h"

#include <pthread.h>
#include <time.h>

/* Two programs that do nothing, ... */
enum setup {
	BARE, EMPTY, DROPPED, FILTERED, FILTERED_ALL, RECORDS, ARGS, READ_ARGS, COMM, STACKS, ALL_PROCESSES,
	TWO_THREADS, SPAN, SPAN_ALL, SPAN_SHORT, SPAN_ARGS, SPAN_FRAME, SPAN_KEYED, SPAN_TEXT, SPAN_STACK,
	TALLY_COUNT, TALLY_SUM, TALLY_HIST, TALLY_ALL, NR_SETUPS
};

static const char *const setup_names[] = {
	"bare", "two empty programs", "all dropped by the target", "all dropped by a filter",
	"the same of all processes", "enter and exit",
	"enter with 6 arguments", "the same read by helpers", "enter and exit with comm",
	"kernel stacks", "enter and exit of all processes", "enter and exit, two threads",
	"a span", "a span of all processes", "spans shorter than asked for",
	"a span with 6 arguments", "a span by thread and frame",
	"a span by two keys", "a span with a text of the start",
	"a span with the start's stack",
	"a tally of spans by comm", "the same with sums", "the same with a histogram",
	"the same of all processes",
};

#define MAX_ROUNDS 99
#define CTX(offset) { .op = FETCH_CTX, .size = 8, .value = offset }
/* In the pt_regs of x86-64 and arm64 any six registers do. */
#define REGISTER(fetch, n) CTX(0), { .op = fetch, .size = 8, .value = 8 * (n) }

struct run {
	double ns;			/* per call of one thread */
	double reader_ns;		/* per record */
	uint64_t records, lost;
	double seconds;
};

struct load {
	long calls;
	int threads;
	int result_fd;
	double figures[2];		/* seconds: CPU of all threads, wall */
	pthread_mutex_t lock;
};

static double seconds(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void *call_away(void *arg)
{
	struct load *w = arg;
	double start = seconds(CLOCK_THREAD_CPUTIME_ID);

	for (long i = 0; i < w->calls; i++)
		syscall(SYS_getppid);
	start = seconds(CLOCK_THREAD_CPUTIME_ID) - start;
	pthread_mutex_lock(&w->lock);
	w->figures[0] += start;
	pthread_mutex_unlock(&w->lock);
	return NULL;
}

static void run_load(void *ctx)
{
	struct load *w = ctx;
	pthread_t threads[8];

	w->figures[1] = -seconds(CLOCK_MONOTONIC);
	for (int i = 0; i < w->threads; i++)
		pthread_create(&threads[i], NULL, call_away, w);
	for (int i = 0; i < w->threads; i++)
		pthread_join(threads[i], NULL);
	w->figures[1] += seconds(CLOCK_MONOTONIC);
	if (write(w->result_fd, w->figures, sizeof(w->figures)) != sizeof(w->figures))
		_exit(1);
}

static int name_is_field(void *ctx, const char *name, uint32_t var, enum expr_type *type)
{
	(void)ctx, (void)name, (void)var;
	*type = EXPR_SIGNED;
	return 0;
}

static void add_filter(struct live_probe *lp)
{
	static struct probe_value values[2];
	struct expr *e;

	values[0] = lp->values[0];
	lp->v.filter_values = values;
	if (!expr_parse(&e, "id == 123456", NULL) && !expr_bind(e, name_is_field, NULL, NULL, NULL))
		lp->p.filter = e;
}

static void add_fields(struct live *l, struct live_probe *enter, struct live_probe *leave,
		       enum setup setup)
{
	int op = setup == READ_ARGS ? FETCH_KERNEL : FETCH_TYPED;

	live_number(enter, 8, CTX(8));
	live_number(leave, 8, CTX(8));
	enter->fields[0].is_signed = leave->fields[0].is_signed = true;
	if (setup == ARGS || setup == READ_ARGS) {
		live_number(enter, 8, REGISTER(op, 5));
		live_number(enter, 8, REGISTER(op, 6));
		live_number(enter, 8, REGISTER(op, 7));
		live_number(enter, 8, REGISTER(op, 8));
		live_number(enter, 8, REGISTER(op, 9));
		live_number(enter, 8, REGISTER(op, 10));
	}
	if (setup == COMM) {
		live_field(enter, RESULT_COMM, 0, 16, SPACE_ANY, NULL, 0);
		live_field(leave, RESULT_COMM, 0, 16, SPACE_ANY, NULL, 0);
	}
	if (setup == STACKS) {
		live_stacks(enter, true, false);
		live_stacks(leave, true, false);
	}
	if (setup == FILTERED || setup == FILTERED_ALL) {
		add_filter(enter);
		add_filter(leave);
	}
	if (setup == FILTERED_ALL || setup == ALL_PROCESSES || setup == TWO_THREADS) {
		l->traced_only = false;
		l->env.target.not_pid = (uint32_t)getpid();
	}
}

static const char some_text[] = "a text of some length";

static int add_tally(struct live *l, struct live_probe *end, enum setup setup)
{
	static char name[] = "comm";

	live_field(end, RESULT_COMM, 0, 16, SPACE_ANY, NULL, 0);
	end->fields[0].name = name;
	return live_tally(l, end, setup == TALLY_COUNT ? "by=comm" : setup == TALLY_SUM ?
			  "by=comm;sum=duration" : "by=comm;hist");
}

static int add_span_fields(struct live *l, struct live_probe *start, struct live_probe *end,
			   enum setup setup)
{
	live_by_thread(start, end);
	if (setup == SPAN_FRAME || setup == SPAN_KEYED)
		live_keys(end, start, CTX(0));
	end->p.span->by_frame = setup == SPAN_FRAME;
	if (setup == SPAN_SHORT)
		end->p.span->min_ns = 1000000000;
	if (setup == SPAN_TEXT)
		live_field(start, RESULT_STRING, 0, 64, SPACE_USER,
			   LIVE_STEPS({ .op = FETCH_CONSTANT,
					.value = (int64_t)(uintptr_t)some_text }));
	if (setup == SPAN_STACK)
		live_stacks(start, true, false);
	live_span_middle(end);
	if (setup == SPAN_ALL || setup == TALLY_ALL) {
		l->traced_only = false;
		l->env.target.not_pid = (uint32_t)getpid();
	}
	if (setup >= TALLY_COUNT)
		return add_tally(l, end, setup);
	live_number(end, 8, CTX(8));
	end->fields[0].is_signed = true;
	for (int64_t i = 0; setup == SPAN_ARGS && i < 6; i++)
		live_number(end, 8, REGISTER(FETCH_TYPED, 5 + i));
	return 0;
}

static int add_probes(struct live *l, enum setup setup)
{
	struct live_probe *enter, *leave;

	if (setup >= SPAN) {
		if (live_add_span(l, "sys_enter", "sys_exit", &enter, &leave))
			return -EOPNOTSUPP;
		return add_span_fields(l, enter, leave, setup);
	}
	if (live_add_typed(l, "sys_enter", &enter) || live_add_typed(l, "sys_exit", &leave))
		return -EOPNOTSUPP;
	add_fields(l, enter, leave, setup);
	return 0;
}

static void free_parts(struct live *l)
{
	for (uint32_t i = 0; i < l->nr_probes; i++) {
		expr_free(l->probes[i].p.filter);
		tally_free(l->probes[i].p.tally);
	}
}

static int load_empty(struct live *l)
{
	struct bpfcode c;
	int err = 0;

	for (uint32_t i = 0; !err && i < l->nr_probes; i++) {
		struct live_probe *lp = &l->probes[i];
		LIBBPF_OPTS(bpf_prog_load_opts, opts, .expected_attach_type = BPF_TRACE_RAW_TP,
			    .attach_btf_id = lp->v.attach_btf_id);

		bpfcode_init(&c);
		bpfcode_op_imm(&c, BPF_MOV, BPF_REG_0, 0);
		bpfcode_exit(&c);
		lp->v.prog_fd = bpf_prog_load(BPF_PROG_TYPE_TRACING, "empty", "GPL", c.insns, c.nr,
					      &opts);
		bpfcode_release(&c);
		err = lp->v.prog_fd < 0 ? -errno : live_attach(lp);
	}
	return err;
}

static void look_at(void *ctx, uint32_t cpu, const struct probe_record *rec)
{
	uint64_t *sum = ctx;

	*sum += rec->time_ns ^ rec->probe ^ cpu;
}

static void add_row(void *ctx, const struct tally_row *row)
{
	struct run *run = ctx;

	run->records += row->count;
}

/* All that came, counted one by one or together. */
static void read_all(struct live *l, struct run *run)
{
	uint64_t sum = 0;

	run->records += live_take(l, look_at, &sum);
	for (uint32_t i = 0; i < l->nr_probes; i++)
		if (l->probes[i].p.tally)
			tally_collect(l->probes[i].p.tally, add_row, run);
}

static int measure(enum setup setup, enum proberings_way way, long calls, struct run *run)
{
	struct load w = {
		.calls = calls, .threads = setup == TWO_THREADS ? 2 : 1,
		.lock = PTHREAD_MUTEX_INITIALIZER,
	};
	struct live_child child;
	struct live l;
	double figures[2], cpu;
	int ends[2], err = 0;

	live_init(&l);
	if (add_probes(&l, setup) || pipe(ends) < 0)
		return -EOPNOTSUPP;
	w.result_fd = ends[1];
	if (setup == EMPTY)
		err = load_empty(&l);
	else if (setup != BARE)
		err = live_open(&l, way);
	if (err) {
		fprintf(stderr, "%s: %s\n", setup_names[setup], l.diag.text);
		live_close(&l);
		return err;
	}
	child = live_fork(run_load, &w);
	if (setup != DROPPED)
		live_follow(&l, child.pid);
	if (l.rings)
		proberings_enable(l.rings, true);
	cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
	close(child.go_fd);
	*run = (struct run){ 0 };
	while (waitpid(child.pid, NULL, WNOHANG) == 0) {
		struct timespec nap = { 0, 2000000 };

		if (l.rings)
			read_all(&l, run);
		nanosleep(&nap, NULL);
	}
	live_detach(&l);
	if (l.rings) {
		read_all(&l, run);
		for (uint32_t i = 0; i < l.nr_probes; i++)
			run->lost += live_lost(&l, i);
	}
	cpu = seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu;
	if (read(ends[0], figures, sizeof(figures)) != sizeof(figures))
		err = -EIO;
	run->ns = figures[0] * 1e9 / (double)calls / w.threads;
	run->reader_ns = run->records ? cpu * 1e9 / (double)run->records : 0;
	run->seconds = figures[1];
	close(ends[0]);
	close(ends[1]);
	free_parts(&l);
	live_close(&l);
	return err;
}

static int by_ns(const void *a, const void *b)
{
	const struct run *x = a, *y = b;

	return (x->ns > y->ns) - (x->ns < y->ns);
}

static bool is_chosen(long setup, long only)
{
	return !only || setup <= EMPTY || setup == only;
}

int main(int argc, char **argv)
{
	static struct run runs[NR_SETUPS][MAX_ROUNDS];
	enum proberings_way way = RINGS_AUTO;
	long calls = 500000, rounds = 5, nr_setups = NR_SETUPS, only = 0;
	double bare;
	int opt;

	while ((opt = getopt(argc, argv, "c:r:s:w:x:")) != -1) {
		if (opt == 'c')
			calls = atol(optarg);
		else if (opt == 'r')
			rounds = atol(optarg);
		else if (opt == 's')
			nr_setups = atol(optarg);
		else if (opt == 'x')
			only = atol(optarg);
		else if (opt == 'w')
			way = *optarg == 'm' ? RINGS_MAPPED :
			      *optarg == 'r' ? RINGS_RINGBUF : RINGS_PERFBUF;
		else
			return 2;
	}
	if (nr_setups < 1 || nr_setups > NR_SETUPS || rounds < 1 || rounds > MAX_ROUNDS || calls < 1)
		return 2;
	for (long round = 0; round < rounds; round++)
		for (int s = 0; s < nr_setups; s++)
			if (is_chosen(s, only) && measure((enum setup)s, way, calls, &runs[s][round]))
				return 1;
	printf("%-34s %9s %9s %10s %9s %6s %9s\n", "", "ns/call", "added", "records", "lost",
	       "M/s", "reader ns");
	for (int s = 0; s < nr_setups; s++)
		qsort(runs[s], (size_t)rounds, sizeof(struct run), by_ns);
	bare = runs[BARE][0].ns;
	for (int s = 0; s < nr_setups; s++) {
		const struct run *r = &runs[s][0];

		if (!is_chosen(s, only))
			continue;
		printf("%-34s %9.1f %9.1f %10lu %9lu %6.2f %9.1f\n", setup_names[s], r->ns,
		       r->ns - bare, r->records, r->lost,
		       (double)r->records / r->seconds / 1e6, r->reader_ns);
	}
	return 0;
}
