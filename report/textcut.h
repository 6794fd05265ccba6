/*
 * Text that has to fit into a place of so many character cells.
 */
#ifndef REPORT_TEXTCUT_H
#define REPORT_TEXTCUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * How many bytes of the UTF-8 text fill so many cells; if not all of them do, one cell
 * is left for an ellipsis.  Characters from far away count as two.
 */
size_t textcut_fitting(const uint8_t *text, size_t len, size_t cells, bool *all);

#endif
