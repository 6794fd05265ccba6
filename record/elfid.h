/*
 * What identifies and places an ELF file: build-id and loadable segments, read
 * from its head with one or a few pread() calls.  The file is untrusted.
 */
#ifndef RECORD_ELFID_H
#define RECORD_ELFID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ELFID_BUILD_ID_BYTES 20
#define ELFID_MAX_SEGMENTS 16

struct elfid_segment {
	uint64_t address, offset, size_bytes;
	bool executable;
};

struct elfid {
	uint16_t machine;		/* EM_... */
	uint8_t build_id[ELFID_BUILD_ID_BYTES];	/* a longer one is cut */
	uint8_t build_id_bytes;
	size_t nr_segments;
	struct elfid_segment segments[ELFID_MAX_SEGMENTS];
	uint64_t bias;		/* ELF address = file offset + bias, for code */
};

/* 0; -ENOEXEC if it is no ELF file of this byte order; -EBADMSG; -errno. */
int elfid_read(struct elfid *id, int fd);
/* The file offset of an ELF address; false if no segment holds it. */
bool elfid_offset(const struct elfid *id, uint64_t address, uint64_t *offset);

#endif
