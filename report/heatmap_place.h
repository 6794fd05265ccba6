/*
 * Where things stand in the picture of a heat map, in pixels.
 */
#ifndef REPORT_HEATMAP_PLACE_H
#define REPORT_HEATMAP_PLACE_H

#define HEATMAP_LEFT_PX 96	/* for the values */
#define HEATMAP_RIGHT_PX 16
#define HEATMAP_GAP_PX 28	/* between maps */
#define HEATMAP_TEXT_CELL_PX 6.4	/* width of a character of most texts */

#endif
