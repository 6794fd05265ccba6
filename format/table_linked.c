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

/* Adds a term to p, or begins with it; the rows of NONE have been replaced by row 0. */
static void add_rows(const uint64_t *column, const uint32_t *rows, size_t nr, bool minus,
		     bool begin, uint64_t *p)
{
	if (begin && !minus)
		for (size_t i = 0; i < nr; i++)
			p[i] = column[rows[i]];
	else if (begin)
		for (size_t i = 0; i < nr; i++)
			p[i] = 0 - column[rows[i]];
	else if (!minus)
		for (size_t i = 0; i < nr; i++)
			p[i] += column[rows[i]];
	else
		for (size_t i = 0; i < nr; i++)
			p[i] -= column[rows[i]];
}

/* The same for the rows themselves. */
static void add_column(const uint64_t *column, size_t nr, bool minus, bool begin, uint64_t *p)
{
	if (begin)
		memset(p, 0, nr * sizeof(*p));
	if (!minus)
		for (size_t i = 0; i < nr; i++)
			p[i] += column[i];
	else
		for (size_t i = 0; i < nr; i++)
			p[i] -= column[i];
}

/* Where the rows of both other places are, and in `known` whether those needed are, as a mask. */
struct chunk {
	uint32_t before[CHUNK], behind[CHUNK];
	uint64_t known[CHUNK];
};

static void find_before(const uint32_t *before, size_t nr, struct chunk *c)
{
	for (size_t i = 0; i < nr; i++) {
		bool is_known = before[i] != TABLE_LINKS_NONE;

		c->before[i] = is_known ? before[i] : 0;
		c->known[i] = 0 - (uint64_t)is_known;
	}
}

static void find_behind(const uint64_t *time, size_t nr_all, size_t nr, struct chunk *c)
{
	for (size_t i = 0; i < nr; i++) {
		uint32_t row = c->before[i], next = row + 1 < nr_all ? row + 1 : row;
		bool is_known = next != row && time[next] >= time[row];

		c->behind[i] = next;
		c->known[i] &= 0 - (uint64_t)is_known;
	}
}

static bool has_place(const struct table_link *link, enum table_place place)
{
	for (uint8_t k = 0; k < link->nr_terms; k++)
		if (link->terms[k].place == place)
			return true;
	return false;
}

/* The predictions of rows from..from + nr. */
static void predict_chunk(const struct table_link *link, const uint64_t *const *columns,
			  const uint64_t *time, const uint32_t *before, size_t nr_all,
			  size_t from, size_t nr, uint64_t *p)
{
	bool has_behind = has_place(link, PLACE_AFTER_BEFORE);
	bool has_before = has_behind || has_place(link, PLACE_BEFORE);
	struct chunk c;

	if (has_before)
		find_before(before + from, nr, &c);
	if (has_behind)
		find_behind(time, nr_all, nr, &c);
	for (uint8_t k = 0; k < link->nr_terms; k++) {
		enum table_place place = (enum table_place)link->terms[k].place;
		bool minus = link->terms[k].minus;

		if (place == PLACE_ROW)
			add_column(columns[k] + from, nr, minus, !k, p);
		else
			add_rows(columns[k], place == PLACE_BEFORE ? c.before : c.behind, nr,
				 minus, !k, p);
	}
	for (size_t i = 0; i < nr && has_before; i++)
		p[i] &= c.known[i];
}

/* What a link of one column of the same row predicts, if it is one. */
static const uint64_t *simple_prediction(const struct table_link *link,
					 const uint64_t *const *columns)
{
	return link->nr_terms == 1 && link->terms[0].place == PLACE_ROW &&
	       !link->terms[0].minus ? columns[0] : NULL;
}

/* Notes what is stored of a row. */
static inline uint64_t note(struct table_linked_sums *s, uint64_t last, uint64_t w)
{
	s->all |= w;
	s->nr_runs += w != last;
	return w;
}

/* What is stored of x, of which p is the prediction; p may be w. */
static void make(enum table_link_mode mode, const uint64_t *x, const uint64_t *p, size_t nr,
		 uint64_t *w, struct table_linked_sums *s)
{
	uint64_t last = 0;

	for (size_t i = 0; i < nr && mode == LINK_MATCH; i++)
		last = w[i] = note(s, last, x[i] == p[i] ? 0 : x[i] + 1);
	for (size_t i = 0; i < nr && mode == LINK_ADD; i++)
		last = w[i] = note(s, last, x[i] - p[i]);
	for (size_t i = 0; i < nr && mode == LINK_SIGNED; i++)
		last = w[i] = note(s, last, zigzag(x[i] - p[i]));
}

static bool is_term(const struct table_link *link, uint8_t k, enum table_place place, bool minus)
{
	return link->terms[k].place == place && link->terms[k].minus == minus;
}

/*
 * The two predictions that the records of the scheduler need all the time, each at one go:
 * from the row before to the one behind that, and from the row before to here.
 */
static bool is_to_behind(const struct table_link *link)
{
	return link->mode == LINK_MATCH && link->nr_terms == 2 &&
	       is_term(link, 0, PLACE_AFTER_BEFORE, false) &&
	       is_term(link, 1, PLACE_BEFORE, true);
}

static inline uint64_t to_behind(const uint64_t *const *columns, const uint64_t *time,
				 const uint32_t *before, size_t nr, size_t i)
{
	size_t j = before[i];

	/* None at all is beyond the last row, too. */
	return j + 1 < nr && time[j + 1] >= time[j] ? columns[0][j + 1] - columns[1][j] : 0;
}

static void make_to_behind(const uint64_t *const *columns, const uint64_t *time,
			   const uint32_t *before, size_t nr, const uint64_t *x, uint64_t *w,
			   struct table_linked_sums *s)
{
	uint64_t last = 0;

	for (size_t i = 0; i < nr; i++) {
		uint64_t p = to_behind(columns, time, before, nr, i);

		last = w[i] = note(s, last, x[i] == p ? 0 : x[i] + 1);
	}
}

static void undo_to_behind(const uint64_t *const *columns, const uint64_t *time,
			   const uint32_t *before, size_t nr, uint64_t *w)
{
	for (size_t i = 0; i < nr; i++)
		w[i] = w[i] ? w[i] - 1 : to_behind(columns, time, before, nr, i);
}

static bool is_to_here(const struct table_link *link)
{
	return link->mode == LINK_ADD && link->nr_terms == 4 &&
	       is_term(link, 0, PLACE_ROW, false) && is_term(link, 1, PLACE_BEFORE, true) &&
	       is_term(link, 2, PLACE_ROW, true) && is_term(link, 3, PLACE_ROW, true);
}

static inline uint64_t to_here(const uint64_t *const *columns, const uint32_t *before, size_t i)
{
	uint32_t j = before[i];

	return j == TABLE_LINKS_NONE ? 0 :
	       columns[0][i] - columns[1][j] - columns[2][i] - columns[3][i];
}

static void make_to_here(const uint64_t *const *columns, const uint32_t *before, size_t nr,
			 const uint64_t *x, uint64_t *w, struct table_linked_sums *s)
{
	uint64_t last = 0;

	for (size_t i = 0; i < nr; i++)
		last = w[i] = note(s, last, x[i] - to_here(columns, before, i));
}

static void undo_to_here(const uint64_t *const *columns, const uint32_t *before, size_t nr,
			 uint64_t *w)
{
	for (size_t i = 0; i < nr; i++)
		w[i] += to_here(columns, before, i);
}

void table_linked_make(const struct table_link *link, const uint64_t *const *columns,
		       const uint64_t *time, const uint32_t *before, size_t nr,
		       const uint64_t *x, uint64_t *w, struct table_linked_sums *sums)
{
	struct table_linked_sums s = { 0, 0 };
	const uint64_t *p = simple_prediction(link, columns);

	if (is_to_behind(link)) {
		make_to_behind(columns, time, before, nr, x, w, &s);
	} else if (is_to_here(link)) {
		make_to_here(columns, before, nr, x, w, &s);
	} else {
		for (size_t i = 0; i < nr && !p; i += CHUNK)
			predict_chunk(link, columns, time, before, nr, i,
				      nr - i < CHUNK ? nr - i : CHUNK, w + i);
		make(link->mode, x, p ? p : w, nr, w, &s);
	}
	/* The first run begins where nothing was before, whatever it is. */
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
	const uint64_t *simple = simple_prediction(link, columns);
	uint64_t p[CHUNK];

	if (simple) {
		undo_chunk(link->mode, simple, nr, w);
		return;
	}
	if (columns[0] == w) {
		undo_itself(link->mode, before, order, nr, w);
		return;
	}
	if (is_to_behind(link)) {
		undo_to_behind(columns, time, before, nr, w);
		return;
	}
	if (is_to_here(link)) {
		undo_to_here(columns, before, nr, w);
		return;
	}
	for (size_t i = 0; i < nr; i += CHUNK) {
		size_t n = nr - i < CHUNK ? nr - i : CHUNK;

		predict_chunk(link, columns, time, before, nr, i, n, p);
		undo_chunk(link->mode, p, n, w + i);
	}
}
