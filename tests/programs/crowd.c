/*
 * Many threads at once:
 *
 *	crowd NR
 *
 * All wait for each other before they end.  Prints how many could be started.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define STACK_BYTES (64u << 10)

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void *wait_for_all(void *arg)
{
	pthread_mutex_lock(&lock);
	pthread_mutex_unlock(&lock);
	return arg;
}

int main(int argc, char **argv)
{
	long nr = argc == 2 ? atol(argv[1]) : 0, started = 0;
	pthread_t *threads = calloc((size_t)nr + 1, sizeof(*threads));
	pthread_attr_t small;

	if (!threads || nr <= 0 || pthread_attr_init(&small) ||
	    pthread_attr_setstacksize(&small, STACK_BYTES))
		return 2;
	pthread_mutex_lock(&lock);
	while (started < nr && !pthread_create(&threads[started], &small, wait_for_all, NULL))
		started++;
	pthread_mutex_unlock(&lock);
	for (long i = 0; i < started; i++)
		pthread_join(threads[i], NULL);
	printf("%ld\n", started);
	free(threads);
	return 0;
}
