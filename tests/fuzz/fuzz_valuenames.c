/* Whatever text there is names a value by parts of itself, and ends. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "report/valuenames.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint64_t value = 0, named = 0;
	struct valuenames n;
	const char *name;
	size_t len, nr = 0;
	char *text;

	if (size < sizeof(value))
		return 0;
	memcpy(&value, data, sizeof(value));
	size -= sizeof(value);
	text = malloc(size + 1);
	if (!text)
		return 0;
	memcpy(text, data + sizeof(value), size);
	text[size] = '\0';
	valuenames_begin(&n, text, value);
	for (; valuenames_next(&n, &name, &len); nr++) {
		if (name <= text || !len || name + len > text + size || (n.rest & ~value))
			abort();
		if (!n.is_flags && nr)
			abort();
		/* Each name takes a bit away, or stands alone for 0. */
		if (n.is_flags && n.named == named && value)
			abort();
		named = n.named;
	}
	free(text);
	return 0;
}
