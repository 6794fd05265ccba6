#include "record/hostinfo.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

uint64_t hostinfo_now_ns(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

/* The trace clock is read before and after, so that the anchor is its middle. */
void hostinfo_write_clock(struct writer *w)
{
	uint64_t before = hostinfo_now_ns();
	uint64_t wall = clock_ns(CLOCK_REALTIME);
	uint64_t boot = clock_ns(CLOCK_BOOTTIME);
	uint64_t after = hostinfo_now_ns();

	writer_clock(w, before + (after - before) / 2, wall, boot);
}

/* x86 says "model name", arm64 only "CPU part" and such. */
static void write_cpu_model(struct writer *w)
{
	FILE *f = fopen("/proc/cpuinfo", "re");
	char line[256];

	if (!f)
		return;
	while (fgets(line, sizeof(line), f)) {
		char *value = strchr(line, ':');

		if (!value || (strncmp(line, "model name", 10) && strncmp(line, "Model", 5)))
			continue;
		value += 1 + strspn(value + 1, " \t");
		value[strcspn(value, "\n")] = '\0';
		writer_host(w, "cpu model", CLASS_HOST, value);
		break;
	}
	fclose(f);
}

static void write_number(struct writer *w, const char *key, uint64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "%" PRIu64, value);
	writer_host(w, key, CLASS_HOST, text);
}

void hostinfo_write(struct writer *w)
{
	long page = sysconf(_SC_PAGESIZE);
	struct utsname u;

	if (uname(&u) == 0) {
		writer_host(w, "hostname", CLASS_HOST, u.nodename);
		writer_host(w, "kernel", CLASS_HOST, u.release);
		writer_host(w, "kernel build", CLASS_HOST, u.version);
		writer_host(w, "machine", CLASS_HOST, u.machine);
	}
	write_number(w, "cpus", (uint64_t)sysconf(_SC_NPROCESSORS_ONLN));
	write_cpu_model(w);
	write_number(w, "memory bytes", (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)page);
	write_number(w, "page bytes", (uint64_t)page);
	writer_host(w, "clock", CLASS_NONE, "monotonic");
}

static bool needs_quotes(const char *s)
{
	if (!*s)
		return true;
	for (; *s; s++)
		if (!isalnum((unsigned char)*s) && !strchr("-_=+./,:@%^", *s))
			return true;
	return false;
}

void hostinfo_write_command_line(struct writer *w, int argc, char **argv)
{
	char text[4096];
	size_t len = 0;

	text[0] = '\0';
	for (int i = 0; i < argc && len < sizeof(text); i++) {
		const char *quote = needs_quotes(argv[i]) ? "'" : "";
		int n = snprintf(text + len, sizeof(text) - len, "%s%s%s%s", i ? " " : "",
				 quote, argv[i], quote);

		len += n > 0 ? (size_t)n : 0;
	}
	writer_host(w, "command line", CLASS_ARGUMENT, text);
}
