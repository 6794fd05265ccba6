/* What the kernel can do for probes on its functions, found out by trying it. */
#include "record/kfuncprobe.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "record/bpfcode.h"

#define PMU "/sys/bus/event_source/devices/kprobe"
/* linux/bpf.h of older kernels lacks them. */
#define TRACE_KPROBE_MULTI 42
#define HELPER_GET_FUNC_IP 173

struct trial {
	uint32_t prog_type, attach_type, func;
	int btf_fd;
	int helper;			/* called, unless 0 */
	uint32_t slots;			/* a bit for each argument that is loaded */
};

/* A program that does hardly anything.  The fd, or -errno. */
static int load_trial(const struct trial *t)
{
	struct bpfcode code;
	LIBBPF_OPTS(bpf_prog_load_opts, opts, .expected_attach_type = t->attach_type,
		    .attach_btf_id = t->func,
		    .attach_btf_obj_fd = t->btf_fd > 0 ? (__u32)t->btf_fd : 0);
	int fd;

	bpfcode_init(&code);
	for (uint32_t i = 0; i < 32; i++)
		if (t->slots & 1u << i)
			bpfcode_load(&code, 8, BPF_REG_2, BPF_REG_1, (int16_t)(8 * i));
	if (t->helper)
		bpfcode_call(&code, t->helper);
	bpfcode_op_imm(&code, BPF_MOV, BPF_REG_0, 0);
	bpfcode_exit(&code);
	fd = bpfcode_finish(&code);
	if (!fd)
		fd = bpf_prog_load(t->prog_type, "kymo_try", "GPL", code.insns, code.nr, &opts);
	bpfcode_release(&code);
	return fd;
}

/* -errno if it is refused. */
static int try_load(const struct trial *t)
{
	int prog = load_trial(t);

	if (prog >= 0)
		close(prog);
	return prog < 0 ? prog : 0;
}

int kfunctry_fentry(uint32_t func, int btf_fd, bool is_return, uint32_t nr_slots,
		    uint32_t *refused)
{
	struct trial t = { .prog_type = BPF_PROG_TYPE_TRACING, .func = func, .btf_fd = btf_fd,
			   .attach_type = is_return ? BPF_TRACE_FEXIT : BPF_TRACE_FENTRY };
	int prog = load_trial(&t), link;
	struct trial each = t;

	*refused = 0;
	if (prog < 0)
		return prog;
	link = bpf_raw_tracepoint_open(NULL, prog);
	if (link < 0)
		link = -errno;
	else
		close(link);
	close(prog);
	if (link < 0)
		return link;
	nr_slots = nr_slots < 31 ? nr_slots : 31;
	t.slots = (1u << nr_slots) - 1;
	for (uint32_t i = 0; nr_slots && try_load(&t) && i < nr_slots; i++) {
		each.slots = 1u << i;
		if (try_load(&each)) {
			*refused |= each.slots;
			t.slots &= ~each.slots;
		}
	}
	return 0;
}

int kfunctry_link_multi(int prog, const char **names, const unsigned long *addresses, size_t nr,
			bool is_return)
{
	LIBBPF_OPTS(bpf_link_create_opts, opts);
	int fd;

	opts.kprobe_multi.flags = is_return ? BPF_F_KPROBE_MULTI_RETURN : 0;
	opts.kprobe_multi.cnt = (__u32)nr;
	opts.kprobe_multi.syms = addresses ? NULL : names;
	opts.kprobe_multi.addrs = addresses;
	fd = bpf_link_create(prog, 0, TRACE_KPROBE_MULTI, &opts);
	return fd < 0 ? -errno : fd;
}

int kfunctry_multi(const char *function, bool is_return)
{
	struct trial t = { .prog_type = BPF_PROG_TYPE_KPROBE,
			   .attach_type = TRACE_KPROBE_MULTI };
	int prog = load_trial(&t);
	int link;

	if (prog < 0)
		return prog;
	link = kfunctry_link_multi(prog, &function, NULL, 1, is_return);
	if (link >= 0)
		close(link);
	close(prog);
	return link < 0 ? link : 0;
}

bool kfunctry_func_ip(uint32_t prog_type, uint32_t expected_attach_type,
		      uint32_t func, int btf_fd)
{
	struct trial t = { prog_type, expected_attach_type, func, btf_fd, HELPER_GET_FUNC_IP, 0 };

	return !try_load(&t);
}

int kfunctry_pmu(const char *name, const char *prefix)
{
	char path[128], text[64] = "";
	size_t n = strlen(prefix);
	FILE *f;
	int err;

	snprintf(path, sizeof(path), "%s/%s", PMU, name);
	f = fopen(path, "re");
	if (!f)
		return -errno;
	err = fgets(text, sizeof(text), f) && !strncmp(text, prefix, n) ? 0 : -EINVAL;
	fclose(f);
	return err ? err : atoi(text + n);
}

int kfunctry_kprobe(struct diag *d)
{
	struct trial t = { .prog_type = BPF_PROG_TYPE_KPROBE };
	int type = kfunctry_pmu("type", ""), err;

	if (type >= 0) {
		err = try_load(&t);
		if (err == -EPERM || err == -EACCES)
			return diag_set(d, err, "no right to (CAP_PERFMON and CAP_BPF, or "
					"CAP_SYS_ADMIN)");
		return 0;
	}
	return diag_set(d, type == -ENOENT ? -EOPNOTSUPP : type, "this kernel has no kprobes "
			"(CONFIG_KPROBES, or the kprobe PMU, is missing)");
}
