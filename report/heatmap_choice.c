#include "report/heatmap_private.h"

#include "report/digits.h"

#include <stdio.h>
#include <string.h>

/* --- options ------------------------------------------------------------------------ */

static void put_quoted(struct bytebuf *to, const char *text)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				    "_./:,+=@%-";

	if (*text && strspn(text, plain) == strlen(text)) {
		bytebuf_text(to, text);
		return;
	}
	bytebuf_text(to, "'");
	for (; *text; text++) {
		if (*text == '\'')
			bytebuf_text(to, "'\\''");
		else
			bytebuf_put(to, text, 1);
	}
	bytebuf_text(to, "'");
}

static void option(struct bytebuf *to, const char *name, const char *value)
{
	if (!value)
		return;
	bytebuf_text(to, to->len ? " " : "");
	bytebuf_text(to, name);
	bytebuf_text(to, " ");
	put_quoted(to, value);
}

static bool are_all_drawn(const struct heatmap *h)
{
	for (size_t i = 0; i < h->nr_events; i++)
		if (!h->events[i].drawn)
			return false;
	return true;
}

/* The events that are drawn: as they were chosen, unless some of those were left out. */
static void option_events(const struct heatmap *h, struct bytebuf *to)
{
	struct bytebuf names;

	if (h->opts->chosen->events && are_all_drawn(h)) {
		option(to, "-e", h->opts->chosen->events);
		return;
	}
	bytebuf_init(&names);
	for (size_t i = 0; i < h->nr_events; i++) {
		if (!h->events[i].drawn)
			continue;
		bytebuf_text(&names, names.len ? "," : "");
		bytebuf_text(&names, h->events[i].measure.event->name);
	}
	if (names.len && bytebuf_reserve(&names, 1) == 0) {
		names.data[names.len] = '\0';
		option(to, "-e", (const char *)names.data);
	}
	bytebuf_release(&names);
}

void heatmap_choice_options(const struct heatmap *h, struct bytebuf *to)
{
	const struct query_opts *q = h->opts->chosen;

	option_events(h, to);
	option(to, "--pid", q->pids);
	option(to, "--tid", q->tids);
	option(to, "--comm", q->comms);
	option(to, "-C", q->cpus);
}

/* --- groups ------------------------------------------------------------------------- */

/* Text of a filter: in quotes, all that might be special as \xHH. */
static void put_filter_text(struct bytebuf *to, const uint8_t *text, size_t len)
{
	char hex[8];

	bytebuf_text(to, "\"");
	for (size_t i = 0; i < len; i++) {
		if (text[i] == '"' || text[i] == '\\' || text[i] < 0x20 || text[i] >= 0x7f) {
			snprintf(hex, sizeof(hex), "\\x%02x", text[i]);
			bytebuf_text(to, hex);
		} else {
			bytebuf_put(to, &text[i], 1);
		}
	}
	bytebuf_text(to, "\"");
}

/* key == value; false when a filter cannot say it. */
static bool put_term(const struct heatmap *h, uint32_t group, size_t key, struct bytebuf *to,
		     struct bytebuf *value)
{
	const struct profile_key *k = h->opts->by->list[key];
	bool is_text, is_unknown;

	if (k->of == PROFILE_OF_FRAME)
		return false;
	bytebuf_clear(value);
	groups_put(h->groups, group, key, value, FIELDTEXT_JSON);
	is_text = value->len && value->data[0] == '"';
	if (!is_text && k->kind != PROFILE_LETTER) {
		if (!value->len || !strchr("-0123456789", value->data[0]) ||
		    memchr(value->data, '.', value->len))
			return false;
		bytebuf_text(to, k->name);
		bytebuf_text(to, " == ");
		bytebuf_put(to, value->data, value->len);
		return true;
	}
	bytebuf_clear(value);
	groups_put(h->groups, group, key, value, FIELDTEXT_RAW);
	is_unknown = value->len == 9 && !memcmp(value->data, "[unknown]", 9);
	bytebuf_text(to, k->name);
	bytebuf_text(to, " == ");
	if (k->kind == PROFILE_LETTER && value->len == 1)
		digits_put(to, value->data[0]);
	else if (k->kind == PROFILE_USER && is_unknown)
		digits_put(to, TASK_UID_UNKNOWN);
	else if (k->of == PROFILE_OF_TASK && is_unknown)
		bytebuf_text(to, "\"\"");
	else
		put_filter_text(to, value->data, value->len);
	return true;
}

bool heatmap_choice_group(const struct heatmap *h, uint32_t group, struct bytebuf *to)
{
	struct bytebuf value;
	bool known = true;

	bytebuf_init(&value);
	for (size_t i = 0; h->opts->by && i < h->opts->by->nr && known; i++) {
		bytebuf_text(to, i ? " && " : "");
		known = put_term(h, group, i, to, &value);
	}
	if (value.err)
		to->err = value.err;
	bytebuf_release(&value);
	return known;
}
