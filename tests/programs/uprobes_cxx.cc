/*
 * uprobes_cxx [ROUNDS]: calls overloaded functions, methods and functions that take
 * references and objects, ROUNDS times each.
 * Build: -O1
 */
#include <cstdio>
#include <cstdlib>

#define KEPT __attribute__((noipa))

namespace mill {

/* Copied by its constructor: passed by its address. */
struct owner {
	int id;
	explicit owner(int n) : id(n) {}
	owner(const owner &other) : id(other.id + 100) {}
	~owner() { id = 0; }
};

struct base {
	long first;
};

struct grain : base {
	int weight;

	KEPT int grind(int times) const
	{
		return weight * times;
	}
};

KEPT int pour(int n)
{
	return n;
}

KEPT int pour(const char *name)
{
	return name[0];
}

KEPT int weigh(const grain &g, owner by_copy, int after)
{
	return g.weight + by_copy.id + after;
}

}

int main(int argc, char **argv)
{
	int rounds = argc > 1 ? atoi(argv[1]) : 1;
	long sum = 0;

	for (int i = 0; i < rounds; i++) {
		mill::grain grain;
		mill::owner owner(i);

		grain.first = -9;
		grain.weight = i + 1;
		sum += grain.grind(3);
		sum += mill::pour(i);
		sum += mill::pour(i % 2 ? argv[0] : "even");
		sum += mill::weigh(grain, owner, -i);
	}
	printf("%ld\n", sum > 0 ? 1L : 0L);
	return 0;
}
