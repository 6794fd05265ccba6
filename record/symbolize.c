#include "record/symbolize.h"

#include "record/debugfile.h"
#include "record/demangle.h"
#include "record/elfid.h"
#include "record/elfsyms.h"
#include "record/jitmap.h"
#include "record/kallsyms.h"
#include "record/ksymbols.h"
#include "record/procroot.h"
#include "record/symtab.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct symbolizer {
	struct modules *modules;
	struct kernelmap *kernel;
	struct ksymbols *ksymbols;	/* NULL: the kernel cannot be asked */
	struct kallsyms *kallsyms;
	bool ksymbols_tried, kallsyms_tried;
	uint64_t refreshes;
	char name[4096];
};

/* --- ELF files -------------------------------------------------------------------- */

static int new_table(struct module *mod)
{
	return mod->symtab ? -EEXIST : symtab_new(&mod->symtab);
}

/* The full table of a stripped file, from wherever it is kept. */
static void add_separate(struct module *mod, const struct elfid *id,
			 const struct elfsyms_found *found)
{
	struct elfsyms_found ignored;
	int fd = debugfile_open(mod->pid, mod->path, id, found);

	if (fd < 0 && found->debugdata)
		fd = debugfile_unpack(mod->fd);
	if (fd < 0)
		return;
	elfsyms_add(mod->symtab, id, fd, &ignored);
	close(fd);
}

/*
 * An empty table stands for a file that is gone or makes no sense, so that it
 * is not tried again for each address.
 */
static void load_elf(struct symbolizer *s, struct module *mod)
{
	struct elfsyms_found found;
	struct elfid id;

	if (new_table(mod) < 0)
		return;
	if (mod->fd >= 0 && !elfid_read(&id, mod->fd)) {
		elfsyms_add(mod->symtab, &id, mod->fd, &found);
		if (!found.symtab && mod->kind == MODULE_ELF)
			add_separate(mod, &id, &found);
	}
	symtab_finish(mod->symtab);
	modules_close_file(s->modules, mod);
}

/* --- JIT maps ------------------------------------------------------------------------ */

/*
 * /tmp belongs to everybody: without this check any user could give names to
 * the code of another one's process, or have us read what he may not.
 */
static bool is_owned(int fd, const struct module *mod)
{
	struct stat st;

	return !fstat(fd, &st) && (!st.st_uid || st.st_uid == mod->uid);
}

/* perf-NUMBER.map in the /tmp of that process; 0: in our own. */
static int open_map(uint32_t pid, uint32_t number)
{
	int dir_fd = procroot_open_dir(pid, "/tmp");
	char name[32];
	int fd;

	if (dir_fd < 0)
		return dir_fd;
	snprintf(name, sizeof(name), "perf-%u.map", number);
	fd = procroot_open_at(dir_fd, name);
	close(dir_fd);
	return fd;
}

static void read_map(struct symbolizer *s, struct module *mod)
{
	char name[32];
	int fd = -ENOENT;

	mod->jitmap_refresh = s->refreshes;
	if (!mod->jitmap && jitmap_new(&mod->jitmap) < 0)
		return;
	snprintf(name, sizeof(name), "perf-%u.map", mod->ns_pid);
	if (mod->fd >= 0)
		fd = procroot_open_at(mod->fd, name);
	else if (!mod->retired)
		fd = open_map(mod->pid, mod->ns_pid);
	if (fd == -ENOENT)
		fd = open_map(0, mod->pid);
	if (fd < 0)
		return;
	if (is_owned(fd, mod))
		jitmap_read(mod->jitmap, fd);
	close(fd);
}

static int find_jit(struct symbolizer *s, struct module *mod, uint64_t address,
		    struct symbol *out)
{
	struct jitmap_symbol found;

	if (!mod->jitmap)
		read_map(s, mod);
	if (!mod->jitmap)
		return -ENOENT;
	if (!jitmap_find(mod->jitmap, address, &found)) {
		if (mod->jitmap_refresh == s->refreshes)
			return -ENOENT;
		read_map(s, mod);
		if (!jitmap_find(mod->jitmap, address, &found))
			return -ENOENT;
	}
	out->start = found.start;
	out->size_bytes = found.size_bytes;
	out->name = demangle_name(found.name, s->name, sizeof(s->name)) ? s->name : found.name;
	return 0;
}

/* --- the kernel ---------------------------------------------------------------------- */

static bool is_bpf_tag(const char *tag)
{
	return !strcmp(tag, "[bpf]") || !strncmp(tag, "[__builtin__", 12);
}

/*
 * What has a tag is told to the kernel map: trampolines one by one, and each
 * module from its first to its last function.
 */
static void tell_kernelmap(struct symbolizer *s)
{
	size_t nr = kallsyms_nr_tagged(s->kallsyms);

	kernelmap_limit(s->kernel, kallsyms_end(s->kallsyms));
	for (size_t i = 0; i < nr;) {
		struct kallsyms_tagged first = kallsyms_tagged_at(s->kallsyms, i);
		struct kallsyms_tagged last = first;

		if (is_bpf_tag(first.tag)) {
			kernelmap_add_code(s->kernel, first.name, first.start,
					   first.end - first.start);
			i++;
			continue;
		}
		for (; i < nr; i++) {
			struct kallsyms_tagged next = kallsyms_tagged_at(s->kallsyms, i);

			if (strcmp(next.tag, first.tag))
				break;
			last = next;
		}
		kernelmap_add_module(s->kernel, first.tag, first.start,
				     last.end - first.start);
	}
}

static void load_kallsyms(void *ctx)
{
	struct symbolizer *s = ctx;


	if (s->kallsyms_tried)
		return;
	s->kallsyms_tried = true;
	if (kernelmap_hidden(s->kernel) || kallsyms_load(&s->kallsyms) < 0)
		return;
	tell_kernelmap(s);
}

/*
 * -EOPNOTSUPP: the kernel cannot be asked, and kallsyms has to be read.  Of several names
 * of one address the kernel tells the first, such as memcpy of memcpy, __pi_memcpy.
 */
static int ask_kernel(struct symbolizer *s, const struct module *mod, const char *tag,
		      uint64_t offset, struct symbol *out)
{
	struct ksymbol sym;

	if (!s->ksymbols_tried && !kernelmap_hidden(s->kernel) &&
	    ksymbols_open(&s->ksymbols) < 0)
		s->ksymbols = NULL;
	s->ksymbols_tried = true;
	if (!s->ksymbols)
		return -EOPNOTSUPP;
	if (ksymbols_find(s->ksymbols, mod->start + offset, &sym) < 0 ||
	    strcmp(sym.tag, tag) || sym.start < mod->start)
		return -ENOENT;
	out->start = sym.start - mod->start;
	out->size_bytes = sym.size_bytes;
	out->name = demangle_name(sym.name, s->name, sizeof(s->name)) ? s->name : sym.name;
	return 0;
}

static void load_kernel_module(struct symbolizer *s, struct module *mod)
{
	size_t nr;

	load_kallsyms(s);
	if (new_table(mod) < 0)
		return;
	nr = s->kallsyms ? kallsyms_nr_tagged(s->kallsyms) : 0;
	for (size_t i = 0; i < nr; i++) {
		struct kallsyms_tagged t = kallsyms_tagged_at(s->kallsyms, i);
		struct symtab_entry e = {
			.start = t.start - mod->start,
			.size_bytes = t.end - t.start,
			.name = t.name,
		};

		if (!strcmp(t.tag, mod->path) && t.start >= mod->start)
			symtab_add(mod->symtab, &e);
	}
	symtab_finish(mod->symtab);
}

/* --- searching ---------------------------------------------------------------------- */

/* Demangled names are kept: the same function is asked for again and again. */
static const char *readable_name(struct symbolizer *s, struct symtab *t, size_t i)
{
	if (!symtab_renamed(t, i) &&
	    demangle_name(symtab_name(t, i), s->name, sizeof(s->name)))
		symtab_rename(t, i, s->name);
	return symtab_name(t, i);
}

/* Of mangled names of one address, the one that reads best. */
static void settle_rivals(struct symbolizer *s, struct symtab *t, size_t first, size_t nr)
{
	size_t best = first;

	for (size_t i = first; i < first + nr; i++)
		readable_name(s, t, i);
	for (size_t i = first + 1; i < first + nr; i++)
		if (symtab_is_better_name(symtab_name(t, best), symtab_name(t, i)))
			best = i;
	symtab_choose(t, first, nr, best);
}

static int find_in(struct symbolizer *s, struct symtab *t, uint64_t address,
		   struct symbol *out)
{
	long found = symtab_find(t, address);
	size_t first, nr;

	if (found < 0)
		return -ENOENT;
	nr = symtab_rivals(t, (size_t)found, &first);
	if (nr) {
		settle_rivals(s, t, first, nr);
		/* The best of them may be shorter than the one found. */
		return find_in(s, t, address, out);
	}
	symtab_get(t, (size_t)found, &out->start, &out->size_bytes);
	out->name = readable_name(s, t, (size_t)found);
	return 0;
}

static int find_kernel(struct symbolizer *s, const struct module *mod, uint64_t offset,
		       struct symbol *out)
{
	int err = ask_kernel(s, mod, "", offset, out);

	if (err != -EOPNOTSUPP)
		return err;
	load_kallsyms(s);
	if (!s->kallsyms)
		return -ENOENT;
	err = find_in(s, kallsyms_kernel(s->kallsyms), mod->start + offset, out);
	if (!err)
		out->start -= mod->start;
	return err;
}

static int find_kernel_module(struct symbolizer *s, struct module *mod, uint64_t offset,
			      struct symbol *out)
{
	int err = ask_kernel(s, mod, mod->path, offset, out);

	if (err != -EOPNOTSUPP)
		return err;
	if (!mod->symtab)
		load_kernel_module(s, mod);
	return mod->symtab ? find_in(s, mod->symtab, offset, out) : -ENOENT;
}

static int find_whole(const struct module *mod, uint64_t offset, struct symbol *out)
{
	if (offset >= mod->size_bytes)
		return -ENOENT;
	out->start = 0;
	out->size_bytes = mod->size_bytes;
	out->name = mod->path;
	return 0;
}

int symbolizer_find(struct symbolizer *s, uint32_t module, uint64_t offset,
		    struct symbol *out)
{
	struct module *mod = modules_get(s->modules, module);

	if (!mod)
		return -ENOENT;
	switch (mod->kind) {
	case MODULE_KERNEL:
		return find_kernel(s, mod, offset, out);
	case MODULE_BPF:
		return find_whole(mod, offset, out);
	case MODULE_JIT:
		modules_touch(s->modules, mod);
		return find_jit(s, mod, offset, out);
	case MODULE_KERNEL_MODULE:
		return find_kernel_module(s, mod, offset, out);
	case MODULE_ELF:
	case MODULE_VDSO:
		modules_touch(s->modules, mod);
		if (!mod->symtab)
			load_elf(s, mod);
		break;
	case MODULE_SPECIAL:
		break;
	}
	return mod->symtab ? find_in(s, mod->symtab, offset, out) : -ENOENT;
}

/* --- life --------------------------------------------------------------------------- */

static void load_crowded(void *ctx, struct module *mod)
{
	struct symbolizer *s = ctx;

	if (mod->kind == MODULE_JIT)
		read_map(s, mod);
	else
		load_elf(s, mod);
}

int symbolizer_open(struct symbolizer **out, struct modules *modules,
		    struct kernelmap *kernel)
{
	struct symbolizer *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->modules = modules;
	s->kernel = kernel;
	modules_on_crowded(modules, load_crowded, s);
	kernelmap_on_unknown(kernel, load_kallsyms, s);
	*out = s;
	return 0;
}

void symbolizer_close(struct symbolizer *s)
{
	struct module *mod;

	if (!s)
		return;
	modules_on_crowded(s->modules, NULL, NULL);
	kernelmap_on_unknown(s->kernel, NULL, NULL);
	for (uint32_t id = 1; (mod = modules_get(s->modules, id)); id++) {
		symtab_free(mod->symtab);
		jitmap_free(mod->jitmap);
		mod->symtab = NULL;
		mod->jitmap = NULL;
	}
	ksymbols_close(s->ksymbols);
	kallsyms_free(s->kallsyms);
	free(s);
}

void symbolizer_process_exit(struct symbolizer *s, uint32_t pid)
{
	struct module *mod = modules_anonymous(s->modules, pid);

	if (!mod)
		return;
	if (mod->opened) {
		read_map(s, mod);
		modules_close_file(s->modules, mod);
	}
	modules_process_exit(s->modules, pid);
}

void symbolizer_refresh(struct symbolizer *s)
{
	s->refreshes++;
}
