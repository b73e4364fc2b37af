#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace shapes {
namespace {
int hidden(int v) { return v * 7; }
struct Anonymous {
	int operator()(int v) const { return hidden(v) + 1; }
};
}

template <typename T, int N> struct Ring {
	T items[N];
	int at = 0;
	void push(const T &v) { items[at++ % N] = v; }
	template <typename F> int fold(F f) const
	{
		int s = 0;
		for (const T &v : items)
			s = f(s, v);
		return s;
	}
};

struct Base {
	virtual ~Base() {}
	virtual int area() const = 0;
	virtual const char *name() const { return "base"; }
};
struct Named {
	virtual int tag() { return 3; }
	int unused = 1;
};
struct Square : Base, Named { // tag() gets a thunk
	int side;
	explicit Square(int s) : side(s)
	{
		if (s < 0)
			throw std::invalid_argument("negative side " + std::to_string(s));
	}
	int area() const override { return side * side; }
	int tag() override { return side; }
};
struct Virtual : virtual Base {
	int area() const override { return 1; }
};
struct Diamond : Virtual, virtual Base {
	Diamond() {}
	~Diamond() override { hidden(2); }
};

Square operator+(const Square &a, const Square &b) { return Square(a.side + b.side); }
}

using shapes::Square;

static std::map<std::string, int> &registry()
{
	static std::map<std::string, int> all; // a guard variable
	return all;
}

static int sorted(std::vector<int> v)
{
	std::sort(v.begin(), v.end(), [](int a, int b) { return a > b; });
	int s = 0;
	std::for_each(v.begin(), v.end(), [&s](int x) { s += x; });
	return s;
}

template <typename... Args> static int sum(Args... args) { return (0 + ... + args); }

int recover(int v)
{
	try {
		struct Local {
			int n;
			~Local() { registry()["left"] += n; }
		} local{v};
		Square a(v), b = a + Square(v - 4);
		return b.area() + b.tag();
	} catch (const std::invalid_argument &e) {
		return int(e.what()[0]);
	} catch (...) {
		return -1;
	}
}

int main(int argc, char **argv)
{
	shapes::Ring<int, 4> ring{};
	for (int i = 0; i < argc + 5; i++)
		ring.push(i);
	std::function<int(int)> f = shapes::Anonymous();
	auto bound = [=](auto x) { return f(x) + argc; };
	std::unique_ptr<shapes::Base> p = std::make_unique<shapes::Diamond>();
	registry()["x"] = recover(argc) + recover(-argc);
	std::vector<int> v(argv[0], argv[0] + 3);
	return (ring.fold([](int a, int b) { return a ^ b; }) + bound(3) + p->area() + sorted(v) + sum(1, 2u, 3l, argc) + int(registry().size())) & 1;
}
