#define _GNU_SOURCE
#include "record/btftypes_private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_FILE_BYTES (256u << 20)

/* What is open: weak, whoever holds it last takes it out. */
static struct btftypes *open_types;

/* Bytes behind struct btf_type, and for each of what it has several of. */
static const struct {
	bool is_known;
	uint8_t bytes, each_bytes;
} kinds[BTFTYPES_NR_KINDS] = {
	[BTF_KIND_INT] = { true, sizeof(uint32_t), 0 },
	[BTF_KIND_VAR] = { true, sizeof(struct btf_var), 0 },
	[BTF_KIND_DECL_TAG] = { true, sizeof(struct btf_decl_tag), 0 },
	[BTF_KIND_ARRAY] = { true, sizeof(struct btf_array), 0 },
	[BTF_KIND_STRUCT] = { true, 0, sizeof(struct btf_member) },
	[BTF_KIND_UNION] = { true, 0, sizeof(struct btf_member) },
	[BTF_KIND_ENUM] = { true, 0, sizeof(struct btf_enum) },
	[BTF_KIND_ENUM64] = { true, 0, sizeof(struct btf_enum64) },
	[BTF_KIND_FUNC_PROTO] = { true, 0, sizeof(struct btf_param) },
	[BTF_KIND_DATASEC] = { true, 0, sizeof(struct btf_var_secinfo) },
	[BTF_KIND_PTR] = { true, 0, 0 },
	[BTF_KIND_FWD] = { true, 0, 0 },
	[BTF_KIND_TYPEDEF] = { true, 0, 0 },
	[BTF_KIND_VOLATILE] = { true, 0, 0 },
	[BTF_KIND_CONST] = { true, 0, 0 },
	[BTF_KIND_RESTRICT] = { true, 0, 0 },
	[BTF_KIND_FUNC] = { true, 0, 0 },
	[BTF_KIND_FLOAT] = { true, 0, 0 },
	[BTF_KIND_TYPE_TAG] = { true, 0, 0 },
};

long btftypes_extra_bytes(const struct btf_type *t)
{
	unsigned int kind = BTF_INFO_KIND(t->info);

	if (!kinds[kind].is_known)
		return -EBADMSG;
	return kinds[kind].bytes + (long)kinds[kind].each_bytes * BTF_INFO_VLEN(t->info);
}

static int find_sections(struct btftypes *b, size_t btf_bytes)
{
	const struct btf_header *h = (const void *)b->data;
	size_t room;

	if (btf_bytes < sizeof(*h) || h->magic != BTF_MAGIC || h->hdr_len > btf_bytes)
		return -EBADMSG;
	room = btf_bytes - h->hdr_len;
	if (h->type_off > room || h->type_len > room - h->type_off || h->type_off % 4 ||
	    h->hdr_len % 4 || h->str_off > room || h->str_len > room - h->str_off || !h->str_len)
		return -EBADMSG;
	b->types = b->data + h->hdr_len + h->type_off;
	b->types_bytes = h->type_len;
	b->strings = (const char *)b->data + h->hdr_len + h->str_off;
	b->strings_bytes = h->str_len;
	return b->strings[h->str_len - 1] ? -EBADMSG : 0;
}

static int index_types(struct btftypes *b)
{
	size_t at = 0, room = b->types_bytes / sizeof(struct btf_type);
	uint32_t *ends[BTFTYPES_NR_KINDS], nr = 0;

	b->offsets = malloc((room + 1) * sizeof(*b->offsets));
	b->next_of_kind = malloc((room + 1) * sizeof(*b->next_of_kind));
	if (!b->offsets || !b->next_of_kind)
		return -ENOMEM;
	for (size_t i = 0; i < BTFTYPES_NR_KINDS; i++)
		ends[i] = &b->first_of_kind[i];
	while (at < b->types_bytes) {
		const struct btf_type *t = (const void *)(b->types + at);
		long extra;

		if (b->types_bytes - at < sizeof(*t))
			return -EBADMSG;
		extra = btftypes_extra_bytes(t);
		if (extra < 0 || (size_t)extra > b->types_bytes - at - sizeof(*t))
			return -EBADMSG;
		*ends[BTF_INFO_KIND(t->info)] = b->first + nr;
		ends[BTF_INFO_KIND(t->info)] = &b->next_of_kind[nr];
		b->next_of_kind[nr] = 0;
		b->offsets[nr++] = (uint32_t)at;
		at += sizeof(*t) + (size_t)extra;
	}
	b->end = b->first + nr;
	return b->end < b->first ? -EBADMSG : 0;
}

static void release_data(uint8_t *data, size_t mapped_bytes)
{
	if (mapped_bytes)
		munmap(data, mapped_bytes);
	else
		free(data);
}

/* Takes data over, also on failure; mapped_bytes is 0 unless it is mapped. */
static int open_bytes(struct btftypes **out, uint8_t *data, size_t btf_bytes,
		      size_t mapped_bytes, struct btftypes *base)
{
	struct btftypes *b = calloc(1, sizeof(*b));
	int err;

	if (!b) {
		release_data(data, mapped_bytes);
		return -ENOMEM;
	}
	b->holders = 1;
	b->data = data;
	b->mapped_bytes = mapped_bytes;
	b->base = base ? btftypes_hold(base) : NULL;
	b->first = b->end = base ? base->end : 1;
	b->module = strdup("");
	err = b->module ? find_sections(b, btf_bytes) : -ENOMEM;
	if (!err)
		err = index_types(b);
	if (err) {
		btftypes_put(b);
		return err;
	}
	*out = b;
	return 0;
}

int btftypes_parse(struct btftypes **out, const void *btf, size_t btf_bytes,
		   struct btftypes *base)
{
	uint8_t *copy = malloc(btf_bytes + 1);

	if (!copy)
		return -ENOMEM;
	memcpy(copy, btf, btf_bytes);
	return open_bytes(out, copy, btf_bytes, 0, base);
}

struct file_bytes {
	uint8_t *data;
	size_t size_bytes, mapped_bytes;
};

/* Read, it comes a page at a time. */
static int read_bytes(int fd, struct file_bytes *f)
{
	size_t len = 0;

	f->data = malloc(f->size_bytes + 1);
	if (!f->data)
		return -ENOMEM;
	while (len < f->size_bytes) {
		ssize_t n = read(fd, f->data + len, f->size_bytes - len);

		if (n <= 0) {
			int err = n < 0 ? -errno : -EBADMSG;

			free(f->data);
			return err;
		}
		len += (size_t)n;
	}
	return 0;
}

static int open_file(const char *module, struct file_bytes *f)
{
	char path[128];
	struct stat st;
	int fd, err = 0;
	void *mapped;

	*f = (struct file_bytes){ 0 };
	snprintf(path, sizeof(path), BTFTYPES_FOLDER "/%s", module);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0)
		err = -errno;
	else if (st.st_size < 0 || st.st_size > MAX_FILE_BYTES)
		err = -EFBIG;
	if (!err) {
		f->size_bytes = (size_t)st.st_size;
		/* Of the kernel proper, and not on every kernel. */
		mapped = mmap(NULL, f->size_bytes, PROT_READ, MAP_PRIVATE, fd, 0);
		if (mapped != MAP_FAILED) {
			f->data = mapped;
			f->mapped_bytes = f->size_bytes;
		} else {
			err = read_bytes(fd, f);
		}
	}
	close(fd);
	return err;
}

static int open_kernel(struct btftypes **out, const char *module)
{
	struct btftypes *base = NULL;
	struct file_bytes f;
	int err = 0;

	if (*module)
		err = btftypes_get(&base, NULL, NULL);
	if (!err)
		err = open_file(*module ? module : "vmlinux", &f);
	if (!err)
		err = open_bytes(out, f.data, f.size_bytes, f.mapped_bytes, base);
	btftypes_put(base);
	if (err)
		return err;
	free((*out)->module);
	(*out)->module = strdup(module);
	if (!(*out)->module) {
		btftypes_put(*out);
		return -ENOMEM;
	}
	(*out)->is_kernel = true;
	(*out)->next = open_types;
	open_types = *out;
	return 0;
}

int btftypes_get(struct btftypes **out, const char *module, struct diag *d)
{
	int err;

	module = module ? module : "";
	if (strchr(module, '/') || !strcmp(module, "vmlinux"))
		return diag_set(d, -ENOENT, "no types of a module '%s'", module);
	for (struct btftypes *b = open_types; b; b = b->next) {
		if (!strcmp(b->module, module)) {
			*out = btftypes_hold(b);
			return 0;
		}
	}
	err = open_kernel(out, module);
	if (err && *module)
		return diag_set(d, err, "cannot read the types of module '%s' in "
				BTFTYPES_FOLDER ": %s", module, strerror(-err));
	if (err)
		return diag_set(d, err, "cannot read the kernel's types in " BTFTYPES_FOLDER
				"/vmlinux: %s%s", strerror(-err),
				err == -ENOENT ? " (it needs CONFIG_DEBUG_INFO_BTF)" : "");
	return 0;
}

struct btftypes *btftypes_hold(struct btftypes *b)
{
	b->holders++;
	return b;
}

void btftypes_put(struct btftypes *b)
{
	if (!b || --b->holders)
		return;
	if (b->is_kernel) {
		struct btftypes **at = &open_types;

		while (*at != b)
			at = &(*at)->next;
		*at = b->next;
	}
	btftypes_put(b->base);
	free(b->offsets);
	free(b->next_of_kind);
	free(b->module);
	release_data(b->data, b->mapped_bytes);
	free(b);
}
