#define _GNU_SOURCE
#include "record/debugfile.h"

#include "record/procroot.h"

#include <errno.h>
#include <gelf.h>
#include <limits.h>
#include <lzma.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zlib.h>

#define DEBUG_ROOT "/usr/lib/debug"
#define CHUNK_BYTES 65536
#define MAX_UNPACKED_BYTES (256u << 20)
#define MAX_PACKED_BYTES (64u << 20)

static bool has_build_id(int fd, const struct elfid *id)
{
	struct elfid other;

	return !elfid_read(&other, fd) && other.build_id_bytes == id->build_id_bytes &&
	       !memcmp(other.build_id, id->build_id, id->build_id_bytes);
}

static bool has_crc(int fd, uint32_t expected)
{
	unsigned char *chunk = malloc(CHUNK_BYTES);
	uLong crc = crc32(0, NULL, 0);
	off_t at = 0;
	ssize_t got = -1;

	while (chunk && (got = pread(fd, chunk, CHUNK_BYTES, at)) > 0) {
		crc = crc32(crc, chunk, (uInt)got);
		at += got;
	}
	free(chunk);
	return !got && crc == expected;
}

/* Takes the fd over. */
static int accept_file(int fd, const struct elfid *id, uint32_t crc)
{
	if (fd < 0)
		return fd;
	if (id->build_id_bytes ? has_build_id(fd, id) : has_crc(fd, crc))
		return fd;
	close(fd);
	return -ENOENT;
}

static int open_in(uint32_t pid, const char *path, const struct elfid *id, uint32_t crc)
{
	int fd = -ENOENT;

	if (pid)
		fd = accept_file(procroot_open_file(pid, path), id, crc);
	if (fd < 0)
		fd = accept_file(procroot_open_file(0, path), id, crc);
	return fd;
}

static int open_by_build_id(uint32_t pid, const struct elfid *id)
{
	char path[sizeof(DEBUG_ROOT) + 64];
	int at;

	if (id->build_id_bytes < 2)
		return -ENOENT;
	at = snprintf(path, sizeof(path), DEBUG_ROOT "/.build-id/%02x/", id->build_id[0]);
	for (int i = 1; i < id->build_id_bytes; i++)
		at += snprintf(path + at, sizeof(path) - (size_t)at, "%02x", id->build_id[i]);
	snprintf(path + at, sizeof(path) - (size_t)at, ".debug");
	return open_in(pid, path, id, 0);
}

static int open_by_link(uint32_t pid, const char *path, const struct elfid *id,
			const struct elfsyms_found *found)
{
	static const char *const formats[] = {
		"%.*s/%s", "%.*s/.debug/%s", DEBUG_ROOT "%.*s/%s",
	};
	const char *slash = strrchr(path, '/');
	char candidate[PATH_MAX];
	int fd = -ENOENT;

	if (path[0] != '/' || !found->debuglink[0])
		return -ENOENT;
	for (size_t i = 0; fd < 0 && i < sizeof(formats) / sizeof(formats[0]); i++) {
		int len = snprintf(candidate, sizeof(candidate), formats[i],
				   (int)(slash - path), path, found->debuglink);

		if (len < (int)sizeof(candidate) && strcmp(candidate, path))
			fd = open_in(pid, candidate, id, found->debuglink_crc);
	}
	return fd;
}

int debugfile_open(uint32_t pid, const char *path, const struct elfid *id,
		   const struct elfsyms_found *found)
{
	int fd = open_by_build_id(pid, id);

	return fd < 0 ? open_by_link(pid, path, id, found) : fd;
}

static int unpack_xz(const uint8_t *packed, size_t packed_bytes, int to)
{
	lzma_stream stream = LZMA_STREAM_INIT;
	uint8_t *chunk = malloc(CHUNK_BYTES);
	lzma_ret ret = LZMA_MEM_ERROR;
	size_t total = 0;

	if (chunk)
		ret = lzma_stream_decoder(&stream, 64 << 20, 0);
	stream.next_in = packed;
	stream.avail_in = packed_bytes;
	while (ret == LZMA_OK && total <= MAX_UNPACKED_BYTES) {
		size_t len;

		stream.next_out = chunk;
		stream.avail_out = CHUNK_BYTES;
		ret = lzma_code(&stream, LZMA_FINISH);
		len = CHUNK_BYTES - stream.avail_out;
		total += len;
		if (write(to, chunk, len) != (ssize_t)len)
			ret = LZMA_DATA_ERROR;
	}
	lzma_end(&stream);
	free(chunk);
	return ret == LZMA_STREAM_END ? 0 : -EBADMSG;
}

static Elf_Data *find_debugdata(Elf *elf)
{
	Elf_Scn *scn = NULL;
	GElf_Shdr header;
	size_t names;

	if (elf_getshdrstrndx(elf, &names) < 0)
		return NULL;
	while ((scn = elf_nextscn(elf, scn))) {
		const char *name = gelf_getshdr(scn, &header) ?
			elf_strptr(elf, names, header.sh_name) : NULL;

		if (name && !strcmp(name, ".gnu_debugdata"))
			return header.sh_type == SHT_PROGBITS &&
			       header.sh_size <= MAX_PACKED_BYTES ?
				elf_rawdata(scn, NULL) : NULL;
	}
	return NULL;
}

int debugfile_unpack(int fd)
{
	Elf *elf = elf_version(EV_CURRENT) == EV_NONE ? NULL : elf_begin(fd, ELF_C_READ, NULL);
	Elf_Data *data = elf ? find_debugdata(elf) : NULL;
	int to = -ENOENT, err;

	if (data && data->d_buf) {
		to = memfd_create("debugdata", MFD_CLOEXEC);
		err = to < 0 ? -errno : unpack_xz(data->d_buf, data->d_size, to);
		if (err && to >= 0)
			close(to);
		if (err)
			to = err;
	}
	elf_end(elf);
	return to;
}
