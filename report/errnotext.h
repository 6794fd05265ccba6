/*
 * Errors by name: Linux's numbers, on every machine.
 */
#ifndef REPORT_ERRNOTEXT_H
#define REPORT_ERRNOTEXT_H

#include <stdbool.h>
#include <stdint.h>

/* -4095 to -1: what a system call returns for an error. */
bool errnotext_is(uint64_t result);
/* "ENOENT" and "No such file or directory" of 2; NULL if the number is none. */
const char *errnotext_name(uint64_t number);
const char *errnotext_message(uint64_t number);
/* An error that the caller never sees: the kernel repeats the call. */
bool errnotext_is_restart(uint64_t number);

#endif
