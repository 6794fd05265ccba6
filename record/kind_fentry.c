#include "record/kfuncprobe.h"

static int expand_entry(struct probes *set, const struct probe_spec *spec, struct diag *d);
static int expand_return(struct probes *set, const struct probe_spec *spec, struct diag *d);

const struct probe_kind kind_fentry = {
	.name = "fentry",
	.aliases = "f,kfunc",
	.summary = "entry of a function of the kernel, through a trampoline",
	.expand = expand_entry,
	.find = kfuncvalues_find,
	.names = kfuncvalues_names,
	.frame = kfuncvalues_frame,
	.attach = kfuncattach_attach,
	.release = kfuncprobe_release,
	.list = kfunclist_list,
};

const struct probe_kind kind_fexit = {
	.name = "fexit",
	.aliases = "fr,kretfunc",
	.summary = "return of a function of the kernel, with its arguments",
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
	return kfuncprobe_expand(set, &kind_fentry, spec, false, true, d);
}

static int expand_return(struct probes *set, const struct probe_spec *spec, struct diag *d)
{
	return kfuncprobe_expand(set, &kind_fexit, spec, true, true, d);
}
