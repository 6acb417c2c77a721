"""Aliases and ifuncs stay with what they name, and serve other units."""

import subprocess
from pathlib import Path

from harness import build, needs_clang
from rules import clang_object, compare, write

pytestmark = needs_clang


def test_alias_to_function_used_from_another_file(tmp_path: Path) -> None:
    files = {
        "lib.c": """\
static int twice(int x) { return x * 2; }
int doubled(int) __attribute__((alias("twice")));
int again(int) __attribute__((weak, alias("doubled")));
int use(int x) { return twice(x) + doubled(x); }
""",
        "main.c": """\
#include <stdio.h>
int doubled(int), again(int), use(int);
int main(void) { printf("%d %d %d %d\\n", doubled(1), again(2), use(3), doubled(4) == again(4)); }
""",
    }
    compare(tmp_path, files, "2 4 12 1\n")


def test_alias_to_variable_shares_storage(tmp_path: Path) -> None:
    files = {
        "lib.c": """\
int counter = 5;
extern int same __attribute__((alias("counter")));
static int hidden = 7;
extern int shown __attribute__((alias("hidden")));
void bump(void) { counter++; hidden++; }
""",
        "main.c": """\
#include <stdio.h>
extern int counter, same, shown;
void bump(void);
int main(void) {
    int *volatile one = &same;
    *one += 10;
    bump();
    shown *= 2;
    printf("%d %d\\n", counter, shown);
}
""",
    }
    compare(tmp_path, files, "16 16\n")


def test_alias_with_offset(tmp_path: Path) -> None:
    ir = """\
@table = global [4 x i32] [i32 10, i32 20, i32 30, i32 40]
@third = alias i32, getelementptr ([4 x i32], ptr @table, i64 0, i64 2)
@fourth = alias i32, getelementptr (i8, ptr @third, i64 4)
define i32 @sum() {
  %a = load i32, ptr @third
  %b = load i32, ptr @fourth
  %c = add i32 %a, %b
  ret i32 %c
}
"""
    main = """\
#include <stdio.h>
extern int table[], third, fourth;
int sum(void);
int main(void) { third++; printf("%d %d %d\\n", sum(), table[2], &fourth == table + 3); }
"""
    compare(tmp_path, {"alias.ll": ir, "main.c": main}, "71 31 1\n")


def test_alias_keeps_the_calling_convention(tmp_path: Path) -> None:
    ir = """\
@quick = alias i32 (i32, i32, i32), ptr @fast
@quicker = internal alias i32 (i32, i32, i32), ptr @quick
define internal fastcc i32 @fast(i32 %a, i32 inreg %b, i32 %c) noinline {
  %d = sub i32 %a, %b
  %e = mul i32 %d, %c
  ret i32 %e
}
define i32 @one(i32 %x) { %r = call fastcc i32 @quick(i32 %x, i32 inreg 2, i32 3) ret i32 %r }
define i32 @two(i32 %x) { %r = call fastcc i32 @quicker(i32 %x, i32 inreg 1, i32 5) ret i32 %r }
"""
    main = """\
#include <stdio.h>
int one(int), two(int);
int main(void) { printf("%d %d\\n", one(5), two(5)); }
"""
    compare(tmp_path, {"cc.ll": ir, "main.c": main}, "9 20\n")


def test_alias_of_a_variadic_and_a_struct_returning_function(tmp_path: Path) -> None:
    files = {
        "lib.c": """\
#include <stdarg.h>
struct big { long a[5]; };
struct big make(long x) { struct big b = {{x, x + 1, x + 2, x + 3, x + 4}}; return b; }
struct big build(long) __attribute__((alias("make")));
int sum(int n, ...) {
    va_list l;
    int s = 0;
    va_start(l, n);
    while (n--) s += va_arg(l, int);
    va_end(l);
    return s;
}
int total(int, ...) __attribute__((alias("sum")));
long inner(long x) { return build(x).a[4] + total(3, 1, 2, 3); }
""",
        "main.c": """\
#include <stdio.h>
struct big { long a[5]; };
struct big build(long);
int total(int, ...);
long inner(long);
int main(void) { printf("%ld %d %ld\\n", build(10).a[3], total(2, 20, 30), inner(1)); }
""",
    }
    compare(tmp_path, files, "13 50 11\n")


def test_weak_alias_overridden_by_a_function(tmp_path: Path) -> None:
    files = {
        "lib.c": """\
int builtin(void) { return 1; }
int hook(void) __attribute__((weak, alias("builtin")));
int through(void) { return hook() * 10 + builtin(); }
""",
        "main.c": """\
#include <stdio.h>
int hook(void) { return 2; }
int through(void);
int main(void) { printf("%d\\n", through()); }
""",
    }
    compare(tmp_path, files, "21\n")


def test_alias_keeps_the_body_of_an_overridden_weak_function(tmp_path: Path) -> None:
    files = {
        "lib.c": """\
__attribute__((weak)) int step(void) { return 1; }
int original(void) __attribute__((alias("step")));
""",
        "main.c": """\
#include <stdio.h>
int step(void) { return 2; }
int original(void);
int main(void) { printf("%d %d\\n", step(), original()); }
""",
    }
    compare(tmp_path, files, "2 1\n")


def test_alias_keeps_the_storage_of_an_overridden_weak_variable(tmp_path: Path) -> None:
    files = {
        "lib.c": """\
__attribute__((weak)) int limit = 1;
extern int fallback __attribute__((alias("limit")));
""",
        "main.c": """\
#include <stdio.h>
int limit = 2;
extern int fallback;
int main(void) { printf("%d %d\\n", limit, fallback); }
""",
    }
    compare(tmp_path, files, "2 1\n")


def test_ifunc_resolved_at_start_and_called_across_files(tmp_path: Path) -> None:
    files = {
        "lib.c": """\
static int slow(int x) { return x + 1; }
static int fast(int x) { return x + 100; }
static int have_fast(void) { return 1; }
static void *choose(void) { return have_fast() ? (void *)fast : (void *)slow; }
int chosen(int) __attribute__((ifunc("choose")));
int inside(int x) { return chosen(x) * 2; }
""",
        "main.c": """\
#include <stdio.h>
int chosen(int), inside(int);
int (*pointer)(int) = chosen;
int main(void) { printf("%d %d %d\\n", chosen(1), inside(1), pointer(2)); }
""",
    }
    compare(tmp_path, files, "101 202 102\n")


def test_address_of_an_ifunc(tmp_path: Path) -> None:
    """Linkers do not all give it one: clang's own is chosen."""
    files = {
        "lib.c": """\
static int body(void) { return 2; }
static void *choose(void) { return body; }
int chosen(void) __attribute__((ifunc("choose")));
int (*table)(void) = chosen;
int (*address(void))(void) { return chosen; }
""",
        "main.c": """\
#include <stdio.h>
int chosen(void), (*address(void))(void);
extern int (*table)(void);
int main(void) { printf("%d %d %d\\n", chosen(), address() == chosen, table == chosen); }
""",
    }
    compare(tmp_path, files, "2 1 1\n", link=["-static"])


CHOSEN = """\
int two(int x) { return x * 2; }
static void *choose(void) { return two; }
int chosen(int) __attribute__((ifunc("choose")));
int (*table)(int) = chosen;
"""
CHOOSES = """\
#include <stdio.h>
int chosen(int);
extern int (*table)(int);
int main(void) { printf("%d %d\\n", table(3), table == chosen); }
"""


def test_address_of_an_ifunc_of_a_native_object(tmp_path: Path) -> None:
    text, table = CHOSEN.rsplit("int (*", 1)
    native = clang_object(tmp_path, "lib.c", text, "-fno-pic")
    files = {"main.c": CHOOSES, "table.c": f"int chosen(int);\nint (*{table}"}
    compare(tmp_path, files, "6 1\n", natives=[native], cflags=["-fno-pic"], link=["-no-pie"])


def test_ifunc_in_a_library_of_files_that_are_compiled_whole(tmp_path: Path) -> None:
    """Resolvers are called while the library is relocated, when what they read has to be there."""
    lib = """\
#define F(n, m) int body##m(int x) { return x * n; } static void *choose##n(void) { return body##m; } \\
    int chosen##n(int) __attribute__((ifunc("choose" #n))); \\
    int call##n(int x) { return chosen##n ? chosen##n(x) : 0; }
F(1, 4) F(2, 3) F(3, 2) F(4, 1)
"""
    main = """\
#include <stdio.h>
int call1(int), call2(int), call3(int), call4(int);
int main(void) { printf("%d\\n", call1(1) + call2(2) + call3(3) + call4(4)); }
"""
    write(tmp_path, {"lib.c": lib, "main.c": main})
    build(tmp_path, "lib.c", "-O0", "--granularity", "file", "-fPIC", "-shared", "-o", "libx.so")
    build(tmp_path, "main.c", "-o", "image", "-L.", "-lx", "-Wl,-rpath,.")
    done = subprocess.run(["./image"], cwd=tmp_path, check=True, capture_output=True, text=True)
    assert done.stdout == "30\n"


def test_alias_of_an_ifunc(tmp_path: Path) -> None:
    ir = """\
@chosen = ifunc i32 (i32), ptr @resolver
@other = alias i32 (i32), ptr @chosen
define internal i32 @body(i32 %x) { %y = add i32 %x, 7 ret i32 %y }
define internal ptr @resolver() { ret ptr @body }
"""
    main = '#include <stdio.h>\nint other(int);\nint main(void) { printf("%d\\n", other(1)); }\n'
    compare(tmp_path, {"alias.ll": ir, "main.c": main}, "8\n")


def test_thread_local_alias(tmp_path: Path) -> None:
    files = {
        "lib.c": """\
_Thread_local int value = 3;
extern _Thread_local int same __attribute__((alias("value")));
""",
        "main.c": """\
#include <stdio.h>
extern _Thread_local int value, same;
int main(void) { same++; printf("%d %d\\n", value, &value == &same); }
""",
    }
    compare(tmp_path, files, "4 1\n")


def test_aliases_of_used_locals(tmp_path: Path) -> None:
    files = {
        "a.c": """\
static long hidden __attribute__((used)) = 5;
extern __typeof__(hidden) shown __attribute__((alias("hidden")));
long get(void) { return shown; }
__attribute__((used)) static int body(void) { return 3; }
int call(void) __attribute__((alias("body")));
int again(void) __attribute__((weak, alias("call")));
int both(void) { return call() + again(); }
static int chosen(void) { return 4; }
__attribute__((used)) static void *choose(void) { return chosen; }
int indirect(void) __attribute__((ifunc("choose")));
static int inside(void) __attribute__((ifunc("choose")));
int through(void) { return inside(); }
""",
        "main.c": """\
extern long shown;
long get(void);
int both(void), call(void), again(void), indirect(void), through(void);
int main(void) { shown++; return get() * 10 + shown + both() + call() + again() + indirect() + through(); }
""",
    }
    compare(tmp_path, files, code=86)


def test_aliases_into_used_locals(tmp_path: Path) -> None:
    ir = """\
@s = internal global [4 x i32] [i32 1, i32 2, i32 3, i32 4]
@part = alias i32, getelementptr (i8, ptr @s, i64 8)
@number = internal alias i32, inttoptr (i64 add (i64 ptrtoint (ptr @s to i64), i64 4) to ptr)
@narrow = internal alias i16, ptr @s
@t = internal thread_local global i32 9
@thread = thread_local alias i32, ptr @t
@llvm.used = appending global [3 x ptr] [ptr @s, ptr @t, ptr @narrow], section "llvm.metadata"
declare ptr @llvm.threadlocal.address.p0(ptr)
define i32 @g() {
  %x = load i32, ptr @part
  %y = load i32, ptr @number
  %z = add i32 %x, %y
  %p = call ptr @llvm.threadlocal.address.p0(ptr @thread)
  %q = load i32, ptr %p
  %w = add i32 %z, %q
  ret i32 %w
}
define i32 @h() {
  %x = load i16, ptr @narrow
  %y = zext i16 %x to i32
  store i32 9, ptr @s
  ret i32 %y
}
"""
    main = """\
extern int part;
int g(void), h(void);
int main(void) { part = 20; return g() + h() + h(); }
"""
    compare(tmp_path, {"a.ll": ir, "main.c": main}, code=41, levels=["-O2"])


def test_tables_next_to_code(tmp_path: Path) -> None:
    """The form of all that GHC writes: data in front of functions, aliases of locals, all of it used."""
    ir = """\
@x = internal alias i64, ptr @"x$def"
@f = internal alias i32 (i32), ptr @"f$def"
@g = alias i32 (i32), ptr @"g$def"
@"x$def" = internal global i64 6
@llvm.used = appending global [5 x ptr] [ptr @"x$def", ptr @"f$def", ptr @x, ptr @f, ptr @"g$def"],
    section "llvm.metadata"
define internal i32 @"f$def"(i32 %a) prefix <{i64, i32, i32}> <{
    i64 7,
    i32 trunc (i64 sub (i64 ptrtoint (ptr @x to i64), i64 ptrtoint (ptr @f to i64)) to i32),
    i32 99}> {
  %v = load i64, ptr @x
  %t = trunc i64 %v to i32
  %r = add i32 %a, %t
  ret i32 %r
}
define internal i32 @"g$def"(i32 %a) prefix <{i64, i32, i32}> <{i64 8, i32 1, i32 98}> {
  %r = call i32 @f(i32 %a)
  ret i32 %r
}
define i32 @user(i32 %a) {
  %p = getelementptr i8, ptr @g, i64 -4
  %r = load i32, ptr %p
  %s = call i32 @f(i32 %a)
  %u = call i32 @g(i32 %s)
  %q = add i32 %r, %u
  ret i32 %q
}
"""
    main = "int user(int), g(int);\nint main(void) { return user(3) + g(9); }\n"
    compare(tmp_path, {"a.ll": ir, "main.c": main}, code=128)
