#include "record/dwarfargs.h"

#include "record/dwarfabi.h"
#include "record/dwarffile.h"
#include "record/dwarfpath.h"
#include "record/dwarftypes.h"

#include <dwarf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_UNITS 1000000
#define MAX_DIES 20000000	/* of one unit: more than any real one has */
#define MAX_DEPTH 32
#define MAX_PARAMETERS 64

struct dwarfargs {
	struct dwarffile file;
};

struct parameter {
	char *name;
	Dwarf_Die die;			/* for its type */
	struct dwarfabi_place place;
};

struct dwarfargs_func {
	Dwarf_Die die;
	struct parameter parameters[MAX_PARAMETERS];
	size_t nr;
};

int dwarfargs_open(struct dwarfargs **out, const struct libfind_file *file,
		   const struct elfid *id)
{
	struct dwarfargs *dw = calloc(1, sizeof(*dw));
	int err = dw ? dwarffile_open(&dw->file, file, id) : -ENOMEM;

	*out = err ? NULL : dw;
	if (err)
		free(dw);
	return err;
}

void dwarfargs_close(struct dwarfargs *dw)
{
	if (dw)
		dwarffile_close(&dw->file);
	free(dw);
}

/* --- the function ---------------------------------------------------------------------------- */

/* Of a function in two parts the one that is entered comes first. */
static bool begins_at(Dwarf_Die *die, uint64_t address)
{
	Dwarf_Addr pc, base, end;

	if (!dwarf_entrypc(die, &pc))
		return pc == address;
	return dwarf_ranges(die, 0, &base, &pc, &end) > 0 && pc == address;
}

static bool may_hold_functions(int tag)
{
	switch (tag) {
	case DW_TAG_namespace:
	case DW_TAG_module:
	case DW_TAG_structure_type:
	case DW_TAG_class_type:
	case DW_TAG_union_type:
	case DW_TAG_subprogram:		/* nested ones of GNU C, Ada, Fortran, Rust */
		return true;
	default:
		return false;
	}
}

static bool find_in(Dwarf_Die *parent, uint64_t address, Dwarf_Die *found, unsigned int *nr_dies,
		    int depth)
{
	Dwarf_Die die;

	if (depth > MAX_DEPTH || dwarf_child(parent, &die))
		return false;
	do {
		int tag = dwarf_tag(&die);

		if (++*nr_dies > MAX_DIES)
			return false;
		if (tag == DW_TAG_subprogram && begins_at(&die, address)) {
			*found = die;
			return true;
		}
		if (may_hold_functions(tag) &&
		    find_in(&die, address, found, nr_dies, depth + 1))
			return true;
	} while (dwarftypes_next(&die));
	return false;
}

/* Not every compiler writes .debug_aranges: without it all units are asked. */
static bool find_function(Dwarf *dw, uint64_t address, Dwarf_Die *found)
{
	unsigned int nr_dies = 0, nr_units = 0;
	Dwarf_Off at = 0, next;
	size_t header_bytes;
	Dwarf_Die unit;

	if (dwarf_addrdie(dw, address, &unit) && find_in(&unit, address, found, &nr_dies, 0))
		return true;
	while (nr_units++ < MAX_UNITS &&
	       !dwarf_nextcu(dw, at, &next, &header_bytes, NULL, NULL, NULL) && next > at) {
		if (dwarf_offdie(dw, at + header_bytes, &unit) &&
		    dwarf_haspc(&unit, address) > 0 &&
		    find_in(&unit, address, found, &nr_dies, 0))
			return true;
		at = next;
	}
	return false;
}

/* --- its parameters ------------------------------------------------------------------------ */

/* Copies that compilers make of a function may take fewer arguments, or others. */
static bool is_clone(const char *symbol)
{
	return symbol && (strstr(symbol, ".isra.") || strstr(symbol, ".constprop.") ||
			  strstr(symbol, ".part."));
}

/* Where optimizing compilers say that it is, at the first instruction. */
static bool find_register(Dwarf_Die *die, uint64_t address, struct userreg *r)
{
	Dwarf_Attribute attr;
	Dwarf_Op *ops;
	size_t nr;

	if (!dwarf_attr(die, DW_AT_location, &attr) ||
	    dwarf_getlocation_addr(&attr, address, &ops, &nr, 1) != 1 || nr != 1)
		return false;
	if (ops->atom >= DW_OP_reg0 && ops->atom <= DW_OP_reg31)
		return userregs_find_dwarf(r, (unsigned int)(ops->atom - DW_OP_reg0));
	return false;
}

static void place_parameter(struct parameter *p, struct dwarfabi *abi, uint64_t address)
{
	struct dwarfabi_place place;
	struct userreg r;
	Dwarf_Die type, bare;

	if (!dwarftypes_of(&p->die, &type)) {
		abi->lost = "comes after an argument whose type is not known";
		p->place.why = "has no known type";
		return;
	}
	place = dwarfabi_argument(abi, &type);
	/* A struct in memory may have but its address in the register. */
	if (dwarftypes_strip(&type, &bare) && !dwarftypes_is_struct(&bare) &&
	    find_register(&p->die, address, &r)) {
		place.where = DWARFABI_REGISTERS;
		place.regs[0] = r;
	}
	p->place = place;
}

static int add_parameter(struct dwarfargs_func *f, Dwarf_Die *die, struct dwarfabi *abi,
			 uint64_t address)
{
	struct parameter *p = &f->parameters[f->nr];
	Dwarf_Attribute attr;
	const char *name = dwarf_attr_integrate(die, DW_AT_name, &attr) ?
		dwarf_formstring(&attr) : NULL;

	p->die = *die;
	p->name = strdup(name ? name : "");
	if (!p->name)
		return -ENOMEM;
	f->nr++;
	place_parameter(p, abi, address);
	return 0;
}

static int add_parameters(struct dwarfargs_func *f, uint64_t address, const char *symbol)
{
	struct dwarfabi abi;
	Dwarf_Die die;
	int err = 0;

	dwarfabi_begin(&abi, &f->die);
	if (is_clone(symbol))
		abi.lost = "is of a copy of the function whose arguments the compiler changed";
	if (dwarf_child(&f->die, &die))
		return 0;
	do {
		if (dwarf_tag(&die) == DW_TAG_formal_parameter)
			err = add_parameter(f, &die, &abi, address);
	} while (!err && f->nr < MAX_PARAMETERS && dwarftypes_next(&die));
	return err;
}

int dwarfargs_find(struct dwarfargs *dw, struct dwarfargs_func **out, uint64_t address,
		   const char *symbol)
{
	struct dwarfargs_func *f = calloc(1, sizeof(*f));
	int err;

	*out = NULL;
	if (!f)
		return -ENOMEM;
	err = find_function(dw->file.dw, address, &f->die) ? 0 : -ENOENT;
	if (!err)
		err = add_parameters(f, address, symbol);
	if (err)
		dwarfargs_free(f);
	else
		*out = f;
	return err;
}

void dwarfargs_free(struct dwarfargs_func *f)
{
	for (size_t i = 0; f && i < f->nr; i++)
		free(f->parameters[i].name);
	free(f);
}

/* --- what is asked ---------------------------------------------------------------------------- */

int dwarfargs_names(const struct dwarfargs_func *f, probe_name_fn fn, void *ctx)
{
	int ret = 0;

	for (size_t i = 0; !ret && i < f->nr; i++)
		if (*f->parameters[i].name)
			ret = fn(ctx, f->parameters[i].name);
	return ret;
}

static bool begins_with(const char *path, const char *name)
{
	size_t len = dwarfpath_root(path);

	return len && strlen(name) == len && !memcmp(path, name, len);
}

int dwarfargs_value(const struct dwarfargs_func *f, const char *path,
		    struct probe_value *out, struct diag *d)
{
	for (size_t i = 0; i < f->nr; i++) {
		const struct parameter *p = &f->parameters[i];
		Dwarf_Die die = p->die, type;

		if (!begins_with(path, p->name))
			continue;
		if (!dwarftypes_of(&die, &type))
			return diag_set(d, -EINVAL, "'%s' has no known type", p->name);
		return dwarfpath_value(&p->place, &type, path, out, d);
	}
	return -ENOENT;
}

bool dwarfargs_returns(const struct dwarfargs_func *f)
{
	Dwarf_Die die = f->die, type;

	return dwarftypes_of(&die, &type);
}

int dwarfargs_returned(const struct dwarfargs_func *f, const char *path,
		       struct probe_value *out, struct diag *d)
{
	Dwarf_Die die = f->die, type;
	struct dwarfabi_place place;

	if (!begins_with(path, "retval"))
		return -ENOENT;
	if (!dwarftypes_of(&die, &type))
		return diag_set(d, -EINVAL, "the function returns nothing (void)");
	place = dwarfabi_returned(&die, &type);
	return dwarfpath_value(&place, &type, path, out, d);
}

void dwarfargs_describe(const struct dwarfargs_func *f, bool returned, char *to,
			size_t size_bytes)
{
	Dwarf_Die die = f->die;
	char type[256];
	size_t len = 0;

	*to = '\0';
	if (returned) {
		dwarftypes_text(&die, type, sizeof(type));
		if (dwarfargs_returns(f))
			snprintf(to, size_bytes, "retval:%s", type);
		return;
	}
	for (size_t i = 0; i < f->nr; i++) {
		const struct parameter *p = &f->parameters[i];
		size_t need;

		die = p->die;
		dwarftypes_text(&die, type, sizeof(type));
		need = strlen(p->name) + strlen(type) + 4;
		if (need > size_bytes - len)
			return;
		len += (size_t)snprintf(to + len, size_bytes - len, "%s%s:%s", len ? ", " : "",
					p->name, type);
	}
}
