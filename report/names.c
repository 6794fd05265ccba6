#include "report/names.h"

#include "format/intern.h"
#include "report/textids.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK_FRAMES 256

static const char unknown_text[] = "[unknown]";

struct entry {
	struct frame_name name;
	size_t known_symbols;	/* of the trace, when this was looked up */
};

/* One frame of each symbol or module, by id - 1. */
struct index {
	const struct frame_name **list;
	uint32_t cap;
};

/* What a module and the string of a name came to, found without a look at texts. */
struct known {
	const char *module;
	uint32_t module_id, symbol_id;
};

/*
 * Frames lie in chunks so that what was handed out stays where it is while the
 * table grows, and so that a slice of a trace pays for the frames it shows.
 */
struct names {
	struct trace *trace;
	struct entry **chunks;
	size_t nr_chunks;
	struct textids *symbols, *modules;
	struct intern_pairs pairs;	/* module and string of a symbol's name */
	struct known *known;		/* by id of pairs */
	uint32_t known_cap;
	struct index by_symbol, by_module;
	char **brackets;		/* texts made here: "[ext4]" */
	size_t nr_brackets;
	struct frame_name **copies;	/* see remember() */
	size_t nr_copies;
	struct frame_name nothing;	/* when memory ran out */
	int err;
};

int names_new(struct names **out, struct trace *t)
{
	struct names *n = calloc(1, sizeof(*n));

	if (!n)
		return -ENOMEM;
	if (textids_new(&n->symbols) || textids_new(&n->modules)) {
		names_free(n);
		return -ENOMEM;
	}
	intern_pairs_init(&n->pairs);
	n->trace = t;
	n->nothing.symbol = unknown_text;
	n->nothing.module = unknown_text;
	*out = n;
	return 0;
}

void names_free(struct names *n)
{
	if (!n)
		return;
	for (size_t i = 0; i < n->nr_chunks; i++)
		free(n->chunks[i]);
	for (size_t i = 0; i < n->nr_brackets; i++)
		free(n->brackets[i]);
	for (size_t i = 0; i < n->nr_copies; i++)
		free(n->copies[i]);
	free(n->brackets);
	free(n->copies);
	free(n->chunks);
	free(n->by_symbol.list);
	free(n->by_module.list);
	intern_pairs_release(&n->pairs);
	free(n->known);
	textids_free(n->symbols);
	textids_free(n->modules);
	free(n);
}

/* "[text]", one copy of each, owned by n. */
static const char *bracket(struct names *n, const char *text)
{
	size_t len = strlen(text);
	char **texts, *made;

	for (size_t i = 0; i < n->nr_brackets; i++) {
		made = n->brackets[i];
		if (!strncmp(made + 1, text, len) && !strcmp(made + 1 + len, "]"))
			return made;
	}
	texts = realloc(n->brackets, (n->nr_brackets + 1) * sizeof(*texts));
	if (!texts)
		return NULL;
	n->brackets = texts;
	made = malloc(len + 3);
	if (!made)
		return NULL;
	made[0] = '[';
	memcpy(made + 1, text, len);
	memcpy(made + 1 + len, "]", 2);
	n->brackets[n->nr_brackets++] = made;
	return made;
}

static const char *module_text(struct names *n, const struct trace_module *m)
{
	const char *path = trace_text(n->trace, m->path);

	switch (m->kind) {
	case MODULE_KERNEL:
		return "[kernel.kallsyms]";
	case MODULE_KERNEL_MODULE:
		return *path && *path != '[' && *path != '/' ? bracket(n, path) : path;
	case MODULE_BPF:
		return "[bpf]";
	case MODULE_VDSO:
		/* Pages of the kernel's: [vsyscall] and [uprobes] are of this kind, too. */
		return *path == '[' && strncmp(path, "[vdso", 5) ? path : "[vdso]";
	case MODULE_JIT:
		return *path && strncmp(path, "//anon", 6) ? path : "[jit]";
	default:
		return *path ? path : unknown_text;
	}
}

static int grow_index(struct index *x)
{
	uint32_t cap = x->cap ? x->cap * 2 : 64;
	const struct frame_name **list = realloc(x->list, cap * sizeof(*list));

	if (!list)
		return -ENOMEM;
	memset(list + x->cap, 0, (cap - x->cap) * sizeof(*list));
	x->list = list;
	x->cap = cap;
	return 0;
}

/*
 * The first frame seen of a symbol stands for it.  On a pipe a frame without a
 * name may still get one and then is of another symbol, so a copy stands.
 */
static int remember(struct names *n, struct index *x, uint32_t id, const struct frame_name *f)
{
	struct frame_name **copies, *copy;

	if (id > x->cap && grow_index(x))
		return -ENOMEM;
	if (x->list[id - 1])
		return 0;
	x->list[id - 1] = f;
	if (f->resolved || !trace_is_stream(n->trace))
		return 0;
	copies = realloc(n->copies, (n->nr_copies + 1) * sizeof(*copies));
	if (!copies)
		return -ENOMEM;
	n->copies = copies;
	copy = malloc(sizeof(*copy));
	if (!copy)
		return -ENOMEM;
	*copy = *f;
	n->copies[n->nr_copies++] = copy;
	x->list[id - 1] = copy;
	return 0;
}

/* Gives the frame its ids, from its texts. */
static int identify(struct names *n, struct frame_name *f)
{
	f->module_id = textids_get(n->modules, 0, f->module, strlen(f->module));
	if (!f->module_id)
		return -ENOMEM;
	f->symbol_id = textids_get(n->symbols, f->module_id, f->symbol, strlen(f->symbol));
	if (!f->symbol_id)
		return -ENOMEM;
	if (remember(n, &n->by_module, f->module_id, f))
		return -ENOMEM;
	return remember(n, &n->by_symbol, f->symbol_id, f);
}

static void describe_special(struct frame_name *f, uint64_t offset)
{
	f->resolved = true;
	if (offset == FRAME_TRUNCATED)
		f->symbol = "[truncated]";
	else if (offset == FRAME_NO_STACK)
		f->symbol = "[no stack]";
	else
		f->resolved = false;
}

/*
 * Where the ids of such a frame are kept, or NULL: on a pipe a later entry may
 * give the module or the string another text.
 */
static struct known *known_of(struct names *n, uint32_t module, uint32_t name)
{
	struct known *grown;
	uint32_t id;

	if (trace_is_stream(n->trace))
		return NULL;
	id = intern_pair(&n->pairs, module, name);
	if (id >= n->known_cap) {
		grown = realloc(n->known, n->pairs.cap * sizeof(*grown));
		if (!grown)
			return NULL;
		memset(grown + n->known_cap, 0, (n->pairs.cap - n->known_cap) * sizeof(*grown));
		n->known = grown;
		n->known_cap = n->pairs.cap;
	}
	return id ? &n->known[id] : NULL;
}

/* A frame in a module: its module's text and its ids, the symbol being found. */
static int complete(struct names *n, struct frame_name *f, uint32_t module, uint32_t name,
		    const struct trace_module *m)
{
	struct known *known = known_of(n, module, name);
	int err;

	if (known && known->symbol_id) {
		f->module = known->module;
		f->module_id = known->module_id;
		f->symbol_id = known->symbol_id;
		return 0;
	}
	f->module = m ? module_text(n, m) : unknown_text;
	if (!f->module)
		return -ENOMEM;
	err = identify(n, f);
	if (!err && known)
		*known = (struct known) { f->module, f->module_id, f->symbol_id };
	return err;
}

static int describe(struct names *n, struct frame_name *f, uint32_t frame_id)
{
	const struct trace_frame *frame = trace_frame(n->trace, frame_id);
	const struct trace_module *module;
	const struct trace_symbol *symbol;
	uint32_t name = 0;

	*f = (struct frame_name) { .symbol = unknown_text, .module = unknown_text };
	if (!frame)
		return identify(n, f);
	if (!frame->module) {
		describe_special(f, frame->offset);
		return identify(n, f);
	}
	module = trace_module(n->trace, frame->module);
	f->address = frame->offset + (module ? module->bias : 0);
	f->kind = module ? module->kind : MODULE_SPECIAL;
	symbol = trace_symbol(n->trace, frame->module, frame->offset);
	if (symbol && *trace_text(n->trace, symbol->name)) {
		name = symbol->name;
		f->symbol = trace_text(n->trace, name);
		f->symbol_offset = frame->offset - symbol->start;
		f->resolved = true;
	}
	return complete(n, f, frame->module, name, module);
}

static int grow_chunks(struct names *n, size_t nr)
{
	struct entry **chunks;
	size_t cap = n->nr_chunks * 2 > nr ? n->nr_chunks * 2 : nr;

	chunks = realloc(n->chunks, cap * sizeof(*chunks));
	if (!chunks)
		return -ENOMEM;
	memset(chunks + n->nr_chunks, 0, (cap - n->nr_chunks) * sizeof(*chunks));
	n->chunks = chunks;
	n->nr_chunks = cap;
	return 0;
}

/* Unknown ids share the entry of id 0, so memory follows the dictionary. */
static struct entry *entry_of(struct names *n, uint32_t *frame_id)
{
	size_t chunk;

	if (*frame_id >= trace_nr_frames(n->trace))
		*frame_id = 0;
	chunk = *frame_id / CHUNK_FRAMES;
	if (chunk >= n->nr_chunks && grow_chunks(n, chunk + 1))
		return NULL;
	if (!n->chunks[chunk])
		n->chunks[chunk] = calloc(CHUNK_FRAMES, sizeof(struct entry));
	return n->chunks[chunk] ? &n->chunks[chunk][*frame_id % CHUNK_FRAMES] : NULL;
}

/* Nothing new can be known of it: it has a name, or no symbol came since. */
static bool settled(const struct names *n, const struct entry *e)
{
	if (!e->name.symbol_id)
		return false;
	return e->name.resolved || !trace_is_stream(n->trace) ||
	       e->known_symbols == trace_nr_symbols(n->trace);
}

const struct frame_name *names_frame(struct names *n, uint32_t frame_id)
{
	struct entry *e = entry_of(n, &frame_id);

	if (!e) {
		n->err = -ENOMEM;
		return &n->nothing;
	}
	if (settled(n, e))
		return &e->name;
	e->known_symbols = trace_nr_symbols(n->trace);
	if (describe(n, &e->name, frame_id)) {
		n->err = -ENOMEM;
		return &n->nothing;
	}
	return &e->name;
}

uint32_t names_nr_symbols(const struct names *n)
{
	return textids_nr(n->symbols) + 1;
}

uint32_t names_nr_modules(const struct names *n)
{
	return textids_nr(n->modules) + 1;
}

const struct frame_name *names_symbol(struct names *n, uint32_t symbol_id)
{
	return symbol_id && symbol_id <= n->by_symbol.cap ? n->by_symbol.list[symbol_id - 1] : NULL;
}

const struct frame_name *names_module(struct names *n, uint32_t module_id)
{
	return module_id && module_id <= n->by_module.cap ? n->by_module.list[module_id - 1] : NULL;
}

int names_error(const struct names *n)
{
	return n->err;
}
