/*
 * Numbers for people: grouped digits, and values with a unit of a fitting size.
 * Each writes into a buffer of NUMBER_BYTES and returns a text in it.
 */
#ifndef REPORT_NUMBER_H
#define REPORT_NUMBER_H

#include <stdint.h>

#define NUMBER_BYTES 48

/* "1234567" */
const char *number_plain(char to[NUMBER_BYTES], uint64_t v);
/* "1,234,567" */
const char *number_grouped(char to[NUMBER_BYTES], uint64_t v);
/* "1.50 s", "20.0 ms", "3.25 us", "17 ns" */
const char *number_ns(char to[NUMBER_BYTES], uint64_t ns);
/* "1.50 MiB", "912 B" */
const char *number_bytes(char to[NUMBER_BYTES], uint64_t bytes);
/* By unit: "ns" and "B" as above, else grouped digits and the unit. */
const char *number_unit(char to[NUMBER_BYTES], uint64_t v, const char *unit);
/* The same of a number that may be negative or have a fraction. */
const char *number_value(char to[NUMBER_BYTES], double v, const char *unit);
/* "12.34", rounded half up; 0 of nothing is 0. */
const char *number_hundredths(char to[NUMBER_BYTES], uint64_t part, uint64_t whole);
/* part / whole in percent; 0 of nothing is 0. */
double number_percent(uint64_t part, uint64_t whole);

#endif
