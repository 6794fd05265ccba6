/*
 * A server with a fault to be found: now and then a request takes ten times as long as
 * the others.
 *
 *	slow-shop [SECONDS [copy]]
 *
 * Four workers answer requests that come over a pipe each.  A request looks a price up
 * under a lock.  A fifth thread saves the prices to a file, twenty times a second, and
 * holds that lock while it does; with `copy` only while it copies them.
 *
 * Documentation/why-slow.md finds the fault.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define NR_WORKERS 4
#define NR_ROWS 16
#define ROW_BYTES 1048576

static pthread_mutex_t prices_lock = PTHREAD_MUTEX_INITIALIZER;
static char prices[NR_ROWS][ROW_BYTES], copied[NR_ROWS][ROW_BYTES];
static int requests[NR_WORKERS][2];
static volatile int stop;
static int by_copy;

static void nap(long us)
{
	struct timespec t = { 0, us * 1000 };

	nanosleep(&t, NULL);
}

__attribute__((noinline)) static unsigned int compute(unsigned int seed, int rounds)
{
	for (int i = 0; i < rounds; i++)
		seed = seed * 1664525u + 1013904223u;
	return seed;
}

__attribute__((noinline)) static void take_prices(void)
{
	pthread_mutex_lock(&prices_lock);
	__asm__ volatile("");
}

__attribute__((noinline)) static void give_prices_back(void)
{
	pthread_mutex_unlock(&prices_lock);
	__asm__ volatile("");
}

__attribute__((noinline)) static void look_up_price(unsigned int item)
{
	take_prices();
	prices[item % NR_ROWS][item % ROW_BYTES] += (char)compute(item, 2000);
	give_prices_back();
	__asm__ volatile("");
}

__attribute__((noipa)) void handle_request(unsigned int item)
{
	look_up_price(compute(item, 40000));
}

static void *worker(void *arg)
{
	int *request = arg;
	char item;

	pthread_setname_np(pthread_self(), "worker");
	while (read(request[0], &item, 1) == 1) {
		handle_request((unsigned char)item);
		nap(100);
	}
	return NULL;
}

__attribute__((noinline)) static void write_prices(int fd, const char (*rows)[ROW_BYTES])
{
	for (long row = 0; row < NR_ROWS; row++)
		if (pwrite(fd, rows[row], ROW_BYTES, row * ROW_BYTES) != ROW_BYTES)
			exit(1);
	if (fdatasync(fd))
		exit(1);
	__asm__ volatile("");
}

__attribute__((noinline)) static void save_prices(int fd)
{
	take_prices();
	if (by_copy)
		memcpy(copied, prices, sizeof(prices));
	else
		write_prices(fd, prices);
	give_prices_back();
	if (by_copy)
		write_prices(fd, copied);
	__asm__ volatile("");
}

static void *saver(void *arg)
{
	char path[] = "/var/tmp/slow-shop-XXXXXX";
	int fd = mkstemp(path);

	if (fd < 0)
		exit(1);
	unlink(path);
	pthread_setname_np(pthread_self(), "saver");
	while (!stop) {
		save_prices(fd);
		nap(50000);
	}
	close(fd);
	return arg;
}

int main(int argc, char **argv)
{
	double seconds = argc > 1 ? atof(argv[1]) : 5;
	pthread_t threads[NR_WORKERS + 1];
	struct timespec from, now;
	unsigned int item = 1;

	by_copy = argc > 2;
	if (seconds <= 0)
		return 2;
	for (int i = 0; i < NR_WORKERS; i++)
		if (pipe(requests[i]) ||
		    pthread_create(&threads[i], NULL, worker, requests[i]))
			return 1;
	if (pthread_create(&threads[NR_WORKERS], NULL, saver, NULL))
		return 1;
	clock_gettime(CLOCK_MONOTONIC, &from);
	do {
		for (int i = 0; i < NR_WORKERS; i++) {
			char byte = (char)(item = compute(item, 1));

			if (write(requests[i][1], &byte, 1) != 1)
				return 1;
		}
		nap(1000);
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while ((double)(now.tv_sec - from.tv_sec) +
		 (double)(now.tv_nsec - from.tv_nsec) / 1e9 < seconds);
	stop = 1;
	for (int i = 0; i < NR_WORKERS; i++)
		close(requests[i][1]);
	for (int i = 0; i <= NR_WORKERS; i++)
		pthread_join(threads[i], NULL);
	return 0;
}
