#include "format/diag.h"

#include <stdarg.h>
#include <stdio.h>

int diag_set(struct diag *d, int err, const char *fmt, ...)
{
	va_list args;

	if (!d || d->text[0])
		return err;
	va_start(args, fmt);
	vsnprintf(d->text, sizeof(d->text), fmt, args);
	va_end(args);
	return err;
}
