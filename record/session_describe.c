#include "record/session_describe.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "record/hostinfo.h"

static const char *transport_name(enum sampler_transport t)
{
	switch (t) {
	case SAMPLER_RING_BUFFER:
		return "BPF ring buffer";
	case SAMPLER_PERF_BUFFER:
		return "BPF perf buffer";
	default:
		return "perf mmap buffer";
	}
}

/* Without the blanks that stand where a part of the condition was that the other side has. */
static void add_filter(char *text, size_t size_bytes, const char *what, const struct expr *filter)
{
	const char *source = filter ? expr_source(filter) : "";
	size_t len = strlen(text), n;

	source += strspn(source, " ");
	for (n = strlen(source); n && source[n - 1] == ' '; n--)
		;
	if (filter)
		snprintf(text + len, size_bytes - len, ", %s %.*s", what, (int)n, source);
}

/* Which of the possible ways was taken. */
static void describe_probes(struct writer *w, struct probing *probing)
{
	const struct probes *probes = probing_probes(probing);
	char key[512], text[1024];

	writer_host(w, "probe rings", CLASS_NONE,
		    proberings_way_name(probing_rings(probing)));
	for (size_t i = 0; i < probes->nr; i++) {
		const struct probe *p = probes->list[i], *start = p->span ? p->span->start : NULL;

		snprintf(key, sizeof(key), "probe %s", p->name);
		snprintf(text, sizeof(text), "%s%s%s", start ? start->method : "",
			 start ? " .. " : "", p->method);
		add_filter(text, sizeof(text), "filter", p->filter);
		if (start)
			add_filter(text, sizeof(text), "start filter", start->filter);
		writer_host(w, key, CLASS_ARGUMENT, text);
	}
}

static void describe_sched(struct writer *w, const struct session_described *s)
{
	char text[128], least[48] = "";

	if (s->events->sched.min_ns)
		snprintf(least, sizeof(least), ", waits of at least %" PRIu64 " ns",
			 s->events->sched.min_ns);
	snprintf(text, sizeof(text), "%s%s", sched_method(s->sched), least);
	writer_host(w, "sched", CLASS_NONE, text);
}

void session_describe(struct writer *w, const struct session_described *s)
{
	char key[SAMPLED_NAME_BYTES + 16], text[64];

	hostinfo_write(w);
	hostinfo_write_command_line(w, s->opts->argc, s->opts->argv);
	writer_host(w, "kymo version", CLASS_NONE, s->opts->version);
	writer_host(w, "target", CLASS_NONE,
		    s->target->all ? "system" : s->target->child ? "command" : "processes");
	writer_host(w, "transport", CLASS_NONE,
		    transport_name(sampler_transport(s->sampler)));
	for (size_t i = 0; i < s->events->nr_sampled; i++) {
		snprintf(key, sizeof(key), "sampling %s", s->events->sampled[i].name);
		snprintf(text, sizeof(text), "period %" PRIu64,
			 sampler_period(s->sampler, (uint32_t)i));
		writer_host(w, key, CLASS_NONE, text);
	}
	if (s->probing)
		describe_probes(w, s->probing);
	if (s->sched)
		describe_sched(w, s);
	hostinfo_write_clock(w);
}
