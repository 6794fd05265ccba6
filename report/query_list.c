#include "report/query_list.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

static size_t count_items(const char *text)
{
	size_t nr = 1;

	for (; *text; text++)
		nr += *text == ',';
	return nr;
}

static const char *parse_u32(const char *at, uint32_t *out)
{
	uint64_t v = 0;
	const char *from = at;

	for (; *at >= '0' && *at <= '9'; at++) {
		v = v * 10 + (uint64_t)(*at - '0');
		if (v > UINT32_MAX)
			return NULL;
	}
	*out = (uint32_t)v;
	return at == from ? NULL : at;
}

static int compare_ranges(const void *a, const void *b)
{
	const struct query_range *x = a, *y = b;

	return (x->first > y->first) - (x->first < y->first);
}

/* Sorted and joined, so that query_list_has() may bisect. */
static void join_ranges(struct query_ranges *r)
{
	size_t kept = 0;

	qsort(r->ranges, r->nr, sizeof(*r->ranges), compare_ranges);
	for (size_t i = 1; i < r->nr; i++) {
		struct query_range *last = &r->ranges[kept], *next = &r->ranges[i];

		if (next->first > last->last)
			r->ranges[++kept] = *next;
		else if (next->last > last->last)
			last->last = next->last;
	}
	r->nr = kept + 1;
}

int query_list_ranges(struct query_ranges *r, const char *text, const char *what,
		      struct diag *d)
{
	const char *at = text;

	memset(r, 0, sizeof(*r));
	if (!text)
		return 0;
	r->ranges = calloc(count_items(text), sizeof(*r->ranges));
	if (!r->ranges)
		return diag_set(d, -ENOMEM, "out of memory");
	for (;; at++) {
		struct query_range *range = &r->ranges[r->nr];

		at = parse_u32(at, &range->first);
		if (!at)
			break;
		range->last = range->first;
		if (*at == '-') {
			at = parse_u32(at + 1, &range->last);
			if (range->last < range->first)
				at = NULL;
			if (!at)
				break;
		}
		r->nr++;
		if (*at != ',')
			break;
	}
	if (!at || *at) {
		query_list_release_ranges(r);
		return diag_set(d, -EINVAL, "bad %s list '%s': give numbers and ranges "
				"such as 0,2-3", what, text);
	}
	join_ranges(r);
	return 0;
}

void query_list_release_ranges(struct query_ranges *r)
{
	free(r->ranges);
	memset(r, 0, sizeof(*r));
}

bool query_list_has(const struct query_ranges *r, uint64_t v)
{
	size_t low = 0, high = r->nr;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (v < r->ranges[mid].first)
			high = mid;
		else if (v > r->ranges[mid].last)
			low = mid + 1;
		else
			return true;
	}
	return !r->nr;
}

int query_list_names(struct query_names *n, const char *text, const char *what,
		     struct diag *d)
{
	char *at;

	memset(n, 0, sizeof(*n));
	if (!text)
		return 0;
	n->text = strdup(text);
	n->names = calloc(count_items(text), sizeof(*n->names));
	if (!n->text || !n->names) {
		query_list_release_names(n);
		return diag_set(d, -ENOMEM, "out of memory");
	}
	for (at = n->text; at; ) {
		char *comma = strchr(at, ',');

		if (comma)
			*comma++ = 0;
		if (!*at) {
			query_list_release_names(n);
			return diag_set(d, -EINVAL, "bad list '%s': a %s is empty", text, what);
		}
		n->names[n->nr++] = at;
		at = comma;
	}
	return 0;
}

void query_list_release_names(struct query_names *n)
{
	free(n->names);
	free(n->text);
	memset(n, 0, sizeof(*n));
}

bool query_list_match(const struct query_names *n, const char *text)
{
	for (size_t i = 0; i < n->nr; i++)
		if (!fnmatch(n->names[i], text, 0))
			return true;
	return !n->nr;
}
