#include "report/query_expr_names.h"

#include <errno.h>
#include <string.h>

static const struct common {
	const char *name;
	enum source_kind kind;
	enum expr_type type;
	int role;		/* of the column that it needs; 0: none */
} commons[] = {
	{ "pid", SOURCE_PID, EXPR_UNSIGNED, ROLE_TASK },
	{ "tid", SOURCE_TID, EXPR_UNSIGNED, ROLE_TASK },
	{ "uid", SOURCE_UID, EXPR_UNSIGNED, ROLE_TASK },
	{ "comm", SOURCE_COMM, EXPR_STRING, ROLE_TASK },
	{ "cpu", SOURCE_NUMBER, EXPR_UNSIGNED, ROLE_CPU },
	{ "cgroup", SOURCE_CGROUP, EXPR_STRING, ROLE_TASK },
	{ "event", SOURCE_EVENT, EXPR_STRING, 0 },
	{ "time", SOURCE_TIME, EXPR_UNSIGNED, ROLE_TIME },
	{ "duration", SOURCE_NUMBER, EXPR_UNSIGNED, ROLE_DURATION },
	{ "ppid", SOURCE_PPID, EXPR_UNSIGNED, ROLE_TASK },
	{ "cmdline", SOURCE_CMDLINE, EXPR_STRING, ROLE_TASK },
};

#define NR_COMMONS (sizeof(commons) / sizeof(commons[0]))

/* A missing column reads as 0; but a tally is about many tasks, and not about none. */
static bool must_have(const struct trace_event *e, int role)
{
	return role == ROLE_DURATION || (role && e->by_role[ROLE_COUNT] >= 0);
}

/* What a filter can tell of: a number or text. */
static bool has_value(const struct field_desc *f)
{
	return f->type != FIELD_BYTES && f->type != FIELD_STACK && f->type != FIELD_FLOAT;
}

static int find_field(const struct field_desc *f, struct source *s, enum expr_type *type)
{
	switch (f->type) {
	case FIELD_UNSIGNED:
	case FIELD_SIGNED:
		s->kind = f->role == ROLE_TIME ? SOURCE_TIME :
			  f->role == ROLE_BUCKET ? SOURCE_BUCKET : SOURCE_NUMBER;
		*type = f->type == FIELD_SIGNED ? EXPR_SIGNED : EXPR_UNSIGNED;
		return 0;
	case FIELD_STRING:
		s->kind = SOURCE_TEXT;
		*type = EXPR_STRING;
		return 0;
	case FIELD_FRAME:
		s->kind = SOURCE_FRAME;
		*type = EXPR_STRING;
		return 0;
	case FIELD_TASK:
		s->kind = SOURCE_TASK_ID;
		*type = EXPR_UNSIGNED;
		return 0;
	default:
		return -EINVAL;
	}
}

int query_expr_names_find(const struct trace_event *e, const char *name, struct source *s,
			  enum expr_type *type)
{
	for (uint32_t i = 0; i < e->nr_fields; i++) {
		if (strcmp(e->fields[i].name, name))
			continue;
		s->field = (int)i;
		return find_field(&e->fields[i], s, type);
	}
	for (size_t i = 0; i < NR_COMMONS; i++) {
		if (strcmp(commons[i].name, name))
			continue;
		s->kind = commons[i].kind;
		s->field = commons[i].role ? e->by_role[commons[i].role] : -1;
		*type = commons[i].type;
		return s->field < 0 && must_have(e, commons[i].role) ? -ENOENT : 0;
	}
	return -ENOENT;
}

/* Every name once, of all events that are wanted. */
static void add_known(char *known, const char *name)
{
	size_t len = strlen(known), name_len = strlen(name);

	/* A file may say anything. */
	if (!name_len)
		return;
	for (const char *at = known; (at = strstr(at, name)); at++)
		if ((at == known || at[-1] == ' ') && (at[name_len] == ',' || !at[name_len]))
			return;
	if (len + name_len + 8 > QUERY_EXPR_NAMES_BYTES) {
		if (len && known[len - 1] != '.')
			strcpy(known + len, ", ...");
		return;
	}
	strcpy(known + len, len ? ", " : "");
	strcat(known, name);
}

/* Whether an event that is wanted has what the name needs. */
static bool is_known(struct trace *t, query_expr_event_fn wanted, void *ctx, int role)
{
	if (!role)
		return true;
	for (size_t i = 0; i < trace_nr_events(t); i++) {
		const struct trace_event *e = trace_event_at(t, i);

		if (wanted(ctx, e) && (e->by_role[role] >= 0 || !must_have(e, role)))
			return true;
	}
	return false;
}

void query_expr_names_list(struct trace *t, query_expr_event_fn wanted, void *ctx,
			   char known[QUERY_EXPR_NAMES_BYTES])
{
	known[0] = '\0';
	for (size_t i = 0; i < trace_nr_events(t); i++) {
		const struct trace_event *e = trace_event_at(t, i);

		for (uint32_t f = 0; f < e->nr_fields && wanted(ctx, e); f++)
			if (has_value(&e->fields[f]))
				add_known(known, e->fields[f].name);
	}
	for (size_t i = 0; i < NR_COMMONS; i++)
		if (is_known(t, wanted, ctx, commons[i].role))
			add_known(known, commons[i].name);
}
