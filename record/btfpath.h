/*
 * From names in C's spelling to what is read: "file->f_path.dentry->d_name.name" of
 * a probe whose argument `file` is known by BTF.
 */
#ifndef RECORD_BTFPATH_H
#define RECORD_BTFPATH_H

#include "format/diag.h"
#include "record/btftypes.h"
#include "record/probe.h"

/* Where the name of the variable ends in a source: "file", in "file->f_pos". */
size_t btfpath_root(const char *source);

/*
 * Goes on from a value: *v has the steps that fetch all 64 bits of it, `type` is
 * what it is, and rest is what follows its name ("->f_pos", or ""); name is the
 * whole for messages.  *v becomes the last member's value: steps, size, sign and
 * everything else but the unit; the steps it had may be narrowed.
 *
 * Pointers are followed with FETCH_KERNEL (FETCH_USER if tagged as the user's);
 * "." and "->" are the same.  Text in arrays of char is a string, other arrays of
 * bytes are bytes.  -EINVAL with d set: no such member (those there are listed), a
 * struct as a whole, an index outside of the array.
 */
int btfpath_walk(const struct btftypes *b, uint32_t type, const char *rest, const char *name,
		 struct probe_value *v, struct diag *d);

/*
 * The argument of a prototype that the source begins with: its index, or -ENOENT.
 * "arg0" to "arg15" are never meant here.
 */
int btfpath_argument(const struct btftypes *b, uint32_t prototype, const char *source);
/*
 * In which 8-byte slot of a BPF program's arguments (raw tracepoints, fentry) the
 * argument lies: structs passed by value may take two.  An index of the number of
 * arguments gives the number of slots, where fexit has the returned value.
 */
uint32_t btfpath_slot(const struct btftypes *b, uint32_t prototype, uint32_t index);
/*
 * The whole of that for programs whose context is an array of arguments, of which
 * the first `skip` are not the prototype's named ones (1 for the data pointer of
 * btf_trace_* prototypes: slot 0 is the prototype's second parameter).  -ENOENT: no
 * argument of that name.
 */
int btfpath_context_value(const struct btftypes *b, uint32_t prototype, uint32_t skip,
			  const char *source, struct probe_value *v, struct diag *d);
/* "curtask" and "curtask->...": the running thread's task_struct.  -ENOENT: another name. */
int btfpath_curtask(const struct btftypes *b, const char *source, struct probe_value *v,
		    struct diag *d);
/* True for what is taken without being asked for: numbers, pointers, text. */
bool btfpath_is_scalar(const struct btftypes *b, uint32_t type);

#endif
