/* What the recorder of this build stands on, for `kymo --version`. */
#ifndef RECORD_FEATURES_H
#define RECORD_FEATURES_H

#include <stddef.h>

/* "libbpf 1.1, libelf 0.188", as snprintf() would put it. */
void features_describe(char *to, size_t size_bytes);

#endif
