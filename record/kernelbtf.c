#define _GNU_SOURCE
#include "record/kernelbtf.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/btf.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "record/btftypes.h"

struct reduction {
	const uint8_t *types;
	size_t types_bytes;
	const char *strings;
	size_t strings_bytes;
	uint32_t *offsets;	/* by old id, in types */
	uint32_t *new_ids;	/* by old id; 0: left out */
	uint32_t nr_types;	/* and one for void */
	uint32_t *kept;		/* old ids in the order of the new ones, from 1 on */
	uint32_t nr_kept;
	/* what comes out */
	uint8_t *out_types;
	char *out_strings;
	size_t out_types_bytes, out_strings_bytes, out_strings_room;
	bool overflow;
};

/* --- reading ---------------------------------------------------------------- */

static const struct btf_type *type_at(const struct reduction *r, uint32_t id)
{
	return (const void *)(r->types + r->offsets[id]);
}

static const char *name_at(const struct reduction *r, uint32_t offset)
{
	return offset < r->strings_bytes ? r->strings + offset : "";
}

static bool is_wanted(const struct reduction *r, const struct btf_type *t,
		      const char *const *names, size_t nr_names)
{
	const char *name;

	if (BTF_INFO_KIND(t->info) != BTF_KIND_STRUCT || !t->name_off)
		return false;
	name = name_at(r, t->name_off);
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

static int find_sections(struct reduction *r, const void *btf, size_t btf_bytes)
{
	const struct btf_header *h = btf;
	size_t room;

	if (btf_bytes < sizeof(*h) || h->magic != BTF_MAGIC || h->hdr_len > btf_bytes)
		return -EBADMSG;
	room = btf_bytes - h->hdr_len;
	if (h->type_off > room || h->type_len > room - h->type_off || h->type_off % 4 ||
	    h->hdr_len % 4 || h->str_off > room || h->str_len > room - h->str_off || !h->str_len)
		return -EBADMSG;
	r->types = (const uint8_t *)btf + h->hdr_len + h->type_off;
	r->types_bytes = h->type_len;
	r->strings = (const char *)btf + h->hdr_len + h->str_off;
	r->strings_bytes = h->str_len;
	return r->strings[h->str_len - 1] ? -EBADMSG : 0;
}

/* Finds where each type begins, and keeps those that are wanted. */
static int index_types(struct reduction *r, const char *const *names, size_t nr_names)
{
	size_t most = r->types_bytes / sizeof(struct btf_type) + 1;
	size_t at = 0;

	r->offsets = malloc(most * sizeof(*r->offsets));
	r->new_ids = calloc(most, sizeof(*r->new_ids));
	r->kept = malloc((most + 1) * sizeof(*r->kept));
	if (!r->offsets || !r->new_ids || !r->kept)
		return -ENOMEM;
	for (r->nr_types = 1; at < r->types_bytes; r->nr_types++) {
		const struct btf_type *t = (const void *)(r->types + at);
		long extra;

		if (r->types_bytes - at < sizeof(*t))
			return -EBADMSG;
		extra = btftypes_extra_bytes(t);
		if (extra < 0 || (size_t)extra > r->types_bytes - at - sizeof(*t))
			return -EBADMSG;
		r->offsets[r->nr_types] = (uint32_t)at;
		at += sizeof(*t) + (size_t)extra;
		if (is_wanted(r, t, names, nr_names)) {
			r->new_ids[r->nr_types] = ++r->nr_kept;
			r->kept[r->nr_kept] = r->nr_types;
		}
	}
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

static void copy_type(struct reduction *r, const struct btf_type *t)
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
		/* Nobody asks for the enumerators. */
		to->info &= ~0xffffu;
		r->out_types_bytes -= bytes - sizeof(*t);
		break;
	}
}

static int write_all(struct reduction *r, void **out, size_t *out_bytes)
{
	struct btf_header h = { .magic = BTF_MAGIC, .version = BTF_VERSION, .hdr_len = sizeof(h) };
	uint8_t *to;

	/* Types cannot outgrow what they are taken from; names are repeated. */
	r->out_strings_room = r->strings_bytes + r->types_bytes;
	r->out_types = malloc(r->types_bytes);
	r->out_strings = malloc(r->out_strings_room);
	if (!r->out_types || !r->out_strings)
		return -ENOMEM;
	r->out_strings[0] = '\0';
	r->out_strings_bytes = 1;
	for (uint32_t id = 1; id <= r->nr_kept; id++)
		copy_type(r, type_at(r, r->kept[id]));
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

int kernelbtf_reduce(const void *btf, size_t btf_bytes, const char *const *names,
		     size_t nr_names, void **out, size_t *out_bytes)
{
	struct reduction r = { 0 };
	int err = find_sections(&r, btf, btf_bytes);

	if (!err)
		err = index_types(&r, names, nr_names);
	if (!err)
		err = write_all(&r, out, out_bytes);
	free(r.offsets);
	free(r.new_ids);
	free(r.kept);
	free(r.out_types);
	free(r.out_strings);
	return err;
}

/* --- the running kernel --------------------------------------------------------- */

static int read_file(const char *path, void **data, size_t *size_bytes)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), err = 0;
	size_t len = 0;
	struct stat st;
	char *bytes;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0) {
		err = -errno;
		close(fd);
		return err;
	}
	bytes = malloc((size_t)st.st_size + 1);
	while (bytes && len < (size_t)st.st_size) {
		ssize_t n = read(fd, bytes + len, (size_t)st.st_size - len);

		if (n <= 0) {
			err = n < 0 ? -errno : -EBADMSG;
			break;
		}
		len += (size_t)n;
	}
	close(fd);
	if (!bytes || err) {
		free(bytes);
		return err ? err : -ENOMEM;
	}
	*data = bytes;
	*size_bytes = len;
	return 0;
}

int kernelbtf_open(const char *const *names, size_t nr_names)
{
	void *whole = NULL, *reduced = NULL;
	size_t whole_bytes = 0, reduced_bytes = 0;
	int err, fd;

	err = read_file(KERNELBTF_PATH, &whole, &whole_bytes);
	if (err)
		return err;
	err = kernelbtf_reduce(whole, whole_bytes, names, nr_names, &reduced, &reduced_bytes);
	free(whole);
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
