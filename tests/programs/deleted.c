/*
 * deleted [SECONDS]: runs a copy of itself whose file is gone by the time it
 * burns CPU time in burn_deleted().
 */
#define _GNU_SOURCE
#include "burn.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

uint64_t burn_deleted(uint64_t x);

__attribute__((noinline, noclone)) uint64_t burn_deleted(uint64_t x)
{
	return burn_steps(x, 4);
}

static int run_copy(char **argv)
{
	char path[] = "/tmp/deleted-XXXXXX";
	int from = open("/proc/self/exe", O_RDONLY | O_CLOEXEC), to;
	struct stat st;

	to = mkostemp(path, O_CLOEXEC);
	if (from < 0 || to < 0 || fstat(from, &st) < 0)
		return 1;
	for (off_t at = 0; at < st.st_size;)
		if (sendfile(to, from, &at, (size_t)(st.st_size - at)) <= 0)
			return 1;
	fchmod(to, 0700);
	/* A file that is open for writing cannot be run. */
	close(to);
	setenv("DELETED_COPY", path, 1);
	execv(path, argv);
	unlink(path);
	return 1;
}

int main(int argc, char **argv)
{
	double limit = burn_limit(argc, argv);
	const char *copy = getenv("DELETED_COPY");
	uint64_t x = 1;

	if (!copy) {
		int status = run_copy(argv);

		perror("deleted");
		return status;
	}
	unlink(copy);
	/* A reader of this line knows that the file is gone. */
	printf("%s\n", copy);
	fflush(stdout);
	while (burn_cpu_seconds() < limit)
		x = burn_deleted(x);
	return x == 0;
}
