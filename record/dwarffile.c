#include "record/dwarffile.h"

#include "record/elffuncs.h"
#include "record/procroot.h"

#include <elfutils/libdwelf.h>
#include <errno.h>
#include <gelf.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define MAX_SECTION_BYTES (2ull << 30)
#define DEBUG_ROOT "/usr/lib/debug"

/* libdw reads sections whole, and unpacks those that are compressed. */
static bool is_bounded(Elf *elf)
{
	Elf_Scn *scn = NULL;

	while ((scn = elf_nextscn(elf, scn))) {
		GElf_Shdr header;
		GElf_Chdr packed;

		if (!gelf_getshdr(scn, &header) || header.sh_type == SHT_NOBITS)
			continue;
		if (header.sh_size > MAX_SECTION_BYTES)
			return false;
		if ((header.sh_flags & SHF_COMPRESSED) &&
		    (!gelf_getchdr(scn, &packed) || packed.ch_size > MAX_SECTION_BYTES))
			return false;
	}
	return true;
}

/* Offsets of strings are in other sections, debug_str_offsets. */
static bool holds_names(const char *section)
{
	return strstr(section, "debug_info") || strstr(section, "debug_types") ||
	       strstr(section, "debug_line_str") ||
	       (strstr(section, "debug_str") && !strstr(section, "offsets"));
}

/*
 * libdw takes names that stand in these sections for terminated.  When the last byte
 * is a NUL, they all are; a unit's list of entries ends with one anyway.
 */
static bool ends_with_nul(Elf *elf)
{
	Elf_Scn *scn = NULL;
	size_t names;

	if (elf_getshdrstrndx(elf, &names))
		return false;
	while ((scn = elf_nextscn(elf, scn))) {
		GElf_Shdr header;
		const char *name = gelf_getshdr(scn, &header) ?
				   elf_strptr(elf, names, header.sh_name) : NULL;
		const Elf_Data *data;

		if (!name || header.sh_type == SHT_NOBITS || !holds_names(name))
			continue;
		data = elf_getdata(scn, NULL);
		if (!data || !data->d_buf || !data->d_size ||
		    ((const char *)data->d_buf)[data->d_size - 1])
			return false;
	}
	return true;
}

/*
 * Read, not mapped: a process could cut a file of its own while we look at it, and
 * a mapping would end us with SIGBUS.
 */
static int begin(int fd, Elf **elf, Dwarf **dw)
{
	Dwarf_Off next;
	size_t header_bytes;

	if (elf_version(EV_CURRENT) == EV_NONE)
		return -EINVAL;
	*elf = elf_begin(fd, ELF_C_READ, NULL);
	if (*elf && elf_kind(*elf) == ELF_K_ELF && is_bounded(*elf))
		*dw = dwarf_begin_elf(*elf, DWARF_C_READ, NULL);
	if (*dw && ends_with_nul(*elf) &&
	    !dwarf_nextcu(*dw, 0, &next, &header_bytes, NULL, NULL, NULL))
		return 0;
	dwarf_end(*dw);
	elf_end(*elf);
	*dw = NULL;
	*elf = NULL;
	return -ENOENT;
}

/* --- common parts ------------------------------------------------------------------------ */

/* Left alone, libdw would open whatever path the file says, pipes included. */
static int open_alt(uint32_t pid, const char *debug_path, const char *name)
{
	const char *slash = strrchr(debug_path, '/');
	char path[PATH_MAX];
	int fd;

	if (name[0] == '/')
		snprintf(path, sizeof(path), "%s", name);
	else
		snprintf(path, sizeof(path), "%.*s/%s", slash ? (int)(slash - debug_path) : 1,
			 slash ? debug_path : ".", name);
	fd = procroot_open_file(pid, path);
	return fd < 0 && pid ? procroot_open_file(0, path) : fd;
}

static int open_alt_by_id(uint32_t pid, const uint8_t *id, size_t id_bytes)
{
	char path[sizeof(DEBUG_ROOT) + 2 * ELFID_BUILD_ID_BYTES + 32];
	size_t at;
	int fd;

	if (id_bytes < 2 || id_bytes > ELFID_BUILD_ID_BYTES)
		return -ENOENT;
	at = (size_t)snprintf(path, sizeof(path), DEBUG_ROOT "/.build-id/%02x/", id[0]);
	for (size_t i = 1; i < id_bytes; i++)
		at += (size_t)snprintf(path + at, sizeof(path) - at, "%02x", id[i]);
	snprintf(path + at, sizeof(path) - at, ".debug");
	fd = procroot_open_file(pid, path);
	return fd < 0 && pid ? procroot_open_file(0, path) : fd;
}

static bool has_id(int fd, const void *wanted, size_t wanted_bytes)
{
	struct elfid id;

	return !elfid_read(&id, fd) && id.build_id_bytes == wanted_bytes &&
	       !memcmp(id.build_id, wanted, wanted_bytes);
}

/* 0: there is no need of such a file, or it is there. */
static int add_alt(struct dwarffile *f, const struct libfind_file *file, int fd)
{
	char self[48], path[PATH_MAX];
	const char *name;
	const void *id;
	ssize_t id_bytes = dwelf_dwarf_gnu_debugaltlink(f->dw, &name, &id), len;

	if (!id_bytes)
		return 0;
	if (id_bytes < 0)
		return -ENOENT;
	snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	len = readlink(self, path, sizeof(path) - 1);
	path[len < 0 ? 0 : len] = '\0';
	f->alt_fd = open_alt_by_id(file->pid, id, (size_t)id_bytes);
	if (f->alt_fd < 0)
		f->alt_fd = open_alt(file->pid, path, name);
	if (f->alt_fd < 0 || !has_id(f->alt_fd, id, (size_t)id_bytes) ||
	    begin(f->alt_fd, &f->alt_elf, &f->alt))
		return -ENOENT;
	dwarf_setalt(f->dw, f->alt);
	return 0;
}

/* --- both ------------------------------------------------------------------------------------- */

static int open_one(struct dwarffile *f, const struct libfind_file *file, int fd)
{
	int err = begin(fd, &f->elf, &f->dw);

	if (!err)
		err = add_alt(f, file, fd);
	if (err) {
		f->fd = -1;
		dwarffile_close(f);
	}
	return err;
}

int dwarffile_open(struct dwarffile *f, const struct libfind_file *file, const struct elfid *id)
{
	int fd, err;

	*f = (struct dwarffile){ .fd = -1, .alt_fd = -1 };
	err = open_one(f, file, file->fd);
	if (!err)
		return 0;
	fd = elffuncs_open_debug(file, id);
	if (fd < 0)
		return -ENOENT;
	err = open_one(f, file, fd);
	if (err)
		close(fd);
	else
		f->fd = fd;
	return err;
}

void dwarffile_close(struct dwarffile *f)
{
	dwarf_end(f->dw);
	dwarf_end(f->alt);
	elf_end(f->elf);
	elf_end(f->alt_elf);
	if (f->alt_fd >= 0)
		close(f->alt_fd);
	if (f->fd >= 0)
		close(f->fd);
	*f = (struct dwarffile){ .fd = -1, .alt_fd = -1 };
}
