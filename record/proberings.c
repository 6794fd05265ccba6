#include "record/proberings.h"

#include "record/bpfcode.h"
#include "record/proberings_private.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define DEFAULT_CPU_BYTES (32u << 20)
#define DEFAULT_ALL_BYTES (256u << 20)	/* of machines with many CPUs */
#define LEAST_CPU_BYTES (64u << 10)
#define MOST_CPU_BYTES (256u << 20)	/* the verifier follows offsets of 29 bits */

uint64_t proberings_round_up(uint64_t n)
{
	uint64_t power = 1;

	while (power < n)
		power *= 2;
	return power;
}

/* --- maps ---------------------------------------------------------------------------- */

static size_t mapped_bytes(size_t value_bytes, uint32_t nr_values)
{
	size_t page_bytes = (size_t)sysconf(_SC_PAGESIZE);

	return (value_bytes * nr_values + page_bytes - 1) & ~(page_bytes - 1);
}

int proberings_map_array(const char *name, size_t value_bytes, uint32_t nr_values, int *fd,
			 void **mapped)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_MMAPABLE);
	int err;

	*mapped = NULL;
	*fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, name, sizeof(uint32_t), (uint32_t)value_bytes,
			     nr_values, &opts);
	if (*fd < 0) {
		err = -errno;
		*fd = -1;
		return err;
	}
	*mapped = mmap(NULL, mapped_bytes(value_bytes, nr_values), PROT_READ | PROT_WRITE,
		       MAP_SHARED, *fd, 0);
	if (*mapped != MAP_FAILED) {
		/* Processes that we start would keep it alive. */
		madvise(*mapped, mapped_bytes(value_bytes, nr_values), MADV_DONTFORK);
		return 0;
	}
	err = -errno;
	*mapped = NULL;
	close(*fd);
	*fd = -1;
	return err;
}

void proberings_unmap_array(void *mapped, size_t value_bytes, uint32_t nr_values)
{
	if (mapped)
		munmap(mapped, mapped_bytes(value_bytes, nr_values));
}

static bool kernel_has_atomics(void)
{
	struct bpfcode c;
	int fd = -1;

	bpfcode_init(&c);
	bpfcode_store_imm(&c, 8, BPF_REG_10, -8, 0);
	bpfcode_op_imm(&c, BPF_MOV, BPF_REG_0, 0);
	bpfcode_op_imm(&c, BPF_MOV, BPF_REG_1, 1);
	bpfcode_atomic(&c, BPF_CMPXCHG, BPF_REG_10, -8, BPF_REG_1);
	bpfcode_op_imm(&c, BPF_MOV, BPF_REG_0, 0);
	bpfcode_exit(&c);
	if (!bpfcode_finish(&c))
		fd = bpf_prog_load(BPF_PROG_TYPE_RAW_TRACEPOINT, "kymo_try", "GPL", c.insns,
				   c.nr, NULL);
	bpfcode_release(&c);
	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

/* --- opening --------------------------------------------------------------------------- */

static const struct proberings_ops *ops_of(enum proberings_way way)
{
	switch (way) {
	case RINGS_MAPPED: return proberings_mapped_ops();
	case RINGS_RINGBUF: return proberings_queue_ringbuf();
	default: return proberings_queue_perfbuf();
	}
}

static int open_way(struct proberings *r, enum proberings_way way, struct diag *d)
{
	int err;

	r->way = way;
	r->ops = ops_of(way);
	err = r->ops->open(r, d);
	if (err)
		r->ops->close(r);
	return err;
}

static int open_rings(struct proberings *r, enum proberings_way way, struct diag *d)
{
	static const enum proberings_way ways[] = { RINGS_MAPPED, RINGS_RINGBUF };

	for (size_t i = 0; way == RINGS_AUTO && i < 2; i++)
		if (!open_way(r, ways[i], NULL))
			return 0;
	return open_way(r, way == RINGS_AUTO ? RINGS_PERFBUF : way, d);
}

static uint64_t choose_cpu_bytes(const struct proberings_opts *opts, uint32_t nr_cpus)
{
	uint64_t bytes = opts->cpu_bytes, least = 4 * opts->max_record_bytes;

	if (!bytes) {
		bytes = opts->default_cpu_bytes ? opts->default_cpu_bytes : DEFAULT_CPU_BYTES;
		while (bytes * nr_cpus > DEFAULT_ALL_BYTES && bytes > LEAST_CPU_BYTES)
			bytes /= 2;
	}
	if (bytes > MOST_CPU_BYTES)
		bytes = MOST_CPU_BYTES;
	bytes = proberings_round_up(bytes / 2 + 1);
	return bytes < least ? proberings_round_up(least) : bytes;
}

int proberings_open(struct proberings **out, const struct proberings_opts *opts,
		    struct diag *d)
{
	struct proberings *r = calloc(1, sizeof(*r));
	int err, nr_cpus = libbpf_num_possible_cpus();

	*out = NULL;
	if (!r)
		return diag_set(d, -ENOMEM, "out of memory");
	r->poll_fd = -1;
	r->maps = (struct proberings_maps){
		.control_fd = -1, .lost_fd = -1, .ring_fd = -1, .scratch_fd = -1,
		.nr_cpus = nr_cpus > 0 ? (uint32_t)nr_cpus : 1,
		.nr_probes = opts->nr_probes ? opts->nr_probes : 1,
		.max_record_bytes = opts->max_record_bytes,
	};
	r->maps.cpu_bytes = choose_cpu_bytes(opts, r->maps.nr_cpus);
	err = proberings_map_array("kymo_control", sizeof(uint64_t), 1, &r->maps.control_fd,
				   (void **)&r->enabled);
	if (!err)
		err = proberings_map_array("kymo_lost", sizeof(uint64_t),
					   r->maps.nr_cpus * r->maps.nr_probes,
					   &r->maps.lost_fd, (void **)&r->lost);
	if (!err) {
		r->maps.atomics = kernel_has_atomics();
		err = open_rings(r, opts->way, d);
	}
	if (err) {
		proberings_close(r);
		return diag_set(d, err, err == -EPERM ?
				"cannot create BPF maps: %s (run as root, or with CAP_BPF and "
				"CAP_PERFMON)" : "cannot create the probes' buffers: %s",
				strerror(-err));
	}
	*out = r;
	return 0;
}

void proberings_close(struct proberings *r)
{
	if (!r)
		return;
	if (r->ops)
		r->ops->close(r);
	proberings_unmap_array(r->enabled, sizeof(uint64_t), 1);
	proberings_unmap_array(r->lost, sizeof(uint64_t), r->maps.nr_cpus * r->maps.nr_probes);
	if (r->maps.control_fd >= 0)
		close(r->maps.control_fd);
	if (r->maps.lost_fd >= 0)
		close(r->maps.lost_fd);
	free(r);
}

/* --- the rest ----------------------------------------------------------------------------- */

enum proberings_way proberings_way(const struct proberings *r)
{
	return r->way;
}

const char *proberings_way_name(const struct proberings *r)
{
	return r->ops->name;
}

void proberings_enable(struct proberings *r, bool on)
{
	__atomic_store_n(r->enabled, on, __ATOMIC_SEQ_CST);
}

void proberings_maps(const struct proberings *r, struct proberings_maps *maps)
{
	*maps = r->maps;
}

uint32_t proberings_nr_lanes(const struct proberings *r)
{
	return r->nr_lanes;
}

size_t proberings_take(struct proberings *r, uint32_t lane, uint64_t until_ns,
		       proberings_fn fn, void *ctx)
{
	return r->ops->take(r, lane, until_ns, fn, ctx);
}

bool proberings_is_empty(const struct proberings *r)
{
	return !r->ops->is_empty || r->ops->is_empty(r);
}

unsigned int proberings_fill_percent(const struct proberings *r)
{
	return r->ops->fill_percent(r);
}

int proberings_fd(const struct proberings *r)
{
	return r->poll_fd;
}

uint64_t proberings_lost(const struct proberings *r, uint32_t probe, uint32_t cpu)
{
	return __atomic_load_n(&r->lost[(size_t)cpu * r->maps.nr_probes + probe],
			       __ATOMIC_RELAXED);
}
