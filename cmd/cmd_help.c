#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "cmd/cmd_help.h"
#include "cmd/command.h"
#include "cmd/pager.h"
#include "cmd/suggest.h"

#include "Documentation/pages.h"

struct page {
	const char *name;
	const char *text;
};

static const struct page pages[] = {
#define ROW(name, section, text) { name, text },
	PAGES(ROW)
#undef ROW
	{ NULL, NULL },
};

void cmd_help_overview(FILE *to)
{
	const struct command *c;

	fprintf(to, "usage: kymo COMMAND [options]\n\n");
	for (unsigned int i = 0; (c = command_at(i)); i++)
		if (!(c->flags & COMMAND_HIDDEN))
			fprintf(to, "  %-12s %s\n", c->name, c->summary);
	fprintf(to, "\n"
		"kymo COMMAND --help   its options\n"
		"kymo help COMMAND     its manual page (and: kymo help kymo, kymo help format)\n"
		"kymo --version        what this build can do\n");
}

/*
 * The text has bold as X\bX and underlined as _\bX, which pagers know; what is
 * not shown by a pager gets the characters alone.
 */
static void page_print(const struct page *page, bool paged)
{
	const char *text = page->text;

	if (paged) {
		fputs(text, stdout);
		return;
	}
	while (*text) {
		size_t len = 1;

		/* A character may be several bytes of UTF-8. */
		while ((text[len] & 0xc0) == 0x80)
			len++;
		if (text[len] != '\b')
			fwrite(text, 1, len, stdout);
		else
			len++;
		text += len;
	}
}

static const struct page *page_find(const char *topic)
{
	for (const struct page *p = pages; p->name; p++)
		if (!strcmp(p->name, topic) ||
		    (!strncmp(p->name, "kymo-", 5) && !strcmp(p->name + 5, topic)))
			return p;
	return NULL;
}

static int complain_unknown(const char *topic)
{
	struct suggest s;

	suggest_begin(&s, topic);
	for (const struct page *p = pages; p->name; p++)
		suggest_try(&s, strncmp(p->name, "kymo-", 5) ? p->name : p->name + 5);
	if (s.best)
		command_complain("no manual page for '%s' (did you mean %s?)", topic, s.best);
	else
		command_complain("no manual page for '%s' (see: kymo help)", topic);
	return EXIT_USAGE;
}

static int help_run(int nr_args, char **args, void *opts)
{
	const struct page *page;

	(void)opts;
	if (!nr_args) {
		cmd_help_overview(stdout);
		return EXIT_OK;
	}
	if (nr_args > 1) {
		command_complain("unexpected argument '%s'", args[1]);
		return EXIT_USAGE;
	}
	page = page_find(strcmp(args[0], "help") ? args[0] : "kymo");
	if (!page)
		return complain_unknown(args[0]);
	page_print(page, pager_start());
	return EXIT_OK;
}

static const struct option_row *const help_options[] = { NULL };

const struct command cmd_help = {
	.name = "help",
	.summary = "show the manual page of a command, of filters or of the file format",
	.usage = "[COMMAND|filter|format]",
	.options = help_options,
	.run = help_run,
};
