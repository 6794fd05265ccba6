/*
 * The list of libraries that ldconfig(8) keeps in /etc/ld.so.cache.  It is
 * untrusted: a container may hold any bytes there.
 */
#ifndef RECORD_LDCACHE_H
#define RECORD_LDCACHE_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Whether a file name is a library that users call `name`: "libc.so.6" is "libc.so.6",
 * "libc.so", "libc" and "c", and "libc-2.31.so" is "libc" and "c".
 */
bool ldcache_is_called(const char *file, const char *name);

/*
 * Calls fn with the path of each library of this machine's kind that is called
 * `name`, in the order of the cache, until it returns other than 0, and returns
 * that.  -EBADMSG: no cache, or a broken one.
 */
int ldcache_each(const void *cache, size_t size_bytes, const char *name,
		 int (*fn)(void *ctx, const char *path), void *ctx);

#endif
