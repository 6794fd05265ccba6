#include "cmd/suggest.h"

#include <stddef.h>
#include <string.h>

#define MAX_WORD 32

static unsigned int min3(unsigned int a, unsigned int b, unsigned int c)
{
	a = a < b ? a : b;
	return a < c ? a : c;
}

/*
 * The edits (insert, delete, replace, swap of neighbours) from one word to the
 * other, by the usual table of prefixes.
 */
static unsigned int distance(const char *a, size_t len_a, const char *b, size_t len_b)
{
	unsigned int d[MAX_WORD + 1][MAX_WORD + 1];

	for (size_t i = 0; i <= len_a; i++)
		d[i][0] = (unsigned int)i;
	for (size_t j = 0; j <= len_b; j++)
		d[0][j] = (unsigned int)j;
	for (size_t i = 1; i <= len_a; i++) {
		for (size_t j = 1; j <= len_b; j++) {
			unsigned int differs = a[i - 1] != b[j - 1];

			d[i][j] = min3(d[i - 1][j] + 1, d[i][j - 1] + 1,
				       d[i - 1][j - 1] + differs);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
			    d[i - 2][j - 2] + 1 < d[i][j])
				d[i][j] = d[i - 2][j - 2] + 1;
		}
	}
	return d[len_a][len_b];
}

void suggest_begin(struct suggest *s, const char *word)
{
	s->word = word;
	s->best = NULL;
	/* Up to a third of the letters may be wrong. */
	s->best_distance = (unsigned int)strlen(word) / 3 + 2;
}

void suggest_try(struct suggest *s, const char *candidate)
{
	size_t len = strlen(s->word), candidate_len = strlen(candidate);
	unsigned int d;

	if (!len || len > MAX_WORD || candidate_len > MAX_WORD)
		return;
	/* A beginning of the word counts as nearly right. */
	if (len >= 3 && !strncmp(s->word, candidate, len))
		d = 1;
	else
		d = distance(s->word, len, candidate, candidate_len);
	if (d < s->best_distance) {
		s->best = candidate;
		s->best_distance = d;
	}
}
