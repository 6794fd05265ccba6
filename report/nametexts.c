#include "report/nametexts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BITS 8

struct nametexts {
	struct nametext slots[1 << BITS];
};

int nametexts_new(struct nametexts **out)
{
	*out = calloc(1, sizeof(**out));
	return *out ? 0 : -ENOMEM;
}

void nametexts_free(struct nametexts *n)
{
	free(n);
}

static size_t slot_of(const char *values, uint64_t number)
{
	uint64_t mixed = (uint64_t)(uintptr_t)values ^ number << 20 ^ number;

	return (size_t)(mixed * 0x9e3779b97f4a7c15u >> (64 - BITS));
}

const struct nametext *nametexts_find(const struct nametexts *n, const char *values,
				      uint64_t number, uint8_t style)
{
	const struct nametext *t = &n->slots[slot_of(values, number)];

	return t->values == values && t->number == number && t->style == style ? t : NULL;
}

void nametexts_keep(struct nametexts *n, const char *values, uint64_t number, uint8_t style,
		    bool has_names, const void *text, size_t len_bytes)
{
	struct nametext *t = &n->slots[slot_of(values, number)];

	if (len_bytes > sizeof(t->text))
		return;
	*t = (struct nametext) {
		.values = values, .number = number, .style = style, .has_names = has_names,
		.len_bytes = (uint8_t)len_bytes,
	};
	if (len_bytes)
		memcpy(t->text, text, len_bytes);
}
