/*
 * Long output on a terminal goes through a pager: $KYMO_PAGER, else $PAGER,
 * else less(1).  An empty one, or "cat", means none.
 */
#ifndef CMD_PAGER_H
#define CMD_PAGER_H

#include <stdbool.h>

/* Puts a pager behind stdout, if stdout is a terminal: true if it did. */
bool pager_start(void);
/* After stdout was closed: waits until the user has left the pager. */
void pager_finish(void);

#endif
