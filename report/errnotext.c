#include "report/errnotext.h"

#include <stddef.h>

#define MAX_ERRNO 4095

static const struct {
	const char *name, *message;
} errors[] = {
#define ERRNO(number, name, message) [number] = { #name, message },
#include "report/errno.def"
#undef ERRNO
};

#define NR_ERRORS (sizeof(errors) / sizeof(errors[0]))

bool errnotext_is(uint64_t result)
{
	return result >= (uint64_t)-MAX_ERRNO;
}

const char *errnotext_name(uint64_t number)
{
	return number < NR_ERRORS ? errors[number].name : NULL;
}

const char *errnotext_message(uint64_t number)
{
	return number < NR_ERRORS ? errors[number].message : NULL;
}

bool errnotext_is_restart(uint64_t number)
{
	return number >= 512 && number <= 516 && number != 515;	/* ENOIOCTLCMD */
}
