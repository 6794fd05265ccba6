/*
 * The cgroups (v2) that exist: what the kernel calls by number, by path.
 */
#ifndef RECORD_CGROUPS_H
#define RECORD_CGROUPS_H

#include <stdint.h>

/*
 * Calls fn for each cgroup below the mount of the v2 hierarchy, which on hybrid
 * hosts is not /sys/fs/cgroup itself.  The path is as in /proc/PID/cgroup and
 * valid during the call.  0, also when there is no such hierarchy, or -errno.
 */
int cgroups_each(void (*fn)(void *ctx, uint64_t id, const char *path), void *ctx);

/* An fd of the cgroup's folder, or -errno; -ENODEV without a v2 hierarchy. */
int cgroups_open(const char *path);
/* The kernel's number of the cgroup whose folder that is; 0 if it cannot be had. */
uint64_t cgroups_id(int fd);

#endif
