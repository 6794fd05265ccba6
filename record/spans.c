#include "record/spans.h"

#include <asm/unistd.h>
#include <string.h>

static const struct spans_row rows[] = {
#define SPAN(name, summary, ...) { name, summary, { __VA_ARGS__ } },
#include "record/spans.def"
#undef SPAN
};

#define NR_ROWS (sizeof(rows) / sizeof(*rows))

const struct spans_row *spans_find(const char *name, size_t len_bytes)
{
	for (size_t i = 0; i < NR_ROWS; i++)
		if (strlen(rows[i].name) == len_bytes && !strncmp(rows[i].name, name, len_bytes))
			return &rows[i];
	return NULL;
}

const struct spans_row *spans_at(size_t i)
{
	return i < NR_ROWS ? &rows[i] : NULL;
}
