/*
 * What the files of printfmt share: the fields of a format, the tree of the
 * expressions, and the conversions of the print fmt.
 */
#ifndef REPORT_PRINTFMT_PRIVATE_H
#define REPORT_PRINTFMT_PRIVATE_H

#include "format/arena.h"
#include "report/printfmt.h"

#define PRINTFMT_MAX_TEXT (256u << 10)
#define PRINTFMT_MAX_DEPTH 100	/* of what is read */
#define PRINTFMT_MAX_TREE 1000
#define PRINTFMT_MAX_WIDTH 1024
#define PRINTFMT_MAX_FIELDS 512
#define PRINTFMT_MAX_ELEMENTS 512

struct printfmt_field {
	const char *name;
	size_t name_len;
	uint32_t size, element;		/* bytes; element: of an array, else 0 */
	bool is_signed, is_dynamic;
	uint32_t column;		/* of the event; the first one of elements */
	uint32_t nr_columns;		/* 0: not recorded; more than 1: element by element */
};

enum printfmt_kind {
	NODE_NUMBER,
	NODE_UNKNOWN,		/* the name of a number that the format does not tell */
	NODE_TEXT,
	NODE_FIELD,
	NODE_BITMASK,		/* of a field of bytes */
	NODE_CPUS,		/* the same as a list */
	NODE_LENGTH,		/* of a field, in bytes */
	NODE_INDEX,		/* a[b], elements of `size` bytes */
	NODE_CAST,		/* to `size` bytes, 0: as it is */
	NODE_UNARY,
	NODE_BINARY,
	NODE_CONDITION,		/* a ? b : c */
	NODE_FLAGS,		/* of a, with the delimiter in text */
	NODE_SYMBOL,
	NODE_HEX,		/* b bytes of a, with the delimiter in text */
	NODE_ARRAY,		/* b numbers of c bytes of a */
};

struct printfmt_flag {
	struct printfmt_flag *next;
	bool known;
	uint64_t value;
	const char *text;
	size_t len;
};

struct printfmt_node {
	enum printfmt_kind kind;
	int op;			/* '+', or two characters as in OP2() */
	uint32_t size;
	bool is_signed, is_pointer;
	bool is_wide;		/* an unsigned number of 64 bits: compares as such */
	uint16_t depth;
	uint64_t number;
	const char *text;
	size_t len;
	const struct printfmt_field *field;
	struct printfmt_node *a, *b, *c;
	struct printfmt_flag *flags;
};

#define OP2(a, b) ((a) << 8 | (b))

/* A stretch of text and what is converted after it; convert is 0 at the end. */
struct printfmt_part {
	const char *text;		/* escaped already */
	size_t len;
	char convert, flags[8];
	char pointer[8];		/* of %p: what follows it */
	bool has_precision;
	int size;			/* of a number, in bytes */
	uint32_t width, precision;
	const struct printfmt_node *width_arg, *precision_arg, *arg;
	const struct printfmt_field *code;	/* the argument is an address of code */
};

struct printfmt {
	struct arena arena;
	const struct trace_event *event;
	const struct trace *trace;	/* of the record at hand */
	struct printfmt_field *fields;
	size_t nr_fields;
	struct printfmt_part *parts;
	size_t nr_parts;
	bool *known;			/* by field of the event */
	struct bytebuf scratch, inner;
};

/* Bytes that a value is made of; text up to a NUL. */
struct printfmt_bytes {
	const uint8_t *data;
	size_t len;
	uint32_t element;
};

struct printfmt_parser {
	struct printfmt *fmt;
	const char *at, *end;
	int depth;
	uint32_t nr_unknown;	/* numbers by a name, outside of tables */
	bool failed;
};

/* printfmt_fields.c: the lines of fields, and where each one is recorded. */
int printfmt_parse_fields(struct printfmt *p, const char *text, const char **print_fmt);
const struct printfmt_field *printfmt_find_field(const struct printfmt *p, const char *name,
						 size_t len);

/* printfmt_words.c */
void printfmt_skip_space(struct printfmt_parser *x);
bool printfmt_take(struct printfmt_parser *x, const char *punctuation);
bool printfmt_is_word(char c);
bool printfmt_take_name(struct printfmt_parser *x, const char **name, size_t *len);
bool printfmt_take_number(struct printfmt_parser *x, uint64_t *to, bool *is_unsigned);
/* Adjacent literals as one; false: there is none. */
bool printfmt_take_text(struct printfmt_parser *x, const char **text, size_t *len);

/* printfmt_parse.c.  Sets failed and returns NULL when it cannot be understood. */
struct printfmt_node *printfmt_parse_expr(struct printfmt_parser *x);
struct printfmt_node *printfmt_node(struct printfmt_parser *x, enum printfmt_kind kind);
struct printfmt_node *printfmt_fail(struct printfmt_parser *x);

/* printfmt_call.c: __print_flags() and its sisters; the name was taken. */
struct printfmt_node *printfmt_parse_call(struct printfmt_parser *x, const char *name, size_t len);

/* printfmt_eval.c */
uint64_t printfmt_number(struct printfmt *p, const struct printfmt_node *n,
			 const struct query_record *r);
/* Bytes are valid until the next call. */
bool printfmt_bytes(struct printfmt *p, const struct printfmt_node *n,
		    const struct query_record *r, struct printfmt_bytes *b);
/* The field whose recorded value this is, through casts, or NULL. */
const struct printfmt_field *printfmt_plain_field(const struct printfmt_node *n);

/* printfmt_text.c: what %s makes of the value, raw. */
void printfmt_text(struct printfmt *p, const struct fieldtext *ft, const struct printfmt_node *n,
		   const struct query_record *r, struct bytebuf *to);

/* printfmt_pointer.c: what %p makes of it; false: of no kind that is known. */
bool printfmt_knows_pointer(const char *kind);
void printfmt_pointer(struct printfmt *p, const struct fieldtext *ft,
		      const struct printfmt_part *part, const struct query_record *r,
		      struct bytebuf *to);
/* A list as "0-3,8". */
void printfmt_bit_list(struct bytebuf *to, const struct printfmt_bytes *b, uint64_t nr_bits);
void printfmt_code(struct printfmt *p, const struct fieldtext *ft,
		   const struct printfmt_field *f, const struct query_record *r, bool offset,
		   struct bytebuf *to);

#endif
