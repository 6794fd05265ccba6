#include "report/groups.h"

#include "report/groups_private.h"

#include <string.h>

#include "report/escape.h"

static void put_key_text(struct bytebuf *to, const struct intern_string *s,
			 enum fieldtext_style style)
{
	switch (style) {
	case FIELDTEXT_TERMINAL:
		escape_terminal(to, s->text, s->len_bytes);
		break;
	case FIELDTEXT_RAW:
		bytebuf_put(to, s->text, s->len_bytes);
		break;
	case FIELDTEXT_JSON:
		bytebuf_put(to, "\"", 1);
		escape_json(to, s->text, s->len_bytes);
		bytebuf_put(to, "\"", 1);
		break;
	case FIELDTEXT_CSV:
		escape_csv(to, s->text, s->len_bytes);
		break;
	}
}

void groups_put(struct groups *g, uint32_t group, size_t key, struct bytebuf *to,
		enum fieldtext_style style)
{
	const struct groups_value *v = &g->values[group * g->keys->nr + key];
	const struct fieldtext_value number = { .number = v->number };
	const struct fieldtext ft = { 0 };

	if (v->class == GROUPS_TEXT)
		put_key_text(to, intern_string_at(&g->texts, v->number), style);
	else if (v->class == GROUPS_UNREAD)
		bytebuf_text(to, style == FIELDTEXT_JSON ? "null" :
			     style == FIELDTEXT_CSV ? "" : FIELDTEXT_UNREAD);
	else
		fieldtext_put(&ft, to, &g->descs[v->desc], &number, style);
}

void groups_put_all(struct groups *g, uint32_t group, struct bytebuf *to,
		    enum fieldtext_style style)
{
	for (size_t i = 0; i < g->keys->nr; i++) {
		if (i)
			bytebuf_text(to, ", ");
		bytebuf_text(to, g->keys->list[i]->name);
		bytebuf_text(to, " = ");
		groups_put(g, group, i, to, style);
	}
}

static int compare_values(const struct groups *g, const struct groups_value *a,
			  const struct groups_value *b)
{
	const struct intern_string *x, *y;
	int diff;

	if (a->class != b->class)
		return a->class < b->class ? -1 : 1;
	if (a->class != GROUPS_TEXT)
		return (a->number > b->number) - (a->number < b->number);
	x = intern_string_at(&g->texts, a->number);
	y = intern_string_at(&g->texts, b->number);
	diff = memcmp(x->text, y->text, x->len_bytes < y->len_bytes ? x->len_bytes : y->len_bytes);
	return diff ? diff : (x->len_bytes > y->len_bytes) - (x->len_bytes < y->len_bytes);
}

int groups_compare(const struct groups *g, uint32_t a, uint32_t b)
{
	size_t width = g->keys->nr;
	int diff = 0;

	for (size_t i = 0; i < width && !diff; i++)
		diff = compare_values(g, &g->values[a * width + i], &g->values[b * width + i]);
	return diff;
}
