/*
 * Columns of TRANSFORM_LINKED: from numbers x to what is stored of them, and back.
 */
#ifndef FORMAT_TABLE_LINKED_H
#define FORMAT_TABLE_LINKED_H

#include "format/table.h"

#include <stddef.h>
#include <stdint.h>

/*
 * The prediction for row i of nr.  columns[k] belongs to term k; that of a term which names
 * its own column is x, of which the rows before the one that is asked for have to be there.
 */
uint64_t table_linked_row(const struct table_link *link, const uint64_t *const *columns,
			  const uint64_t *time, const uint32_t *before, size_t nr, uint32_t i);
/* w, which is what is stored of numbers x. */
void table_linked_make(const struct table_link *link, const uint64_t *const *columns,
		       const uint64_t *time, const uint32_t *before, size_t nr,
		       const uint64_t *x, uint64_t *w, struct table_linked_sums *sums);
/* w becomes x; where the own column is a term, columns[0] is w. */
void table_linked_undo(const struct table_link *link, const uint64_t *const *columns,
		       const uint64_t *time, const uint32_t *before, const uint32_t *order,
		       size_t nr, uint64_t *w);

#endif
