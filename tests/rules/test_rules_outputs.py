"""Shared libraries, objects, archives, assembly and bitcode link with what clang makes."""

import subprocess
from pathlib import Path

import pytest
from harness import CLANG, build, needs_clang, needs_lld, run
from rules import compare, link_with_clang, write

pytestmark = needs_clang

LIBRARY = """\
#include <stdio.h>
static int calls;
static int helper(int x) { static int extra = 1; return x * 2 + extra++ + calls++; }
int twice(int x) { return helper(x); }
int table_size = 3;
static const char *const words[] = {"zero", "one", "two"};
const char *word(int n) { return words[n]; }
__attribute__((constructor)) static void hello(void) { puts("loaded"); }
int pick(int n) {
    static void *const labels[] = {&&a, &&b};
    goto *labels[n];
a: return 10;
b: return 20;
}
"""
CALLER = """\
#include <stdio.h>
int twice(int), pick(int);
const char *word(int);
extern int table_size;
static int helper(int x) { return x + 7; }
int main(void) {
    twice(1);
    printf("%d %s %d %d %d\\n", twice(10), word(table_size - 1), pick(0), pick(1), helper(0));
}
"""
SAYS = "loaded\n23 two 10 20 7\n"
ONE_AND_TWO = """\
#include <stdio.h>
int one(void), two(void);
int main(void) { printf("%d %d\\n", one(), two()); }
"""
LEVEL = pytest.mark.parametrize("level", ["-O0", "-O2"])


def warm_is_equal(space: Path, output: str, *words: str) -> None:
    """A second build compiles nothing and writes the same bytes."""
    assert build(space, *words, "-o", "again" + Path(output).suffix).misses == 0
    assert (space / ("again" + Path(output).suffix)).read_bytes() == (space / output).read_bytes()


@LEVEL
@pytest.mark.parametrize(
    ("kind", "output"), [("object", "lib.o"), ("archive", "lib.a"), ("asm", "lib.s"), ("bitcode", "lib.bc")]
)
def test_library_links_with_clangs_caller(tmp_path: Path, kind: str, output: str, level: str) -> None:
    write(tmp_path, {"library.c": LIBRARY, "caller.c": CALLER})
    words = ("library.c", level, "--emit", kind)
    build(tmp_path, *words, "-o", output)
    warm_is_equal(tmp_path, output, *words)
    assert link_with_clang(tmp_path, "caller.c", output) == SAYS


def test_shared_library_is_loaded_at_run_time(tmp_path: Path) -> None:
    loader = """\
#include <dlfcn.h>
#include <stdio.h>
int main(void) {
    void *library = dlopen("LIBRARY", RTLD_NOW);
    if (!library) return puts(dlerror());
    int (*twice)(int) = (int (*)(int))dlsym(library, "twice");
    int *size = dlsym(library, "table_size");
    printf("%d %d %d\\n", twice(4), *size, dlsym(library, "helper") != 0);
}
"""
    write(tmp_path, {"library.c": LIBRARY, "loader.c": loader.replace("LIBRARY", str(tmp_path / "lib.so"))})
    words = ("library.c", "--emit", "shared")
    build(tmp_path, *words, "-o", "lib.so")
    assert link_with_clang(tmp_path, "loader.c") == "loaded\n9 3 0\n"


@LEVEL
def test_shared_library_of_two_files_interposed_by_the_program(tmp_path: Path, level: str) -> None:
    files = {
        "a.c": "int hook(void) { return 1; }\nint calls_hook(void);\n",
        "b.c": "int hook(void);\nint calls_hook(void) { return hook() * 10; }\n",
    }
    build(tmp_path, *write(tmp_path, files), level, "--emit", "shared", "-o", "lib.so")
    main = """\
#include <stdio.h>
int calls_hook(void);
int hook(void) { return 2; }
int main(void) { printf("%d\\n", calls_hook()); }
"""
    write(tmp_path, {"main.c": main})
    assert link_with_clang(tmp_path, "main.c", str(tmp_path / "lib.so")) == "20\n"


#: What only a library itself calls, by names that the dynamic linker does not resolve, and what it exports.
OWN_NAMES = {
    "a.c": """\
#define HIDDEN(name) __attribute__((alias(name), visibility("hidden")))
__attribute__((noinline)) int hook(void) { return 1; }
extern __typeof(hook) hook_hidden HIDDEN("hook");
static __typeof(hook) hook_static __attribute__((alias("hook")));
int size = 1;
extern int size_hidden HIDDEN("size");
int (*const table[])(void) = {hook_hidden};
int by_alias(void) { return hook_hidden() * 10 + hook_static(); }
int by_pointer(void) { return table[0]() * 10 + size_hidden; }
int by_name(void) { return hook(); }
""",
    "b.c": """\
int hook(void);
extern int hook_hidden(void) __attribute__((visibility("hidden")));
int elsewhere(void) { return hook_hidden() * 10 + hook(); }
""",
}
INTERPOSES = """\
#include <stdio.h>
int hook(void) { return 2; }
int size = 2;
int by_alias(void), by_pointer(void), by_name(void), elsewhere(void);
int main(void) { printf("%d %d %d %d\\n", by_alias(), by_pointer(), by_name(), elsewhere()); }
"""


@pytest.mark.parametrize(("kind", "level"), [("shared", "-O0"), ("shared", "-O2"), ("object", "-O2")])
@pytest.mark.parametrize("flag", ["-fsemantic-interposition", "-fno-semantic-interposition"])
def test_own_names_of_what_others_replace(tmp_path: Path, flag: str, kind: str, level: str) -> None:
    names = write(tmp_path, {**OWN_NAMES, "main.c": INTERPOSES})[:2]
    flags = (level, "-fPIC", flag)
    subprocess.run([CLANG, *names, *flags, "-shared", "-o", "clang.so"], cwd=tmp_path, check=True)
    output = "lib.so" if kind == "shared" else "lib.o"
    build(tmp_path, *names, *flags, "--emit", kind, "-o", output)
    if kind == "object":
        subprocess.run([CLANG, "-shared", output, "-o", "lib.so"], cwd=tmp_path, check=True)
    expected = link_with_clang(tmp_path, "main.c", str(tmp_path / "clang.so"))
    assert expected == f"11 11 {1 if 'no-' in flag else 2} 12\n"
    assert link_with_clang(tmp_path, "main.c", str(tmp_path / "lib.so")) == expected


@pytest.mark.parametrize("kind", ["object", "archive"])
def test_exported_functions_of_objects_for_libraries_stay_in_their_file(tmp_path: Path, kind: str) -> None:
    files = {"a.c": "int hook() { return 1; }\n", "b.c": "int hook();\nint f() { return hook(); }\n"}
    output = f"lib.{kind[0]}"
    build(tmp_path, *write(tmp_path, files), "-O2", "-fPIC", "--emit", kind, "-o", output)
    words = [CLANG, "-shared", "-Wl,--whole-archive", output, "-Wl,--no-whole-archive", "-o", "lib.so"]
    subprocess.run(words, cwd=tmp_path, check=True)
    main = '#include <stdio.h>\nint f();\nint hook() { return 2; }\nint main() { printf("%d", f()); }\n'
    write(tmp_path, {"main.c": main})
    assert link_with_clang(tmp_path, "main.c", str(tmp_path / "lib.so")) == "2"


def test_static_names_of_two_archives_do_not_clash(tmp_path: Path) -> None:
    text = """\
static int state = VALUE;
static int step(void) { return state++; }
int NAME(void) { step(); return step(); }
"""
    for name, value in (("one", "10"), ("two", "20")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "part.c").write_text(text.replace("NAME", name).replace("VALUE", value))
        build(tmp_path, f"{name}/part.c", "--emit", "archive", "-o", f"{name}.a")
    write(tmp_path, {"main.c": ONE_AND_TWO})
    assert link_with_clang(tmp_path, "main.c", "one.a", "two.a") == "11 21\n"


def test_members_of_an_archive_name_no_statics_of_each_other(tmp_path: Path) -> None:
    text = """\
static int steps[3] = {5, 6, 7};
static int step(int n) { return steps[n]++; }
static int (*const table[2])(int) = {step, step};
static const int fixed[3] = {1, 2, 3};
int count(int n) { return step(n); }
int pick(int n) { return table[n](n) * fixed[n]; }
"""
    main = """\
#include <stdio.h>
int count(int), pick(int);
int both(int n) { return count(n) * 10 + pick(n); }
int main(int n, char **v) { printf("%d\\n", both(n)); }
"""
    write(tmp_path, {"main.c": main, "part.c": text})
    build(tmp_path, "main.c", "part.c", "--emit", "archive", "-o", "all.a")
    everything = ("-Wl,--whole-archive", "all.a", "-Wl,--no-whole-archive")
    assert link_with_clang(tmp_path, *everything) == "74\n"


@pytest.mark.parametrize("kind", ["object", "asm", "bitcode"])
def test_static_that_keeps_its_name_and_its_namesake(tmp_path: Path, kind: str) -> None:
    files = {
        "used.c": (
            "__attribute__((used)) static int foo(void) { return 1; }\n"
            "int bar(void);\nint both(void) { return foo() * 10 + bar(); }\n"
        ),
        "bar.c": "int foo(void) { return 2; }\nint bar(void) { return foo() + 1; }\n",
        "main.c": '#include <stdio.h>\nint both(void);\nint main(void) { printf("%d\\n", both()); }\n',
    }
    names = write(tmp_path, files)
    output = {"object": "all.o", "asm": "all.s", "bitcode": "all.bc"}[kind]
    build(tmp_path, *names, "--emit", kind, "-o", output)
    assert link_with_clang(tmp_path, output) == "13\n"


def test_assembly_with_debug_information(tmp_path: Path) -> None:
    write(tmp_path, {"one.c": "int one(void) { return 1; }\n", "two.c": "int two(void) { return 2; }\n"})
    build(tmp_path, "one.c", "-g", "--emit", "asm", "-o", "one.s")
    result = build(tmp_path, "one.c", "two.c", "-g", "--emit", "asm", "-o", "both.s", check=False)
    assert result.exit_code == 1 and "leave out -g" in result.stderr


def test_assembly_does_not_depend_on_what_was_compiled_before(tmp_path: Path) -> None:
    """LLVM numbers sections of one name over all that it prints."""
    start = 'target triple = "x86_64-unknown-linux-gnu"\n'
    used = '{0} = unnamed_addr constant {1}, section "table"\ndefine ptr {0}_at() {{ ret ptr {0} }}\n'
    files = {
        "one.ll": start + used.format("@one", "i32 1"),
        "two.ll": start + used.format("@two", "i64 2"),
        "three.ll": start + used.format("@three", "i32 3"),
        "main.c": "#include <stdio.h>\nint *one_at(void), *three_at(void);\nlong *two_at(void);\n"
        'int main(void) { printf("%d %ld %d\\n", *one_at(), *two_at(), *three_at()); }\n',
    }
    names = write(tmp_path, files)
    for edited in ("i64 2", "i64 5", "i64 8"):
        write(tmp_path, {"two.ll": files["two.ll"].replace("i64 2", edited)})
        build(tmp_path, *names, "--emit", "asm", "-o", "all.s")
        build(tmp_path, *names, "--emit", "asm", "--no-cache", "-o", "cold.s")
        assert (tmp_path / "all.s").read_bytes() == (tmp_path / "cold.s").read_bytes()
        assert link_with_clang(tmp_path, "all.s") == f"1 {edited[-1]} 3\n"


TEMPLATES = """\
#include <string>
#include <vector>
template <class T> struct Counter {
    static T value;
    static T next() { static T n = 10; return n++ + value++; }
};
template <class T> T Counter<T>::value = 100;
struct Shape { virtual ~Shape() {} virtual int sides() const { return 0; } };
template <int N> struct Polygon : Shape { int sides() const override { return N; } };
inline std::vector<std::string> words() { return {"a", "bc"}; }
"""
USER = """\
#include "templates.h"
int FILE() {
    Polygon<4> square;
    const Shape &shape = square;
    if (dynamic_cast<const Polygon<4> *>(&shape) == nullptr) throw std::string("FILE");
    return Counter<int>::next() + shape.sides() + int(words()[1].size());
}
"""
TEMPLATE_MAIN = """\
#include <cstdio>
int ours(), theirs();
int main() { int a = ours(); int b = theirs(); std::printf("%d %d\\n", a, b); }
"""


@LEVEL
@pytest.mark.parametrize(("kind", "output"), [("object", "ours.o"), ("archive", "ours.a"), ("asm", "ours.s")])
def test_comdats_merge_with_clangs_own(tmp_path: Path, kind: str, output: str, level: str) -> None:
    write(
        tmp_path,
        {
            "templates.h": TEMPLATES,
            "ours.cpp": USER.replace("FILE", "ours"),
            "theirs.cpp": USER.replace("FILE", "theirs"),
            "main.cpp": TEMPLATE_MAIN,
        },
    )
    build(tmp_path, "ours.cpp", level, "--emit", kind, "-o", output)
    for order in ((output, "theirs.cpp"), ("theirs.cpp", output)):
        assert link_with_clang(tmp_path, "main.cpp", *order, level) == "116 118\n"


@pytest.mark.parametrize("kind", ["object", "archive"])
def test_two_objects_of_ours_with_the_same_templates(tmp_path: Path, kind: str) -> None:
    write(
        tmp_path,
        {
            "templates.h": TEMPLATES,
            "ours.cpp": USER.replace("FILE", "ours"),
            "theirs.cpp": USER.replace("FILE", "theirs"),
            "main.cpp": TEMPLATE_MAIN,
        },
    )
    ending = ".o" if kind == "object" else ".a"
    for name in ("ours", "theirs"):
        build(tmp_path, f"{name}.cpp", "--emit", kind, "-o", name + ending)
    assert link_with_clang(tmp_path, "main.cpp", "ours" + ending, "theirs" + ending) == "116 118\n"


@pytest.mark.parametrize(
    ("kind", "output"), [("object", "all.o"), ("archive", "all.a"), ("asm", "all.s"), ("bitcode", "all.bc")]
)
def test_used_statics_of_the_same_name_in_two_files(tmp_path: Path, kind: str, output: str) -> None:
    text = """\
static int state __attribute__((used)) = VALUE;
__attribute__((used, noinline)) static int step(void) { return state++; }
int NAME(void) { step(); return step(); }
"""
    files = {
        "one.c": text.replace("NAME", "one").replace("VALUE", "10"),
        "two.c": text.replace("NAME", "two").replace("VALUE", "20"),
    }
    build(tmp_path, *write(tmp_path, files), "--emit", kind, "-o", output)
    write(tmp_path, {"main.c": ONE_AND_TWO})
    assert link_with_clang(tmp_path, "main.c", output) == "11 21\n"


def test_bitcode_of_several_units_keeps_the_types_of_alias_analysis(tmp_path: Path) -> None:
    text = """\
struct first { int x; };
struct second { int x; };
int one(struct first *a, struct second *b) { a->x = 1; b->x = 2; return a->x; }
int two(struct first *a, struct second *b) { b->x = 1; a->x = 2; return b->x; }
"""
    build(tmp_path, *write(tmp_path, {"types.c": text}), "--emit", "bitcode", "-o", "types.bc")
    command = [CLANG, "-S", "-emit-llvm", "-o", "-", "types.bc"]
    printed = subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True).stdout
    for name in ("first", "second", "int"):
        assert printed.count(f'!{{!"{name}", ') == 1


@pytest.mark.parametrize("output", ["all.s", "all.o", "all.bc"])
def test_constructors_weak_and_thread_local_symbols_in_each_output(tmp_path: Path, output: str) -> None:
    files = {
        "one.c": """\
#include <stdio.h>
__attribute__((weak)) int level(void) { return 1; }
_Thread_local int per_thread = 5;
static _Thread_local int hidden = 6;
int *place(void) { return &hidden; }
__attribute__((constructor(200))) static void late(void) { puts("late"); }
__attribute__((constructor(150))) static void early(void) { puts("early"); }
extern int same(void) __attribute__((alias("level")));
""",
        "two.c": "int level(void);\nint twice(void) { return level() * 2; }\n",
    }
    kind = {".s": "asm", ".o": "object", ".bc": "bitcode"}[Path(output).suffix]
    build(tmp_path, *write(tmp_path, files), "--emit", kind, "-o", output)
    main = """\
#include <stdio.h>
int level(void) { return 4; }
int twice(void), same(void), *place(void);
extern _Thread_local int per_thread;
int main(void) { printf("%d %d %d %d\\n", twice(), same(), per_thread, *place()); }
"""
    write(tmp_path, {"main.c": main})
    assert link_with_clang(tmp_path, "main.c", output) == "early\nlate\n8 1 5 6\n"


def test_module_asm_in_two_files_of_one_assembly_output(tmp_path: Path) -> None:
    text = """\
__asm__(".text\\nlocal:\\n  mov $VALUE, %eax\\n  ret\\n.globl NAME\\nNAME:\\n  jmp local\\n");
"""
    files = {
        "one.c": text.replace("NAME", "one").replace("VALUE", "10"),
        "two.c": text.replace("NAME", "two").replace("VALUE", "20"),
    }
    build(tmp_path, *write(tmp_path, files), "--emit", "object", "-o", "all.o")
    write(tmp_path, {"main.c": ONE_AND_TWO})
    assert link_with_clang(tmp_path, "main.c", "all.o") == "10 20\n"


@pytest.mark.parametrize(
    "flag", ["-rdynamic", "-Wl,-E", "-Wl,-export-dynamic", "-Wl,--export-dynamic-symbol=plugin"]
)
def test_exported_symbols_are_found_at_run_time(tmp_path: Path, flag: str) -> None:
    files = {
        "main.c": """\
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
int main(void) {
    int (*f)(int) = (int (*)(int))dlsym(RTLD_DEFAULT, "plugin");
    printf("%d\\n", f ? f(4) : -1);
}
""",
        "plugin.c": "int plugin(int x) { return x + 1; }\n",
    }
    compare(tmp_path, files, "5\n", link=[flag], levels=["-O2"])


def test_position_dependent_and_static_images(tmp_path: Path) -> None:
    text = """\
#include <stdio.h>
static int cell = 4;
int *pointer = &cell;
static _Thread_local int per_thread = 3;
int main(void) { printf("%d %d\\n", *pointer, per_thread); }
"""
    compare(tmp_path, {"main.c": text}, "4 3\n", cflags=["-fno-pie"], link=["-no-pie"], levels=["-O2"])
    build(tmp_path, "main.c", "-o", "static", "--", "-static")
    assert run(tmp_path / "static").stdout == b"4 3\n"


@needs_lld
def test_library_named_by_a_pragma(tmp_path: Path) -> None:
    text = """\
#pragma comment(lib, "m")
#include <math.h>
#include <stdio.h>
int main(int argc, char **argv) { printf("%g\\n", floor(sin(argc) * 10)); }
"""
    write(tmp_path, {"main.c": text})
    build(tmp_path, "main.c", "--linker", "lld", "-o", "image")
    assert run(tmp_path / "image").stdout == b"8\n"
