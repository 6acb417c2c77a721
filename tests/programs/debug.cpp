#include <coroutine>
#include <cstdio>
#include <string>
#include <vector>
#include <map>
#include <memory>
#include <functional>
#include <tuple>
#include <algorithm>
#include <variant>
#include <stdexcept>
struct task { struct promise_type { int v=0; task get_return_object(){ return {std::coroutine_handle<promise_type>::from_promise(*this)}; }
  std::suspend_never initial_suspend() noexcept { return {}; } std::suspend_always final_suspend() noexcept { return {}; }
  std::suspend_always yield_value(int x){ v=x; return {}; } void return_void(){} void unhandled_exception(){} };
  std::coroutine_handle<promise_type> h; };
task gen(int n) { for (int i = 0; i < n; i++) { struct Loc { int a; } l{i}; co_yield l.a * 2; } }
namespace outer { inline namespace v1 { namespace in { struct A { virtual int f(int x) { return x + 1; } virtual ~A() = default; int a = 1; }; } } }
using namespace outer;
namespace alias = outer::v1::in;
struct B : virtual alias::A { int f(int x) override { return x * 2; } int b = 2; };
struct C : virtual alias::A { int c = 3; };
struct D : B, C { int f(int x) override { return B::f(x) + 1; } using B::b; };
union U { int i; float f; struct { unsigned char lo : 4, hi : 4; }; };
struct Bits { unsigned a : 3; int b : 5; bool c : 1; unsigned long d : 40; };
template <class T, int N = 3> struct Arr { T v[N]; static constexpr int size = N; static inline int count = 0; T sum() const { T s{}; for (auto &x : v) { s += x; count++; } return s; } struct Inner { T t; Inner *next; } in{}; };
template <class T> T twice(T x) { struct Local { T a, b; T get() { return a + b; } }; static int calls = 0; calls++; Local l{x, x}; return l.get() + calls; }
template <class... T> auto all(T... t) { return (t + ...); }
inline int counter() { static int n; static thread_local int t = 5; return ++n + t++; }
thread_local int tl = 7;
constexpr static double pi = 3.25;
static constexpr int table[] = {1, 2, 3};
enum class Color : unsigned char { Red = 1, Green }; enum Old { X1, X2 = 7 };
typedef int (*fn)(int);
int plus1(int x) { return x + 1; }
struct Mem { int x; int m(int y) const & { return x + y; } static int s; int (Mem::*pm)(int) const & = &Mem::m; };
int Mem::s = 9;
auto ret_local() { struct R { int q; int r() { return q * 2; } }; return R{4}; }
template <class F> int apply(F f, int x) { return f(x); }
int vla(int n) { int a[n]; for (int i = 0; i < n; i++) a[i] = i; int s = 0; for (int i = 0; i < n; i++) s += a[i]; return s; }
int cgoto(int x) { static void *const t[] = {&&a, &&b}; goto *t[x & 1]; a: return 1; b: return 2; }
int asmf(int x) { int y; __asm__ volatile("movl %1, %0" : "=r"(y) : "r"(x)); return y; }
_Complex double cplx(_Complex double z) { return z * z; }
int usingdecl(int x) { using alias::A; namespace q = outer::v1; using namespace std; A a; q::in::A b; string s = "x"; return a.f(x) + b.a + (int)s.size(); }
namespace { struct Anon { int z; int get() { return z; } }; int anon(int x) { Anon a{x}; return a.get(); } }
int tryit(int x) { try { if (x > 2) throw std::runtime_error("big"); return x; } catch (const std::exception &e) { auto n = e.what(); return n[0]; } }
template <auto V> int nttp() { return V; }
template <template <class, int> class TT> int tt() { TT<int, 2> a{{1, 2}}; return a.sum(); }
struct Conv { operator int() const { return 3; } explicit operator bool() const { return true; } Conv operator+(const Conv &) const { return *this; } };
int main() {
  auto t = gen(3); int s = 0; while (!t.h.done()) { s += t.h.promise().v; t.h.resume(); } t.h.destroy();
  D d; alias::A &a = d; s += a.f(3) + d.b; U u; u.i = 0x35; s += u.lo + u.hi; Bits bb{1, -2, true, 77}; s += bb.b + bb.d;
  Arr<int> ar{{1, 2, 3}}; s += ar.sum() + Arr<int>::count + ar.size; s += twice(3) + (int)twice(2.5); s += all(1, 2, 3);
  s += counter() + counter() + tl + (int)pi + table[s & 1] + (int)Color::Green + X2; fn p = plus1; s += p(2);
  Mem m{5}; s += (m.*m.pm)(2) + Mem::s; s += ret_local().r(); auto l = [&, k = s](auto x) { return x + k; }; s += apply(l, 3) + apply([](int q) { return q * 3; }, 2);
  s += vla(4) + cgoto(s) + asmf(3) + (int)__real__ cplx(2.0) + usingdecl(2) + anon(3) + tryit(1) + tryit(5) + nttp<5>() + tt<Arr>();
  auto [x, y, z] = std::tuple{1, 2.0, 'c'}; s += x + (int)y + z; std::map<std::string, std::vector<int>> mp{{"a", {1, 2}}}; for (auto &[k, v] : mp) s += k.size() + v.size();
  std::vector<int> v{3, 1, 2}; std::sort(v.begin(), v.end(), [](int a, int b) { return a > b; }); s += v[0]; std::function<int(int)> f = [s](int x) { return x + s; }; s = f(1);
  std::variant<int, std::string> var = "hey"; s += std::visit([](auto &x) -> int { if constexpr (requires { x.size(); }) return x.size(); else return x; }, var);
  auto sp = std::make_shared<Bits>(); s += sp->a; Conv c; s += (c + c); std::printf("%d\n", s); return 0; }
