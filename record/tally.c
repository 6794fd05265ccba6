#include "record/tally.h"

#include <bpf/bpf.h>
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "record/tallymaps.h"

/* --- what is asked for ------------------------------------------------------------------ */

#define EXAMPLE "'by=comm; hist=duration; every=1s'"
#define LEAST_EVERY_NS UINT64_C(10000000)
#define MOST_EVERY_NS UINT64_C(3600000000000)

static const struct unit {
	const char *name;
	double ns;
} units[] = {
	{ "ns", 1 }, { "us", 1e3 }, { "ms", 1e6 }, { "s", 1e9 }, { "m", 60e9 },
};

static int set_every(struct tally_spec *s, const char *value, struct diag *d)
{
	size_t nr_units = sizeof(units) / sizeof(*units), i = 0;
	double ns;
	char *unit;

	ns = strtod(value, &unit);
	while (i < nr_units && strcmp(unit, units[i].name) != 0)
		i++;
	if (unit == value || !isdigit((unsigned char)*value) || i == nr_units)
		return diag_set(d, -EINVAL, "--tally: every='%s' is no time (write 100ms, 1s, 5m)",
				value);
	ns *= units[i].ns;
	if (!(ns >= (double)LEAST_EVERY_NS && ns <= (double)MOST_EVERY_NS))
		return diag_set(d, -EINVAL, "--tally: every=%s is not between 10ms and 60m",
				value);
	s->every_ns = (uint64_t)(ns + 0.5);
	return 0;
}

static int set_keys(struct tally_spec *s, const char *value, struct diag *d)
{
	unsigned long n;
	char *end;

	errno = 0;
	n = strtoul(value, &end, 10);
	if (errno || !isdigit((unsigned char)*value) || *end || !n || n > TALLY_MOST_KEYS)
		return diag_set(d, -EINVAL, "--tally: keys='%s' is no number from 1 to %d", value,
				TALLY_MOST_KEYS);
	s->max_keys = (uint32_t)n;
	return 0;
}

static int set_text(char **to, const char *word, const char *value, struct diag *d)
{
	if (!*value)
		return diag_set(d, -EINVAL, "--tally: %s= names no field (as in " EXAMPLE ")",
				word);
	*to = strdup(value);
	return *to ? 0 : diag_set(d, -ENOMEM, "out of memory");
}

/* value: NULL without an equals sign. */
static int set_word(struct tally_spec *s, const char *word, const char *value, struct diag *d)
{
	if (!strcmp(word, "hist"))
		return set_text(&s->hist, word, value ? value : "duration", d);
	if (!strcmp(word, "by"))
		return set_text(&s->by, word, value ? value : "", d);
	if (!strcmp(word, "sum"))
		return set_text(&s->sum, word, value ? value : "", d);
	if (!strcmp(word, "every"))
		return set_every(s, value ? value : "", d);
	if (!strcmp(word, "keys"))
		return set_keys(s, value ? value : "", d);
	return diag_set(d, -EINVAL, "--tally: unknown word '%s' (by=, hist=, sum=, every=, keys=, "
			"as in " EXAMPLE ")", word);
}

static char *trim(char *text)
{
	size_t len;

	while (isspace((unsigned char)*text))
		text++;
	for (len = strlen(text); len && isspace((unsigned char)text[len - 1]); len--)
		text[len - 1] = '\0';
	return text;
}

/* Whether an earlier part was this word. */
static bool is_set(const struct tally_spec *s, const char *word)
{
	return (!strcmp(word, "by") && s->by) || (!strcmp(word, "hist") && s->hist) ||
	       (!strcmp(word, "sum") && s->sum) || (!strcmp(word, "every") && s->every_ns) ||
	       (!strcmp(word, "keys") && s->max_keys);
}

static int parse_part(struct tally_spec *s, char *part, struct diag *d)
{
	char *equals = strchr(part, '='), *word;

	if (equals)
		*equals = '\0';
	word = trim(part);
	if (!*word && !equals)
		return 0;
	if (is_set(s, word))
		return diag_set(d, -EINVAL, "--tally: '%s' is there twice (several fields are one "
				"list: by=comm,pid)", word);
	return set_word(s, word, equals ? trim(equals + 1) : NULL, d);
}

static bool has_word(const char *list, const char *word)
{
	size_t len = strlen(word), n;

	for (; *list; list += n + (list[n] == ',')) {
		list += strspn(list, " ");
		n = strcspn(list, ",");
		if (!strncmp(list, word, len) && strspn(list + len, " ") + len == n)
			return true;
	}
	return false;
}

/* Addresses of a program mean something only in their process. */
static int add_process(struct tally_spec *s)
{
	size_t room = strlen(s->by) + sizeof(",pid");
	char *by;

	if (has_word(s->by, "pid") || (!has_word(s->by, "stack") && !has_word(s->by, "ustack")))
		return 0;
	by = realloc(s->by, room);
	if (!by)
		return -ENOMEM;
	strcat(by, ",pid");
	s->by = by;
	return 0;
}

int tally_parse(struct tally_spec *out, const char *text, struct diag *d)
{
	struct tally_spec s = { 0 };
	char *copy = strdup(text), *rest = copy;
	int err = copy ? 0 : diag_set(d, -ENOMEM, "out of memory");

	while (!err && rest)
		err = parse_part(&s, strsep(&rest, ";"), d);
	if (!err && s.hist && s.sum)
		err = diag_set(d, -EINVAL, "--tally: hist=%s and sum=%s: one value is measured "
			       "(a histogram has the sum of its own)", s.hist, s.sum);
	if (!err && !s.by)
		s.by = strdup("");
	if (!err && (!s.by || add_process(&s)))
		err = diag_set(d, -ENOMEM, "out of memory");
	if (!s.every_ns)
		s.every_ns = TALLY_EVERY_NS;
	if (!s.max_keys)
		s.max_keys = TALLY_KEYS;
	free(copy);
	if (err)
		tally_spec_release(&s);
	else
		*out = s;
	return err;
}

void tally_spec_release(struct tally_spec *s)
{
	free(s->by);
	free(s->hist);
	free(s->sum);
	*s = (struct tally_spec){ 0 };
}

/* --- maps ----------------------------------------------------------------------------------- */

static bool has_stacks(const struct probe *p)
{
	const struct tally *t = p->tally;

	for (size_t i = 0; i < t->nr_by; i++) {
		const struct tally_field *f = &t->by[i];
		const struct probe *side = f->of_start ? p->span->start : p;

		if (side->fields[f->index].is_stack)
			return true;
	}
	return false;
}

static bool same_shape(const struct tally *a, const struct tally *b)
{
	return a->key_bytes == b->key_bytes && a->histogram == b->histogram &&
	       a->max_keys == b->max_keys && a->every_ns == b->every_ns;
}

int tally_open(const struct probes *set, uint32_t nr_cpus, bool atomics, struct diag *d)
{
	struct tally **group = calloc(set->nr + 1, sizeof(*group));
	int err = group ? 0 : diag_set(d, -ENOMEM, "out of memory");

	for (size_t i = 0; i < set->nr && !err; i++) {
		struct tally *t = set->list[i]->tally;
		bool stacks = false;
		uint32_t nr = 0;

		if (!t || t->maps)
			continue;
		for (size_t k = i; k < set->nr; k++) {
			struct tally *other = set->list[k]->tally;

			if (!other || other->maps || !same_shape(t, other))
				continue;
			group[nr++] = other;
			stacks |= has_stacks(set->list[k]);
		}
		err = tallymaps_open(group, nr, stacks, nr_cpus, atomics, d);
	}
	free(group);
	return err;
}

void tally_free(struct tally *t)
{
	if (!t)
		return;
	tallymaps_leave(t);
	free(t->value_name);
	free(t);
}

/* --- what was counted ------------------------------------------------------------------------ */

void tally_collect(struct tally *t, tally_row_fn fn, void *ctx)
{
	if (t->maps)
		tallyrows_collect(t, fn, ctx);
}

static uint64_t sum_lost(const struct tally *t, bool of_bucket)
{
	const struct tallymaps *m = t->maps;
	uint64_t lost = 0;

	for (size_t part = 0; m && part < m->nr_parts; part++)
		lost += __atomic_load_n(&m->lost[(part * m->nr_owners + t->owner) * 2 + of_bucket],
					__ATOMIC_RELAXED);
	return lost;
}

uint64_t tally_lost(const struct tally *t)
{
	return sum_lost(t, false);
}

uint64_t tally_lost_buckets(const struct tally *t)
{
	return sum_lost(t, true);
}

/* --- stacks ---------------------------------------------------------------------------------- */

int tally_stack(const struct tally *t, int64_t id, uint64_t *ips)
{
	uint64_t frames[PROBE_MAX_STACK] = { 0 };
	uint32_t key = (uint32_t)id & ~TALLYMAPS_SECOND_STACK;
	int nr = 0;

	if (id < 0)
		return (int)id;
	if (!t->maps || id > UINT32_MAX)
		return -ENOENT;
	if (bpf_map_lookup_elem(t->maps->stacks_fd[key != (uint32_t)id], &key, frames) < 0)
		return -errno;
	while (nr < PROBE_MAX_STACK && frames[nr]) {
		ips[nr] = frames[nr];
		nr++;
	}
	return nr;
}
