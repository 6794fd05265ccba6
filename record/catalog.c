#include "record/catalog.h"

#include <fnmatch.h>
#include <stdio.h>
#include <string.h>

#include "record/sampled.h"

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
	k = probe_kind_at(i - 1);
	if (!k)
		return false;
	out->name = k->name;
	out->aliases = k->aliases;
	out->summary = k->summary;
	if (k->list(k, NULL, false, count, out, &d) < 0)
		snprintf(out->why, sizeof(out->why), "%s", d.text);
	return true;
}
