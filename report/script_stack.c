#include <string.h>

#include "report/digits.h"
#include "report/escape.h"
#include "report/script_private.h"

/* What was counted while a stack was rendered; kept in front of its text. */
struct counts {
	uint32_t frames, unresolved;
	uint32_t truncated;
};

static void put_frame_text(const struct script_plan *p, struct bytebuf *to,
			   const struct frame_name *f)
{
	bytebuf_put(to, "\t", 1);
	if (p->ip)
		digits_put_hex(to, f->address, 16);
	if (p->sym) {
		if (p->ip)
			bytebuf_put(to, " ", 1);
		escape_terminal(to, f->symbol, strlen(f->symbol));
	}
	if (p->sym && p->symoff && f->resolved && f->kind != MODULE_SPECIAL) {
		bytebuf_text(to, "+0x");
		digits_put_hex(to, f->symbol_offset, 0);
	}
	if (p->dso) {
		bytebuf_text(to, " (");
		escape_terminal(to, f->module, strlen(f->module));
		bytebuf_text(to, ")");
	}
	bytebuf_put(to, "\n", 1);
}

static void put_member(struct bytebuf *to, bool *first, const char *name)
{
	bytebuf_text(to, *first ? "{\"" : ",\"");
	bytebuf_text(to, name);
	bytebuf_text(to, "\":");
	*first = false;
}

static void put_frame_json(const struct script_plan *p, struct bytebuf *to,
			   const struct frame_name *f)
{
	bool first = true;

	if (p->sym) {
		put_member(to, &first, "symbol");
		bytebuf_put(to, "\"", 1);
		escape_json(to, f->symbol, strlen(f->symbol));
		bytebuf_put(to, "\"", 1);
	}
	if (p->symoff) {
		put_member(to, &first, "offset");
		digits_put(to, f->symbol_offset);
	}
	if (p->dso) {
		put_member(to, &first, "module");
		bytebuf_put(to, "\"", 1);
		escape_json(to, f->module, strlen(f->module));
		bytebuf_put(to, "\"", 1);
	}
	/* Of 64 bits; numbers in JSON have 53. */
	if (p->ip) {
		put_member(to, &first, "address");
		bytebuf_text(to, "\"0x");
		digits_put_hex(to, f->address, 0);
		bytebuf_put(to, "\"", 1);
	}
	bytebuf_text(to, first ? "{}" : "}");
}

static void add_counts(struct counts *to, const struct counts *more)
{
	to->frames += more->frames;
	to->unresolved += more->unresolved;
	to->truncated += more->truncated;
}

static void count_frame(struct counts *counts, const struct frame_name *f)
{
	if (f->kind == MODULE_SPECIAL && strcmp(f->symbol, "[truncated]") == 0) {
		counts->truncated = 1;
		return;
	}
	counts->frames++;
	counts->unresolved += !f->resolved;
}

/*
 * Stacks are many, frames are few: a new stack is put together of the texts of
 * its frames.  Behind the text of a frame stand its counts.
 */
static void put_frame(struct script *s, struct bytebuf *to, uint32_t frame,
		      struct counts *counts)
{
	size_t len, from = to->len;
	const char *text = textcache_get(s->frame_texts, frame, &len);
	struct counts of_frame = { .frames = 0 };
	const struct frame_name *f;

	if (text) {
		len -= sizeof(of_frame);
		bytebuf_put(to, text, len);
		memcpy(&of_frame, text + len, sizeof(of_frame));
		add_counts(counts, &of_frame);
		return;
	}
	f = names_frame(s->names, frame);
	count_frame(&of_frame, f);
	add_counts(counts, &of_frame);
	if (s->opts->format == SCRIPT_JSON)
		put_frame_json(&s->plan, to, f);
	else
		put_frame_text(&s->plan, to, f);
	bytebuf_put(to, &of_frame, sizeof(of_frame));
	if (to->err)
		return;
	/* On a pipe a name may still come. */
	if (!of_frame.unresolved || !trace_is_stream(s->trace))
		textcache_put(s->frame_texts, frame, to->data + from, to->len - from);
	to->len -= sizeof(of_frame);
}

/* Innermost frame first, as the parents lead. */
static void render(struct script *s, struct bytebuf *to, uint32_t stack, struct counts *counts)
{
	static const struct frame_name cut = {
		.symbol = "[truncated]", .module = "[unknown]", .resolved = true,
	};
	bool json = s->opts->format == SCRIPT_JSON;
	const struct trace_stack *node;

	if (json)
		bytebuf_put(to, "[", 1);
	for (int depth = 0; (node = trace_stack(s->trace, stack)); depth++) {
		if (json && depth)
			bytebuf_put(to, ",", 1);
		if (depth == SCRIPT_MAX_STACK)
			break;
		put_frame(s, to, node->frame, counts);
		stack = node->parent;
	}
	if (node) {
		count_frame(counts, &cut);
		if (json)
			put_frame_json(&s->plan, to, &cut);
		else
			put_frame_text(&s->plan, to, &cut);
	}
	if (json)
		bytebuf_put(to, "]", 1);
}

static void render_csv(struct script *s, struct bytebuf *to, uint32_t stack,
		       struct counts *counts)
{
	const struct trace_stack *node;
	struct bytebuf folded;
	uint32_t id = stack;

	for (int n = 0; n < SCRIPT_MAX_STACK && (node = trace_stack(s->trace, id)); n++) {
		count_frame(counts, names_frame(s->names, node->frame));
		id = node->parent;
	}
	bytebuf_init(&folded);
	fieldtext_put_folded(&s->text, &folded, stack);
	if (folded.len)
		escape_csv(to, (const char *)folded.data, folded.len);
	if (folded.err)
		to->err = folded.err;
	bytebuf_release(&folded);
}

static void count_stack(struct script *s, const struct counts *counts)
{
	s->frames += counts->frames;
	s->unresolved += counts->unresolved;
	s->truncated += counts->truncated;
}

void script_put_waker_stack(struct script *s, const struct script_event *e,
			    const struct query_record *r)
{
	const struct trace_event *event = e->event;
	const char *name = event->fields[e->waker_stack].name;
	int waker = event->by_role[ROLE_WAKER];
	uint64_t stack = r->values[e->waker_stack];

	/* A heading apart from the frames above, which other programs take for a whole. */
	bytebuf_text(s->to, "\t-- ");
	if (waker >= 0 && r->values[waker]) {
		bytebuf_text(s->to, "woken by ");
		script_event_put_field(s, r, (uint32_t)waker);
	} else {
		escape_terminal(s->to, name, strlen(name));
	}
	bytebuf_text(s->to, "\n");
	script_put_stack(s, stack <= UINT32_MAX ? (uint32_t)stack : 0);
	bytebuf_text(s->to, "\n");
}

void script_put_stack(struct script *s, uint32_t stack)
{
	struct bytebuf *made = &s->scratch_stack;
	struct counts counts = { .frames = 0 };
	size_t len;
	const char *text = textcache_get(s->stacks, stack, &len);

	if (text) {
		memcpy(&counts, text, sizeof(counts));
		bytebuf_put(s->to, text + sizeof(counts), len - sizeof(counts));
		count_stack(s, &counts);
		return;
	}
	bytebuf_clear(made);
	bytebuf_put(made, &counts, sizeof(counts));
	if (s->opts->format == SCRIPT_CSV)
		render_csv(s, made, stack, &counts);
	else
		render(s, made, stack, &counts);
	count_stack(s, &counts);
	if (made->err) {
		s->to->err = made->err;
		return;
	}
	memcpy(made->data, &counts, sizeof(counts));
	bytebuf_put(s->to, made->data + sizeof(counts), made->len - sizeof(counts));
	/* On a pipe a name may still come. */
	if (!counts.unresolved || !trace_is_stream(s->trace))
		textcache_put(s->stacks, stack, made->data, made->len);
}
