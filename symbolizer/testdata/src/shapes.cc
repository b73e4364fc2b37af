// C++ names: namespaces, templates, methods, lambdas, operators.
namespace geo {
template <typename T> struct Box {
	T w, h;
	T area() const { return w * h; }
	Box operator+(const Box &o) const { return Box{w + o.w, h + o.h}; }
};
namespace { int hidden(int x) { return x * 3; } }
struct Shape {
	virtual int sides() const = 0;
	int twice() const { return sides() * 2; }
};
struct Square : Shape {
	int n;
	explicit Square(int v) : n(v) {}
	int sides() const override;
};
int Square::sides() const { return n + hidden(n); }
}

volatile int sink;

template <typename F> static int apply(F f, int n)
{
	int sum = 0;
	for (int i = 0; i < n; i++)
		sum += f(i);
	return sum;
}

extern "C" void __cxa_pure_virtual() { for (;;) sink = sink; }
void operator delete(void *, unsigned long) noexcept { sink = 0; }
namespace __cxxabiv1 {
struct __class_type_info { virtual void a(); };
struct __si_class_type_info { virtual void a(); };
void __class_type_info::a() {}
void __si_class_type_info::a() {}
}

int run(int k)
{
	geo::Square s(k);
	geo::Box<int> a{k, 2}, b{3, k};
	auto lambda = [&](int i) { return i * k + s.twice(); };
	return apply(lambda, k) + (a + b).area();
}

extern "C" void _start()
{
	sink = run(sink);
	for (;;) {}
}
