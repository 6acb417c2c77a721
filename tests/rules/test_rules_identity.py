"""An address stays one address, and equal code is compiled once."""

from pathlib import Path

from harness import build, needs_clang
from rules import compare, write

pytestmark = needs_clang


def test_equal_functions_share_a_compile_and_keep_two_addresses(tmp_path: Path) -> None:
    files = {
        "a.c": "int one(int x) { return x * 7 + 1; }\nint two(int x) { return x * 7 + 1; }\n",
        "main.c": """\
#include <stdio.h>
int one(int), two(int);
int main(void) {
    int (*volatile f)(int) = one, (*volatile g)(int) = two;
    printf("%d %d\\n", f(1) + g(1), f == g);
}
""",
    }
    for built in compare(tmp_path, files, "16 0\n").values():
        assert sorted(built.result.compiled) in (["main", "one"], ["main", "two"])
        assert (built.result.misses, built.result.hits) == (2, 1)


def test_equal_functions_of_two_programs_share_an_entry(tmp_path: Path) -> None:
    text = """\
static int cell = 3;
static int helper(int x) { return x + cell++; }
int NAME(int x) { return helper(x) * 5; }
"""
    main = "int NAME(int);\nint main(void) { return NAME(1); }\n"
    write(tmp_path, {"first.c": text.replace("NAME", "f") + main.replace("NAME", "f")})
    write(
        tmp_path,
        {"second.c": "int pad = 1;\n" + (text + main).replace("NAME", "longer_name").replace("helper", "h2")},
    )
    build(tmp_path, "first.c", "-o", "first")
    assert build(tmp_path, "second.c", "-o", "second").compiled == ["data:second.c"]


def test_function_pointers_compare_across_units(tmp_path: Path) -> None:
    files = {
        "a.c": """\
static int local(void) { return 1; }
int shared(void) { return 2; }
typedef int (*fn)(void);
fn table[] = {local, shared};
fn get_local(void) { return local; }
fn get_shared(void) { return shared; }
""",
        "main.c": """\
#include <stdio.h>
typedef int (*fn)(void);
extern fn table[];
int shared(void);
fn get_local(void), get_shared(void);
int main(void) {
    printf("%d %d %d\\n", table[0] == get_local(), table[1] == get_shared(), get_shared() == shared);
    printf("%d\\n", get_local() == get_shared());
}
""",
    }
    compare(tmp_path, files, "1 1 1\n0\n")


def test_inline_function_has_one_address(tmp_path: Path) -> None:
    header = "typedef int (*fn)();\ninline int shared() { return 4; }\n"
    files = {
        "f.h": header,
        "a.cpp": '#include "f.h"\nfn a() { return shared; }\n',
        "main.cpp": """\
#include "f.h"
#include <cstdio>
fn a();
int main() { std::printf("%d\\n", a() == shared); }
""",
    }
    compare(tmp_path, files, "1\n")


def test_string_literal_through_a_static_pointer(tmp_path: Path) -> None:
    text = """\
#include <stdio.h>
static const char *const name = "identity";
static const char *moving = "moving";
__attribute__((noinline)) const char *one(void) { return name; }
__attribute__((noinline)) const char *two(void) { return name; }
__attribute__((noinline)) const char *three(void) { return moving; }
int main(void) { printf("%d %d\\n", one() == two(), three() == moving); }
"""
    compare(tmp_path, {"main.c": text}, "1 1\n")


def test_literal_behind_constexpr_pointers(tmp_path: Path) -> None:
    text = """\
#include <cstdio>
static constexpr const char *start = "bytes\\0with\\0nul";
static constexpr const char *finish = start + 14;
[[gnu::noinline]] const char *first() { return start; }
[[gnu::noinline]] const char *last() { return finish; }
int main() { std::printf("%d\\n", int(last() - first())); }
"""
    compare(tmp_path, {"main.cpp": text}, "14\n")


def test_wide_literal_behind_constexpr_pointers(tmp_path: Path) -> None:
    text = """\
#include <cstdio>
static constexpr const char16_t *start = u"wide words";
[[gnu::noinline]] const char16_t *first() { return start; }
[[gnu::noinline]] const char16_t *last() { return start + 10; }
int main() { int n = 0; for (auto p = first(); p != last() && n < 100; p++) n++; std::printf("%d\\n", n); }
"""
    compare(tmp_path, {"main.cpp": text}, "10\n")


def test_range_over_a_constexpr_initializer_list(tmp_path: Path) -> None:
    text = """\
#include <cstdio>
#include <initializer_list>
static constexpr std::initializer_list<int> list = {1, 2, 3, 4, 5, 6, 7};
[[gnu::noinline]] const int *first() { return list.begin(); }
[[gnu::noinline]] const int *last() { return list.end(); }
int main() { std::printf("%d\\n", int(last() - first())); }
"""
    compare(tmp_path, {"main.cpp": text}, "7\n")


def test_large_static_tables_exist_once(tmp_path: Path) -> None:
    numbers = ", ".join(str(n * 37 % 1000) for n in range(300))
    text = f"""\
#include <stdio.h>
static const short table[300] = {{{numbers}}};
static const int small[4] = {{1, 2, 3, 4}};
__attribute__((noinline)) const short *one(int n) {{ return table + n; }}
__attribute__((noinline)) const short *two(int n) {{ return table + n; }}
__attribute__((noinline)) const int *three(void) {{ return small; }}
int main(void) {{ printf("%d %d %d\\n", one(5) == two(5), *one(299), three() == small); }}
"""
    compare(tmp_path, {"main.c": text}, "1 63 1\n")


def test_equal_constants_keep_their_addresses(tmp_path: Path) -> None:
    text = """\
#include <stdio.h>
static const int a[2] = {1, 2}, b[2] = {1, 2};
__attribute__((noinline)) const int *first(void) { return a; }
__attribute__((noinline)) const int *second(void) { return b; }
int main(void) { printf("%d\\n", first() == second()); }
"""
    compare(tmp_path, {"main.c": text}, "0\n")


def test_const_struct_with_pointers_to_statics(tmp_path: Path) -> None:
    files = {
        "ops.c": """\
struct ops { const char *name; int (*run)(int); const struct ops *next; };
static int inc(int x) { return x + 1; }
static int dec(int x) { return x - 1; }
static const struct ops last = {"dec", dec, 0};
const struct ops list = {"inc", inc, &last};
""",
        "main.c": """\
#include <stdio.h>
struct ops { const char *name; int (*run)(int); const struct ops *next; };
extern const struct ops list;
int main(void) { for (const struct ops *o = &list; o; o = o->next) printf("%s %d\\n", o->name, o->run(5)); }
""",
    }
    compare(tmp_path, files, "inc 6\ndec 4\n")
