#include "record/features.h"

#include <bpf/libbpf.h>
#include <elfutils/version.h>
#include <stdio.h>

void features_describe(char *to, size_t size_bytes)
{
	snprintf(to, size_bytes, "libbpf %u.%u, libelf 0.%d", libbpf_major_version(),
		 libbpf_minor_version(), _ELFUTILS_VERSION);
}
