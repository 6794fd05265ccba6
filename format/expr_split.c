#include "format/expr_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct splitter {
	struct expr *e;			/* the whole, which is sound */
	expr_wants_fn wants;
	void *ctx;
	char *texts[2];			/* no, yes */
	bool used[2];
};

/* A blank for each character, so that columns stay. */
static char *blanks(const char *from, const char *end)
{
	size_t nr = 0;
	char *text;

	for (; from < end; from++)
		nr += ((unsigned char)*from & 0xc0) != 0x80;
	text = malloc(nr + 1);
	if (text) {
		memset(text, ' ', nr);
		text[nr] = '\0';
	}
	return text;
}

/* Appends [from, end), or blanks of that width. */
static int append(char **to, const char *from, const char *end, bool blank)
{
	char *more = blank ? blanks(from, end) : strndup(from, (size_t)(end - from)), *text;

	text = more ? realloc(*to, strlen(*to) + strlen(more) + 1) : NULL;
	if (text) {
		strcat(text, more);
		*to = text;
	}
	free(more);
	return text ? 0 : -ENOMEM;
}

/* The condition [from, end); before it, an && unless it is the first. */
static int sort_condition(struct splitter *s, const char *joint, const char *from,
			  const char *end, struct diag *d)
{
	char *text = strndup(from, (size_t)(end - from));
	struct expr *part;
	int err = text ? expr_parse(&part, text, d) : -ENOMEM;
	bool is;

	free(text);
	if (err)
		return err;
	is = s->wants(s->ctx, part);
	expr_free(part);
	for (int i = 0; i < 2 && !err; i++) {
		bool mine = is == (i != 0);

		err = append(&s->texts[i], joint, from, !mine || !s->used[i]);
		if (!err)
			err = append(&s->texts[i], from, end, !mine);
		s->used[i] |= mine;
	}
	return err;
}

/* The next && outside of parentheses, or the end.  *has_or: there is an || there. */
static int find_joint(struct splitter *s, const char *from, const char **joint, bool *has_or,
		      struct diag *d)
{
	struct expr_token t;
	int depth = 0, err;

	for (;; from = t.at + t.len_bytes) {
		err = expr_lex(s->e, from, &t, d);
		if (err)
			return err;
		*joint = t.at;
		if (t.kind == TOKEN_END)
			return 0;
		if (t.kind != TOKEN_SIGN)
			continue;
		/* Of a sign, the lexer tells where it starts. */
		t.len_bytes = 1;
		if (*t.at == '(' || *t.at == ')')
			depth += *t.at == '(' ? 1 : -1;
		else if (!strncmp(t.at, "&&", 2) || !strncmp(t.at, "||", 2))
			t.len_bytes = 2;
		if (t.len_bytes == 2 && !depth) {
			if (*t.at == '&')
				return 0;
			*has_or = true;
		}
	}
}

static int split(struct splitter *s, struct diag *d)
{
	const char *from = expr_source(s->e), *joint = from, *start = from;
	bool has_or = false;
	int err = 0;

	for (const char *at = from; !err && !has_or; at += 2) {
		err = find_joint(s, at, &at, &has_or, d);
		if (err || !*at)
			break;
	}
	if (err || has_or)
		return err ? err : sort_condition(s, start, start, start + strlen(start), d);
	for (;;) {
		const char *end;

		err = find_joint(s, from, &end, &has_or, d);
		if (!err)
			err = sort_condition(s, joint, from, end, d);
		if (err || !*end)
			return err;
		joint = end;
		from = end + 2;
	}
}

int expr_split(const char *text, expr_wants_fn wants, void *ctx, char **yes, char **no,
	       struct diag *d)
{
	struct splitter s = { .wants = wants, .ctx = ctx };
	int err = expr_parse(&s.e, text, d);

	if (err)
		return err;
	s.texts[0] = strdup("");
	s.texts[1] = strdup("");
	err = s.texts[0] && s.texts[1] ? split(&s, d) : -ENOMEM;
	expr_free(s.e);
	for (int i = 0; i < 2; i++) {
		if (!err && s.used[i])
			continue;
		free(s.texts[i]);
		s.texts[i] = NULL;
	}
	*yes = s.texts[1];
	*no = s.texts[0];
	return err ? diag_set(d, err, "out of memory") : 0;
}

const char *expr_braces_end(const char *at, const char *end)
{
	char quote = '\0';

	for (at++; at < end; at++) {
		if (quote && *at == '\\' && at + 1 < end)
			at++;
		else if (quote)
			quote = *at == quote ? '\0' : quote;
		else if (*at == '"' || *at == '\'')
			quote = *at;
		else if (*at == '}')
			return at;
	}
	return NULL;
}
