#include "record/syscallargs.h"

#include <stddef.h>
#include <string.h>

#include "format/schema.h"
#include "record/probe.h"
#include "record/syscallargs_names.h"

enum kind {
	KIND_SIGNED,
	KIND_UNSIGNED,
	KIND_HEX,
	KIND_SIGNED_WORD,
	KIND_SIZE,
	KIND_WORD,		/* flags in 64 bits */
	KIND_HEX_WORD,
	KIND_MODE,
	KIND_ADDRESS,
	KIND_PATH,
	KIND_NAME,		/* a text that is no path: of an attribute, a file system */
	KIND_RESULT,
	KIND_ADDRESS_RESULT,
	KIND_OCTAL_RESULT,
};

static const struct syscallargs kinds[] = {
	[KIND_SIGNED] = { .size = 4, .is_signed = true },
	[KIND_UNSIGNED] = { .size = 4 },
	[KIND_HEX] = { .size = 4, .hint = HINT_HEX },
	[KIND_SIGNED_WORD] = { .size = 8, .is_signed = true },
	[KIND_SIZE] = { .size = 8 },
	[KIND_WORD] = { .size = 8 },
	[KIND_HEX_WORD] = { .size = 8, .hint = HINT_HEX },
	/* umode_t: glibc leaves what it likes above it. */
	[KIND_MODE] = { .size = 2, .hint = HINT_OCTAL },
	[KIND_ADDRESS] = { .size = 8, .is_pointer = true, .hint = HINT_HEX },
	[KIND_PATH] = { .is_string = true, .max_bytes = PROBE_STRING_BYTES, .size = 8,
			.class = CLASS_PATH },
	[KIND_NAME] = { .is_string = true, .max_bytes = PROBE_STRING_BYTES, .size = 8,
			.class = CLASS_ARGUMENT },
	[KIND_RESULT] = { .size = 8, .is_signed = true, .hint = HINT_ERRNO },
	[KIND_ADDRESS_RESULT] = { .size = 8, .is_signed = true, .hint = HINT_HEX },
	[KIND_OCTAL_RESULT] = { .size = 8, .is_signed = true, .hint = HINT_OCTAL },
};

static const struct row {
	const char *calls, *args;
	enum kind kind;
	enum syscallargs_names names;
} rows[] = {
#define A(calls, args, kind, names) { calls, args, KIND_##kind, NAMES_##names },
#include "record/syscallargs.def"
#undef A
};

/* Is a word one of a list with commas. */
static bool lists(const char *list, const char *word)
{
	size_t len = strlen(word);

	while (*list) {
		size_t n = strcspn(list, ",");

		if (n == len && !memcmp(list, word, len))
			return true;
		list += n + (list[n] == ',');
	}
	return false;
}

bool syscallargs_find(const char *call, const char *arg, struct syscallargs *out)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct row *r = &rows[i];

		if (!lists(r->args, arg) || (strcmp(r->calls, "*") && !lists(r->calls, call)))
			continue;
		*out = kinds[r->kind];
		out->values = syscallargs_names(r->names);
		return true;
	}
	return false;
}

void syscallargs_of_type(const char *type, struct syscallargs *out)
{
	static const struct {
		const char *types;
		enum kind kind;
	} known[] = {
		{ "int,__s32,s32,pid_t,clockid_t,timer_t,key_t,mqd_t,key_serial_t,rwf_t",
		  KIND_SIGNED },
		{ "unsigned int,unsigned,u32,__u32,uid_t,gid_t,qid_t", KIND_UNSIGNED },
		{ "umode_t", KIND_MODE },
		{ "long,loff_t,off_t", KIND_SIGNED_WORD },
		{ "size_t", KIND_SIZE },
	};

	*out = kinds[strchr(type, '*') ? KIND_ADDRESS : KIND_HEX_WORD];
	if (!strncmp(type, "const ", 6))
		type += 6;
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (lists(known[i].types, type))
			*out = kinds[known[i].kind];
	if (!strncmp(type, "enum ", 5))
		*out = kinds[KIND_UNSIGNED];
}

bool syscallargs_are_gone_after(const char *call)
{
	return lists("execve,execveat,exit,exit_group,rt_sigreturn", call);
}
