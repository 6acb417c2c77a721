"""`alwaysinline` and C99 `inline` bodies reach their callers, whatever the level."""

import re
import subprocess
from pathlib import Path

import pytest
from harness import needs_clang
from rules import clang_object, compare

pytestmark = needs_clang


def calls(image: Path, function: str) -> list[str]:
    """What the function of an image calls."""
    text = subprocess.run(
        ["objdump", "-d", f"--disassemble={function}", "--no-show-raw-insn", image],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return re.findall(r"\b(?:call|jmp)\s+\w+ <([^+>]*)>", text)


def test_always_inline_with_an_immediate_operand(tmp_path: Path) -> None:
    text = """\
#include <stdio.h>
static inline __attribute__((always_inline)) int add(int x, const int n) {
    __asm__("addl %1, %0" : "+r"(x) : "i"(n));
    return x;
}
static inline __attribute__((always_inline)) int twice(int x, const int n) { return add(add(x, n), n + 1); }
int main(int argc, char **argv) { printf("%d\\n", twice(argc, 20)); }
"""
    compare(tmp_path, {"main.c": text}, "42\n", levels=["-O2"])


def test_always_inline_static_at_every_level(tmp_path: Path) -> None:
    text = """\
#include <stdio.h>
static int count;
static inline __attribute__((always_inline)) int bump(int n) {
    static int local = 1;
    count += n;
    return local++ + count;
}
__attribute__((noinline)) int first(void) { return bump(1); }
int main(void) { first(); printf("%d %d\\n", first(), bump(10)); }
"""
    for built in compare(tmp_path, {"main.c": text}, "4 15\n").values():
        assert not any("bump" in name for name in calls(built.image, "main"))
        assert not any("bump" in name for name in built.result.compiled)


def test_always_inline_external(tmp_path: Path) -> None:
    files = {
        "lib.c": """\
static int hidden = 3;
__attribute__((always_inline)) int get(int x) { return x + hidden++; }
int use(int x) { return get(x) * 10; }
""",
        "main.c": """\
#include <stdio.h>
int get(int), use(int);
int main(void) { printf("%d %d\\n", use(1), get(1)); }
""",
    }
    for built in compare(tmp_path, files, "40 5\n").values():
        assert "get" not in calls(built.image, "use")


def test_always_inline_template(tmp_path: Path) -> None:
    header = """\
template <class T> [[gnu::always_inline]] inline T clamp(T x, T most) { return x > most ? most : x; }
template <class T> inline T plain(T x) { static T calls = 0; return clamp(x, T(9)) + calls++; }
"""
    files = {
        "clamp.h": header,
        "a.cpp": '#include "clamp.h"\nint a(int x) { return plain(x); }\n',
        "main.cpp": """\
#include "clamp.h"
#include <cstdio>
int a(int);
int main() { int x = a(20); std::printf("%d %d\\n", x, plain(3)); }
""",
    }
    compare(tmp_path, files, "9 4\n")


def test_always_inline_of_a_variadic_forwarder(tmp_path: Path) -> None:
    text = """\
#include <stdarg.h>
#include <stdio.h>
#define INLINE static inline __attribute__((always_inline))
INLINE int say(const char *format, va_list l) { return vprintf(format, l); }
static int each(const char *format, ...) {
    va_list l;
    va_start(l, format);
    int n = say(format, l);
    va_end(l);
    return n;
}
int main(void) { each("%d %s\\n", 5, "x"); }
"""
    compare(tmp_path, {"main.c": text}, "5 x\n")


def test_inline_without_an_external_definition_here(tmp_path: Path) -> None:
    header = "inline int triple(int x) { return x * 3; }\n"
    files = {
        "triple.h": header,
        "home.c": '#include "triple.h"\nextern int triple(int);\n',
        "main.c": """\
#include "triple.h"
#include <stdio.h>
int main(int c, char **v) { printf("%d\\n", triple(c + 4)); }
""",
    }
    built = compare(tmp_path, files, "15\n")
    assert "triple" not in calls(built["-O2"].image, "main")


def test_inline_whose_home_is_a_native_object(tmp_path: Path) -> None:
    native = clang_object(tmp_path, "home.c", "int step(int x) { return x + 1000; }\n")
    text = """\
#include <stdio.h>
inline int step(int x) { return x + 1000; }
int (*volatile pointer)(int) = step;
int main(void) { printf("%d %d\\n", step(1), pointer(2)); }
"""
    compare(tmp_path, {"main.c": text}, "1001 1002\n", natives=[native])


def test_fortified_library_calls(tmp_path: Path) -> None:
    text = """\
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
int main(int argc, char **argv) {
    char buffer[16];
    strcpy(buffer, argc > 5 ? argv[5] : "fortified");
    snprintf(buffer + 4, 12, "-%d", atoi("7"));
    memmove(buffer + 1, buffer, strlen(buffer) + 1);
    puts(buffer);
}
"""
    compare(tmp_path, {"main.c": text}, "ffort-7\n", cflags=["-D_FORTIFY_SOURCE=2"])


def test_hot_calls_are_inlined_and_calls_that_never_happen_are_not(tmp_path: Path) -> None:
    stores = "".join(f"  store volatile i32 {n}, ptr @cell\n" for n in range(60))
    bodies = f"""\
@cell = external global i32
define void @hot() {{
{stores}  ret void
}}
define void @warm() {{
{stores}  ret void
}}
define void @never() {{
  store volatile i32 7, ptr @cell
  ret void
}}
"""
    ir = """\
@cell = global i32 0
declare void @hot()
declare void @warm()
declare void @never()
define i32 @main(i32 %n, ptr %words) !prof !20 {
  %more = icmp sgt i32 %n, 50
  br i1 %more, label %rare, label %often, !prof !21
rare:
  call void @never(), !prof !22
  call void @warm(), !prof !23
  ret i32 1
often:
  call void @hot(), !prof !24
  %v = load volatile i32, ptr @cell
  ret i32 %v
}
!llvm.module.flags = !{!0}
!0 = !{i32 1, !"ProfileSummary", !1}
!1 = !{!2, !3, !4, !5, !6, !7, !8, !9}
!2 = !{!"ProfileFormat", !"InstrProf"}
!3 = !{!"TotalCount", i64 10000}
!4 = !{!"MaxCount", i64 5000}
!5 = !{!"MaxInternalCount", i64 5000}
!6 = !{!"MaxFunctionCount", i64 5000}
!7 = !{!"NumCounts", i64 10}
!8 = !{!"NumFunctions", i64 10}
!9 = !{!"DetailedSummary", !10}
!10 = !{!11, !12}
!11 = !{i32 990000, i64 1000, i32 5}
!12 = !{i32 999999, i64 1, i32 10}
!20 = !{!"function_entry_count", i64 5000}
!21 = !{!"branch_weights", i32 10, i32 4990}
!22 = !{!"branch_weights", i32 0}
!23 = !{!"branch_weights", i32 10}
!24 = !{!"branch_weights", i32 4990}
"""
    built = compare(tmp_path, {"main.ll": ir, "bodies.ll": bodies}, code=59)["-O2"]
    assert sorted(calls(built.image, "main")) == ["never", "warm"]


DEFINED = "int f(int x) { return x + 1; }\nint z(void) { return f(2); }\n"
#: Files with a copy of a function to inline that is not what other files call; what is printed at -O2.
COPIES = {
    "another-is-defined": (
        {
            "main.c": '#include "all.h"\ninline int f(int x) { return x + 100; }\n'
            'int main(void) { printf("%d %d\\n", f(1), z()); }\n',
            "a.c": DEFINED,
        },
        "101 3\n",
    ),
    "called-elsewhere-first": (
        {
            "main.c": '#include "all.h"\n'
            "extern inline __attribute__((gnu_inline, always_inline)) int f(int x) { return x + 100; }\n"
            'int main(void) { int first = z(); printf("%d %d\\n", first, f(1)); }\n',
            "a.c": DEFINED,
        },
        "3 101\n",
    ),
    "two-copies": (
        {
            "main.c": '#include "all.h"\nint f(int x) { return x + 300; }\n'
            'int main(void) { printf("%d %d %d\\n", y(), z(), f(1)); }\n',
            "a.c": "inline int f(int x) { return x + 100; }\nint z(void) { return f(1); }\n",
            "b.c": "inline int f(int x) { return x + 200; }\nint y(void) { return f(1); }\n",
        },
        "201 101 301\n",
    ),
    "of-a-library-function": (
        {
            "main.c": '#include "all.h"\n'
            "extern inline __attribute__((gnu_inline)) int getpagesize(void) { return -5; }\n"
            'int main(void) { printf("%d %d\\n", getpagesize(), z()); }\n',
            "a.c": "int getpagesize(void);\nint z(void) { return getpagesize() > 0; }\n",
        },
        "-5 1\n",
    ),
    "by-way-of-others": (
        {
            "main.c": '#include "all.h"\ninline int f(int x) { return x + 100; }\nextern int g(int);\n'
            "extern int (*const table[])(int);\n"
            'int main(void) { printf("%d %d %d %d\\n", f(1), z(), g(1), table[0](1)); }\n',
            "a.c": '#include "all.h"\nint f(int x) { return x + 1; }\n'
            'int g(int) __attribute__((alias("f")));\nint (*const table[])(int) = {f};\n'
            "static inline __attribute__((always_inline)) int by(int x) { return f(x) * 2; }\n"
            "int z(void) { return by(2); }\n",
        },
        "101 6 2 2\n",
    ),
    "into-the-other": (
        {
            "main.c": '#include "all.h"\nint f(int x) { return x + 1; }\n'
            'int main(void) { printf("%d %d\\n", f(1), z()); }\n',
            "a.c": "inline int f(int x) { return x + 100; }\nint z(void) { return f(2); }\n",
        },
        "2 102\n",
    ),
}


@pytest.mark.parametrize("kind", COPIES)
def test_a_copy_to_inline_is_its_files_own(kind: str, tmp_path: Path) -> None:
    files, expected = COPIES[kind]
    header = "#include <stdio.h>\nint y(void), z(void);\n"
    compare(tmp_path, {**files, "all.h": header}, expected, levels=["-O2"])


#: Copies that differ in what their text does not show, or that break the rules of C++.
HIDDEN = {
    "types": (
        "struct P { char x[SIZE]; int a, b; };\n"
        "extern inline __attribute__((gnu_inline, always_inline)) int inl(struct P *p) { return p->b; }\n"
        "int NAME(int n) { struct P p = {{0}, n, n * 7}; return inl(&p); }\n",
        "struct P { char x[4]; int a, b; };\nint inl(struct P *p) { return p->b; }\n",
        "7 7\n",
    ),
    "nameless types": (
        "extern inline __attribute__((gnu_inline, always_inline)) int inl(int n) {\n"
        "    struct { char a[SIZE]; int b; } s[2]; return (char *)&s[1].b - (char *)s; }\n"
        "int NAME(int n) { return inl(n); }\n",
        "int inl(int n) { return n; }\n",
        "12 28\n",
    ),
    "names like those of Rust": (
        "extern inline __attribute__((gnu_inline, always_inline)) int _Rot(int n) { return n + SIZE; }\n"
        "int NAME(int n) { return _Rot(n); }\n",
        "int _Rot(int n) { return n; }\n",
        "5 13\n",
    ),
    "C++": (
        "extern inline __attribute__((gnu_inline, always_inline)) int inl(int n) { return n + SIZE; }\n"
        'extern "C" int NAME(int n) { return inl(n); }\n',
        "int inl(int n) { return n; }\n",
        "5 13\n",
    ),
}


@pytest.mark.parametrize("kind", HIDDEN)
def test_copies_to_inline_that_look_alike(kind: str, tmp_path: Path) -> None:
    text, defined, expected = HIDDEN[kind]
    end = "cpp" if kind == "C++" else "c"
    files = {
        f"{name}.{end}": text.replace("NAME", name).replace("SIZE", size)
        for name, size in (("fa", "4"), ("fb", "12"))
    }
    main = 'extern "C" int fa(int), fb(int);\n' if end == "cpp" else "int fa(int), fb(int);\n"
    main += '#include <stdio.h>\nint main(void) { printf("%d %d\\n", fa(1), fb(1)); }\n'
    compare(tmp_path, {f"main.{end}": main, **files, f"d.{end}": defined}, expected, levels=["-O2"])
