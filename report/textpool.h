/*
 * A pool of texts by id: equal texts have equal ids, dense from 1, and each is
 * kept once.
 */
#ifndef REPORT_TEXTPOOL_H
#define REPORT_TEXTPOOL_H

#include <stddef.h>
#include <stdint.h>

struct textpool;

int textpool_new(struct textpool **out);
void textpool_free(struct textpool *p);
/* 0 when memory ran out. */
uint32_t textpool_put(struct textpool *p, const void *text, size_t len_bytes);
/* NUL-terminated; lives as long as the pool. */
const char *textpool_text(const struct textpool *p, uint32_t id);
/* How many ids there are; the largest one. */
uint32_t textpool_nr(const struct textpool *p);

#endif
