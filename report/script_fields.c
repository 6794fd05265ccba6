#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "report/escape.h"
#include "report/script_private.h"

/* --- values of the common fields ------------------------------------------- */

/* By role; SCRIPT_NOTHING when the event has none. */
static bool role_value(const struct query_record *r, enum field_role role, uint64_t *to)
{
	int field = r->event->by_role[role];

	if (field >= 0)
		*to = r->values[field];
	return field >= 0;
}

static void string_value(struct script *s, uint32_t id, struct script_value *v)
{
	struct trace_string text = trace_string(s->trace, id);

	*v = (struct script_value) {
		.kind = SCRIPT_STRING, .text = text.text, .len_bytes = text.len_bytes };
}

/* Escaped once for each task, in the way of the output. */
static void comm_value(struct script *s, const struct query_record *r, struct script_value *v)
{
	const struct trace_task *t = trace_task(s->trace, r->task);
	const char *comm = t ? trace_text(s->trace, t->comm) : "";
	uint32_t id = t ? r->task : 0;

	v->kind = SCRIPT_WRITTEN;
	v->text = textcache_get(s->comms, id, &v->len_bytes);
	if (v->text)
		return;
	if (!*comm)
		comm = "[unknown]";
	bytebuf_clear(&s->scratch);
	if (s->opts->format == SCRIPT_JSON) {
		bytebuf_put(&s->scratch, "\"", 1);
		escape_json(&s->scratch, comm, strlen(comm));
		bytebuf_put(&s->scratch, "\"", 1);
	} else if (s->opts->format == SCRIPT_CSV) {
		escape_csv(&s->scratch, comm, strlen(comm));
	} else {
		escape_terminal(&s->scratch, comm, strlen(comm));
	}
	textcache_put(s->comms, id, s->scratch.data, s->scratch.len);
	v->text = (const char *)s->scratch.data;
	v->len_bytes = s->scratch.len;
}

static void pid_value(struct script *s, const struct query_record *r, struct script_value *v)
{
	const struct trace_task *t = trace_task(s->trace, r->task);

	v->kind = SCRIPT_NUMBER;
	v->number = t ? t->pid : 0;
}

static void tid_value(struct script *s, const struct query_record *r, struct script_value *v)
{
	const struct trace_task *t = trace_task(s->trace, r->task);

	v->kind = SCRIPT_NUMBER;
	v->number = t ? t->tid : 0;
}

static void cpu_value(struct script *s, const struct query_record *r, struct script_value *v)
{
	(void)s;
	if (r->event->by_role[ROLE_CPU] >= 0)
		v->kind = SCRIPT_NUMBER;
	v->number = r->cpu;
}

static void state_value(struct script *s, const struct query_record *r, struct script_value *v)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
	uint64_t state;
	const char *letter;

	(void)s;
	if (!role_value(r, ROLE_STATE, &state))
		return;
	letter = state && state < 128 ? strchr(letters, (int)state) : NULL;
	v->kind = SCRIPT_STRING;
	v->text = letter ? letter : "?";
	v->len_bytes = 1;
}

static void time_value(struct script *s, const struct query_record *r, struct script_value *v)
{
	v->kind = SCRIPT_SECONDS;
	v->number = r->time_ns - s->start_ns;
}

/* When a span began. */
static void begin_value(struct script *s, const struct query_record *r, struct script_value *v)
{
	uint64_t duration;

	if (!role_value(r, ROLE_DURATION, &duration))
		return;
	v->kind = SCRIPT_SECONDS;
	v->number = duration < r->time_ns - s->start_ns ? r->time_ns - s->start_ns - duration : 0;
}

static void period_value(struct script *s, const struct query_record *r, struct script_value *v)
{
	(void)s;
	if (role_value(r, ROLE_WEIGHT, &v->number))
		v->kind = SCRIPT_NUMBER;
}

static void event_value(struct script *s, const struct query_record *r, struct script_value *v)
{
	(void)s;
	*v = (struct script_value) {
		.kind = SCRIPT_STRING, .text = r->event->name,
		.len_bytes = strlen(r->event->name) };
}

static void cgroup_value(struct script *s, const struct query_record *r, struct script_value *v)
{
	const struct trace_task *t = trace_task(s->trace, r->task);

	if (t && t->cgroup)
		string_value(s, t->cgroup, v);
}

bool script_is_common(const struct field_desc *f)
{
	switch (f->role) {
	case ROLE_TIME:
	case ROLE_CPU:
	case ROLE_TASK:
	case ROLE_STACK:
	case ROLE_WEIGHT:
	case ROLE_STATE:
		return true;
	default:
		return false;
	}
}

/* --- the plan --------------------------------------------------------------- */

static const struct known_field {
	struct script_column column;
	const char *alias;
	bool in_text, elsewhere;
} known_fields[] = {
#define FIELD(name, alias, in_text, elsewhere, prefix, width, fill, suffix, value) \
	{ { name, prefix, suffix, width, 0, fill, value, NULL }, alias, in_text, elsewhere },
#include "report/script_fields.def"
#undef FIELD
};

#define NR_KNOWN (sizeof(known_fields) / sizeof(known_fields[0]))

/* What is chosen, before columns are made of it. */
struct choice {
	bool known[NR_KNOWN];
	const char *extra[SCRIPT_MAX_COLUMNS - NR_KNOWN];
	size_t nr_extra;
	struct script_plan *plan;
};

static bool *stack_part(struct choice *c, const char *name)
{
	struct script_plan *p = c->plan;

	if (!strcmp(name, "ip") || !strcmp(name, "addr"))
		return &p->ip;
	if (!strcmp(name, "sym") || !strcmp(name, "symbol"))
		return &p->sym;
	if (!strcmp(name, "symoff"))
		return &p->symoff;
	if (!strcmp(name, "dso") || !strcmp(name, "module"))
		return &p->dso;
	return !strcmp(name, "trace") ? &p->others : NULL;
}

static bool is_event_field(const struct trace *t, const char *name)
{
	for (size_t i = 0; i < trace_nr_events(t); i++) {
		const struct trace_event *e = trace_event_at(t, i);

		for (uint32_t k = 0; k < e->nr_fields; k++)
			if (!strcmp(e->fields[k].name, name))
				return true;
		if (!strcmp(name, "duration") && e->by_role[ROLE_DURATION] >= 0)
			return true;
	}
	return false;
}

static int no_field(const char *name, struct diag *d)
{
	return diag_set(d, -EINVAL, "no field '%s' (comm, pid, tid, cpu, state, time, begin, "
			"period, event, cgroup, trace, ip, sym, symoff, dso, stack, or a field of "
			"an event: kymo info lists them)", name);
}

int script_plan_check(const struct script_plan *p, const struct trace *t, struct diag *d)
{
	for (size_t i = 0; i < p->nr_columns; i++)
		if (!p->columns[i].value && !is_event_field(t, p->columns[i].field))
			return no_field(p->columns[i].name, d);
	return 0;
}

/* "fields.pid" is the event's own pid, not that of the running task. */
static const char *field_of(const char *name)
{
	return strncmp(name, "fields.", 7) ? name : name + 7;
}

static int choose_event_field(struct choice *c, const struct trace *t, const char *name, bool on,
			      struct diag *d)
{
	for (size_t i = 0; i < c->nr_extra; i++) {
		if (strcmp(c->extra[i], name))
			continue;
		if (!on)
			c->extra[i] = c->extra[--c->nr_extra];
		return 0;
	}
	if (!trace_is_stream(t) && !is_event_field(t, field_of(name)))
		return no_field(name, d);
	if (!on)
		return 0;
	if (c->nr_extra == sizeof(c->extra) / sizeof(c->extra[0]))
		return diag_set(d, -EINVAL, "too many fields");
	c->extra[c->nr_extra++] = name;
	return 0;
}

static void choose_stack(struct script_plan *p, bool on)
{
	p->ip = p->sym = p->symoff = p->dso = on;
}

static int choose(struct choice *c, const struct trace *t, const char *name, bool on,
		  struct diag *d)
{
	bool *part = stack_part(c, name);

	if (part) {
		*part = on;
		return 0;
	}
	if (!strcmp(name, "stack")) {
		choose_stack(c->plan, on);
		return 0;
	}
	for (size_t i = 0; i < NR_KNOWN; i++) {
		const struct known_field *k = &known_fields[i];

		if (strcmp(k->column.name, name) && (!k->alias || strcmp(k->alias, name)))
			continue;
		c->known[i] = on;
		return 0;
	}
	return choose_event_field(c, t, name, on, d);
}

/* As with perf: a list replaces the usual fields, one of +a and -b changes them. */
static int choose_list(struct choice *c, const struct trace *t, char *list, struct diag *d)
{
	char *rest = list, *name;
	int err = 0;

	if (*list != '+' && *list != '-') {
		memset(c->known, 0, sizeof(c->known));
		choose_stack(c->plan, false);
		c->plan->others = false;
	}
	while (!err && (name = strtok_r(rest, ",", &rest))) {
		bool on = *name != '-';

		if (*name == '+' || *name == '-')
			name++;
		err = choose(c, t, name, on, d);
	}
	return err;
}

static void join_pid_and_tid(struct script_plan *p)
{
	for (size_t i = 0; i + 1 < p->nr_columns; i++) {
		if (p->columns[i].value != pid_value || p->columns[i + 1].value != tid_value)
			continue;
		p->columns[i].suffix = "/";
		p->columns[i + 1].width = -p->columns[i + 1].width;
	}
}

static void make_columns(struct script_plan *p, const struct choice *c)
{
	for (size_t i = 0; i < NR_KNOWN; i++)
		if (c->known[i])
			p->columns[p->nr_columns++] = known_fields[i].column;
	for (size_t i = 0; i < c->nr_extra; i++)
		p->columns[p->nr_columns++] = (struct script_column) {
			.name = c->extra[i], .field = field_of(c->extra[i]),
			.prefix = "", .suffix = " ", .fill = ' ' };
	join_pid_and_tid(p);
	for (size_t i = 0; i < p->nr_columns && !c->nr_extra; i++)
		if (p->columns[i].value == time_value)
			p->time = &p->columns[i];
	for (size_t i = 0; i < p->nr_columns; i++)
		if (p->columns[i].value == begin_value)
			p->time = NULL;
	p->stack = p->ip || p->sym || p->dso;
	/* A waker's stack that is asked for alone looks like any other. */
	for (size_t i = 0; i < c->nr_extra && !p->stack; i++)
		if (!strcmp(c->extra[i], "waker_stack"))
			choose_stack(p, true);
	/* perf fills a comm up when the record is one line. */
	for (size_t i = 0; i < p->nr_columns; i++)
		if (p->columns[i].value == comm_value)
			p->columns[i].alone_width = 16;
	p->event_last = p->nr_columns && p->columns[p->nr_columns - 1].value == event_value;
}

int script_plan_make(struct script_plan *p, const struct script_opts *opts,
		     const struct trace *t, struct diag *d)
{
	struct choice c = { .plan = p };
	int err = 0;

	*p = (struct script_plan) { .others = true };
	choose_stack(p, true);
	for (size_t i = 0; i < NR_KNOWN; i++)
		c.known[i] = opts->format == SCRIPT_TEXT ? known_fields[i].in_text
							 : known_fields[i].elsewhere;
	if (opts->fields) {
		p->names = strdup(opts->fields);
		if (!p->names)
			return diag_set(d, -ENOMEM, "out of memory");
		err = choose_list(&c, t, p->names, d);
	}
	if (opts->no_stack)
		choose_stack(p, false);
	if (!err)
		make_columns(p, &c);
	return err;
}
