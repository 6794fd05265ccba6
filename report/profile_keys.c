#include "report/profile_keys.h"

#include <errno.h>
#include <string.h>

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

static const struct profile_key rows[] = {
	{ "comm", "command", "Command", PROFILE_OF_TASK, PROFILE_TEXT, 0, comm_of },
	{ "pid", "process", "Pid", PROFILE_OF_TASK, PROFILE_NUMBER, 0, pid_of },
	{ "tid", "thread", "Tid", PROFILE_OF_TASK, PROFILE_NUMBER, 0, tid_of },
	{ "cpu", "CPU", "CPU", PROFILE_OF_RECORD, PROFILE_NUMBER, ROLE_CPU, NULL },
	{ "module", "dso", "Shared Object", PROFILE_OF_FRAME, PROFILE_MODULE, 0, NULL },
	{ "symbol", "sym", "Symbol", PROFILE_OF_FRAME, PROFILE_SYMBOL, 0, NULL },
	{ "cgroup", "cgrp", "Cgroup", PROFILE_OF_TASK, PROFILE_TEXT, 0, cgroup_of },
	{ "event", "ev", "Event", PROFILE_OF_EVENT, PROFILE_TEXT, 0, NULL },
	{ "state", "st", "State", PROFILE_OF_RECORD, PROFILE_LETTER, ROLE_STATE, NULL },
};

#define NR_ROWS (sizeof(rows) / sizeof(rows[0]))

static const struct profile_key *find_row(const char *name, size_t len)
{
	for (size_t i = 0; i < NR_ROWS; i++) {
		if (strlen(rows[i].name) == len && !memcmp(rows[i].name, name, len))
			return &rows[i];
		if (strlen(rows[i].alias) == len && !memcmp(rows[i].alias, name, len))
			return &rows[i];
	}
	return NULL;
}

static int complain(const char *name, size_t len, struct diag *d)
{
	char all[128] = "";

	for (size_t i = 0; i < NR_ROWS; i++) {
		strcat(all, i ? ", " : "");
		strcat(all, rows[i].name);
	}
	return diag_set(d, -EINVAL, "cannot group by '%.*s': there are %s",
			(int)(len < 80 ? len : 80), name, all);
}

int profile_keys_parse(struct profile_keys *keys, const char *text, struct diag *d)
{
	const char *at = text ? text : "comm,module,symbol";

	keys->nr = 0;
	for (;; at++) {
		size_t len = strcspn(at, ","), i = 0;
		const struct profile_key *row = find_row(at, len);

		if (!row)
			return complain(at, len, d);
		while (i < keys->nr && keys->list[i] != row)
			i++;
		if (i == keys->nr)
			keys->list[keys->nr++] = row;
		at += len;
		if (!*at)
			return 0;
	}
}

const struct profile_key *profile_keys_find(const struct profile_keys *keys,
					    enum profile_kind kind)
{
	for (size_t i = 0; i < keys->nr; i++)
		if (keys->list[i]->kind == kind)
			return keys->list[i];
	return NULL;
}

_Static_assert(NR_ROWS <= PROFILE_MAX_KEYS, "a list may hold every key");
