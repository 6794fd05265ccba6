/*
 * Records by keys (`--by comm,fd`): a dense number, from 0, for every combination of
 * values that is met, the same across events, and across traces by text.
 */
#ifndef REPORT_GROUPS_H
#define REPORT_GROUPS_H

#include "format/bytebuf.h"
#include "report/fieldtext.h"
#include "report/profile_keys.h"
#include "report/query.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct groups;

/*
 * No keys (nr 0): everything is group 0.  Keys of frames (module, symbol) are the
 * innermost frame's.  The keys must outlive the groups.
 */
int groups_new(struct groups **out, const struct profile_keys *keys);
void groups_free(struct groups *g);
/*
 * From now on batches are of this trace: names and texts are copied, the trace may go.
 * -EINVAL with d set: no event has a key (on a pipe, where events come later, not checked).
 */
int groups_begin(struct groups *g, struct trace *t, struct diag *d);
/* Whether the event has a value for every key. */
bool groups_has_keys(const struct profile_keys *keys, const struct trace_event *e);
/*
 * to[i] is the group of b's i-th row.  0, -EBADMSG when a column is damaged, -ENOMEM, or
 * -ENOENT when the event has no field for a key.
 */
int groups_of(struct groups *g, struct query_batch *b, uint32_t *to);
/* How many there are; without keys always 1. */
size_t groups_nr(const struct groups *g);
/*
 * The value of key `key` in a group, as fieldtext_put() has it, but texts without quotes
 * on a terminal; RAW is not escaped.
 */
void groups_put(struct groups *g, uint32_t group, size_t key, struct bytebuf *to,
		enum fieldtext_style style);
/* "comm = bash, fd = 3"; nothing without keys. */
void groups_put_all(struct groups *g, uint32_t group, struct bytebuf *to,
		    enum fieldtext_style style);
/* The order of values, key by key: numbers, then texts. */
int groups_compare(const struct groups *g, uint32_t a, uint32_t b);

#endif
