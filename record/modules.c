#include "record/modules.h"

#include "record/modfile.h"
#include "record/modulekeys.h"
#include "record/procfs.h"
#include "record/procroot.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define ANONYMOUS "//anon"

struct modules {
	struct module **all;		/* [id - 1] */
	size_t nr, cap;
	struct modulekeys keys;
	size_t nr_files, max_files;	/* kept open */
	void (*load)(void *ctx, struct module *mod);
	void *load_ctx;
};

int modules_new(struct modules **out)
{
	struct modules *m = calloc(1, sizeof(*m));
	struct rlimit limit;

	if (!m)
		return -ENOMEM;
	/* Events, buffers and everything else need fds as well. */
	m->max_files = 256;
	if (!getrlimit(RLIMIT_NOFILE, &limit) && limit.rlim_cur / 4 < m->max_files)
		m->max_files = limit.rlim_cur / 4;
	*out = m;
	return 0;
}

void modules_free(struct modules *m)
{
	if (!m)
		return;
	for (size_t i = 0; i < m->nr; i++) {
		if (m->all[i]->fd >= 0)
			close(m->all[i]->fd);
		free(m->all[i]->path);
		free(m->all[i]);
	}
	free(m->all);
	modulekeys_release(&m->keys);
	free(m);
}

size_t modules_nr(const struct modules *m)
{
	return m->nr;
}

struct module *modules_get(struct modules *m, uint32_t id)
{
	return id && id <= m->nr ? m->all[id - 1] : NULL;
}

/* --- keys -------------------------------------------------------------------- */

/* FNV-1a */
static uint32_t hash_of(enum module_kind kind, const char *path, uint32_t pid)
{
	uint32_t hash = 2166136261u ^ (uint32_t)kind;

	for (; *path; path++)
		hash = (hash ^ (unsigned char)*path) * 16777619u;
	return kind == MODULE_JIT ? (hash ^ pid) * 2654435761u : hash;
}

static int add_key(struct modules *m, uint32_t hash, uint32_t module,
		   const struct modules_file *f)
{
	const struct modulekey key = {
		.hash = hash, .module = module,
		.dev_major = f ? f->dev_major : 0, .dev_minor = f ? f->dev_minor : 0,
		.inode = f ? f->inode : 0,
	};

	return modulekeys_add(&m->keys, &key);
}

/* --- making --------------------------------------------------------------------- */

static struct module *add_module(struct modules *m, enum module_kind kind, const char *path)
{
	struct module *mod;

	if (m->nr == m->cap) {
		size_t cap = m->cap ? m->cap * 2 : 128;
		struct module **all = realloc(m->all, cap * sizeof(*all));

		if (!all)
			return NULL;
		m->all = all;
		m->cap = cap;
	}
	mod = calloc(1, sizeof(*mod));
	if (!mod)
		return NULL;
	mod->path = strdup(path);
	if (!mod->path) {
		free(mod);
		return NULL;
	}
	mod->kind = kind;
	mod->fd = -1;
	mod->changed = true;
	m->all[m->nr++] = mod;
	mod->id = (uint32_t)m->nr;
	return mod;
}

static void describe(struct module *mod, const struct modules_file *f, bool deleted)
{
	mod->pid = f->pid;
	mod->start = f->start;
	mod->map_start = f->start;
	mod->map_end = f->start + f->size_bytes;
	mod->dev_major = f->dev_major;
	mod->dev_minor = f->dev_minor;
	mod->inode = f->inode;
	mod->deleted = deleted;
	if (!f->build_id)
		return;
	mod->build_id_bytes = f->build_id_bytes < sizeof(mod->build_id) ?
		f->build_id_bytes : (uint8_t)sizeof(mod->build_id);
	memcpy(mod->build_id, f->build_id, mod->build_id_bytes);
}

static struct module *find_build_id(struct modules *m, uint32_t hash, const char *path,
				    const uint8_t *build_id, uint8_t build_id_bytes)
{
	for (const struct modulekey *k = NULL; (k = modulekeys_next(&m->keys, hash, k));) {
		struct module *mod = modules_get(m, k->module);

		if (mod->kind == MODULE_ELF &&
		    mod->build_id_bytes == build_id_bytes &&
		    !memcmp(mod->build_id, build_id, build_id_bytes) &&
		    !strcmp(mod->path, path))
			return mod;
	}
	return NULL;
}

static struct module *find_inode(struct modules *m, uint32_t hash, const char *path,
				 const struct modules_file *f)
{
	for (const struct modulekey *k = NULL; (k = modulekeys_next(&m->keys, hash, k));) {
		struct module *mod = modules_get(m, k->module);

		if (mod->kind == MODULE_ELF &&
		    k->inode == f->inode && k->dev_major == f->dev_major &&
		    k->dev_minor == f->dev_minor && !strcmp(mod->path, path) &&
		    (f->inode || !mod->build_id_bytes))
			return mod;
	}
	return NULL;
}

/* Reads the build-id of a file that the kernel told none of. */
static void identify(struct module *mod, const char *path)
{
	struct elfid id;
	int fd = modfile_open(mod, path, &id);

	if (fd < 0)
		return;
	close(fd);
	memcpy(mod->build_id, id.build_id, sizeof(mod->build_id));
	mod->build_id_bytes = id.build_id_bytes;
	mod->bias = id.bias;
}

static struct module *elf_file(struct modules *m, const struct modules_file *f,
			       const char *path, bool deleted)
{
	uint32_t hash = hash_of(MODULE_ELF, path, 0);
	struct module probe = { .kind = MODULE_ELF };
	struct module *mod;

	if (f->build_id && f->build_id_bytes)
		mod = find_build_id(m, hash, path, f->build_id, f->build_id_bytes);
	else
		mod = find_inode(m, hash, path, f);
	if (mod)
		return mod;
	describe(&probe, f, deleted);
	if (!probe.build_id_bytes) {
		identify(&probe, path);
		if (probe.build_id_bytes)
			mod = find_build_id(m, hash, path, probe.build_id,
					    probe.build_id_bytes);
	}
	if (!mod) {
		mod = add_module(m, MODULE_ELF, path);
		if (!mod)
			return NULL;
		describe(mod, f, deleted);
		memcpy(mod->build_id, probe.build_id, sizeof(mod->build_id));
		mod->build_id_bytes = probe.build_id_bytes;
		mod->bias = probe.bias;
	}
	return add_key(m, hash, mod->id, f) < 0 ? NULL : mod;
}

static struct module *find_special(struct modules *m, enum module_kind kind,
				   const char *path, uint32_t pid)
{
	uint32_t hash = hash_of(kind, path, pid);

	for (const struct modulekey *k = NULL; (k = modulekeys_next(&m->keys, hash, k));) {
		struct module *mod = modules_get(m, k->module);

		if (mod->kind == kind && !mod->retired && !strcmp(mod->path, path) &&
		    (kind != MODULE_JIT || mod->pid == pid))
			return mod;
	}
	return NULL;
}

/* One module by kind and name; for anonymous code, of that process. */
static struct module *special_file(struct modules *m, enum module_kind kind,
				   const char *path, const struct modules_file *f)
{
	struct module *mod = find_special(m, kind, path, f->pid);

	if (mod)
		return mod;
	mod = add_module(m, kind, path);
	if (!mod)
		return NULL;
	describe(mod, f, false);
	return add_key(m, hash_of(kind, path, f->pid), mod->id, NULL) < 0 ? NULL : mod;
}

static bool starts_with(const char *text, const char *prefix)
{
	return !strncmp(text, prefix, strlen(prefix));
}

static bool is_anonymous(const char *path)
{
	static const char *const prefixes[] = {
		"//anon", "[anon", "[heap]", "[stack", "/dev/zero", "/anon_hugepage",
		"/SYSV", "/dev/ashmem/", "/i915", "anon_inode:",
	};

	if (!path[0])
		return true;
	for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++)
		if (starts_with(path, prefixes[i]))
			return true;
	return false;
}

/*
 * A memfd holds either a program (container runtimes run copies of themselves)
 * or what a JIT compiler has written, mapped twice.
 */
static bool is_jit_memfd(const struct modules_file *f, const char *path)
{
	struct module probe = { .kind = MODULE_ELF };
	struct elfid id;
	int fd;

	if (!starts_with(path, "/memfd:") || (f->build_id && f->build_id_bytes))
		return false;
	describe(&probe, f, true);
	fd = modfile_open(&probe, path, &id);
	if (fd >= 0)
		close(fd);
	return !id.nr_segments;
}

struct module *modules_file(struct modules *m, const struct modules_file *f)
{
	static const char deleted[] = " (deleted)";
	size_t len = strlen(f->path);
	bool is_deleted = len > sizeof(deleted) - 1 &&
		!strcmp(f->path + len - (sizeof(deleted) - 1), deleted);
	struct module *mod;
	char *path;

	if (!strcmp(f->path, "[vdso]"))
		return special_file(m, MODULE_VDSO, sizeof(void *) == 8 &&
				    f->start <= UINT32_MAX ? "[vdso32]" : "[vdso]", f);
	if (is_anonymous(f->path))
		return special_file(m, MODULE_JIT, ANONYMOUS, f);
	if (f->path[0] == '[')
		return special_file(m, MODULE_VDSO, f->path, f);
	if (!is_deleted)
		return is_jit_memfd(f, f->path) ? special_file(m, MODULE_JIT, ANONYMOUS, f) :
						  elf_file(m, f, f->path, false);
	path = strndup(f->path, len - (sizeof(deleted) - 1));
	if (!path)
		return NULL;
	mod = is_jit_memfd(f, path) ? special_file(m, MODULE_JIT, ANONYMOUS, f) :
				      elf_file(m, f, path, true);
	free(path);
	return mod;
}

struct module *modules_kernel(struct modules *m, enum module_kind kind,
			      const char *name, uint64_t start, uint64_t size_bytes)
{
	uint32_t hash = hash_of(kind, name, 0);
	struct module *mod;

	for (const struct modulekey *k = NULL; (k = modulekeys_next(&m->keys, hash, k));) {
		mod = modules_get(m, k->module);
		if (mod->kind == kind && mod->start == start && !strcmp(mod->path, name))
			return mod;
	}
	mod = add_module(m, kind, name);
	if (!mod)
		return NULL;
	mod->start = start;
	mod->size_bytes = size_bytes;
	return add_key(m, hash, mod->id, NULL) < 0 ? NULL : mod;
}

/* --- files ---------------------------------------------------------------------- */

static void touch_elf(struct module *mod)
{
	struct elfid id;

	mod->fd = modfile_open(mod, mod->path, &id);
	if (mod->fd < 0)
		return;
	if (mod->bias == id.bias && mod->build_id_bytes == id.build_id_bytes)
		return;
	mod->bias = id.bias;
	memcpy(mod->build_id, id.build_id, sizeof(mod->build_id));
	mod->build_id_bytes = id.build_id_bytes;
	mod->changed = true;
}

/*
 * The directory, not only the root above it: when the last process of a mount
 * namespace ends, its mounts come apart, and only an fd in the very mount that
 * holds the map still reaches it.
 */
static void touch_jit(struct module *mod)
{
	struct procfs_task task;
	char path[32];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%u", mod->pid);
	mod->uid = stat(path, &st) ? 0 : st.st_uid;
	mod->ns_pid = mod->pid;
	if (!procfs_read_task(&task, mod->pid, mod->pid))
		mod->ns_pid = task.ns_pid;
	mod->fd = procroot_open_dir(mod->pid, "/tmp");
}

void modules_touch(struct modules *m, struct module *mod)
{
	if (mod->opened)
		return;
	mod->opened = true;
	if (mod->kind == MODULE_ELF)
		touch_elf(mod);
	else if (mod->kind == MODULE_VDSO && starts_with(mod->path, "[vdso"))
		mod->fd = modfile_open_vdso(mod->pid, mod->map_start, mod->map_end);
	else if (mod->kind == MODULE_JIT)
		touch_jit(mod);
	if (mod->fd < 0) {
		mod->fd = -1;
		return;
	}
	if (++m->nr_files > m->max_files) {
		if (m->load)
			m->load(m->load_ctx, mod);
		modules_close_file(m, mod);
	}
}

struct module *modules_anonymous(struct modules *m, uint32_t pid)
{
	return find_special(m, MODULE_JIT, ANONYMOUS, pid);
}

void modules_process_exit(struct modules *m, uint32_t pid)
{
	struct module *mod = modules_anonymous(m, pid);

	if (mod)
		mod->retired = true;
}

void modules_on_crowded(struct modules *m, void (*load)(void *ctx, struct module *mod),
			void *ctx)
{
	m->load = load;
	m->load_ctx = ctx;
}

void modules_close_file(struct modules *m, struct module *mod)
{
	if (mod->fd < 0)
		return;
	close(mod->fd);
	mod->fd = -1;
	m->nr_files--;
}
