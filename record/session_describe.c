#include "record/session_describe.h"

#include <inttypes.h>
#include <stdio.h>

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

/* Which of the possible ways was taken. */
static void describe_probes(struct writer *w, struct probing *probing)
{
	const struct probes *probes = probing_probes(probing);
	char key[512], text[1024];

	writer_host(w, "probe rings", CLASS_NONE,
		    proberings_way_name(probing_rings(probing)));
	for (size_t i = 0; i < probes->nr; i++) {
		const struct probe *p = probes->list[i];

		snprintf(key, sizeof(key), "probe %s", p->name);
		snprintf(text, sizeof(text), "%s%s%s%s%s%s%s", p->span ? p->span->start->method : "",
			 p->span ? " .. " : "", p->method,
			 p->filter ? ", filter " : "", p->filter ? expr_source(p->filter) : "",
			 p->span && p->span->start->filter ? ", start filter " : "",
			 p->span && p->span->start->filter ?
				 expr_source(p->span->start->filter) : "");
		writer_host(w, key, CLASS_ARGUMENT, text);
	}
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
	hostinfo_write_clock(w);
}
