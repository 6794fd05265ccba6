#include "record/numlist.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int compare(const void *a, const void *b)
{
	int x = *(const int *)a, y = *(const int *)b;

	return (x > y) - (x < y);
}

static int add_range(int **list, size_t *nr, size_t *cap, long first, long last)
{
	if ((size_t)(last - first) >= NUMLIST_MAX - *nr)
		return -E2BIG;
	while (*nr + (size_t)(last - first) + 1 > *cap) {
		size_t more = *cap ? *cap * 2 : 16;
		int *bigger = realloc(*list, more * sizeof(**list));

		if (!bigger)
			return -ENOMEM;
		*list = bigger;
		*cap = more;
	}
	for (long n = first; n <= last; n++)
		(*list)[(*nr)++] = (int)n;
	return 0;
}

/* Digits only: no sign, no space. */
static int take_number(const char **at, int least, long *value)
{
	char *end;

	if (**at < '0' || **at > '9')
		return -EINVAL;
	errno = 0;
	*value = strtol(*at, &end, 10);
	if (errno || *value > INT_MAX || *value < least)
		return -EINVAL;
	*at = end;
	return 0;
}

static int take_range(const char **at, int least, bool ranges, long *first, long *last)
{
	int err = take_number(at, least, first);

	*last = *first;
	if (err || !ranges || **at != '-')
		return err;
	++*at;
	err = take_number(at, least, last);
	return err ? err : *last < *first ? -EINVAL : 0;
}

int numlist_parse(const char *text, int least, bool ranges, int **out, size_t *nr)
{
	size_t count = 0, cap = 0, kept = 0;
	int *list = NULL, err;
	long first, last;

	for (;; text++) {
		err = take_range(&text, least, ranges, &first, &last);
		if (!err)
			err = add_range(&list, &count, &cap, first, last);
		if (err)
			goto fail;
		if (*text != ',')
			break;
	}
	err = -EINVAL;
	if (*text && strcmp(text, "\n") != 0)
		goto fail;
	qsort(list, count, sizeof(*list), compare);
	for (size_t i = 0; i < count; i++) {
		if (!kept || list[kept - 1] != list[i])
			list[kept++] = list[i];
	}
	*out = list;
	*nr = kept;
	return 0;
fail:
	free(list);
	return err;
}

int numlist_read(const char *path, int **out, size_t *nr)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	char text[4096];
	ssize_t n;
	int err;

	if (fd < 0)
		return -errno;
	n = read(fd, text, sizeof(text) - 1);
	err = -errno;
	close(fd);
	if (n < 0)
		return err;
	text[n] = '\0';
	return numlist_parse(text, 0, true, out, nr);
}

bool numlist_has(const int *list, size_t nr, int value)
{
	return nr && bsearch(&value, list, nr, sizeof(*list), compare);
}
