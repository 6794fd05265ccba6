#include "record/kfuncprobe.h"

static int expand_entry(struct probes *set, const struct probe_spec *spec, struct diag *d);
static int expand_return(struct probes *set, const struct probe_spec *spec, struct diag *d);

const struct probe_kind kind_kprobe = {
	.name = "kprobe",
	.aliases = "k",
	.summary = "entry of a function of the kernel, or an instruction in it",
	.expand = expand_entry,
	.find = kfuncvalues_find,
	.names = kfuncvalues_names,
	.frame = kfuncvalues_frame,
	.attach = kfuncattach_attach,
	.release = kfuncprobe_release,
	.list = kfunclist_list,
};

const struct probe_kind kind_kretprobe = {
	.name = "kretprobe",
	.aliases = "kr",
	.summary = "return of a function of the kernel",
	.expand = expand_return,
	.find = kfuncvalues_find,
	.names = kfuncvalues_names,
	.frame = kfuncvalues_frame,
	.attach = kfuncattach_attach,
	.release = kfuncprobe_release,
	.list = kfunclist_list,
};

static int expand_entry(struct probes *set, const struct probe_spec *spec, struct diag *d)
{
	return kfuncprobe_expand(set, &kind_kprobe, spec, false, false, d);
}

static int expand_return(struct probes *set, const struct probe_spec *spec, struct diag *d)
{
	return kfuncprobe_expand(set, &kind_kretprobe, spec, true, false, d);
}
