/*
 * What leads to a module (record/modules.h): a hash of what it is called and, of a file,
 * where it lies.  A file seen under two inodes, by two containers with the same image, say,
 * is one module with two keys.  None is ever taken out.
 */
#ifndef RECORD_MODULEKEYS_H
#define RECORD_MODULEKEYS_H

#include <stddef.h>
#include <stdint.h>

struct modulekey {
	uint32_t hash, module;
	uint32_t dev_major, dev_minor;
	uint64_t inode;
	uint32_t next;			/* private */
};

/* Zeroed, it is empty. */
struct modulekeys {
	struct modulekey *keys;
	size_t nr_keys, cap_keys;
	uint32_t *buckets;		/* first key of each chain */
	size_t nr_buckets;
};

void modulekeys_release(struct modulekeys *m);
int modulekeys_add(struct modulekeys *m, const struct modulekey *key);
/* The one of that hash after `last`, or the first; NULL: no more.  Until the next is added. */
const struct modulekey *modulekeys_next(const struct modulekeys *m, uint32_t hash,
					const struct modulekey *last);

#endif
