"""Programs that were once built wrongly, each kept as small as it could be made."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from harness import CLANG, run
from rules import Build, compare, write


def test_function_whose_statics_look_like_copies(tmp_path: Path) -> None:
    text = """\
#include <stdio.h>
static int one(void) { return 1; }
struct S { int v; int (*f)(void); };
int c(int set) { static struct S s = {5, one}; if (set) s.v = set; return s.v + s.f(); }
__attribute__((noinline)) int other(int x) { return c(0) + x; }
int main(int n, char **v) { c(n + 9); printf("%d\\n", other(n)); }
"""
    compare(tmp_path, {"main.c": text}, "12\n")


def test_alias_is_its_aliasee_in_other_units(tmp_path: Path) -> None:
    text = """\
#include <stdio.h>
int x;
extern int y __attribute__((alias("x")));
static int impl(void) { return 3; }
int named(void) __attribute__((alias("impl")));
int main(void) { x = 1; y = 2; printf("%d %d %d\\n", x, &x == &y, named == impl); }
"""
    compare(tmp_path, {"main.c": text}, "2 1 1\n")


def test_store_through_an_alias_of_another_file(tmp_path: Path) -> None:
    files = {
        "store.c": 'int x;\nextern int y __attribute__((alias("x")));\nvoid store(int v) { y = v; }\n',
        "main.c": (
            "#include <stdio.h>\nextern int x;\nvoid store(int v);\n"
            'int main(void) { x = 1; store(2); printf("%d\\n", x); }\n'
        ),
    }
    compare(tmp_path, files, "2\n")


def test_weak_alias_shares_storage_in_its_own_file(tmp_path: Path) -> None:
    text = """\
#include <stdio.h>
int x;
extern int y __attribute__((weak, alias("x")));
__attribute__((noinline)) void both(int v) { x = v; y = v + 1; printf("%d\\n", x); }
int main(void) { both(4); }
"""
    compare(tmp_path, {"main.c": text}, "5\n")


def test_always_inline_function_with_a_table_of_its_labels(tmp_path: Path) -> None:
    text = """\
#include <stdio.h>
__attribute__((always_inline)) static inline const char *pick(int x) {
    static void *t[] = {&&a, &&b};
    goto *t[x];
a:  return "a";
b:  return "b";
}
int main(int n, char **v) { puts(pick(n)); }
"""
    compare(tmp_path, {"main.c": text}, "b\n")


def test_wrapped_symbol_across_files(tmp_path: Path) -> None:
    files = {
        "foo.c": "int foo(int x) { return x * 2; }\nint inside(int x) { return foo(x); }\n",
        "main.c": (
            "#include <stdio.h>\nint foo(int), inside(int), __real_foo(int);\n"
            "int __wrap_foo(int x) { return __real_foo(x) + 1000; }\n"
            'int main(void) { printf("%d %d\\n", foo(1), inside(2)); }\n'
        ),
    }
    compare(tmp_path, files, "1002 4\n", link=["-Wl,--wrap=foo"])


def test_macros_of_module_asm_in_inline_asm(tmp_path: Path) -> None:
    text = """\
#include <stdio.h>
__asm__(".macro ld5 r\\n movl $5,\\\\r\\n.endm\\n.equ KK,77");
__attribute__((noinline)) static int five(void) { int r; __asm__("ld5 %0" : "=r"(r)); return r; }
int main(void) { int k; __asm__("movl $KK,%0" : "=r"(k)); printf("%d %d\\n", five(), k); }
"""
    compare(tmp_path, {"main.c": text}, "5 77\n")


def test_symbol_that_inline_asm_defines(tmp_path: Path) -> None:
    text = """\
#include <stdio.h>
extern const char lab[];
__attribute__((noinline)) void f(void) {
    __asm__(".pushsection .rodata\\n.globl lab\\nlab: .asciz \\"from asm\\"\\n.popsection");
}
int main(void) { puts(lab); }
"""
    compare(tmp_path, {"main.c": text}, "from asm\n")


def test_calling_convention_that_decorates_names(tmp_path: Path) -> None:
    text = """\
#include <stdio.h>
__attribute__((vectorcall, noinline)) double vc(double a, double b) { return a + b; }
__attribute__((vectorcall, noinline)) static double local(double a) { return a * 2; }
int main(void) { printf("%g\\n", vc(1, 2) + local(3)); }
"""
    compare(tmp_path, {"main.c": text}, "9\n")


def test_fast_math_turns_denormals_off(tmp_path: Path) -> None:
    text = '#include <stdio.h>\nint main(int c, char **v) { printf("%g\\n", 1e-310 * c * 0.5); }\n'
    compare(tmp_path, {"main.c": text}, "0\n", cflags=["-ffast-math"])


@pytest.mark.parametrize(
    "flags",
    [
        "-mdaz-ftz -Werror",
        "-mdaz-ftz -shared -fPIC",
        "-mno-daz-ftz -ffast-math",
        "-mno-daz-ftz -Ofast",
        "-ffast-math -shared -fPIC",
        "-Ofast -shared -fPIC",
        "-Ofast -fno-fast-math",
        "-Ofast -O2",
        "-ffast-math -fno-fast-math",
        "-funsafe-math-optimizations",
        "-ffast-math -fno-unsafe-math-optimizations",
        "-ffp-model=fast",
        "-fno-fast-math -ffp-model=aggressive",
        "-ffast-math -ffp-model=precise",
    ],
)
def test_start_up_code_that_turns_denormals_off_is_linked_as_by_clang(tmp_path: Path, flags: str) -> None:
    write(tmp_path, {"main.c": "int main(void) { return 0; }\n"})
    words = ["main.c", *flags.split()]
    ours = Build.start(tmp_path, tmp_path, *words, "-o", "ours")
    subprocess.run([CLANG, *words, "-o", "theirs"], cwd=tmp_path, check=True, stderr=subprocess.DEVNULL)
    ours.result()
    found = [b"set_fast_math" in (tmp_path / name).read_bytes() for name in ("ours", "theirs")]
    assert found[0] == found[1]


def test_link_takes_flags_that_only_clang_knows(tmp_path: Path) -> None:
    write(tmp_path, {"main.c": "int main(void) { return 0; }\n"})
    flags = ["-fopenmp-simd", "-fopenmp-version=50", "-fno-sanitize-trap", "-fno-openmp-extensions"]
    for n, flag in enumerate(flags[1:]):
        (tmp_path / str(n)).mkdir()
        Build.start(tmp_path, tmp_path / str(n), "main.c", flags[0], flag, "-o", "app").result()
        assert run(tmp_path / "app").code == 0


def test_large_code_model_without_pic(tmp_path: Path) -> None:
    text = '#include <stdio.h>\nint main(void) { puts("hi"); return 3; }\n'
    compare(
        tmp_path, {"main.c": text}, "hi\n", code=3, cflags=["-fno-pic", "-mcmodel=large"], link=["-no-pie"]
    )


# A local that keeps its name, for `used` or asm fixes it, and what another file exports under that name.
USED = "__attribute__((used)) static int foo(void) { return 1; }\n"
IN_ASM = '__asm__("foo:\\n movl $1, %eax\\n ret\\n"); int foo(void);\n'
EXPORTED = "int foo(void) { return 2; }\nint bar(void) { return foo() + 1; }\n"
IN_A_TABLE = """\
__attribute__((used)) static int foo(void) { return 2; }
static int (*const table[1])(void) = {foo};
int zero;
int bar(void) { return table[zero]() + 1; }
"""


@pytest.mark.parametrize("pinned", [USED, IN_ASM])
@pytest.mark.parametrize("other", [EXPORTED, IN_A_TABLE])
def test_two_functions_of_one_name(tmp_path: Path, pinned: str, other: str) -> None:
    main = '#include <stdio.h>\nint bar(void);\nint main(void) { printf("%d %d\\n", foo(), bar()); }\n'
    compare(tmp_path, {"main.c": pinned + main, "bar.c": other}, "1 3\n")


@pytest.mark.parametrize("options", [(), ("--import-limit", "0")])
def test_used_function_that_nothing_calls_and_its_namesake(tmp_path: Path, options: tuple[str, ...]) -> None:
    main = EXPORTED + "int main(void) { return bar(); }\n"
    compare(tmp_path, {"used.c": USED, "main.c": main}, code=3, options=options)


@pytest.mark.parametrize("options", [(), ("--import-limit", "0")])
def test_library_name_that_is_two_functions_in_one_unit(tmp_path: Path, options: tuple[str, ...]) -> None:
    files = {
        "memset.c": """\
void *memset(void *, int, unsigned long);
int a[9];
int clear(int n) { memset(a, 0, n); return a[n]; }
""",
        "main.c": """\
#include <stdio.h>
int clear(int);
__attribute__((noinline)) static int memset(int n) { return n ? clear(n) : 3; }
int main(int n, char **v) { printf("%d %d\\n", memset(n - 1), memset(n)); }
""",
    }
    compare(tmp_path, files, "3 0\n", cflags=["-fno-builtin"], options=options)


def test_template_arguments_that_are_addresses_or_structs_in_debug_information(tmp_path: Path) -> None:
    text = """\
#include <cstdio>
struct Pair { int a; const int *b; };
template <unsigned N> struct Text {
    char s[N];
    constexpr Text(const char (&from)[N]) { for (unsigned i = 0; i < N; i++) s[i] = from[i]; }
};
int shared = 3;
static int own = 4;
int twice(int x) { return 2 * x; }
template <int *P> struct Pointed { int get() { return *P; } };
template <Pair P> struct Paired { int get() { return P.a + *P.b; } };
template <int (*F)(int)> int apply(int x) { return F(x); }
template <Pair P> int counted() { static int n = P.a; return ++n; }
template <Text T> const char *text() { return T.s; }
int main() {
    std::printf("%d %d ", Pointed<&shared>().get(), Paired<Pair{5, &own}>().get());
    std::printf("%d %d %s\\n", apply<twice>(7), counted<Pair{8, nullptr}>(), text<"100%@">());
}
"""
    flags = ["-std=c++20", "-g"]
    compare(tmp_path, {"main.cpp": text}, "3 9 14 9 100%@\n", cflags=flags, levels=["-O0", "-O2"])


def test_annotated_variables_in_debug_information(tmp_path: Path) -> None:
    text = """\
#define TAG(name) __attribute__((btf_decl_tag(name)))
TAG("f") int f(TAG("parameter") int x) {
    TAG("local") int y = x + 1;
    static TAG("kept") int n;
    return y + n++;
}
TAG("global") int start = 4;
int main(void) { return f(start) + f(1); }
"""
    compare(tmp_path, {"main.c": text}, cflags=["-g"], code=8, levels=["-O0", "-O2"])
