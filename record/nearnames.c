#include "record/nearnames.h"

#include <stdio.h>
#include <string.h>

static unsigned int min(unsigned int a, unsigned int b)
{
	return a < b ? a : b;
}

/* How many letters to insert, delete or replace; neighbours swapped count as one. */
static unsigned int distance(const char *a, size_t len_a, const char *b, size_t len_b)
{
	unsigned int rows[3][NEARNAMES_BYTES + 1];
	unsigned int *before = rows[0], *last = rows[1], *row = rows[2];

	for (size_t j = 0; j <= len_b; j++)
		last[j] = (unsigned int)j;
	for (size_t i = 1; i <= len_a; i++) {
		unsigned int *freed = before;

		row[0] = (unsigned int)i;
		for (size_t j = 1; j <= len_b; j++) {
			row[j] = min(min(last[j], row[j - 1]) + 1,
				     last[j - 1] + (a[i - 1] != b[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				row[j] = min(row[j], before[j - 2] + 1);
		}
		before = last;
		last = row;
		row = freed;
	}
	return last[len_b];
}

void nearnames_begin(struct nearnames *n, const char *word)
{
	size_t len = strlen(word);

	memset(n, 0, sizeof(*n));
	if (len < sizeof(n->word))
		memcpy(n->word, word, len);
}

void nearnames_try(struct nearnames *n, const char *candidate)
{
	size_t len = strlen(n->word), other = strlen(candidate), at;
	/* Up to a third of the letters may be wrong. */
	size_t most = len / 3 + 1;
	unsigned int d;

	if (!len || other >= NEARNAMES_BYTES || !other)
		return;
	if (len >= 3 && !strncmp(n->word, candidate, len))
		d = 1;
	else if ((len > other ? len - other : other - len) > most)
		return;
	else
		d = distance(n->word, len, candidate, other);
	if (d > most || d >= len)
		return;
	for (at = 0; at < n->nr; at++)
		if (!strcmp(n->names[at], candidate))
			return;
	for (at = n->nr; at > 0 && n->distances[at - 1] > d; at--)
		;
	if (at == NEARNAMES_MAX)
		return;
	if (n->nr < NEARNAMES_MAX)
		n->nr++;
	memmove(&n->names[at + 1], &n->names[at], (n->nr - 1 - at) * sizeof(n->names[0]));
	memmove(&n->distances[at + 1], &n->distances[at],
		(n->nr - 1 - at) * sizeof(n->distances[0]));
	memcpy(n->names[at], candidate, other + 1);
	n->distances[at] = d;
}

void nearnames_text(const struct nearnames *n, char *to, size_t size_bytes)
{
	size_t len = 0;

	*to = '\0';
	for (unsigned int i = 0; i < n->nr && len < size_bytes; i++)
		len += (size_t)snprintf(to + len, size_bytes - len, "%s'%s'%s",
					i == 0 ? " (did you mean " : i + 1 < n->nr ? ", " : " or ",
					n->names[i], i + 1 == n->nr ? "?)" : "");
}
