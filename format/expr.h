/*
 * The expression language of --filter, the same when recording and when
 * reading: comparisons, && || !, arithmetic and bit operations on 64-bit integers,
 * equality and globs on strings.
 *
 *	prev_comm == "sshd" && (next_prio < 100 || next_pid & 1)
 *	comm ~ "nginx*" && !(uid == 0)      ~ and !~ match globs (* and ?)
 *	duration > 20ms                     ns us ms s; K M G are powers of 1024
 *	file->f_mode & 0x2, args[0] == 3    a name may have ., -> and [number]
 *
 * Precedence is that of C, and so is the meaning: a comparison of a signed with an
 * unsigned operand, though, compares the numbers they stand for.  Division by zero
 * gives 0.  An expression is parsed, then bound to the fields of one event (or of
 * several, one after the other, each binding replacing the last).
 *
 * Not thread-safe; one expression, one thread.
 */
#ifndef FORMAT_EXPR_H
#define FORMAT_EXPR_H

#include "format/diag.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum expr_type { EXPR_UNSIGNED = 1, EXPR_SIGNED, EXPR_STRING };

enum expr_op {
	EXPR_NUMBER,		/* constant */
	EXPR_TEXT,		/* constant string, or the pattern of a glob */
	EXPR_VAR,
	EXPR_NOT, EXPR_NEGATE, EXPR_COMPLEMENT,			/* one operand: left */
	EXPR_AND, EXPR_OR,					/* with short circuit; 0 or 1 */
	EXPR_EQ, EXPR_NE, EXPR_LT, EXPR_LE, EXPR_GT, EXPR_GE,	/* 0 or 1 */
	EXPR_MATCH, EXPR_NO_MATCH,				/* right is EXPR_TEXT */
	EXPR_ADD, EXPR_SUB, EXPR_MUL, EXPR_DIV, EXPR_MOD,
	EXPR_BIT_AND, EXPR_BIT_OR, EXPR_BIT_XOR, EXPR_SHL, EXPR_SHR,
};

/* A node of the tree, for those who compile it; EQ to GE also compare strings. */
struct expr_node {
	enum expr_op op;
	enum expr_type type;		/* of the result; known after expr_bind() */
	const struct expr_node *left, *right;
	uint64_t number;		/* EXPR_NUMBER */
	const char *text;		/* EXPR_TEXT; of EXPR_VAR, the name as written */
	size_t len_bytes;		/* of text */
	uint32_t var;			/* EXPR_VAR: index, see expr_var_name() */
	uint32_t column;		/* where it stands in the source, from 1 */
	/*
	 * EQ and NE of a number with a name for it, see expr_bind_names(): the number has
	 * it if (number & name_mask) == name_bits.
	 */
	bool is_named;
	uint64_t name_mask, name_bits;
};

struct expr;

/*
 * -EINVAL with a sentence in d that names the column: "filter, column 12:
 * expected a value after '=='".  Long or deep input is refused, not followed.
 */
int expr_parse(struct expr **out, const char *text, struct diag *d);
void expr_free(struct expr *e);
const char *expr_source(const struct expr *e);

/* Variables, each name once, from 0. */
size_t expr_nr_vars(const struct expr *e);
const char *expr_var_name(const struct expr *e, uint32_t var);

/*
 * What a name is here.  Returns 0 and *type, or -ENOENT; `known` of expr_bind()
 * then ends the sentence: "no field 'foo' (there are: prev_comm, ...)".
 */
typedef int (*expr_resolve_fn)(void *ctx, const char *name, uint32_t var, enum expr_type *type);

/*
 * Finds out types and checks them.  -ENOENT or -EINVAL with d set (column
 * included): unknown name, a string where a number belongs.  `known`: text, or NULL.
 */
int expr_bind(struct expr *e, expr_resolve_fn resolve, void *ctx, const char *known,
	      struct diag *d);

/*
 * The number that a text in quotes stands for where it is compared with a variable that
 * is a number: 0, -ENOENT (no such name; `known` may be set to text that lists them, or
 * left NULL), or -EINVAL (the variable's numbers have no names).
 */
struct expr_name {
	uint64_t mask, bits;
	const char *known;
};
typedef int (*expr_name_fn)(void *ctx, uint32_t var, const char *text, size_t len_bytes,
			    struct expr_name *out);
/* As expr_bind(), and numbers may be compared with names by == and !=. */
int expr_bind_names(struct expr *e, expr_resolve_fn resolve, expr_name_fn name, void *ctx,
		    const char *known, struct diag *d);
/* The tree, typed by the last expr_bind(). */
const struct expr_node *expr_root(const struct expr *e);

struct expr_value {
	uint64_t number;
	const char *text;		/* of a string; need not end in NUL */
	size_t len_bytes;
};

/* The value of a variable in the record at hand.  Asked at most once a use. */
typedef struct expr_value (*expr_get_fn)(void *ctx, uint32_t var);
/* Whether a bound expression is other than 0 (or than the empty string). */
bool expr_true(const struct expr *e, expr_get_fn get, void *ctx);
/* The same of a part of it. */
bool expr_node_true(const struct expr_node *n, expr_get_fn get, void *ctx);

/*
 * Sorts the conditions that && joins at the top of an expression into two: those that
 * `wants` says yes to, and the others.  Both texts (NULL: no such condition) keep the
 * columns of the source, with blanks in between.  The caller frees them.
 */
typedef bool (*expr_wants_fn)(void *ctx, const struct expr *condition);
int expr_split(const char *text, expr_wants_fn wants, void *ctx, char **yes, char **no,
	       struct diag *d);

/*
 * Of a condition in braces: at is its '{', the result its '}', before `end`, or NULL.
 * Text in quotes may hold braces.
 */
const char *expr_braces_end(const char *at, const char *end);

/* Whether text matches a pattern of * and ?; the matcher of ~, for others too. */
bool expr_glob(const char *pattern, size_t pattern_bytes, const char *text, size_t text_bytes);

#endif
