/*
 * The few types of the running kernel that BPF programs of ours are fitted to.
 * The kernel describes more than a hundred thousand; libbpf takes some 25 ms of
 * CPU time to index them all, and looks every name up in the whole.
 */
#ifndef RECORD_KERNELBTF_H
#define RECORD_KERNELBTF_H

#include <stddef.h>
#include <stdint.h>

#define KERNELBTF_PATH "/sys/kernel/btf/vmlinux"

/*
 * Copies the named structures and whatever lies inside them, but not what they
 * point to, from BTF into new BTF, which the caller frees.  -EBADMSG if it is
 * malformed, -ENOENT if none of the names is there.
 */
int kernelbtf_reduce(const void *btf, size_t btf_bytes, const char *const *names,
		     size_t nr_names, void **out, size_t *out_bytes);
/*
 * The same of the running kernel, as a file in memory: an fd, or -errno.
 */
int kernelbtf_open(const char *const *names, size_t nr_names);

#endif
