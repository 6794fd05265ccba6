#include "record/samplegate.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "record/probe_private.h"
#include "record/probeprog.h"

static int find_nothing(const struct probe *p, const struct probe_variant *v, const char *name,
			struct probe_value *out, struct diag *d)
{
	(void)p;
	(void)v;
	(void)name;
	(void)out;
	(void)d;
	return -ENOENT;
}

static int name_nothing(const struct probe *p, bool usual, probe_name_fn fn, void *ctx)
{
	(void)p;
	(void)usual;
	(void)fn;
	(void)ctx;
	return 0;
}

static int build(struct probeprog_builder *b, int programs_fd, uint32_t index, struct diag *d)
{
	struct bpfcode *c = &b->code;
	int err;

	b->skip = bpfcode_label(c);
	b->slot = probeprog_stack(b, 8);
	bpfcode_op(c, BPF_MOV, BPF_REG_6, BPF_REG_1);
	bpfcode_call(c, BPF_FUNC_get_current_pid_tgid);
	bpfcode_op(c, BPF_MOV, BPF_REG_7, BPF_REG_0);
	err = probefilter_emit(b, d);
	if (err)
		return err;
	bpfcode_op(c, BPF_MOV, BPF_REG_1, BPF_REG_6);
	bpfcode_map(c, BPF_REG_2, programs_fd);
	bpfcode_op_imm(c, BPF_MOV, BPF_REG_3, (int32_t)index);
	bpfcode_call(c, BPF_FUNC_tail_call);
	bpfcode_here(c, b->skip);
	bpfcode_op_imm(c, BPF_MOV, BPF_REG_0, 0);
	bpfcode_exit(c);
	return bpfcode_finish(c);
}

static int load(struct probe *p, int programs_fd, uint32_t index, struct diag *d)
{
	struct probeprog_builder b = { .probe = p, .variant = p->variants };
	int fd;

	bpfcode_init(&b.code);
	fd = build(&b, programs_fd, index, d);
	if (!fd) {
		fd = bpf_prog_load(BPF_PROG_TYPE_PERF_EVENT, "kymo_filter", "GPL", b.code.insns,
				   b.code.nr, NULL);
		if (fd < 0)
			fd = -errno;
	}
	bpfcode_release(&b.code);
	return fd;
}

int samplegate_load(const char *event, const char *filter, int programs_fd, uint32_t index,
		    struct diag *d)
{
	static const struct probe_kind kind = { .find = find_nothing, .names = name_nothing };
	struct probe_variant variant = { .prog_type = BPF_PROG_TYPE_PERF_EVENT, .prog_fd = -1 };
	struct probe p = { .kind = &kind, .variants = &variant, .nr_variants = 1 };
	int fd;

	p.name = strdup(event);
	fd = p.name ? probe_fields_filter(&p, filter, d) : -ENOMEM;
	if (!fd)
		fd = load(&p, programs_fd, index, d);
	if (fd < 0)
		diag_set(d, fd, "cannot filter '%s': %s", event, strerror(-fd));
	expr_free(p.filter);
	free(variant.filter_values);
	free(p.name);
	return fd;
}
