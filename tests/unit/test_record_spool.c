#define _GNU_SOURCE
#include "record/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#define LIMIT 400000

static const uint8_t block[50000];

static void make_pipe(int fds[2])
{
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
}

/* Whatever is put comes out, in order, whether the reader is slow or not. */
static void *reader(void *arg)
{
	uint8_t bytes[3000], *sum = calloc(1, 1);
	ssize_t n;

	while ((n = read(*(int *)arg, bytes, sizeof(bytes))) > 0)
		for (ssize_t i = 0; i < n; i++)
			*sum = (uint8_t)(*sum * 31 + bytes[i]);
	return sum;
}

static void test_order(void **state)
{
	uint8_t piece[977], expected = 0, *sum;
	uint64_t written;
	struct spool *s;
	pthread_t t;
	int fds[2];

	(void)state;
	make_pipe(fds);
	assert_int_equal(spool_open(&s, fds[1], LIMIT), 0);
	pthread_create(&t, NULL, reader, &fds[0]);
	for (int i = 0; i < 2000; i++) {
		memset(piece, i * 7 + 1, sizeof(piece));
		for (size_t k = 0; k < sizeof(piece); k++)
			expected = (uint8_t)(expected * 31 + piece[k]);
		assert_int_equal(spool_put(s, piece, sizeof(piece), false), 0);
	}
	assert_int_equal(spool_finish(s, &written), 0);
	spool_close(s);
	assert_int_equal(written, 2000 * sizeof(piece));
	pthread_join(t, (void **)&sum);
	assert_int_equal(*sum, expected);
	free(sum);
	close(fds[0]);
}

/* A reader that never reads: records are refused, and giving up ends it. */
static void test_stuck(void **state)
{
	struct spool *s;
	uint64_t written;
	int fds[2], err = 0, accepted = 0;

	(void)state;
	make_pipe(fds);
	assert_int_equal(spool_open(&s, fds[1], LIMIT), 0);
	while (accepted < 100 && !(err = spool_put(s, block, sizeof(block), true)))
		accepted++;
	assert_int_equal(err, -ENOBUFS);
	assert_in_range(accepted, 5, 8);	/* 3/4 of the limit, and the pipe */
	assert_in_range(spool_fill_percent(s), 50, 100);
	assert_int_equal(spool_put(s, block, 1000, false), 0);
	spool_give_up(s);
	assert_int_equal(spool_finish(s, &written), -ECANCELED);
	spool_close(s);
	close(fds[0]);
}

static void test_closed_pipe(void **state)
{
	struct spool *s;
	uint64_t written;
	int fds[2];

	(void)state;
	signal(SIGPIPE, SIG_IGN);
	make_pipe(fds);
	close(fds[0]);
	assert_int_equal(spool_open(&s, fds[1], LIMIT), 0);
	while (!spool_error(s))
		spool_put(s, block, sizeof(block), false);
	assert_int_equal(spool_error(s), -EPIPE);
	assert_int_equal(spool_put(s, block, 1, false), -EPIPE);
	assert_int_equal(spool_finish(s, &written), -EPIPE);
	spool_close(s);
}

static void test_full_disk(void **state)
{
	int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
	struct spool *s;
	uint64_t written;

	(void)state;
	if (fd < 0)
		skip();
	assert_int_equal(spool_open(&s, fd, LIMIT), 0);
	assert_int_equal(spool_put(s, block, 100, false), 0);
	assert_int_equal(spool_finish(s, &written), -ENOSPC);
	spool_close(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_stuck),
		cmocka_unit_test(test_closed_pipe),
		cmocka_unit_test(test_full_disk),
	};

	return cmocka_run_group_tests_name("spool", tests, NULL, NULL);
}
