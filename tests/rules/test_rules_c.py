"""Parts of C with their own rules in the back end."""

from pathlib import Path

from harness import needs_clang
from rules import compare

pytestmark = needs_clang


def test_long_double_int128_and_bitfields_across_files(tmp_path: Path) -> None:
    files = {
        "lib.c": """\
struct bits { unsigned a : 3; int b : 7; unsigned long c : 40; _Bool d : 1; };
long double mix(long double x, __int128 y, struct bits z) { return x + y + z.a + z.b + z.c + z.d; }
__int128 wide(__int128 x) { return x * x; }
_Complex double turn(_Complex double z) { return z * 1.0i; }
struct bits make(int n) { return (struct bits){n, -n, (unsigned long)n << 33, n & 1}; }
""",
        "main.c": """\
#include <stdio.h>
struct bits { unsigned a : 3; int b : 7; unsigned long c : 40; _Bool d : 1; };
long double mix(long double, __int128, struct bits);
__int128 wide(__int128);
_Complex double turn(_Complex double);
struct bits make(int);
int main(void) {
    __int128 w = wide((__int128)1 << 40);
    _Complex double t = turn(2.0 + 3.0i);
    struct bits b = make(5);
    printf("%.2Lf %llx %g %g\\n", mix(0.25L, 7, b), (unsigned long long)(w >> 64), __real__ t, __imag__ t);
}
""",
    }
    compare(tmp_path, files, "42949672968.25 10000 -3 2\n")


def test_setjmp_across_files(tmp_path: Path) -> None:
    files = {
        "jump.c": """\
#include <setjmp.h>
extern jmp_buf home;
void leave(int n) { if (n > 2) longjmp(home, n); leave(n + 1); }
""",
        "main.c": """\
#include <setjmp.h>
#include <stdio.h>
jmp_buf home;
void leave(int);
int main(void) {
    volatile int tries = 0;
    int code = setjmp(home);
    if (tries++ < 2) leave(tries);
    printf("%d %d\\n", code, tries);
}
""",
    }
    compare(tmp_path, files, "3 3\n")


def test_signal_handler(tmp_path: Path) -> None:
    text = """\
#include <signal.h>
#include <stdio.h>
static volatile sig_atomic_t seen;
static void handler(int number) { seen = number; }
int main(void) { signal(SIGUSR1, handler); raise(SIGUSR1); printf("%d\\n", seen == SIGUSR1); }
"""
    compare(tmp_path, {"main.c": text}, "1\n")


def test_exit_handlers_and_exit_codes(tmp_path: Path) -> None:
    text = """\
#include <stdio.h>
#include <stdlib.h>
static void bye(void) { puts("bye"); }
int main(void) { atexit(bye); fprintf(stderr, "leaving\\n"); exit(7); }
"""
    compare(tmp_path, {"main.c": text}, "bye\n", code=7)


def test_atomics_and_threads(tmp_path: Path) -> None:
    files = {
        "count.c": """\
#include <stdatomic.h>
_Atomic long total;
void add(long n) { atomic_fetch_add(&total, n); }
""",
        "main.c": """\
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
extern _Atomic long total;
void add(long);
static void *work(void *n) { for (int i = 0; i < 1000; i++) add((long)n); return 0; }
int main(void) {
    pthread_t threads[4];
    for (long i = 0; i < 4; i++) pthread_create(&threads[i], 0, work, (void *)(i + 1));
    for (int i = 0; i < 4; i++) pthread_join(threads[i], 0);
    printf("%ld\\n", total);
}
""",
    }
    compare(tmp_path, files, "10000\n")


def test_vectors_and_targets_by_attribute(tmp_path: Path) -> None:
    files = {
        "v.c": """\
typedef float v4 __attribute__((vector_size(16)));
v4 scale(v4 v, float f) { return v * f; }
__attribute__((target("sse4.2"))) int popcount(unsigned x) { return __builtin_popcount(x); }
__attribute__((target_clones("avx2", "default"))) int cloned(int x) { return x * 3; }
""",
        "main.c": """\
#include <stdio.h>
typedef float v4 __attribute__((vector_size(16)));
v4 scale(v4, float);
int popcount(unsigned), cloned(int);
int main(void) {
    v4 v = scale((v4){1, 2, 3, 4}, 2);
    printf("%g %g %d %d\\n", v[0], v[3], popcount(255), cloned(5));
}
""",
    }
    compare(tmp_path, files, "2 8 8 15\n")


def test_nested_functions_blocks_of_statics(tmp_path: Path) -> None:
    text = """\
#include <stdio.h>
int counter(void) { static int n; return ++n; }
int other(void) { static int n = 10; { static int n = 100; n++; printf("%d\\n", n); } return ++n; }
int main(void) { counter(); printf("%d %d %d\\n", counter(), other(), other()); }
"""
    compare(tmp_path, {"main.c": text})


def test_variable_length_arrays_and_alloca(tmp_path: Path) -> None:
    text = """\
#include <stdio.h>
#include <string.h>
static int fill(int n, char text[n]) {
    char copy[n], *p = __builtin_alloca(n);
    memcpy(copy, text, n);
    strcpy(p, copy);
    return p[n - 2];
}
int main(int argc, char **argv) { printf("%c\\n", fill(6, "abcde")); }
"""
    compare(tmp_path, {"main.c": text}, "e\n")


def test_recursion_through_three_files(tmp_path: Path) -> None:
    files = {
        "a.c": "int b(int);\nint a(int n) { return n <= 0 ? 1 : n + b(n - 1); }\n",
        "b.c": "int c(int);\nint b(int n) { return n <= 0 ? 2 : n * c(n - 1); }\n",
        "c.c": """\
#include <stdio.h>
int a(int);
int c(int n) { return n <= 0 ? 3 : n - a(n - 1); }
int main(void) { printf("%d\\n", c(9)); }
""",
    }
    compare(tmp_path, files)
