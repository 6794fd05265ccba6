#include "record/bpfprogs.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_FUNCTIONS 1024	/* of one program; the kernel allows 256 */

struct prog {
	struct bpf_prog_info info;
	uint64_t *starts;
	uint32_t *lens;
	uint8_t (*tags)[BPF_TAG_SIZE];
	uint8_t *funcs;		/* struct bpf_func_info, by info.func_info_rec_size */
	struct btf *btf;
};

static void prog_release(struct prog *p)
{
	free(p->starts);
	free(p->lens);
	free(p->tags);
	free(p->funcs);
	btf__free(p->btf);
}

/* The kernel tells first how much there is, then fills in arrays of that size. */
static int prog_read(struct prog *p, int fd)
{
	uint32_t len = sizeof(p->info);
	struct bpf_prog_info counts = { 0 };
	uint32_t nr;

	memset(p, 0, sizeof(*p));
	if (bpf_obj_get_info_by_fd(fd, &counts, &len) < 0)
		return -errno;
	nr = counts.nr_jited_ksyms;
	if (!nr || nr > MAX_FUNCTIONS || counts.nr_jited_func_lens != nr)
		return -ENOENT;
	p->starts = calloc(nr, sizeof(*p->starts));
	p->lens = calloc(nr, sizeof(*p->lens));
	p->tags = calloc(nr, sizeof(*p->tags));
	if (!p->starts || !p->lens || !p->tags)
		return -ENOMEM;
	p->info.nr_jited_ksyms = nr;
	p->info.nr_jited_func_lens = nr;
	p->info.jited_ksyms = (uintptr_t)p->starts;
	p->info.jited_func_lens = (uintptr_t)p->lens;
	if (counts.nr_prog_tags == nr) {
		p->info.nr_prog_tags = nr;
		p->info.prog_tags = (uintptr_t)p->tags;
	}
	if (counts.nr_func_info && counts.nr_func_info <= MAX_FUNCTIONS &&
	    counts.func_info_rec_size >= sizeof(struct bpf_func_info)) {
		p->funcs = calloc(counts.nr_func_info, counts.func_info_rec_size);
		p->info.nr_func_info = p->funcs ? counts.nr_func_info : 0;
		p->info.func_info_rec_size = counts.func_info_rec_size;
		p->info.func_info = (uintptr_t)p->funcs;
	}
	len = sizeof(p->info);
	if (bpf_obj_get_info_by_fd(fd, &p->info, &len) < 0)
		return -errno;
	if (p->info.nr_jited_ksyms != nr || p->info.nr_jited_func_lens != nr)
		return -ENOENT;
	if (p->funcs && p->info.btf_id)
		p->btf = btf__load_from_kernel_by_id(p->info.btf_id);
	return 0;
}

/* The whole name from BTF where there is one, else the first 15 characters. */
static const char *function_name(const struct prog *p, uint32_t i)
{
	const struct btf_type *type;
	struct bpf_func_info func;

	if (!p->btf || i >= p->info.nr_func_info)
		return p->info.name;
	memcpy(&func, p->funcs + (size_t)i * p->info.func_info_rec_size, sizeof(func));
	type = btf__type_by_id(p->btf, func.type_id);
	return type ? btf__name_by_offset(p->btf, type->name_off) : p->info.name;
}

static void report(const struct prog *p, uint32_t i,
		   void (*fn)(void *ctx, const char *name, uint64_t start, uint64_t size_bytes),
		   void *ctx)
{
	const uint8_t *tag = p->info.nr_prog_tags > i ? p->tags[i] : p->info.tag;
	const char *name = function_name(p, i);
	char text[512];
	int at;

	/* Without the right to see kernel addresses they all are 0. */
	if (!p->starts[i] || !p->lens[i])
		return;
	at = snprintf(text, sizeof(text), "bpf_prog_");
	for (int byte = 0; byte < BPF_TAG_SIZE; byte++)
		at += snprintf(text + at, sizeof(text) - (size_t)at, "%02x", tag[byte]);
	if (name && *name)
		snprintf(text + at, sizeof(text) - (size_t)at, "_%s", name);
	fn(ctx, text, p->starts[i], p->lens[i]);
}

int bpfprogs_each(uint32_t *last_id,
		  void (*fn)(void *ctx, const char *name, uint64_t start, uint64_t size_bytes),
		  void *ctx)
{
	uint32_t id;

	while (!bpf_prog_get_next_id(*last_id, &id)) {
		int fd = bpf_prog_get_fd_by_id(id);
		struct prog p;

		*last_id = id;
		if (fd < 0)
			continue;
		if (!prog_read(&p, fd))
			for (uint32_t i = 0; i < p.info.nr_jited_ksyms; i++)
				report(&p, i, fn, ctx);
		prog_release(&p);
		close(fd);
	}
	return errno == ENOENT ? 0 : -errno;
}
