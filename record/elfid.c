#include "record/elfid.h"

#include <elf.h>
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HEAD_BYTES 4096		/* headers and notes of most files */
#define MAX_HEADERS 128
#define MAX_NOTE_BYTES 65536

#if __BYTE_ORDER == __LITTLE_ENDIAN
#define OUR_DATA ELFDATA2LSB
#else
#define OUR_DATA ELFDATA2MSB
#endif

struct source {
	int fd;
	size_t head_bytes;
	uint8_t head[HEAD_BYTES];
};

/* 0 only if all of it could be read. */
static int read_at(const struct source *s, uint64_t offset, void *to, size_t size_bytes)
{
	ssize_t got;

	if (offset <= s->head_bytes && size_bytes <= s->head_bytes - offset) {
		memcpy(to, s->head + offset, size_bytes);
		return 0;
	}
	if (offset > INT64_MAX - size_bytes)
		return -EBADMSG;
	got = pread(s->fd, to, size_bytes, (off_t)offset);
	if (got < 0)
		return -errno;
	return (size_t)got == size_bytes ? 0 : -EBADMSG;
}

/* Both classes are read as the wider one. */
static int read_header(const struct source *s, Elf64_Ehdr *e)
{
	Elf32_Ehdr e32;

	if (s->head_bytes < sizeof(e32))
		return -ENOEXEC;
	memcpy(e->e_ident, s->head, EI_NIDENT);
	if (memcmp(e->e_ident, ELFMAG, SELFMAG) || e->e_ident[EI_DATA] != OUR_DATA)
		return -ENOEXEC;
	if (e->e_ident[EI_CLASS] == ELFCLASS64)
		return read_at(s, 0, e, sizeof(*e));
	if (e->e_ident[EI_CLASS] != ELFCLASS32)
		return -ENOEXEC;
	memcpy(&e32, s->head, sizeof(e32));
	e->e_machine = e32.e_machine;
	e->e_phoff = e32.e_phoff;
	e->e_phentsize = e32.e_phentsize;
	e->e_phnum = e32.e_phnum;
	return 0;
}

static int read_segment(const struct source *s, const Elf64_Ehdr *e, unsigned int i,
			Elf64_Phdr *p)
{
	uint64_t offset = e->e_phoff + (uint64_t)i * e->e_phentsize;
	Elf32_Phdr p32;
	int err;

	if (e->e_ident[EI_CLASS] == ELFCLASS64)
		return read_at(s, offset, p, sizeof(*p));
	err = read_at(s, offset, &p32, sizeof(p32));
	if (err)
		return err;
	p->p_type = p32.p_type;
	p->p_flags = p32.p_flags;
	p->p_offset = p32.p_offset;
	p->p_vaddr = p32.p_vaddr;
	p->p_filesz = p32.p_filesz;
	p->p_memsz = p32.p_memsz;
	p->p_align = p32.p_align;
	return 0;
}

static size_t round_up(size_t n, size_t align)
{
	return (n + align - 1) & ~(align - 1);
}

static void find_build_id(struct elfid *id, const uint8_t *notes, size_t size_bytes,
			  size_t align)
{
	Elf64_Nhdr n;	/* the same in both classes */
	size_t at = 0;

	while (size_bytes - at >= sizeof(n)) {
		size_t name, desc;

		memcpy(&n, notes + at, sizeof(n));
		name = at + sizeof(n);
		if (n.n_namesz > size_bytes - name)
			return;
		desc = round_up(name + n.n_namesz, align);
		if (desc > size_bytes || n.n_descsz > size_bytes - desc)
			return;
		if (n.n_type == NT_GNU_BUILD_ID && n.n_namesz == 4 &&
		    !memcmp(notes + name, "GNU", 4) && n.n_descsz) {
			id->build_id_bytes = n.n_descsz < sizeof(id->build_id) ?
				(uint8_t)n.n_descsz : sizeof(id->build_id);
			memcpy(id->build_id, notes + desc, id->build_id_bytes);
			return;
		}
		at = round_up(desc + n.n_descsz, align);
		if (at > size_bytes)
			return;
	}
}

static void read_notes(struct elfid *id, const struct source *s, const Elf64_Phdr *p)
{
	uint8_t *notes;

	if (!p->p_filesz || p->p_filesz > MAX_NOTE_BYTES)
		return;
	notes = malloc(p->p_filesz);
	if (notes && !read_at(s, p->p_offset, notes, p->p_filesz))
		find_build_id(id, notes, p->p_filesz, p->p_align == 8 ? 8 : 4);
	free(notes);
}

static void add_segment(struct elfid *id, const Elf64_Phdr *p)
{
	struct elfid_segment *to;

	if (id->nr_segments == ELFID_MAX_SEGMENTS)
		return;
	to = &id->segments[id->nr_segments++];
	to->address = p->p_vaddr;
	to->offset = p->p_offset;
	to->size_bytes = p->p_memsz;
	to->executable = p->p_flags & PF_X;
}

static void set_bias(struct elfid *id)
{
	for (size_t i = 0; i < id->nr_segments; i++) {
		if (!id->segments[i].executable)
			continue;
		id->bias = id->segments[i].address - id->segments[i].offset;
		return;
	}
}

int elfid_read(struct elfid *id, int fd)
{
	struct source s = { .fd = fd };
	ssize_t got = pread(fd, s.head, sizeof(s.head), 0);
	Elf64_Ehdr e;
	int err;

	memset(id, 0, sizeof(*id));
	if (got < 0)
		return -errno;
	s.head_bytes = (size_t)got;
	err = read_header(&s, &e);
	if (err)
		return err;
	id->machine = e.e_machine;
	for (unsigned int i = 0; i < e.e_phnum && i < MAX_HEADERS; i++) {
		Elf64_Phdr p;

		err = read_segment(&s, &e, i, &p);
		if (err)
			return err;
		if (p.p_type == PT_LOAD)
			add_segment(id, &p);
		else if (p.p_type == PT_NOTE && !id->build_id_bytes)
			read_notes(id, &s, &p);
	}
	set_bias(id);
	return 0;
}

bool elfid_offset(const struct elfid *id, uint64_t address, uint64_t *offset)
{
	for (size_t i = 0; i < id->nr_segments; i++) {
		const struct elfid_segment *s = &id->segments[i];

		if (address < s->address || address - s->address >= s->size_bytes)
			continue;
		*offset = address - s->address + s->offset;
		return true;
	}
	return false;
}
