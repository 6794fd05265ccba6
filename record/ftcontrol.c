#define _GNU_SOURCE
#include "record/ftcontrol.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "record/ftcontrol_private.h"
#include "record/lockdown.h"
#include "record/tracefs.h"

/* --- files ------------------------------------------------------------------------- */

int ftcontrol_read(int folder, const char *file, char text[FTCONTROL_FILE_BYTES])
{
	int fd = openat(folder, file, O_RDONLY | O_CLOEXEC), err = 0;
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = read(fd, text, FTCONTROL_FILE_BYTES - 1);
	if (n < 0)
		err = -errno;
	close(fd);
	text[n > 0 ? n : 0] = '\0';
	return err;
}

int ftcontrol_say(struct diag *d, int err, const char *file)
{
	return diag_set(d, err, "cannot set '%s' in tracefs: %s", file, strerror(-err));
}

/* The old value of a one-line file; of "[local] global" that in brackets. */
static void old_value(char *text)
{
	char *open = strchr(text, '['), *close = open ? strchr(open, ']') : NULL;
	char *expanded = strstr(text, "(expanded: ");

	/* A ring that nobody has used yet is a small one, until somebody does. */
	if (expanded) {
		open = expanded + strlen("(expanded: ") - 1;
		close = strchr(open, ')');
	}
	if (close) {
		memmove(text, open + 1, (size_t)(close - open - 1));
		text[close - open - 1] = '\0';
	}
	text[strcspn(text, "\n")] = '\0';
}

/*
 * What is set in our instance ends with it.  But its tracer must be off before the depth
 * and the functions are given back, or it would trace everything.
 */
int ftcontrol_put(struct ftcontrol *c, const char *file, const char *value, struct diag *d)
{
	char old[FTCONTROL_FILE_BYTES], path[FTCONTROL_PREFIX_BYTES + 64];
	int err = ftcontrol_read(c->folder, file, old);

	old_value(old);
	/* Rings of different sizes have no common one to be given back. */
	if (!err && (!strcmp(old, value) || !strcmp(old, "X")))
		return 0;
	snprintf(path, sizeof(path), "%s%s", c->prefix, file);
	if (!err && (!*c->prefix || !strcmp(file, "current_tracer")))
		err = ftnote_add(c->note, path, old);
	if (!err)
		err = ftnote_write(c->tracing, path, value);
	return err ? ftcontrol_say(d, err, file) : 0;
}

/* --- whose it is ------------------------------------------------------------------- */

/* What these files hold while nobody uses them. */
static const struct free_control {
	const char *file, *value;
	bool shared;		/* by all instances */
} free_controls[] = {
	{ "set_graph_function", "#", true },
	{ "set_graph_notrace", "#", true },
	{ "max_graph_depth", "0", true },
	{ "tracing_thresh", "0", true },
	{ "current_tracer", "nop", false },
	{ "events/enable", "0", false },
	{ "set_ftrace_filter", "#", false },
	{ "set_ftrace_notrace", "#", false },
	{ "set_ftrace_pid", "no pid", false },
	{ "set_ftrace_notrace_pid", "no pid", false },
};

static int check_free(const struct ftcontrol *c, struct diag *d)
{
	char text[FTCONTROL_FILE_BYTES];

	for (size_t i = 0; i < sizeof(free_controls) / sizeof(*free_controls); i++) {
		const struct free_control *f = &free_controls[i];
		int err;

		if (*c->prefix && !f->shared)
			continue;
		err = ftcontrol_read(c->tracing, f->file, text);
		/* Older kernels have fewer. */
		if (err == -ENOENT)
			continue;
		if (err)
			return diag_set(d, err, "cannot read '%s' in tracefs: %s", f->file,
					strerror(-err));
		if (strncmp(text, f->value, strlen(f->value)))
			return diag_set(d, -EBUSY, "somebody else is tracing functions: %s in "
					"/sys/kernel/tracing holds '%.*s' (to end it: trace-cmd "
					"reset)", f->file, (int)strcspn(text, "\n"), text);
	}
	return 0;
}

static bool has_word(const char *text, const char *word)
{
	size_t len = strlen(word);

	for (const char *at = text; (at = strstr(at, word)); at += len)
		if ((at == text || at[-1] == ' ') && strchr(" \n", at[len]))
			return true;
	return false;
}

static bool has_tracer(int folder)
{
	char text[FTCONTROL_FILE_BYTES];

	return ftcontrol_read(folder, "available_tracers", text) == 0 &&
	       has_word(text, FTCONTROL_TRACER);
}

static int make_instance(struct ftcontrol *c)
{
	char name[FTCONTROL_PREFIX_BYTES - 1];
	int err;

	snprintf(name, sizeof(name), "instances/kymo-%d", getpid());
	err = ftnote_add_folder(c->note, name);
	if (!err && mkdirat(c->tracing, name, 0700) < 0 && errno != EEXIST)
		err = -errno;
	if (err)
		return err;
	c->folder = openat(c->tracing, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (c->folder < 0)
		return -errno;
	if (has_tracer(c->folder)) {
		snprintf(c->prefix, sizeof(c->prefix), "%s/", name);
		return 0;
	}
	close(c->folder);
	c->folder = -1;
	unlinkat(c->tracing, name, AT_REMOVEDIR);
	return -ENODEV;
}

/* Kernels before 6.12 trace functions by their graph only where all see it. */
static int choose_folder(struct ftcontrol *c, struct diag *d)
{
	if (make_instance(c) < 0)
		c->folder = openat(c->tracing, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (c->folder < 0)
		return diag_set(d, -errno, "cannot open tracefs: %s", strerror(errno));
	return check_free(c, d);
}

/* --- life -------------------------------------------------------------------------- */

static int open_tracefs(struct ftcontrol *c, struct diag *d)
{
	char text[FTCONTROL_FILE_BYTES];
	int err;

	if (lockdown_is_confidential())
		return diag_set(d, -EPERM, "--graph needs tracefs, which a kernel in lockdown "
				"(confidentiality) keeps shut");
	c->tracing = tracefs_open(d);
	if (c->tracing < 0)
		return c->tracing;
	err = ftcontrol_read(c->tracing, "available_tracers", text);
	if (err)
		return diag_set(d, err, "cannot read which tracers the kernel has: %s%s",
				strerror(-err), err == -EACCES || err == -EPERM ?
				" (run as root)" : "");
	if (!has_word(text, FTCONTROL_TRACER))
		return diag_set(d, -EOPNOTSUPP, "--graph needs the kernel's function_graph tracer, "
				"which this kernel was built without (-e 'func:NAME' times single "
				"functions)");
	if (faccessat(c->tracing, "current_tracer", W_OK, AT_EACCESS) < 0)
		return diag_set(d, -errno, "--graph needs the right to write in "
				"/sys/kernel/tracing: run as root");
	return 0;
}

int ftcontrol_open(struct ftcontrol **out, const struct ftcontrol_opts *opts, struct diag *d)
{
	struct ftcontrol *c = calloc(1, sizeof(*c));
	int err;

	if (!c)
		return diag_set(d, -ENOMEM, "out of memory");
	c->opts = opts;
	c->tracing = c->folder = -1;
	err = open_tracefs(c, d);
	if (!err)
		err = ftnote_open(&c->note, c->tracing, d);
	if (!err)
		err = choose_folder(c, d);
	if (!err)
		err = ftcontrol_set_up(c, d);
	c->opts = NULL;
	if (err) {
		ftcontrol_close(c);
		return err;
	}
	*out = c;
	return 0;
}

int ftcontrol_folder(const struct ftcontrol *c)
{
	return c->folder;
}

const char *ftcontrol_place(const struct ftcontrol *c)
{
	return *c->prefix ? "in an instance of its own" : "in the instance of all";
}

int ftcontrol_enable(struct ftcontrol *c, bool on)
{
	char path[FTCONTROL_PREFIX_BYTES + 16];

	snprintf(path, sizeof(path), "%stracing_on", c->prefix);
	return ftnote_write(c->tracing, path, on ? "1" : "0");
}

void ftcontrol_close(struct ftcontrol *c)
{
	if (!c)
		return;
	if (c->folder >= 0)
		close(c->folder);
	ftnote_close(c->note);
	if (c->tracing >= 0)
		close(c->tracing);
	free(c);
}
