#include "report/stacklevels.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "report/escape.h"

/* Names of one level that is made of several keys. */
static const struct {
	const char *name, *alias, *keys;
} joined[] = {
	{ "pid", "process", "comm,pid" },
	{ "tid", "thread", "comm,pid,tid" },
};

#define NR_JOINED (sizeof(joined) / sizeof(joined[0]))

static const char *keys_of_level(const char *name)
{
	for (size_t i = 0; i < NR_JOINED; i++)
		if (!strcmp(name, joined[i].name) || !strcmp(name, joined[i].alias))
			return joined[i].keys;
	return name;
}

static int find_key(const struct profile_keys *keys, const char *name)
{
	struct profile_keys one;
	struct diag d = { "" };

	if (profile_keys_parse(&one, name, &d))
		return -1;
	for (size_t i = 0; i < keys->nr; i++)
		if (!strcmp(keys->list[i]->name, one.list[0]->name) &&
		    keys->list[i]->kind == one.list[0]->kind)
			return (int)i;
	return -1;
}

static void add_level(struct stacklevels *l, const char *name)
{
	struct stacklevel *level = &l->list[l->nr++];
	char names[sizeof(l->keys.text)], *at = names, *one;

	*level = (struct stacklevel) { .nr = 0 };
	snprintf(names, sizeof(names), "%s", keys_of_level(name));
	while ((one = strsep(&at, ","))) {
		int key = find_key(&l->keys, one);

		if (key >= 0 && level->nr < STACKLEVELS_MAX_KEYS)
			level->keys[level->nr++] = (uint8_t)key;
	}
}

int stacklevels_parse(struct stacklevels *l, const char *first, const char *text,
		      struct diag *d)
{
	char names[sizeof(l->keys.text)], keys[2 * sizeof(l->keys.text)] = "", *at, *name;
	size_t len = 0;
	int err;

	l->nr = l->keys.nr = 0;
	if (text && !strcmp(text, "none"))
		text = NULL;
	if (!first && !text)
		return 0;
	if ((size_t)snprintf(names, sizeof(names), "%s%s%s", first ? first : "",
			     first && text ? "," : "", text ? text : "") >= sizeof(names))
		return diag_set(d, -EINVAL, "the names to group by are too long");
	/* Three times "comm," for each of a few letters: it fits. */
	for (at = names; (name = strsep(&at, ","));)
		len += (size_t)snprintf(keys + len, sizeof(keys) - len, "%s%s", len ? "," : "",
					len < sizeof(keys) - 64 ? keys_of_level(name) : "");
	err = profile_keys_parse(&l->keys, keys, d);
	if (err)
		return err;
	snprintf(names, sizeof(names), "%s%s%s", first ? first : "", first && text ? "," : "",
		 text ? text : "");
	for (at = names; (name = strsep(&at, ",")) && l->nr < PROFILE_MAX_KEYS;)
		add_level(l, name);
	return 0;
}

/* --- texts ------------------------------------------------------------------- */

/* A number alone says nothing. */
static void put_plain(const struct stacklevels *l, struct groups *g, uint32_t group, uint8_t key,
		      struct bytebuf *to)
{
	const struct profile_key *k = l->keys.list[key];
	size_t start = to->len, header = strlen(k->header) + 1;

	groups_put(g, group, key, to, FIELDTEXT_RAW);
	if (to->err || to->len == start ||
	    (!isdigit(to->data[start]) && to->data[start] != '-') || k->kind == PROFILE_TEXT)
		return;
	bytebuf_text(to, k->header);
	bytebuf_text(to, " ");
	if (to->err)
		return;
	memmove(to->data + start + header, to->data + start, to->len - start - header);
	memcpy(to->data + start, k->header, header - 1);
	to->data[start + header - 1] = ' ';
}

static void put_raw(const struct stacklevels *l, struct groups *g, uint32_t group, size_t level,
		    const char *const between[STACKLEVELS_MAX_KEYS], const char *end,
		    struct bytebuf *to)
{
	const struct stacklevel *at = &l->list[level];

	if (at->nr == 1) {
		put_plain(l, g, group, at->keys[0], to);
		return;
	}
	for (size_t i = 0; i < at->nr; i++) {
		bytebuf_text(to, between[i]);
		groups_put(g, group, at->keys[i], to, FIELDTEXT_RAW);
	}
	bytebuf_text(to, end);
}

static const char unknown[] = "[unknown]";

/* What folded lines cannot hold becomes something else, blanks too. */
static void escape(struct bytebuf *to, size_t start)
{
	struct bytebuf raw;

	bytebuf_init(&raw);
	if (!to->err)
		bytebuf_put(&raw, to->data + start, to->len - start);
	to->len = start;
	escape_folded(to, (const char *)raw.data, raw.len);
	for (size_t i = start; !to->err && i < to->len; i++)
		if (to->data[i] == ' ')
			to->data[i] = '_';
	bytebuf_release(&raw);
}

void stacklevels_put(const struct stacklevels *l, struct groups *g, uint32_t group, size_t level,
		     enum stacklevels_style style, struct bytebuf *to)
{
	static const char *const picture[] = { "", " (pid ", ", tid " };
	static const char *const folded[] = { "", "-", "/" };
	size_t start = to->len;

	if (group == STACKLEVELS_NO_GROUP) {
		bytebuf_text(to, unknown);
		return;
	}
	if (style == STACKLEVELS_FOLDED)
		put_raw(l, g, group, level, folded, "", to);
	else
		put_raw(l, g, group, level, picture, ")", to);
	if (to->len == start)
		bytebuf_text(to, unknown);
	if (style == STACKLEVELS_FOLDED)
		escape(to, start);
}

void stacklevels_put_comm(const struct stacklevels *l, struct groups *g, uint32_t group,
			  struct bytebuf *to)
{
	int key = find_key(&l->keys, "comm");

	if (key >= 0 && group != STACKLEVELS_NO_GROUP)
		groups_put(g, group, (size_t)key, to, FIELDTEXT_RAW);
}
