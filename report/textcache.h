/*
 * Texts by number in bounded memory: when it is full it starts over empty,
 * which costs little as long as what is asked for repeats.
 */
#ifndef REPORT_TEXTCACHE_H
#define REPORT_TEXTCACHE_H

#include <stddef.h>
#include <stdint.h>

struct textcache;

int textcache_new(struct textcache **out, size_t max_bytes);
void textcache_free(struct textcache *c);
/* NULL when it is not there.  Borrowed until the next textcache_put(). */
const void *textcache_get(const struct textcache *c, uint32_t id, size_t *len_bytes);
/* For an id that is not there.  Without memory, or too large, it is not kept. */
void textcache_put(struct textcache *c, uint32_t id, const void *text, size_t len_bytes);

#endif
