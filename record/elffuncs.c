#include "record/elffuncs.h"

#include "record/debugfile.h"
#include "record/elfsyms.h"
#include "record/userregs.h"

#include <errno.h>
#include <gelf.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Far above any real table; a hostile section header may say anything. */
#define MAX_TABLE_BYTES (256ull << 20)
#define MAX_NAME_BYTES 4096

struct walk {
	Elf *elf;
	const struct elfid *id;
	int (*fn)(void *ctx, const struct elffuncs_func *f);
	void *ctx;
	struct elffuncs_tables *tables;
	struct elfsyms_found found;	/* where the rest of the symbols is */
};

static const struct elfid_segment *code_segment(const struct elfid *id, uint64_t offset)
{
	for (size_t i = 0; i < id->nr_segments; i++) {
		const struct elfid_segment *s = &id->segments[i];

		if (s->executable && offset >= s->offset && offset - s->offset < s->size_bytes)
			return s;
	}
	return NULL;
}

bool elffuncs_is_code(const struct elfid *id, int fd, uint64_t offset)
{
	struct stat st;

	return code_segment(id, offset) && !fstat(fd, &st) && offset < (uint64_t)st.st_size;
}

bool elffuncs_address(const struct elfid *id, uint64_t offset, uint64_t *address)
{
	const struct elfid_segment *s = code_segment(id, offset);

	if (s)
		*address = offset - s->offset + s->address;
	return s != NULL;
}

int elffuncs_identify(struct elfid *id, const struct libfind_file *file, struct diag *d)
{
	int err = elfid_read(id, file->fd);

	if (err)
		return diag_set(d, -ENOEXEC, "'%s' is no program or library (no ELF file)",
				file->path);
	if (id->machine != USERREGS_MACHINE)
		return diag_set(d, -ENOEXEC, "'%s' is for another architecture (ELF machine %u)",
				file->path, id->machine);
	return 0;
}

static int report(struct walk *w, const GElf_Sym *sym, const char *name, bool hidden)
{
	struct elffuncs_func f = {
		.address = sym->st_value, .size_bytes = sym->st_size,
		.indirect = GELF_ST_TYPE(sym->st_info) == STT_GNU_IFUNC,
		.imported = sym->st_shndx == SHN_UNDEF, .superseded = hidden,
	};
	char bare[MAX_NAME_BYTES];
	const char *version = strchr(name, '@');

	if (!f.imported && (!elfid_offset(w->id, sym->st_value, &f.offset) ||
			    !code_segment(w->id, f.offset)))
		return 0;
	if (version) {
		if ((size_t)(version - name) >= sizeof(bare))
			return 0;
		f.superseded |= version[1] != '@';
		memcpy(bare, name, (size_t)(version - name));
		bare[version - name] = '\0';
		name = bare;
	}
	f.name = name;
	w->tables->nr += !f.imported;
	return w->fn(w->ctx, &f);
}

static bool is_hidden(Elf_Data *versions, size_t i)
{
	GElf_Versym version;

	return versions && gelf_getversym(versions, (int)i, &version) && (version & 0x8000);
}

static int walk_table(struct walk *w, Elf_Scn *scn, const GElf_Shdr *header)
{
	Elf_Data *data, *versions;
	GElf_Shdr names;
	size_t nr;

	if (!header->sh_entsize || header->sh_size > MAX_TABLE_BYTES ||
	    !gelf_getshdr(elf_getscn(w->elf, header->sh_link), &names) ||
	    names.sh_size > MAX_TABLE_BYTES)
		return -EBADMSG;
	data = elf_getdata(scn, NULL);
	if (!data)
		return -EBADMSG;
	versions = elfsyms_linked(w->elf, scn, SHT_GNU_versym);
	nr = data->d_size / header->sh_entsize;
	for (size_t i = 0; i < nr; i++) {
		const char *name;
		GElf_Sym sym;
		int ret, type;

		if (!gelf_getsym(data, (int)i, &sym))
			break;
		type = GELF_ST_TYPE(sym.st_info);
		if (type != STT_FUNC && type != STT_GNU_IFUNC)
			continue;
		name = elf_strptr(w->elf, header->sh_link, sym.st_name);
		if (!name || !*name || strlen(name) >= MAX_NAME_BYTES)
			continue;
		ret = report(w, &sym, name, is_hidden(versions, i));
		if (ret)
			return ret;
	}
	return 0;
}

static int walk_section(struct walk *w, Elf_Scn *scn, size_t names)
{
	const char *name;
	GElf_Shdr header;

	if (!gelf_getshdr(scn, &header))
		return 0;
	if (header.sh_type == SHT_SYMTAB || header.sh_type == SHT_DYNSYM) {
		w->tables->symtab |= header.sh_type == SHT_SYMTAB;
		w->found.symtab |= header.sh_type == SHT_SYMTAB;
		return walk_table(w, scn, &header);
	}
	name = elf_strptr(w->elf, names, header.sh_name);
	if (name && !strcmp(name, ".gnu_debugdata"))
		w->found.debugdata = true;
	return 0;
}

/*
 * Read, not mapped: a process could cut a file of its own while we look at it, and
 * a mapping would end us with SIGBUS.
 */
static int walk_file(struct walk *w, int fd)
{
	Elf_Scn *scn = NULL;
	size_t names;
	int ret = 0;

	if (elf_version(EV_CURRENT) == EV_NONE)
		return -EINVAL;
	w->elf = elf_begin(fd, ELF_C_READ, NULL);
	if (!w->elf || elf_kind(w->elf) != ELF_K_ELF || elf_getshdrstrndx(w->elf, &names) < 0)
		ret = -ENOEXEC;
	while (!ret && (scn = elf_nextscn(w->elf, scn)))
		ret = walk_section(w, scn, names);
	elf_end(w->elf);
	w->elf = NULL;
	return ret;
}

static void read_debuglink(struct elfsyms_found *found, int fd)
{
	Elf *elf = elf_version(EV_CURRENT) == EV_NONE ? NULL : elf_begin(fd, ELF_C_READ, NULL);
	Elf_Scn *scn = NULL;
	size_t names;

	if (!elf || elf_kind(elf) != ELF_K_ELF || elf_getshdrstrndx(elf, &names) < 0)
		goto out;
	while ((scn = elf_nextscn(elf, scn))) {
		GElf_Shdr header;
		const char *name = gelf_getshdr(scn, &header) ?
			elf_strptr(elf, names, header.sh_name) : NULL;

		if (name && !strcmp(name, ".gnu_debuglink") && header.sh_size < 4096)
			elfsyms_read_debuglink(scn, found);
	}
out:
	elf_end(elf);
}

int elffuncs_open_debug(const struct libfind_file *file, const struct elfid *id)
{
	struct elfsyms_found found = { 0 };

	read_debuglink(&found, file->fd);
	return debugfile_open(file->pid, file->path, id, &found);
}

int elffuncs_each(const struct libfind_file *file, const struct elfid *id,
		  int (*fn)(void *ctx, const struct elffuncs_func *f), void *ctx,
		  struct elffuncs_tables *tables)
{
	struct walk w = { .id = id, .fn = fn, .ctx = ctx, .tables = tables };
	int ret, fd;

	*tables = (struct elffuncs_tables){ 0 };
	ret = walk_file(&w, file->fd);
	if (ret || w.found.symtab)
		return ret;
	fd = elffuncs_open_debug(file, id);
	if (fd < 0 && w.found.debugdata)
		fd = debugfile_unpack(file->fd);
	if (fd >= 0) {
		ret = walk_file(&w, fd);
		close(fd);
		/* What is wrong with the separate file is no matter of this one. */
		if (ret == -EBADMSG || ret == -ENOEXEC)
			ret = 0;
	}
	return ret;
}
