#include "record/uprobeattach.h"

#include "record/numlist.h"
#include "record/perfevent.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PMU "/sys/bus/event_source/devices/uprobe"

/*
 * From include/uapi/linux/bpf.h of Linux 6.6; the headers that we are built with
 * may be older.
 */
#define ATTACH_UPROBE_MULTI 48

#ifdef __x86_64__
#define IS_X86 true
#else
#define IS_X86 false
#endif
#define MULTI_RETURN 1

struct multi_attr {
	uint32_t prog_fd, target_fd, attach_type, flags;
	uint64_t path, offsets, ref_ctr_offsets, cookies;
	uint32_t cnt, multi_flags, pid, unused;
};

static int link_multi(int prog_fd, const struct uprobeattach_places *places, size_t first,
		      size_t nr)
{
	char path[32];
	struct multi_attr attr = {
		.prog_fd = (uint32_t)prog_fd, .attach_type = ATTACH_UPROBE_MULTI,
		.path = (uintptr_t)path, .offsets = (uintptr_t)(places->offsets + first),
		.ref_ctr_offsets = places->semaphores ?
				   (uintptr_t)(places->semaphores + first) : 0,
		.cnt = (uint32_t)nr, .multi_flags = places->returns ? MULTI_RETURN : 0,
	};
	long fd;

	/* Through our own descriptor: nobody can exchange the file in between. */
	snprintf(path, sizeof(path), "/proc/self/fd/%d", places->fd);
	fd = syscall(SYS_bpf, BPF_LINK_CREATE, &attr, sizeof(attr));
	return fd < 0 ? -errno : (int)fd;
}

/*
 * A kernel that knows the way looks at the path first, and refuses a folder as
 * such; others refuse the program or the attach type with EINVAL.
 */
static bool try_multi(void)
{
	struct bpf_insn insns[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	LIBBPF_OPTS(bpf_prog_load_opts, opts,
		    .expected_attach_type = (enum bpf_attach_type)ATTACH_UPROBE_MULTI);
	uint64_t offset = 0;
	struct multi_attr attr = {
		.attach_type = ATTACH_UPROBE_MULTI, .path = (uintptr_t)"/",
		.offsets = (uintptr_t)&offset, .cnt = 1,
	};
	long fd;
	int prog;

	prog = bpf_prog_load(BPF_PROG_TYPE_KPROBE, "try", "GPL", insns, 2, &opts);
	if (prog < 0)
		return false;
	attr.prog_fd = (uint32_t)prog;
	fd = syscall(SYS_bpf, BPF_LINK_CREATE, &attr, sizeof(attr));
	if (fd >= 0)
		close((int)fd);
	close(prog);
	return fd < 0 && errno == EBADF;
}

bool uprobeattach_has_multi(const struct probes *set)
{
	static int has = -1;

	if (!probe_may_use(set, "uprobe-multi"))
		return false;
	if (has < 0)
		has = try_multi();
	return has;
}

/* --- one perf event for each place ------------------------------------------------------- */

static int read_number(const char *path, const char *format, unsigned int *to)
{
	FILE *f = fopen(path, "re");
	int got;

	if (!f)
		return -errno;
	got = fscanf(f, format, to);
	fclose(f);
	return got == 1 ? 0 : -EBADMSG;
}

struct pmu {
	unsigned int type, return_bit, semaphore_bit;
};

static int read_pmu(struct pmu *pmu)
{
	int err = read_number(PMU "/type", "%u", &pmu->type);

	if (!err)
		err = read_number(PMU "/format/retprobe", "config:%u", &pmu->return_bit);
	/* Counters came later (4.20) than the rest. */
	if (read_number(PMU "/format/ref_ctr_offset", "config:%u", &pmu->semaphore_bit))
		pmu->semaphore_bit = 0;
	return err;
}

/* The event counts on one CPU, but the program runs on all of them. */
static int first_online_cpu(void)
{
	int *cpus = NULL, first = 0;
	size_t nr = 0;

	if (!numlist_read("/sys/devices/system/cpu/online", &cpus, &nr) && nr)
		first = cpus[0];
	free(cpus);
	return first;
}

static int open_event(const struct pmu *pmu, const struct uprobeattach_places *places, size_t i,
		      int cpu)
{
	uint64_t semaphore = places->semaphores ? places->semaphores[i] : 0;
	char path[32];
	struct perf_event_attr attr = {
		.size = sizeof(attr), .type = pmu->type, .uprobe_path = (uintptr_t)path,
		.probe_offset = places->offsets[i],
	};

	if (semaphore && (!pmu->semaphore_bit || semaphore >> (64 - pmu->semaphore_bit)))
		return -EOVERFLOW;
	if (places->returns)
		attr.config |= 1ull << pmu->return_bit;
	if (semaphore)
		attr.config |= semaphore << pmu->semaphore_bit;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", places->fd);
	return perfevent_open(&attr, -1, cpu);
}

/* The kernel's own number of what it cannot do; the headers for users have no name for it. */
#define KERNEL_ENOTSUPP 524

/* That there is no probing that instruction, whatever the rights. */
static bool is_unfit(int err)
{
	return err == -KERNEL_ENOTSUPP || err == -ENOTSUP || err == -ENOEXEC;
}

/*
 * One place that is unfit refuses all of a link: among many it is found by halves and
 * left out.
 */
static int attach_multi(int prog_fd, const struct uprobeattach_places *places, size_t first,
			size_t nr, struct attachset *a, size_t *nr_unfit)
{
	int fd = link_multi(prog_fd, places, first, nr), err;

	if (fd >= 0)
		return attachset_add(a, fd);
	if (!is_unfit(fd))
		return fd;
	if (nr == 1) {
		++*nr_unfit;
		return 0;
	}
	err = attach_multi(prog_fd, places, first, nr / 2, a, nr_unfit);
	return err ? err : attach_multi(prog_fd, places, first + nr / 2, nr - nr / 2, a,
					nr_unfit);
}

static int attach_each(struct probes *set, struct probe *p, int prog_fd,
		       const struct uprobeattach_places *places, struct attachset *a,
		       size_t *nr_unfit)
{
	int cpu = first_online_cpu(), err;
	struct pmu pmu;

	err = read_pmu(&pmu);
	for (size_t i = 0; !err && i < places->nr; i++) {
		int fd = open_event(&pmu, places, i, cpu);

		if (is_unfit(fd)) {
			++*nr_unfit;
			continue;
		}
		if (fd < 0)
			return fd;
		if (ioctl(fd, PERF_EVENT_IOC_SET_BPF, prog_fd) < 0)
			err = -errno;
		if (err)
			close(fd);
		else
			err = attachset_add(a, fd);
		if (set->progress && set->progress(set->progress_ctx, p->name, i + 1, places->nr))
			return -EINTR;
	}
	return err;
}

/* --- both ----------------------------------------------------------------------------------- */

int uprobeattach_choose(struct probes *set, struct probe *p, size_t nr_places, struct diag *d)
{
	bool multi = uprobeattach_has_multi(set);

	if (!multi && !probe_may_use(set, "uprobe"))
		return diag_set(d, -ENOTSUP, "cannot trace '%s': this kernel has no uprobe-multi, "
				"and --use allows no other way", p->name);
	if (!multi && access(PMU "/type", R_OK) < 0)
		return diag_set(d, -ENOTSUP, "cannot trace '%s': this kernel has no uprobes "
				"(CONFIG_UPROBE_EVENTS)", p->name);
	for (size_t i = 0; i < p->nr_variants; i++) {
		p->variants[i].prog_type = BPF_PROG_TYPE_KPROBE;
		p->variants[i].expected_attach_type = multi ? ATTACH_UPROBE_MULTI : 0;
	}
	if (nr_places == 1)
		snprintf(p->method, sizeof(p->method), "%s", multi ? "uprobe-multi" : "uprobe");
	else
		snprintf(p->method, sizeof(p->method), "%s x %zu",
			 multi ? "uprobe-multi" : "uprobe", nr_places);
	return 0;
}

/*
 * Linux does some instructions of x86 itself instead of stepping over them: jumps,
 * calls, pushes.  It knows them by the byte of their opcode and overlooks that behind a
 * VEX or EVEX prefix the same bytes mean something else (vpbroadcastb, vpcmpeqb, vxorps,
 * with which many functions of libc begin): the program would go on anywhere.
 */
static bool is_misread(int fd, uint64_t offset)
{
	uint8_t code[5] = { 0 }, opcode;

	if (pread(fd, code, sizeof(code), (off_t)offset) <= 0)
		return false;
	switch (code[0]) {
	case 0xc5:
		opcode = code[2];
		break;
	case 0xc4:
		opcode = code[3];
		break;
	case 0x62:
		opcode = code[4];
		break;
	default:
		return false;
	}
	return (opcode >= 0x50 && opcode <= 0x57) || (opcode >= 0x70 && opcode <= 0x7f) ||
	       opcode == 0x0f || opcode == 0x90 || opcode == 0xe8 || opcode == 0xe9 ||
	       opcode == 0xeb;
}

/* The places that may be probed, in arrays of their own. */
static int pick_fit(struct uprobeattach_places *fit, const struct uprobeattach_places *all)
{
	uint64_t *offsets = calloc(all->nr, sizeof(*offsets));
	uint64_t *semaphores = all->semaphores ? calloc(all->nr, sizeof(*semaphores)) : NULL;

	if (!offsets || (all->semaphores && !semaphores)) {
		free(offsets);
		free(semaphores);
		return -ENOMEM;
	}
	*fit = *all;
	fit->nr = 0;
	for (size_t i = 0; i < all->nr; i++) {
		if (IS_X86 && is_misread(all->fd, all->offsets[i]))
			continue;
		if (semaphores)
			semaphores[fit->nr] = all->semaphores[i];
		offsets[fit->nr++] = all->offsets[i];
	}
	fit->offsets = offsets;
	fit->semaphores = semaphores;
	return 0;
}

static int say_error(struct diag *d, int err, const struct probe *p,
		     const struct uprobeattach_places *places)
{
	switch (-err) {
	case EACCES:
	case EPERM:
		return diag_set(d, err, "not allowed to trace '%s': run as root or with CAP_BPF, "
				"CAP_PERFMON and CAP_SYS_ADMIN", p->name);
	case ENOTSUP:
		return diag_set(d, err, "cannot trace '%s': the kernel cannot put a probe on the "
				"instruction there", p->name);
	case EIO:
		return diag_set(d, err, "cannot trace '%s': the file system of '%s' does not let "
				"the kernel probe its files", p->name, places->path);
	case EOVERFLOW:
		return diag_set(d, err, "cannot trace '%s': its semaphore cannot be counted by this "
				"kernel", p->name);
	case EMFILE:
		return diag_set(d, err, "cannot trace '%s': too many open files for %zu places "
				"(see: ulimit -n)", p->name, places->nr);
	case EINTR:
		return diag_set(d, err, "interrupted while attaching to '%s'; nothing was recorded",
				p->name);
	default:
		return diag_set(d, err, "cannot attach to '%s' in '%s': %s", p->name, places->path,
				strerror(-err));
	}
}

int uprobeattach_attach(struct probes *set, struct probe *p, struct probe_variant *v,
			const struct uprobeattach_places *places, struct attachset *a,
			struct diag *d)
{
	struct uprobeattach_places fit;
	size_t nr_unfit;
	int err = pick_fit(&fit, places);

	if (err)
		return diag_set(d, err, "out of memory");
	nr_unfit = places->nr - fit.nr;
	if (!fit.nr)
		err = -ENOTSUP;
	else if (v->expected_attach_type == ATTACH_UPROBE_MULTI)
		err = attach_multi(v->prog_fd, &fit, 0, fit.nr, a, &nr_unfit);
	else
		err = attach_each(set, p, v->prog_fd, &fit, a, &nr_unfit);
	free(fit.offsets);
	free(fit.semaphores);
	if (!err && nr_unfit == places->nr)
		err = -ENOTSUP;
	if (!err && nr_unfit)
		snprintf(set->note, sizeof(set->note), "'%s': %zu of %zu functions are left out: "
			 "the kernel cannot put a probe on their first instruction", p->name,
			 nr_unfit, places->nr);
	return err ? say_error(d, err, p, places) : 0;
}
