/* ELF files that are damaged, on purpose or not: no crash, no hang, no bomb. */
#define _GNU_SOURCE
#include "record/elfid.h"

#include "record/debugfile.h"
#include "record/elfsyms.h"
#include "record/symtab.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

struct image {
	uint8_t *bytes;
	size_t len;
	int fd;			/* holds the damaged copy */
};

static struct image image_read(const char *name)
{
	const char *build = getenv("BUILD");
	struct image image;
	char path[512];
	struct stat st;
	int fd;

	snprintf(path, sizeof(path), "%s/tests/programs/%s", build ? build : "build", name);
	fd = open(path, O_RDONLY);
	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &st), 0);
	image.len = (size_t)st.st_size;
	image.bytes = malloc(image.len);
	assert_non_null(image.bytes);
	assert_int_equal(read(fd, image.bytes, image.len), st.st_size);
	close(fd);
	image.fd = memfd_create("damaged", MFD_CLOEXEC);
	assert_true(image.fd >= 0);
	return image;
}

static void image_release(struct image *image)
{
	free(image->bytes);
	close(image->fd);
}

static void image_write(const struct image *image, size_t len)
{
	assert_int_equal(ftruncate(image->fd, 0), 0);
	assert_int_equal(pwrite(image->fd, image->bytes, len, 0), (ssize_t)len);
}

/* Loads and searches; how many symbols there were. */
static size_t load(int fd)
{
	struct elfsyms_found found;
	struct symtab *t;
	struct elfid id;
	size_t nr = 0;

	if (elfid_read(&id, fd) < 0)
		return 0;
	assert_true(id.nr_segments <= ELFID_MAX_SEGMENTS);
	assert_true(id.build_id_bytes <= ELFID_BUILD_ID_BYTES);
	assert_int_equal(symtab_new(&t), 0);
	elfsyms_add(t, &id, fd, &found);
	if (found.debugdata) {
		int unpacked = debugfile_unpack(fd);

		if (unpacked >= 0)
			close(unpacked);
	}
	assert_int_equal(symtab_finish(t), 0);
	for (uint64_t at = 0; at < 20000; at += 7) {
		long i = symtab_find(t, at);

		if (i >= 0) {
			uint64_t start, size_bytes;

			symtab_get(t, (size_t)i, &start, &size_bytes);
			assert_true(start <= at && at - start < size_bytes);
			assert_true(strlen(symtab_name(t, (size_t)i)) > 0);
			nr++;
		}
	}
	symtab_free(t);
	return nr;
}

/* Half of the damage goes to where the headers and tables are. */
static size_t random_place(const struct image *image)
{
	Elf64_Ehdr e;
	size_t at;

	memcpy(&e, image->bytes, sizeof(e));
	switch (random() % 4) {
	case 0:
		at = (size_t)random() % 1024;
		break;
	case 1:
		at = e.e_shoff + (size_t)random() % 2048;
		break;
	default:
		at = (size_t)random();
	}
	return at % image->len;
}

static void mutate(const char *name, int rounds)
{
	struct image image = image_read(name);
	size_t nr_found = 0;

	image_write(&image, image.len);
	assert_true(load(image.fd) > 10);
	for (int round = 0; round < rounds; round++) {
		size_t places[16];
		uint8_t saved[16];
		int nr = 1 + (int)(random() % 16);

		for (int i = 0; i < nr; i++) {
			places[i] = random_place(&image);
			saved[i] = image.bytes[places[i]];
			image.bytes[places[i]] = random() % 4 ? (uint8_t)random() : 0xff;
			assert_int_equal(pwrite(image.fd, image.bytes + places[i], 1,
						(off_t)places[i]), 1);
		}
		nr_found += load(image.fd) > 0;
		while (nr-- > 0) {
			image.bytes[places[nr]] = saved[nr];
			assert_int_equal(pwrite(image.fd, saved + nr, 1,
						(off_t)places[nr]), 1);
		}
	}
	/* Most of the damage hits nothing that matters. */
	assert_true(nr_found > 0);
	image_release(&image);
}

static void test_mutations(void **state)
{
	(void)state;
	srandom(23);
	mutate("names", 2000);
	mutate("shares_stripped", 2000);
	mutate("cplusplus", 1000);
}

static void test_cuts(void **state)
{
	struct image image = image_read("shares_stripped");

	(void)state;
	for (size_t len = 0; len < image.len; len += 1 + len / 64) {
		image_write(&image, len);
		load(image.fd);
	}
	image_release(&image);
}

/* Numbers as large as they can be, in each field of the headers at a time. */
static void test_extremes(void **state)
{
	static const uint64_t values[] = {
		0, 1, 0x7fffffff, 0xffffffff, INT64_MAX, UINT64_MAX, UINT64_MAX - 4096,
	};
	struct image image = image_read("names");
	Elf64_Ehdr e;

	(void)state;
	memcpy(&e, image.bytes, sizeof(e));
	for (size_t v = 0; v < sizeof(values) / sizeof(values[0]); v++) {
		for (size_t at = 16; at < sizeof(e) + e.e_phnum * sizeof(Elf64_Phdr); at += 8) {
			uint8_t saved[8];

			memcpy(saved, image.bytes + at, sizeof(saved));
			memcpy(image.bytes + at, &values[v], sizeof(saved));
			image_write(&image, image.len);
			load(image.fd);
			memcpy(image.bytes + at, saved, sizeof(saved));
		}
		for (size_t at = e.e_shoff; at + 8 <= image.len; at += 8) {
			uint8_t saved[8];

			memcpy(saved, image.bytes + at, sizeof(saved));
			memcpy(image.bytes + at, &values[v], sizeof(saved));
			image_write(&image, image.len);
			load(image.fd);
			memcpy(image.bytes + at, saved, sizeof(saved));
		}
	}
	image_release(&image);
}

static void test_no_elf(void **state)
{
	static const char *const texts[] = {
		"", "x", "\177ELF", "#!/bin/sh\n", "\177ELF\2\2\1", "\177ELF\2\1\1",
	};
	struct elfid id;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		int fd = memfd_create("text", MFD_CLOEXEC);

		assert_true(write(fd, texts[i], strlen(texts[i])) >= 0);
		assert_true(elfid_read(&id, fd) < 0);
		assert_int_equal(ftruncate(fd, 4096), 0);
		elfid_read(&id, fd);
		close(fd);
	}
	assert_int_equal(elfid_read(&id, -1), -EBADF);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mutations),
		cmocka_unit_test(test_cuts),
		cmocka_unit_test(test_extremes),
		cmocka_unit_test(test_no_elf),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
