#include "record/cpuvar.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "record/btftypes.h"

#define MAX_DEPTH 4
#define CPU_OFFSETS "__per_cpu_offset"

/* --- where it is ----------------------------------------------------------------------------- */

/* A member of a struct or of what is in it without a name, or -ENOENT. */
static int offset_of(const struct btftypes *types, uint32_t id, const char *name, int depth,
		     uint32_t *offset)
{
	for (uint32_t i = 0; i < btftypes_nr_members(types, id); i++) {
		struct btftypes_member m = btftypes_member_at(types, id, i);
		uint32_t inner;

		if (!strcmp(m.name, name))
			inner = 0;
		else if (*m.name || !depth || offset_of(types, m.type, name, depth - 1, &inner))
			continue;
		*offset = (uint32_t)(m.offset_bits / 8) + inner;
		return 0;
	}
	return -ENOENT;
}

/* A struct of that name is what the variable is. */
static int find_member(struct cpuvar *v, const struct btftypes *types, const char *name,
		       const char *member)
{
	if (!member)
		return 0;
	return offset_of(types, btftypes_find(types, name, BTF_KIND_STRUCT), member, MAX_DEPTH,
			 &v->offset);
}

static int load(const struct cpuvar *v)
{
	struct bpfcode c;
	int err, fd;

	bpfcode_init(&c);
	cpuvar_read(&c, v, -8);
	bpfcode_op_imm(&c, BPF_MOV, BPF_REG_0, 0);
	bpfcode_exit(&c);
	err = bpfcode_finish(&c);
	if (!err) {
		fd = bpf_prog_load(BPF_PROG_TYPE_RAW_TRACEPOINT, "kymo_try", "GPL", c.insns, c.nr,
				   NULL);
		err = fd < 0 ? fd : 0;
		if (fd >= 0)
			close(fd);
	}
	bpfcode_release(&c);
	return err;
}

int cpuvar_find_typed(struct cpuvar *out, const char *name, const char *member)
{
	struct btftypes *types;
	int err = btftypes_get(&types, NULL, NULL);

	*out = (struct cpuvar){ 0 };
	if (err)
		return err;
	out->type_id = btftypes_find(types, name, BTF_KIND_VAR);
	err = out->type_id ? find_member(out, types, name, member) : -ENOENT;
	btftypes_put(types);
	if (err)
		return err;
	err = load(out);
	/* The verifier looks for the address among the symbols. */
	return err == -ENOENT ? -ENXIO : err;
}

/* Addresses that are hidden read as zeros. */
int cpuvar_find_symbol(struct cpuvar *out, const char *name, const char *member)
{
	FILE *f = fopen("/proc/kallsyms", "re");
	unsigned long long address;
	struct btftypes *types;
	char line[512], found[256];

	*out = (struct cpuvar){ 0 };
	while (f && fgets(line, sizeof(line), f)) {
		if (!strstr(line, name) && !strstr(line, CPU_OFFSETS))
			continue;
		if (sscanf(line, "%llx %*c %255s", &address, found) != 2)
			continue;
		if (!strcmp(found, name) && !out->address)
			out->address = address;
		else if (!strcmp(found, CPU_OFFSETS))
			out->cpu_offsets = address;
	}
	if (f)
		fclose(f);
	if (!out->address || !out->cpu_offsets)
		return -ENOENT;
	if (member) {
		int err = btftypes_get(&types, NULL, NULL);

		if (err)
			return err;
		err = find_member(out, types, name, member);
		btftypes_put(types);
		if (err)
			return err;
	}
	return load(out);
}

/* Symbols are a text of megabytes: where one is known to be missing they are not read. */
int cpuvar_find(struct cpuvar *out, const char *name, const char *member)
{
	int err = cpuvar_find_typed(out, name, member);

	return err && err != -ENXIO ? cpuvar_find_symbol(out, name, member) : err;
}

/* --- reading ----------------------------------------------------------------------------------- */

void cpuvar_read_at(struct bpfcode *c, unsigned int size_bytes, int16_t slot)
{
	bpfcode_op(c, BPF_MOV, BPF_REG_1, BPF_REG_10);
	bpfcode_op_imm(c, BPF_ADD, BPF_REG_1, slot);
	bpfcode_op_imm(c, BPF_MOV, BPF_REG_2, (int32_t)size_bytes);
	bpfcode_call(c, BPF_FUNC_probe_read_kernel);
	bpfcode_load(c, size_bytes, BPF_REG_0, BPF_REG_10, slot);
}

void cpuvar_read(struct bpfcode *c, const struct cpuvar *v, int16_t slot)
{
	if (v->type_id) {
		bpfcode_type(c, BPF_REG_1, v->type_id);
		bpfcode_call(c, BPF_FUNC_this_cpu_ptr);
		bpfcode_forget(c, BPF_REG_0);
		bpfcode_op(c, BPF_MOV, BPF_REG_3, BPF_REG_0);
		bpfcode_op_imm(c, BPF_ADD, BPF_REG_3, (int32_t)v->offset);
	} else {
		bpfcode_call(c, BPF_FUNC_get_smp_processor_id);
		bpfcode_op_imm(c, BPF_LSH, BPF_REG_0, 3);
		bpfcode_const(c, BPF_REG_3, v->cpu_offsets);
		bpfcode_op(c, BPF_ADD, BPF_REG_3, BPF_REG_0);
		cpuvar_read_at(c, 8, slot);
		bpfcode_const(c, BPF_REG_3, v->address + v->offset);
		bpfcode_op(c, BPF_ADD, BPF_REG_3, BPF_REG_0);
	}
	cpuvar_read_at(c, 4, slot);
}
