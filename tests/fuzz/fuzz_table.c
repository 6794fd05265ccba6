/* The decoder of tables: two bytes of row count, then a payload. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "format/table.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct table t;
	struct table_decoder *d;
	uint64_t *numbers, constant;
	uint32_t *lens;
	size_t nr, total;
	const uint8_t *bytes;

	if (size < 2 || table_decoder_new(&d))
		return 0;
	nr = data[0] | (size_t)data[1] << 8;
	numbers = malloc((nr + 1) * sizeof(*numbers));
	lens = malloc((nr + 1) * sizeof(*lens));
	if (numbers && lens && !table_parse(&t, data + 2, size - 2, nr)) {
		for (size_t i = 0; i < t.nr_columns; i++) {
			const struct table_column *c = &t.columns[i];

			if (table_is_constant(&t, c, &constant) &&
			    (table_read_numbers(d, &t, c, numbers) ||
			     (nr && numbers[nr - 1] != constant)))
				abort();
			table_read_numbers(d, &t, c, numbers);
			if (!table_read_strings(d, &t, c, lens, &bytes, &total)) {
				size_t sum = 0;

				for (size_t k = 0; k < nr; k++)
					sum += lens[k];
				if (sum != total)
					abort();
			}
		}
	}
	free(numbers);
	free(lens);
	table_decoder_free(d);
	return 0;
}
