/*
 * What the files of the walk along a name share; private to them.
 */
#ifndef RECORD_BTFPATH_PRIVATE_H
#define RECORD_BTFPATH_PRIVATE_H

#include "record/btfpath.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Where the walk stands: at a value that the steps have fetched (of which, in a
 * struct passed in a register, bits are meant), or at a place in memory, the
 * number plus an offset, that is not read yet.
 */
struct walk {
	const struct btftypes *b;
	struct probe_value *v;
	const char *name;		/* the whole, for messages */
	struct diag *d;			/* all four are the caller's */
	uint32_t type;
	bool is_place, is_user;
	uint64_t offset_bits;
	uint32_t bits;			/* of a bit field, else 0 */
	char member[128];		/* the last one's name */
};

/* --- btfpath_members.c ---------------------------------------------------------------- */

bool btfpath_members_has_any(const struct btftypes *b, uint32_t type);
/* -EINVAL with w->d set, which names those that there are: no such member. */
int btfpath_members_find(const struct walk *w, uint32_t type, const char *member,
			 struct btftypes_member *out);
/* "a, b, c ...": all of them, cut to 256 bytes. */
void btfpath_members_text(const struct btftypes *b, uint32_t type, char *to,
			  size_t size_bytes);

/* --- btfpath_value.c ------------------------------------------------------------------- */

/* -E2BIG with w->d set when there is no room for one more. */
int btfpath_value_add_step(struct walk *w, struct fetch_step step);
/* Whether what the pointer points to is marked as the user's. */
bool btfpath_value_is_user(const struct btftypes *b, uint32_t pointer);
/* Makes *w->v the value at which the walk stands.  -EINVAL with w->d set. */
int btfpath_value_end(struct walk *w);

#endif
