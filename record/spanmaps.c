#include "record/spanmaps.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "record/hostinfo.h"
#include "record/probeprog.h"

#define ALL_TABLES_BYTES (UINT64_C(64) << 20)	/* if there are no very many */
#define MAX_STARTS 16384
#define MAX_THREADS 65536
#define LEAST_ENTRIES 256	/* and some for each CPU */
#define CPU_ENTRIES 16
#define ENTRY_BYTES 64		/* what the kernel needs for each, about */
#define MAX_LEFT_OUT 60
/* Starts that are older make room when there is none: most of them get no end any more. */
#define OLD_NS UINT64_C(10000000000)
#define INITIAL_PID_NAMESPACE 0xeffffffcu

struct table {
	int fd, zeros_fd;
	uint32_t family;
	uint32_t nr_keys, value_bytes, nr_probes;
	uint32_t max_entries;
	bool stays, by_thread;
	uint64_t no_room;		/* of its probes, at the last call to sweep it */
	unsigned int sweeps_left_out, sweeps_to_leave_out;
};

struct waiting {
	uint64_t nr;
	bool is_fresh;
};

struct spanmaps {
	struct table *tables;
	size_t nr_tables;
	uint32_t *table_of;		/* by probe; UINT32_MAX: no span */
	uint32_t nr_probes, nr_counted;	/* rows of the counts: a power of two */
	uint32_t least_entries;
	int counts_fd;
	uint64_t *counts;		/* memory of the map */
	uint64_t *ended;		/* by probe: starts that were swept away */
	struct waiting *waiting;	/* by probe */
};

static const uint32_t no_table = UINT32_MAX;

/* --- opening ----------------------------------------------------------------------------- */

static struct table *find_family(struct spanmaps *m, uint32_t family)
{
	for (size_t i = 0; family && i < m->nr_tables; i++)
		if (m->tables[i].family == family)
			return &m->tables[i];
	return NULL;
}

/* Keys that come again and again. */
static bool has_few_keys(const struct probe_span *span)
{
	const struct probe_value *key = &span->start->variants[0].keys[0];

	if (span->by_thread)
		return span->nr_keys == 1 || span->by_frame;
	return span->nr_keys == 1 && key->nr_steps == 1 && key->steps[0].op == FETCH_CPU;
}

static void plan_table(struct spanmaps *m, const struct probe_span *span, uint32_t probe)
{
	uint32_t bytes = (uint32_t)probeprog_start_bytes(span);
	struct table *t = find_family(m, span->family);

	if (!t) {
		t = &m->tables[m->nr_tables++];
		*t = (struct table){
			.fd = -1, .zeros_fd = -1, .family = span->family,
			.nr_keys = (uint32_t)span->nr_keys, .by_thread = span->by_thread,
			.stays = has_few_keys(span),
		};
	}
	if (bytes > t->value_bytes)
		t->value_bytes = bytes;
	t->nr_probes++;
	m->table_of[probe] = (uint32_t)(t - m->tables);
}

static uint32_t choose_entries(const struct spanmaps *m, const struct table *t)
{
	uint64_t nr = ALL_TABLES_BYTES / m->nr_tables / (t->value_bytes + ENTRY_BYTES);

	if (nr > (t->stays ? MAX_THREADS : MAX_STARTS))
		return t->stays ? MAX_THREADS : MAX_STARTS;
	return nr < m->least_entries ? m->least_entries : (uint32_t)nr;
}

static int open_table(const struct spanmaps *m, struct table *t)
{
	uint32_t key_bytes = t->nr_keys * (uint32_t)sizeof(uint64_t);

	t->max_entries = choose_entries(m, t);
	/* Memory may be limited, and how much a map may take. */
	for (;;) {
		t->fd = bpf_map_create(BPF_MAP_TYPE_HASH, "kymo_starts", key_bytes, t->value_bytes,
				       t->max_entries, NULL);
		if (t->fd >= 0 || t->max_entries <= m->least_entries ||
		    (errno != ENOMEM && errno != E2BIG && errno != EPERM))
			break;
		t->max_entries /= 2;
	}
	if (t->fd < 0)
		return -errno;
	t->zeros_fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "kymo_zeros", sizeof(uint32_t),
				     t->value_bytes, 1, NULL);
	return t->zeros_fd < 0 ? -errno : 0;
}

/* Counts of probes, then of entries of tables that stay. */
static size_t counts_bytes(const struct spanmaps *m)
{
	return (size_t)m->nr_counted * SPANMAPS_COUNTS_BYTES + m->nr_tables * sizeof(uint64_t);
}

static uint64_t *staying(const struct spanmaps *m, const struct table *t)
{
	return &m->counts[(size_t)m->nr_counted * SPANMAPS_COUNTS_BYTES / sizeof(uint64_t) +
			  (size_t)(t - m->tables)];
}

static int open_counts(struct spanmaps *m)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_MMAPABLE);
	size_t bytes = counts_bytes(m);

	m->counts_fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "kymo_spans", sizeof(uint32_t),
				      (uint32_t)bytes, 1, &opts);
	if (m->counts_fd < 0)
		return -errno;
	m->counts = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, m->counts_fd, 0);
	if (m->counts == MAP_FAILED) {
		m->counts = NULL;
		return -errno;
	}
	/* Processes that we start would keep it alive. */
	madvise(m->counts, bytes, MADV_DONTFORK);
	return 0;
}

static int allocate(struct spanmaps *m, uint32_t nr_probes, uint32_t nr_cpus)
{
	m->least_entries = LEAST_ENTRIES + CPU_ENTRIES * nr_cpus;
	m->counts_fd = -1;
	m->nr_probes = nr_probes;
	m->nr_counted = 1;
	while (m->nr_counted < nr_probes)
		m->nr_counted *= 2;
	m->tables = calloc(nr_probes ? nr_probes : 1, sizeof(*m->tables));
	m->table_of = calloc(nr_probes ? nr_probes : 1, sizeof(*m->table_of));
	m->ended = calloc(nr_probes ? nr_probes : 1, sizeof(*m->ended));
	m->waiting = calloc(nr_probes ? nr_probes : 1, sizeof(*m->waiting));
	return m->tables && m->table_of && m->ended && m->waiting ? 0 : -ENOMEM;
}

int spanmaps_open(struct spanmaps **out, const struct probes *set, uint32_t nr_cpus,
		  struct diag *d)
{
	struct spanmaps *m = calloc(1, sizeof(*m));
	int err = m ? allocate(m, (uint32_t)set->nr, nr_cpus) : -ENOMEM;

	*out = NULL;
	for (uint32_t i = 0; !err && i < set->nr; i++) {
		m->table_of[i] = no_table;
		if (set->list[i]->span)
			plan_table(m, set->list[i]->span, i);
	}
	if (!err)
		err = open_counts(m);
	for (size_t i = 0; !err && i < m->nr_tables; i++)
		err = open_table(m, &m->tables[i]);
	if (err) {
		spanmaps_close(m);
		return diag_set(d, err, err == -EPERM ?
				"cannot create the tables of spans: %s (run as root, or with "
				"CAP_BPF and CAP_PERFMON)" : "cannot create the tables of spans: %s",
				strerror(-err));
	}
	*out = m;
	return 0;
}

void spanmaps_close(struct spanmaps *m)
{
	if (!m)
		return;
	for (size_t i = 0; i < m->nr_tables; i++) {
		if (m->tables[i].fd >= 0)
			close(m->tables[i].fd);
		if (m->tables[i].zeros_fd >= 0)
			close(m->tables[i].zeros_fd);
	}
	if (m->counts)
		munmap(m->counts, counts_bytes(m));
	if (m->counts_fd >= 0)
		close(m->counts_fd);
	free(m->tables);
	free(m->table_of);
	free(m->ended);
	free(m->waiting);
	free(m);
}

void spanmaps_table(const struct spanmaps *m, uint32_t probe, struct spanmaps_table *out)
{
	const struct table *t = &m->tables[m->table_of[probe]];

	*out = (struct spanmaps_table){
		.fd = t->fd, .zeros_fd = t->zeros_fd, .counts_fd = m->counts_fd,
		.counts_mask = m->nr_counted - 1, .value_bytes = t->value_bytes,
		.nr_keys = t->nr_keys, .is_shared = t->nr_probes > 1,
		.stays = t->stays, .most_staying = t->max_entries / 2,
		.staying_offset = (uint32_t)((char *)staying(m, t) - (char *)m->counts),
	};
}

/* --- counts ------------------------------------------------------------------------------- */

static uint64_t read_count(const struct spanmaps *m, uint32_t probe, uint32_t what)
{
	return __atomic_load_n(&m->counts[(size_t)probe * SPANMAPS_COUNTS_BYTES /
					  sizeof(uint64_t) + what], __ATOMIC_RELAXED);
}

void spanmaps_counts(const struct spanmaps *m, uint32_t probe, struct spanmaps_counts *out)
{
	*out = (struct spanmaps_counts){
		.no_start = read_count(m, probe, SPANMAPS_NO_START),
		.replaced = read_count(m, probe, SPANMAPS_REPLACED) + m->ended[probe],
		.no_room = read_count(m, probe, SPANMAPS_NO_ROOM),
		.backwards = read_count(m, probe, SPANMAPS_BACKWARDS),
	};
}

/* --- walks -------------------------------------------------------------------------------- */

struct entry {
	uint64_t key[PROBE_SPAN_MAX_KEYS];
	struct spanmaps_start start;
	bool stays;
};

typedef void (*entry_fn)(struct spanmaps *m, struct table *t, const struct entry *e, void *ctx);

/* The next key is asked for before fn(), which may remove this one. */
static void walk(struct spanmaps *m, struct table *t, entry_fn fn, void *ctx)
{
	uint64_t next[PROBE_SPAN_MAX_KEYS], stays;
	struct spanmaps_start *value = malloc(t->value_bytes);
	struct entry e;
	/* Others insert and remove meanwhile, which may send us back to the beginning. */
	uint32_t left = 2 * t->max_entries;
	bool more = value && bpf_map_get_next_key(t->fd, NULL, next) == 0;

	while (more && left--) {
		memcpy(e.key, next, t->nr_keys * sizeof(uint64_t));
		more = bpf_map_get_next_key(t->fd, e.key, next) == 0;
		if (bpf_map_lookup_elem(t->fd, e.key, value) < 0)
			continue;
		e.start = *value;
		memcpy(&stays, (const char *)value + SPANMAPS_STAYS_OFFSET, sizeof(stays));
		e.stays = stays != 0;
		fn(m, t, &e, ctx);
	}
	free(value);
}

static uint32_t probe_of(const struct spanmaps *m, const struct table *t, const struct entry *e)
{
	if (t->nr_probes > 1)
		return e->start.probe < m->nr_probes ? e->start.probe : 0;
	for (uint32_t i = 0; i < m->nr_probes; i++)
		if (m->table_of[i] == (uint32_t)(t - m->tables))
			return i;
	return 0;
}

static void count_waiting(struct spanmaps *m, struct table *t, const struct entry *e, void *ctx)
{
	(void)ctx;
	if (e->start.time_ns)
		m->waiting[probe_of(m, t, e)].nr++;
}

uint64_t spanmaps_open_starts(struct spanmaps *m, uint32_t probe)
{
	if (m->table_of[probe] == no_table)
		return 0;
	if (!m->waiting[probe].is_fresh) {
		for (uint32_t i = 0; i < m->nr_probes; i++)
			if (m->table_of[i] == m->table_of[probe])
				m->waiting[i] = (struct waiting){ .is_fresh = true };
		walk(m, &m->tables[m->table_of[probe]], count_waiting, NULL);
	}
	m->waiting[probe].is_fresh = false;
	return m->waiting[probe].nr;
}

/* --- sweeping ----------------------------------------------------------------------------- */

/* Whether the numbers that programs see are those that we see. */
static bool sees_all_threads(void)
{
	struct stat st;

	return stat("/proc/self/ns/pid", &st) == 0 && st.st_ino == INITIAL_PID_NAMESPACE;
}

struct sweep {
	uint32_t nr, nr_removed;
	uint64_t now_ns;
};

static void remove_entry(struct spanmaps *m, struct table *t, const struct entry *e,
			 struct sweep *sweep)
{
	if (bpf_map_delete_elem(t->fd, e->key) < 0)
		return;
	sweep->nr_removed++;
	if (e->stays)
		__atomic_fetch_sub(staying(m, t), 1, __ATOMIC_RELAXED);
	if (e->start.time_ns)
		m->ended[probe_of(m, t, e)]++;
}

static void remove_ended(struct spanmaps *m, struct table *t, const struct entry *e, void *ctx)
{
	struct sweep *sweep = ctx;

	sweep->nr++;
	if (kill((pid_t)(uint32_t)e->start.task, 0) < 0 && errno == ESRCH)
		remove_entry(m, t, e, sweep);
}

static void remove_old(struct spanmaps *m, struct table *t, const struct entry *e, void *ctx)
{
	struct sweep *sweep = ctx;

	sweep->nr++;
	if (!e->stays && e->start.time_ns && e->start.time_ns + OLD_NS < sweep->now_ns)
		remove_entry(m, t, e, sweep);
}

/* Whether there may be something to win; asked once for each call. */
static bool is_crowded(const struct spanmaps *m, struct table *t)
{
	uint64_t no_room = 0, before = t->no_room;

	for (uint32_t i = 0; i < m->nr_probes; i++)
		if (m->table_of[i] == (uint32_t)(t - m->tables))
			no_room += read_count(m, i, SPANMAPS_NO_ROOM);
	t->no_room = no_room;
	return no_room != before ||
	       __atomic_load_n(staying(m, t), __ATOMIC_RELAXED) >= t->max_entries / 2;
}

void spanmaps_sweep(struct spanmaps *m)
{
	for (size_t i = 0; i < m->nr_tables; i++) {
		struct table *t = &m->tables[i];
		struct sweep sweep = { .now_ns = hostinfo_now_ns() };

		if (!is_crowded(m, t) || t->sweeps_left_out++ < t->sweeps_to_leave_out ||
		    (t->by_thread && !sees_all_threads()))
			continue;
		walk(m, t, t->by_thread ? remove_ended : remove_old, &sweep);
		t->sweeps_left_out = 0;
		if (sweep.nr_removed > sweep.nr / 8)
			t->sweeps_to_leave_out = 0;
		else if (t->sweeps_to_leave_out < MAX_LEFT_OUT)
			t->sweeps_to_leave_out = 2 * t->sweeps_to_leave_out + 1;
	}
}
