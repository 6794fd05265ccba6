#include "report/flamebox.h"

#include <stdio.h>
#include <string.h>

#include "report/escape.h"

/* The style sheet has so many of each that is striped. */
#define SHADES 8
/* Wakers further away have the colours of these again, one after the other. */
#define NR_WAKERS 4

static const struct {
	const char *class, *legend;
	bool shades;
} palettes[FLAMEBOX_NR_PALETTES] = {
	[FLAMEBOX_ROOT] = { "r", NULL, false },
	[FLAMEBOX_GROUP] = { "g", NULL, false },
	[FLAMEBOX_ON_CPU] = { "pc", "on CPU", false },
	[FLAMEBOX_WAITING] = { "pw", "waiting for a CPU", false },
	[FLAMEBOX_BLOCKED] = { "pb", "blocked", false },
	[FLAMEBOX_SKIPPED] = { "ps", "short waits", false },
	[FLAMEBOX_USER] = { "u", "user", true },
	[FLAMEBOX_KERNEL] = { "k", "kernel", true },
	[FLAMEBOX_JIT] = { "j", "JIT", true },
	[FLAMEBOX_UNKNOWN] = { "n", "without a name", false },
	[FLAMEBOX_WAIT_USER] = { "b", "waits: user", true },
	[FLAMEBOX_WAIT_KERNEL] = { "k", "kernel", true },
	[FLAMEBOX_WAKER_1] = { "w", "its waker", true },
	[FLAMEBOX_WAKER_2] = { "x", "2nd waker", true },
	[FLAMEBOX_WAKER_3] = { "y", "3rd waker", true },
	[FLAMEBOX_WAKER_4] = { "z", "4th waker", true },
	[FLAMEBOX_SEPARATOR] = { "s", NULL, false },
};

/* FNV-1a: the same function has the same colour in every picture. */
static unsigned int shade(const struct bytebuf *name, size_t start)
{
	uint32_t hash = 2166136261u;

	for (size_t i = start; i < name->len; i++)
		hash = (hash ^ name->data[i]) * 16777619u;
	return (hash ^ hash >> 16) % SHADES;
}

static bool is_kernel(const struct frame_name *f)
{
	return f->kind == MODULE_KERNEL || f->kind == MODULE_KERNEL_MODULE ||
	       f->kind == MODULE_BPF;
}

static void put_frame(struct bytebuf *to, const struct frame_name *f)
{
	bool brackets;
	const char *text = flamelayout_text(f, &brackets);

	if (brackets)
		bytebuf_text(to, "[");
	escape_terminal(to, text, strlen(text));
	if (brackets)
		bytebuf_text(to, "]");
}

static enum flamebox_palette color_frame(const struct frame_name *f, bool has_wakers)
{
	if (!f->resolved || f->kind == MODULE_SPECIAL)
		return FLAMEBOX_UNKNOWN;
	if (is_kernel(f))
		return has_wakers ? FLAMEBOX_WAIT_KERNEL : FLAMEBOX_KERNEL;
	if (has_wakers)
		return FLAMEBOX_WAIT_USER;
	return f->kind == MODULE_JIT ? FLAMEBOX_JIT : FLAMEBOX_USER;
}

static void put_group(const struct stacksum *sums, const struct flame_box *box,
		      struct bytebuf *to)
{
	struct bytebuf raw;

	bytebuf_init(&raw);
	stacklevels_put(stacksum_levels(sums), stacksum_groups(sums), box->name, box->level,
			STACKLEVELS_PICTURE, &raw);
	if (raw.len)
		escape_terminal(to, (const char *)raw.data, raw.len);
	bytebuf_release(&raw);
}

static enum flamebox_palette name_part(enum stacksum_part part, struct bytebuf *to)
{
	static const enum flamebox_palette colors[STACKSUM_NR_PARTS] = {
		[STACKSUM_WHOLE] = FLAMEBOX_GROUP, [STACKSUM_ON_CPU] = FLAMEBOX_ON_CPU,
		[STACKSUM_WAITING] = FLAMEBOX_WAITING, [STACKSUM_BLOCKED] = FLAMEBOX_BLOCKED,
		[STACKSUM_SKIPPED] = FLAMEBOX_SKIPPED,
	};

	bytebuf_text(to, stacksum_part_name(part));
	return colors[part];
}

static enum flamebox_palette name_code(const struct stacksum *sums, struct names *names,
				       const struct flame_box *box, struct bytebuf *to)
{
	const struct chains *chains = stacksum_chains(sums);
	const struct frame_name *f;

	if (box->kind == CALLTREE_SEPARATOR || box->kind == CALLTREE_BORDER) {
		bytebuf_text(to, box->kind == CALLTREE_SEPARATOR ? "--" : "-");
		return FLAMEBOX_SEPARATOR;
	}
	if (box->kind == CALLTREE_WAKER) {
		const char *text = chain_name(chains, box->name);

		escape_terminal(to, text, strlen(text));
	} else {
		f = names_symbol(names, box->name);
		put_frame(to, f);
		if (!box->hop)
			return color_frame(f, chains != NULL);
	}
	return (enum flamebox_palette)(FLAMEBOX_WAKER_1 + (box->hop - 1) % NR_WAKERS);
}

enum flamebox_palette flamebox_name(const struct stacksum *sums, struct names *names,
				    const struct flame_box *box, struct bytebuf *to,
				    char class[FLAMEBOX_CLASS_BYTES])
{
	enum flamebox_palette palette = FLAMEBOX_ROOT;
	size_t start = to->len;

	if (box->depth == 0) {
		bytebuf_text(to, "all");
	} else if (box->is_group) {
		put_group(sums, box, to);
		palette = FLAMEBOX_GROUP;
	} else if (box->is_part) {
		palette = name_part((enum stacksum_part)box->name, to);
	} else {
		palette = name_code(sums, names, box, to);
	}
	snprintf(class, FLAMEBOX_CLASS_BYTES, "%s", palettes[palette].class);
	if (palettes[palette].shades)
		snprintf(class, FLAMEBOX_CLASS_BYTES, "%s%u", palettes[palette].class,
			 shade(to, start));
	return palette;
}

const char *flamebox_legend(enum flamebox_palette palette, char class[FLAMEBOX_CLASS_BYTES])
{
	snprintf(class, FLAMEBOX_CLASS_BYTES, "%s%s", palettes[palette].class,
		 palettes[palette].shades ? "0" : "");
	return palettes[palette].legend;
}
