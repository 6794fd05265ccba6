/*
 * Lists of small numbers as users and the kernel write them: "1,3-5".
 */
#ifndef RECORD_NUMLIST_H
#define RECORD_NUMLIST_H

#include <stdbool.h>
#include <stddef.h>

#define NUMLIST_MAX 65536

/*
 * Numbers from least up, each once, sorted; the caller frees *out.  Ranges may
 * be forbidden; a newline may end the text.  -EINVAL for anything else, -E2BIG
 * above NUMLIST_MAX numbers.
 */
int numlist_parse(const char *text, int least, bool ranges, int **out, size_t *nr);
/* A list in a file such as /sys/devices/system/cpu/online. */
int numlist_read(const char *path, int **out, size_t *nr);
bool numlist_has(const int *list, size_t nr, int value);

#endif
