#include "report/folded.h"

#include <string.h>

#include "report/escape.h"

/* "[libc.so.6]" for an address in it that has no name. */
static void put_module(struct bytebuf *to, const char *module)
{
	const char *slash = strrchr(module, '/');

	if (strcmp(module, "[unknown]") == 0) {
		bytebuf_text(to, module);
		return;
	}
	if (slash)
		module = slash + 1;
	bytebuf_text(to, "[");
	escape_folded(to, module, strlen(module));
	bytebuf_text(to, "]");
}

/* A Go method such as "net/http.(*Client).Do": the pattern ".(...)." */
static bool is_go_method(const char *text, size_t len)
{
	for (size_t i = 0; i + 1 < len; i++) {
		if (text[i] != '.' || text[i + 1] != '(')
			continue;
		for (size_t k = i + 2; k + 1 < len; k++)
			if (text[k] == ')' && text[k + 1] == '.')
				return true;
	}
	return false;
}

/* Where the arguments start; the end when there are none. */
static size_t arguments_at(const char *text, size_t len)
{
	static const char anonymous[] = "(anonymous namespace)";
	size_t skip = sizeof(anonymous) - 1;

	for (size_t i = 0; i < len; i++)
		if (text[i] == '(' &&
		    (len - i < skip || memcmp(text + i, anonymous, skip) != 0))
			return i;
	return len;
}

/* Tidies what stands in the buffer from `start` on, in place. */
static void tidy(struct bytebuf *b, size_t start, bool java)
{
	char *text = (char *)b->data + start;
	size_t len = b->len - start, to = 0;

	if (len && !is_go_method(text, len))
		len = arguments_at(text, len);
	for (size_t i = 0; i < len; i++)
		if (text[i] != '"' && text[i] != '\'')
			text[to++] = text[i];
	len = to;
	if (java && len && text[0] == 'L' && memchr(text, '/', len))
		memmove(text, text + 1, --len);
	b->len = start + len;
}

static bool ends_with(const char *text, const char *end)
{
	size_t len = strlen(text), end_len = strlen(end);

	return len >= end_len && strcmp(text + len - end_len, end) == 0;
}

static bool contains(const struct bytebuf *b, size_t start, const char *what)
{
	size_t len = strlen(what);

	for (size_t i = start; i + len <= b->len; i++)
		if (memcmp(b->data + i, what, len) == 0)
			return true;
	return false;
}

void folded_frame(struct bytebuf *to, const struct frame_name *f,
		  const struct folded_opts *opts, bool java)
{
	size_t start = to->len;
	const char *m = f->module;

	if (strcmp(f->symbol, "[unknown]") == 0)
		put_module(to, m);
	else
		escape_folded(to, f->symbol, strlen(f->symbol));
	if (to->err)
		return;
	tidy(to, start, java);
	if (f->kind == MODULE_JIT) {
		if (opts->mark_jit && !contains(to, start, "_[j]"))
			bytebuf_text(to, "_[j]");
	} else if (opts->mark_kernel && (*m == '[' || ends_with(m, "vmlinux")) &&
		   !strstr(m, "unknown")) {
		bytebuf_text(to, "_[k]");
	}
}
