/*
 * "Did you mean ...?": the nearest of several words to a mistyped one.
 */
#ifndef CMD_SUGGEST_H
#define CMD_SUGGEST_H

struct suggest {
	const char *word;
	const char *best;	/* NULL: nothing is near enough */
	unsigned int best_distance;
};

void suggest_begin(struct suggest *s, const char *word);
/* `candidate` must live as long as `best` is used. */
void suggest_try(struct suggest *s, const char *candidate);

#endif
