/*
 * Reads of known sizes: opens FILE, reads 1, 2 ... N bytes at its start, then once
 * from a descriptor that is open for writing only, which is refused.
 *
 *	reads FILE N
 *
 * Prints its process id.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	static char buffer[65536];
	int fd, n = argc == 3 ? atoi(argv[2]) : 0;

	if (n < 1 || n > (int)sizeof(buffer)) {
		fputs("usage: reads FILE N\n", stderr);
		return 2;
	}
	fd = open(argv[1], O_RDONLY);
	if (fd < 0) {
		perror(argv[1]);
		return 1;
	}
	for (int i = 1; i <= n; i++) {
		if (pread(fd, buffer, (size_t)i, 0) != i)
			return 1;
	}
	close(fd);
	fd = open(argv[1], O_WRONLY);
	if (fd < 0 || read(fd, buffer, 1) != -1 || errno != EBADF)
		return 1;
	printf("%d\n", (int)getpid());
	return 0;
}
