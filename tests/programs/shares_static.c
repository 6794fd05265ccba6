/* Build: -static */
/* shares, linked statically. */
#include "shares.c"
