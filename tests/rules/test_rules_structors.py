"""Constructors and destructors run as in clang's build, under each linker."""

import subprocess
from pathlib import Path

import pytest
from harness import CLANG, assert_same_behaviour, build, needs, needs_clang, needs_lld, needs_mold
from rules import clang_object, compare, link_with_clang, write

pytestmark = needs_clang

LINKERS = [
    pytest.param("bfd", marks=needs("ld.bfd")),
    pytest.param("lld", marks=needs_lld),
    pytest.param("mold", marks=needs_mold),
]

PRIORITIES = """\
#include <stdio.h>
#define STEP(when, priority, name) \\
    static __attribute__((when priority)) void name(void) { puts(#name); }
STEP(constructor, , FILE_plain)
STEP(constructor, (200), FILE_200)
STEP(constructor, (101), FILE_101)
STEP(constructor, (1000), FILE_1000)
STEP(destructor, , FILE_end)
STEP(destructor, (101), FILE_end_101)
STEP(destructor, (3000), FILE_end_3000)
"""


@pytest.mark.parametrize("linker", LINKERS)
def test_priorities_and_input_order(tmp_path: Path, linker: str) -> None:
    files = {
        "b.c": PRIORITIES.replace("FILE", "b"),
        "main.c": PRIORITIES.replace("FILE", "main") + 'int main(void) { puts("main"); }\n',
        "a.c": PRIORITIES.replace("FILE", "a"),
    }
    names = ["101", "200", "1000", "plain"]
    starts = "".join(f"{file}_{name}\n" for name in names for file in ("b", "main", "a"))
    ends = "".join(
        f"{file}_{name}\n" for name in ("end", "end_3000", "end_101") for file in ("a", "main", "b")
    )
    compare(tmp_path, files, starts + "main\n" + ends, options=["--linker", linker])


@pytest.mark.parametrize("linker", LINKERS)
def test_dynamic_initialisers_in_cxx(tmp_path: Path, linker: str) -> None:
    part = """\
#include <cstdio>
struct Noisy {
    const char *name;
    Noisy(const char *n) : name(n) { std::puts(n); }
    ~Noisy() { std::puts(name); }
};
static Noisy first("FILE first"), second("FILE second");
static Noisy early __attribute__((init_priority(150)))("FILE early");
"""
    compare(
        tmp_path,
        {"x.cpp": part.replace("FILE", "x"), "y.cpp": part.replace("FILE", "y") + "int main() {}\n"},
        options=["--linker", linker],
        levels=["-O2"],
    )


def test_constructor_that_nothing_else_reaches(tmp_path: Path) -> None:
    files = {
        "main.c": "int main(void) { return 0; }\n",
        "plugin.c": '#include <stdio.h>\n__attribute__((constructor)) void hello(void) { puts("hello"); }\n',
    }
    compare(tmp_path, files, "hello\n")


def test_order_within_one_ctors_list(tmp_path: Path) -> None:
    ir = """\
@a = private constant [2 x i8] c"a\\00"
@b = private constant [2 x i8] c"b\\00"
@llvm.global_ctors = appending global [3 x { i32, ptr, ptr }] [
  { i32, ptr, ptr } { i32 65535, ptr @second, ptr null },
  { i32, ptr, ptr } { i32 65535, ptr @first, ptr null },
  { i32, ptr, ptr } { i32 65535, ptr null, ptr null }]
declare i32 @puts(ptr)
define internal void @first() { call i32 @puts(ptr @a) ret void }
define internal void @second() { call i32 @puts(ptr @b) ret void }
define i32 @main() { ret i32 0 }
"""
    compare(tmp_path, {"list.ll": ir}, "b\na\n")


def test_template_member_is_initialised_once(tmp_path: Path) -> None:
    header = """\
#include <cstdio>
template <class T> struct Box { static int value; };
inline int make() { return std::puts("make"); }
template <class T> int Box<T>::value = make();
inline int shared = make();
"""
    files = {
        "box.h": header,
        "one.cpp": '#include "box.h"\nint one() { return Box<int>::value; }\n',
        "two.cpp": """\
#include "box.h"
int one();
int main() { return Box<int>::value + shared == 0 || one() == 0; }
""",
    }
    compare(tmp_path, files, "make\nmake\n")


def test_weak_constructor_runs_for_each_file(tmp_path: Path) -> None:
    hook = '#include <stdio.h>\n__attribute__((constructor, weak)) void hook(void) { puts("hook"); }\n'
    compare(tmp_path, {"a.c": hook, "b.c": hook + "int main(void) { return 0; }\n"}, "hook\nhook\n")


def test_native_object_keeps_its_place_in_the_order(tmp_path: Path) -> None:
    hook = '#include <stdio.h>\n__attribute__((constructor)) static void hook(void) { puts("FILE"); }\n'
    native = clang_object(tmp_path, "native.c", hook.replace("FILE", "native"))
    main = hook.replace("FILE", "ours") + "int main(void) { return 0; }\n"
    compare(tmp_path, {"main.c": main}, "native\nours\n", natives=[native], order=[native, "main.c"])


@needs("gcc")
@pytest.mark.parametrize(
    ("two", "more"),
    [
        (["two.o"], []),
        pytest.param(["two.o"], ["-fuse-ld=mold"], marks=needs_mold),
        (["-Wl,--whole-archive", "-L.", "-ltwo", "-Wl,--no-whole-archive"], []),
    ],
)
def test_priorities_of_objects_that_gcc_made(tmp_path: Path, two: list[str], more: list[str]) -> None:
    """GNU ld, clang's own default, sorts gcc's `.init_array.00200` before clang's `.init_array.200`."""
    write(tmp_path, {f"{name}.c": PRIORITIES.replace("FILE", name) for name in ("a", "b", "one", "two")})
    write(tmp_path, {"main.c": "int main(void) { return 0; }\n"})
    subprocess.run(["gcc", "-c", "one.c", "two.c"], cwd=tmp_path, check=True)
    subprocess.run(["ar", "rcs", "libtwo.a", "two.o"], cwd=tmp_path, check=True)
    words = ["a.c", "one.o", "b.c", *two, "main.c", *more]
    build(tmp_path, *words, "-o", "ours")
    subprocess.run([CLANG, *words, "-o", "clangs"], cwd=tmp_path, check=True)
    assert_same_behaviour(tmp_path / "ours", tmp_path / "clangs")


def test_assembly_files_keep_their_order(tmp_path: Path) -> None:
    asm = """\
.text
hook:
    lea text(%rip), %rdi
    jmp puts@PLT
text: .asciz "FILE"
.section .init_array, "aw", @init_array
.quad hook
.section .note.GNU-stack, "", @progbits
"""
    files = {
        "one.s": asm.replace("FILE", "one"),
        "two.s": asm.replace("FILE", "two"),
        "main.c": "int main(void) { return 0; }\n",
    }
    order = ["one.s", "two.s", "main.c"]
    compare(tmp_path, files, "one\ntwo\n", order=order)


@pytest.mark.parametrize("kind", ["object", "asm"])
def test_template_member_initialised_by_two_outputs_of_ours(tmp_path: Path, kind: str) -> None:
    header = """\
#include <cstdio>
template <class T> struct Box { static int value; };
inline int make() { return std::puts("make"); }
template <class T> int Box<T>::value = make();
"""
    main = '#include "box.h"\nint one();\nint main() { return one() != Box<int>::value; }\n'
    write(tmp_path, {"box.h": header, "two.cpp": main})
    write(tmp_path, {"one.cpp": '#include "box.h"\nint one() { return Box<int>::value; }\n'})
    ending = {"object": ".o", "asm": ".s"}[kind]
    for name in ("one", "two"):
        build(tmp_path, f"{name}.cpp", "--emit", kind, "-o", name + ending)
    assert link_with_clang(tmp_path, "one" + ending, "two" + ending, "-lstdc++") == "make\n"
    assert link_with_clang(tmp_path, "one.cpp", "two" + ending) == "make\n"


@pytest.mark.parametrize(
    "listed",
    [
        '__attribute__((section(".ctors"), used)) static void (*one)(void) = begin;\n'
        '__attribute__((section(".dtors"), used)) static void (*other)(void) = end;\n',
        '__attribute__((section(".ctors.64000"), used)) static void (*one)(void) = begin;\n',
        'int put(void) { __asm__(".pushsection .ctors,\\"aw\\"\\n.quad begin\\n.popsection"); return 0; }\n',
    ],
)
def test_lists_that_only_gnu_ld_puts_among_the_others(tmp_path: Path, listed: str) -> None:
    """Whichever linker would be faster. A list that comes with an edit, or goes, is noticed."""
    step = '#include <stdio.h>\nvoid begin(void) { puts("begin"); }\nvoid end(void) { puts("end"); }\n'
    main = "int put(void);\nint main(void) { return put(); }\n"
    put = "int put(void) { return 0; }\n"
    (tmp_path / "main.c").write_text(main)
    images = []
    for text in (step + put, step + listed + ("" if " put(" in listed else put), step + put):
        (tmp_path / "list.c").write_text(text)
        build(tmp_path, "main.c", "list.c", "-O2", "-o", "app")
        images.append((tmp_path / "app").read_bytes())
        subprocess.run([CLANG, "-O2", "main.c", "list.c", "-o", "clang"], cwd=tmp_path, check=True)
        assert_same_behaviour(tmp_path / "app", tmp_path / "clang")
    assert images[0] == images[2] != images[1]
