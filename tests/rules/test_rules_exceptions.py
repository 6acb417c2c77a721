"""Exceptions cross units and files."""

from pathlib import Path

from harness import needs_clang
from rules import clang_object, compare

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
