#define _GNU_SOURCE
#include "record/kernelbtf.h"

#include <errno.h>
#include <linux/btf.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "record/btftypes_private.h"

struct reduction {
	const struct btftypes *from;
	uint32_t *new_ids;	/* by old id; 0: left out */
	uint32_t nr_types;	/* and one for void */
	uint32_t *kept;		/* old ids in the order of the new ones, from 1 on */
	uint32_t nr_kept;
	uint32_t nr_named;	/* the first of these were asked for by name */
	/* what comes out */
	uint8_t *out_types;
	char *out_strings;
	size_t out_types_bytes, out_strings_bytes, out_strings_room;
	bool overflow;
};

/* --- reading ---------------------------------------------------------------- */

static const struct btf_type *type_at(const struct reduction *r, uint32_t id)
{
	return (const void *)(r->from->types + r->from->offsets[id - r->from->first]);
}

static const char *name_at(const struct reduction *r, uint32_t offset)
{
	return offset < r->from->strings_bytes ? r->from->strings + offset : "";
}

static bool is_wanted(const struct reduction *r, const struct btf_type *t,
		      const char *const *names, size_t nr_names)
{
	const char *name = name_at(r, t->name_off);

	for (size_t i = 0; i < nr_names; i++) {
		if (names[i][0] == name[0] && strcmp(names[i], name) == 0)
			return true;
	}
	return false;
}

static void keep(struct reduction *r, uint32_t id)
{
	if (!id || id >= r->nr_types || r->new_ids[id])
		return;
	r->new_ids[id] = ++r->nr_kept;
	r->kept[r->nr_kept] = id;
}

static int keep_named(struct reduction *r, const char *const *names, size_t nr_names)
{
	static const unsigned int kinds[] = { BTF_KIND_STRUCT, BTF_KIND_ENUM, BTF_KIND_ENUM64 };
	const struct btftypes *from = r->from;

	r->nr_types = r->from->end;
	r->new_ids = calloc(r->nr_types, sizeof(*r->new_ids));
	r->kept = malloc(((size_t)r->nr_types + 1) * sizeof(*r->kept));
	if (!r->new_ids || !r->kept)
		return -ENOMEM;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
		uint32_t id = from->first_of_kind[kinds[i]];

		for (; id; id = from->next_of_kind[id - from->first])
			if (is_wanted(r, type_at(r, id), names, nr_names))
				keep(r, id);
	}
	r->nr_named = r->nr_kept;
	return r->nr_kept ? 0 : -ENOENT;
}

/* --- writing ------------------------------------------------------------------ */

static uint32_t copy_name(struct reduction *r, uint32_t offset)
{
	const char *name = name_at(r, offset);
	size_t bytes = strlen(name) + 1;
	uint32_t at = (uint32_t)r->out_strings_bytes;

	if (bytes == 1)
		return 0;
	if (bytes > r->out_strings_room - r->out_strings_bytes) {
		r->overflow = true;
		return 0;
	}
	memcpy(r->out_strings + at, name, bytes);
	r->out_strings_bytes += bytes;
	return at;
}

/* Keeps the type as well. */
static uint32_t renumber(struct reduction *r, uint32_t id)
{
	keep(r, id);
	return id < r->nr_types ? r->new_ids[id] : 0;
}

/* Nobody asks for those of types that were not named. */
static void copy_enumerators(struct reduction *r, struct btf_type *to, size_t bytes,
			     bool is_named)
{
	size_t vlen = BTF_INFO_VLEN(to->info), each_bytes = vlen ? bytes / vlen : 0;

	if (!is_named) {
		to->info &= ~0xffffu;
		r->out_types_bytes -= bytes;
		return;
	}
	/* The name comes first in those of both kinds. */
	for (size_t i = 0; i < vlen; i++) {
		uint32_t *name_off = (void *)((uint8_t *)(to + 1) + i * each_bytes);

		*name_off = copy_name(r, *name_off);
	}
}

static void copy_type(struct reduction *r, const struct btf_type *t, bool is_named)
{
	size_t bytes = sizeof(*t) + (size_t)btftypes_extra_bytes(t), vlen = BTF_INFO_VLEN(t->info);
	struct btf_type *to = (void *)(r->out_types + r->out_types_bytes);
	struct btf_member *members = (void *)(to + 1);
	struct btf_array *array = (void *)(to + 1);

	memcpy(to, t, bytes);
	r->out_types_bytes += bytes;
	to->name_off = copy_name(r, t->name_off);
	switch (BTF_INFO_KIND(t->info)) {
	case BTF_KIND_PTR:
		to->type = 0;
		break;
	case BTF_KIND_TYPEDEF:
	case BTF_KIND_VOLATILE:
	case BTF_KIND_CONST:
	case BTF_KIND_RESTRICT:
	case BTF_KIND_TYPE_TAG:
		to->type = renumber(r, t->type);
		break;
	case BTF_KIND_ARRAY:
		array->type = renumber(r, array->type);
		array->index_type = renumber(r, array->index_type);
		break;
	case BTF_KIND_STRUCT:
	case BTF_KIND_UNION:
		for (size_t i = 0; i < vlen; i++) {
			members[i].name_off = copy_name(r, members[i].name_off);
			members[i].type = renumber(r, members[i].type);
		}
		break;
	case BTF_KIND_ENUM:
	case BTF_KIND_ENUM64:
		copy_enumerators(r, to, bytes - sizeof(*t), is_named);
		break;
	}
}

static int write_all(struct reduction *r, void **out, size_t *out_bytes)
{
	struct btf_header h = { .magic = BTF_MAGIC, .version = BTF_VERSION, .hdr_len = sizeof(h) };
	uint8_t *to;

	/* Types cannot outgrow what they are taken from; names are repeated. */
	r->out_strings_room = r->from->strings_bytes + r->from->types_bytes;
	r->out_types = malloc(r->from->types_bytes);
	r->out_strings = malloc(r->out_strings_room);
	if (!r->out_types || !r->out_strings)
		return -ENOMEM;
	r->out_strings[0] = '\0';
	r->out_strings_bytes = 1;
	for (uint32_t id = 1; id <= r->nr_kept; id++)
		copy_type(r, type_at(r, r->kept[id]), id <= r->nr_named);
	if (r->overflow)
		return -EBADMSG;
	h.type_len = (uint32_t)r->out_types_bytes;
	h.str_off = h.type_len;
	h.str_len = (uint32_t)r->out_strings_bytes;
	to = malloc(sizeof(h) + h.type_len + h.str_len);
	if (!to)
		return -ENOMEM;
	memcpy(to, &h, sizeof(h));
	memcpy(to + sizeof(h), r->out_types, h.type_len);
	memcpy(to + sizeof(h) + h.str_off, r->out_strings, h.str_len);
	*out = to;
	*out_bytes = sizeof(h) + h.type_len + h.str_len;
	return 0;
}

int kernelbtf_reduce(const struct btftypes *types, const char *const *names, size_t nr_names,
		     void **out, size_t *out_bytes)
{
	struct reduction r = { .from = types };
	int err = keep_named(&r, names, nr_names);

	if (!err)
		err = write_all(&r, out, out_bytes);
	free(r.new_ids);
	free(r.kept);
	free(r.out_types);
	free(r.out_strings);
	return err;
}

/* --- the running kernel --------------------------------------------------------- */

int kernelbtf_open(const char *const *names, size_t nr_names)
{
	struct btftypes *types;
	void *reduced = NULL;
	size_t reduced_bytes = 0;
	int err = btftypes_get(&types, NULL, NULL), fd;

	if (err)
		return err;
	err = kernelbtf_reduce(types, names, nr_names, &reduced, &reduced_bytes);
	btftypes_put(types);
	if (err)
		return err;
	fd = memfd_create("kernel types", MFD_CLOEXEC);
	if (fd < 0) {
		err = -errno;
	} else if (write(fd, reduced, reduced_bytes) != (ssize_t)reduced_bytes) {
		err = -EIO;
		close(fd);
	}
	free(reduced);
	return err ? err : fd;
}
