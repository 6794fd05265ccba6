/*
 * The few types of the running kernel that BPF programs of ours are fitted to.
 * The kernel describes more than a hundred thousand; libbpf takes some 25 ms of
 * CPU time to index them all, and looks every name up in the whole.
 */
#ifndef RECORD_KERNELBTF_H
#define RECORD_KERNELBTF_H

#include <stddef.h>

#define KERNELBTF_PATH "/sys/kernel/btf/vmlinux"

struct btftypes;

/*
 * Copies the named structures and whatever lies inside them, but not what they
 * point to, and the named enumerations, into new BTF, which the caller frees.
 * -EBADMSG if it is malformed, -ENOENT if none of the names is there.  The types
 * are a kernel's, not a module's.
 */
int kernelbtf_reduce(const struct btftypes *types, const char *const *names, size_t nr_names,
		     void **out, size_t *out_bytes);
/*
 * The same of the running kernel (btftypes_get()), as a file in memory: an fd, or -errno.
 */
int kernelbtf_open(const char *const *names, size_t nr_names);

#endif
