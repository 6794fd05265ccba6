#define _GNU_SOURCE
#include "record/rights.h"

#include <linux/capability.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

/* linux/capability.h before Linux 5.8 lacks them. */
#define PERFMON 38
#define BPF 39

static uint64_t effective(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = { { 0 } };

	/* It cannot fail for the caller itself; without an answer nothing is called missing. */
	if (syscall(SYS_capget, &header, data) < 0)
		return UINT64_MAX;
	return data[0].effective | (uint64_t)data[1].effective << 32;
}

static bool has(uint64_t caps, unsigned int cap)
{
	return caps >> cap & 1;
}

bool rights_has_admin(void)
{
	return has(effective(), CAP_SYS_ADMIN);
}

bool rights_lacks_bpf(char text[RIGHTS_TEXT_BYTES])
{
	uint64_t caps = effective();
	/* Who has CAP_SYS_ADMIN needs neither. */
	bool admin = has(caps, CAP_SYS_ADMIN);
	bool bpf = admin || has(caps, BPF), perfmon = admin || has(caps, PERFMON);

	snprintf(text, RIGHTS_TEXT_BYTES, "%s%s%s%s", bpf ? "" : "CAP_BPF",
		 bpf || perfmon ? "" : " and ", perfmon ? "" : "CAP_PERFMON",
		 bpf && perfmon ? "" : bpf || perfmon ? " is missing" : " are missing");
	return !bpf || !perfmon;
}
