/* What a locked down kernel forbids even root. */
#ifndef RECORD_LOCKDOWN_H
#define RECORD_LOCKDOWN_H

#include <stdbool.h>

/* lockdown=confidentiality: no program may read the kernel's memory. */
bool lockdown_is_confidential(void);

#endif
