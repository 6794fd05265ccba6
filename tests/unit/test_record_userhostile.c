/*
 * Programs whose symbols, notes and debug information are damaged, on purpose or not:
 * no crash, no hang, nothing read beyond the file.
 */
#define _GNU_SOURCE
#include "record/dwarfargs.h"
#include "record/elffuncs.h"
#include "record/ldcache.h"
#include "record/usdtargs.h"
#include "record/usdtnotes.h"

#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define MAX_FUNCTIONS 64

struct image {
	uint8_t *bytes;
	size_t len;
	int fd;			/* holds the damaged copy */
	uint64_t functions[MAX_FUNCTIONS];
	size_t nr_functions;
};

static uint64_t seed = 88172645463325252u;
static size_t nr_values;		/* that could be had, all in all */

static uint64_t next_random(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

static int take_function(void *ctx, const struct elffuncs_func *f)
{
	struct image *image = ctx;

	if (!f->imported && image->nr_functions < MAX_FUNCTIONS)
		image->functions[image->nr_functions++] = f->address;
	return 0;
}

static int ignore_function(void *ctx, const struct elffuncs_func *f)
{
	*(size_t *)ctx += strlen(f->name);
	return 0;
}

static struct libfind_file file_of(const struct image *image)
{
	return (struct libfind_file){ .path = (char *)(uintptr_t)"/nonexistent/damaged",
				      .fd = image->fd };
}

static void image_write(const struct image *image, size_t len)
{
	assert_int_equal(ftruncate(image->fd, 0), 0);
	assert_int_equal(pwrite(image->fd, image->bytes, len, 0), (ssize_t)len);
}

static struct image image_read(const char *name)
{
	const char *build = getenv("BUILD");
	struct elffuncs_tables tables;
	struct libfind_file file;
	struct image image = { 0 };
	struct elfid id;
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
	image_write(&image, image.len);
	file = file_of(&image);
	assert_int_equal(elfid_read(&id, image.fd), 0);
	assert_int_equal(elffuncs_each(&file, &id, take_function, &image, &tables), 0);
	assert_true(image.nr_functions > 4);
	return image;
}

static void image_release(struct image *image)
{
	free(image->bytes);
	close(image->fd);
}

/* --- everything that is asked of a file ------------------------------------------------ */

struct asked {
	struct dwarfargs_func *f;
	size_t nr;
};

static int ask_value(void *ctx, const char *name)
{
	static const char *const rests[] = {
		"", "->next->method", "->sizes[1]", ".x", "->level", "[1]", "->weight",
	};
	struct asked *a = ctx;

	for (size_t i = 0; i < sizeof(rests) / sizeof(*rests); i++) {
		struct diag d = { "" };
		struct probe_value v;
		char path[600];
		int err;

		snprintf(path, sizeof(path), "%.500s%s", name, rests[i]);
		err = dwarfargs_value(a->f, path, &v, &d);
		assert_true(!err || err == -ENOENT || d.text[0]);
		nr_values += !err;
		if (!err)
			assert_true(v.nr_steps && v.nr_steps <= FETCH_MAX_STEPS);
	}
	return a->nr++ > 30;
}

static void ask_function(struct dwarfargs *dw, uint64_t address)
{
	struct dwarfargs_func *f;
	struct diag d = { "" };
	struct probe_value v;
	struct asked asked = { 0 };
	char text[200];

	if (dwarfargs_find(dw, &f, address, "symbol"))
		return;
	asked.f = f;
	dwarfargs_names(f, ask_value, &asked);
	dwarfargs_describe(f, false, text, sizeof(text));
	dwarfargs_describe(f, true, text, sizeof(text));
	dwarfargs_returned(f, "retval", &v, &d);
	d.text[0] = '\0';
	dwarfargs_returned(f, "retval->v[1]", &v, &d);
	dwarfargs_free(f);
}

static bool no_symbol(void *ctx, const char *name, size_t len_bytes, uint64_t *address)
{
	const struct image *image = ctx;

	return usdtnotes_symbol(image->fd, name, len_bytes, address);
}

static void ask_notes(const struct image *image, const struct elfid *id)
{
	struct usdtnotes notes;

	usdtnotes_read(&notes, image->fd, id);
	for (size_t i = 0; i < notes.nr && i < 50; i++) {
		struct usdtargs args;

		assert_true(notes.list[i].name[0] && notes.list[i].provider[0]);
		usdtargs_parse(&args, notes.list[i].args, notes.list[i].address, no_symbol,
			       (void *)(uintptr_t)image);
		assert_true(args.nr <= USDTARGS_MAX);
	}
	usdtnotes_release(&notes);
}

static void ask_all(const struct image *image)
{
	struct libfind_file file = file_of(image);
	struct elffuncs_tables tables;
	struct dwarfargs *dw;
	struct elfid id;
	size_t sum = 0;

	if (elfid_read(&id, image->fd))
		memset(&id, 0, sizeof(id));
	elffuncs_each(&file, &id, ignore_function, &sum, &tables);
	ask_notes(image, &id);
	if (dwarfargs_open(&dw, &file, &id))
		return;
	for (size_t i = 0; i < image->nr_functions; i++)
		ask_function(dw, image->functions[i]);
	dwarfargs_close(dw);
}

/* --- damage --------------------------------------------------------------------------------- */

/* File offset and size of a section, of the undamaged image. */
static bool find_section(const struct image *image, const char *wanted, size_t *at, size_t *size)
{
	Elf *elf;
	Elf_Scn *scn = NULL;
	GElf_Shdr header;
	size_t names;
	bool found = false;

	elf_version(EV_CURRENT);
	elf = elf_memory((char *)image->bytes, image->len);
	assert_non_null(elf);
	assert_int_equal(elf_getshdrstrndx(elf, &names), 0);
	while (!found && (scn = elf_nextscn(elf, scn))) {
		assert_non_null(gelf_getshdr(scn, &header));
		found = !strcmp(elf_strptr(elf, names, header.sh_name), wanted);
	}
	elf_end(elf);
	*at = header.sh_offset;
	*size = header.sh_size;
	return found && *size;
}

static uint8_t interesting(void)
{
	static const uint8_t bytes[] = { 0, 1, 0x7f, 0x80, 0xff, 0x13, 0x34, 0x31 };
	uint64_t r = next_random();

	return r % 3 ? (uint8_t)(r >> 8) : bytes[(r >> 8) % sizeof(bytes)];
}

static void damage_section(struct image *image, const char *section, int rounds)
{
	size_t at, size;

	if (!find_section(image, section, &at, &size))
		return;
	for (int round = 0; round < rounds; round++) {
		size_t nr = 1 + next_random() % 8, places[8];
		uint8_t saved[8];

		for (size_t i = 0; i < nr; i++) {
			places[i] = at + next_random() % size;
			saved[i] = image->bytes[places[i]];
			image->bytes[places[i]] = interesting();
		}
		image_write(image, image->len);
		ask_all(image);
		while (nr--)
			image->bytes[places[nr]] = saved[nr];
	}
}

static void damaged_debug_information(void **state)
{
	static const char *const programs[] = { "uprobes", "uprobes_cxx" };
	static const char *const sections[] = {
		".debug_info", ".debug_abbrev", ".debug_aranges", ".debug_str",
		".debug_loclists", ".debug_rnglists", ".debug_line_str",
	};

	(void)state;
	for (size_t p = 0; p < sizeof(programs) / sizeof(*programs); p++) {
		struct image image = image_read(programs[p]);

		for (size_t i = 0; i < sizeof(sections) / sizeof(*sections); i++)
			damage_section(&image, sections[i], i < 2 ? 1200 : 200);
		image_release(&image);
	}
	assert_true(nr_values > 1000);
}

static void damaged_notes(void **state)
{
	struct image image = image_read("usdts");

	(void)state;
	damage_section(&image, ".note.stapsdt", 1500);
	damage_section(&image, ".stapsdt.base", 20);
	image_release(&image);
}

static void damaged_headers(void **state)
{
	struct image image = image_read("usdts_guarded");
	Elf64_Ehdr head;
	size_t at, size;

	(void)state;
	memcpy(&head, image.bytes, sizeof(head));
	for (int round = 0; round < 600; round++) {
		uint8_t saved;

		at = round % 3 == 0 ? 0 : round % 3 == 1 ? head.e_phoff : head.e_shoff;
		size = round % 3 == 0 ? sizeof(head) :
		       round % 3 == 1 ? (size_t)head.e_phnum * head.e_phentsize :
					(size_t)head.e_shnum * head.e_shentsize;
		at += next_random() % size;
		saved = image.bytes[at];
		image.bytes[at] = interesting();
		image_write(&image, image.len);
		ask_all(&image);
		image.bytes[at] = saved;
	}
	for (size_t len = 0; len < image.len; len += 997) {
		image_write(&image, len);
		ask_all(&image);
	}
	image_release(&image);
}

static void damaged_operands(void **state)
{
	static const char letters[] = "0123456789-+@$%(),[]. frxasiplw#x";

	(void)state;
	for (int round = 0; round < 100000; round++) {
		size_t len = next_random() % 40;
		struct usdtargs args;
		char text[41];

		for (size_t i = 0; i < len; i++)
			text[i] = letters[next_random() % (sizeof(letters) - 1)];
		text[len] = '\0';
		usdtargs_parse(&args, text, 0x1000, NULL, NULL);
		assert_true(args.nr <= USDTARGS_MAX);
		for (size_t i = 0; i < args.nr; i++)
			assert_true(args.list[i].value.nr_steps <= 3);
	}
}

static int count_library(void *ctx, const char *path)
{
	*(size_t *)ctx += strlen(path);
	return 0;
}

static void damaged_library_cache(void **state)
{
	int fd = open("/etc/ld.so.cache", O_RDONLY);
	struct stat st;
	size_t len, sum = 0;
	char *bytes;

	(void)state;
	if (fd < 0)
		skip();
	assert_int_equal(fstat(fd, &st), 0);
	len = (size_t)st.st_size;
	bytes = malloc(len);
	assert_int_equal(read(fd, bytes, len), st.st_size);
	close(fd);
	assert_int_equal(ldcache_each(bytes, len, "c", count_library, &sum), 0);
	assert_true(sum > 0);
	for (int round = 0; round < 2000; round++) {
		size_t at = next_random() % (round % 2 ? 2048 < len ? 2048 : len : len);
		char saved = bytes[at];
		/* A copy of its own size: what reads beyond it is caught. */
		size_t cut = round % 5 ? len : next_random() % len;
		char *copy = malloc(cut + 1);

		bytes[at] = (char)interesting();
		memcpy(copy, bytes, cut);
		ldcache_each(copy, cut, "c", count_library, &sum);
		bytes[at] = saved;
		free(copy);
	}
	free(bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(damaged_debug_information),
		cmocka_unit_test(damaged_notes),
		cmocka_unit_test(damaged_headers),
		cmocka_unit_test(damaged_operands),
		cmocka_unit_test(damaged_library_cache),
	};

	return cmocka_run_group_tests_name("damaged programs", tests, NULL, NULL);
}
