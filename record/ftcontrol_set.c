#define _GNU_SOURCE
#include "record/ftcontrol_private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "record/kfuncs.h"

/* --- whom -------------------------------------------------------------------------- */

static int set_cpus(struct ftcontrol *c, struct diag *d)
{
	const struct target *t = c->opts->target;
	char text[FTCONTROL_FILE_BYTES] = "";
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
	return ftcontrol_put(c, "tracing_cpumask", text, d);
}

/* A list of threads, which replaces the one before. */
static int set_tids(struct ftcontrol *c, const char *file, const int *tids, size_t nr,
		    struct diag *d)
{
	char *text = malloc(nr * 12 + 1), path[FTCONTROL_PREFIX_BYTES + 64];
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
	return err ? ftcontrol_say(d, err, file) : 0;
}

/*
 * The recorder must not trace itself reading its rings.  Kernels before 5.7 cannot leave
 * anybody out.
 */
static int leave_ourselves_out(struct ftcontrol *c, struct diag *d)
{
	const int self = getpid();
	char text[FTCONTROL_FILE_BYTES];
	int err = ftcontrol_read(c->folder, "set_ftrace_notrace_pid", text);

	if (err)
		return 0;
	if (!*c->prefix)
		err = ftnote_add(c->note, "set_ftrace_notrace_pid", "");
	return err ? ftcontrol_say(d, err, "set_ftrace_notrace_pid") :
		     set_tids(c, "set_ftrace_notrace_pid", &self, 1, d);
}

/* What is born while the list is written is in the next one. */
static int set_target(struct ftcontrol *c, struct diag *d)
{
	struct target *t = c->opts->target;
	const char *fork = t->threads_only ? "0" : "1";
	int err = ftcontrol_put(c, "options/function-fork", fork, d), born = 1;

	if (!err && t->some_cpus)
		err = set_cpus(c, d);
	if (err || t->all)
		return err ? err : leave_ourselves_out(c, d);
	if (!*c->prefix && ftnote_add(c->note, "set_ftrace_pid", "") < 0)
		return ftcontrol_say(d, -EIO, "set_ftrace_pid");
	while (!err && born > 0) {
		err = set_tids(c, "set_ftrace_pid", t->tids, t->nr_tids, d);
		born = err ? 0 : target_refresh_tids(t, d);
	}
	return err ? err : born;
}

/* --- what -------------------------------------------------------------------------- */

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
		ftcontrol_say(d, err, "set_graph_function");
	else
		err = add_functions(fd, names, d);
	if (fd >= 0 && close(fd) < 0 && !err)
		err = ftcontrol_say(d, -errno, "set_graph_function");
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
	return err ? ftcontrol_say(d, err, "max_graph_depth") : 0;
}

/*
 * The tracer comes last: without the functions and the depth it would trace everything.
 * Time that a task sleeps in a function is part of it.
 */
int ftcontrol_set_up(struct ftcontrol *c, struct diag *d)
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
		err = ftcontrol_put(c, fixed[i].file, fixed[i].value, d);
	snprintf(kilobytes, sizeof(kilobytes), "%zu", c->opts->cpu_bytes / 1024);
	if (!err)
		err = ftcontrol_put(c, "buffer_size_kb", kilobytes, d);
	if (!err)
		err = set_target(c, d);
	if (!err)
		err = set_functions(c, d);
	if (!err)
		err = set_depth(c, d);
	return err ? err : ftcontrol_put(c, "current_tracer", FTCONTROL_TRACER, d);
}
