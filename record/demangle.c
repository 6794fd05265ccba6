#include "record/demangle.h"

#include <libiberty/demangle.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#define MAX_MANGLED_BYTES 65536

struct output {
	char *to;
	size_t len, size_bytes;
	jmp_buf full;
};

/*
 * Back references let a short symbol describe a name of exponential length.
 * The demangler has no limit for that and its callback cannot stop it, so a
 * full buffer leaves it by a jump; it keeps its state on the stack.
 */
static void put(const char *text, size_t len, void *opaque)
{
	struct output *o = opaque;

	if (!len)
		return;
	if (len > o->size_bytes - 1 - o->len) {
		memcpy(o->to + o->len, text, o->size_bytes - 1 - o->len);
		o->len = o->size_bytes - 1;
		longjmp(o->full, 1);
	}
	memcpy(o->to + o->len, text, len);
	o->len += len;
}

static bool demangle(const char *name, char *to, size_t size_bytes)
{
	struct output o = { .to = to, .size_bytes = size_bytes };
	bool done;

	/* What looks like C++ may be the older of the two Rust schemes. */
	if (setjmp(o.full)) {
		done = true;
	} else {
		done = rust_demangle_callback(name, DMGL_NO_OPTS, put, &o);
		if (!done) {
			o.len = 0;
			done = cplus_demangle_v3_callback(name, DMGL_NO_OPTS, put, &o);
		}
	}
	to[o.len] = '\0';
	return done && o.len;
}

bool demangle_name(const char *name, char *to, size_t size_bytes)
{
	const char *suffix = strchr(name, '@');
	char *bare;
	bool done;

	if (strncmp(name, "_Z", 2) && strncmp(name, "_R", 2) && strncmp(name, "__Z", 3))
		return false;
	if (!size_bytes || strlen(name) > MAX_MANGLED_BYTES)
		return false;
	if (!suffix)
		return demangle(name, to, size_bytes);
	/* A version, or @plt, is no part of the mangled name. */
	bare = strndup(name, (size_t)(suffix - name));
	done = bare && demangle(bare, to, size_bytes);
	free(bare);
	if (done)
		strncat(to, suffix, size_bytes - 1 - strlen(to));
	return done;
}
