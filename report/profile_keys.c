#include "report/profile_keys.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "report/fieldtext.h"

static uint64_t text_value(const struct trace *t, uint32_t string, struct textids *texts)
{
	const char *text = trace_text(t, string);

	if (!*text)
		text = "[unknown]";
	return textids_get(texts, 0, text, strlen(text));
}

static uint64_t comm_of(const struct trace *t, const struct trace_task *task,
			struct textids *texts)
{
	return text_value(t, task ? task->comm : 0, texts);
}

static uint64_t cgroup_of(const struct trace *t, const struct trace_task *task,
			  struct textids *texts)
{
	return text_value(t, task ? task->cgroup : 0, texts);
}

static uint64_t pid_of(const struct trace *t, const struct trace_task *task,
		       struct textids *texts)
{
	(void)t;
	(void)texts;
	return task ? task->pid : 0;
}

static uint64_t tid_of(const struct trace *t, const struct trace_task *task,
		       struct textids *texts)
{
	(void)t;
	(void)texts;
	return task ? task->tid : 0;
}

static uint64_t uid_of(const struct trace *t, const struct trace_task *task,
		       struct textids *texts)
{
	(void)t;
	(void)texts;
	return task ? task->uid : TASK_UID_UNKNOWN;
}

static const struct profile_key rows[] = {
	{ "comm", "command", "Command", PROFILE_OF_TASK, PROFILE_TEXT, 0, comm_of },
	{ "pid", "process", "Pid", PROFILE_OF_TASK, PROFILE_NUMBER, 0, pid_of },
	{ "tid", "thread", "Tid", PROFILE_OF_TASK, PROFILE_NUMBER, 0, tid_of },
	{ "uid", "user", "Uid", PROFILE_OF_TASK, PROFILE_USER, 0, uid_of },
	{ "cpu", "CPU", "CPU", PROFILE_OF_RECORD, PROFILE_NUMBER, ROLE_CPU, NULL },
	{ "module", "dso", "Shared Object", PROFILE_OF_FRAME, PROFILE_MODULE, 0, NULL },
	{ "symbol", "sym", "Symbol", PROFILE_OF_FRAME, PROFILE_SYMBOL, 0, NULL },
	{ "cgroup", "cgrp", "Cgroup", PROFILE_OF_TASK, PROFILE_TEXT, 0, cgroup_of },
	{ "event", "ev", "Event", PROFILE_OF_EVENT, PROFILE_TEXT, 0, NULL },
	{ "state", "st", "State", PROFILE_OF_RECORD, PROFILE_LETTER, ROLE_STATE, NULL },
};

#define NR_ROWS (sizeof(rows) / sizeof(rows[0]))

static const struct profile_key *find_row(const char *name)
{
	for (size_t i = 0; i < NR_ROWS; i++)
		if (!strcmp(rows[i].name, name) || !strcmp(rows[i].alias, name))
			return &rows[i];
	return NULL;
}

static const struct profile_key *field_key(struct profile_keys *keys, const char *name)
{
	struct profile_key *key = &keys->fields[keys->nr];

	for (size_t i = 0; i < keys->nr; i++)
		if (keys->list[i]->kind == PROFILE_FIELD && !strcmp(keys->list[i]->name, name))
			return keys->list[i];
	*key = (struct profile_key) {
		.name = name, .header = name, .of = PROFILE_OF_RECORD, .kind = PROFILE_FIELD,
	};
	return key;
}

static int add_key(struct profile_keys *keys, const char *name, struct diag *d)
{
	const struct profile_key *key = *name == '.' ? NULL : find_row(name);

	if (!*name || !strcmp(name, "."))
		return diag_set(d, -EINVAL, "a key is empty: give names with commas between them");
	if (keys->nr == PROFILE_MAX_KEYS)
		return diag_set(d, -EINVAL, "more than %d keys to group by", PROFILE_MAX_KEYS);
	if (!key)
		key = field_key(keys, name + (*name == '.'));
	for (size_t i = 0; i < keys->nr; i++)
		if (keys->list[i] == key)
			return 0;
	keys->list[keys->nr++] = key;
	return 0;
}

int profile_keys_parse(struct profile_keys *keys, const char *text, struct diag *d)
{
	char *at = keys->text, *end;
	int err = 0;

	if (!text)
		text = "comm,module,symbol";
	if (strlen(text) >= sizeof(keys->text))
		return diag_set(d, -EINVAL, "the keys to group by are longer than %zu bytes",
				sizeof(keys->text) - 1);
	strcpy(keys->text, text);
	keys->nr = 0;
	for (; at && !err; at = end) {
		end = strchr(at, ',');
		if (end)
			*end++ = '\0';
		err = add_key(keys, at, d);
	}
	return err;
}

/* --- fields ------------------------------------------------------------------------- */

/* What has no field of that name may still have a duration. */
static int field_named(const struct trace_event *e, const char *name)
{
	for (uint32_t i = 0; i < e->nr_fields; i++)
		if (!strcmp(e->fields[i].name, name))
			return (int)i;
	return strcmp(name, "duration") ? -1 : e->by_role[ROLE_DURATION];
}

int profile_keys_field(const struct profile_key *key, const struct trace_event *e)
{
	int field = -1;

	if (key->of == PROFILE_OF_TASK)
		return e->by_role[ROLE_TASK] < 0 ? field_named(e, key->name) : -1;
	if (key->of != PROFILE_OF_RECORD)
		return -1;
	if (key->role)
		field = e->by_role[key->role];
	return field < 0 ? field_named(e, key->name) : field;
}

bool profile_keys_is_text(const struct field_desc *f)
{
	return f->type == FIELD_STRING || f->type == FIELD_FRAME || f->type == FIELD_TASK;
}

bool profile_keys_text(const struct trace *t, struct names *names, const struct field_desc *f,
		       uint32_t id, struct trace_string *out)
{
	const struct trace_task *task;

	if (f->type == FIELD_FRAME) {
		out->text = names_frame(names, id)->symbol;
		out->len_bytes = (uint32_t)strlen(out->text);
		return true;
	}
	if (f->type == FIELD_TASK) {
		task = trace_task(t, id);
		*out = (struct trace_string) { .text = "[unknown]", .len_bytes = 9 };
		if (task)
			*out = trace_string(t, task->comm);
		return true;
	}
	*out = trace_string(t, id);
	if (id)
		return true;
	*out = (struct trace_string) {
		.text = FIELDTEXT_UNREAD, .len_bytes = sizeof(FIELDTEXT_UNREAD) - 1,
	};
	return false;
}

static void add_name(char *all, size_t size, const char *name)
{
	size_t len = strlen(all), name_len = strlen(name);

	/* A file may say anything. */
	if (!name_len)
		return;
	for (const char *at = all; (at = strstr(at, name)); at++)
		if ((at == all || at[-1] == ' ') && (at[name_len] == ',' || !at[name_len]))
			return;
	if (len + name_len + 8 <= size)
		snprintf(all + len, size - len, "%s%s", len ? ", " : "", name);
	else if (len && all[len - 1] != '.')
		strcpy(all + len, ", ...");
}

static int complain(const char *name, const struct trace *t, struct diag *d)
{
	char all[360] = "";

	for (size_t i = 0; i < NR_ROWS; i++)
		add_name(all, sizeof(all), rows[i].name);
	for (size_t i = 0; i < trace_nr_events(t); i++) {
		const struct trace_event *e = trace_event_at(t, i);

		for (uint32_t f = 0; f < e->nr_fields; f++)
			if (e->fields[f].type != FIELD_STACK && e->fields[f].type != FIELD_BYTES)
				add_name(all, sizeof(all), e->fields[f].name);
	}
	return diag_set(d, -EINVAL, "cannot group by '%.80s': there are %s", name, all);
}

static int check_field(const struct profile_key *key, const struct trace *t, struct diag *d)
{
	for (size_t i = 0; i < trace_nr_events(t); i++) {
		const struct trace_event *e = trace_event_at(t, i);
		int field = profile_keys_field(key, e);

		if (field < 0)
			continue;
		if (e->fields[field].type == FIELD_STACK || e->fields[field].type == FIELD_BYTES)
			return diag_set(d, -EINVAL, "cannot group by '%.80s': it is no number and "
					"no text", key->name);
		return 0;
	}
	return complain(key->name, t, d);
}

int profile_keys_check(const struct profile_keys *keys, const struct trace *t,
		       struct diag *d)
{
	int err = 0;

	for (size_t i = 0; i < keys->nr && !err; i++)
		if (keys->list[i]->kind == PROFILE_FIELD)
			err = check_field(keys->list[i], t, d);
	return err;
}

const struct profile_key *profile_keys_find(const struct profile_keys *keys,
					    enum profile_kind kind)
{
	for (size_t i = 0; i < keys->nr; i++)
		if (keys->list[i]->kind == kind)
			return keys->list[i];
	return NULL;
}

_Static_assert(NR_ROWS <= PROFILE_MAX_KEYS, "a list may hold every key of the table");
