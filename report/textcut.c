#include "report/textcut.h"

size_t textcut_fitting(const uint8_t *text, size_t len, size_t cells, bool *all)
{
	size_t used = 0, end = 0, i = 0;

	while (i < len) {
		size_t n = 1, wide = text[i] >= 0xe1 ? 2 : 1;

		while (i + n < len && (text[i + n] & 0xc0) == 0x80)
			n++;
		used += wide;
		if (used > cells) {
			*all = false;
			return end;
		}
		i += n;
		if (used < cells)
			end = i;
	}
	*all = true;
	return len;
}
