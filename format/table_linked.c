#include "format/table_linked.h"

#include <string.h>

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

/* So many rows are predicted at a time, term by term. */
#define CHUNK 256

/* Adds the column at these rows; those of NONE have been replaced by row 0. */
static void add_rows(const uint64_t *column, const uint32_t *rows, size_t nr, bool minus,
		     uint64_t *p)
{
	for (size_t i = 0; i < nr; i++)
		p[i] += minus ? 0 - column[rows[i]] : column[rows[i]];
}

static void add_column(const uint64_t *column, size_t nr, bool minus, uint64_t *p)
{
	for (size_t i = 0; i < nr; i++)
		p[i] += minus ? 0 - column[i] : column[i];
}

/* Where each row of a place is, and in `known` whether it is, as a mask. */
static void find_rows(enum table_place place, const uint64_t *time, const uint32_t *before,
		      size_t nr_all, size_t nr, uint32_t *rows, uint64_t *known)
{
	for (size_t i = 0; i < nr; i++) {
		uint32_t row = before[i];
		bool is_known = row != TABLE_LINKS_NONE;

		row = is_known ? row : 0;
		if (place == PLACE_AFTER_BEFORE) {
			is_known &= table_links_next(time, nr_all, row) != TABLE_LINKS_NONE;
			row += is_known;
		}
		rows[i] = row;
		known[i] &= 0 - (uint64_t)is_known;
	}
}

/* The predictions of rows from..from + nr. */
static void predict_chunk(const struct table_link *link, const uint64_t *const *columns,
			  const uint64_t *time, const uint32_t *before, size_t nr_all,
			  size_t from, size_t nr, uint64_t *p)
{
	uint64_t known[CHUNK];
	uint32_t rows[CHUNK];
	enum table_place found = PLACE_ROW;

	memset(p, 0, nr * sizeof(*p));
	memset(known, 0xff, sizeof(known));
	for (uint8_t k = 0; k < link->nr_terms; k++) {
		enum table_place place = (enum table_place)link->terms[k].place;

		if (place == PLACE_ROW) {
			add_column(columns[k] + from, nr, link->terms[k].minus, p);
			continue;
		}
		if (place != found)
			find_rows(place, time, before + from, nr_all, nr, rows, known);
		found = place;
		add_rows(columns[k], rows, nr, link->terms[k].minus, p);
	}
	if (found == PLACE_ROW)
		return;
	for (size_t i = 0; i < nr; i++)
		p[i] &= known[i];
}

/* A single column at the row before: what most links are. */
static bool is_simple(const struct table_link *link)
{
	return link->nr_terms == 1 && link->terms[0].place == PLACE_BEFORE &&
	       !link->terms[0].minus;
}

void table_linked_make(const struct table_link *link, const uint64_t *const *columns,
		       const uint64_t *time, const uint32_t *before, size_t nr,
		       const uint64_t *x, uint64_t *w, struct table_linked_sums *sums)
{
	struct table_linked_sums s = { 0, 0 };
	enum table_link_mode mode = link->mode;
	bool simple = is_simple(link);
	const uint64_t *from = columns[0];
	uint64_t last = 0;

	for (size_t i = 0; i < nr && !simple; i += CHUNK)
		predict_chunk(link, columns, time, before, nr, i,
			      nr - i < CHUNK ? nr - i : CHUNK, w + i);
	for (size_t i = 0; i < nr; i++) {
		uint64_t v = !simple ? w[i] : before[i] < nr ? from[before[i]] : 0;

		if (mode == LINK_MATCH)
			v = x[i] == v ? 0 : x[i] + 1;
		else
			v = mode == LINK_ADD ? x[i] - v : zigzag(x[i] - v);
		s.all |= v;
		s.nr_runs += v != last;
		w[i] = last = v;
	}
	/* The first run has been counted unless it is one of zeros. */
	s.nr_runs += nr && !w[0];
	*sums = s;
}

static void undo_chunk(enum table_link_mode mode, const uint64_t *p, size_t nr, uint64_t *w)
{
	switch (mode) {
	case LINK_ADD:
		for (size_t i = 0; i < nr; i++)
			w[i] += p[i];
		break;
	case LINK_SIGNED:
		for (size_t i = 0; i < nr; i++)
			w[i] = p[i] + unzigzag(w[i]);
		break;
	default:
		for (size_t i = 0; i < nr; i++)
			w[i] = w[i] ? w[i] - 1 : p[i];
	}
}

/* Rows that come before in time are done first. */
static void undo_itself(enum table_link_mode mode, const uint32_t *before, const uint32_t *order,
			size_t nr, uint64_t *w)
{
	for (size_t i = 0; i < nr; i++) {
		uint32_t row = order[i], from = before[row];
		uint64_t p = from == TABLE_LINKS_NONE ? 0 : w[from];

		if (mode == LINK_MATCH)
			w[row] = w[row] ? w[row] - 1 : p;
		else
			w[row] = p + (mode == LINK_ADD ? w[row] : unzigzag(w[row]));
	}
}

void table_linked_undo(const struct table_link *link, const uint64_t *const *columns,
		       const uint64_t *time, const uint32_t *before, const uint32_t *order,
		       size_t nr, uint64_t *w)
{
	uint64_t p[CHUNK];

	if (columns[0] == w) {
		undo_itself(link->mode, before, order, nr, w);
		return;
	}
	for (size_t i = 0; i < nr; i += CHUNK) {
		size_t n = nr - i < CHUNK ? nr - i : CHUNK;

		predict_chunk(link, columns, time, before, nr, i, n, p);
		undo_chunk(link->mode, p, n, w + i);
	}
}
