#include "record/elfplt.h"

#include <errno.h>
#include <gelf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_SECTION_BYTES (64u << 20)

/* One slot of the global offset table and the function that it will hold. */
struct slot {
	uint64_t address;
	const char *name;
};

struct slots {
	struct slot *at;
	size_t nr, cap;
};

static int push(struct slots *s, uint64_t address, const char *name)
{
	if (s->nr == s->cap) {
		size_t cap = s->cap ? s->cap * 2 : 256;
		struct slot *at = realloc(s->at, cap * sizeof(*at));

		if (!at)
			return -ENOMEM;
		s->at = at;
		s->cap = cap;
	}
	s->at[s->nr++] = (struct slot){ address, name };
	return 0;
}

static int compare(const void *va, const void *vb)
{
	const struct slot *a = va, *b = vb;

	return a->address < b->address ? -1 : a->address > b->address;
}

static const char *slot_name(const struct slots *s, uint64_t address)
{
	struct slot key = { .address = address };
	const struct slot *found = s->nr ? bsearch(&key, s->at, s->nr, sizeof(*s->at), compare) :
					   NULL;

	return found ? found->name : NULL;
}

/* The symbols that relocations of the dynamic linker put into slots. */
static int read_relocations(struct slots *slots, Elf *elf, Elf_Scn *scn,
			    const GElf_Shdr *header)
{
	Elf_Scn *symbols = elf_getscn(elf, header->sh_link);
	Elf_Data *data, *symbol_data;
	GElf_Shdr symbol_header;

	if (!header->sh_entsize || header->sh_size > MAX_SECTION_BYTES || !symbols ||
	    !gelf_getshdr(symbols, &symbol_header) ||
	    symbol_header.sh_type != SHT_DYNSYM || symbol_header.sh_size > MAX_SECTION_BYTES)
		return 0;
	data = elf_getdata(scn, NULL);
	symbol_data = elf_getdata(symbols, NULL);
	for (size_t i = 0; data && symbol_data && i < data->d_size / header->sh_entsize; i++) {
		const char *name;
		GElf_Rela rela;
		GElf_Sym sym;

		if (!gelf_getrela(data, (int)i, &rela))
			break;
		if (!GELF_R_SYM(rela.r_info) ||
		    !gelf_getsym(symbol_data, (int)GELF_R_SYM(rela.r_info), &sym))
			continue;
		name = elf_strptr(elf, symbol_header.sh_link, sym.st_name);
		if (name && *name && push(slots, rela.r_offset, name) < 0)
			return -ENOMEM;
	}
	return 0;
}

/* The slot that the stub jumps through, or 0. */
static uint64_t stub_slot_x86_64(const uint8_t *code, size_t size_bytes, uint64_t address)
{
	/* jmp *rel32(%rip), perhaps behind endbr64 and with a bnd prefix */
	for (size_t i = 0; i + 6 <= size_bytes; i++) {
		int32_t distance;

		if (code[i] != 0xff || code[i + 1] != 0x25)
			continue;
		memcpy(&distance, code + i + 2, sizeof(distance));
		return address + i + 6 + (uint64_t)(int64_t)distance;
	}
	return 0;
}

static uint64_t stub_slot_arm64(const uint8_t *code, size_t size_bytes, uint64_t address)
{
	uint32_t adrp, ldr;

	/* adrp x16, page; ldr x17, [x16, #offset], perhaps behind bti c */
	for (size_t i = 0; i + 8 <= size_bytes; i += 4) {
		uint64_t pages;

		memcpy(&adrp, code + i, sizeof(adrp));
		memcpy(&ldr, code + i + 4, sizeof(ldr));
		if ((adrp & 0x9f00001f) != 0x90000010 || (ldr & 0xffc003ff) != 0xf9400211)
			continue;
		pages = (uint64_t)((int64_t)((uint64_t)(adrp >> 5 & 0x7ffff) << 45) >> 43) |
			(adrp >> 29 & 3);
		return ((address + i) & ~UINT64_C(0xfff)) + (pages << 12) +
		       (ldr >> 10 & 0xfff) * 8;
	}
	return 0;
}

static int read_stubs(struct symtab *to, const struct elfid *id, const struct slots *slots,
		      Elf_Scn *scn, const GElf_Shdr *header, size_t stub_bytes)
{
	Elf_Data *data = elf_rawdata(scn, NULL);
	size_t size_bytes = data && data->d_buf ? data->d_size : 0;
	char text[512];

	for (size_t at = 0; at + stub_bytes <= size_bytes; at += stub_bytes) {
		const uint8_t *code = (const uint8_t *)data->d_buf + at;
		uint64_t address = header->sh_addr + at;
		uint64_t slot = id->machine == EM_X86_64 ?
			stub_slot_x86_64(code, stub_bytes, address) :
			stub_slot_arm64(code, stub_bytes, address);
		struct symtab_entry e = { .name = text, .size_bytes = stub_bytes };
		const char *name = slot ? slot_name(slots, slot) : NULL;

		if (!name || !elfid_offset(id, address, &e.start))
			continue;
		snprintf(text, sizeof(text), "%s@plt", name);
		if (symtab_add(to, &e) < 0)
			return -ENOMEM;
	}
	return 0;
}

static size_t stub_size(const struct elfid *id, const char *section, const GElf_Shdr *header)
{
	if (header->sh_type != SHT_PROGBITS || header->sh_size > MAX_SECTION_BYTES)
		return 0;
	if (!strcmp(section, ".plt.got") && id->machine == EM_X86_64)
		return header->sh_entsize == 16 ? 16 : 8;
	if (!strcmp(section, ".plt") || !strcmp(section, ".plt.sec"))
		return 16;
	return 0;
}

int elfplt_add(struct symtab *to, const struct elfid *id, Elf *elf)
{
	struct slots slots = { 0 };
	Elf_Scn *scn = NULL;
	GElf_Shdr header;
	size_t names;
	int err = 0;

	if ((id->machine != EM_X86_64 && id->machine != EM_AARCH64) ||
	    elf_getshdrstrndx(elf, &names) < 0)
		return 0;
	while (!err && (scn = elf_nextscn(elf, scn)))
		if (gelf_getshdr(scn, &header) && header.sh_type == SHT_RELA)
			err = read_relocations(&slots, elf, scn, &header);
	if (slots.nr)
		qsort(slots.at, slots.nr, sizeof(*slots.at), compare);
	while (!err && slots.nr && (scn = elf_nextscn(elf, scn))) {
		const char *name = gelf_getshdr(scn, &header) ?
			elf_strptr(elf, names, header.sh_name) : NULL;
		size_t stub_bytes = name ? stub_size(id, name, &header) : 0;

		if (stub_bytes)
			err = read_stubs(to, id, &slots, scn, &header, stub_bytes);
	}
	free(slots.at);
	return err;
}
