/*
 * Raw tracepoints: `raw_tracepoint:sched_switch`, with the arguments that the kernel's
 * code passes, by name where BTF is there, else arg0, arg1 ...  They need no tracefs.
 */
#define _GNU_SOURCE
#include "record/probe.h"

#include <bpf/bpf.h>
#include <ctype.h>
#include <errno.h>
#include <fnmatch.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "format/bytebuf.h"
#include "record/attachset.h"
#include "record/btfpath.h"
#include "record/btftypes.h"
#include "record/nearnames.h"
#include "record/tpraw.h"

#define BTF_PREFIX "btf_trace_"
#define MAX_ARGS 12		/* the kernel's limit for tracepoints that programs see */

extern const struct probe_kind kind_raw_tracepoint;

struct rawtp {
	char *name;
	struct tpraw raw;	/* types is NULL without BTF */
};

static void free_rawtp(struct rawtp *r)
{
	if (!r)
		return;
	tpraw_release(&r->raw);
	free(r->name);
	free(r);
}

/* --- names ------------------------------------------------------------------------------ */

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The kernel's, sorted; the names lie in its types.  -errno with d set. */
static int find_names(struct btftypes **types, const char ***out, size_t *nr, struct diag *d)
{
	const char **list = NULL;
	size_t n = 0, cap = 0;
	int err = btftypes_get(types, NULL, d);

	if (err)
		return err;
	for (uint32_t id = 1; id <= btftypes_last(*types); id++) {
		const char *name = btftypes_name(*types, id);

		if (btftypes_kind(*types, id) != BTF_KIND_TYPEDEF ||
		    strncmp(name, BTF_PREFIX, strlen(BTF_PREFIX)))
			continue;
		if (n == cap) {
			const char **more;

			cap = cap ? cap * 2 : 512;
			more = reallocarray(list, cap, sizeof(*list));
			if (!more) {
				free(list);
				btftypes_put(*types);
				return diag_set(d, -ENOMEM, "out of memory");
			}
			list = more;
		}
		list[n++] = name + strlen(BTF_PREFIX);
	}
	if (n)
		qsort(list, n, sizeof(*list), compare_names);
	*out = list;
	*nr = n;
	return 0;
}

static int complain_unknown(const char *what, struct diag *d)
{
	struct btftypes *types;
	const char **list;
	char near[320] = "";
	size_t nr;

	if (find_names(&types, &list, &nr, NULL) == 0) {
		struct nearnames n;

		nearnames_begin(&n, what);
		for (size_t i = 0; i < nr; i++)
			nearnames_try(&n, list[i]);
		nearnames_text(&n, near, sizeof(near));
		free(list);
		btftypes_put(types);
	}
	return diag_set(d, -ENOENT, "no raw tracepoint '%s'%s; see: kymo list 'raw_tracepoint:*'",
			what, near);
}

/* --- from text to probes -------------------------------------------------------------------- */

/* What BTF does not know may still be there: in a module without types of its own. */
static int try_attach(const char *name)
{
	const struct bpf_insn insns[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	int prog = bpf_prog_load(BPF_PROG_TYPE_RAW_TRACEPOINT, "kymo_try", "GPL", insns,
				 sizeof(insns) / sizeof(*insns), NULL), fd;

	if (prog < 0)
		return prog;
	fd = tpraw_attach(name, prog);
	close(prog);
	if (fd < 0)
		return fd;
	close(fd);
	return 0;
}

/* The verifier does not hand every argument out to programs that know its type. */
static bool has_typed_arguments(struct tpraw *raw)
{
	uint32_t nr = btftypes_nr_members(raw->types, raw->prototype);
	struct probe_value value;

	raw->is_typed = true;
	for (uint32_t i = 0; i + 1 < nr && i < MAX_ARGS; i++)
		if (tpraw_number(raw, i, &value))
			raw->is_typed = false;
	return raw->is_typed;
}

static int choose_way(struct rawtp *r, const struct probes *set, const char *what,
		      struct diag *d)
{
	int err = tpraw_find(&r->raw, r->name);

	if (err) {
		err = try_attach(r->name);
		if (err == -ENOENT)
			return complain_unknown(what, d);
	} else if (probe_may_use(set, "tp_btf") && has_typed_arguments(&r->raw)) {
		return 0;
	} else {
		err = tpraw_try_untyped();
	}
	if (err == -EPERM || err == -EACCES)
		return diag_set(d, err, "not allowed to attach to '%s': run as root or with CAP_BPF "
				"and CAP_PERFMON", what);
	if (err || !probe_may_use(set, "raw_tp"))
		return diag_set(d, err ? err : -EOPNOTSUPP, "raw tracepoint '%s' cannot be recorded "
				"in any of the ways allowed%s%s", what, err ? ": " : "",
				err ? strerror(-err) : "");
	return 0;
}

static int add_probe(struct probes *set, struct rawtp *r, struct diag *d)
{
	int btf_fd = r->raw.is_typed ? btftypes_kernel_fd(r->raw.types, d) : 0;
	struct probe_variant *v;
	struct probe *p;
	char text[160];

	if (btf_fd < 0)
		return btf_fd;
	snprintf(text, sizeof(text), "raw_tracepoint:%s", r->name);
	p = probe_add(set, &kind_raw_tracepoint, text, 1);
	if (!p)
		return diag_set(d, -ENOMEM, "out of memory");
	v = &p->variants[0];
	v->prog_type = r->raw.is_typed ? BPF_PROG_TYPE_TRACING : BPF_PROG_TYPE_RAW_TRACEPOINT;
	if (r->raw.is_typed) {
		v->expected_attach_type = BPF_TRACE_RAW_TP;
		v->attach_btf_id = r->raw.attach_id;
		v->attach_btf_fd = btf_fd;
	}
	p->private = r;
	snprintf(p->method, sizeof(p->method), "%s", r->raw.is_typed ? "tp_btf" : "raw_tp");
	return 0;
}

static int expand_one(struct probes *set, const char *what, struct diag *d)
{
	/* The kernel knows them by their own name alone. */
	const char *colon = strchr(what, ':');
	struct rawtp *r = calloc(1, sizeof(*r));
	int err = -ENOMEM;

	if (r)
		r->name = strdup(colon ? colon + 1 : what);
	if (r && r->name)
		err = choose_way(r, set, what, d);
	if (!err)
		err = add_probe(set, r, d);
	if (!err)
		return 0;
	free_rawtp(r);
	return diag_set(d, err, "out of memory");
}

static int expand(struct probes *set, const struct probe_spec *spec, struct diag *d)
{
	struct btftypes *types;
	const char **list;
	size_t nr, found = 0;
	int err;

	if (!strpbrk(spec->what, "*?["))
		return expand_one(set, spec->what, d);
	err = find_names(&types, &list, &nr, d);
	if (err)
		return err;
	for (size_t i = 0; i < nr && !err; i++) {
		if (fnmatch(spec->what, list[i], 0) != 0)
			continue;
		found++;
		err = expand_one(set, list[i], d);
	}
	free(list);
	btftypes_put(types);
	if (err || found)
		return err;
	return diag_set(d, -ENOENT, "no raw tracepoint matches '%s' (see: kymo list "
			"'raw_tracepoint:*')", spec->what);
}

/* --- values -------------------------------------------------------------------------------- */

/* "arg3": 3, else -1. */
static int argument_number(const char *name)
{
	char *rest;
	long n;

	if (strncmp(name, "arg", 3) || !isdigit((unsigned char)name[3]))
		return -1;
	n = strtol(name + 3, &rest, 10);
	return *rest || n >= MAX_ARGS ? -1 : (int)n;
}

static int find(const struct probe *p, const struct probe_variant *v, const char *name,
		struct probe_value *out, struct diag *d)
{
	const struct rawtp *r = p->private;
	int number = argument_number(name), err = -ENOENT;

	(void)v;
	/* Some have parameters of their own that are called like that. */
	if (r->raw.types)
		err = tpraw_argument(&r->raw, name, out, d);
	if (err != -ENOENT || number < 0)
		return err;
	err = tpraw_number(&r->raw, (uint32_t)number, out);
	out->hint = HINT_HEX;
	return err;
}

static int names(const struct probe *p, bool usual, probe_name_fn fn, void *ctx)
{
	const struct tpraw *t = &((const struct rawtp *)p->private)->raw;
	uint32_t nr = btftypes_nr_members(t->types, t->prototype);
	int err = 0;

	for (uint32_t i = 1; i < nr && !err; i++) {
		struct btftypes_member m = btftypes_member_at(t->types, t->prototype, i);
		char number[16];

		if (usual && t->has_names && !btfpath_is_scalar(t->types, m.type))
			continue;
		snprintf(number, sizeof(number), "arg%u", i - 1);
		err = fn(ctx, t->has_names ? m.name : number);
	}
	if (!t->types && !usual)
		err = fn(ctx, "arg0 ... arg11");
	return err;
}

/* --- attaching -------------------------------------------------------------------------------- */

static int attach(struct probes *set, struct probe *p, struct probe_variant *v,
		  struct attachset *a, struct diag *d)
{
	const struct rawtp *r = p->private;
	int fd = tpraw_attach(r->raw.is_typed ? NULL : r->name, v->prog_fd);

	(void)set;
	if (fd < 0)
		return diag_set(d, fd, "cannot attach to '%s': %s%s", p->name, strerror(-fd),
				fd == -EINVAL ? " (has it as many arguments?)" : "");
	return attachset_add(a, fd) ? diag_set(d, -ENOMEM, "out of memory") : 0;
}

static void release(struct probe *p)
{
	free_rawtp(p->private);
	p->private = NULL;
}

/* --- listing ---------------------------------------------------------------------------------- */

static char *fields_of(const char *name)
{
	struct bytebuf text;
	struct tpraw t;

	if (tpraw_find(&t, name))
		return NULL;
	bytebuf_init(&text);
	for (uint32_t i = 1; i < btftypes_nr_members(t.types, t.prototype); i++) {
		struct btftypes_member m = btftypes_member_at(t.types, t.prototype, i);
		char number[16], type[128];

		snprintf(number, sizeof(number), "arg%u", i - 1);
		btftypes_text(t.types, m.type, type, sizeof(type));
		bytebuf_text(&text, i > 1 ? ", " : "");
		bytebuf_text(&text, t.has_names ? m.name : number);
		bytebuf_text(&text, ":");
		bytebuf_text(&text, type);
	}
	tpraw_release(&t);
	return bytebuf_take_text(&text);
}

static int list(const struct probe_kind *k, const char *glob, bool verbose, probe_list_fn fn,
		void *ctx, struct diag *d)
{
	struct btftypes *types;
	const char **found;
	size_t nr;
	int err, why;

	(void)k;
	err = find_names(&types, &found, &nr, d);
	if (err)
		return err;
	why = tpraw_try_untyped();
	for (size_t i = 0; i < nr && !err; i++) {
		struct probe_listing l = {
			.missing = why == -EPERM ? "needs CAP_BPF and CAP_PERFMON" : NULL,
		};
		char name[160], *fields = NULL;

		snprintf(name, sizeof(name), "raw_tracepoint:%s", found[i]);
		if (glob && fnmatch(glob, found[i], 0) != 0)
			continue;
		if (verbose)
			fields = fields_of(found[i]);
		l.name = name;
		l.fields = fields;
		err = fn(ctx, &l);
		free(fields);
	}
	free(found);
	btftypes_put(types);
	return err;
}

const struct probe_kind kind_raw_tracepoint = {
	.name = "raw_tracepoint",
	.aliases = "rt,rawtp,raw_tp",
	.summary = "tracepoint of the kernel, with its arguments: raw_tracepoint:sched_switch",
	.expand = expand,
	.find = find,
	.names = names,
	.attach = attach,
	.release = release,
	.list = list,
};
