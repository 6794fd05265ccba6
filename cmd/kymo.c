#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd/cmd_help.h"
#include "cmd/command.h"
#include "cmd/options.h"
#include "cmd/pager.h"
#include "cmd/suggest.h"
#include "cmd/version.h"

/*
 * A trace opened as descriptor 1 because the caller had closed it would get
 * every message written into it.
 */
static int open_standard_fds(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) < 0)
			return -1;
	return 0;
}

/* A full disk shows only when the last bytes are written out. */
static int finish_stdout(int status)
{
	int failed = ferror(stdout);

	errno = 0;
	if (fclose(stdout))
		failed = 1;
	if (failed) {
		fprintf(stderr, "kymo: cannot write standard output%s%s\n",
			errno ? ": " : "", errno ? strerror(errno) : "");
		status = EXIT_FAIL;
	}
	pager_finish();
	return status;
}

static int complain_unknown(const char *name)
{
	const struct command *c;
	struct suggest s;

	suggest_begin(&s, name);
	for (unsigned int i = 0; (c = command_at(i)); i++)
		if (!(c->flags & COMMAND_HIDDEN))
			suggest_try(&s, c->name);
	if (!KYMO_RECORD && (!strcmp(name, "record") || !strcmp(name, "list")))
		command_complain("cannot %s: this kymo was built without the recorder "
				 "(RECORD=0)", name);
	else if (s.best)
		command_complain("no command '%s' (did you mean %s?)", name, s.best);
	else
		command_complain("no command '%s' (see: kymo help)", name);
	return EXIT_USAGE;
}

static int run_command(const struct command *c, int argc, char **argv)
{
	void *opts = NULL;
	int status, first;

	if (c->opts_new) {
		opts = c->opts_new();
		if (!opts) {
			command_complain("out of memory");
			return EXIT_FAIL;
		}
	}
	status = options_parse(c, argc, argv, opts, &first);
	if (status == OPTIONS_HELP) {
		options_print(c);
		status = EXIT_OK;
	} else if (!status) {
		if (c->flags & COMMAND_PAGER)
			pager_start();
		status = c->run(argc - first, argv + first, opts);
	}
	free(opts);
	return status;
}

static int dispatch(int argc, char **argv)
{
	const struct command *c;

	command_begin(argc, argv, NULL);
	if (argc < 2) {
		cmd_help_overview(stderr);
		return EXIT_USAGE;
	}
	if (!strcmp(argv[1], "--version") || !strcmp(argv[1], "version")) {
		version_print();
		return EXIT_OK;
	}
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h")) {
		cmd_help_overview(stdout);
		return EXIT_OK;
	}
	if (argv[1][0] == '-') {
		command_complain("unknown option '%s' (see: kymo help)", argv[1]);
		return EXIT_USAGE;
	}
	c = command_find(argv[1]);
	if (!c)
		return complain_unknown(argv[1]);
	command_begin(argc, argv, c->name);
	return run_command(c, argc - 1, argv + 1);
}

int main(int argc, char **argv)
{
	if (open_standard_fds())
		return EXIT_FAIL;
	/* Numbers keep their decimal point whatever the locale. */
	setlocale(LC_CTYPE, "");
	return finish_stdout(dispatch(argc, argv));
}
