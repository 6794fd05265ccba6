#include "cmd/parse.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <strings.h>

#include "cmd/command.h"

static int complain_range(const char *what, uint64_t min, uint64_t max, const char *arg)
{
	command_complain("%s must be a number from %" PRIu64 " to %" PRIu64 ", not '%s'", what,
			 min, max, arg);
	return EXIT_USAGE;
}

int parse_number(const char *arg, uint64_t min, uint64_t max, uint64_t *out, const char *what)
{
	char *end;
	unsigned long long v;

	errno = 0;
	v = strtoull(arg, &end, 10);
	if (!isdigit((unsigned char)*arg) || *end || errno || v < min || v > max)
		return complain_range(what, min, max, arg);
	*out = v;
	return 0;
}

int parse_seconds(const char *arg, uint64_t *ns, const char *what)
{
	static const struct {
		const char *suffix;
		double ns;
	} units[] = { { "", 1e9 }, { "s", 1e9 }, { "ms", 1e6 }, { "us", 1e3 }, { "ns", 1 },
		      { "m", 60e9 },
		      { "h", 3600e9 } };
	char *end;
	double v = strtod(arg, &end);

	for (size_t i = 0; i < sizeof(units) / sizeof(*units); i++) {
		double total = v * units[i].ns;

		if (strcasecmp(end, units[i].suffix) || end == arg)
			continue;
		if (!isfinite(total) || total < 1 || total > 1e18)
			break;
		*ns = (uint64_t)total;
		return 0;
	}
	command_complain("%s must be a time such as 10, 1.5, 500ms or 2m, not '%s'", what, arg);
	return EXIT_USAGE;
}

int parse_size(const char *arg, uint64_t min, uint64_t max, uint64_t *bytes, const char *what)
{
	unsigned int shift = 0;
	char *end;
	unsigned long long v;

	errno = 0;
	v = strtoull(arg, &end, 10);
	switch (toupper((unsigned char)*end)) {
	case 'G':
		shift = 30;
		break;
	case 'M':
		shift = 20;
		break;
	case 'K':
		shift = 10;
		break;
	case 'B':
	case '\0':
		break;
	default:
		return complain_range(what, min, max, arg);
	}
	if (!isdigit((unsigned char)*arg) || (*end && end[1]) || errno || v > max >> shift ||
	    v << shift < min)
		return complain_range(what, min, max, arg);
	*bytes = v << shift;
	return 0;
}
