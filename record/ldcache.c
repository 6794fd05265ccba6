#include "record/ldcache.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/*
 * The layout is that of sysdeps/generic/dl-cache.h of the GNU C library, in the
 * byte order of the machine.  The older of its two formats may stand before it.
 */
#define OLD_MAGIC "ld.so-1.7.0"
#define OLD_HEADER_BYTES 16
#define OLD_ENTRY_BYTES 12
#define NEW_MAGIC "glibc-ld.so.cache1.1"
#define NEW_HEADER_BYTES 48
#define NEW_ENTRY_BYTES 24

#define TYPE_MASK 0xff
#define TYPE_ELF_LIBC6 3
#if defined(__x86_64__)
#define OUR_FLAGS 0x0300
#elif defined(__aarch64__)
#define OUR_FLAGS 0x0a00
#else
#define OUR_FLAGS 0
#endif

struct cache {
	const char *bytes;	/* of the newer format: strings are found from here */
	size_t size_bytes;
	uint32_t nr;
};

static uint32_t read_u32(const char *at)
{
	uint32_t v;

	memcpy(&v, at, sizeof(v));
	return v;
}

static int open_cache(struct cache *c, const char *bytes, size_t size_bytes)
{
	size_t at = 0;

	if (size_bytes >= OLD_HEADER_BYTES && !memcmp(bytes, OLD_MAGIC, strlen(OLD_MAGIC))) {
		uint32_t nr = read_u32(bytes + 12);

		if (nr > (size_bytes - OLD_HEADER_BYTES) / OLD_ENTRY_BYTES)
			return -EBADMSG;
		at = (OLD_HEADER_BYTES + (size_t)nr * OLD_ENTRY_BYTES + 7) & ~(size_t)7;
	}
	if (at > size_bytes || size_bytes - at < NEW_HEADER_BYTES ||
	    memcmp(bytes + at, NEW_MAGIC, strlen(NEW_MAGIC)))
		return -EBADMSG;
	c->bytes = bytes + at;
	c->size_bytes = size_bytes - at;
	c->nr = read_u32(c->bytes + strlen(NEW_MAGIC));
	return c->nr > (c->size_bytes - NEW_HEADER_BYTES) / NEW_ENTRY_BYTES ? -EBADMSG : 0;
}

/* NULL if it does not end within the cache. */
static const char *string_at(const struct cache *c, uint32_t offset)
{
	if (offset >= c->size_bytes ||
	    !memchr(c->bytes + offset, '\0', c->size_bytes - offset))
		return NULL;
	return c->bytes + offset;
}

bool ldcache_is_called(const char *file, const char *name)
{
	size_t len = strlen(name);
	const char *rest;

	if (strncmp(file, name, len)) {
		if (strncmp(file, "lib", 3) || strncmp(file + 3, name, len))
			return false;
		file += 3;
	}
	rest = file + len;
	if (strstr(name, ".so"))
		return !*rest || *rest == '.';
	if (*rest == '-' && rest[1] >= '0' && rest[1] <= '9')
		rest += strspn(rest, "-.0123456789") - 1;
	return !strncmp(rest, ".so", 3) && (!rest[3] || rest[3] == '.');
}

/* Of libraries built for special processors, too, the plain one comes first. */
static int each_entry(const struct cache *c, const char *name, bool plain,
		      int (*fn)(void *ctx, const char *path), void *ctx)
{
	for (uint32_t i = 0; i < c->nr; i++) {
		const char *entry = c->bytes + NEW_HEADER_BYTES + (size_t)i * NEW_ENTRY_BYTES;
		uint32_t flags = read_u32(entry);
		const char *key, *path;
		uint64_t hwcap;
		int ret;

		memcpy(&hwcap, entry + 16, sizeof(hwcap));
		if ((flags & TYPE_MASK) != TYPE_ELF_LIBC6 ||
		    (flags & ~(uint32_t)TYPE_MASK) != OUR_FLAGS || !hwcap != plain)
			continue;
		key = string_at(c, read_u32(entry + 4));
		path = string_at(c, read_u32(entry + 8));
		if (!key || !path || path[0] != '/' || !ldcache_is_called(key, name))
			continue;
		ret = fn(ctx, path);
		if (ret)
			return ret;
	}
	return 0;
}

int ldcache_each(const void *cache, size_t size_bytes, const char *name,
		 int (*fn)(void *ctx, const char *path), void *ctx)
{
	struct cache c;
	int ret = open_cache(&c, cache, size_bytes);

	if (!ret)
		ret = each_entry(&c, name, true, fn, ctx);
	if (!ret)
		ret = each_entry(&c, name, false, fn, ctx);
	return ret;
}
