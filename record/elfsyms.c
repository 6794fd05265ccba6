#include "record/elfsyms.h"

#include "record/elfplt.h"

#include <errno.h>
#include <gelf.h>
#include <string.h>

/* Far above any real table; a hostile section header may say anything. */
/* Of symbols or of names: twice what the largest browsers have. */
#define MAX_TABLE_BYTES (256ull << 20)

struct reader {
	Elf *elf;
	const struct elfid *id;
	struct symtab *to;
	size_t section_names;		/* section index */
};

/* ARM and RISC-V assemblers mark code and data in between with such names. */
static bool is_mapping_symbol(const struct elfid *id, const char *name)
{
	if (id->machine != EM_ARM && id->machine != EM_AARCH64 && id->machine != EM_RISCV)
		return false;
	return name[0] == '$' && name[1] && strchr("adtx", name[1]) &&
	       (!name[2] || name[2] == '.' || id->machine == EM_RISCV);
}

/*
 * Labels of hand-written assembly have no type.  As in perf, those in sections
 * of code count, unless they are for the linker's eyes only.
 */
static bool is_label(const GElf_Sym *sym)
{
	return GELF_ST_TYPE(sym->st_info) == STT_NOTYPE && sym->st_shndx != SHN_ABS &&
	       GELF_ST_VISIBILITY(sym->st_other) != STV_HIDDEN &&
	       GELF_ST_VISIBILITY(sym->st_other) != STV_INTERNAL;
}

static bool is_function(const GElf_Sym *sym)
{
	int type = GELF_ST_TYPE(sym->st_info);

	return type == STT_FUNC || type == STT_GNU_IFUNC;
}

static enum symtab_binding binding_of(const GElf_Sym *sym)
{
	switch (GELF_ST_BIND(sym->st_info)) {
	case STB_WEAK:
		return SYMTAB_WEAK;
	case STB_GLOBAL:
		return SYMTAB_GLOBAL;
	default:
		return SYMTAB_LOCAL;
	}
}

/* The section of a symbol, with its index behind SHN_XINDEX unfolded. */
static bool section_of(struct reader *r, const GElf_Sym *sym, Elf32_Word extended,
		       GElf_Shdr *header)
{
	size_t index = sym->st_shndx == SHN_XINDEX ? extended : sym->st_shndx;

	if (index == SHN_UNDEF || (index >= SHN_LORESERVE && sym->st_shndx != SHN_XINDEX))
		return false;
	return gelf_getshdr(elf_getscn(r->elf, index), header) &&
	       (header->sh_flags & SHF_ALLOC);
}

static int add_symbol(struct reader *r, const GElf_Sym *sym, Elf32_Word extended,
		      const char *name)
{
	struct symtab_entry e = { .name = name, .binding = binding_of(sym) };
	GElf_Shdr section;
	const char *section_name;
	uint64_t end;

	if (!name || !*name || is_mapping_symbol(r->id, name) ||
	    !section_of(r, sym, extended, &section))
		return 0;
	if (!is_function(sym)) {
		section_name = elf_strptr(r->elf, r->section_names, section.sh_name);
		if (!(section.sh_flags & SHF_EXECINSTR) || !section_name ||
		    !strstr(section_name, "text"))
			return 0;
		e.untyped = true;
	}
	if (!elfid_offset(r->id, sym->st_value, &e.start))
		return 0;
	e.size_bytes = sym->st_size;
	end = section.sh_addr + section.sh_size;
	if (end > sym->st_value)
		e.limit = e.start + (end - sym->st_value);
	else
		e.limit = e.start;
	/* A size beyond the file is none. */
	if (e.start + e.size_bytes < e.start)
		return 0;
	return symtab_add(r->to, &e);
}

Elf_Data *elfsyms_linked(Elf *elf, Elf_Scn *table, uint32_t type)
{
	size_t index = elf_ndxscn(table);
	Elf_Scn *scn = NULL;
	GElf_Shdr header;

	while ((scn = elf_nextscn(elf, scn)))
		if (gelf_getshdr(scn, &header) && header.sh_type == type &&
		    header.sh_link == index && header.sh_size <= MAX_TABLE_BYTES)
			return elf_getdata(scn, NULL);
	return NULL;
}

/*
 * libelf reads whole sections into memory, and any user may map a sparse file
 * that claims huge ones.
 */
static bool is_bounded(struct reader *r, const GElf_Shdr *header)
{
	GElf_Shdr names;

	return header->sh_entsize && header->sh_size <= MAX_TABLE_BYTES &&
	       gelf_getshdr(elf_getscn(r->elf, header->sh_link), &names) &&
	       names.sh_size <= MAX_TABLE_BYTES;
}

static int add_table(struct reader *r, Elf_Scn *scn, const GElf_Shdr *header)
{
	Elf_Data *data, *extended;
	size_t nr;

	if (!is_bounded(r, header))
		return -EBADMSG;
	data = elf_getdata(scn, NULL);
	if (!data)
		return -EBADMSG;
	/* For files with more than 65,000 sections. */
	extended = elfsyms_linked(r->elf, scn, SHT_SYMTAB_SHNDX);
	nr = data->d_size / header->sh_entsize;
	for (size_t i = 0; i < nr; i++) {
		Elf32_Word index = 0;
		GElf_Sym sym;
		int err;

		if (!gelf_getsymshndx(data, extended, (int)i, &sym, &index))
			break;
		if (!is_function(&sym) && !is_label(&sym))
			continue;
		err = add_symbol(r, &sym, index,
				 elf_strptr(r->elf, header->sh_link, sym.st_name));
		if (err)
			return err;
	}
	return 0;
}

/* "NAME", NUL, padding to four bytes, CRC. */
void elfsyms_read_debuglink(Elf_Scn *scn, struct elfsyms_found *found)
{
	Elf_Data *data = elf_rawdata(scn, NULL);
	size_t len, crc_at;

	if (!data || !data->d_buf)
		return;
	len = strnlen(data->d_buf, data->d_size);
	crc_at = (len + 4) & ~(size_t)3;
	if (!len || len >= sizeof(found->debuglink) ||
	    crc_at + sizeof(found->debuglink_crc) > data->d_size ||
	    memchr(data->d_buf, '/', len))
		return;
	memcpy(found->debuglink, data->d_buf, len + 1);
	memcpy(&found->debuglink_crc, (const char *)data->d_buf + crc_at,
	       sizeof(found->debuglink_crc));
}

static int add_section(struct reader *r, Elf_Scn *scn, struct elfsyms_found *found)
{
	const char *name;
	GElf_Shdr header;

	if (!gelf_getshdr(scn, &header))
		return 0;
	if (header.sh_type == SHT_SYMTAB || header.sh_type == SHT_DYNSYM) {
		found->symtab |= header.sh_type == SHT_SYMTAB;
		return add_table(r, scn, &header);
	}
	if (header.sh_type != SHT_PROGBITS)
		return 0;
	name = elf_strptr(r->elf, r->section_names, header.sh_name);
	if (!name)
		return 0;
	if (!strcmp(name, ".gnu_debugdata"))
		found->debugdata = true;
	else if (!strcmp(name, ".gnu_debuglink") && header.sh_size < 4096)
		elfsyms_read_debuglink(scn, found);
	return 0;
}

/*
 * The file is read, not mapped: a process could cut a file that it lets us
 * profile while we look at it, and a mapping would end us with SIGBUS.
 */
int elfsyms_add(struct symtab *to, const struct elfid *id, int fd,
		struct elfsyms_found *found)
{
	struct reader r = { .id = id, .to = to };
	Elf_Scn *scn = NULL;
	int err = 0;

	memset(found, 0, sizeof(*found));
	if (elf_version(EV_CURRENT) == EV_NONE)
		return -EINVAL;
	r.elf = elf_begin(fd, ELF_C_READ, NULL);
	if (!r.elf)
		return -ENOEXEC;
	if (elf_kind(r.elf) != ELF_K_ELF || elf_getshdrstrndx(r.elf, &r.section_names) < 0)
		err = -ENOEXEC;
	while (!err && (scn = elf_nextscn(r.elf, scn)))
		err = add_section(&r, scn, found);
	if (!err)
		err = elfplt_add(to, id, r.elf);
	elf_end(r.elf);
	return err;
}
