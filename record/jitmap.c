#include "record/jitmap.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BUFFER_BYTES 65536
#define MAX_FILE_BYTES (256u << 20)
#define MAX_ENTRIES (4u << 20)
#define MAX_NAME_BYTES 1024

struct entry {
	uint64_t start, end;
	uint32_t name;		/* in the pool */
};

struct list {
	struct entry *at;
	size_t nr, cap;
};

struct jitmap {
	struct list all;	/* sorted, never overlapping */
	char *names;
	size_t names_len, names_cap;
	dev_t dev;
	ino_t inode;
	off_t read_bytes;	/* whole lines only */
};

int jitmap_new(struct jitmap **out)
{
	*out = calloc(1, sizeof(**out));
	return *out ? 0 : -ENOMEM;
}

void jitmap_free(struct jitmap *j)
{
	if (!j)
		return;
	free(j->all.at);
	free(j->names);
	free(j);
}

size_t jitmap_nr(const struct jitmap *j)
{
	return j->all.nr;
}

/* --- parsing ------------------------------------------------------------------- */

static bool add_name(struct jitmap *j, const char *name, size_t len, uint32_t *at)
{
	if (j->names_len + len + 1 > j->names_cap) {
		size_t cap = j->names_cap ? j->names_cap * 2 : 65536;
		char *names = realloc(j->names, cap);

		if (!names)
			return false;
		j->names = names;
		j->names_cap = cap;
	}
	memcpy(j->names + j->names_len, name, len);
	j->names[j->names_len + len] = '\0';
	*at = (uint32_t)j->names_len;
	j->names_len += len + 1;
	return true;
}

/* A number of at most 16 digits and the blanks behind it; NULL if there is none. */
static const char *take_hex(const char *at, const char *end, uint64_t *value)
{
	int digits = 0;

	if (end - at > 2 && at[0] == '0' && (at[1] == 'x' || at[1] == 'X'))
		at += 2;
	for (*value = 0; at < end && isxdigit((unsigned char)*at); at++, digits++) {
		int c = tolower((unsigned char)*at);

		*value = *value << 4 | (uint64_t)(c <= '9' ? c - '0' : c - 'a' + 10);
	}
	if (!digits || digits > 16 || at == end || (*at != ' ' && *at != '\t'))
		return NULL;
	while (at < end && (*at == ' ' || *at == '\t'))
		at++;
	return at;
}

static void take_line(struct jitmap *j, struct list *fresh, const char *at, const char *end)
{
	uint64_t start, size_bytes;
	struct entry *entry;
	size_t len;

	while (end > at && (end[-1] == '\r' || end[-1] == ' '))
		end--;
	at = take_hex(at, end, &start);
	at = at ? take_hex(at, end, &size_bytes) : NULL;
	if (!at || at == end || !size_bytes || start + size_bytes < start ||
	    j->all.nr + fresh->nr >= MAX_ENTRIES)
		return;
	if (fresh->nr == fresh->cap) {
		size_t cap = fresh->cap ? fresh->cap * 2 : 256;

		entry = realloc(fresh->at, cap * sizeof(*entry));
		if (!entry)
			return;
		fresh->at = entry;
		fresh->cap = cap;
	}
	len = strnlen(at, (size_t)(end - at));
	if (len > MAX_NAME_BYTES)
		len = MAX_NAME_BYTES;
	entry = &fresh->at[fresh->nr];
	entry->start = start;
	entry->end = start + size_bytes;
	if (len && add_name(j, at, len, &entry->name))
		fresh->nr++;
}

/*
 * Takes the whole lines out of text and counts them as read; what is left
 * moves to its beginning.  A line longer than the buffer is cut there.
 */
static size_t take_lines(struct jitmap *j, struct list *fresh, char *text, size_t len)
{
	char *line = text, *past = text + len, *end;

	while ((end = memchr(line, '\n', (size_t)(past - line)))) {
		take_line(j, fresh, line, end);
		line = end + 1;
	}
	if (line == text && len == BUFFER_BYTES) {
		take_line(j, fresh, text, past);
		line = past;
	}
	j->read_bytes += line - text;
	memmove(text, line, (size_t)(past - line));
	return (size_t)(past - line);
}

/* --- overriding ------------------------------------------------------------------ */

/*
 * Merges two lists of entries that do not overlap within themselves; of what
 * overlaps between them the newer stays whole, and the older keeps the rest.
 * `to` has room for nr_older + 2 * nr_newer.
 */
static size_t merge(struct entry *to, const struct entry *older, size_t nr_older,
		    const struct entry *newer, size_t nr_newer)
{
	struct entry old = nr_older ? older[0] : (struct entry){ 0 };
	size_t i = 0, k = 0, nr = 0;

	while (i < nr_older || k < nr_newer) {
		if (k == nr_newer || (i < nr_older && old.end <= newer[k].start)) {
			to[nr++] = old;
		} else if (i == nr_older || newer[k].end <= old.start) {
			to[nr++] = newer[k++];
			continue;
		} else {
			if (old.start < newer[k].start) {
				to[nr] = old;
				to[nr++].end = newer[k].start;
			}
			if (old.end > newer[k].end) {
				old.start = newer[k].end;
				to[nr++] = newer[k++];
				continue;
			}
		}
		if (++i < nr_older)
			old = older[i];
	}
	return nr;
}

/*
 * Sorts entries in the order of their lines so that the later override.  The
 * result lies in `list`, which has room for twice the entries, as has `spare`.
 */
static size_t settle(struct entry *list, size_t nr, struct entry *spare)
{
	size_t half = nr / 2, nr_older, nr_newer;

	if (nr < 2)
		return nr;
	/* Each half is settled where it has room for twice its size. */
	memmove(list + 2 * half, list + half, (nr - half) * sizeof(*list));
	nr_older = settle(list, half, spare);
	nr_newer = settle(list + 2 * half, nr - half, spare);
	memcpy(spare, list, nr_older * sizeof(*list));
	memcpy(spare + nr_older, list + 2 * half, nr_newer * sizeof(*list));
	return merge(list, spare, nr_older, spare + nr_older, nr_newer);
}

static bool add_fresh(struct jitmap *j, struct list *fresh)
{
	struct entry *list, *spare, *all;
	size_t nr;

	if (!fresh->nr)
		return false;
	list = realloc(fresh->at, 2 * fresh->nr * sizeof(*list));
	if (!list)
		return false;
	fresh->at = list;
	spare = malloc(2 * fresh->nr * sizeof(*spare));
	if (!spare)
		return false;
	nr = settle(list, fresh->nr, spare);
	free(spare);
	all = malloc((j->all.nr + 2 * nr) * sizeof(*all));
	if (!all)
		return false;
	j->all.nr = merge(all, j->all.at, j->all.nr, list, nr);
	free(j->all.at);
	j->all.at = all;
	return true;
}

bool jitmap_read(struct jitmap *j, int fd)
{
	struct list fresh = { 0 };
	size_t len = 0;
	struct stat st;
	char *text;
	bool any;

	if (fstat(fd, &st) < 0)
		return false;
	if (st.st_dev != j->dev || st.st_ino != j->inode || st.st_size < j->read_bytes)
		j->read_bytes = 0;
	j->dev = st.st_dev;
	j->inode = st.st_ino;
	if (st.st_size == j->read_bytes)
		return false;
	text = malloc(BUFFER_BYTES);
	while (text && j->read_bytes < MAX_FILE_BYTES && j->names_len < MAX_FILE_BYTES) {
		ssize_t got = pread(fd, text + len, BUFFER_BYTES - len,
				    j->read_bytes + (off_t)len);

		if (got <= 0)
			break;
		len = take_lines(j, &fresh, text, len + (size_t)got);
	}
	free(text);
	any = add_fresh(j, &fresh);
	free(fresh.at);
	return any;
}

bool jitmap_find(const struct jitmap *j, uint64_t address, struct jitmap_symbol *out)
{
	size_t low = 0, high = j->all.nr;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		const struct entry *entry = &j->all.at[mid];

		if (address < entry->start) {
			high = mid;
		} else if (address >= entry->end) {
			low = mid + 1;
		} else {
			out->start = entry->start;
			out->size_bytes = entry->end - entry->start;
			out->name = j->names + entry->name;
			return true;
		}
	}
	return false;
}
