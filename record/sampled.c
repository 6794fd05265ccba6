#include "record/sampled.h"

#include <errno.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "record/nearnames.h"
#include "record/perfevent.h"
#include "record/scheddesc.h"

#define CACHE_MISSES(cache, op)						\
	(PERF_COUNT_HW_CACHE_##cache | PERF_COUNT_HW_CACHE_OP_##op << 8 |	\
	 PERF_COUNT_HW_CACHE_RESULT_MISS << 16)

#define RAW_FREQUENCY_HZ 99
#define CPU_NAME "cpu"

struct row {
	const char *name;
	uint32_t perf_type;
	uint64_t perf_config;
	uint64_t default_frequency;	/* 0: default_period counts */
	uint64_t default_period;
	const char *unit;
};

static const struct row table[] = {
#define SAMPLED(name, type, config, frequency, period, unit)		\
	{ name, type, config, frequency, period, unit },
#include "record/sampled.def"
#undef SAMPLED
};

#define NR_ROWS (sizeof(table) / sizeof(table[0]))

static const struct row *find_row(const char *name)
{
	for (size_t i = 0; i < NR_ROWS; i++)
		if (!strcmp(table[i].name, name))
			return &table[i];
	return NULL;
}

const char *sampled_name_at(size_t i, bool *is_clock)
{
	if (i >= NR_ROWS)
		return NULL;
	*is_clock = !strcmp(table[i].unit, "ns");
	return table[i].name;
}

/* Virtual machines often have no counters, or some that cannot interrupt. */
bool sampled_can_count(const struct sampled *s)
{
	struct perf_event_attr attr = {
		.size = sizeof(attr), .type = s->perf_type, .config = s->perf_config,
		.sample_period = 1000000, .disabled = 1, .exclude_kernel = 1,
	};
	int fd = perfevent_open(&attr, 0, -1);

	if (fd < 0)
		return false;
	close(fd);
	return true;
}

static void take_row(struct sampled *s, const struct row *r)
{
	s->perf_type = r->perf_type;
	s->perf_config = r->perf_config;
	s->unit = r->unit;
	s->frequency_hz = r->default_frequency;
	s->period = r->default_frequency ? 0 : r->default_period;
}

/* "r1a8": what the processor's manual calls the event. */
static bool take_raw(struct sampled *s, const char *name)
{
	char *end;

	if (*name != 'r' || !name[1] || strspn(name + 1, "0123456789abcdefABCDEF") !=
	    strlen(name + 1))
		return false;
	errno = 0;
	s->perf_config = strtoull(name + 1, &end, 16);
	s->perf_type = PERF_TYPE_RAW;
	s->unit = "";
	s->frequency_hz = RAW_FREQUENCY_HZ;
	return !errno;
}

static int take_modifiers(struct sampled *s, const char *m, struct diag *d)
{
	bool user = false, kernel = false, hv = false;

	for (const char *c = m; *c; c++) {
		user |= *c == 'u';
		kernel |= *c == 'k';
		hv |= *c == 'h';
		s->precise += *c == 'p';
		if (!strchr("ukhp", *c) || s->precise > 3)
			return diag_set(d, -EINVAL, "unknown modifier '%s' of event '%s' (there "
					"are: u user, k kernel, h hypervisor, p precise)", c, s->name);
	}
	if (user || kernel || hv) {
		s->exclude_user = !user;
		s->exclude_kernel = !kernel;
		s->exclude_hv = !hv;
	}
	return 0;
}

static bool take_name(struct sampled *s, const char *name)
{
	const struct row *r;

	if (!strcmp(name, CPU_NAME)) {
		take_row(s, find_row("cycles"));
		r = sampled_can_count(s) ? find_row("cycles") : find_row("cpu-clock");
		take_row(s, r);
		snprintf(s->name, sizeof(s->name), "%s%s", r->name, strchr(s->name, ':') ?
			 s->name + strlen(CPU_NAME) : "");
		return true;
	}
	r = find_row(name);
	if (r)
		take_row(s, r);
	return r || take_raw(s, name);
}

static int complain_unknown(const char *name, struct diag *d)
{
	const struct event_desc *desc = scheddesc_whole(true);
	struct nearnames n;
	char near[256];

	nearnames_begin(&n, name);
	nearnames_try(&n, CPU_NAME);
	for (size_t i = 0; i < NR_ROWS; i++)
		nearnames_try(&n, table[i].name);
	for (size_t i = 0; desc; desc = scheddesc_part(true, i++))
		nearnames_try(&n, desc->name);
	nearnames_text(&n, near, sizeof(near));
	return diag_set(d, -ENOENT, "unknown event '%s'%s; see: kymo list", name, near);
}

int sampled_parse(struct sampled *out, const char *text, struct diag *d)
{
	const char *colon = strchr(text, ':');
	char name[SAMPLED_NAME_BYTES];
	int n;

	*out = (struct sampled){ .unit = "" };
	n = snprintf(out->name, sizeof(out->name), "%s", text);
	if (n < 0 || (size_t)n >= sizeof(out->name) - sizeof("cpu-clock"))
		return diag_set(d, -ENOENT, "unknown event '%.40s...'", text);
	snprintf(name, sizeof(name), "%.*s", colon ? (int)(colon - text) : n, text);
	if (!take_name(out, name))
		return complain_unknown(name, d);
	return colon ? take_modifiers(out, colon + 1, d) : 0;
}

bool sampled_is_name(const char *text)
{
	char name[SAMPLED_NAME_BYTES];
	struct sampled s = { .unit = "" };
	size_t len = strcspn(text, ":");

	if (len >= sizeof(name))
		return false;
	memcpy(name, text, len);
	name[len] = '\0';
	return !strcmp(name, CPU_NAME) || find_row(name) || take_raw(&s, name);
}
