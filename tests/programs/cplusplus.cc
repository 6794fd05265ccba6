/*
 * cplusplus [SECONDS]: time goes to a template, a method in a namespace, an
 * overloaded operator, a virtual function and a lambda.
 */
#include "burn.h"

#include <cstdio>

namespace kiln {

template <typename T, int N> struct oven {
	T heat;

	__attribute__((noinline)) T bake(T x)
	{
		return static_cast<T>(burn_steps(static_cast<uint64_t>(x + heat), N));
	}
};

struct shape {
	virtual ~shape() = default;
	virtual uint64_t fire(uint64_t x) const = 0;
};

namespace {

struct bowl final : shape {
	__attribute__((noinline)) uint64_t fire(uint64_t x) const override
	{
		return burn_steps(x, 1);
	}
};

}

struct clay {
	uint64_t x;

	__attribute__((noinline)) clay operator+(const clay &other) const
	{
		return { burn_steps(x + other.x, 1) };
	}
};

template <typename F> __attribute__((noinline)) uint64_t twice(F f, uint64_t x)
{
	return f(f(x)) + 1;
}

}

int main(int argc, char **argv)
{
	double limit = burn_limit(argc, argv);
	kiln::oven<long, 2> slow { 3 };
	kiln::oven<unsigned, 1> fast { 5 };
	kiln::bowl bowl;
	const kiln::shape *volatile shape = &bowl;
	uint64_t x = 1;

	while (burn_cpu_seconds() < limit) {
		x = static_cast<uint64_t>(slow.bake(static_cast<long>(x)));
		x += fast.bake(static_cast<unsigned>(x));
		x = shape->fire(x);
		x = (kiln::clay { x } + kiln::clay { 7 }).x;
		x = kiln::twice([](uint64_t y) __attribute__((noinline)) {
			return burn_steps(y, 1);
		}, x);
	}
	std::printf("%llx\n", static_cast<unsigned long long>(x));
	return 0;
}
