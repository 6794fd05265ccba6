#define _GNU_SOURCE
#include "record/kfuncprobe.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <linux/bpf.h>

#include "record/btfpath.h"

/* linux/bpf.h of older kernels lacks it. */
#define TRACE_KPROBE_MULTI 42
#define MAX_KPROBES 10000	/* registering one takes about a millisecond */
#define MAX_VARIANTS 512

static void release_private(struct kfuncprobe *k)
{
	if (!k)
		return;
	kfuncs_release(&k->places);
	btftypes_put(k->types);
	free(k->module);
	free(k->function);
	free(k);
}

void kfuncprobe_release(struct probe *p)
{
	for (size_t i = 0; i < p->nr_variants; i++)
		if (p->variants[i].attach_btf_fd > 0)
			close(p->variants[i].attach_btf_fd);
	release_private(p->private);
	p->private = NULL;
}

/* --- what was typed --------------------------------------------------------------------- */

/* Modules may be built into the kernel, which shows in nothing but this. */
static bool is_loaded(const char *module)
{
	char path[128];

	snprintf(path, sizeof(path), "/sys/module/%s/initstate", module);
	return access(path, F_OK) == 0;
}

/* "MODULE:FUNCTION+OFFSET" */
static int parse(struct kfuncprobe *k, const struct probe_spec *spec, struct diag *d)
{
	const char *function = strrchr(spec->what, ':');
	char *plus, *end;

	if (function) {
		k->module = strndup(spec->what, (size_t)(function - spec->what));
		if (!k->module)
			return -ENOMEM;
		if (!is_loaded(k->module))
			*k->module = '\0';
	}
	k->function = strdup(function ? function + 1 : spec->what);
	if (!k->function)
		return -ENOMEM;
	k->is_glob = strpbrk(k->function, "*?") != NULL;
	plus = strchr(k->function, '+');
	if (plus) {
		*plus = '\0';
		errno = 0;
		k->offset = strtoull(plus + 1, &end, 0);
		if (errno || *end || end == plus + 1 || k->is_glob)
			return diag_set(d, -EINVAL, "'%s': expected FUNCTION+OFFSET",
					spec->what);
		k->has_offset = k->offset > 0;
	}
	if (!*k->function)
		return diag_set(d, -EINVAL, "'%s' names no function", spec->text);
	if (k->has_offset && strcmp(spec->kind, "kprobe") != 0)
		return diag_set(d, -EINVAL, "'%s': only a kprobe can be at an offset",
				spec->what);
	return 0;
}

/* --- types -------------------------------------------------------------------------------- */

static uint32_t find_own(const struct btftypes *b, const char *name)
{
	for (uint32_t id = btftypes_first_own(b); id <= btftypes_last(b); id++)
		if (btftypes_kind(b, id) == BTF_KIND_FUNC && !strcmp(btftypes_name(b, id), name))
			return id;
	return 0;
}

/* Takes the types of the module if the function is there. */
static int try_module(void *ctx, const char *module)
{
	struct kfuncprobe *k = ctx;
	struct btftypes *types;
	uint32_t func;

	if (btftypes_get(&types, *module ? module : NULL, NULL))
		return 0;
	func = find_own(types, k->function);
	if (!func) {
		btftypes_put(types);
		return 0;
	}
	k->types = types;
	k->func = func;
	k->prototype = btftypes_prototype(types, func);
	return 1;
}

/* Functions without types are probed, too, with raw arguments. */
static void find_types(struct kfuncprobe *k)
{
	struct btftypes *kernel = NULL;

	/* Holds them while the modules are looked through. */
	if (btftypes_get(&kernel, NULL, NULL))
		return;
	if (k->module)
		try_module(k, k->module);
	else if (!try_module(k, ""))
		btftypes_modules(try_module, k);
	btftypes_put(kernel);
}

/* --- ways ---------------------------------------------------------------------------------- */

/*
 * Trampolines call them themselves, outside of what keeps a program from running twice:
 * not every kernel refuses, and one that does not hangs.
 */
static bool is_of_trampolines(const char *function)
{
	return !strcmp(function, "__rcu_read_lock") || !strcmp(function, "__rcu_read_unlock");
}

static bool may_try_fentry(const struct probes *set, const struct kfuncprobe *k,
			   const struct probe_spec *spec, bool prefer_fentry)
{
	return k->prototype && !k->has_offset && probe_may_use(set, "fentry") &&
	       !is_of_trampolines(k->function) &&
	       (prefer_fentry || !spec->kernel_stack || !probe_may_use(set, "kprobe"));
}

static int choose_kprobe(const struct probes *set, struct kfuncprobe *k,
			 const struct probe_spec *spec, int fentry_err, struct diag *d)
{
	struct diag why = { "" };
	int err;

	if (!probe_may_use(set, "kprobe")) {
		if (fentry_err)
			return diag_set(d, fentry_err, "'%s' cannot be probed by fentry: %s",
					spec->what, strerror(-fentry_err));
		return diag_set(d, -EOPNOTSUPP, "'%s' cannot be probed: --use forbids the ways "
				"there are", spec->what);
	}
	err = kfunctry_kprobe(&why);
	if (err && fentry_err)
		return diag_set(d, err, "'%s' cannot be probed: %s, and it refuses fentry (%s)",
				spec->what, why.text, strerror(-fentry_err));
	if (err)
		return diag_set(d, err, "'%s' cannot be probed: %s", spec->what, why.text);
	k->way = KFUNC_KPROBE;
	return 0;
}

/* That it is there at all; only who has no types has not been found yet. */
static int check_function(const struct kfuncprobe *k, const struct probe_spec *spec,
			  struct diag *d)
{
	struct kfuncs found = { 0 };
	char near[320] = "";
	size_t nr;
	int err;

	if (k->func)
		return 0;
	err = kfuncs_find(&found, k->module, k->function, false, d);
	nr = found.nr;
	kfuncs_release(&found);
	if (err || nr)
		return err;
	kfuncs_suggest(k->function, near, sizeof(near));
	if (k->module && !*k->module)
		return diag_set(d, -ENOENT, "unknown event '%s:%s': the kernel itself has no "
				"function '%s', and no such module is loaded%s", spec->kind,
				spec->what, k->function, near);
	return diag_set(d, -ENOENT, "unknown event '%s:%s': %s%s has no function '%s'%s",
			spec->kind, spec->what, k->module ? "module " : "the kernel",
			k->module ? k->module : "", k->function, near);
}

/* Of arguments; behind those of fexit, what is returned. */
static uint32_t nr_slots(const struct kfuncprobe *k)
{
	uint32_t nr = btftypes_nr_members(k->types, k->prototype);

	return btfpath_slot(k->types, k->prototype, nr) +
	       (k->is_return && btftypes_target(k->types, k->prototype));
}

static int choose_one(struct probes *set, struct kfuncprobe *k, struct probe_variant *v,
		      const struct probe_spec *spec, bool prefer_fentry, struct diag *d)
{
	int err = 0, fd;

	if (may_try_fentry(set, k, spec, prefer_fentry)) {
		fd = btftypes_kernel_fd(k->types, NULL);
		err = fd < 0 ? fd : kfunctry_fentry(k->func, fd, k->is_return, nr_slots(k),
						    &k->refused_slots);
		if (!err) {
			k->way = KFUNC_FENTRY;
			v->prog_type = BPF_PROG_TYPE_TRACING;
			v->expected_attach_type = k->is_return ? BPF_TRACE_FEXIT
							       : BPF_TRACE_FENTRY;
			v->attach_btf_id = k->func;
			v->attach_btf_fd = fd;
			return 0;
		}
		if (fd > 0)
			close(fd);
	}
	v->prog_type = BPF_PROG_TYPE_KPROBE;
	return choose_kprobe(set, k, spec, err, d);
}

static int choose_many(struct probes *set, struct kfuncprobe *k, const struct probe_spec *spec,
		       struct diag *d)
{
	if (probe_may_use(set, "kprobe-multi") &&
	    !kfunctry_multi(k->places.list[0].name, k->is_return)) {
		k->way = KFUNC_MULTI;
		return 0;
	}
	if (k->places.nr > MAX_KPROBES)
		return diag_set(d, -E2BIG, "'%s' matches %zu functions: more than %d cannot be "
				"probed one by one, and this kernel has no other way",
				spec->what, k->places.nr, MAX_KPROBES);
	return choose_kprobe(set, k, spec, 0, d);
}

/* --- expanding -------------------------------------------------------------------------------- */

static int find_places(struct kfuncprobe *k, const struct probe_spec *spec, struct diag *d)
{
	int err = kfuncs_find(&k->places, k->module, k->function, true, d);

	if (err || k->places.nr)
		return err;
	if (k->places.nr_refused)
		return diag_set(d, -EINVAL, "none of the %zu functions that match '%s' may be "
				"probed (notrace, or on the kernel's blacklist)",
				k->places.nr_refused, spec->what);
	return diag_set(d, -ENOENT, "unknown event '%s:%s': no function of the kernel matches",
			spec->kind, spec->what);
}

static int expand_glob(struct probes *set, const struct probe_kind *kind,
		       struct kfuncprobe *k, const struct probe_spec *spec, const char *name,
		       struct diag *d)
{
	uint32_t attach_type;
	size_t nr = 1;
	struct probe *p;
	int err = find_places(k, spec, d);

	if (!err)
		err = choose_many(set, k, spec, d);
	if (err)
		return err;
	attach_type = k->way == KFUNC_MULTI ? TRACE_KPROBE_MULTI : 0;
	k->has_func_ip = kfunctry_func_ip(BPF_PROG_TYPE_KPROBE, attach_type, 0, 0);
	/* At a return, the registers do not tell where the function began. */
	if (!k->has_func_ip && k->is_return && k->places.list[0].address &&
	    k->places.nr <= MAX_VARIANTS) {
		k->is_variant_each = true;
		nr = k->places.nr;
	}
	p = probe_add(set, kind, name, nr);
	if (!p)
		return -ENOMEM;
	p->private = k;
	for (size_t i = 0; i < nr; i++) {
		p->variants[i].prog_type = BPF_PROG_TYPE_KPROBE;
		p->variants[i].expected_attach_type = attach_type;
		p->variants[i].private = k->is_variant_each ? &k->places.list[i] : NULL;
	}
	return 0;
}

static int expand_one(struct probes *set, const struct probe_kind *kind, struct kfuncprobe *k,
		      const struct probe_spec *spec, const char *name, bool prefer_fentry,
		      struct diag *d)
{
	struct probe_variant v = { .prog_fd = -1 };
	struct probe *p;
	int err;

	find_types(k);
	err = check_function(k, spec, d);
	if (!err)
		err = choose_one(set, k, &v, spec, prefer_fentry, d);
	if (err)
		return err;
	k->has_func_ip = kfunctry_func_ip(v.prog_type, v.expected_attach_type,
					  v.attach_btf_id, v.attach_btf_fd);
	p = probe_add(set, kind, name, 1);
	if (!p) {
		if (v.attach_btf_fd > 0)
			close(v.attach_btf_fd);
		return -ENOMEM;
	}
	p->private = k;
	p->variants[0] = v;
	return 0;
}

int kfuncprobe_expand(struct probes *set, const struct probe_kind *kind,
		      const struct probe_spec *spec, bool is_return, bool prefer_fentry,
		      struct diag *d)
{
	struct kfuncprobe *k = calloc(1, sizeof(*k));
	size_t before = set->nr;
	char name[256];
	int err;

	if (!k)
		return diag_set(d, -ENOMEM, "out of memory");
	k->is_return = is_return;
	snprintf(name, sizeof(name), "%s:%s", kind->name, spec->what);
	err = parse(k, spec, d);
	if (!err && k->is_glob)
		err = expand_glob(set, kind, k, spec, name, d);
	else if (!err)
		err = expand_one(set, kind, k, spec, name, prefer_fentry, d);
	if (set->nr == before)
		release_private(k);
	return err ? diag_set(d, err, "cannot probe '%s': %s", spec->what, strerror(-err)) : 0;
}
