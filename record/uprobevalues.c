#include "record/uprobevalues.h"

#include "record/elffuncs.h"
#include "record/probe_private.h"
#include "record/userregs.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const struct dwarfargs_func *func_of(const struct probe *p, struct uprobe_spot *s)
{
	const struct uprobe *u = p->private;
	struct uprobe_code *c = s->code;
	uint64_t address;

	if (s->func_tried || u->is_glob || !u->is_entry)
		return s->func;
	s->func_tried = true;
	if (!c->dwarf_tried && dwarfargs_open(&c->dwarf, &c->file, &c->id))
		c->dwarf = NULL;
	c->dwarf_tried = true;
	if (c->dwarf && elffuncs_address(&c->id, s->places.offsets[0], &address) &&
	    dwarfargs_find(c->dwarf, &s->func, address, s->symbol))
		s->func = NULL;
	return s->func;
}

static void set_register(struct probe_value *out, struct userreg r, bool is_signed)
{
	*out = (struct probe_value){
		.steps[0] = { .op = FETCH_CTX, .size = r.size, .is_signed = is_signed,
			      .value = r.offset },
		.nr_steps = 1, .result = RESULT_NUMBER, .space = SPACE_USER, .size = r.size,
		.is_signed = is_signed,
	};
}

/* "arg0" is the first. */
static int arg_index(const char *name)
{
	if (strncmp(name, "arg", 3) || name[3] < '0' || name[3] > '9' || name[4] ||
	    name[3] - '0' >= USERREGS_NR_ARGS)
		return -1;
	return name[3] - '0';
}

static void set_function(const struct uprobe *u, struct probe_value *out)
{
	set_register(out, userregs_ip(), false);
	if (u->returns)
		out->steps[0] = (struct fetch_step){ .op = FETCH_FUNC_IP };
	out->is_pointer = true;
	out->is_code = true;
	out->class = CLASS_SYMBOL;
}

/* What every function has, whether anything is known of it or not. */
static int find_plain(const struct uprobe *u, const char *name, struct probe_value *out,
		      struct diag *d)
{
	struct userreg r;
	int arg = arg_index(name);

	if (name[0] == '%' && userregs_find(&r, name + 1, strlen(name + 1))) {
		set_register(out, r, false);
	} else if (u->returns && !strcmp(name, "retval")) {
		set_register(out, userregs_return(0), true);
	} else if (u->is_glob && !strcmp(name, "func")) {
		set_function(u, out);
	} else if (arg >= 0 && u->returns) {
		return diag_set(d, -EINVAL, "the arguments are gone when a function returns: take "
				"'%s' with uprobe", name);
	} else if (arg >= 0 && u->is_entry) {
		set_register(out, userregs_arg((unsigned int)arg), true);
	} else {
		return -ENOENT;
	}
	return 0;
}

static int complain_unknown(const struct probe *p, const struct uprobe_spot *s, const char *name,
			    struct diag *d)
{
	const struct uprobe *u = p->private;
	struct probe_value builtin;

	if (!probe_builtin(name, &builtin))
		return -ENOENT;
	if (!u->is_entry)
		return diag_set(d, -EINVAL, "'%s' has no '%s': arguments have names and places only "
				"where a function begins (there are registers, such as %%sp)",
				p->name, name);
	if (u->is_glob)
		return diag_set(d, -EINVAL, "'%s' has no '%s': it is many functions, whose "
				"arguments are %s", p->name, name,
				u->returns ? "retval alone" : "arg0, arg1 ...");
	if (!s->code->dwarf)
		return diag_set(d, -EINVAL, "'%s' has no '%s': there is no debug information of "
				"'%s', so that all it has is %s", p->name, name,
				s->code->file.path, u->returns ? "retval" : "arg0, arg1 ...");
	return -ENOENT;
}

int uprobevalues_find(const struct probe *p, const struct probe_variant *v, const char *name,
		      struct probe_value *out, struct diag *d)
{
	const struct uprobe *u = p->private;
	struct uprobe_spot *s = v->private;
	const struct dwarfargs_func *func = func_of(p, s);
	int err = -ENOENT;

	if (func)
		err = u->returns ? dwarfargs_returned(func, name, out, d) :
				   dwarfargs_value(func, name, out, d);
	if (err == -ENOENT)
		err = find_plain(u, name, out, d);
	return err == -ENOENT ? complain_unknown(p, s, name, d) : err;
}

int uprobevalues_frame(const struct probe *p, const struct probe_variant *v,
		       struct probe_value *out)
{
	const struct uprobe *u = p->private;
	unsigned int popped = userregs_stack_args_offset();

	(void)v;
	if (!u->returns && !u->is_entry)
		return -EOPNOTSUPP;
	set_register(out, userregs_sp(), false);
	/* A return takes its address from the stack, where the arguments follow it. */
	if (u->returns && popped)
		out->steps[out->nr_steps++] = (struct fetch_step){
			.op = FETCH_ADD, .value = -(int64_t)popped,
		};
	return 0;
}

/* Calls on with the names that can be had in all variants. */
struct common_names {
	const struct probe *p;
	probe_name_fn fn;
	void *ctx;
};

static int take_name(void *ctx, const char *name)
{
	struct common_names *c = ctx;

	for (size_t i = 0; i < c->p->nr_variants; i++) {
		struct diag ignored = { "" };
		struct probe_value value;

		if (uprobevalues_find(c->p, &c->p->variants[i], name, &value, &ignored))
			return 0;
	}
	return c->fn(c->ctx, name);
}

static int names_at_return(const struct probe *p, const struct dwarfargs_func *func,
			   probe_name_fn fn, void *ctx)
{
	struct common_names common = { p, fn, ctx };

	return func && !dwarfargs_returns(func) ? 0 : take_name(&common, "retval");
}

int uprobevalues_names(const struct probe *p, bool usual, probe_name_fn fn, void *ctx)
{
	const struct uprobe *u = p->private;
	const struct dwarfargs_func *func = func_of(p, p->variants[0].private);
	struct common_names common = { p, fn, ctx };
	int ret = 0;

	if (u->is_glob)
		ret = fn(ctx, "func");
	if (ret)
		return ret;
	if (u->returns)
		return names_at_return(p, func, fn, ctx);
	if (func)
		ret = dwarfargs_names(func, take_name, &common);
	for (int i = 0; !ret && !usual && u->is_entry && i < USERREGS_NR_ARGS; i++) {
		char name[8];

		snprintf(name, sizeof(name), "arg%d", i);
		ret = fn(ctx, name);
	}
	return ret;
}
