/* Whatever text there is becomes an expression or one sentence, and globs end. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "format/expr.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int resolve(void *ctx, const char *name, uint32_t var, enum expr_type *type)
{
	(void)ctx;
	(void)var;
	*type = *name == 's' ? EXPR_STRING : *name == 'u' ? EXPR_UNSIGNED : EXPR_SIGNED;
	return strlen(name) > 20 ? -2 : 0;
}

static struct expr_value get(void *ctx, uint32_t var)
{
	const char *text = ctx;

	return (struct expr_value) {
		.number = var * 0x9e3779b97f4a7c15u, .text = text, .len_bytes = strlen(text),
	};
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1), *rest;
	struct diag d = { "" };
	struct expr *e;
	int err;

	if (!text)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	/* What stands after the first NUL is the text of the fields. */
	rest = text + strlen(text);
	if (rest < text + size)
		rest++;
	err = expr_parse(&e, text, &d);
	if (!err) {
		err = expr_bind(e, resolve, NULL, "s, u", &d);
		if (!err)
			expr_true(e, get, rest);
		expr_free(e);
	}
	if (err && !d.text[0])
		abort();
	expr_glob(text, strlen(text), rest, strlen(rest));
	free(text);
	return 0;
}
