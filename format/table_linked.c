#include "format/table_linked.h"

static uint64_t zigzag(uint64_t delta)
{
	return (delta << 1) ^ (0 - (delta >> 63));
}

static uint64_t unzigzag(uint64_t v)
{
	return (v >> 1) ^ (0 - (v & 1));
}

static inline uint64_t predict(const struct table_link *link, const uint64_t *const *columns,
			       const uint64_t *time, const uint32_t *before, size_t nr,
			       uint32_t i)
{
	uint32_t rows[] = { i, before[i], TABLE_LINKS_NONE };
	uint64_t sum = 0;

	if (rows[PLACE_BEFORE] != TABLE_LINKS_NONE)
		rows[PLACE_AFTER_BEFORE] = table_links_next(time, nr, rows[PLACE_BEFORE]);
	for (uint8_t k = 0; k < link->nr_terms; k++) {
		uint32_t row = rows[link->terms[k].place];

		if (row == TABLE_LINKS_NONE)
			return 0;
		sum += link->terms[k].minus ? 0 - columns[k][row] : columns[k][row];
	}
	return sum;
}

uint64_t table_linked_row(const struct table_link *link, const uint64_t *const *columns,
			  const uint64_t *time, const uint32_t *before, size_t nr, uint32_t i)
{
	return predict(link, columns, time, before, nr, i);
}

/* A single column at the row before: what most links are. */
static bool is_simple(const struct table_link *link)
{
	return link->nr_terms == 1 && link->terms[0].place == PLACE_BEFORE &&
	       !link->terms[0].minus;
}

void table_linked_predict(const struct table_link *link, const uint64_t *const *columns,
			  const uint64_t *time, const uint32_t *before, size_t nr, uint64_t *p)
{
	if (is_simple(link)) {
		for (size_t i = 0; i < nr; i++)
			p[i] = before[i] == TABLE_LINKS_NONE ? 0 : columns[0][before[i]];
		return;
	}
	for (size_t i = 0; i < nr; i++)
		p[i] = predict(link, columns, time, before, nr, (uint32_t)i);
}

void table_linked_do(enum table_link_mode mode, const uint64_t *x, size_t nr, uint64_t *p)
{
	switch (mode) {
	case LINK_ADD:
		for (size_t i = 0; i < nr; i++)
			p[i] = x[i] - p[i];
		break;
	case LINK_SIGNED:
		for (size_t i = 0; i < nr; i++)
			p[i] = zigzag(x[i] - p[i]);
		break;
	default:
		for (size_t i = 0; i < nr; i++)
			p[i] = x[i] == p[i] ? 0 : x[i] + 1;
	}
}

static uint64_t undo(enum table_link_mode mode, uint64_t w, uint64_t p)
{
	if (mode == LINK_ADD)
		return p + w;
	if (mode == LINK_SIGNED)
		return p + unzigzag(w);
	return w ? w - 1 : p;
}

void table_linked_undo(const struct table_link *link, const uint64_t *const *columns,
		       const uint64_t *time, const uint32_t *before, const uint32_t *order,
		       size_t nr, uint64_t *w)
{
	if (columns[0] != w) {
		for (size_t i = 0; i < nr; i++)
			w[i] = undo(link->mode, w[i], predict(link, columns, time, before, nr,
							      (uint32_t)i));
		return;
	}
	/* Rows that come before in time are done first. */
	for (size_t i = 0; i < nr; i++) {
		uint32_t row = order[i], from = before[row];

		if (link->mode != LINK_MATCH)
			w[row] = undo(link->mode, w[row], from == TABLE_LINKS_NONE ? 0 : w[from]);
		else if (w[row])
			w[row]--;
		else if (from != TABLE_LINKS_NONE)
			w[row] = w[from];
	}
}
