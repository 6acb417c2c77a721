"""Weak, linkonce, common, external_weak and comdat symbols resolve as a linker resolves them."""

import re
import subprocess
from pathlib import Path

import pytest
from harness import build, needs_clang
from rules import LEVELS, clang_archive, clang_object, compare, write

pytestmark = needs_clang

WEAK = """\
#include <stdio.h>
__attribute__((weak)) int pick(void) { return 1; }
__attribute__((weak)) int level = 10;
int main(void) { printf("%d %d\\n", pick(), level); }
"""
STRONG = "int pick(void) { return 2; }\nint level = 20;\n"


def test_weak_stays_without_another(tmp_path: Path) -> None:
    compare(tmp_path, {"main.c": WEAK}, "1 10\n")


def test_weak_overridden_in_another_file(tmp_path: Path) -> None:
    built = compare(tmp_path, {"main.c": WEAK, "strong.c": STRONG}, "2 20\n", levels=LEVELS)
    assert built["-O0"].result.compiled.count("pick") == 1


def test_weak_overridden_by_a_native_object(tmp_path: Path) -> None:
    compare(tmp_path, {"main.c": WEAK}, "2 20\n", natives=[clang_object(tmp_path, "strong.c", STRONG)])


def test_weak_prevails_over_an_archive_member(tmp_path: Path) -> None:
    compare(tmp_path, {"main.c": WEAK}, "1 10\n", natives=[clang_archive(tmp_path, "strong.c", STRONG)])


def test_weak_overridden_by_an_archive_member_that_is_needed(tmp_path: Path) -> None:
    text = WEAK.replace("int main(void) {", "int extra(void);\nint main(void) { extra();")
    archive = clang_archive(tmp_path, "strong.c", STRONG + "int extra(void) { return 0; }\n")
    compare(tmp_path, {"main.c": text}, "2 20\n", natives=[archive])


def test_two_weak_definitions_the_first_prevails(tmp_path: Path) -> None:
    files = {
        "main.c": '#include <stdio.h>\nint pick(void);\nint main(void) { printf("%d\\n", pick()); }\n',
        "a.c": "__attribute__((weak)) int pick(void) { return 1; }\n",
        "b.c": "__attribute__((weak)) int pick(void) { return 2; }\n",
    }
    built = compare(tmp_path, files, "1\n", levels=LEVELS)
    assert built["-O0"].result.compiled == ["main", "pick"]


def test_weak_body_is_never_inlined(tmp_path: Path) -> None:
    text = (
        "#include <stdio.h>\n__attribute__((weak)) int f(void) { return 1; }\nint g(void) { return f(); }\n"
    )
    native = clang_object(tmp_path, "strong.c", "int f(void) { return 2; }\n")
    files = {
        "lib.c": text,
        "main.c": '#include <stdio.h>\nint g(void);\nint main(void) { printf("%d\\n", g()); }\n',
    }
    compare(tmp_path, files, "2\n", natives=[native])


def test_common_symbols_take_the_largest_size(tmp_path: Path) -> None:
    small = "int shared[2];\nint *small(void) { return shared; }\n"
    main = """\
#include <stdio.h>
int shared[4000];
static int guard[4000];
int *small(void);
int main(void) {
    for (int i = 0; i < 4000; i++) shared[i] = guard[i] + i;
    long sum = 0;
    for (int i = 0; i < 4000; i++) sum += shared[i] + guard[i];
    printf("%ld %d\\n", sum, small() == shared);
}
"""
    compare(tmp_path, {"main.c": main, "small.c": small}, "7998000 1\n", cflags=["-fcommon"])


@pytest.mark.parametrize("native", [False, True])
def test_the_largest_common_symbol_may_come_last(tmp_path: Path, native: bool) -> None:
    files = {
        "main.c": "int shared[1];\nint last(void);\nint main(void) { shared[0] = 1; return last(); }\n",
        "last.c": "int shared[10000];\nint last(void) { return shared[9999] + shared[0] - 1; }\n",
    }
    natives = [clang_object(tmp_path, "last.c", files.pop("last.c"), "-fcommon")] if native else []
    built = compare(tmp_path, files, "", natives=natives, cflags=["-fcommon"])
    table = subprocess.run(["readelf", "-sW", built["-O2"].image], capture_output=True, text=True, check=True)
    assert re.search(r" 40000 OBJECT .* shared$", table.stdout, re.MULTILINE)


def test_common_symbol_of_a_file_that_nothing_else_reaches(tmp_path: Path) -> None:
    main = """\
#include <stdio.h>
extern int shared[4000];
int neighbour[4000];
int main(void) {
    for (int i = 0; i < 4000; i++) shared[i] = i + 1;
    for (int i = 0; i < 4000; i++) if (neighbour[i]) return 1;
    printf("%d\\n", shared[3999]);
}
"""
    files = {"main.c": main, "large.c": "int shared[4000];\n", "small.c": "int shared[2];\n"}
    compare(tmp_path, files, "4000\n", cflags=["-fcommon"])


def test_common_overridden_by_a_definition(tmp_path: Path) -> None:
    files = {
        "main.c": '#include <stdio.h>\nint value;\nint main(void) { printf("%d\\n", value); }\n',
        "other.c": "int value = 42;\n",
    }
    compare(tmp_path, files, "42\n", cflags=["-fcommon"])


def test_external_weak_defined_nowhere(tmp_path: Path) -> None:
    text = """\
#include <stdio.h>
__attribute__((weak)) extern int maybe(void);
__attribute__((weak)) extern int variable;
int main(void) { printf("%d %d\\n", maybe ? maybe() : -1, &variable ? variable : -2); }
"""
    compare(tmp_path, {"main.c": text}, "-1 -2\n")


def test_external_weak_defined_in_another_file(tmp_path: Path) -> None:
    files = {
        "main.c": """\
#include <stdio.h>
__attribute__((weak)) extern int maybe(void);
__attribute__((weak)) extern int variable;
int main(void) { printf("%d %d\\n", maybe ? maybe() : -1, &variable ? variable : -2); }
""",
        "other.c": "int maybe(void) { return 5; }\nint variable = 6;\n",
    }
    compare(tmp_path, files, "5 6\n")


def test_linkonce_is_compiled_once_for_the_program(tmp_path: Path) -> None:
    header = "__attribute__((noinline)) inline int triple(int x) { static int n; return 3 * x + n++; }\n"
    use = '#include "triple.h"\n__attribute__((noinline)) int FILE(int x) { return triple(x) + triple(x); }\n'
    main = """\
#include <cstdio>
#include "triple.h"
int a(int), b(int);
int main() { std::printf("%d\\n", a(1) + b(2) + triple(3)); }
"""
    files = {
        "triple.h": header,
        "a.cpp": use.replace("FILE", "a"),
        "b.cpp": use.replace("FILE", "b"),
        "m.cpp": main,
    }
    built = compare(tmp_path, files, "37\n")
    for level in built.values():
        assert level.result.compiled.count("_Z6triplei") == 1


def test_linkonce_unused_is_not_compiled(tmp_path: Path) -> None:
    ir = """\
define linkonce i32 @unused() { ret i32 1 }
define linkonce_odr i32 @used() { ret i32 0 }
define i32 @main() { %r = call i32 @used() ret i32 %r }
"""
    built = compare(tmp_path, {"once.ll": ir}, levels=LEVELS)
    assert "unused" not in built["-O0"].result.compiled


COPIES = (
    "template <class T> struct Box { static int made; static T twice(T t) { made++; return t + t; } };\n"
    "template <class T> int Box<T>::made = 3;\n"
    "inline ATTRIBUTE int next(int x) { return x + 1; }\n"
)


def test_a_copy_that_goes_keeps_the_symbol_of_the_other(tmp_path: Path) -> None:
    files = {
        "a.cpp": COPIES.replace("ATTRIBUTE", "") + "int a(int x) { return Box<int>::twice(next(x)); }\n",
        "b.cpp": COPIES.replace("ATTRIBUTE", "") + "int b(int x) { return next(x); }\n",
    }
    names = write(tmp_path, files)
    kept = {"_ZN3BoxIiE5twiceEi", "_Z4nexti"}

    def exported() -> set[str]:
        build(tmp_path, *names, "-shared", "-fPIC", "-o", "libx.so")
        warm = (tmp_path / "libx.so").read_bytes()
        (tmp_path / "libx.so").unlink()
        build(tmp_path, *names, "-shared", "-fPIC", "-o", "libx.so", "--no-cache")
        assert (tmp_path / "libx.so").read_bytes() == warm
        listing = ["nm", "-D", "--defined-only", "libx.so"]
        done = subprocess.run(listing, cwd=tmp_path, check=True, capture_output=True, text=True)
        return {line.split()[2] for line in done.stdout.splitlines()} & kept

    assert not exported()
    # What is instantiated explicitly, or `used`, is there for who looks it up.
    write(tmp_path, {"b.cpp": files["b.cpp"] + "template struct Box<int>;\n"})
    assert exported() == {"_ZN3BoxIiE5twiceEi"}
    text = COPIES.replace("ATTRIBUTE", "__attribute__((used))") + "template struct Box<int>;\n"
    write(tmp_path, {"b.cpp": text})
    assert exported() == kept
    # Of an edit of the file whose copies prevail only that file is looked at.
    write(tmp_path, {"a.cpp": files["a.cpp"].replace("twice(next(x))", "twice(next(x)) + 7")})
    assert exported() == kept
    write(tmp_path, {"b.cpp": files["b.cpp"]})
    assert not exported()


def test_duplicates_are_reported_all_at_once_with_both_files(tmp_path: Path) -> None:
    files = {
        "a.c": "int f(void) { return 1; }\nint v = 1;\nint main(void) { return 0; }\n",
        "b.c": "int f(void) { return 2; }\nint v = 2;\n",
    }
    done = build(tmp_path, *write(tmp_path, files), "-o", "image", check=False)
    assert done.exit_code == 1
    lines = done.stderr.splitlines()
    assert len(lines) == 2
    for name in ("f", "v"):
        (line,) = [line for line in lines if f"'{name}'" in line]
        assert "a.c" in line and "b.c" in line
    assert not (tmp_path / "image").exists()


def test_hidden_visibility_of_any_copy_counts(tmp_path: Path) -> None:
    files = {
        "a.c": "__attribute__((weak)) int f(void) { return 1; }\n",
        "b.c": """\
__attribute__((weak, visibility("hidden"))) int f(void) { return 1; }
int g(void) { return f(); }
""",
        "main.c": """\
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
int f(void), g(void);
int main(void) { printf("%d %d %d\\n", f(), g(), dlsym(RTLD_DEFAULT, "f") != 0); }
""",
    }
    compare(tmp_path, files, "1 1 0\n", link=["-rdynamic"])


def test_comdat_none_or_all_of_a_group(tmp_path: Path) -> None:
    ir = """\
$group = comdat any
@state = linkonce_odr global i32 VALUE, comdat($group)
define linkonce_odr i32 @group() comdat { %v = load i32, ptr @state ret i32 %v }
define i32 @FILE() { %v = call i32 @group() ret i32 %v }
"""
    files = {
        "a.ll": ir.replace("VALUE", "1").replace("FILE", "a"),
        "b.ll": ir.replace("VALUE", "2").replace("FILE", "b"),
        "main.c": """\
#include <stdio.h>
int a(void), b(void);
int main(void) { printf("%d %d\\n", a(), b()); }
""",
    }
    compare(tmp_path, files, "1 1\n")


def test_comdat_nodeduplicate_keeps_the_file_together(tmp_path: Path) -> None:
    ir = """\
$f = comdat nodeduplicate
@cell = internal global i32 4, section "cells", comdat($f)
define i32 @f() comdat { %v = load i32, ptr @cell ret i32 %v }
define i32 @main() { %v = call i32 @f() ret i32 %v }
"""
    compare(tmp_path, {"one.ll": ir}, code=4)


def test_dll_storage_means_nothing_here(tmp_path: Path) -> None:
    ir = """\
@value = dllexport global i32 3
declare dllimport i32 @other()
define dllexport i32 @main() {
  %v = load i32, ptr @value
  %w = call i32 @other()
  %x = add i32 %v, %w
  ret i32 %x
}
"""
    compare(tmp_path, {"dll.ll": ir, "other.c": "int other(void) { return 4; }\n"}, code=7)
