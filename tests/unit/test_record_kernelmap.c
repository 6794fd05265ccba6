/* Kernel addresses against /proc/kallsyms, and BPF programs. */
#define _GNU_SOURCE
#include "record/kernelmap.h"

#include "record/kallsyms.h"
#include "record/symbolize.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

struct fixture {
	struct modules *modules;
	struct kernelmap *kernel;
	struct symbolizer *symbolizer;
};

static int open_all(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	assert_int_equal(modules_new(&f->modules), 0);
	assert_int_equal(kernelmap_open(&f->kernel, f->modules), 0);
	assert_int_equal(symbolizer_open(&f->symbolizer, f->modules, f->kernel), 0);
	*state = f;
	return 0;
}

static int close_all(void **state)
{
	struct fixture *f = *state;

	symbolizer_close(f->symbolizer);
	kernelmap_close(f->kernel);
	modules_free(f->modules);
	free(f);
	return 0;
}

#define MAX_ALIASES 256

/* A symbol of the kernel proper, as the text of kallsyms has it. */
struct line {
	uint64_t address;
	char name[256];
};

/* All names of an address. */
struct aliases {
	uint64_t address;
	char names[MAX_ALIASES][256];
	size_t nr;
};

static void add_alias(struct aliases *a, const struct line *l)
{
	if (a->address != l->address)
		a->nr = 0;
	a->address = l->address;
	assert_true(a->nr < MAX_ALIASES);
	strcpy(a->names[a->nr++], l->name);
}

static bool has_alias(const struct aliases *a, const char *name)
{
	for (size_t i = 0; i < a->nr; i++)
		/* Rust's are shown as they were written. */
		if (!strncmp(a->names[i], "_R", 2) || !strcmp(a->names[i], name))
			return true;
	return false;
}

static bool read_line(FILE *f, struct line *l, bool *text)
{
	char line[1024], type;

	if (!fgets(line, sizeof(line), f))
		return false;
	assert_int_equal(sscanf(line, "%" SCNx64 " %c %255s", &l->address, &type, l->name), 3);
	*text = strchr("tTwW", type) && !strchr(line, '[') && strncmp(l->name, "__pfx_", 6);
	return true;
}

/* Every hundredth function: one of its names, from start to end. */
static void test_names(void **state)
{
	struct fixture *fixture = *state;
	static struct aliases before;
	struct line l;
	FILE *f = fopen("/proc/kallsyms", "r");
	size_t nr = 0, nr_checked = 0;
	bool text;

	if (kernelmap_hidden(fixture->kernel))
		skip();
	assert_non_null(f);
	while (read_line(f, &l, &text)) {
		struct symbol sym;
		uint64_t offset;
		uint32_t module;

		if (!text)
			continue;
		if (before.nr && l.address > before.address && nr++ % 100 == 0) {
			module = kernelmap_find(fixture->kernel, before.address, &offset);
			assert_int_equal(modules_get(fixture->modules, module)->kind,
					 MODULE_KERNEL);
			assert_int_equal(symbolizer_find(fixture->symbolizer, module, offset,
							 &sym), 0);
			if (!has_alias(&before, sym.name))
				fail_msg("%s is not a name of %s", sym.name, before.names[0]);
			assert_int_equal(sym.start, offset);
			assert_true(sym.size_bytes > 0);
			assert_true(sym.size_bytes <= l.address - before.address);
			offset += sym.size_bytes - 1;
			assert_int_equal(symbolizer_find(fixture->symbolizer, module, offset,
							 &sym), 0);
			assert_int_equal(sym.start + sym.size_bytes, offset + 1);
			nr_checked++;
		}
		add_alias(&before, &l);
	}
	fclose(f);
	assert_true(nr_checked > 100);
}

static void test_unknown(void **state)
{
	struct fixture *f = *state;
	struct symbol sym;
	uint64_t offset;

	assert_int_equal(kernelmap_find(f->kernel, 0x1000, &offset), 0);
	assert_int_equal(offset, 0x1000);
	assert_int_equal(kernelmap_find(f->kernel, UINT64_MAX, &offset), 0);
	assert_int_equal(symbolizer_find(f->symbolizer, 0, 5, &sym), -ENOENT);
	assert_int_equal(symbolizer_find(f->symbolizer, 99999, 5, &sym), -ENOENT);
}

#define AREA 0xffffffffffd00000ull

static const char *path_at(struct fixture *f, uint64_t address, uint64_t *offset)
{
	uint32_t module = kernelmap_find(f->kernel, address, offset);

	return module ? modules_get(f->modules, module)->path : NULL;
}

/* Code comes, is replaced by other code, and goes. */
static void test_notes(void **state)
{
	struct fixture *f = *state;
	struct symbol sym;
	uint64_t offset;
	uint32_t module;

	kernelmap_add(f->kernel, "bpf_prog_1_a", AREA, 100);
	kernelmap_add(f->kernel, "bpf_prog_2_b", AREA + 200, 100);
	assert_string_equal(path_at(f, AREA + 99, &offset), "bpf_prog_1_a");
	assert_int_equal(offset, 99);
	assert_null(path_at(f, AREA + 100, &offset));
	assert_string_equal(path_at(f, AREA + 200, &offset), "bpf_prog_2_b");
	module = kernelmap_find(f->kernel, AREA + 210, &offset);
	assert_int_equal(symbolizer_find(f->symbolizer, module, offset, &sym), 0);
	assert_string_equal(sym.name, "bpf_prog_2_b");
	assert_int_equal(sym.start, 0);
	assert_int_equal(sym.size_bytes, 100);
	kernelmap_remove(f->kernel, AREA + 200);
	assert_null(path_at(f, AREA + 210, &offset));
	/* What is gone keeps its name. */
	assert_int_equal(symbolizer_find(f->symbolizer, module, 10, &sym), 0);
	kernelmap_remove(f->kernel, AREA + 1);
	assert_string_equal(path_at(f, AREA, &offset), "bpf_prog_1_a");
	kernelmap_add(f->kernel, "bpf_prog_3_c", AREA + 50, 400);
	assert_string_equal(path_at(f, AREA + 449, &offset), "bpf_prog_3_c");
	assert_null(path_at(f, AREA, &offset));
	kernelmap_add_code(f->kernel, "late", AREA + 60, 10);
	assert_string_equal(path_at(f, AREA + 60, &offset), "bpf_prog_3_c");
	kernelmap_add_module(f->kernel, "[mod]", AREA + 4096, 4096);
	assert_string_equal(path_at(f, AREA + 5000, &offset), "[mod]");
	assert_int_equal(offset, 5000 - 4096);
}

/* The address of a program that was loaded before us or behind our back. */
static uint64_t loaded_address(int fd)
{
	struct bpf_prog_info info = { 0 };
	uint32_t len = sizeof(info);
	uint64_t address = 0;

	info.nr_jited_ksyms = 1;
	info.jited_ksyms = (uintptr_t)&address;
	if (bpf_obj_get_info_by_fd(fd, &info, &len) < 0)
		return 0;
	return address;
}

static void test_bpf_program(void **state)
{
	const struct bpf_insn code[] = {
		{ .code = 0xb7 },	/* r0 = 0 */
		{ .code = 0x95 },	/* exit */
	};
	struct fixture *f = *state;
	struct symbol sym;
	uint64_t offset, address;
	uint32_t module;
	int fd = bpf_prog_load(BPF_PROG_TYPE_SOCKET_FILTER, "kymo_test", "GPL", code, 2, NULL);

	if (fd < 0)
		skip();
	address = loaded_address(fd);
	if (!address) {
		close(fd);
		skip();
	}
	module = kernelmap_find(f->kernel, address + 1, &offset);
	assert_true(module > 0);
	assert_int_equal(modules_get(f->modules, module)->kind, MODULE_BPF);
	assert_int_equal(offset, 1);
	assert_int_equal(symbolizer_find(f->symbolizer, module, offset, &sym), 0);
	assert_int_equal(strncmp(sym.name, "bpf_prog_", 9), 0);
	assert_string_equal(sym.name + strlen(sym.name) - 10, "_kymo_test");
	/* As the kernel itself calls it. */
	if (!system("grep -q bpf_prog_ /proc/kallsyms")) {
		char command[256];

		snprintf(command, sizeof(command), "grep -qw %s /proc/kallsyms", sym.name);
		assert_int_equal(system(command), 0);
	}
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_names, open_all, close_all),
		cmocka_unit_test_setup_teardown(test_unknown, open_all, close_all),
		cmocka_unit_test_setup_teardown(test_notes, open_all, close_all),
		cmocka_unit_test_setup_teardown(test_bpf_program, open_all, close_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
