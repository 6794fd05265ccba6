/*
 * contend N: a thread waits N times for a lock of the kernel, that of the memory map, which
 * another thread holds while it fills new memory.  Prints the number of the thread that waits.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#define MUCH_BYTES (16u << 20)
#define FEW_BYTES 4096u

static int is_over;

static int map_and_unmap(size_t bytes, int flags)
{
	void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | flags,
			-1, 0);

	return at == MAP_FAILED ? -1 : munmap(at, bytes);
}

static void *fill(void *arg)
{
	while (!__atomic_load_n(&is_over, __ATOMIC_RELAXED))
		if (map_and_unmap(MUCH_BYTES, MAP_POPULATE))
			exit(1);
	return arg;
}

static long nr_waits(void)
{
	struct rusage usage;

	getrusage(RUSAGE_THREAD, &usage);
	return usage.ru_nvcsw;
}

int main(int argc, char **argv)
{
	long left = argc > 1 ? atol(argv[1]) : 1;
	pthread_t thread;

	if (pthread_create(&thread, NULL, fill, NULL))
		return 1;
	/* There is nothing else to wait for. */
	while (left > 0) {
		long before = nr_waits();

		if (map_and_unmap(FEW_BYTES, 0))
			return 1;
		left -= nr_waits() > before;
	}
	__atomic_store_n(&is_over, 1, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	printf("%d\n", (int)getpid());
	return 0;
}
