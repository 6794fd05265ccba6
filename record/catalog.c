#include "record/catalog.h"

#include <fnmatch.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "record/kernelbtf.h"
#include "record/sampled.h"
#include "record/scheddesc.h"

/* "time, cpu, task, ..." */
static const char *field_names(const struct event_desc *desc, char *to, size_t size)
{
	size_t len = 0;

	*to = '\0';
	for (uint32_t i = 0; i < desc->nr_fields && len < size; i++)
		len += (size_t)snprintf(to + len, size - len, "%s%s", i ? ", " : "",
					desc->fields[i].name);
	return to;
}

static int list_sched(const char *glob, probe_list_fn fn, void *ctx)
{
	const struct event_desc *desc = scheddesc_whole(true);
	int ret = 0;

	for (size_t i = 0; !ret && desc; desc = scheddesc_part(true, i++)) {
		char fields[512];
		struct probe_listing l = {
			.name = desc->name, .summary = scheddesc_summary(desc->name),
			.fields = field_names(desc, fields, sizeof(fields)),
		};

		if (fnmatch(glob, desc->name, 0))
			continue;
		if (access(KERNELBTF_PATH, F_OK) < 0)
			l.missing = "this kernel does not tell its types (" KERNELBTF_PATH ")";
		ret = fn(ctx, &l);
	}
	return ret;
}

static int list_sampled(const char *glob, probe_list_fn fn, void *ctx)
{
	const char *name;
	bool is_clock;
	int ret = 0;

	for (size_t i = 0; !ret && (name = sampled_name_at(i, &is_clock)); i++) {
		struct probe_listing l = { .name = name };
		struct sampled s;

		if (fnmatch(glob, name, 0) || sampled_parse(&s, name, NULL) < 0)
			continue;
		if (!sampled_can_count(&s))
			l.missing = "this machine has no such counter, or it may not be used";
		else
			l.fields = is_clock ? "sampled by time" : "sampled by count";
		ret = fn(ctx, &l);
	}
	return ret;
}

struct told {
	probe_list_fn fn;
	void *ctx;
	size_t nr;
};

static int tell(void *ctx, const struct probe_listing *l)
{
	struct told *to = ctx;

	to->nr++;
	return to->fn(to->ctx, l);
}

/* One row for all that cannot be looked at. */
static int tell_missing(struct told *to, const char *glob, struct diag *d)
{
	struct diag why = *d;
	char name[256];

	*d = (struct diag){ "" };
	snprintf(name, sizeof(name), "tracepoint:%s", glob);
	return tell(to, &(struct probe_listing){ .name = name, .missing = why.text });
}

int catalog_list(const char *glob, bool verbose, probe_list_fn fn, void *ctx, struct diag *d)
{
	const char *colon = strchr(glob, ':');
	const struct probe_kind *k = colon ? probe_find_kind(glob, (size_t)(colon - glob)) : NULL;
	struct told to = { fn, ctx, 0 };
	int ret;

	if (k)
		return k->list(k, colon + 1, verbose, fn, ctx, d);
	ret = list_sampled(glob, tell, &to);
	if (!ret)
		ret = list_sched(glob, tell, &to);
	k = probe_find_kind("span", strlen("span"));
	if (!ret && k)
		ret = k->list(k, glob, verbose, tell, &to, d);
	k = probe_find_kind("tracepoint", strlen("tracepoint"));
	if (ret || !k)
		return ret;
	ret = k->list(k, glob, verbose, tell, &to, d);
	return ret < 0 && to.nr ? tell_missing(&to, glob, d) : ret;
}

static int count(void *ctx, const struct probe_listing *l)
{
	struct catalog_kind *k = ctx;

	k->nr++;
	k->nr_missing += l->missing != NULL;
	if (l->missing && !k->why[0])
		snprintf(k->why, sizeof(k->why), "%s", l->missing);
	return 0;
}

bool catalog_kind(size_t i, struct catalog_kind *out)
{
	const struct probe_kind *k;
	struct diag d = { "" };

	*out = (struct catalog_kind){ .name = "sample" };
	if (i == 0) {
		out->summary = "software and hardware events, sampled";
		list_sampled("*", count, out);
		return true;
	}
	if (i == 1) {
		out->name = "sched";
		out->summary = "what threads do: on a CPU, blocked on what, waiting for a CPU";
		list_sched("*", count, out);
		return true;
	}
	k = probe_kind_at(i - 2);
	if (!k)
		return false;
	out->name = k->name;
	out->aliases = k->aliases;
	out->summary = k->summary;
	if (k->list(k, NULL, false, count, out, &d) < 0)
		snprintf(out->why, sizeof(out->why), "%s", d.text);
	return true;
}
