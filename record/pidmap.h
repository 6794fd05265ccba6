/*
 * A hash map from process or thread numbers to pointers.
 */
#ifndef RECORD_PIDMAP_H
#define RECORD_PIDMAP_H

#include <stddef.h>
#include <stdint.h>

struct pidmap {
	struct pidmap_slot {
		uint32_t key;
		void *value;	/* NULL: free slot */
	} *slots;
	size_t nr, cap;		/* cap: 0 or a power of two */
};

void pidmap_init(struct pidmap *m);
void pidmap_release(struct pidmap *m);
void *pidmap_get(const struct pidmap *m, uint32_t key);
/* value is not NULL.  Replaces; 0 or -ENOMEM. */
int pidmap_put(struct pidmap *m, uint32_t key, void *value);
void pidmap_remove(struct pidmap *m, uint32_t key);

#endif
