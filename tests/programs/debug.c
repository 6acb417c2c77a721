#include <stdio.h>
#include <complex.h>
#include <stdarg.h>
#include <setjmp.h>
_Thread_local int tls = 4; static _Thread_local int stls;
struct s { int a; struct { int b, c; }; union { int d; float e; }; struct s *next; unsigned f : 3, : 2, g : 4; char flex[]; };
struct anon_holder { struct { int q; } in; enum { EA, EB } e; };
#define KIND(x) _Generic((x), int: 1, float: 2, default: 3)
static inline int in(int x) { static int n; n += x; return n; }
int vla(int n, int a[n][n]) { int s = 0; for (int i = 0; i < n; i++) for (int j = 0; j < n; j++) s += a[i][j]; typedef int row[n]; row r; r[0] = s; return r[0]; }
int va(int n, ...) { va_list l; va_start(l, n); int s = 0; while (n--) s += va_arg(l, int); va_end(l); return s; }
int cg(int x) { static void *t[] = {&&a, &&b, &&c}; goto *t[x % 3]; a: x++; b: x += 2; c: return x; }
_Complex float cf(_Complex float z) { return conjf(z) * z; }
int labels(int x) { again: if (x < 10) { x *= 2; goto again; } { __label__ loc; if (x & 1) goto loc; x++; loc:; } return x; }
int asmf(int x) { __asm__ goto("" : : : : out); x++; out: __asm__("nop\n\t" "nop" : "+r"(x)); return x; }
int kr(a, b) int a; char b; { return a + b; }
struct big { int v[40]; } ; struct big mk(int x) { struct big b = {{x}}; return b; } int take(struct big b) { return b.v[0]; }
jmp_buf jb; int sj(int x) { if (setjmp(jb)) return 7; if (x) longjmp(jb, 1); return 1; }
__attribute__((weak)) int wk(int x) { return x; } int al(int) __attribute__((alias("wk")));
static int res(int x) { return x + 4; } static void *pick(void) { return res; } int ifn(int) __attribute__((ifunc("pick")));
typedef int v4 __attribute__((vector_size(16))); v4 addv(v4 a, v4 b) { return a + b; }
__int128 wide(__int128 x) { return x * 3; } _BitInt(37) bi(_BitInt(37) x) { return x + 1; } _Float16 hf(_Float16 x) { return x; }
extern const int ci; const int ci = 5; static const char *names[] = {"a", "b"}; int arr2[2][3] = {{1}};
int nested(int x) { int y = 1; { int y = 2; { struct in { int p; } q = {x}; int y = q.p; x += y; } x += y; } return x + y; }
static int *volatile const cvp = &arr2[0][0]; _Atomic int at; 
__attribute__((constructor)) static void ctor(void) { stls = 1; }
#line 5000 "other.c"
int far(int x) { return x + 1; }
int mixed(int x) { x += 2;
#line 100 "third.c"
 x *= 3; { int inner = x;
#line 90 "fourth.c"
 x += inner; }
 return x; }
#line 60 "debug.c"
int main(void) { int m[2][2] = {{1, 2}, {3, 4}}; struct s s = {.a = 1, .b = 2}; struct anon_holder h = {{3}, EB}; int t = 0;
 t += tls + stls + s.b + h.in.q + KIND(1) + KIND(1.f) + in(2) + in(3) + vla(2, m) + va(2, 3, 4) + cg(4) + (int)crealf(cf(2)) + labels(3) + asmf(2) + kr(1, 2) + take(mk(4)) + sj(1) + al(2) + ifn(3);
 v4 a = {1, 2, 3, 4}; t += addv(a, a)[2] + (int)wide(4) + (int)bi(4) + (int)hf(3) + ci + names[1][0] + arr2[0][0] + nested(2) + *cvp + far(1) + mixed(2); at += t; printf("%d\n", at); return 0; }
