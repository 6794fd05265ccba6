/* What frames are called, with all dictionaries at hand and while they still come. */
#include "report/names.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "tests/unit/memory_trace.h"

enum { KERNEL = 1, EXT4, BPF_A, BPF_B, PROGRAM, PROGRAM_AGAIN, VDSO, JIT, NO_PATH };

static const struct {
	uint32_t kind;
	const char *path;
	const char *shown;
} modules[] = {
	[KERNEL] = { MODULE_KERNEL, "vmlinux", "[kernel.kallsyms]" },
	[EXT4] = { MODULE_KERNEL_MODULE, "ext4", "[ext4]" },
	[BPF_A] = { MODULE_BPF, "bpf_prog_a", "[bpf]" },
	[BPF_B] = { MODULE_BPF, "bpf_prog_b", "[bpf]" },
	[PROGRAM] = { MODULE_ELF, "/bin/program", "/bin/program" },
	[PROGRAM_AGAIN] = { MODULE_ELF, "/bin/program", "/bin/program" },
	[VDSO] = { MODULE_VDSO, "linux-vdso", "[vdso]" },
	[JIT] = { MODULE_JIT, "//anon", "[jit]" },
	[NO_PATH] = { MODULE_ELF, "", "[unknown]" },
};

#define NR_MODULES (sizeof(modules) / sizeof(modules[0]))

static const struct event_desc event = {
	.name = "e", .nr_fields = 1,
	.fields = &(const struct field_desc) {
		"time", FIELD_UNSIGNED, ROLE_TIME, 0, 0, "ns", NULL },
};

static uint32_t string(struct writer *w, const char *text)
{
	return writer_string(w, CLASS_SYMBOL, text, strlen(text));
}

/* Frames of module m: 2m - 1 at 0x10, in its symbol, and 2m at 0x80, past it. */
static void write_trace(struct bytebuf *to)
{
	const struct writer_output output = { .put = memory_put, .ctx = to };
	uint64_t time_ns = 1;
	struct writer *w;

	assert_int_equal(writer_open(&w, &output, 1, 1), 0);
	assert_int_equal(writer_event(w, &event), 1);
	for (uint32_t m = 1; m < NR_MODULES; m++) {
		writer_module(w, &(struct writer_module) {
			.id = m, .kind = modules[m].kind, .bias = 0x1000,
			.path = writer_string(w, CLASS_PATH, modules[m].path,
					      strlen(modules[m].path)),
		});
		assert_int_equal(writer_frame(w, m, 0x10), 2 * m - 1);
		assert_int_equal(writer_frame(w, m, 0x80), 2 * m);
		writer_stack(w, writer_stack(w, 0, 2 * m - 1), 2 * m);
	}
	for (uint32_t special = FRAME_UNKNOWN; special <= FRAME_NO_STACK; special++)
		writer_stack(w, 0, writer_frame(w, 0, special));
	writer_record(w, 1, &time_ns);
	assert_int_equal(writer_flush(w, 1), 0);
	for (uint32_t m = 1; m < NR_MODULES; m++)
		writer_symbol(w, m, 0x8, 0x20, string(w, "work"));
	writer_symbol(w, EXT4, 0x70, 0x20, string(w, "\x1b<script>"));
	assert_int_equal(writer_close(w), 0);
}

static void check_specials(struct names *n)
{
	uint32_t first = 2 * (NR_MODULES - 1) + 1;

	assert_string_equal(names_frame(n, first)->symbol, "[unknown]");
	assert_false(names_frame(n, first)->resolved);
	assert_string_equal(names_frame(n, first + 1)->symbol, "[truncated]");
	assert_true(names_frame(n, first + 1)->resolved);
	assert_string_equal(names_frame(n, first + 2)->symbol, "[no stack]");
	assert_int_equal(names_frame(n, first + 2)->kind, MODULE_SPECIAL);
	/* Whatever a file says, there is an answer. */
	assert_string_equal(names_frame(n, 0)->symbol, "[unknown]");
	assert_ptr_equal(names_frame(n, UINT32_MAX), names_frame(n, 0));
	assert_int_equal(names_frame(n, 0)->symbol_id, names_frame(n, first)->symbol_id);
}

static void check_all(struct names *n)
{
	for (uint32_t m = 1; m < NR_MODULES; m++) {
		const struct frame_name *in = names_frame(n, 2 * m - 1);
		const struct frame_name *past = names_frame(n, 2 * m);

		assert_string_equal(in->module, modules[m].shown);
		assert_string_equal(in->symbol, "work");
		assert_true(in->resolved);
		assert_int_equal(in->address, 0x1010);
		assert_int_equal(in->symbol_offset, 0x8);
		assert_int_equal(in->kind, modules[m].kind);
		assert_int_equal(past->module_id, in->module_id);
		assert_int_equal(past->resolved, m == EXT4);
		assert_string_equal(past->symbol, m == EXT4 ? "\x1b<script>" : "[unknown]");
		assert_string_equal(names_symbol(n, in->symbol_id)->symbol, "work");
		assert_string_equal(names_symbol(n, past->symbol_id)->symbol, past->symbol);
		assert_string_equal(names_module(n, in->module_id)->module, modules[m].shown);
		assert_ptr_equal(names_frame(n, 2 * m - 1), in);
	}
	assert_int_equal(names_frame(n, 2 * PROGRAM)->symbol_id,
			 names_frame(n, 2 * PROGRAM_AGAIN)->symbol_id);
	assert_int_equal(names_frame(n, 2 * BPF_A)->symbol_id,
			 names_frame(n, 2 * BPF_B)->symbol_id);
	assert_int_not_equal(names_frame(n, 2 * VDSO)->symbol_id,
			     names_frame(n, 2 * JIT)->symbol_id);
	check_specials(n);
	assert_null(names_symbol(n, 0));
	assert_null(names_symbol(n, names_nr_symbols(n)));
	assert_null(names_module(n, names_nr_modules(n)));
	assert_int_equal(names_error(n), 0);
}

static void names_frames_of_a_file(void **state)
{
	struct bytebuf bytes;
	struct memory m = { 0 };
	struct trace *t;
	struct names *n;
	struct diag d;

	(void)state;
	bytebuf_init(&bytes);
	write_trace(&bytes);
	m.data = bytes.data;
	m.len = bytes.len;
	assert_int_equal(memory_open(&t, &m, &d), 0);
	assert_int_equal(names_new(&n, t), 0);
	check_all(n);
	names_free(n);
	trace_close(t);
	bytebuf_release(&bytes);
}

static void names_frames_again_on_a_pipe(void **state)
{
	const struct trace_want want = { .last_ns = UINT64_MAX };
	struct bytebuf bytes;
	struct memory m = { .stream = true, .step = 1000 };
	const struct frame_name *early;
	struct trace_batch batch;
	uint32_t unknown;
	struct trace *t;
	struct names *n;
	struct diag d;

	(void)state;
	bytebuf_init(&bytes);
	write_trace(&bytes);
	m.data = bytes.data;
	m.len = bytes.len;
	assert_int_equal(memory_open(&t, &m, &d), 0);
	assert_int_equal(names_new(&n, t), 0);
	assert_int_equal(trace_next(t, &want, &batch, &d), 1);
	early = names_frame(n, 2 * EXT4);
	assert_string_equal(early->symbol, "[unknown]");
	assert_string_equal(early->module, "[ext4]");
	unknown = early->symbol_id;
	assert_int_equal(trace_next(t, &want, &batch, &d), 0);
	assert_ptr_equal(names_frame(n, 2 * EXT4), early);
	assert_int_not_equal(early->symbol_id, unknown);
	/* What stood for the unknown ones stands for them still. */
	assert_string_equal(names_symbol(n, unknown)->symbol, "[unknown]");
	check_all(n);
	names_free(n);
	trace_close(t);
	bytebuf_release(&bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_frames_of_a_file),
		cmocka_unit_test(names_frames_again_on_a_pipe),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
