#define _GNU_SOURCE
#include "record/btftypes_private.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>

int btftypes_modules(int (*fn)(void *ctx, const char *module), void *ctx)
{
	DIR *dir = opendir(BTFTYPES_FOLDER);
	struct dirent *e;
	int err = 0;

	if (!dir)
		return -errno;
	while (!err && (e = readdir(dir))) {
		if (e->d_name[0] != '.' && strcmp(e->d_name, "vmlinux") != 0)
			err = fn(ctx, e->d_name);
	}
	closedir(dir);
	return err;
}

/* Whether that BTF is of the module. */
static bool is_of(int fd, const char *module)
{
	char name[128] = "";
	struct bpf_btf_info info = {
		.name = (uintptr_t)name,
		.name_len = sizeof(name),
	};
	__u32 len = sizeof(info);

	return !bpf_obj_get_info_by_fd(fd, &info, &len) && info.kernel_btf &&
	       !strcmp(name, module);
}

int btftypes_kernel_fd(const struct btftypes *b, struct diag *d)
{
	const char *module = btftypes_module(b);
	__u32 id = 0;

	if (!*module)
		return 0;
	while (!bpf_btf_get_next_id(id, &id)) {
		int fd = bpf_btf_get_fd_by_id(id);

		if (fd < 0 && errno == EPERM)
			return diag_set(d, -EPERM, "cannot use the types of module '%s': no right "
					"to (CAP_SYS_ADMIN)", module);
		if (fd >= 0 && is_of(fd, module))
			return fd;
		if (fd >= 0)
			close(fd);
	}
	return diag_set(d, -ENOENT, "the kernel has no types of module '%s'", module);
}

/* --- text ----------------------------------------------------------------------------- */

struct text {
	char *to;
	size_t size_bytes, len;
};

static void add(struct text *t, const char *more)
{
	int n = snprintf(t->to + t->len, t->size_bytes - t->len, "%s", more);

	if (n > 0)
		t->len += (size_t)n < t->size_bytes - t->len ? (size_t)n
							      : t->size_bytes - t->len - 1;
}

static void add_type(struct text *t, const struct btftypes *b, uint32_t id, int depth)
{
	unsigned int kind = btftypes_kind(b, id);
	const char *name = btftypes_name(b, id);
	uint32_t to = btftypes_target(b, id);
	char count[24];

	if (depth == 0)
		return;
	switch (kind) {
	case BTF_KIND_UNKN:
		add(t, "void");
		break;
	case BTF_KIND_CONST:
		add(t, "const ");
		add_type(t, b, to, depth - 1);
		break;
	case BTF_KIND_VOLATILE:
	case BTF_KIND_RESTRICT:
	case BTF_KIND_TYPE_TAG:
		add_type(t, b, to, depth - 1);
		break;
	case BTF_KIND_PTR:
		add_type(t, b, to, depth - 1);
		add(t, t->len && t->to[t->len - 1] == '*' ? "*" : " *");
		break;
	case BTF_KIND_ARRAY:
		add_type(t, b, to, depth - 1);
		snprintf(count, sizeof(count), "[%u]", btftypes_array_len(b, id));
		add(t, count);
		break;
	case BTF_KIND_FUNC_PROTO:
		add(t, "function");
		break;
	case BTF_KIND_STRUCT:
	case BTF_KIND_UNION:
	case BTF_KIND_ENUM:
	case BTF_KIND_ENUM64:
		add(t, kind == BTF_KIND_STRUCT ? "struct" : kind == BTF_KIND_UNION ? "union" :
		       "enum");
		add(t, *name ? " " : "");
		add(t, name);
		break;
	case BTF_KIND_FWD:
		add(t, "struct ");
		add(t, name);
		break;
	default:
		add(t, name);
	}
}

void btftypes_text(const struct btftypes *b, uint32_t id, char *to, size_t size_bytes)
{
	struct text t = { to, size_bytes, 0 };

	*to = '\0';
	add_type(&t, b, id, 16);
}
