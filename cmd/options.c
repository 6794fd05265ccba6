#include "cmd/options.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/suggest.h"

static const struct option_row help_rows[] = {
	{ 'h', "help", NULL, "show this and exit", NULL },
	{ 0, NULL, NULL, NULL, NULL },
};

/* The rows of all tables one after the other, then those every command has. */
struct row_walk {
	const struct option_row *const *table;
	const struct option_row *row;
};

static const struct option_row *row_next(struct row_walk *w)
{
	while (w->row && !w->row->letter && !w->row->name) {
		if (w->row == &help_rows[1])
			return NULL;
		w->row = *++w->table ? *w->table : help_rows;
	}
	return w->row++;
}

static void row_first(struct row_walk *w, const struct command *c)
{
	w->table = c->options;
	w->row = *w->table ? *w->table : help_rows;
}

static bool is_end(const struct option_row *row)
{
	return !row->letter && !row->name;
}

/* How getopt_long() wants to have it. */
struct getopt_tables {
	size_t nr;
	const struct option_row **rows;
	struct option *longs;
	char *shorts;
};

/* Long options return their row's index above all letters. */
#define LONG_BASE 256

static int has_arg(const struct option_row *row)
{
	if (!row->arg)
		return no_argument;
	return row->arg[0] == '[' ? optional_argument : required_argument;
}

static int tables_init(struct getopt_tables *g, const struct command *c)
{
	const struct option_row *row;
	struct row_walk w;
	size_t nr = 0, nr_longs = 0;
	char *at;

	for (row_first(&w, c); row_next(&w);)
		nr++;
	g->rows = calloc(nr, sizeof(*g->rows));
	g->longs = calloc(nr + 1, sizeof(*g->longs));
	g->shorts = calloc(nr + 1, 3);
	if (!g->rows || !g->longs || !g->shorts)
		return -1;

	/* '+': stop at the first argument; ':': tell a missing one apart. */
	at = stpcpy(g->shorts, "+:");
	for (row_first(&w, c); (row = row_next(&w));) {
		g->rows[g->nr] = row;
		if (row->letter) {
			*at++ = row->letter;
			for (int i = has_arg(row); i > 0; i--)
				*at++ = ':';
		}
		if (row->name) {
			g->longs[nr_longs].name = row->name;
			g->longs[nr_longs].has_arg = has_arg(row);
			g->longs[nr_longs++].val = LONG_BASE + (int)g->nr;
		}
		g->nr++;
	}
	return 0;
}

static void tables_release(struct getopt_tables *g)
{
	free(g->rows);
	free(g->longs);
	free(g->shorts);
}

static const struct option_row *tables_find(const struct getopt_tables *g, int val)
{
	if (val >= LONG_BASE)
		return g->rows[val - LONG_BASE];
	for (size_t i = 0; i < g->nr; i++)
		if (g->rows[i]->letter && g->rows[i]->letter == val)
			return g->rows[i];
	return NULL;
}

static void complain_unknown(const struct getopt_tables *g, const char *given)
{
	struct suggest s;
	char word[64];

	snprintf(word, sizeof(word), "%.*s", (int)strcspn(given, "="), given);
	if (strncmp(word, "--", 2)) {
		command_complain("unknown option '-%c' (see --help)", optopt);
		return;
	}
	suggest_begin(&s, word + 2);
	for (size_t i = 0; i < g->nr; i++)
		if (g->rows[i]->name)
			suggest_try(&s, g->rows[i]->name);
	if (s.best)
		command_complain("unknown option '%s' (did you mean --%s?)", word, s.best);
	else
		command_complain("unknown option '%s' (see --help)", word);
}

/* getopt_long() returned ':' or '?' on the word that was given. */
static void complain(const struct getopt_tables *g, int kind, const char *given)
{
	const struct option_row *row = optopt ? tables_find(g, optopt) : NULL;
	char name[64];

	if (!row) {
		complain_unknown(g, given);
		return;
	}
	if (optopt >= LONG_BASE)
		snprintf(name, sizeof(name), "--%s", row->name);
	else
		snprintf(name, sizeof(name), "-%c", row->letter);
	if (kind == ':')
		command_complain("option %s needs an argument: %s", name, row->arg);
	else
		command_complain("option %s takes no argument: '%s'", name, given);
}

int options_parse(const struct command *c, int argc, char **argv, void *opts, int *first)
{
	struct getopt_tables g = { 0 };
	int ret = EXIT_USAGE, val;

	if (tables_init(&g, c)) {
		command_complain("out of memory");
		goto out;
	}

	opterr = 0;
	optind = 0;
	for (;;) {
		const struct option_row *row;
		int index = optind ? optind : 1;

		val = getopt_long(argc, argv, g.shorts, g.longs, NULL);
		if (val == -1)
			break;
		if (val == '?' || val == ':') {
			complain(&g, val, argv[index]);
			goto out;
		}
		row = tables_find(&g, val);
		if (!row->set) {
			ret = OPTIONS_HELP;
			goto out;
		}
		if (row->set(opts, optarg))
			goto out;
	}
	*first = optind;
	ret = 0;
out:
	tables_release(&g);
	return ret;
}

#define HELP_COLUMN 28

static void row_print(const struct option_row *row)
{
	char left[128];
	int len = 0;

	len += snprintf(left, sizeof(left), "  ");
	if (row->letter)
		len += snprintf(left + len, sizeof(left) - len, "-%c", row->letter);
	else
		len += snprintf(left + len, sizeof(left) - len, "    ");
	if (row->name)
		len += snprintf(left + len, sizeof(left) - len, "%s--%s",
				row->letter ? ", " : "", row->name);
	if (row->arg && row->arg[0] == '[')
		len += snprintf(left + len, sizeof(left) - len, "[=%s", row->arg + 1);
	else if (row->arg)
		len += snprintf(left + len, sizeof(left) - len, " %s", row->arg);

	if (len > HELP_COLUMN - 2)
		printf("%s\n%*s%s\n", left, HELP_COLUMN, "", row->help);
	else
		printf("%-*s%s\n", HELP_COLUMN, left, row->help);
}

void options_print(const struct command *c)
{
	printf("usage: kymo %s %s\n%s\n", c->name, c->usage, c->summary);
	for (const struct option_row *const *table = c->options; *table; table++) {
		printf("\n");
		for (const struct option_row *row = *table; !is_end(row); row++)
			row_print(row);
	}
	printf("\n");
	row_print(&help_rows[0]);
	printf("\nMore: kymo help %s\n", c->name);
}
