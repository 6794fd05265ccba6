/*
 * The whole reader on any bytes: as they are, and with the checksums of its
 * blocks made right, so that what the fuzzer changes reaches the decoders.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/seal.h"
#include "tests/unit/memory_trace.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_all(const uint8_t *data, size_t size, bool stream)
{
	struct memory m = { .data = data, .len = size, .stream = stream,
			    .step = stream ? 1000 : 0 };
	struct memory_sum sum;
	struct trace *t;
	struct diag d;

	if (!memory_open(&t, &m, &d))
		memory_sum(t, &sum);
	trace_close(t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *copy = malloc(size + 1);

	read_all(data, size, size & 1);
	if (copy) {
		memcpy(copy, data, size);
		seal_trace(copy, size);
		read_all(copy, size, false);
		read_all(copy, size, true);
	}
	free(copy);
	return 0;
}
