/*
 * What the files of the expression language share.  Nobody else includes this.
 */
#ifndef FORMAT_EXPR_PRIVATE_H
#define FORMAT_EXPR_PRIVATE_H

#include "format/arena.h"
#include "format/expr.h"

#define EXPR_MAX_BYTES 4096	/* of the source */
#define EXPR_MAX_NODES 1000
#define EXPR_MAX_DEPTH 50	/* parentheses and operators of one operand */
#define EXPR_MAX_VARS 64

struct expr {
	struct arena arena;		/* texts */
	char *source;
	/* Operands stand before what uses them; never moved, for nodes point at nodes. */
	struct expr_node *nodes;
	size_t nr_nodes, cap_nodes;
	const struct expr_node *root;
	const char *vars[EXPR_MAX_VARS];
	enum expr_type var_types[EXPR_MAX_VARS];
	size_t nr_vars;
};

/* --- lexer ----------------------------------------------------------------------- */

enum expr_token_kind { TOKEN_END, TOKEN_NUMBER, TOKEN_TEXT, TOKEN_NAME, TOKEN_SIGN };

/* A number, text or name is complete; of an operator, only where it starts is known. */
struct expr_token {
	enum expr_token_kind kind;
	const char *at;			/* in the source */
	size_t len_bytes;		/* in the source */
	uint64_t number;
	const char *text;		/* TOKEN_TEXT: without quotes and escapes */
	size_t text_bytes;
};

/* The token at `at`, after spaces.  -EINVAL or -ENOMEM with d set. */
int expr_lex(struct expr *e, const char *at, struct expr_token *t, struct diag *d);
/* The column of a place in the source, in characters from 1. */
uint32_t expr_column(const struct expr *e, const char *at);
/* "filter, column N: ..." */
int expr_complain(struct diag *d, uint32_t column, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* --- evaluation -------------------------------------------------------------------- */

/* The value of an operation whose operands are constants; known types. */
uint64_t expr_constant(const struct expr_node *n);

#endif
