"""Any name that LLVM allows for a symbol, a type or a value survives the rewriting of a unit."""

from pathlib import Path

import pytest
from harness import needs_clang
from rules import LEVELS, compare

pytestmark = needs_clang


def test_static_names_shared_by_two_files(tmp_path: Path) -> None:
    text = """\
static int count = START;
static int next(void) { static int step = 1; return count += step++; }
int FILE(void) { static int step = 100; next(); return next() + step++; }
"""
    files = {
        "a.c": text.replace("FILE", "a").replace("START", "1000"),
        "b.c": text.replace("FILE", "b").replace("START", "2000"),
        "main.c": """\
#include <stdio.h>
int a(void), b(void);
int main(void) { a(); printf("%d %d\\n", a(), b()); }
""",
    }
    compare(tmp_path, files, "1111 2103\n")


def test_files_of_the_same_name_in_two_folders(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    text = """\
static int n = VALUE;
static int get(void) { return n++; }
int f_VALUE(void) { get(); return get(); }
"""
    files = {
        "one/part.c": text.replace("VALUE", "10"),
        "two/part.c": text.replace("VALUE", "20"),
        "main.c": """\
#include <stdio.h>
int f_10(void), f_20(void);
int main(void) { printf("%d %d\\n", f_10(), f_20()); }
""",
    }
    compare(tmp_path, files, "11 21\n")


@pytest.mark.parametrize("flags", [(), ("-g",), ("-g1",)])
def test_names_beyond_latin(tmp_path: Path, flags: tuple[str, ...]) -> None:
    """Of files, functions, variables and what is in functions: their bytes are in no text that LLVM reads."""
    files = {
        "日本.c": """\
#include <stdio.h>
int 関数(int);
static int 中(int v) { static int 数; struct 型 { int 値; } s = {v}; return 数 += s.値; }
int main(void) { 中(3); printf("%s %d %d\\n", __func__, 中(4), 関数(5)); }
""",
        "本日.c": """\
static int __attribute__((noinline)) 中(int v) { static int ÿ = 1; return ÿ += v; }
int 関数(int v) { return 中(v) * 中(v); }
""",
    }
    compare(tmp_path, files, "main 7 66\n", cflags=flags)


def test_global_named_like_a_promoted_static(tmp_path: Path) -> None:
    ir = """\
@count.a = global i32 5
@"count.a_" = global i32 6
define i32 @get() {
  %v = load i32, ptr @count.a
  %w = load i32, ptr @"count.a_"
  %x = add i32 %v, %w
  ret i32 %x
}
"""
    files = {
        "a.c": """\
#include <stdio.h>
static int count = 1;
int get(void);
int *address(void) { return &count; }
int main(void) { ++*address(); printf("%d %d\\n", count, get()); }
""",
        "b.ll": ir,
    }
    compare(tmp_path, files, "2 11\n")


def test_anonymous_globals(tmp_path: Path) -> None:
    ir = """\
@0 = private unnamed_addr constant [6 x i8] c"zero \\00"
@1 = internal global i32 START
@2 = private global ptr @1
declare i32 @printf(ptr, ...)
define internal i32 @3() {
  %p = load ptr, ptr @2
  %v = load i32, ptr %p
  %w = add i32 %v, 1
  store i32 %w, ptr @1
  ret i32 %w
}
define i32 @FILE() {
  %1 = call i32 @3()
  %2 = call i32 @3()
  %3 = call i32 (ptr, ...) @printf(ptr @0)
  ret i32 %2
}
"""
    files = {
        "a.ll": ir.replace("FILE", "a").replace("START", "10"),
        "b.ll": ir.replace("FILE", "b").replace("START", "20"),
        "main.c": """\
#include <stdio.h>
int a(void), b(void);
int main(void) { int x = a(); printf("%d %d\\n", x, b()); }
""",
    }
    compare(tmp_path, files, "zero zero 12 22\n")


def test_quoted_names(tmp_path: Path) -> None:
    ir = """\
%"a type, { } *" = type { i32, %"x\\22y" }
%"x\\22y" = type { i8 }
$"my comdat" = comdat any
@"with space" = global i32 1
@"quote\\22inside" = internal global i32 2
@"back\\5Cslash" = global i32 3
@"\\C3\\A9t\\C3\\A9" = global i32 4
@"paren(){}[]<>,@%#!$" = internal global %"a type, { } *" { i32 5, %"x\\22y" zeroinitializer }
define internal i32 @"f (int) = {"(ptr %"odd arg", ptr %"a type") noinline {
"entry block":
  %"a, b" = load i32, ptr %"odd arg"
  %"v\\22w" = load i32, ptr %"a type"
  br label %"next block"
"next block":
  %sum = add i32 %"a, b", %"v\\22w"
  ret i32 %sum
}
define linkonce_odr i32 @"in comdat"() comdat($"my comdat") {
  %a = load i32, ptr @"paren(){}[]<>,@%#!$"
  %b = load i32, ptr @"\\C3\\A9t\\C3\\A9"
  %c = add i32 %a, %b
  ret i32 %c
}
define i32 @"main"() {
  %a = call i32 @"f (int) = {"(ptr @"with space", ptr @"quote\\22inside")
  %b = load i32, ptr @"back\\5Cslash"
  %c = call i32 @"in comdat"()
  %d = add i32 %a, %b
  %e = add i32 %c, %d
  ret i32 %e
}
"""
    compare(tmp_path, {"odd.ll": ir}, code=15)


def test_non_ascii_names_in_c(tmp_path: Path) -> None:
    files = {
        "é.c": "static int größe = 3;\nint Δx(void) { return größe++; }\n",
        "main.c": '#include <stdio.h>\nint Δx(void);\nint main(void) { Δx(); printf("%d\\n", Δx()); }\n',
    }
    compare(tmp_path, files, "4\n")


def test_names_with_an_escape_against_mangling(tmp_path: Path) -> None:
    ir = """\
@"\\01value" = global i32 5
declare i32 @"\\01helper"(i32)
define i32 @"\\01shown"() { %v = load i32, ptr @"\\01value" %w = call i32 @"\\01helper"(i32 %v) ret i32 %w }
"""
    main = """\
#include <stdio.h>
extern int value;
int shown(void);
int helper(int x) { return x + value; }
int main(void) { printf("%d\\n", shown()); }
"""
    compare(tmp_path, {"escape.ll": ir, "main.c": main}, "10\n")


def test_one_symbol_under_two_spellings(tmp_path: Path) -> None:
    ir = """\
declare i32 @"\\01helper"(i32)
define i32 @helper(i32 %x) { %y = add i32 %x, 1 ret i32 %y }
define i32 @first() { %v = call i32 @"\\01helper"(i32 1) ret i32 %v }
define i32 @main() {
  %v = call i32 @first()
  %w = call i32 @helper(i32 %v)
  %x = call i32 @"\\01helper"(i32 %w)
  ret i32 %x
}
"""
    compare(tmp_path, {"two.ll": ir}, code=4)


def test_asm_labels(tmp_path: Path) -> None:
    files = {
        "lib.c": 'int inner(int x) __asm__("a$dollar.name");\nint inner(int x) { return x * 2; }\n',
        "main.c": """\
#include <stdio.h>
int outer(int x) __asm__("a$dollar.name");
int say(const char *, ...) __asm__("printf");
int main(void) { say("%d\\n", outer(4)); }
""",
    }
    compare(tmp_path, files, "8\n")


def test_opaque_and_recursive_types(tmp_path: Path) -> None:
    ir = """\
%opaque = type opaque
%list = type { i32, ptr, %pair }
%pair = type { i32, [2 x %leaf] }
%leaf = type { ptr, i16 }
@node = global %list { i32 1, ptr @tail, %pair {
  i32 2, [2 x %leaf] [%leaf { ptr null, i16 3 }, %leaf zeroinitializer] } }
@tail = internal global %list zeroinitializer
@outside = external global %opaque
define i32 @get(ptr byval(%pair) %p) {
  %a = getelementptr %pair, ptr %p, i64 0, i32 1, i64 0, i32 1
  %v = load i16, ptr %a
  %w = zext i16 %v to i32
  %x = load i32, ptr @outside
  %y = add i32 %w, %x
  ret i32 %y
}
define i32 @main() {
  %p = getelementptr %list, ptr @node, i64 0, i32 2
  %v = call i32 @get(ptr byval(%pair) %p)
  ret i32 %v
}
"""
    compare(tmp_path, {"types.ll": ir, "outside.c": "int outside = 40;\n"}, code=43)


def test_unnamed_types(tmp_path: Path) -> None:
    ir = """\
%0 = type { i32, i64 }
%1 = type { %0, [2 x %0] }
@cell = global %1 zeroinitializer
define i32 @get(ptr %0) {
  %2 = getelementptr %1, ptr %0, i64 0, i32 1, i64 1, i32 0
  %3 = load i32, ptr %2
  ret i32 %3
}
define i32 @main() {
  %1 = getelementptr %1, ptr @cell, i64 0, i32 1, i64 1
  store %0 { i32 9, i64 0 }, ptr %1
  %2 = call i32 @get(ptr @cell)
  ret i32 %2
}
"""
    compare(tmp_path, {"types.ll": ir}, code=9)


def test_unnamed_type_that_holds_a_named_one(tmp_path: Path) -> None:
    ir = """\
%named = type { i32, i32 }
%0 = type { i64, %named }
@cell = global %0 { i64 1, %named { i32 2, i32 3 } }
define i32 @main() {
  %p = getelementptr %0, ptr @cell, i64 0, i32 1, i32 1
  %v = load i32, ptr %p
  ret i32 %v
}
"""
    compare(tmp_path, {"types.ll": ir}, code=3)


def test_unnamed_types_among_named_values(tmp_path: Path) -> None:
    ir = """\
%0 = type { i8, i32 }
%1 = type { i64, i64, i32 }
@small = global %0 { i8 1, i32 20 }
@large = global %1 { i64 1, i64 2, i32 30 }
define i32 @get(ptr %named) noinline {
entry:
  %0 = getelementptr %0, ptr %named, i64 0, i32 1
  %word = load i32, ptr %0
  %1 = getelementptr %1, ptr @large, i64 0, i32 2
  %2 = load i32, ptr %1
  %sum = add i32 %word, %2
  ret i32 %sum
}
define i32 @main() { %r = call i32 @get(ptr @small) ret i32 %r }
"""
    compare(tmp_path, {"types.ll": ir}, code=50)


def test_values_that_share_a_name_with_a_type(tmp_path: Path) -> None:
    ir = """\
%node = type { i32, i64 }
@cell = global %node { i32 6, i64 1 }
define i32 @get(ptr %node) {
  %field = getelementptr %node, ptr %node, i64 0, i32 0
  %v = load i32, ptr %field
  ret i32 %v
}
define i32 @main() { %v = call i32 @get(ptr @cell) ret i32 %v }
"""
    compare(tmp_path, {"names.ll": ir}, code=6)


def test_named_and_numbered_values_mixed(tmp_path: Path) -> None:
    ir = """\
define i32 @mix(i32 %0, i32 %b, i32 %1) noinline {
  %3 = add i32 %0, %b
  %c = mul i32 %3, %1
  br label %4
4:
  %i = phi i32 [ 0, %2 ], [ %6, %loop.latch ]
  %5 = icmp slt i32 %i, 3
  br i1 %5, label %loop.latch, label %done
loop.latch:
  %6 = add i32 %i, 1
  br label %4
done:
  switch i32 %c, label %other [
    i32 35, label %7
    i32 1, label %other
  ]
7:
  ret i32 %i
other:
  ret i32 99
}
define i32 @main() { %r = call i32 @mix(i32 2, i32 3, i32 7) ret i32 %r }
"""
    compare(tmp_path, {"mix.ll": ir}, code=3)


def test_names_of_values_do_not_count(tmp_path: Path) -> None:
    ir = """\
define i32 @one(i32 %a) noinline { entry: %sum = add i32 %a, 1 ret i32 %sum }
define i32 @two(i32 %0) noinline { %2 = add i32 %0, 1 ret i32 %2 }
define i32 @main() { %a = call i32 @one(i32 1) %b = call i32 @two(i32 %a) ret i32 %b }
"""
    built = compare(tmp_path, {"same.ll": ir}, code=3, levels=LEVELS)
    assert sorted(built["-O0"].result.compiled) in (["main", "one"], ["main", "two"])


def test_struct_passed_by_value_in_a_declaration(tmp_path: Path) -> None:
    ir = """\
%pair = type { i32, i32 }
declare i32 @sum(i32, %pair)
define i32 @main() {
  %r = call i32 @sum(i32 1, %pair { i32 2, i32 3 })
  ret i32 %r
}
"""
    other = """\
%pair = type { i32, i32 }
define i32 @sum(i32 %a, %pair %p) {
  %x = extractvalue %pair %p, 0
  %y = extractvalue %pair %p, 1
  %z = mul i32 %x, %y
  %r = add i32 %z, %a
  ret i32 %r
}
"""
    compare(tmp_path, {"main.ll": ir, "sum.ll": other}, code=7)


def test_returned_struct_of_named_types(tmp_path: Path) -> None:
    ir = """\
%a = type { i32 }
%b = type { i64 }
define internal void @fill(ptr sret({ %a, %b, i32 }) align 8 %out) noinline {
  %p = getelementptr { %a, %b, i32 }, ptr %out, i64 0, i32 2
  store i32 8, ptr %p
  ret void
}
define i32 @main() {
  %s = alloca { %a, %b, i32 }, align 8
  call void @fill(ptr sret({ %a, %b, i32 }) align 8 %s)
  %p = getelementptr { %a, %b, i32 }, ptr %s, i64 0, i32 2
  %v = load i32, ptr %p
  ret i32 %v
}
"""
    compare(tmp_path, {"sret.ll": ir}, code=8)
