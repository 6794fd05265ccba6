#include "cmd/version.h"

#include <stdio.h>
#include <zlib.h>
#include <zstd.h>

#include "format/block.h"
#if KYMO_RECORD
#include "record/features.h"
#endif

void version_print(void)
{
	printf("kymo %s\n", KYMO_VERSION);
#if KYMO_RECORD
	char features[256];

	features_describe(features, sizeof(features));
	printf("recorder: yes, %s\n", features);
#else
	printf("recorder: no (built with RECORD=0)\n");
#endif
	printf("file format: %d, zstd %s, zlib %s\n", FILE_VERSION, ZSTD_versionString(),
	       zlibVersion());
#if defined(__SANITIZE_ADDRESS__)
	printf("sanitizer: address\n");
#elif defined(__SANITIZE_THREAD__)
	printf("sanitizer: thread\n");
#endif
}
