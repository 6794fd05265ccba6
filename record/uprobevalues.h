/*
 * The values of probes on user functions, by name: arguments and what is returned by
 * DWARF, else by register.  Shared with kind_uprobe.c, which makes the private data.
 */
#ifndef RECORD_UPROBEVALUES_H
#define RECORD_UPROBEVALUES_H

#include "record/dwarfargs.h"
#include "record/elfid.h"
#include "record/libfind.h"
#include "record/probe.h"
#include "record/uprobeattach.h"

#include <stdbool.h>

/* Of one file: what all variants there share. */
struct uprobe_code {
	struct libfind_file file;
	struct elfid id;
	struct dwarfargs *dwarf;	/* opened when first asked for */
	bool dwarf_tried;
	unsigned int nr_users;
};

/* What v->private is: places of one program, nearly always one. */
struct uprobe_spot {
	struct uprobe_code *code;
	struct uprobeattach_places places;
	char *symbol;			/* of the only place, or NULL */
	struct dwarfargs_func *func;	/* found when first asked for */
	bool func_tried;
};

/* What p->private is. */
struct uprobe {
	bool returns, is_entry, is_glob;
};

/* As in struct probe_kind. */
int uprobevalues_find(const struct probe *p, const struct probe_variant *v, const char *name,
		      struct probe_value *out, struct diag *d);
int uprobevalues_frame(const struct probe *p, const struct probe_variant *v,
		       struct probe_value *out);
int uprobevalues_names(const struct probe *p, bool usual, probe_name_fn fn, void *ctx);

#endif
