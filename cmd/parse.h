/*
 * Numbers in option arguments.  Each returns 0, or EXIT_USAGE after having said
 * what is wrong with `what`.
 */
#ifndef CMD_PARSE_H
#define CMD_PARSE_H

#include <stdint.h>

int parse_number(const char *arg, uint64_t min, uint64_t max, uint64_t *out, const char *what);
/* "10", "1.5", "500ms", "2m", "1h" to ns; more than 0. */
int parse_seconds(const char *arg, uint64_t *ns, const char *what);
/* Bytes, or with one of the suffixes B, K, M, G (powers of 1024). */
int parse_size(const char *arg, uint64_t min, uint64_t max, uint64_t *bytes, const char *what);

#endif
