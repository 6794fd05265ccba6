#include <string.h>

#include "report/digits.h"
#include "report/script_private.h"

static uint64_t role(const struct query_record *r, enum field_role role)
{
	int field = r->event->by_role[role];

	return field < 0 ? 0 : r->values[field];
}

static struct script_head *slot(struct script *s, const struct query_record *r)
{
	uint64_t mixed = (uint64_t)r->task << 32 | r->cpu;

	mixed ^= role(r, ROLE_WEIGHT) << 16 ^ role(r, ROLE_STATE) << 8 ^ r->event->id;
	return &s->heads[mixed * 0x9e3779b97f4a7c15u >> (64 - SCRIPT_HEAD_BITS)];
}

bool script_put_head(struct script *s, const struct query_record *r)
{
	const struct script_head *h = slot(s, r);
	const struct script_column *time = s->plan.time;

	if (h->event != r->event || h->task != r->task || h->cpu != r->cpu ||
	    h->weight != role(r, ROLE_WEIGHT) || h->state != role(r, ROLE_STATE))
		return false;
	bytebuf_put(s->to, h->text, h->time_at);
	digits_put_seconds(s->to, r->time_ns - s->start_ns, s->opts->ns ? 9 : 6,
			   (unsigned int)time->width);
	bytebuf_put(s->to, h->text + h->time_at, h->len_bytes - h->time_at);
	return true;
}

void script_keep_head(struct script *s, const struct query_record *r, size_t from,
		      size_t time_from, size_t time_end)
{
	size_t before = time_from - from, after = s->to->len - time_end;
	struct script_head *h = slot(s, r);

	/* A task that is not known yet may still become known. */
	if (s->to->err || before + after > sizeof(h->text) || !trace_task(s->trace, r->task))
		return;
	*h = (struct script_head) {
		.event = r->event, .task = r->task, .cpu = r->cpu,
		.weight = role(r, ROLE_WEIGHT), .state = role(r, ROLE_STATE),
		.time_at = (uint16_t)before, .len_bytes = (uint16_t)(before + after),
	};
	memcpy(h->text, s->to->data + from, before);
	memcpy(h->text + before, s->to->data + time_end, after);
}
