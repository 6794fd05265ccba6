/*
 * The types of the running kernel and of its modules, from BTF.  The kernel's are
 * read when first asked for, 3 ms for 150,000 types, and kept as long as somebody
 * holds them; each holder calls btftypes_put() once.  Input is untrusted: whatever
 * it says, ids and names that come back are sound.
 *
 * One thread at a time.
 */
#ifndef RECORD_BTFTYPES_H
#define RECORD_BTFTYPES_H

#include "format/diag.h"

#include <linux/btf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct btftypes;

/*
 * Those of the kernel, or with `module` the module's on top of the kernel's.
 * -ENOENT: the kernel or the module has none; d says so.
 */
int btftypes_get(struct btftypes **out, const char *module, struct diag *d);
/* From memory, which is copied; base (or NULL) is held, too.  -EBADMSG: malformed. */
int btftypes_parse(struct btftypes **out, const void *btf, size_t btf_bytes,
		   struct btftypes *base);
struct btftypes *btftypes_hold(struct btftypes *b);
void btftypes_put(struct btftypes *b);		/* NULL is legal */
/* Its name, or "" for the kernel proper. */
const char *btftypes_module(const struct btftypes *b);

/* Ids run from 1 to the last one; 0 is void, and what is not there. */
uint32_t btftypes_last(const struct btftypes *b);
uint32_t btftypes_first_own(const struct btftypes *b);	/* the module's, after the kernel's */
/* BTF_KIND_...; BTF_KIND_UNKN for 0 and for ids that do not exist. */
unsigned int btftypes_kind(const struct btftypes *b, uint32_t id);
const char *btftypes_name(const struct btftypes *b, uint32_t id);	/* never NULL */
/* What a pointer, typedef, qualifier, function or array refers to; else 0. */
uint32_t btftypes_target(const struct btftypes *b, uint32_t id);
/* Without typedefs, qualifiers and tags. */
uint32_t btftypes_strip(const struct btftypes *b, uint32_t id);
uint64_t btftypes_size(const struct btftypes *b, uint32_t id);	/* bytes; 0: unknown */

/* The first of that kind and name (own ones of a module first), or 0. */
uint32_t btftypes_find(const struct btftypes *b, const char *name, unsigned int kind);

struct btftypes_member {
	const char *name;		/* "" if anonymous */
	uint32_t type;
	uint64_t offset_bits;
	uint32_t bits;			/* of a bit field, else 0 */
};

/* Members of a struct or union, parameters of a prototype; else 0. */
uint32_t btftypes_nr_members(const struct btftypes *b, uint32_t id);
struct btftypes_member btftypes_member_at(const struct btftypes *b, uint32_t id, uint32_t i);
uint32_t btftypes_array_len(const struct btftypes *b, uint32_t id);

struct btftypes_int {
	bool is_signed, is_bool;
	uint32_t bits, offset_bits;	/* within it; bits is 0 if it is no number */
};

/* Of integers, enums and floats of BTF; pointers are no integers. */
struct btftypes_int btftypes_int(const struct btftypes *b, uint32_t id);

/*
 * The prototype that a function, a pointer to one, or a typedef of either has, or 0.
 * Its parameters are its members; its btftypes_target() is what it returns.
 */
uint32_t btftypes_prototype(const struct btftypes *b, uint32_t id);
/* "const struct file *", cut to fit. */
void btftypes_text(const struct btftypes *b, uint32_t id, char *to, size_t size_bytes);

/* Of a type as it lies in BTF: bytes behind struct btf_type, or -EBADMSG. */
long btftypes_extra_bytes(const struct btf_type *t);

/*
 * Modules that have types of their own, in the order of the folder.  fn returns 0
 * to go on, else its value is returned.
 */
int btftypes_modules(int (*fn)(void *ctx, const char *module), void *ctx);
/* An fd of that BTF in the kernel, for attach_btf_obj_fd; 0 for the kernel proper. */
int btftypes_kernel_fd(const struct btftypes *b, struct diag *d);

#endif
