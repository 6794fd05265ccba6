/*
 * The spool stands between the thread that drains events and the output: a
 * bounded queue of blocks and a thread that writes them.  A slow disk or pipe
 * fills the spool; record blocks are then refused, and counted by whoever put
 * them, while dictionary blocks wait for room.
 */
#ifndef RECORD_SPOOL_H
#define RECORD_SPOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct spool;

/* Takes the fd over.  `limit_bytes` of memory at most. */
int spool_open(struct spool **out, int fd, size_t limit_bytes);
/*
 * The put() of struct writer_output: copies the bytes.  Droppable bytes get
 * -ENOBUFS above three quarters of the limit; others wait for room, at most
 * until the spool is given up.  -errno of the output once it failed.
 */
int spool_put(void *spool, const void *bytes, size_t size_bytes, bool droppable);
/* 0..100, for the decision to take samples at all. */
unsigned int spool_fill_percent(struct spool *s);
/* 0, or the first error of the output (-ENOSPC, -EPIPE). */
int spool_error(struct spool *s);
/*
 * Stop waiting for a stuck output: what is not written yet is lost, and
 * spool_error() is -ECANCELED.  May be called from a signal handler.
 */
void spool_give_up(struct spool *s);
/* Writes what is left, closes the fd, ends the thread.  The first error. */
int spool_finish(struct spool *s, uint64_t *written_bytes);
/* Finishes it if that has not been done, and frees it. */
void spool_close(struct spool *s);

#endif
