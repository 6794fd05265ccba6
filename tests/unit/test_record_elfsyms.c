/* Names of the test programs, against nm, addr2line and perf. */
#define _GNU_SOURCE
#include "record/symbolize.h"

#include "record/elfid.h"

#include <ctype.h>
#include <fcntl.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static const char *const programs[] = {
	"shares", "shares_static", "shares_nopie", "shares_stripped", "cplusplus", "names",
};

#define NR_PROGRAMS (sizeof(programs) / sizeof(programs[0]))

static char folder[] = "/tmp/test_elfsyms-XXXXXX";

static const char *program(const char *name)
{
	static char path[512];
	const char *build = getenv("BUILD");

	snprintf(path, sizeof(path), "%s/tests/programs/%s", build ? build : "build", name);
	return path;
}

__attribute__((format(printf, 1, 2)))
static FILE *run(const char *format, ...)
{
	char command[2048];
	va_list args;
	FILE *f;

	va_start(args, format);
	vsnprintf(command, sizeof(command), format, args);
	va_end(args);
	f = popen(command, "r");
	assert_non_null(f);
	return f;
}

#define shell(...) assert_int_equal(pclose(run(__VA_ARGS__)), 0)

/* --- a file, opened ----------------------------------------------------------- */

struct file {
	struct modules *modules;
	struct kernelmap *kernel;
	struct symbolizer *symbolizer;
	struct module *mod;
	struct elfid id;
};

static void file_open(struct file *f, const char *path)
{
	struct modules_file mapped = { .path = path, .start = 4096, .size_bytes = 4096 };
	struct stat st;
	int fd;

	memset(f, 0, sizeof(*f));
	assert_int_equal(stat(path, &st), 0);
	mapped.inode = st.st_ino;
	assert_int_equal(modules_new(&f->modules), 0);
	assert_int_equal(kernelmap_open(&f->kernel, f->modules), 0);
	assert_int_equal(symbolizer_open(&f->symbolizer, f->modules, f->kernel), 0);
	f->mod = modules_file(f->modules, &mapped);
	assert_non_null(f->mod);
	assert_int_equal(f->mod->kind, MODULE_ELF);
	modules_touch(f->modules, f->mod);
	fd = open(path, O_RDONLY);
	assert_int_equal(elfid_read(&f->id, fd), 0);
	close(fd);
}

static void file_close(struct file *f)
{
	symbolizer_close(f->symbolizer);
	kernelmap_close(f->kernel);
	modules_free(f->modules);
}

/* The name at an ELF address, or NULL. */
static const char *name_at(struct file *f, uint64_t address, uint64_t *start)
{
	struct symbol sym;
	uint64_t offset;

	if (!elfid_offset(&f->id, address, &offset) ||
	    symbolizer_find(f->symbolizer, f->mod->id, offset, &sym) < 0)
		return NULL;
	assert_true(sym.start <= offset && offset - sym.start < sym.size_bytes);
	if (start)
		*start = sym.start - offset + address;
	return sym.name;
}

/* --- nm: every function of every program is found under one of its names --------- */

static bool nm_has(const char *path, const char *option, uint64_t address, const char *name)
{
	FILE *f = run("nm %s --defined-only -f posix %s | c++filt -p", option, path);
	char line[4096];
	bool found = false;

	while (fgets(line, sizeof(line), f)) {
		char *type, *at = strrchr(line, ' ');
		uint64_t value;

		/* NAME TYPE VALUE [SIZE] */
		for (type = line; (type = strchr(type, ' ')); type++)
			if (isalpha(type[1]) && type[2] == ' ' &&
			    sscanf(type + 3, "%" SCNx64, &value) == 1)
				break;
		if (!at || !type || value != address)
			continue;
		*type = '\0';
		found |= !strcmp(line, name);
	}
	pclose(f);
	return found;
}

static size_t check_nm(const char *name, const char *option)
{
	FILE *f = run("nm %s --defined-only -S %s", option, program(name));
	char line[4096], type;
	size_t nr = 0;
	struct file file;

	file_open(&file, program(name));
	while (fgets(line, sizeof(line), f)) {
		uint64_t address, size_bytes, start = 0;
		const char *found;

		if (sscanf(line, "%" SCNx64 " %" SCNx64 " %c", &address, &size_bytes, &type) != 3 ||
		    !strchr("tTwWi", type) || !size_bytes)
			continue;
		found = name_at(&file, address, &start);
		assert_non_null(found);
		assert_int_equal(start, address);
		if (nr++ % 64 == 0 && !nm_has(program(name), option, address, found))
			fail_msg("nm has no '%s' at %" PRIx64 " of %s", found, address, name);
		found = name_at(&file, address + size_bytes - 1, &start);
		assert_non_null(found);
	}
	pclose(f);
	file_close(&file);
	return nr;
}

static void test_nm(void **state)
{
	(void)state;
	for (size_t i = 0; i < NR_PROGRAMS; i++) {
		if (!strcmp(programs[i], "shares_stripped"))
			assert_true(check_nm(programs[i], "-D") >= 5);
		else
			assert_true(check_nm(programs[i], "") >= 5);
	}
}

/* --- addr2line: every address of our own functions ----------------------------- */

/*
 * Inlined functions come first, the one that really is there last.  C++ names
 * have parameters there.
 */
static void check_addr2line(const char *name, uint64_t from, uint64_t to)
{
	FILE *f = run("seq -f %%.0f %" PRIu64 " %" PRIu64 " | xargs printf '%%x\\n' |"
		      " addr2line -a -f -i -C -e %s", from, to, program(name));
	char line[4096], last[4096] = "";
	uint64_t address = 0;
	struct file file;
	size_t nr = 0;

	file_open(&file, program(name));
	for (bool more = true; more;) {
		more = fgets(line, sizeof(line), f);
		if (more)
			line[strcspn(line, "\n")] = '\0';
		if (!more || !strncmp(line, "0x", 2)) {
			const char *ours = last[0] ? name_at(&file, address, NULL) : NULL;

			if (last[0] && strcmp(last, "??")) {
				size_t len = ours ? strlen(ours) : 0;

				if (!len || strncmp(last, ours, len) || !strchr("(", last[len]))
					fail_msg("%s: %" PRIx64 " is '%s', not '%s'", name,
						 address, ours ? ours : "", last);
				nr++;
			}
			last[0] = '\0';
			address = more ? strtoull(line, NULL, 16) : 0;
		} else {
			strcpy(last, line);
			/* the line of the source */
			assert_non_null(fgets(line, sizeof(line), f));
		}
	}
	pclose(f);
	file_close(&file);
	assert_int_equal(nr, to - from + 1);
}

static uint64_t address_of(const char *name, const char *symbol, uint64_t *size_bytes)
{
	FILE *f = run("nm -S %s | awk '$4 == \"%s\" { print $1, $2 }'", program(name), symbol);
	uint64_t address = 0;

	assert_int_equal(fscanf(f, "%" SCNx64 " %" SCNx64, &address, size_bytes), 2);
	pclose(f);
	return address;
}

static void test_addr2line(void **state)
{
	static const struct {
		const char *program, *symbol;
	} functions[] = {
		{ "shares", "burn_10" }, { "shares", "burn_round" }, { "shares", "main" },
		{ "shares_static", "burn_20" }, { "shares_static", "main" },
		{ "shares_nopie", "burn_30" }, { "shares_nopie", "main" },
		{ "cplusplus", "_ZNK4kiln12_GLOBAL__N_14bowl4fireEm" },
		{ "cplusplus", "_ZN4kiln4ovenIlLi2EE4bakeEl" },
		{ "cplusplus", "_ZNK4kiln4clayplERKS0_" },
		{ "names", "chosen" }, { "names", "main" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++) {
		uint64_t size_bytes, at;

		at = address_of(functions[i].program, functions[i].symbol, &size_bytes);
		check_addr2line(functions[i].program, at, at + size_bytes - 1);
	}
}

/* --- perf: random addresses ------------------------------------------------------ */

#define BASE 0x7f0000000000ull

static void put(FILE *f, const void *data, size_t size_bytes)
{
	assert_int_equal(fwrite(data, 1, size_bytes, f), size_bytes);
}

static void put_record(FILE *f, uint32_t type, uint16_t misc, const void *body, size_t bytes)
{
	struct { uint32_t type; uint16_t misc, size; } header = {
		type, misc, (uint16_t)(sizeof(header) + bytes)
	};

	put(f, &header, sizeof(header));
	put(f, body, bytes);
}

/* perf.data as perf writes it into a pipe: one process, one file, given samples. */
static void write_perf_data(const char *path, const struct file *file,
			    const uint64_t *offsets, size_t nr)
{
	static const uint64_t magic[2] = { 0x32454c4946524550, 16 };
	struct { uint32_t type, size; uint64_t words[13], id; } attr = {
		.type = 1, .size = 112, .words = { 0, 1, 3 }, .id = 1,
	};
	struct { uint32_t pid, tid; char name[8]; } comm = { 9, 9, "x" };
	struct {
		uint32_t pid, tid;
		uint64_t start, len, offset;
		uint32_t numbers[2];
		uint64_t inode[2];
		uint32_t prot, flags;
		char path[256];
	} map = { .pid = 9, .tid = 9, .prot = 5, .flags = 2 };
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	put(f, magic, sizeof(magic));
	put_record(f, 64, 0, &attr, sizeof(attr));
	put_record(f, 3, 0, &comm, sizeof(comm));
	for (size_t i = 0; i < file->id.nr_segments; i++) {
		const struct elfid_segment *s = &file->id.segments[i];

		map.offset = s->offset & ~4095ull;
		map.start = BASE + map.offset;
		map.len = ((s->offset + s->size_bytes + 4095) & ~4095ull) - map.offset;
		snprintf(map.path, sizeof(map.path), "%s", file->mod->path);
		if (s->executable)
			put_record(f, 10, 2, &map, sizeof(map));
	}
	for (size_t i = 0; i < nr; i++) {
		struct { uint64_t ip; uint32_t pid, tid; } sample = { BASE + offsets[i], 9, 9 };

		put_record(f, 9, 2, &sample, sizeof(sample));
	}
	assert_int_equal(fclose(f), 0);
}

/*
 * perf takes PLT stubs to be in the order of the relocations, which they are
 * not always, and lets _init and _fini reach over whatever follows them; data
 * in sections of code are functions to it.
 */
static bool is_known_difference(const char *theirs, const char *ours)
{
	size_t len = strlen(theirs), our_len = strlen(ours);

	return (len >= 4 && !strcmp(theirs + len - 4, "@plt")) ||
	       (our_len >= 4 && !strcmp(ours + our_len - 4, "@plt")) ||
	       !strcmp(theirs, "_init") || !strcmp(theirs, "_fini");
}

static void check_perf(const char *path, size_t nr)
{
	uint64_t *offsets = calloc(nr, sizeof(*offsets));
	char data[64], line[8192];
	struct file file;
	size_t i = 0, nr_same = 0;
	FILE *f;

	file_open(&file, path);
	for (size_t k = 0; k < nr; k++) {
		const struct elfid_segment *s = file.id.segments;

		while (!s->executable)
			s++;
		offsets[k] = s->offset + (uint64_t)random() % s->size_bytes;
	}
	snprintf(data, sizeof(data), "%s/perf.data", folder);
	write_perf_data(data, &file, offsets, nr);
	f = run("perf script -i %s -F ip,sym 2>/dev/null", data);
	while (fgets(line, sizeof(line), f)) {
		char *theirs;
		const char *ours = "[unknown]";
		struct symbol sym;

		line[strcspn(line, "\n")] = '\0';
		if (!strtoull(line, &theirs, 16))
			continue;
		assert_true(i < nr);
		assert_int_equal(strtoull(line, NULL, 16) - BASE, offsets[i]);
		if (!symbolizer_find(file.symbolizer, file.mod->id, offsets[i], &sym))
			ours = sym.name;
		theirs += strspn(theirs, " ");
		if (strcmp(theirs, ours) && !is_known_difference(theirs, ours))
			assert_string_equal(ours, theirs);
		nr_same += !strcmp(theirs, ours);
		i++;
	}
	pclose(f);
	assert_int_equal(i, nr);
	assert_true(nr_same * 10 >= nr * 8);
	free(offsets);
	file_close(&file);
}

/* A library that this very machine's compiler links with. */
static void check_library(const char *name)
{
	FILE *f = run("realpath $(${CC:-cc} -print-file-name=%s)", name);
	char path[4096] = "";

	assert_non_null(fgets(path, sizeof(path), f));
	pclose(f);
	path[strcspn(path, "\n")] = '\0';
	if (!access(path, R_OK))
		check_perf(path, 3000);
}

static void test_perf(void **state)
{
	(void)state;
	if (system("perf --version >/dev/null 2>&1"))
		skip();
	srandom(17);
	/* Behind a function within another perf does not find the outer one again. */
	for (size_t i = 0; i < NR_PROGRAMS; i++)
		if (strcmp(programs[i], "names"))
			check_perf(program(programs[i]), 1000);
	check_library("libstdc++.so.6");
	check_library("libc.so.6");
}

/* Both manglings that Rust has had. */
static void test_rust(void **state)
{
	static const char *const manglings[] = { "legacy", "v0" };
	char path[64];

	(void)state;
	if (system("rustc --version >/dev/null 2>&1") || system("perf --version >/dev/null 2>&1"))
		skip();
	for (size_t i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), "%s/rust", folder);
		if (pclose(run("rustc -A warnings -O -g -C symbol-mangling-version=%s -o %s"
			       " tests/programs/rust.rs 2>&1 || rustc -A warnings -O -g -o %s"
			       " tests/programs/rust.rs", manglings[i], path, path)))
			skip();
		check_perf(path, 1000);
	}
}

/* --- separate tables --------------------------------------------------------------- */

static void check_name(const char *path, uint64_t address, const char *expected)
{
	struct file file;
	const char *name;

	file_open(&file, path);
	name = name_at(&file, address, NULL);
	if (expected)
		assert_non_null(name);
	if (name && expected)
		assert_string_equal(name, expected);
	else
		assert_true(!name || strcmp(name, "burn_30"));
	file_close(&file);
}

static void test_debuglink(void **state)
{
	uint64_t size_bytes, address = address_of("shares", "burn_30", &size_bytes);
	char path[128];

	(void)state;
	shell("cd %s && cp %s full && objcopy --only-keep-debug full full.debug &&"
	      " objcopy -S --add-gnu-debuglink=full.debug full linked &&"
	      " objcopy -S full bare &&"
	      " objcopy -R .note.gnu.build-id full anon &&"
	      " objcopy --only-keep-debug anon anon.debug &&"
	      " objcopy -S --add-gnu-debuglink=anon.debug anon anon_linked",
	      folder, program("shares"));
	snprintf(path, sizeof(path), "%s/bare", folder);
	check_name(path, address, NULL);
	snprintf(path, sizeof(path), "%s/linked", folder);
	check_name(path, address, "burn_30");
	/* Without a build-id the checksum decides. */
	snprintf(path, sizeof(path), "%s/anon_linked", folder);
	check_name(path, address, "burn_30");
	shell("echo >>%s/anon.debug", folder);
	check_name(path, address, NULL);
	/* The file of another program is not taken. */
	shell("cd %s && objcopy --only-keep-debug %s full.debug", folder, program("shares_nopie"));
	snprintf(path, sizeof(path), "%s/linked", folder);
	check_name(path, address, NULL);
	/* In a folder of its own. */
	shell("cd %s && mkdir .debug && objcopy --only-keep-debug full .debug/full.debug", folder);
	check_name(path, address, "burn_30");
}

static void test_debugdata(void **state)
{
	uint64_t size_bytes, address = address_of("shares", "burn_30", &size_bytes);
	char path[128];

	(void)state;
	if (system("xz --version >/dev/null 2>&1"))
		skip();
	shell("cd %s && cp %s full && objcopy -S full bare &&"
	      " objcopy --only-keep-debug full mini && xz -k -f mini &&"
	      " objcopy --add-section .gnu_debugdata=mini.xz bare packed &&"
	      " head -c 3000 mini.xz >cut.xz &&"
	      " objcopy --add-section .gnu_debugdata=cut.xz bare packed_badly",
	      folder, program("shares"));
	snprintf(path, sizeof(path), "%s/packed", folder);
	check_name(path, address, "burn_30");
	snprintf(path, sizeof(path), "%s/packed_badly", folder);
	check_name(path, address, NULL);
}

static int make_folder(void **state)
{
	(void)state;
	return !mkdtemp(folder);
}

static int remove_folder(void **state)
{
	(void)state;
	shell("rm -rf %s", folder);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nm),
		cmocka_unit_test(test_addr2line),
		cmocka_unit_test(test_perf),
		cmocka_unit_test(test_rust),
		cmocka_unit_test(test_debuglink),
		cmocka_unit_test(test_debugdata),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
