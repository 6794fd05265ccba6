/*
 * From a variable in user space and its type to what "x->y.z[2]" of it means.
 */
#ifndef RECORD_DWARFPATH_H
#define RECORD_DWARFPATH_H

#include "format/diag.h"
#include "record/dwarfabi.h"
#include "record/probe.h"

#include <elfutils/libdw.h>
#include <stddef.h>

/* Where the name of the variable ends: "req", in "req->method". */
size_t dwarfpath_root(const char *path);
/*
 * The value of the whole path, whose variable lies there and has this type.
 * Pointers are followed in user memory; "." and "->" are the same.  -EINVAL with d
 * set: no such member (those there are listed), a struct as a whole ...
 */
int dwarfpath_value(const struct dwarfabi_place *place, Dwarf_Die *type, const char *path,
		    struct probe_value *out, struct diag *d);

#endif
