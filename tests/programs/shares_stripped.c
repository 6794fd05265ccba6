/* Build: -s -rdynamic */
/* shares, without .symtab; .dynsym has the functions. */
#include "shares.c"
