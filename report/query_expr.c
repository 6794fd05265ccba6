#include "report/query_expr_names.h"

#include "format/block.h"
#include "format/buckets.h"
#include "report/names.h"
#include "report/valuenames.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MAX_TERMS 16

/* What && joins is tried one after the other, on the rows that are left. */
struct term {
	const struct expr_node *node;
	bool task_only;			/* all it needs to know is the task */
	uint64_t vars;			/* a bit each */
	uint8_t *tasks;			/* by task id: 0 not known, 1 fails, 2 passes */
};

/* The expression as it is understood for one event. */
struct bound {
	const struct trace_event *event;
	bool fits;
	struct source sources[64];	/* by variable */
	struct term terms[MAX_TERMS];
	size_t nr_terms;
	uint32_t nr_tasks, tasks_cap;	/* of terms[].tasks */
	uint64_t nr_task_blocks;
};

struct query_expr {
	struct expr *e;
	struct trace *trace;
	struct names *names;		/* when a field is code */
	struct bound **bounds;
	size_t nr_bounds;
	struct bound *now;		/* whose types the expression has */
	uint64_t start_ns;
	size_t row;
	char known_names[160];		/* of values, in a message */
};

int query_expr_new(struct query_expr **out, const char *text, struct diag *d)
{
	struct query_expr *x = calloc(1, sizeof(*x));
	int err;

	if (!x)
		return diag_set(d, -ENOMEM, "out of memory");
	err = expr_parse(&x->e, text, d);
	if (err) {
		free(x);
		return err;
	}
	*out = x;
	return 0;
}

static void free_bound(struct bound *b)
{
	for (size_t i = 0; i < b->nr_terms; i++)
		free(b->terms[i].tasks);
	free(b);
}

void query_expr_free(struct query_expr *x)
{
	if (!x)
		return;
	for (size_t i = 0; i < x->nr_bounds; i++)
		free_bound(x->bounds[i]);
	free(x->bounds);
	names_free(x->names);
	expr_free(x->e);
	free(x);
}

/* --- binding -------------------------------------------------------------------------- */

static uint64_t vars_of(const struct expr_node *n)
{
	uint64_t vars = n->op == EXPR_VAR ? (uint64_t)1 << n->var : 0;

	if (n->left)
		vars |= vars_of(n->left);
	return n->right ? vars | vars_of(n->right) : vars;
}

static size_t count_terms(const struct expr_node *n)
{
	return n->op == EXPR_AND ? count_terms(n->left) + count_terms(n->right) : 1;
}

static void add_terms(struct bound *b, const struct expr_node *n, bool split)
{
	struct term *t;

	if (n->op == EXPR_AND && split) {
		add_terms(b, n->left, true);
		add_terms(b, n->right, true);
		return;
	}
	t = &b->terms[b->nr_terms++];
	t->node = n;
	t->vars = vars_of(n);
	t->task_only = t->vars != 0;
	for (unsigned int i = 0; i < 64; i++)
		if (t->vars >> i & 1 && b->sources[i].kind < SOURCE_EVENT)
			t->task_only = false;
}

static struct bound *new_bound(struct query_expr *x, const struct trace_event *e)
{
	struct bound **grown = realloc(x->bounds, (x->nr_bounds + 1) * sizeof(struct bound *));
	struct bound *b;

	if (!grown)
		return NULL;
	x->bounds = grown;
	b = calloc(1, sizeof(*b));
	if (!b)
		return NULL;
	b->event = e;
	x->bounds[x->nr_bounds++] = b;
	return b;
}

static int resolve(void *ctx, const char *name, uint32_t var, enum expr_type *type)
{
	struct query_expr *x = ctx;
	struct source *s = &x->now->sources[var];
	int err = query_expr_names_find(x->now->event, name, s, type);

	if (!err && s->kind == SOURCE_FRAME && !x->names)
		err = names_new(&x->names, x->trace);
	return err;
}

/* A text compared with a field whose values have names. */
static int find_name(void *ctx, uint32_t var, const char *text, size_t len_bytes,
		     struct expr_name *out)
{
	struct query_expr *x = ctx;
	const struct source *s = &x->now->sources[var];
	const char *values;
	int err;

	if (s->kind != SOURCE_NUMBER || s->field < 0)
		return -EINVAL;
	values = x->now->event->fields[s->field].values;
	err = valuenames_find(values, text, len_bytes, &out->mask, &out->bits);
	if (err == -ENOENT) {
		valuenames_list(values, x->known_names, sizeof(x->known_names));
		out->known = x->known_names;
	}
	return err;
}

/* Types the expression for the event.  -EINVAL, -ENOENT (does not fit) or -ENOMEM. */
static int bind(struct query_expr *x, const struct trace_event *e, const char *known,
		struct diag *d)
{
	bool is_new = true;
	int err;

	if (x->now && x->now->event == e)
		return 0;
	x->now = NULL;
	for (size_t i = 0; i < x->nr_bounds && is_new; i++) {
		if (x->bounds[i]->event != e)
			continue;
		x->now = x->bounds[i];
		is_new = false;
	}
	if (!x->now)
		x->now = new_bound(x, e);
	if (!x->now)
		return -ENOMEM;
	/* Tried again only to hear why. */
	if (!is_new && !x->now->fits && !d)
		return 0;
	err = expr_bind_names(x->e, resolve, find_name, x, known, d);
	if (!err && is_new)
		add_terms(x->now, expr_root(x->e), count_terms(expr_root(x->e)) <= MAX_TERMS);
	x->now->fits = !err;
	return err;
}

int query_expr_check(struct query_expr *x, struct trace *t, query_expr_event_fn wanted,
		     void *ctx, struct diag *d)
{
	struct diag unknown = { "" }, wrong = { "" };
	char known[QUERY_EXPR_NAMES_BYTES];
	int err = 0;

	x->trace = t;
	query_expr_names_list(t, wanted, ctx, known);
	for (size_t i = 0; i < trace_nr_events(t); i++) {
		struct diag why = { "" };

		if (!wanted(ctx, trace_event_at(t, i)))
			continue;
		x->now = NULL;
		err = bind(x, trace_event_at(t, i), known, &why);
		if (x->now && x->now->fits)
			return 0;
		if (err && err != -ENOMEM)
			diag_set(err == -ENOENT ? &unknown : &wrong, err, "%s", why.text);
	}
	if (wrong.text[0])
		return diag_set(d, -EINVAL, "%s", wrong.text);
	return unknown.text[0] ? diag_set(d, -ENOENT, "%s", unknown.text) : err;
}

/* --- values ------------------------------------------------------------------------------- */

static struct expr_value text_value(const struct trace *t, uint32_t id)
{
	struct trace_string s = trace_string(t, id);

	return (struct expr_value) { .text = s.text, .len_bytes = s.len_bytes };
}

static struct expr_value plain_text(const char *text)
{
	return (struct expr_value) { .text = text, .len_bytes = strlen(text) };
}

static struct expr_value task_value(const struct query_expr *x, enum source_kind kind,
				    uint32_t id)
{
	static const struct trace_task none = { .uid = TASK_UID_UNKNOWN };
	const struct trace_task *task = trace_task(x->trace, id);

	if (!task)
		task = &none;
	switch (kind) {
	case SOURCE_PID:
		return (struct expr_value) { .number = task->pid };
	case SOURCE_UID:
		return (struct expr_value) { .number = task->uid };
	case SOURCE_PPID:
		return (struct expr_value) { .number = task->parent_pid };
	case SOURCE_COMM:
		return text_value(x->trace, task->comm);
	case SOURCE_CMDLINE:
		return text_value(x->trace, task->cmdline);
	case SOURCE_CGROUP:
		return text_value(x->trace, task->cgroup);
	default:
		return (struct expr_value) { .number = task->tid };
	}
}

static struct expr_value get(void *ctx, uint32_t var)
{
	struct query_expr *x = ctx;
	const struct source *s = &x->now->sources[var];
	uint64_t value = s->values[x->row & s->mask];

	switch (s->kind) {
	case SOURCE_NUMBER:
		return (struct expr_value) { .number = value };
	case SOURCE_TIME:
		/* A part may be before the first record. */
		return (struct expr_value) {
			.number = value > x->start_ns ? value - x->start_ns : 0
		};
	case SOURCE_BUCKET:
		return (struct expr_value) {
			.number = (uint64_t)buckets_signed_middle((int32_t)value)
		};
	case SOURCE_TEXT:
		return text_value(x->trace, (uint32_t)value);
	case SOURCE_FRAME:
		return plain_text(names_frame(x->names, (uint32_t)value)->symbol);
	case SOURCE_EVENT:
		return plain_text(x->now->event->name);
	default:
		return task_value(x, s->kind, (uint32_t)value);
	}
}

/* --- the rows of a block ---------------------------------------------------------------------- */

static int open_source(struct source *s, struct trace_batch *b)
{
	s->constant = 0;
	s->mask = 0;
	s->values = &s->constant;
	if (s->field < 0 || trace_column_constant(b, (uint32_t)s->field, &s->constant))
		return 0;
	s->values = trace_column(b, (uint32_t)s->field);
	s->mask = SIZE_MAX;
	return s->values ? 0 : -EBADMSG;
}

/* *mask: 0 when the term is the same for all rows. */
static int open_term(struct query_expr *x, const struct term *t, struct trace_batch *b,
		     size_t *mask, struct source **task)
{
	int err = 0;

	*mask = 0;
	*task = NULL;
	for (unsigned int i = 0; i < 64 && !err; i++) {
		struct source *s = &x->now->sources[i];

		if (!(t->vars >> i & 1))
			continue;
		err = open_source(s, b);
		*mask |= s->mask;
		if (s->kind > SOURCE_EVENT)
			*task = s;
	}
	return err;
}

static inline bool passes(struct query_expr *x, const struct term *t, size_t row)
{
	x->row = row;
	return expr_node_true(t->node, get, x);
}

/* Decided once for each task; a later entry of a pipe may still change one. */
static inline bool task_passes(struct query_expr *x, const struct term *t,
			       const struct source *task, size_t row)
{
	uint64_t id = task->values[row & task->mask];

	if (id >= x->now->nr_tasks)
		return passes(x, t, row);
	if (!t->tasks[id])
		t->tasks[id] = passes(x, t, row) ? 2 : 1;
	return t->tasks[id] == 2;
}

static int prepare_tasks(struct query_expr *x)
{
	uint64_t nr_blocks = trace_block_stats(x->trace)[BLOCK_TASKS].nr_blocks;
	uint32_t nr = trace_nr_tasks(x->trace);
	struct bound *b = x->now;

	if (b->nr_tasks == nr && b->nr_task_blocks == nr_blocks)
		return 0;
	for (size_t i = 0; i < b->nr_terms; i++) {
		uint8_t *grown;

		if (!b->terms[i].task_only)
			continue;
		if (nr > b->tasks_cap || !b->terms[i].tasks) {
			grown = realloc(b->terms[i].tasks, nr + nr / 2 + 64);
			if (!grown)
				return -ENOMEM;
			b->terms[i].tasks = grown;
		}
		memset(b->terms[i].tasks, 0, nr);
	}
	if (nr > b->tasks_cap)
		b->tasks_cap = nr + nr / 2 + 64;
	b->nr_tasks = nr;
	b->nr_task_blocks = nr_blocks;
	return 0;
}

static int sieve_term(struct query_expr *x, const struct term *t, struct trace_batch *b,
		      struct query_expr_rows *r)
{
	struct source *task;
	size_t mask, nr = 0;
	int err = open_term(x, t, b, &mask, &task);

	if (err)
		return err;
	if (!mask) {
		if (!passes(x, t, 0))
			r->nr = 0;
		return 0;
	}
	for (size_t i = 0; i < r->nr; i++) {
		uint32_t row = r->all ? (uint32_t)i : r->rows[i];

		r->rows[nr] = row;
		nr += t->task_only ? task_passes(x, t, task, row) : passes(x, t, row);
	}
	r->all = r->all && nr == r->nr;
	r->nr = nr;
	return 0;
}

int query_expr_sieve(struct query_expr *x, struct trace_batch *b, uint64_t start_ns,
		     struct query_expr_rows *r)
{
	int err;

	x->trace = b->trace;
	x->start_ns = start_ns;
	err = bind(x, b->event, NULL, NULL);
	if (err == -ENOMEM)
		return err;
	if (!x->now->fits) {
		r->nr = 0;
		return 0;
	}
	err = prepare_tasks(x);
	for (size_t i = 0; i < x->now->nr_terms && r->nr && !err; i++)
		err = sieve_term(x, &x->now->terms[i], b, r);
	return err;
}
