/*
 * Tracepoints as the kernel's code calls them: with arguments, which programs get
 * as they are, instead of the record that is made of them for other tracers.  It is
 * the cheaper way.
 *
 * One thread at a time.
 */
#ifndef RECORD_TPRAW_H
#define RECORD_TPRAW_H

#include "record/btftypes.h"
#include "record/probe.h"

struct tpraw {
	struct btftypes *types;
	uint32_t attach_id;	/* type that a program of the kind tp_btf is attached to */
	uint32_t prototype;	/* the first parameter is not the tracepoint's */
	bool has_names;		/* of the parameters */
	bool is_typed;		/* programs know what their arguments point to (tp_btf) */
};

/* Whether this kernel takes such programs from us: 0, or -errno of the attempt. */
int tpraw_try_typed(const struct btftypes *types, uint32_t attach_id);
int tpraw_try_untyped(void);

/*
 * Attaches a program; only untyped ones need the tracepoint's name.  An fd whose
 * closing detaches, or -errno.
 */
int tpraw_attach(const char *name, int prog_fd);

/*
 * What is known of a tracepoint, "sched_switch"; its types are held until
 * tpraw_release().  -ENOENT: BTF does not know it.
 */
int tpraw_find(struct tpraw *out, const char *name);
void tpraw_release(struct tpraw *t);	/* harmless on zeroed memory */

/*
 * "prev->pid".  -ENOENT, -EINVAL with d set, -EACCES: the verifier hands such an
 * argument out to untyped programs only.
 */
int tpraw_argument(const struct tpraw *t, const char *source, struct probe_value *out,
		   struct diag *d);
/*
 * All 64 bits of an argument; what is beyond a small one is undefined.  Without
 * types every index is taken for there.
 */
int tpraw_number(const struct tpraw *t, uint32_t index, struct probe_value *out);
/*
 * A field of the record, where it is known to be computed from the arguments just
 * so.  -ENOENT: it is not.
 */
int tpraw_field(const struct tpraw *t, const char *event, const char *field,
		struct probe_value *out);
/* Whether any field of the event is known like that. */
bool tpraw_has_event(const char *event);

#endif
