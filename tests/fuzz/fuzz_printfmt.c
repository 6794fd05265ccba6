/* Whatever format text there is, records print by it in bounds, or it is refused. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "report/printfmt.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct field_desc fields[] = {
	{ "time", FIELD_UNSIGNED, ROLE_TIME, 0, 0, "ns", NULL },
	{ "a", FIELD_SIGNED, ROLE_NONE, 0, 0, "", NULL },
	{ "b", FIELD_UNSIGNED, ROLE_NONE, 0, 0, "", NULL },
	{ "s", FIELD_BYTES, ROLE_NONE, 0, 0, "", NULL },
	{ "v[0]", FIELD_UNSIGNED, ROLE_NONE, 0, 0, "", NULL },
	{ "v[1]", FIELD_UNSIGNED, ROLE_NONE, 0, 0, "", NULL },
	{ "d", FIELD_BYTES, ROLE_NONE, 0, 0, "", NULL },
};

#define NR_FIELDS (sizeof(fields) / sizeof(fields[0]))

static const char lines[] =
	"\tfield:int a;\toffset:8;\tsize:4;\tsigned:1;\n"
	"\tfield:unsigned long b;\toffset:16;\tsize:8;\tsigned:0;\n"
	"\tfield:char s[16];\toffset:24;\tsize:16;\tsigned:0;\n"
	"\tfield:u8 v[2];\toffset:40;\tsize:2;\tsigned:0;\n"
	"\tfield:__data_loc u64[] d;\toffset:44;\tsize:4;\tsigned:0;\n";

static void print(const char *format, const uint8_t *bytes, size_t nr_bytes)
{
	const struct trace_event e = {
		.id = 1, .name = "e", .nr_fields = NR_FIELDS, .fields = fields, .format = format };
	const struct fieldtext ft = { .trace = NULL };
	uint64_t values[NR_FIELDS] = { 0 };
	struct query_record r = { .event = &e, .values = values, .bytes = bytes };
	struct bytebuf to;
	struct printfmt *p;

	if (printfmt_new(&p, &e))
		return;
	bytebuf_init(&to);
	for (size_t i = 0; i < 4; i++) {
		for (size_t k = 0; k < NR_FIELDS; k++)
			values[k] = i == 3 ? UINT64_MAX : i * 0x9e3779b97f4a7c15u >> k;
		values[3] = nr_bytes < 16 ? nr_bytes : 16;
		values[6] = nr_bytes;
		printfmt_put(p, &ft, &r, &to);
	}
	bytebuf_release(&to);
	printfmt_free(p);
}

/* As a whole format, and as the print fmt of fields that are there. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytebuf text;

	bytebuf_init(&text);
	bytebuf_put(&text, data, size);
	bytebuf_u8(&text, 0);
	print((const char *)text.data, data, size < 100 ? size : 100);
	bytebuf_clear(&text);
	bytebuf_put(&text, lines, sizeof(lines) - 1);
	bytebuf_put(&text, "\nprint fmt: ", strlen("\nprint fmt: "));
	bytebuf_put(&text, data, size);
	bytebuf_u8(&text, 0);
	print((const char *)text.data, data, size < 100 ? size : 100);
	bytebuf_release(&text);
	return 0;
}
