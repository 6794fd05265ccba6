#include "cmd/command.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "format/bytebuf.h"
#include "report/escape.h"

static struct {
	int argc;
	char **argv;
	const char *name;
} invocation;

const struct command *command_at(unsigned int i)
{
	static const struct command *const commands[] = {
#define COMMAND(name) &cmd_##name,
#include "cmd/commands.def"
#undef COMMAND
		NULL,
	};

	return commands[i];
}

const struct command *command_find(const char *name)
{
	const struct command *c;

	for (unsigned int i = 0; (c = command_at(i)); i++)
		if (!strcmp(c->name, name))
			return c;
	return NULL;
}

void command_begin(int argc, char **argv, const char *name)
{
	invocation.argc = argc;
	invocation.argv = argv;
	invocation.name = name;
}

void command_line(int *argc, char ***argv)
{
	*argc = invocation.argc;
	*argv = invocation.argv;
}

void command_complain(const char *fmt, ...)
{
	struct bytebuf safe;
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);

	bytebuf_init(&safe);
	escape_terminal(&safe, text, strlen(text));
	/* What the command printed so far comes before what it complains about. */
	fflush(stdout);
	fprintf(stderr, "kymo%s%s: %.*s\n", invocation.name ? " " : "",
		invocation.name ? invocation.name : "",
		(int)safe.len, safe.data ? (char *)safe.data : "");
	bytebuf_release(&safe);
}
