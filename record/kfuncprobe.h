/*
 * Probes on functions of the kernel, however they are attached: what the kinds
 * kprobe, kretprobe, fentry and fexit share.  Private to them.
 *
 * The way is found out by trying, in this order: one function by fentry or fexit,
 * else by a kprobe; the functions that match a glob by one kprobe-multi link, else
 * by a kprobe each.  A kprobe at an offset is a kprobe, and so is one asked for with
 * kernel stacks as "kprobe": its stacks begin with the function itself, those of
 * fentry with the trampoline that calls the program.
 */
#ifndef RECORD_KFUNCPROBE_H
#define RECORD_KFUNCPROBE_H

#include "record/attachset.h"
#include "record/btftypes.h"
#include "record/kfuncs.h"
#include "record/probe.h"

enum kfunc_way { KFUNC_FENTRY = 1, KFUNC_KPROBE, KFUNC_MULTI };

struct kfuncprobe {
	bool is_return, is_glob, has_offset;
	enum kfunc_way way;
	bool has_func_ip;		/* the helper that tells the function */
	uint64_t offset;
	char *module;			/* "" for the kernel, NULL: any */
	char *function;			/* name, or the glob */
	struct btftypes *types;		/* NULL: there are none of it */
	uint32_t func, prototype;	/* ids in them */
	uint32_t refused_slots;		/* see kfunctry_fentry() */
	/*
	 * Of a glob.  Where a program cannot find out in which function it is, each
	 * has a variant of its own.
	 */
	struct kfuncs places;
	bool is_variant_each;
};

/* --- kfuncprobe.c -------------------------------------------------------------------- */

int kfuncprobe_expand(struct probes *set, const struct probe_kind *kind,
		      const struct probe_spec *spec, bool is_return, bool prefer_fentry,
		      struct diag *d);
void kfuncprobe_release(struct probe *p);

/* --- kfuncvalues.c -------------------------------------------------------------------- */

int kfuncvalues_find(const struct probe *p, const struct probe_variant *v, const char *name,
		     struct probe_value *out, struct diag *d);
int kfuncvalues_frame(const struct probe *p, const struct probe_variant *v,
		      struct probe_value *out);
int kfuncvalues_names(const struct probe *p, bool usual, probe_name_fn fn, void *ctx);

/* --- kfunctry.c ----------------------------------------------------------------------- */

/*
 * Loads and attaches a program that reads its first nr_slots arguments, and lets go
 * of it: 0 or -errno.  Older kernels refuse to load arguments of some types, as
 * pointers to integers; those get a bit in *refused.
 */
int kfunctry_fentry(uint32_t func, int btf_fd, bool is_return, uint32_t nr_slots,
		    uint32_t *refused);
int kfunctry_multi(const char *function, bool is_return);
/* 0, or -errno with d set: this kernel has no kprobes. */
int kfunctry_kprobe(struct diag *d);
/* Whether programs of that type can ask for the address of the function. */
bool kfunctry_func_ip(uint32_t prog_type, uint32_t expected_attach_type,
		      uint32_t func, int btf_fd);
/* By names, or where there are addresses, by those.  A link's fd, or -errno. */
int kfunctry_link_multi(int prog, const char **names, const unsigned long *addresses, size_t nr,
			bool is_return);
/* A number in a file of the kprobes' PMU, behind a prefix.  -errno. */
int kfunctry_pmu(const char *name, const char *prefix);

/* --- kfuncattach.c -------------------------------------------------------------------- */

int kfuncattach_attach(struct probes *set, struct probe *p, struct probe_variant *v,
		       struct attachset *a, struct diag *d);

/* --- kfunclist.c ---------------------------------------------------------------------- */

int kfunclist_list(const struct probe_kind *k, const char *glob, bool verbose,
		   probe_list_fn fn, void *ctx, struct diag *d);

#endif
