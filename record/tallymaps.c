#define _GNU_SOURCE
#include "record/tallymaps.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "format/buckets.h"
#include "record/proberings_private.h"

#define MOST_COUNTER_BYTES (64u << 20)
#define LEAST_STACK_FRAMES 8
#define BUCKETS_OF_OWNER 256

static int create_hash(struct tallymaps_numbers *n, const char *name, uint32_t key_bytes)
{
	n->hash_fd = bpf_map_create(BPF_MAP_TYPE_HASH, name, key_bytes, sizeof(uint32_t), n->max,
				    NULL);
	return n->hash_fd < 0 ? -errno : 0;
}

/* The least number is on top. */
static int create_free_numbers(struct tallymaps_numbers *n)
{
	int err = 0;

	n->free_fd = bpf_map_create(BPF_MAP_TYPE_STACK, "kymo_tally_free", 0, sizeof(uint32_t),
				    n->max, NULL);
	if (n->free_fd < 0)
		return -errno;
	for (uint32_t i = n->max; i > 0 && !err; i--) {
		uint32_t number = i - 1;

		err = bpf_map_update_elem(n->free_fd, NULL, &number, BPF_ANY);
	}
	return err;
}

/* key_bytes 0: numbers are not handed out, each owner has its own. */
static int open_numbers(struct tallymaps *m, struct tallymaps_numbers *n, const char *name,
			uint32_t key_bytes)
{
	int err = proberings_map_array(name, n->row_bytes, n->max, &n->area_fd,
				       (void **)&n->area);

	n->known = calloc(n->max, 1);
	if (!err && !n->known)
		err = -ENOMEM;
	if (!err && key_bytes)
		err = create_hash(n, name, key_bytes);
	if (!err && key_bytes && !m->atomics)
		err = create_free_numbers(n);
	return err;
}

static void close_numbers(struct tallymaps_numbers *n)
{
	const int fds[] = { n->hash_fd, n->area_fd, n->free_fd };

	proberings_unmap_array(n->area, n->row_bytes, n->max);
	free(n->known);
	for (size_t i = 0; i < 3; i++)
		if (fds[i] >= 0)
			close(fds[i]);
}

static int create_stacks(const struct tallymaps *m, uint32_t nr)
{
	return bpf_map_create(BPF_MAP_TYPE_STACK_TRACE, "kymo_stacks", sizeof(uint32_t),
			      m->stack_bytes, nr ? nr : 1, NULL);
}

/* How many frames are kept is the administrator's to limit. */
static int open_stacks(struct tallymaps *m, uint32_t nr)
{
	for (uint32_t frames = PROBE_MAX_STACK; frames >= LEAST_STACK_FRAMES; frames /= 2) {
		m->stack_bytes = frames * (uint32_t)sizeof(uint64_t);
		m->stacks_fd[0] = create_stacks(m, nr);
		if (m->stacks_fd[0] >= 0 || errno != EINVAL)
			break;
	}
	if (m->stacks_fd[0] >= 0)
		m->stacks_fd[1] = create_stacks(m, nr / 4);
	return m->stacks_fd[0] < 0 || m->stacks_fd[1] < 0 ? -errno : 0;
}

static void choose_parts(struct tallymaps *m, uint32_t nr_cpus)
{
	size_t bytes = m->keys.max * sizeof(struct tally_counters) +
		       (m->histogram ? m->buckets.max * sizeof(uint64_t) : 0);
	uint64_t nr = proberings_round_up(nr_cpus);

	while (nr > 1 && nr * bytes > MOST_COUNTER_BYTES)
		nr /= 2;
	m->part_mask = (uint32_t)nr - 1;
	m->nr_parts = nr < nr_cpus ? (uint32_t)nr : nr_cpus;
}

/* Keys that stand for their owners alone are there from the start. */
static void name_owners(struct tallymaps *m)
{
	for (uint32_t i = 0; i < m->nr_owners; i++) {
		uint64_t row[2] = { TALLYMAPS_READY, i };

		memcpy(m->keys.area + (size_t)i * m->keys.row_bytes, row, m->keys.row_bytes);
	}
	m->next[0] = m->nr_owners;
}

static int open_maps(struct tallymaps *m)
{
	uint32_t nr_lost = m->nr_parts * m->nr_owners * 2;
	uint32_t max_entries = m->histogram ? m->buckets.max : m->keys.max;
	int err;

	m->entries = malloc(max_entries * sizeof(*m->entries));
	m->fresh = malloc(max_entries * sizeof(*m->fresh));
	m->first = calloc(m->nr_owners + 1, sizeof(*m->first));
	m->row_counts = malloc((2 * BUCKETS_LAST + 1) * sizeof(*m->row_counts));
	m->limits = calloc(m->keys.max, sizeof(*m->limits));
	if (!m->entries || !m->fresh || !m->first || !m->row_counts || !m->limits)
		return -ENOMEM;
	err = open_numbers(m, &m->keys, "kymo_keys", m->key_bytes);
	if (!err && m->histogram)
		err = open_numbers(m, &m->buckets, "kymo_buckets", sizeof(uint64_t));
	if (!err)
		err = proberings_map_array("kymo_next", 2 * sizeof(uint64_t), 1, &m->next_fd,
					   (void **)&m->next);
	if (!err)
		err = proberings_map_array("kymo_counters", sizeof(struct tally_counters),
					   m->nr_parts * m->keys.max, &m->counters_fd,
					   (void **)&m->counters);
	if (!err && m->histogram)
		err = proberings_map_array("kymo_counts", sizeof(uint64_t),
					   m->nr_parts * m->buckets.max, &m->counts_fd,
					   (void **)&m->counts);
	if (!err)
		err = proberings_map_array("kymo_tally_lost", sizeof(uint64_t), nr_lost,
					   &m->lost_fd, (void **)&m->lost);
	if (!err && !m->key_bytes)
		name_owners(m);
	return err;
}

static void close_maps(struct tallymaps *m)
{
	const int fds[] = { m->next_fd, m->counters_fd, m->counts_fd, m->lost_fd,
			    m->stacks_fd[0], m->stacks_fd[1] };

	close_numbers(&m->keys);
	close_numbers(&m->buckets);
	proberings_unmap_array(m->next, 2 * sizeof(uint64_t), 1);
	proberings_unmap_array(m->counters, sizeof(struct tally_counters),
			       m->nr_parts * m->keys.max);
	proberings_unmap_array(m->counts, sizeof(uint64_t), m->nr_parts * m->buckets.max);
	proberings_unmap_array(m->lost, sizeof(uint64_t), m->nr_parts * m->nr_owners * 2);
	for (size_t i = 0; i < sizeof(fds) / sizeof(*fds); i++)
		if (fds[i] >= 0)
			close(fds[i]);
	free(m->entries);
	free(m->fresh);
	free(m->first);
	free(m->row_counts);
	free(m->limits);
	free(m);
}

/* Without a key each owner is one. */
static uint32_t max_buckets(const struct tally *t, uint32_t nr_owners)
{
	uint32_t max = t->key_bytes ? 0 : nr_owners * BUCKETS_OF_OWNER;

	if (max > TALLY_MOST_BUCKETS)
		max = TALLY_MOST_BUCKETS;
	return max > t->max_buckets ? max : t->max_buckets;
}

int tallymaps_open(struct tally *const *tallies, uint32_t nr, bool stacks, uint32_t nr_cpus,
		   bool atomics, struct diag *d)
{
	const struct tally *t = tallies[0];
	uint32_t prefix = nr > 1 && t->key_bytes ? sizeof(uint64_t) : 0;
	struct tallymaps *m = calloc(1, sizeof(*m));
	int err;

	if (!m)
		return diag_set(d, -ENOMEM, "out of memory");
	*m = (struct tallymaps){
		.nr_owners = nr, .histogram = t->histogram, .atomics = atomics,
		.key_bytes = t->key_bytes + prefix, .key_skip = prefix,
		.keys = { .hash_fd = -1, .area_fd = -1, .free_fd = -1,
			  .max = t->key_bytes ? t->max_keys : nr },
		.buckets = { .hash_fd = -1, .area_fd = -1, .free_fd = -1,
			     .next_offset = sizeof(uint64_t), .max = max_buckets(t, nr),
			     .row_bytes = sizeof(uint64_t) },
		.next_fd = -1, .counters_fd = -1, .counts_fd = -1, .lost_fd = -1,
		.stacks_fd = { -1, -1 },
	};
	m->keys.row_bytes = (uint32_t)sizeof(uint64_t) +
			    (m->key_bytes ? m->key_bytes : (uint32_t)sizeof(uint64_t));
	choose_parts(m, nr_cpus ? nr_cpus : 1);
	err = open_maps(m);
	if (!err && stacks)
		err = open_stacks(m, t->max_stacks);
	if (err) {
		close_maps(m);
		return diag_set(d, err, err == -EPERM ?
				"cannot create the maps of a tally: %s (run as root, or with CAP_BPF "
				"and CAP_PERFMON)" : err == -ENOMEM || err == -E2BIG ?
				"cannot create the maps of a tally: %s (fewer keys need less: keys=N)" :
				"cannot create the maps of a tally: %s", strerror(-err));
	}
	m->users = nr;
	for (uint32_t i = 0; i < nr; i++) {
		tallies[i]->maps = m;
		tallies[i]->owner = i;
	}
	return 0;
}

void tallymaps_leave(struct tally *t)
{
	if (t->maps && --t->maps->users == 0)
		close_maps(t->maps);
	t->maps = NULL;
}
