/*
 * uprobes [ROUNDS [wait]]: calls functions with known arguments, ROUNDS times
 * each, and prints the sum of what they returned.  With "wait" it says "ready" and
 * begins with the first line on its standard input.
 * Build: -O2
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What a compiler knows of a function it may use to change how it is called. */
#define KEPT __attribute__((noipa))

struct point {
	int x, y;
};

struct large {
	long v[4];
};

struct mixed {
	double weight;
	int count;
};

enum color { RED = 1, GREEN = -2 };

typedef int (*callback)(int n);

struct request {
	const char *method;
	char path[16];
	long sizes[3];
	unsigned int kind : 3, level : 7;
	signed int delta : 5;
	struct request *next;
	union {
		int code;
		float ratio;
	};
	struct point at;
};

KEPT int count_me(int i)
{
	return i & 7;
}

KEPT long signs(signed char c, short h, int i, long l, unsigned char uc, unsigned int u)
{
	return c + h + i + l + uc + u;
}

KEPT long many(long a, long b, long c, long d, long e, long f, int g, long h)
{
	return a + b + c + d + e + f + g + h;
}

KEPT int text(const char *s, char *t)
{
	return (int)(strlen(s) + strlen(t));
}

KEPT long walk(struct request *req, int depth)
{
	return req->sizes[2] + depth + req->level + req->next->code + req->method[0] +
	       req->path[0] + req->delta + req->kind + req->at.y;
}

KEPT int by_value(struct point p, struct large l, struct mixed m, int after)
{
	return p.x + p.y + (int)l.v[3] + (int)m.weight + m.count + after;
}

KEPT double scale(double x, int k, float y, long n)
{
	return x * k + y + (double)n;
}

KEPT struct large make_large(int n)
{
	return (struct large){ { n, n + 1, n + 2, n + 3 } };
}

KEPT struct point make_point(int n)
{
	return (struct point){ n, -n };
}

KEPT int fails(int i)
{
	return -i - 1;
}

KEPT unsigned char small(int i)
{
	return (unsigned char)i;
}

KEPT const char *name_of(int i)
{
	static const char *const names[] = { "zero", "one", "two" };

	return names[i % 3];
}

KEPT void nothing(enum color color, callback fn)
{
	__asm__ volatile("" : : "r"(color), "r"(fn));
}

KEPT long depth_of(int n)
{
	return n ? 1 + depth_of(n - 1) : 0;
}

static struct request inner = { .code = 41 };
static struct request outer = {
	.method = "GET", .path = "/index.html", .sizes = { 10, -20, 30 }, .kind = 5,
	.level = 99, .delta = -7, .next = &inner, .at = { 3, -4 },
};
static char greeting[] = "hello", subject[] = "world";

static long round_of(int i)
{
	struct large large = { { i, i + 1, i + 2, i + 3 } };
	struct mixed mixed = { 0.5, i };
	struct point point = { i, -i };
	long sum = 0;

	sum += count_me(i);
	sum += signs(-1, -300, -70000, -5000000000, 200, 4000000000u);
	sum += many(1, 2, 3, 4, 5, 6, -7, 8);
	sum += text(greeting, subject);
	sum += walk(&outer, i);
	sum += by_value(point, large, mixed, -i);
	sum += (long)scale(1.5, i, 2.5f, -i);
	sum += make_large(i).v[0];
	sum += make_point(i).y;
	sum += fails(i);
	sum += small(200 + i);
	sum += name_of(i)[0];
	nothing(GREEN, count_me);
	sum += depth_of(4);
	return sum;
}

int main(int argc, char **argv)
{
	int rounds = argc > 1 ? atoi(argv[1]) : 1;
	long sum = 0;

	/* Memory that nobody has touched yet cannot be read from a probe. */
	for (int i = 0; i < 3; i++)
		sum += (long)strlen(name_of(i)) + (long)strlen(outer.method) - 3;
	sum -= 10;
	if (argc > 2) {
		char line[64];

		printf("ready\n");
		fflush(stdout);
		if (!fgets(line, sizeof(line), stdin))
			return 1;
	}
	for (int i = 0; i < rounds; i++)
		sum += round_of(i);
	printf("%ld\n", sum);
	return 0;
}
