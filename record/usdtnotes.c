#include "record/usdtnotes.h"

#include <errno.h>
#include <gelf.h>
#include <stdlib.h>
#include <string.h>

/* The layout: https://sourceware.org/systemtap/wiki/UserSpaceProbeImplementation */
#define NOTE_TYPE 3
#define NOTE_NAME "stapsdt"
#define NR_ADDRESSES 3

#define MAX_SECTION_BYTES (64u << 20)
#define MAX_NOTES 100000
#define MAX_TABLE_BYTES (256ull << 20)

struct reader {
	Elf *elf;
	const struct elfid *id;
	struct usdtnotes *to;
	size_t names;		/* section index */
	uint64_t base;		/* where .stapsdt.base is now, or 0 */
};

/* Counters must be in memory that is backed by the file and writable. */
static bool semaphore_offset(struct reader *r, uint64_t address, uint64_t *offset)
{
	size_t nr;

	if (elf_getphdrnum(r->elf, &nr))
		return false;
	for (size_t i = 0; i < nr; i++) {
		GElf_Phdr p;

		if (!gelf_getphdr(r->elf, (int)i, &p))
			return false;
		if (p.p_type != PT_LOAD || address < p.p_vaddr ||
		    address - p.p_vaddr >= p.p_filesz)
			continue;
		*offset = address - p.p_vaddr + p.p_offset;
		return (p.p_flags & PF_W) && *offset;
	}
	return false;
}

static int push(struct usdtnotes *to, const struct usdtnotes_note *n)
{
	if (to->nr == to->cap) {
		size_t cap = to->cap ? to->cap * 2 : 64;
		struct usdtnotes_note *list = realloc(to->list, cap * sizeof(*list));

		if (!list)
			return -ENOMEM;
		to->list = list;
		to->cap = cap;
	}
	to->list[to->nr++] = *n;
	return n->provider && n->name && n->args ? 0 : -ENOMEM;
}

/* Three texts, each ended by a NUL. */
static int add_note(struct reader *r, const char *desc, size_t desc_bytes)
{
	struct usdtnotes_note n = { 0 };
	uint64_t addresses[NR_ADDRESSES];
	const char *texts[3];
	size_t at = sizeof(addresses);

	if (desc_bytes < at || r->to->nr == MAX_NOTES)
		return 0;
	memcpy(addresses, desc, sizeof(addresses));
	for (size_t i = 0; i < 3; i++) {
		size_t len = strnlen(desc + at, desc_bytes - at);

		if (at + len >= desc_bytes)
			return 0;
		texts[i] = desc + at;
		at += len + 1;
	}
	if (!*texts[0] || !*texts[1])
		return 0;
	/* prelink(8) moves the addresses of a file, but not those in notes. */
	n.address = addresses[0] + (r->base ? r->base - addresses[1] : 0);
	if (!elfid_offset(r->id, n.address, &n.offset))
		return 0;
	if (addresses[2])
		n.bad_semaphore = !semaphore_offset(r, addresses[2] +
						    (r->base ? r->base - addresses[1] : 0),
						    &n.semaphore);
	n.provider = strdup(texts[0]);
	n.name = strdup(texts[1]);
	n.args = strdup(texts[2]);
	return push(r->to, &n);
}

static int read_section(struct reader *r, Elf_Scn *scn)
{
	Elf_Data *data = elf_getdata(scn, NULL);
	size_t at = 0, name_at, desc_at;
	GElf_Nhdr note;
	int err = 0;

	while (!err && data && (at = gelf_getnote(data, at, &note, &name_at, &desc_at)) > 0) {
		const char *bytes = data->d_buf;

		if (note.n_type == NOTE_TYPE && note.n_namesz == sizeof(NOTE_NAME) &&
		    !memcmp(bytes + name_at, NOTE_NAME, sizeof(NOTE_NAME)))
			err = add_note(r, bytes + desc_at, note.n_descsz);
	}
	return err;
}

static const char *section_name(struct reader *r, Elf_Scn *scn, GElf_Shdr *header)
{
	return gelf_getshdr(scn, header) ? elf_strptr(r->elf, r->names, header->sh_name) : NULL;
}

static int read_all(struct reader *r)
{
	Elf_Scn *scn = NULL;
	GElf_Shdr header;
	const char *name;
	int err = 0;

	while ((scn = elf_nextscn(r->elf, scn))) {
		name = section_name(r, scn, &header);
		if (name && !strcmp(name, ".stapsdt.base"))
			r->base = header.sh_addr;
	}
	while (!err && (scn = elf_nextscn(r->elf, scn))) {
		name = section_name(r, scn, &header);
		if (name && header.sh_type == SHT_NOTE && !strcmp(name, ".note.stapsdt"))
			err = header.sh_size <= MAX_SECTION_BYTES ? read_section(r, scn) :
								   -EBADMSG;
	}
	return err;
}

int usdtnotes_read(struct usdtnotes *notes, int fd, const struct elfid *id)
{
	struct reader r = { .id = id, .to = notes };
	int err;

	*notes = (struct usdtnotes){ 0 };
	if (elf_version(EV_CURRENT) == EV_NONE)
		return -EINVAL;
	/* Read, not mapped: the file may be cut while we look at it. */
	r.elf = elf_begin(fd, ELF_C_READ, NULL);
	if (!r.elf || elf_kind(r.elf) != ELF_K_ELF || gelf_getclass(r.elf) != ELFCLASS64)
		err = -ENOEXEC;
	else
		err = elf_getshdrstrndx(r.elf, &r.names) < 0 ? -EBADMSG : read_all(&r);
	elf_end(r.elf);
	return err;
}

void usdtnotes_release(struct usdtnotes *notes)
{
	for (size_t i = 0; i < notes->nr; i++) {
		free(notes->list[i].provider);
		free(notes->list[i].name);
		free(notes->list[i].args);
	}
	free(notes->list);
	*notes = (struct usdtnotes){ 0 };
}

/* --- symbols of variables ------------------------------------------------------------------ */

static bool find_symbol(Elf *elf, Elf_Scn *scn, const char *name, size_t len_bytes,
			uint64_t *address)
{
	GElf_Shdr header, names;
	Elf_Data *data;

	if (!gelf_getshdr(scn, &header) ||
	    (header.sh_type != SHT_SYMTAB && header.sh_type != SHT_DYNSYM) ||
	    !header.sh_entsize || header.sh_size > MAX_TABLE_BYTES ||
	    !gelf_getshdr(elf_getscn(elf, header.sh_link), &names) ||
	    names.sh_size > MAX_TABLE_BYTES)
		return false;
	data = elf_getdata(scn, NULL);
	for (size_t i = 0; data && i < data->d_size / header.sh_entsize; i++) {
		const char *other;
		GElf_Sym sym;

		if (!gelf_getsym(data, (int)i, &sym) || sym.st_shndx == SHN_UNDEF)
			continue;
		other = elf_strptr(elf, header.sh_link, sym.st_name);
		if (other && strlen(other) == len_bytes && !memcmp(other, name, len_bytes)) {
			*address = sym.st_value;
			return true;
		}
	}
	return false;
}

bool usdtnotes_symbol(int fd, const char *name, size_t len_bytes, uint64_t *address)
{
	Elf *elf = elf_version(EV_CURRENT) == EV_NONE ? NULL : elf_begin(fd, ELF_C_READ, NULL);
	Elf_Scn *scn = NULL;
	bool found = false;

	while (elf && !found && (scn = elf_nextscn(elf, scn)))
		found = find_symbol(elf, scn, name, len_bytes, address);
	elf_end(elf);
	return found;
}
