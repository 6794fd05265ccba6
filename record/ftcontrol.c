#define _GNU_SOURCE
#include "record/ftcontrol.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "record/ftnote.h"
#include "record/kfuncs.h"
#include "record/lockdown.h"
#include "record/tracefs.h"

#define TRACER "function_graph"
#define MAX_FILE_BYTES 4096
#define PREFIX_BYTES 64

struct ftcontrol {
	const struct ftcontrol_opts *opts;	/* only while it is opened */
	int tracing, folder;
	struct ftnote *note;
	char prefix[PREFIX_BYTES];	/* "instances/NAME/", or "" */
};

/* --- files ------------------------------------------------------------------------------- */

/* Its beginning.  -errno. */
static int read_file(int folder, const char *file, char text[MAX_FILE_BYTES])
{
	int fd = openat(folder, file, O_RDONLY | O_CLOEXEC), err = 0;
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = read(fd, text, MAX_FILE_BYTES - 1);
	if (n < 0)
		err = -errno;
	close(fd);
	text[n > 0 ? n : 0] = '\0';
	return err;
}

static int say_cannot_set(struct diag *d, int err, const char *file)
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
static int set(struct ftcontrol *c, const char *file, const char *value, struct diag *d)
{
	char old[MAX_FILE_BYTES], path[PREFIX_BYTES + 64];
	int err = read_file(c->folder, file, old);

	old_value(old);
	/* Rings of different sizes have no common one to be given back. */
	if (!err && (!strcmp(old, value) || !strcmp(old, "X")))
		return 0;
	snprintf(path, sizeof(path), "%s%s", c->prefix, file);
	if (!err && (!*c->prefix || !strcmp(file, "current_tracer")))
		err = ftnote_add(c->note, path, old);
	if (!err)
		err = ftnote_write(c->tracing, path, value);
	return err ? say_cannot_set(d, err, file) : 0;
}

/* --- whose it is ---------------------------------------------------------------------------- */

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
	char text[MAX_FILE_BYTES];

	for (size_t i = 0; i < sizeof(free_controls) / sizeof(*free_controls); i++) {
		const struct free_control *f = &free_controls[i];
		int err;

		if (*c->prefix && !f->shared)
			continue;
		err = read_file(c->tracing, f->file, text);
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
	char text[MAX_FILE_BYTES];

	return read_file(folder, "available_tracers", text) == 0 && has_word(text, TRACER);
}

static int make_instance(struct ftcontrol *c)
{
	char name[PREFIX_BYTES - 1];
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

/* --- whom ------------------------------------------------------------------------------------- */

static int set_cpus(struct ftcontrol *c, struct diag *d)
{
	const struct target *t = c->opts->target;
	char text[MAX_FILE_BYTES] = "";
	int last = t->nr_cpus ? t->cpus[t->nr_cpus - 1] / 32 : 0;
	size_t len = 0;

	for (int word = last; word >= 0 && len < sizeof(text) - 16; word--) {
		uint32_t mask = 0;

		for (size_t i = 0; i < t->nr_cpus; i++)
			if (t->cpus[i] / 32 == word)
				mask |= UINT32_C(1) << t->cpus[i] % 32;
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%08x",
					word == last ? "" : ",", mask);
	}
	return set(c, "tracing_cpumask", text, d);
}

/* A list of threads, which replaces the one before. */
static int set_tids(struct ftcontrol *c, const char *file, const int *tids, size_t nr,
		    struct diag *d)
{
	char *text = malloc(nr * 12 + 1), path[PREFIX_BYTES + 64];
	size_t len = 0;
	int err = 0;

	if (!text)
		return diag_set(d, -ENOMEM, "out of memory");
	text[0] = '\0';
	for (size_t i = 0; i < nr; i++)
		len += (size_t)sprintf(text + len, "%d\n", tids[i]);
	snprintf(path, sizeof(path), "%s%s", c->prefix, file);
	err = ftnote_write(c->tracing, path, text);
	free(text);
	return err ? say_cannot_set(d, err, file) : 0;
}

/*
 * The recorder must not trace itself reading its rings.  Kernels before 5.7 cannot leave
 * anybody out.
 */
static int leave_ourselves_out(struct ftcontrol *c, struct diag *d)
{
	const int self = getpid();
	char text[MAX_FILE_BYTES];
	int err = read_file(c->folder, "set_ftrace_notrace_pid", text);

	if (err)
		return 0;
	if (!*c->prefix)
		err = ftnote_add(c->note, "set_ftrace_notrace_pid", "");
	return err ? say_cannot_set(d, err, "set_ftrace_notrace_pid") :
		     set_tids(c, "set_ftrace_notrace_pid", &self, 1, d);
}

/* What is born while the list is written is in the next one. */
static int set_target(struct ftcontrol *c, struct diag *d)
{
	struct target *t = c->opts->target;
	int err = set(c, "options/function-fork", t->threads_only ? "0" : "1", d), born = 1;

	if (!err && t->some_cpus)
		err = set_cpus(c, d);
	if (err || t->all)
		return err ? err : leave_ourselves_out(c, d);
	if (!*c->prefix && ftnote_add(c->note, "set_ftrace_pid", "") < 0)
		return say_cannot_set(d, -EIO, "set_ftrace_pid");
	while (!err && born > 0) {
		err = set_tids(c, "set_ftrace_pid", t->tids, t->nr_tids, d);
		born = err ? 0 : target_refresh_tids(t, d);
	}
	return err ? err : born;
}

/* --- what -------------------------------------------------------------------------------------- */

/* Whether it is a function after all, which merely cannot be traced. */
static bool exists(const char *name)
{
	struct kfuncs found = { 0 };
	bool any = kfuncs_find(&found, NULL, name, false, NULL) == 0 && found.nr;

	kfuncs_release(&found);
	return any;
}

static int say_no_function(const char *name, int err, struct diag *d)
{
	bool is_glob = strpbrk(name, "*?[") != NULL;
	char near[256] = "";
	const char *why;

	if (err != -EINVAL)
		return diag_set(d, err, "cannot trace '%s': %s", name, strerror(-err));
	if (is_glob)
		return diag_set(d, -ENOENT, "no kernel function that can be traced matches '%s' "
				"(see: kymo list 'kprobe:*')", name);
	why = exists(name) ? kfuncs_obstacle(name) : NULL;
	if (why)
		return diag_set(d, -ENOENT, "cannot trace '%s': %s", name, why);
	kfuncs_suggest(name, near, sizeof(near));
	return diag_set(d, -ENOENT, "no kernel function '%s'%s (see: kymo list 'kprobe:*')", name,
			near);
}

/* One write for each name, so that it is known which of them does not exist. */
static int add_functions(int fd, char *names, struct diag *d)
{
	char *rest = names, *name, line[256];

	while ((name = strtok_r(rest, ",", &rest))) {
		int len = snprintf(line, sizeof(line), "%s\n", name);

		if (len >= (int)sizeof(line) || strpbrk(name, " \t\n!#:"))
			return diag_set(d, -EINVAL, "'%s' is no name of a function", name);
		if (write(fd, line, (size_t)len) != len)
			return say_no_function(name, errno ? -errno : -EIO, d);
	}
	return 0;
}

static int set_functions(struct ftcontrol *c, struct diag *d)
{
	char *names = strdup(c->opts->functions);
	int fd = -1, err = names ? ftnote_add(c->note, "set_graph_function", "") : -ENOMEM;

	if (!err) {
		fd = openat(c->tracing, "set_graph_function", O_WRONLY | O_TRUNC | O_CLOEXEC);
		err = fd < 0 ? -errno : 0;
	}
	if (err)
		say_cannot_set(d, err, "set_graph_function");
	else
		err = add_functions(fd, names, d);
	if (fd >= 0 && close(fd) < 0 && !err)
		err = say_cannot_set(d, -errno, "set_graph_function");
	free(names);
	return err;
}

static int set_depth(struct ftcontrol *c, struct diag *d)
{
	char text[16];
	int err;

	if (!c->opts->depth)
		return 0;
	snprintf(text, sizeof(text), "%u", c->opts->depth);
	err = ftnote_add(c->note, "max_graph_depth", "0");
	if (!err)
		err = ftnote_write(c->tracing, "max_graph_depth", text);
	return err ? say_cannot_set(d, err, "max_graph_depth") : 0;
}

/*
 * The tracer comes last: without the functions and the depth it would trace everything.
 * Time that a task sleeps in a function is part of it.
 */
static int set_up(struct ftcontrol *c, struct diag *d)
{
	static const struct {
		const char *file, *value;
	} fixed[] = {
		{ "tracing_on", "0" }, { "trace_clock", "mono" }, { "options/overwrite", "1" },
		{ "options/sleep-time", "1" }, { "options/funcgraph-irqs", "1" },
	};
	char kilobytes[32];
	int err = 0;

	for (size_t i = 0; i < sizeof(fixed) / sizeof(*fixed) && !err; i++)
		err = set(c, fixed[i].file, fixed[i].value, d);
	snprintf(kilobytes, sizeof(kilobytes), "%zu", c->opts->cpu_bytes / 1024);
	if (!err)
		err = set(c, "buffer_size_kb", kilobytes, d);
	if (!err)
		err = set_target(c, d);
	if (!err)
		err = set_functions(c, d);
	if (!err)
		err = set_depth(c, d);
	return err ? err : set(c, "current_tracer", TRACER, d);
}

/* --- life ---------------------------------------------------------------------------------------- */

static int open_tracefs(struct ftcontrol *c, struct diag *d)
{
	char text[MAX_FILE_BYTES];
	int err;

	if (lockdown_is_confidential())
		return diag_set(d, -EPERM, "--graph needs tracefs, which a kernel in lockdown "
				"(confidentiality) keeps shut");
	c->tracing = tracefs_open(d);
	if (c->tracing < 0)
		return c->tracing;
	err = read_file(c->tracing, "available_tracers", text);
	if (err)
		return diag_set(d, err, "cannot read which tracers the kernel has: %s%s",
				strerror(-err), err == -EACCES || err == -EPERM ?
				" (run as root)" : "");
	if (!has_word(text, TRACER))
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
		err = set_up(c, d);
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

int ftcontrol_enable(struct ftcontrol *c, bool on)
{
	char path[PREFIX_BYTES + 16];

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
