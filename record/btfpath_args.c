#include "record/btfpath.h"

#include <errno.h>
#include <string.h>

#define MAX_ARGS 12			/* what the kernel lets a BPF program see */

static uint32_t slots_of(const struct btftypes *b, uint32_t type)
{
	uint64_t size = btftypes_size(b, type);

	/* Larger ones lie on the stack, and the kernel offers no such function. */
	return size > 8 && size <= 16 ? 2 : 1;
}

int btfpath_argument(const struct btftypes *b, uint32_t prototype, const char *source)
{
	uint32_t nr = btftypes_nr_members(b, prototype);
	size_t n = btfpath_root(source);

	for (uint32_t i = 0; n && i < nr; i++) {
		const char *name = btftypes_member_at(b, prototype, i).name;

		if (strlen(name) == n && !strncmp(name, source, n))
			return (int)i;
	}
	return -ENOENT;
}

uint32_t btfpath_slot(const struct btftypes *b, uint32_t prototype, uint32_t index)
{
	uint32_t slot = 0;

	for (uint32_t i = 0; i < index; i++)
		slot += slots_of(b, btftypes_member_at(b, prototype, i).type);
	return slot;
}

int btfpath_context_value(const struct btftypes *b, uint32_t prototype, uint32_t skip,
			  const char *source, struct probe_value *v, struct diag *d)
{
	int i = btfpath_argument(b, prototype, source);
	uint32_t slot;

	if (i < 0 || (uint32_t)i < skip)
		return -ENOENT;
	slot = btfpath_slot(b, prototype, (uint32_t)i) - skip;
	if (slot >= MAX_ARGS)
		return diag_set(d, -EINVAL, "'%s' is beyond the %d arguments that can be seen",
				source, MAX_ARGS);
	memset(v, 0, sizeof(*v));
	v->steps[0] = (struct fetch_step){ .op = FETCH_CTX, .size = 8, .value = 8 * slot };
	v->nr_steps = 1;
	return btfpath_walk(b, btftypes_member_at(b, prototype, (uint32_t)i).type,
			    source + btfpath_root(source), source, v, d);
}

/* A pointer type to it need not be there, so the walk begins behind the pointer. */
int btfpath_curtask(const struct btftypes *b, const char *source, struct probe_value *v,
		    struct diag *d)
{
	size_t n = btfpath_root(source);
	uint32_t task, id;

	if (n != strlen("curtask") || strncmp(source, "curtask", n) != 0)
		return -ENOENT;
	task = btftypes_find(b, "task_struct", BTF_KIND_STRUCT);
	for (id = 1; task && id <= btftypes_last(b); id++)
		if (btftypes_kind(b, id) == BTF_KIND_PTR && btftypes_target(b, id) == task)
			break;
	if (!task || id > btftypes_last(b))
		return diag_set(d, -EINVAL, "the kernel's types do not tell what a task is");
	memset(v, 0, sizeof(*v));
	v->steps[0] = (struct fetch_step){ .op = FETCH_CURRENT };
	v->nr_steps = 1;
	return btfpath_walk(b, id, source + n, source, v, d);
}

bool btfpath_is_scalar(const struct btftypes *b, uint32_t type)
{
	uint32_t id = btftypes_strip(b, type);

	switch (btftypes_kind(b, id)) {
	case BTF_KIND_INT:
		return btftypes_size(b, id) <= 8;
	case BTF_KIND_ENUM:
	case BTF_KIND_ENUM64:
	case BTF_KIND_PTR:
		return true;
	}
	return false;
}
