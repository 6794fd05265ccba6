/*
 * Loading the scheduler's programs.
 */
#include "record/schedprog_private.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "record/btftypes.h"
#include "record/cgroups.h"
#include "record/kernelbtf.h"
#include "record/lockdown.h"

#define LEAST_THREADS (16u << 10)
#define MOST_THREADS (1u << 20)
#define CHECKED_STACKS 32768

/* --- what is chosen ---------------------------------------------------------------- */

static uint32_t read_number(const char *path, const char *format)
{
	FILE *f = fopen(path, "re");
	unsigned int n = 0;

	if (f) {
		if (fscanf(f, format, &n) != 1)
			n = 0;
		fclose(f);
	}
	return n;
}

/* Room for many more threads than there are, but not for more than there can be. */
static uint32_t table_size(void)
{
	uint32_t most = read_number("/proc/sys/kernel/pid_max", "%u");
	uint32_t now = read_number("/proc/loadavg", "%*s %*s %*s %*u/%u");
	uint64_t size = 4ull * now;

	if (size < LEAST_THREADS)
		size = LEAST_THREADS;
	if (most && size > most)
		size = most;
	return size > MOST_THREADS ? MOST_THREADS : (uint32_t)size;
}

static bool has_tracepoint(const struct btftypes *types, const char *name)
{
	char text[128];

	snprintf(text, sizeof(text), "btf_trace_%s", name);
	return btftypes_find(types, text, BTF_KIND_TYPEDEF) != 0;
}

/* The previous thread: for a while there was its state before it. */
static uint32_t find_previous(const struct btftypes *types)
{
	uint32_t id = btftypes_find(types, "btf_trace_sched_switch", BTF_KIND_TYPEDEF);
	uint32_t prototype = btftypes_prototype(types, id);
	struct btftypes_member third;

	if (btftypes_nr_members(types, prototype) < 5)
		return 1;
	/* The first one is the tracepoint's own. */
	third = btftypes_member_at(types, prototype, 2);
	return btftypes_kind(types, btftypes_strip(types, third.type)) == BTF_KIND_PTR ? 1 : 2;
}

#if defined(__x86_64__)
/* Functions that other CPUs ask for, or else the interrupts that bring them. */
static void choose_calls(struct schedprog *p, const struct btftypes *types)
{
	if (!has_tracepoint(types, "csd_function_entry") ||
	    !has_tracepoint(types, "csd_function_exit"))
		return;
	bpf_program__set_autoload(p->skel->progs.call_began, false);
	bpf_program__set_autoload(p->skel->progs.call_ended, false);
	bpf_program__set_autoload(p->skel->progs.single_began, false);
	bpf_program__set_autoload(p->skel->progs.single_ended, false);
}
#else
static void choose_calls(struct schedprog *p, const struct btftypes *types)
{
	(void)p;
	(void)types;
}
#endif

/* Programs for what this kernel does not have, or was not asked for, are left out. */
static void choose_programs(struct schedprog *p, const struct btftypes *types)
{
	bool mapped = proberings_way(p->records) == RINGS_MAPPED;
	struct bpf_program *prog;

	bpf_object__for_each_program(prog, p->skel->obj) {
		const char *name = bpf_program__name(prog), *suffix = strchr(name, '_');
		const char *section = bpf_program__section_name(prog);

		if (!strncmp(section, "tp_btf/", 7) && !has_tracepoint(types, section + 7))
			bpf_program__set_autoload(prog, false);
		if (suffix && !strcmp(suffix, mapped ? "_queue" : "_mapped"))
			bpf_program__set_autoload(prog, false);
	}
	choose_calls(p, types);
	if (p->opts.traced_fd < 0)
		bpf_program__set_autoload(p->skel->progs.execed, false);
}

static int share_maps(struct schedprog *p)
{
	struct proberings_maps records, stacks;
	int err;

	proberings_maps(p->records, &records);
	proberings_maps(p->stacks, &stacks);
	p->nr_cpus = records.nr_cpus;
	err = bpf_map__reuse_fd(p->skel->maps.records, records.ring_fd);
	if (!err)
		err = bpf_map__reuse_fd(p->skel->maps.records_lost, records.lost_fd);
	if (!err)
		err = bpf_map__reuse_fd(p->skel->maps.stacks, stacks.ring_fd);
	if (!err)
		err = bpf_map__reuse_fd(p->skel->maps.stacks_lost, stacks.lost_fd);
	if (!err)
		err = bpf_map__set_max_entries(p->skel->maps.cpus, p->nr_cpus);
	if (!err)
		err = bpf_map__set_max_entries(p->skel->maps.messages, p->nr_cpus);
	if (!err)
		err = bpf_map__set_max_entries(p->skel->maps.scratches, p->nr_cpus + 1);
	if (!err && p->opts.check_stacks)
		err = bpf_map__set_max_entries(p->skel->maps.checked, CHECKED_STACKS);
	if (!err)
		err = bpf_map__set_max_entries(p->skel->maps.threads, table_size());
	if (!err && p->opts.traced_fd >= 0)
		err = bpf_map__reuse_fd(p->skel->maps.traced, p->opts.traced_fd);
	if (!err && p->opts.traced_tids_fd >= 0)
		err = bpf_map__reuse_fd(p->skel->maps.traced_tids, p->opts.traced_tids_fd);
	if (!err && p->opts.cgroup_fd >= 0)
		err = bpf_map__reuse_fd(p->skel->maps.cgroups, p->opts.cgroup_fd);
	p->skel->rodata->ring_bytes = records.cpu_bytes;
	p->skel->rodata->stack_ring_bytes = stacks.cpu_bytes;
	return err;
}

static void configure(struct schedprog *p, const struct btftypes *types)
{
	const struct target *target = p->opts.target;
	struct sched_bpf__rodata *c = p->skel->rodata;

	c->ring_is_ringbuf = proberings_way(p->records) == RINGS_RINGBUF;
	c->previous_arg = find_previous(types);
	c->nr_cpus = p->nr_cpus;
	c->min_ns = p->opts.min_ns;
	c->not_pid = target->all ? (uint32_t)getpid() : 0;
	c->by_process = p->opts.traced_fd >= 0;
	c->by_thread = p->opts.traced_tids_fd >= 0;
	c->in_cgroup = p->opts.cgroup_fd >= 0;
	c->cgroup_id = c->in_cgroup ? cgroups_id(target->cgroup_fd) : 0;
	c->all_threads = !c->by_process && !c->by_thread && !c->in_cgroup;
	c->on_some_cpus = target->some_cpus;
	c->want_kernel_stacks = p->opts.kernel_stack;
	c->want_user_stacks = p->opts.user_stack;
	c->may_read = !lockdown_is_confidential();
	c->check_stacks = p->opts.check_stacks;
	if (p->opts.kernel_stack)
		schedprog_find_symbols(p);
}

/* --- loading ----------------------------------------------------------------------- */

static int silence(enum libbpf_print_level level, const char *format, va_list args)
{
	(void)level;
	(void)format;
	(void)args;
	return 0;
}

/* Those of bpf/kernel_types.h that the programs read, and what they ask for by name. */
static const char *const kernel_types[] = {
	"task_struct", "thread_info", "mm_struct", "pid", "upid", "css_set", "cgroup",
	"cgroup_subsys_state", "kernfs_node", "cred", "uprobe_task", "pt_regs", "bpf_func_id",
};

/*
 * libbpf would index all of the kernel's types, and search them all for what each program
 * attaches to: 20 ms of CPU time.  It is told, and takes programs until the last moment
 * for ones that attach to no type.
 */
static int choose_target(struct bpf_program *prog, struct bpf_prog_load_opts *opts, long cookie)
{
	const char *section = bpf_program__section_name(prog), *name = strchr(section, '/');
	bool is_iterator = !strncmp(section, "iter", 4);
	enum bpf_attach_type type = is_iterator ? BPF_TRACE_ITER : BPF_TRACE_RAW_TP;
	struct btftypes *types;
	char text[128];
	int err;

	(void)cookie;
	if (!name)
		return -EINVAL;
	err = btftypes_get(&types, NULL, NULL);
	if (err)
		return err;
	snprintf(text, sizeof(text), is_iterator ? "bpf_iter_%s" : "btf_trace_%s", name + 1);
	opts->attach_btf_id = btftypes_find(types, text,
					    is_iterator ? BTF_KIND_FUNC : BTF_KIND_TYPEDEF);
	btftypes_put(types);
	if (!opts->attach_btf_id)
		return -ESRCH;
	opts->expected_attach_type = type;
	bpf_program__set_expected_attach_type(prog, type);
	return bpf_program__set_type(prog, BPF_PROG_TYPE_TRACING);
}

/* Once and for all: taking out the last one of these leaves libbpf 1.1 with freed memory. */
static int register_handlers(void)
{
	LIBBPF_OPTS(libbpf_prog_handler_opts, opts, .prog_prepare_load_fn = choose_target);
	static const char *const sections[] = { "tp_btf+", "iter+" };
	static size_t nr_done;

	for (; nr_done < sizeof(sections) / sizeof(*sections); nr_done++) {
		int id = libbpf_register_prog_handler(sections[nr_done],
						      BPF_PROG_TYPE_RAW_TRACEPOINT, 0, &opts);

		if (id < 0)
			return id;
	}
	return 0;
}

static int load_object(struct schedprog *p, const struct btftypes *types)
{
	LIBBPF_OPTS(bpf_object_open_opts, opts);
	int types_fd, err = register_handlers();
	char path[64];

	if (err)
		return err;
	types_fd = kernelbtf_open(kernel_types, sizeof(kernel_types) / sizeof(*kernel_types));
	if (types_fd < 0)
		return types_fd;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", types_fd);
	opts.btf_custom_path = path;
	p->skel = sched_bpf__open_opts(&opts);
	err = p->skel ? 0 : -errno;
	if (!err) {
		choose_programs(p, types);
		err = share_maps(p);
		configure(p, types);
	}
	if (!err)
		err = sched_bpf__load(p->skel);
	close(types_fd);
	return err;
}

int schedprog_load(struct schedprog *p, struct diag *d)
{
	libbpf_print_fn_t old_print;
	struct btftypes *types;
	int err = btftypes_get(&types, NULL, d);

	if (err)
		return err;
	old_print = libbpf_set_print(silence);
	err = load_object(p, types);
	libbpf_set_print(old_print);
	btftypes_put(types);
	if (err == -EPERM || err == -EACCES)
		return diag_set(d, err, "cannot load the scheduler's programs: %s (run as root, or "
				"with CAP_BPF and CAP_PERFMON)", strerror(-err));
	return err ? diag_set(d, err, "cannot load the scheduler's programs: %s", strerror(-err)) :
		     0;
}
