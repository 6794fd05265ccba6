#include "report/query_complain.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

static const struct {
	const char *name, *whole;
} parts[] = {
#define PART(name, whole) { name, whole },
#include "report/query_complain.def"
#undef PART
};

/* What a recording of something else brings along, as people ask for it. */
static const char *whole_of(const char *name)
{
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		if (!strcmp(name, parts[i].name))
			return parts[i].whole;
	return NULL;
}

int query_complain_event(const char *pattern, const struct trace *t, struct diag *d)
{
	char all[320] = "";
	const char *whole = whole_of(pattern);
	size_t len = 0;

	for (size_t i = 0; i < trace_nr_events(t); i++) {
		const char *name = trace_event_at(t, i)->name;
		size_t name_len = strlen(name);

		if (len + name_len + 8 > sizeof(all)) {
			memcpy(all + len, ", ...", 6);
			break;
		}
		if (len) {
			memcpy(all + len, ", ", 2);
			len += 2;
		}
		memcpy(all + len, name, name_len + 1);
		len += name_len;
	}
	if (!trace_nr_events(t))
		return diag_set(d, -ENOENT, "no event '%.80s' in the trace: it has none", pattern);
	if (whole)
		return diag_set(d, -ENOENT, "no event '%.80s' in the trace: record with -e %s (it "
				"has: %s)", pattern, whole, all);
	return diag_set(d, -ENOENT, "no event '%.80s' in the trace (it has: %s)", pattern, all);
}
