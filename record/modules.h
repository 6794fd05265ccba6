/*
 * Modules: every piece of code that a mapping or a kernel address can belong
 * to, once, however many processes map it.  Identity is the build-id where it
 * is known, else device, inode and path.  Ids count from 1 and are the ids in
 * the file.
 *
 * One thread at a time.
 */
#ifndef RECORD_MODULES_H
#define RECORD_MODULES_H

#include "format/schema.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct module {
	uint32_t id;
	enum module_kind kind;
	char *path;		/* as the kernel names it, without " (deleted)" */
	uint8_t build_id[20];
	uint8_t build_id_bytes;	/* 0: not known (yet) */
	bool deleted;
	uint32_t dev_major, dev_minor;
	uint64_t inode;
	uint64_t bias;		/* ELF address = file offset + bias; after a touch */
	uint32_t pid;		/* MODULE_JIT: whose; else who mapped it first */
	uint32_t ns_pid;	/* MODULE_JIT, after a touch: the pid it knows itself by */
	uint32_t uid;		/* MODULE_JIT, after a touch: whose the process is */
	uint64_t start;		/* where the first mapping of it lies */
	uint64_t map_start, map_end;	/* of that mapping, for /proc/PID/map_files */
	uint64_t size_bytes;	/* BPF programs and kernel modules */
	bool changed;		/* to be written (again); the caller clears it */
	bool opened;		/* private: open was tried */
	bool retired;		/* MODULE_JIT of a process that is gone */
	int fd;			/* private: the file, kept from the first touch on;
				   MODULE_JIT: /tmp of the process; or -1 */
	struct symtab *symtab;	/* private to record/symbolize.c, as is jitmap */
	struct jitmap *jitmap;
	uint64_t jitmap_refresh;	/* in which round it was read last */
};

struct modules;

int modules_new(struct modules **out);
void modules_free(struct modules *m);
size_t modules_nr(const struct modules *m);
/* Borrowed; ids from 1 to modules_nr(); NULL past it. */
struct module *modules_get(struct modules *m, uint32_t id);

struct modules_file {
	const char *path;
	uint32_t pid;			/* who maps it */
	uint64_t start, size_bytes;	/* where */
	const uint8_t *build_id;	/* or NULL */
	uint8_t build_id_bytes;
	uint32_t dev_major, dev_minor;	/* 0, 0 when not known */
	uint64_t inode;
};

/*
 * Finds or makes the module of a mapped file.  By path it tells ELF files,
 * [vdso], anonymous code ("", "//anon", "[anon:..]", "[heap]", "[stack]", ... :
 * MODULE_JIT of that pid) and other pages of the kernel, such as "[vsyscall]"
 * (MODULE_VDSO), apart.  A file whose build-id is not given and whose inode is
 * new is opened and read here, so that the same binary seen once through
 * /proc/PID/maps and once through a note with a build-id is one module.  NULL
 * when out of memory.
 */
struct module *modules_file(struct modules *m, const struct modules_file *f);
/* The kernel, a kernel module or a BPF program by name and start address. */
struct module *modules_kernel(struct modules *m, enum module_kind kind,
			      const char *name, uint64_t start, uint64_t size_bytes);
/*
 * Called when an address in the module was hit for the first time: opens the
 * file (through /proc/PID/root, /proc/PID/map_files, the plain path; it must
 * have the same build-id or inode) and keeps it open, so that it is there when
 * the process is not.  Fills in build_id and bias when they were not known.
 */
void modules_touch(struct modules *m, struct module *mod);
/* The module of the process's anonymous code, or NULL if it has none. */
struct module *modules_anonymous(struct modules *m, uint32_t pid);
/* The process is gone: its number may come again, with other anonymous code. */
void modules_process_exit(struct modules *m, uint32_t pid);
/*
 * The number of files kept open is bounded.  Past the bound a touched file is
 * given to this function and closed when it returns.
 */
void modules_on_crowded(struct modules *m, void (*load)(void *ctx, struct module *mod),
			void *ctx);
/* The file is no longer needed. */
void modules_close_file(struct modules *m, struct module *mod);

#endif
