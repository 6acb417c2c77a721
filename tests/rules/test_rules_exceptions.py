"""Exceptions cross units and files."""

import subprocess
from pathlib import Path

from harness import CLANG, build, needs_clang, run
from rules import clang_object, compare, write

pytestmark = needs_clang

LIB = """\
#include <stdexcept>
#include <string>
struct Error : std::runtime_error { int code; Error(int c) : std::runtime_error("error"), code(c) {} };
"""


def test_thrown_in_one_file_caught_in_another(tmp_path: Path) -> None:
    files = {
        "error.h": LIB,
        "thrower.cpp": """\
#include "error.h"
#include <cstdio>
struct Guard { const char *name; ~Guard() { std::puts(name); } };
static void inner(int n) { Guard guard{"inner"}; if (n > 1) throw Error(n); if (n) throw n; }
void outer(int n) { Guard guard{"outer"}; inner(n); }
""",
        "main.cpp": """\
#include "error.h"
#include <cstdio>
void outer(int);
static int attempt(int n) {
    try { outer(n); }
    catch (const std::exception &e) { std::puts(e.what()); return dynamic_cast<const Error &>(e).code; }
    catch (int i) { return -i; }
    return 0;
}
int main() { std::printf("%d %d %d\\n", attempt(0), attempt(1), attempt(2)); }
""",
    }
    compare(tmp_path, files)


def test_type_of_an_anonymous_namespace(tmp_path: Path) -> None:
    text = """\
#include <cstdio>
namespace { struct Local { int n; }; }
static void FILE_throw() { throw Local{VALUE}; }
int FILE(void (*other)()) {
    try { if (other) other(); else FILE_throw(); } catch (Local &l) { return l.n; } catch (...) { return -1; }
    return 0;
}
void FILE_thrower() { FILE_throw(); }
"""
    files = {
        "a.cpp": text.replace("FILE", "a").replace("VALUE", "5"),
        "b.cpp": text.replace("FILE", "b").replace("VALUE", "6"),
        "main.cpp": """\
#include <cstdio>
int a(void (*)()), b(void (*)());
void b_thrower();
int main() { std::printf("%d %d %d\\n", a(nullptr), b(nullptr), a(b_thrower)); }
""",
    }
    compare(tmp_path, files, "5 6 6\n")


def test_terminate_from_noexcept(tmp_path: Path) -> None:
    text = """\
#include <cstdio>
#include <cstdlib>
#include <exception>
void thrower() { throw 1; }
void strict() noexcept { thrower(); }
int main() {
    std::set_terminate([] { std::puts("terminated"); std::fflush(stdout); std::_Exit(9); });
    strict();
}
"""
    compare(tmp_path, {"main.cpp": text}, "terminated\n", code=9)


def test_through_a_native_object(tmp_path: Path) -> None:
    native = clang_object(tmp_path, "middle.c", "void middle(void (*f)(void)) { f(); }\n", "-fexceptions")
    text = """\
#include <cstdio>
extern "C" void middle(void (*)());
int main() { try { middle([] { throw 7; }); } catch (int n) { std::printf("%d\\n", n); } }
"""
    compare(tmp_path, {"main.cpp": text}, "7\n", natives=[native])


def test_cleanup_attribute_with_unwinding(tmp_path: Path) -> None:
    files = {
        "c.c": """\
#include <stdio.h>
static void done(int *n) { printf("clean %d\\n", *n); }
#ifdef __cplusplus
extern "C"
#endif
void run(void (*f)(void)) { __attribute__((cleanup(done))) int n = 3; f(); }
""",
        "main.cpp": """\
extern "C" void run(void (*)());
int main() { try { run([] { throw 1; }); } catch (int) { return 4; } }
""",
    }
    compare(tmp_path, files, "clean 3\n", code=4, cflags=["-fexceptions"])


def test_personality_defined_in_the_program(tmp_path: Path) -> None:
    ir = """\
define internal i32 @my_personality(i32 %v, i32 %a, i64 %c, ptr %e, ptr %x) { ret i32 8 }
declare i32 @puts(ptr)
@text = private unnamed_addr constant [3 x i8] c"ok\\00"
define i32 @main() personality ptr @my_personality {
  %n = invoke i32 @puts(ptr @text) to label %good unwind label %bad
good:
  ret i32 0
bad:
  %pad = landingpad { ptr, i32 } cleanup
  resume { ptr, i32 } %pad
}
"""
    compare(tmp_path, {"own.ll": ir}, "ok\n")


#: C's functions throw nothing, and what they call may: see admit_unwinding in index.py.
THROUGH_C = {
    "cb.c": "void cb(void (*f)(int), int x) { f(x); }\n",
    "again.c": """\
void cb(void (*)(int), int);
void again(void (*f)(int), int x) { cb(f, x); cb(f, x + 1); }
""",
    "main.cpp": """\
#include <cstdio>
extern "C" void cb(void (*)(int), int), again(void (*)(int), int);
struct Guard { int x; ~Guard() { std::printf("~%d\\n", x); } };
static void f(int x) { Guard guard{x}; if (x > 1) throw x; }
static void attempt(void (*g)(void (*)(int), int), int x) {
    try { g(f, x); } catch (int y) { std::printf("caught %d\\n", y); }
}
int main() {
    try { cb(f, 3); } catch (int x) { std::printf("caught %d\\n", x); }
    try { again(f, 1); } catch (int x) { std::printf("caught %d\\n", x); }
    attempt(cb, 4);
    attempt(again, 5);
}
""",
}
CAUGHT = "~3\ncaught 3\n~1\n~2\ncaught 2\n~4\ncaught 4\n~5\ncaught 5\n"


def test_through_functions_of_c(tmp_path: Path) -> None:
    space = tmp_path / "clang"
    space.mkdir()
    objects = [clang_object(space, name, THROUGH_C[name]) for name in ("cb.c", "again.c")]
    write(space, {"main.cpp": THROUGH_C["main.cpp"]})
    words = ["clang++-22", "-O2", "-w", "main.cpp", *objects, "-o", "image"]
    subprocess.run(words, cwd=space, check=True)
    assert run(space / "image").stdout.decode() == CAUGHT
    for flags in (["-O2"], ["-O2", "-fno-asynchronous-unwind-tables", "-fexceptions"]):
        build(tmp_path, *write(tmp_path, THROUGH_C), *flags, "-o", "image")
        assert run(tmp_path / "image").stdout.decode() == CAUGHT


def test_through_optimised_bitcode_of_c(tmp_path: Path) -> None:
    write(tmp_path, THROUGH_C)
    for name in ("cb", "again"):
        words = [CLANG, "-O2", "-c", "-emit-llvm", f"{name}.c", "-o", f"{name}.bc"]
        subprocess.run(words, cwd=tmp_path, check=True)
    build(tmp_path, "main.cpp", "cb.bc", "again.bc", "-O2", "-o", "image")
    assert run(tmp_path / "image").stdout.decode() == CAUGHT


def test_threads_that_end_in_c(tmp_path: Path) -> None:
    files = {
        "quit.c": "#include <pthread.h>\nvoid quit(void) { pthread_exit(0); }\n",
        "main.cpp": """\
#include <cstdio>
#include <pthread.h>
extern "C" void quit();
struct Guard { ~Guard() { std::puts("left"); } };
static void *body(void *) { Guard guard; quit(); return nullptr; }
int main() { pthread_t t; pthread_create(&t, nullptr, body, nullptr); pthread_join(t, nullptr); }
""",
    }
    build(tmp_path, *write(tmp_path, files), "-O2", "-pthread", "-o", "image")
    assert run(tmp_path / "image").stdout == b"left\n"
