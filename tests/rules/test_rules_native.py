"""Native objects and archives call into the program and are called by it."""

import subprocess
from pathlib import Path

import pytest
from harness import CLANG, build, needs_clang, run
from rules import LEVELS, clang_archive, clang_object, compare, write

pytestmark = needs_clang

BACK = """\
extern int ours(int), variable;
extern _Thread_local int per_thread;
int theirs(int x) { return ours(x) * variable + per_thread; }
"""
MAIN = """\
#include <stdio.h>
int theirs(int);
int variable = 10;
_Thread_local int per_thread = 1;
static int secret(int x) { return x + 1; }
int ours(int x) { return secret(x); }
int unreached(int x) { return x; }
int main(void) { printf("%d\\n", theirs(4)); }
"""


def test_object_calls_back(tmp_path: Path) -> None:
    built = compare(
        tmp_path, {"main.c": MAIN}, "51\n", natives=[clang_object(tmp_path, "back.c", BACK)], levels=LEVELS
    )
    assert "ours" in built["-O0"].result.compiled
    assert "unreached" not in built["-O0"].result.compiled


def test_archive_calls_back(tmp_path: Path) -> None:
    compare(tmp_path, {"main.c": MAIN}, "51\n", natives=[clang_archive(tmp_path, "back.c", BACK)])


def test_archive_after_the_dashes_calls_back(tmp_path: Path) -> None:
    archive = clang_archive(tmp_path, "back.c", BACK)
    compare(tmp_path, {"main.c": MAIN}, "51\n", link=[str(tmp_path / archive)])


def test_archive_found_as_a_library_calls_back(tmp_path: Path) -> None:
    clang_archive(tmp_path, "back.c", BACK)
    compare(tmp_path, {"main.c": MAIN}, "51\n", link=[f"-L{tmp_path}", "-lback"])


@pytest.mark.parametrize(
    "words", [("-L", ".", "-l", "back"), ("-Wl,-L.", "-Wl,-l,back"), ("-L.", "-l:libback.so")]
)
def test_library_that_is_asked_for_in_other_ways_calls_back(tmp_path: Path, words: tuple[str, ...]) -> None:
    (tmp_path / "back.c").write_text(BACK)
    subprocess.run([CLANG, "-shared", "-fPIC", "back.c", "-o", "libback.so"], cwd=tmp_path, check=True)
    write(tmp_path, {"main.c": MAIN})
    build(tmp_path, "main.c", "-o", "app", *words, f"-Wl,-rpath,{tmp_path}", "-fPIC")
    assert run(tmp_path / "app").stdout == b"51\n"


def test_main_in_a_native_object(tmp_path: Path) -> None:
    native = clang_object(tmp_path, "start.c", "int run(void);\nint main(void) { return run() + 1; }\n")
    built = compare(
        tmp_path,
        {"run.c": "int run(void) { return 5; }\nint no(void) { return 1; }\n"},
        code=6,
        natives=[native],
        levels=LEVELS,
    )
    assert built["-O0"].result.compiled == ["run"]


def test_static_names_shared_with_an_object(tmp_path: Path) -> None:
    text = """\
static int n = VALUE;
static int get(void) { return n++; }
int f_VALUE(void) { get(); return get(); }
"""
    native = clang_object(tmp_path, "part.c", text.replace("VALUE", "20"))
    main = (
        text.replace("VALUE", "10")
        + """\
#include <stdio.h>
int f_20(void);
int main(void) { printf("%d %d\\n", f_10(), f_20()); }
"""
    )
    compare(tmp_path, {"main.c": main}, "11 21\n", natives=[native])


def test_templates_shared_with_an_object(tmp_path: Path) -> None:
    header = """\
#include <string>
template <class T> struct Counter { static T next() { static T n = 10; return n++; } };
inline std::string name(int n) { return "n" + std::to_string(n); }
"""
    write(tmp_path, {"counter.h": header})
    native = clang_object(
        tmp_path,
        "theirs.cpp",
        '#include "counter.h"\nstd::string theirs() { return name(Counter<int>::next()); }\n',
    )
    main = """\
#include "counter.h"
#include <cstdio>
std::string theirs();
int main() {
    std::string a = name(Counter<int>::next()), b = theirs();
    std::printf("%s %s %d\\n", a.c_str(), b.c_str(), Counter<int>::next());
}
"""
    compare(tmp_path, {"main.cpp": main}, "n10 n11 12\n", natives=[native])


def test_duplicate_of_a_native_definition(tmp_path: Path) -> None:
    native = clang_object(tmp_path, "other.c", "int f(void) { return 1; }\n")
    write(tmp_path, {"main.c": "int f(void) { return 2; }\nint main(void) { return f(); }\n"})
    done = build(tmp_path, "main.c", native, "-o", "image", check=False)
    assert done.exit_code == 3
    assert "f" in done.stderr and not (tmp_path / "image").exists()


def test_shared_library_calls_back(tmp_path: Path) -> None:
    clang_object(tmp_path, "back.c", "int ours(int);\nint theirs(int x) { return ours(x) + 1; }\n", "-fPIC")
    subprocess.run([CLANG, "-shared", "back.o", "-o", "libback.so"], cwd=tmp_path, check=True)
    text = """\
#include <stdio.h>
int theirs(int);
int ours(int x) { return x * 2; }
int main(void) { printf("%d\\n", theirs(4)); }
"""
    compare(tmp_path, {"main.c": text}, "9\n", natives=["libback.so"], link=[f"-Wl,-rpath,{tmp_path}"])
