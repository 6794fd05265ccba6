#include "record/schedreason.h"

#include <stddef.h>
#include <string.h>

enum { IDLE = 1, BASE = 2, WEAK = 4, SELF = 8, MAIN = 16 };

static const struct row {
	const char *name;
	uint8_t reason, flags;
} rows[] = {
#define TELLS(name, reason, flags) { name, SCHED_REASON_##reason, flags },
#include "record/schedreason.def"
#undef TELLS
};

#define NR_ROWS (sizeof(rows) / sizeof(rows[0]))

static bool fits(const char *pattern, const char *name, size_t name_len)
{
	size_t len = strlen(pattern);

	if (len && pattern[len - 1] == '*')
		return name_len >= len - 1 && !memcmp(pattern, name, len - 1);
	return name_len == len && !memcmp(pattern, name, len);
}

int schedreason_row(const char *name)
{
	size_t len = strcspn(name, ".");

	for (size_t i = 0; i < NR_ROWS; i++)
		if (fits(rows[i].name, name, len))
			return (int)i;
	return SCHEDREASON_NO_ROW;
}

void schedreason_begin(struct schedreason_walk *w)
{
	memset(w, 0, sizeof(*w));
}

bool schedreason_next(struct schedreason_walk *w, int row)
{
	const struct row *r = row < 0 ? NULL : &rows[row];
	unsigned int further_in = w->nr_seen;
	struct schedreason tells;

	if (w->has_found)
		return false;
	if (r && r->flags & BASE)
		return true;
	w->nr_seen++;
	if (!r || (r->flags & SELF && further_in > 0) || (r->flags & MAIN && further_in != 1))
		return true;
	tells = (struct schedreason){ r->reason, (r->flags & IDLE) != 0 };
	if (r->flags & WEAK) {
		if (!w->has_weak)
			w->weak = tells;
		w->has_weak = true;
		return true;
	}
	w->found = tells;
	w->has_found = true;
	return false;
}

struct schedreason schedreason_end(const struct schedreason_walk *w)
{
	if (w->has_found)
		return w->found;
	return w->has_weak ? w->weak : (struct schedreason){ SCHED_REASON_OTHER, false };
}
