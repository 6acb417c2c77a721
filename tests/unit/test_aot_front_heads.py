"""What the head of a source is, and what in it forbids that it is precompiled."""

import pytest

from nativecache.aot.front import heads

INCLUDE = b"#include <a.h>\n"

HEADS = {
    "comments": b'// \xc3\xa9\n/* two\n * lines */\n\n#include <a.h> // why\n#  include "b/c.h" /* so */\n',
    "macros": b"#define A 1\n#include <a.h>\n#undef A\n#define F(x) (x + 1)\n",
    "conditions": b"#if X && __has_include(<x.h>)\n#include <x.h>\n#elif Y\n#else\n#include <a.h>\n#endif\n",
    "nested": b"#ifdef A\n#ifndef B\n#include <a.h>\n#endif\n#endif\n#include <b.h>\n",
    "strings": b'#define URL "http://x"\n#include <a.h>\n',
}


@pytest.mark.parametrize("kind", HEADS)
def test_a_head_is_all_of_the_leading_directives(kind: str) -> None:
    head = HEADS[kind]
    assert heads.head_length(head) == len(head)
    assert heads.head_length(head + b"\n/** about f */\nint f();\n") == len(head)


ENDS = {
    "code": b"int x;\n",
    "a pragma": b"#pragma once\n",
    "a line that goes on": b"#define A \\\n 1\n",
    "a trigraph": b"#define A ??/\n 1\n",
    "a raw string": b'#define A R"(\n#include <b.h>\n)"\n',
    "an open comment": b"#define A /* 1\n#include <b.h>\n*/\n",
    "a comment in a string": b'#define A "/*"\n#include <b.h>\n/* */\n',
    "a comment that goes on": b"// so \\\nint x;\n",
    "an open condition": b"#if A\n#include <b.h>\nint x;\n#endif\n",
    "an end without a beginning": b"#endif\n",
    "an else without a beginning": b"#else\n",
    "a name that a macro stands for": b"#include A\n",
    "a name of odd characters": b'#include "a\\b.h"\n',
    "the next one": b"#include_next <a.h>\n",
    "an embedded file": b'#embed "x"\n',
    "another line end": b"#include <b.h>\r\n",
    "no line end": b"#include <b.h>",
    "a digraph": b"%:include <b.h>\n",
    "a line's number": b"#line 3\n",
    "an import": b"import <b.h>;\n",
    "a null byte": b"#define A \0\n",
    "a code comment behind": b"#define A 1 /* x */ /* y\n*/\n",
}


@pytest.mark.parametrize("kind", ENDS)
def test_what_ends_a_head(kind: str) -> None:
    assert heads.head_length(INCLUDE + ENDS[kind] + INCLUDE) == len(INCLUDE)


@pytest.mark.parametrize(
    "text", [b"", b"int x;\n", b"#define A 1\n", b"module;\n" + INCLUDE, b"\xef\xbb\xbf" + INCLUDE]
)
def test_no_head(text: bytes) -> None:
    assert heads.head_length(text) == 0


@pytest.mark.parametrize(
    ("text", "reads"),
    [
        (b'#include "t.cpp"\n', True),
        (b"#include <x/t.cpp>\n", True),
        (b"#include __FILE__\n", True),
        (b"#  embed A\n", True),
        (b"%:include A\n", True),
        (b"// t.cpp: a test\n#include <a.h>\n", False),
        (b'#include "at.cpp"\n#include "t.cpp.h"\n', False),
    ],
)
def test_a_text_that_may_read_a_file(text: bytes, *, reads: bool) -> None:
    assert heads.may_read(text, b"t.cpp") == reads


@pytest.mark.parametrize(
    ("text", "asks"),
    [
        (b"#if __has_builtin(__builtin_source_location)\nint x;\n#endif\n", False),
        (b"#ifdef A\n# elif __has_builtin(__builtin_FILE)\n#endif\n", False),
        (b"int f();\n", False),
        (b"#if A\nauto name = __builtin_FILE();\n#endif\n", True),
        (b"#define NAME \\\n#if __builtin_FILE()\n", True),
        (b"#define NAME __builtin_FILE()\n", True),
        (b"/*\n#if */ auto name = __builtin_FILE();\n", True),
        (b'auto a = R"(\n#if )", name = __builtin_FILE();\n', True),
        (b"#if A ??/\n|| __builtin_FILE()\n", True),
        (b"#ifndef A // __builtin_FILE\n", True),
    ],
)
def test_a_text_that_asks_for_names_of_files(text: bytes, *, asks: bool) -> None:
    assert heads.asks_for_names(text) == asks


OPEN = {
    b"#pragma pack(push, 1)\n": "a pragma pack that is not closed",
    b"#pragma GCC visibility push(hidden)\n": "a pragma visibility that is not closed",
    b"#pragma GCC diagnostic push\n": "a pragma diagnostic that is not closed",
    b"#pragma clang diagnostic pop\n": "#pragma clang diagnostic pop",
    b'#pragma GCC diagnostic ignored "-Wall"\n': '#pragma GCC diagnostic ignored "-Wall"',
    b"#pragma pack(1)\n": "#pragma pack(1)",
    b"#pragma weak f\n": "#pragma weak f",
    b"#pragma redefine_extname f g\n": "#pragma redefine_extname f g",
    b"#pragma STDC FENV_ACCESS ON\n": "#pragma STDC FENV_ACCESS ON",
    b'#ident "x"\n': '#ident "x"',
    b"export module x;\n": "a module",
}


@pytest.mark.parametrize("text", OPEN)
def test_what_stays_open(text: bytes) -> None:
    assert heads.what_stays_open(b'# 1 "a.h" 1 3\n' + text + b"int x;\n") == OPEN[text]


def test_what_is_closed() -> None:
    text = (
        b'#pragma GCC diagnostic push\n#pragma clang diagnostic ignored "-Wall"\n#pragma pack(push, 1)\n'
        b"#pragma pack(2)\n#pragma pack(pop)\n#pragma GCC diagnostic pop\n#pragma once\n"
        b"#pragma GCC visibility push(default)\n#pragma GCC visibility pop\n"
    )
    assert heads.what_stays_open(text) == ""


@pytest.mark.parametrize(
    ("text", "has"),
    [
        (b"#pragma GCC poison x\n", True),
        (b'_Pragma("push_macro(\\"A\\")")\n', True),
        (b"#pragma clang final(A)\n", True),
        (b'// how to poison\n#pragma GCC diagnostic ignored "-Wdeprecated"\n', False),
    ],
)
def test_pragmas_that_the_preprocessor_swallows(text: bytes, *, has: bool) -> None:
    assert heads.has_silent_pragma(text) == has


NUMBERED = (
    b"static struct { int a; } s;",
    b"struct { int a; } s;",
    b"static union { int a; };",
    b"enum { A } e;",
    b"auto l = [](int x) { return x; };",
    b"namespace n { inline auto l = [] {}; }",
    b"struct S { decltype([] {}) l; };",
    b"namespace { int x; }",
    b"namespace [[maybe_unused]] { int x; }",
    b"static int f() { struct L { int a; } l{1}; return l.a; }",
    b"int g(); static int f(T x = T{}) { return [] { return 1; }(); }",
    b"const T t{[] {}};",
    b'const char *s = R"x(")x"; static auto l = [] {};',
    b"int x = 1'000; static auto l = [] {};",
    b"namespace n { int f();",
)
NAMED = (
    b"struct S { struct { int a; } b; union { int c; }; };",
    b"typedef struct { int a; } T;",
    b"enum { A, B };",
    b"inline int f() { struct L { int a; } l{1}; return [l] { return l.a; }(); }",
    b"constexpr int f(int x) { return [x] { return x; }(); }",
    b"static int f(int a[3]) { return a[0]; }",
    b'namespace n::m { extern "C" { [[nodiscard]] static int f(); } int a[3]; }',
    b"struct S { static int f() { return [] { return 1; }(); } };",
    b"const char *s = \"namespace { = [\"; char c = '{';",
)


@pytest.mark.parametrize("text", NUMBERED)
def test_types_that_are_numbered_as_they_are_met(text: bytes) -> None:
    assert heads.has_numbered_names(b'# 1 "a.h"\nstruct A {};\n' + text + b"\n")


@pytest.mark.parametrize("text", NAMED)
def test_types_whose_names_are_no_matter_of_order(text: bytes) -> None:
    assert not heads.has_numbered_names(b'# 1 "a.h"\nstruct A {};\n' + text + b"\nint last() { return 0; }\n")


def test_what_a_head_defines() -> None:
    stream = (
        b"@_ZStL8__ioinit = internal global %c zeroinitializer\n@__dso_handle = external hidden global i8\n"
        b"define internal void @__cxx_global_var_init() #0 {\n  ret void\n}\n"
        b"declare void @f()\n@x = external global i32\n"
    )
    assert heads.what_is_defined(stream) == ""
    for more, name in (
        (b"@y = dso_local global i32 1\n", "y"),
        (b"define dso_local i32 @g(i32 %0) {\n", "g"),
    ):
        assert heads.what_is_defined(stream + more) == name
    assert heads.what_is_defined(b'module asm ".globl a"\n') == "module asm"


def test_files_that_are_entered() -> None:
    printed = b'# 1 "t.cpp"\n# 1 "<built-in>" 1\n# 1 "a.h" 1 3\n# 7 "a.h" 2\n'
    assert list(heads.entered(printed)) == [b"<built-in>", b"a.h"]
