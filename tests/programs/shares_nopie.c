/* Build: -fno-pie -no-pie */
/* shares, at a fixed address. */
#include "shares.c"
