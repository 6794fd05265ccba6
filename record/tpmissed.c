#include "record/tpmissed.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "record/btftypes.h"
#include "record/proberings_private.h"
#include "record/tpraw.h"

#define MAX_DEPTH 4

static bool has_member(const struct btftypes *types, uint32_t id, const char *name, int depth)
{
	for (uint32_t i = 0; i < btftypes_nr_members(types, id); i++) {
		struct btftypes_member m = btftypes_member_at(types, id, i);

		if (!strcmp(m.name, name) ||
		    (depth && has_member(types, m.type, name, depth - 1)))
			return true;
	}
	return false;
}

/* What tells of a link how often its program was left out came with the counting. */
static bool kernel_counts(void)
{
	struct btftypes *types;
	bool counts;

	if (btftypes_get(&types, NULL, NULL))
		return false;
	counts = has_member(types, btftypes_find(types, "bpf_link_info", BTF_KIND_STRUCT),
			    "missed", MAX_DEPTH);
	btftypes_put(types);
	return counts;
}

int tpmissed_open(struct tpmissed *t, uint32_t cap)
{
	int err;

	*t = (struct tpmissed){ .map_fd = -1, .cap = cap, .is_tried = true };
	if (kernel_counts())
		return -EALREADY;
	err = cpuvar_find(&t->active, "bpf_prog_active", NULL);
	if (err)
		return err;
	return proberings_map_array("kymo_missed", cap * sizeof(uint64_t), 1, &t->map_fd,
				    (void **)&t->counts);
}

static int load(const struct tpmissed *t, uint32_t row)
{
	struct bpfcode c;
	int none, err;

	bpfcode_init(&c);
	none = bpfcode_label(&c);
	cpuvar_read(&c, &t->active, -8);
	bpfcode_jump_imm(&c, BPF_JEQ, BPF_REG_0, 0, none);
	bpfcode_map_value(&c, BPF_REG_1, t->map_fd, row * (uint32_t)sizeof(uint64_t));
	bpfcode_op_imm(&c, BPF_MOV, BPF_REG_2, 1);
	bpfcode_atomic(&c, BPF_ADD, BPF_REG_1, 0, BPF_REG_2);
	bpfcode_here(&c, none);
	bpfcode_op_imm(&c, BPF_MOV, BPF_REG_0, 0);
	bpfcode_exit(&c);
	err = bpfcode_finish(&c);
	if (!err)
		err = bpf_prog_load(BPF_PROG_TYPE_RAW_TRACEPOINT, "kymo_missed", "GPL", c.insns,
				    c.nr, NULL);
	bpfcode_release(&c);
	return err;
}

int tpmissed_attach(struct tpmissed *t, const char *tracepoint, struct attachset *a)
{
	int prog_fd, fd, err;

	if (!t->counts || t->nr == t->cap)
		return -EOPNOTSUPP;
	prog_fd = load(t, t->nr);
	if (prog_fd < 0)
		return prog_fd;
	fd = tpraw_attach(tracepoint, prog_fd);
	close(prog_fd);
	if (fd < 0)
		return fd;
	err = attachset_add(a, fd);
	return err ? err : (int)t->nr++;
}

uint64_t tpmissed_count(const struct tpmissed *t, uint32_t row)
{
	return __atomic_load_n(&t->counts[row], __ATOMIC_RELAXED);
}

void tpmissed_release(struct tpmissed *t)
{
	proberings_unmap_array(t->counts, t->cap * sizeof(uint64_t), 1);
	if (t->is_tried && t->map_fd >= 0)
		close(t->map_fd);
	memset(t, 0, sizeof(*t));
}
