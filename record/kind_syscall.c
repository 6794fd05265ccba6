/*
 * System calls as spans: `syscall:openat`, `syscall:*`.  At the start only the time is
 * kept.  The arguments are read where the call returns, from the caller's registers,
 * which a call leaves alone: what they point to has been used by then, and is in memory.
 * Only calls that put another program in the caller's place have them read at the start.
 */
#define _GNU_SOURCE
#include "record/probe_private.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "record/nearnames.h"
#include "record/syscallargs.h"
#include "record/syscalltp.h"
#include "record/tpformat.h"
#include "record/tracefs.h"

#define FAMILY 1
#define FIRST_ARGUMENT 16	/* offset in the record of the tracepoint */
#define TYPED_WAY "tp_btf"

extern const struct probe_kind kind_syscall;

/* Names of tracepoints that are not those of the calls. */
static const struct alias {
	const char *call, *tracepoint;
} aliases[] = {
	{ "stat", "newstat" }, { "fstat", "newfstat" }, { "lstat", "newlstat" },
	{ "uname", "newuname" }, { "sendfile", "sendfile64" }, { "umount2", "umount" },
};

static const char *const endless[] = { "exit", "exit_group", "rt_sigreturn" };

struct syscall {
	struct syscalltp tp;
	char *call;			/* "openat", as tracepoints say */
	struct tpformat format;		/* of its entry; no fields: it cannot be had */
	struct syscalltp_tables tables;	/* of the first such probe: of the whole set */
};

static void free_syscall(struct syscall *s)
{
	if (!s)
		return;
	syscalltp_release(&s->tables);
	tpformat_release(&s->format);
	free(s->call);
	free(s);
}

/* --- names ---------------------------------------------------------------------------- */

#define NR_OF(list) (sizeof(list) / sizeof(*(list)))

static const char *tracepoint_of(const char *call)
{
	for (size_t i = 0; i < NR_OF(aliases); i++)
		if (!strcmp(aliases[i].call, call))
			return aliases[i].tracepoint;
	return call;
}

static const char *call_of(const char *tracepoint)
{
	for (size_t i = 0; i < NR_OF(aliases); i++)
		if (!strcmp(aliases[i].tracepoint, tracepoint))
			return aliases[i].call;
	return tracepoint;
}

static bool never_returns(const char *call)
{
	for (size_t i = 0; i < NR_OF(endless); i++)
		if (!strcmp(endless[i], call))
			return true;
	return false;
}

/* --- from text to probes ------------------------------------------------------------------ */

static int complain_unknown(const char *what, struct diag *d)
{
	struct nearnames n;
	char near[320] = "";
	const char *call;

	nearnames_begin(&n, what);
	for (size_t i = 0; (call = syscalltp_name_at(i)); i++)
		nearnames_try(&n, call_of(call));
	nearnames_text(&n, near, sizeof(near));
	return diag_set(d, -ENOENT, "no system call '%s'%s (see: kymo list 'syscall:*')", what,
			near);
}

/* Whether this side is the one that reads the arguments. */
static bool reads_arguments(const struct syscall *s)
{
	return s->tp.is_exit != syscallargs_are_gone_after(s->call);
}

/* The names and types of its arguments, where tracefs tells them. */
static void read_format(struct syscall *s)
{
	char name[128], *text;

	snprintf(name, sizeof(name), "sys_enter_%s", s->call);
	if (tracefs_read_format(&text, "syscalls", name, NULL))
		return;
	if (tpformat_parse(&s->format, text, "syscalls", name, NULL))
		memset(&s->format, 0, sizeof(s->format));
	free(text);
}

static struct syscall *syscall_new(const char *call, bool is_exit)
{
	struct syscall *s = calloc(1, sizeof(*s));
	char name[128];

	if (!s)
		return NULL;
	s->call = strdup(call);
	snprintf(name, sizeof(name), "sys_%s_%s", is_exit ? "exit" : "enter", call);
	if (!s->call || syscalltp_find(&s->tp, name)) {
		free_syscall(s);
		return NULL;
	}
	if (reads_arguments(s))
		read_format(s);
	return s;
}

static int add_side(struct probes *set, const char *name, const char *call, bool is_exit,
		    struct probe **out, struct diag *d)
{
	struct syscall *s = syscall_new(call, is_exit);
	struct probe *p = s ? probe_add(set, &kind_syscall, name, 1) : NULL;

	if (!p) {
		free_syscall(s);
		return diag_set(d, -ENOMEM, "out of memory");
	}
	p->private = s;
	syscalltp_describe(&s->tp, &p->variants[0]);
	snprintf(p->method, sizeof(p->method), TYPED_WAY);
	*out = p;
	return 0;
}

/* Calls of one thread do not overlap, unless the same one is recorded twice. */
static uint32_t family_of(const struct probes *set, const struct syscall *s)
{
	uint32_t family = FAMILY;

	for (size_t i = 0; i < set->nr; i++) {
		const struct syscall *other = set->list[i]->private;

		if (set->list[i]->kind == &kind_syscall && other->tp.number == s->tp.number)
			family++;
	}
	return family;
}

static int add_typed(struct probes *set, const char *name, const char *call, struct diag *d)
{
	struct probes scratch = { 0 };
	struct probe *start, *end;
	uint32_t family;
	int err = add_side(&scratch, name, call, false, &start, d);

	free(scratch.list);
	if (err)
		return err;
	family = family_of(set, start->private);
	err = add_side(set, name, call, true, &end, d);
	if (err) {
		probe_free(start);
		return err;
	}
	err = probe_span_join(end, start, name, "tid");
	if (err)
		return diag_set(d, err, "out of memory");
	/* What is kept of such a start is larger: it has a table of its own. */
	end->span->family = reads_arguments(start->private) ? 0 : family;
	return 0;
}

static int add_tracepoints(struct probes *set, const struct probe_spec *spec, const char *name,
			   const char *call, struct diag *d)
{
	char enter[160], leave[160], kind[] = "tracepoint", key[] = "tid";
	struct probe_spec start = { .kind = kind, .what = enter, .keys = key };
	struct probe_spec end = { .kind = kind, .what = leave, .keys = key };

	snprintf(enter, sizeof(enter), "syscalls:sys_enter_%s", call);
	snprintf(leave, sizeof(leave), "syscalls:sys_exit_%s", call);
	return probe_span_pair(set, spec, &start, &end, name, key, d);
}

static int expand_one(struct probes *set, const struct probe_spec *spec, const char *call,
		      struct diag *d)
{
	char name[160];

	snprintf(name, sizeof(name), "syscall:%s", call_of(call));
	if (probe_may_use(set, TYPED_WAY) && !syscalltp_try())
		return add_typed(set, name, call, d);
	return add_tracepoints(set, spec, name, call, d);
}

static int expand_glob(struct probes *set, const struct probe_spec *spec, struct diag *d)
{
	const char *call;
	size_t found = 0;
	int err = 0;

	for (size_t i = 0; !err && (call = syscalltp_name_at(i)); i++) {
		if (never_returns(call) || (fnmatch(spec->what, call_of(call), 0) &&
					    fnmatch(spec->what, call, 0)))
			continue;
		found++;
		err = expand_one(set, spec, call, d);
	}
	if (err || found)
		return err;
	return diag_set(d, -ENOENT, "no system call matches '%s' (see: kymo list 'syscall:*')",
			spec->what);
}

static int expand(struct probes *set, const struct probe_spec *spec, struct diag *d)
{
	const char *call = tracepoint_of(spec->what), *known;

	if (strpbrk(spec->what, "*?["))
		return expand_glob(set, spec, d);
	if (never_returns(spec->what))
		return diag_set(d, -EINVAL, "'%s' is no span, since it never returns: record "
				"syscalls:sys_enter_%s", spec->text, spec->what);
	for (size_t i = 0; (known = syscalltp_name_at(i)); i++)
		if (!strcmp(known, call))
			return expand_one(set, spec, call, d);
	return complain_unknown(spec->what, d);
}

/* --- values ------------------------------------------------------------------------------- */

static bool is_argument(const struct tpformat_field *f)
{
	return f->offset >= FIRST_ARGUMENT && f->offset % 8 == 0 && f->size_bytes == 8 &&
	       f->shape == TPFORMAT_NUMBER;
}

static void narrow(struct probe_value *v, const struct syscallargs *a)
{
	v->size = a->size;
	v->is_signed = a->is_signed;
	if (a->size < sizeof(uint64_t))
		v->steps[v->nr_steps++] = (struct fetch_step){
			.op = FETCH_BITS, .size = (uint8_t)(8 * a->size),
			.is_signed = a->is_signed,
		};
}

/* Makes 64 bits of a register what is known of them. */
static void describe(struct probe_value *v, const struct syscallargs *a)
{
	v->result = RESULT_NUMBER;
	v->size = sizeof(uint64_t);
	v->space = SPACE_USER;
	v->hint = a->hint;
	v->class = a->class;
	v->values = a->values;
	v->is_char_pointer = v->is_code = false;
	v->is_pointer = a->is_pointer || a->is_string;
	if (a->is_string) {
		v->result = RESULT_STRING;
		v->max_bytes = a->max_bytes;
		v->hint = HINT_DECIMAL;
	} else {
		narrow(v, a);
	}
}

static int find_argument(const struct syscall *s, const char *name, struct probe_value *out)
{
	const struct tpformat_field *f = tpformat_find(&s->format, name);
	struct syscallargs known = { .size = 8, .hint = HINT_HEX };
	unsigned int index;
	int err;

	if (f && is_argument(f)) {
		index = (f->offset - FIRST_ARGUMENT) / 8;
		if (!syscallargs_find(s->call, name, &known))
			syscallargs_of_type(f->type, &known);
	} else if (!strncmp(name, "arg", 3) && name[3] >= '0' && name[3] < '6' && !name[4]) {
		index = (unsigned int)(name[3] - '0');
	} else {
		return -ENOENT;
	}
	err = s->tp.is_exit ? syscalltp_exit_argument(index, out) :
			      syscalltp_enter_argument(index, out);
	if (!err)
		describe(out, &known);
	return err;
}

static int find(const struct probe *p, const struct probe_variant *v, const char *name,
		struct probe_value *out, struct diag *d)
{
	const struct syscall *s = p->private;
	struct syscallargs known = { .size = 8, .is_signed = true, .hint = HINT_ERRNO };
	int err;

	(void)v;
	(void)d;
	if (!s->tp.is_exit || strcmp(name, "ret"))
		return reads_arguments(s) ? find_argument(s, name, out) : -ENOENT;
	err = syscalltp_exit_result(out);
	if (err)
		return err;
	syscallargs_find(s->call, name, &known);
	describe(out, &known);
	out->role = ROLE_RESULT;
	return 0;
}

static int names(const struct probe *p, bool usual, probe_name_fn fn, void *ctx)
{
	const struct syscall *s = p->private;
	char number[8];
	int err = 0;

	(void)usual;
	for (size_t i = 0; !err && i < s->format.nr_fields; i++)
		if (is_argument(&s->format.fields[i]))
			err = fn(ctx, s->format.fields[i].name);
	for (int i = 0; !err && reads_arguments(s) && !s->format.nr_fields &&
	     i < SYSCALLTP_NR_ARGS; i++) {
		snprintf(number, sizeof(number), "arg%d", i);
		err = fn(ctx, number);
	}
	return err || !s->tp.is_exit ? err : fn(ctx, "ret");
}

/* --- attaching ---------------------------------------------------------------------------- */

static struct syscalltp_tables *find_tables(const struct probes *set)
{
	for (size_t i = 0; i < set->nr; i++)
		if (set->list[i]->kind == &kind_syscall)
			return &((struct syscall *)set->list[i]->private)->tables;
	return NULL;
}

static int attach(struct probes *set, struct probe *p, struct probe_variant *v,
		  struct attachset *a, struct diag *d)
{
	const struct syscall *s = p->private;
	int err = syscalltp_attach(&s->tp, find_tables(set), v->prog_fd, a);

	return err ? diag_set(d, err, "cannot attach to '%s': %s%s", p->name, strerror(-err),
			      err == -EMFILE ? " (see: ulimit -n)" : "") : 0;
}

static void release(struct probe *p)
{
	free_syscall(p->private);
	p->private = NULL;
}

/* All calls pass the programs in front, also those that are not asked for. */
static uint64_t missed(const struct probe *p)
{
	return syscalltp_missed(&((const struct syscall *)p->private)->tables);
}

/* --- listing ------------------------------------------------------------------------------ */

struct lister {
	char text[512];
};

static int join(void *ctx, const char *name)
{
	struct lister *l = ctx;
	size_t len = strlen(l->text);

	snprintf(l->text + len, sizeof(l->text) - len, "%s%s", len ? ", " : "", name);
	return 0;
}

static int list_one(const char *call, bool verbose, probe_list_fn fn, void *ctx)
{
	struct probe p = { .kind = &kind_syscall };
	struct lister l = { "" };
	char name[160];
	struct probe_listing row = { .name = name };

	snprintf(name, sizeof(name), "syscall:%s", call_of(call));
	p.private = verbose ? syscall_new(call, !syscallargs_are_gone_after(call)) : NULL;
	if (p.private) {
		names(&p, true, join, &l);
		if (syscallargs_are_gone_after(call))
			join(&l, "ret");
		row.fields = l.text;
		release(&p);
	}
	return fn(ctx, &row);
}

static int list(const struct probe_kind *k, const char *glob, bool verbose, probe_list_fn fn,
		void *ctx, struct diag *d)
{
	const char *call;
	int err = 0;

	(void)k;
	(void)d;
	for (size_t i = 0; !err && (call = syscalltp_name_at(i)); i++)
		if (!never_returns(call) && (!glob || !fnmatch(glob, call_of(call), 0) ||
					     !fnmatch(glob, call, 0)))
			err = list_one(call, verbose, fn, ctx);
	return err;
}

const struct probe_kind kind_syscall = {
	.name = "syscall",
	.summary = "span: a system call, with arguments and result: syscall:openat",
	.expand = expand,
	.find = find,
	.names = names,
	.attach = attach,
	.release = release,
	.missed = missed,
	.list = list,
};
