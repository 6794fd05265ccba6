#include "report/script.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "tests/unit/memory_trace.h"

/* A folder with a trace of one odd event that no view knows. */
struct fixture {
	char folder[64], trace[96], out[96];
};

static int put_file(void *ctx, const void *bytes, size_t size_bytes, bool droppable)
{
	(void)droppable;
	return fwrite(bytes, 1, size_bytes, ctx) == size_bytes ? 0 : -EIO;
}

static uint64_t float_bits(double d)
{
	uint64_t bits;

	memcpy(&bits, &d, sizeof(bits));
	return bits;
}

static void write_odd_event(struct writer *w)
{
	const struct field_desc fields[] = {
		{ "time", FIELD_UNSIGNED, ROLE_TIME, 0, 0, "ns", NULL },
		{ "task", FIELD_TASK, ROLE_TASK, 0, 0, "", NULL },
		{ "dev", FIELD_UNSIGNED, ROLE_NONE, HINT_HEX, 0, "", NULL },
		{ "delta", FIELD_SIGNED, ROLE_NONE, 0, 0, "", NULL },
		{ "ratio", FIELD_FLOAT, ROLE_NONE, 0, 0, "", NULL },
		{ "path", FIELD_STRING, ROLE_NONE, 0, CLASS_PATH, "", NULL },
		{ "how", FIELD_UNSIGNED, ROLE_NONE, HINT_CHAR, 0, "", NULL },
		{ "peer", FIELD_TASK, ROLE_TARGET, 0, 0, "", NULL },
	};
	const struct event_desc desc = { .name = "odd:event", .nr_fields = 8, .fields = fields };
	uint32_t event = writer_event(w, &desc);
	uint32_t comm = writer_string(w, CLASS_COMMAND, "V8 Worker", 9);
	uint32_t path = writer_string(w, CLASS_PATH, "/a,\"b\x1b", 6);

	writer_task(w, &(struct writer_task) { .id = 1, .pid = 10, .tid = 11, .comm = comm });
	writer_record(w, event, (uint64_t[]) {
		1500000999, 1, 0xbeef, (uint64_t)-5, float_bits(0.25), path, 'W', 1 });
	writer_record(w, event, (uint64_t[]) {
		2500000999, 77, 0, 5, float_bits(NAN), 0, 7, 0 });
}

static void fixture_open(struct fixture *f)
{
	struct writer_output out = { .put = put_file };
	struct writer *w;

	strcpy(f->folder, "/tmp/kymo-script-XXXXXX");
	assert_non_null(mkdtemp(f->folder));
	snprintf(f->trace, sizeof(f->trace), "%s/trace.kymo", f->folder);
	snprintf(f->out, sizeof(f->out), "%s/out", f->folder);
	out.ctx = fopen(f->trace, "wb");
	assert_non_null(out.ctx);
	assert_int_equal(writer_open(&w, &out, 1, 1), 0);
	write_odd_event(w);
	assert_int_equal(writer_close(w), 0);
	assert_int_equal(fclose(out.ctx), 0);
}

static void fixture_close(struct fixture *f)
{
	unlink(f->trace);
	unlink(f->out);
	assert_int_equal(rmdir(f->folder), 0);	/* so nothing else is left behind */
}

static void read_out(const struct fixture *f, char *text, size_t size_bytes)
{
	FILE *file = fopen(f->out, "rb");
	size_t len;

	assert_non_null(file);
	len = fread(text, 1, size_bytes - 1, file);
	text[len] = '\0';
	fclose(file);
}

static int run(struct fixture *f, const struct script_opts *opts, struct diag *d)
{
	struct output *o;
	struct query *q;
	int err;

	d->text[0] = '\0';
	assert_int_equal(query_open(&q, &(struct query_opts) { .input = f->trace }, d), 0);
	assert_int_equal(output_open(&o, f->out, d), 0);
	err = script_write(q, opts, o, d);
	if (err)
		output_abandon(o);
	else
		err = output_close(o, d);
	query_close(q);
	return err;
}

static void expect(struct fixture *f, const struct script_opts *opts, const char *wanted)
{
	char text[4096];
	struct diag d;

	assert_int_equal(run(f, opts, &d), 0);
	read_out(f, text, sizeof(text));
	assert_string_equal(text, wanted);
}

static void test_text(void **state)
{
	struct fixture f;

	(void)state;
	fixture_open(&f);
	expect(&f, &(struct script_opts) { .no_stack = true, .limit = 1 },
	       "       V8 Worker    11     1.500000: odd:event(dev=0xbeef, delta=-5, ratio=0.25, "
	       "path=\"/a,\\\"b\\x1b\", how=W, peer=V8 Worker:11)\n");
	expect(&f, &(struct script_opts) { .fields = "event,delta,trace", .limit = 1 },
	       "odd:event: delta=-5 (dev=0xbeef, ratio=0.25, "
	       "path=\"/a,\\\"b\\x1b\", how=W, peer=V8 Worker:11)\n");
	expect(&f, &(struct script_opts) { .no_stack = true, .relative = true, .ns = true,
		       .fields = "time,dev,how" },
	       " 0.000000000: dev=0xbeef how=W \n 1.000000000: dev=0x0 how=7 \n");
	expect(&f, &(struct script_opts) { .fields = "comm,pid,tid", .limit = 1 },
	       "       V8 Worker    10/11    \n");
	fixture_close(&f);
}

static void test_json(void **state)
{
	struct fixture f;

	(void)state;
	fixture_open(&f);
	expect(&f, &(struct script_opts) { .format = SCRIPT_JSON },
	       "{\"comm\":\"V8 Worker\",\"pid\":10,\"tid\":11,\"time\":1.500000999,"
	       "\"event\":\"odd:event\",\"fields\":{\"dev\":48879,\"delta\":-5,"
	       "\"ratio\":0.25,\"path\":\"/a,\\\"b\\u001b\",\"how\":\"W\","
	       "\"peer\":\"V8 Worker:11\"}}\n"
	       "{\"comm\":\"[unknown]\",\"pid\":0,\"tid\":0,\"time\":2.500000999,"
	       "\"event\":\"odd:event\",\"fields\":{\"dev\":0,\"delta\":5,\"ratio\":null,"
	       "\"path\":null,\"how\":7,\"peer\":null}}\n");
	fixture_close(&f);
}

static void test_csv(void **state)
{
	struct fixture f;

	(void)state;
	fixture_open(&f);
	expect(&f, &(struct script_opts) { .format = SCRIPT_CSV, .fields = "tid,path,delta,cpu" },
	       "tid,cpu,path,delta\n11,,\"/a,\"\"b\\x1b\",-5\n0,,,5\n");
	expect(&f, &(struct script_opts) { .format = SCRIPT_CSV, .fields = "tid,how,trace" },
	       "tid,how,dev,delta,ratio,path,peer\n"
	       "11,W,48879,-5,0.25,\"/a,\"\"b\\x1b\",V8 Worker:11\n"
	       "0,7,0,5,nan,,\n");
	fixture_close(&f);
}

static void test_bad_fields(void **state)
{
	static const char *const bad[] = { "nosuch", "comm,nosuch", "+nosuch", "-nosuch" };
	struct fixture f;
	struct diag d;

	(void)state;
	fixture_open(&f);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(run(&f, &(struct script_opts) { .fields = bad[i] }, &d), -EINVAL);
		assert_non_null(strstr(d.text, "no field 'nosuch'"));
	}
	fixture_close(&f);
}

/* --- output ---------------------------------------------------------------- */

static void write_text(struct fixture *f, const char *text, bool abandon)
{
	struct output *o;
	struct diag d = { "" };

	assert_int_equal(output_open(&o, f->out, &d), 0);
	output_format(o, "%s", text);
	if (abandon)
		output_abandon(o);
	else
		assert_int_equal(output_close(o, &d), 0);
}

static void test_output(void **state)
{
	char text[64], link_path[128];
	struct fixture f;
	struct stat st;

	(void)state;
	fixture_open(&f);
	write_text(&f, "one", false);
	assert_int_equal(chmod(f.out, 0640), 0);
	write_text(&f, "two", true);
	read_out(&f, text, sizeof(text));
	assert_string_equal(text, "one");
	/* Through a link the file is replaced, not the link; its rights stay. */
	snprintf(link_path, sizeof(link_path), "%s/link", f.folder);
	assert_int_equal(rename(f.out, link_path), 0);
	assert_int_equal(symlink("link", f.out), 0);
	write_text(&f, "three", false);
	read_out(&f, text, sizeof(text));
	assert_string_equal(text, "three");
	assert_int_equal(lstat(f.out, &st), 0);
	assert_true(S_ISLNK(st.st_mode));
	assert_int_equal(stat(f.out, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0640);
	unlink(link_path);
	fixture_close(&f);
}

static void test_output_fails(void **state)
{
	struct diag d = { "" };
	struct output *o;

	(void)state;
	assert_int_equal(output_open(&o, "/nonexistent/x", &d), -ENOENT);
	assert_string_equal(d.text, "cannot write '/nonexistent/x': No such file or directory");
	d.text[0] = '\0';
	assert_int_equal(output_open(&o, "/tmp", &d), -EISDIR);
	d.text[0] = '\0';
	assert_int_equal(output_open(&o, "/dev/full", &d), 0);
	for (int i = 0; i < 100000; i++)
		output_text(o, "0123456789");
	assert_int_equal(output_error(o), -ENOSPC);
	assert_int_equal(output_close(o, &d), -ENOSPC);
	assert_string_equal(d.text, "cannot write '/dev/full': No space left on device");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text), cmocka_unit_test(test_json),
		cmocka_unit_test(test_csv), cmocka_unit_test(test_bad_fields),
		cmocka_unit_test(test_output), cmocka_unit_test(test_output_fails),
	};

	return cmocka_run_group_tests_name("script", tests, NULL, NULL);
}
