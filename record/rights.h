/* What a process may do, in words for who may not. */
#ifndef RECORD_RIGHTS_H
#define RECORD_RIGHTS_H

#include <stdbool.h>
#include <stddef.h>

#define RIGHTS_TEXT_BYTES 96

/*
 * What this process lacks to load BPF programs that trace: "CAP_PERFMON is missing",
 * "CAP_BPF and CAP_PERFMON are missing".  False with an empty text: it has both.
 */
bool rights_lacks_bpf(char text[RIGHTS_TEXT_BYTES]);
/* Whether it has all that the superuser needs: CAP_SYS_ADMIN. */
bool rights_has_admin(void);

#endif
