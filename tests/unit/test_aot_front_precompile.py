"""On a preamble clang makes of a file what it makes of it alone, line for line; else none is used."""

import os
from collections.abc import Sequence
from pathlib import Path

import pytest
from harness import needs_clang

from nativecache.aot.front import heads, precompile
from nativecache.aot.front.clang import Running, asking_for_time, emit_ir, find_clang, read_depfile
from nativecache.aot.front.precompile import Preamble, Source, Unsure, can_be_seen, emit_on, room_for

pytestmark = needs_clang


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(precompile, "_WORTH", -1.0)


def outcome(
    head: str,
    body: str,
    files: dict[str, str] | None = None,
    *,
    name: str = "t.cpp",
    flags: Sequence[str] = ("-std=c++20",),
    level: int = 2,
) -> str:
    """`same` where both give the same IR and name the same files; else why no preamble is used."""
    for path, text in (files or {}).items():
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_text(text)
    Path(name).write_text(head)
    (folder := Path("scratch").absolute()).mkdir()
    clang, running = find_clang(None, os.environ), Running()
    asking, _ = asking_for_time(flags)
    length = heads.head_length(head.encode())
    if not length:
        return "no head"
    source = Source(clang, Path(name), level, tuple(asking), head.encode(), length, room_for(head.encode()))
    assert can_be_seen(source)
    made = precompile.precompile(source, folder, running)
    if made.refused:
        return made.refused
    # An edit: the body comes only now.
    data = (head + body).encode()
    Path(name).write_bytes(data)
    edited = Source(clang, Path(name), level, tuple(asking), data, length, source.room)
    (folder / "preamble.pch").write_bytes(made.precompiled)
    preamble = Preamble(edited, folder / "preamble.pch", made.read)
    try:
        output, read = emit_on(preamble, folder, folder / "on.d", folder / "on.ll", running)
    except Unsure as unsure:
        return str(unsure)
    depfile = folder / "plain.d"
    plain, said = emit_ir(clang, Path(name), level, asking, folder / "plain.ll", depfile, running)
    assert output == plain
    assert said == ""
    assert list(read) == read_depfile(depfile)
    return "same"


STANDARD = """
using namespace std;
namespace { struct Mine { int n; Mine() : n(getenv("X") != nullptr) {} } mine; }
static string global = "abc";
struct { int a; } nameless{3};
template <class T> struct Box { T t; auto get() { return [this] { return t; }; } };
int f(int x) {
  static int count = 0;
  map<string, vector<int>> m;
  auto twice = [](int y) { return y * 2; };
  struct Local { int z; int m() { return z; } } local{x};
  m[global].push_back(twice(x) + local.m());
  sort(m[global].begin(), m[global].end(), [](int a, int b) { return a > b; });
  cout << m.size() << endl;
  try { throw runtime_error("x"); } catch (const exception &e) { return strlen(e.what()); }
  return ++count + nameless.a + mine.n + Box<int>{2}.get()();
}
extern "C" int g() { return f(2); }
"""
HEADERS = (*("algorithm", "cstdlib", "cstring", "iostream", "map", "stdexcept", "string", "vector"),)


@pytest.mark.parametrize("flags", [("-std=c++20", "-fPIC"), ("-std=c++17", "-Wall", "-Wno-unused")])
def test_standard_headers(flags: Sequence[str]) -> None:
    head = "// a program\n" + "".join(f"#include <{name}>\n" for name in HEADERS)
    assert outcome(head, STANDARD, flags=flags) == "same"


@pytest.mark.parametrize("level", [0, 3])
def test_levels(level: int) -> None:
    body = 'int f() { std::string s("x"); return s.size(); }\n'
    assert outcome("#include <string>\n", body, level=level) == "same"


def test_c() -> None:
    head = "#include <stdio.h>\n#include <string.h>\n#include <math.h>\n#define N 3\n"
    body = 'static int n; int f(double x) { n++; return printf("%f", sin(x)) + (int)strlen("x") + N + n; }\n'
    assert outcome(head, body, name="t.c", flags=("-std=c11", "-Wall", "-Wextra")) == "same"


#: What is known to be the same, though it looks as if it might not be.
SAME = {
    "macros that stand for a counter": ("#define N __COUNTER__\n", "int x = N, y = N;\n"),
    "depth of includes": ("#define N __INCLUDE_LEVEL__\n", "int x = N, y = __INCLUDE_LEVEL__;\n"),
    "names of files": (
        "#define F __FILE__\ninline const char *h() { return __FILE__; }\n",
        "const char *x = F, *y = __FILE__, *z = h(), *b = __BASE_FILE__; int l = __LINE__;\n",
    ),
    "pragmas that are closed": (
        "#pragma once\n#pragma pack(push, 1)\nstruct P { char c; int i; };\n#pragma pack(pop)\n"
        '#pragma GCC visibility push(hidden)\n#pragma GCC visibility pop\n_Pragma("GCC diagnostic push")\n'
        '_Pragma("GCC diagnostic ignored \\"-Wall\\"")\n_Pragma("GCC diagnostic pop")\n',
        "struct Q { char c; int i; P p; } q; void f() {}\n",
    ),
    "inline variables and functions": (
        "inline int v = 2; static int s = 3; static inline int h() { static int n; return n++ + s; }\n"
        "template <class T> T t(T x) { static T n; return n += x; }\n"
        "template <class T> struct C { static T v; }; template <class T> T C<T>::v = 3;\n"
        "struct V { virtual ~V() {} virtual int m() { return 1; } };\n"
        "inline auto l() { return [](int x) { return x + 1; }; }\n"
        "constexpr int c(int n) { return n ? n * c(n - 1) : 1; }\n",
        "int f() { V w; return v + h() + s + t(1) + t(2L) + C<int>::v + w.m() + l()(2) + c(3); }\n",
    ),
    "what is declared in another language": ('extern "C" { int e(); }\n', "int f() { return e(); }\n"),
}


@pytest.mark.parametrize("kind", SAME)
def test_what_is_the_same(kind: str) -> None:
    header, body = SAME[kind]
    assert outcome('#include "a.h"\n', body, {"a.h": header}) == "same"


def test_files_that_the_body_reads() -> None:
    files = {
        "a.h": '#pragma once\n#include "c.h"\ninline int a() { return 1; }\n',
        "b/b.h": '#include "../a.h"\n#include <c.h>\n#if __has_include("no.h")\n#endif\nint b = a();\n',
        "c.h": "#ifndef C\n#define C\nstruct S {};\n#endif\n",
        "d.h": "int d;\n",
    }
    body = 'int x;\n#include "b/b.h"\n#include "a.h"\n#include "./c.h"\n#include "d.h"\n'
    assert outcome('#include "a.h"\n', body, files, flags=("-std=c++20", "-I.")) == "same"


NUMBERED = "it has types whose names are numbered as they are met"
SAYS = "clang says something of it"
ERROR = "clang ended with an error"
NAMES = "it asks for names of files"
ITSELF = "it may include itself"
#: Header, body, and why no preamble is used.
TRAPS = {
    "a counter": ("int x = __COUNTER__;\n", "int y = __COUNTER__;\n", "it uses __COUNTER__"),
    "time": ("const char *t = __TIME__;\n", "", SAYS),
    "time behind": ("", "const char *t = __TIME__;\n", ERROR),
    "pack": ("#pragma pack(push, 1)\n", "", "a pragma pack that is not closed"),
    "visibility": ('_Pragma("GCC visibility push(hidden)")\n', "", "a pragma visibility that is not closed"),
    "diagnostic": ("#pragma clang diagnostic push\n", "", "a pragma diagnostic that is not closed"),
    "weak": ("#pragma weak f\n", "", "#pragma weak f"),
    "another name": ("#pragma redefine_extname f g\n", "", "#pragma redefine_extname f g"),
    "contraction": ("#pragma STDC FP_CONTRACT OFF\n", "", "#pragma STDC FP_CONTRACT OFF"),
    "macros on a stack": ('#pragma push_macro("X")\n', "", "a pragma that may reach beyond it"),
    "poison": ('_Pragma("GCC poison x")\n', "", "a pragma that may reach beyond it"),
    "an ident": ('#ident "x"\n', "", '#ident "x"'),
    "a scope": ('extern "C" {\n', "}\n", NUMBERED),
    "a function": ("int f() { return 1; }\n", "", "it defines _Z1fv"),
    "a variable": ("namespace n { int v; }\n", "", "it defines _ZN1n1vE"),
    "a constructor": ("int e(); static int v = e();\n", "", "it defines _ZL1v"),
    "an instance": ("template <class T> void t() {}\ntemplate void t<int>();\n", "", "it defines _Z1tIiEvv"),
    "a used one": ("__attribute__((used)) static int v;\n", "", "it defines _ZL1v"),
    "asm": ('__asm__("nop");\n', "", "it defines module asm"),
    "places of asm": (
        'inline int h() { int x; asm("nop" : "=r"(x)); return x; }\n',
        "int f() { return h(); }\n",
        "it has places in its asm",
    ),
    "nameless": ("static struct { int a; } s;\n", "", NUMBERED),
    "a lambda": ("static auto l = [] { return 1; };\n", "", NUMBERED),
    "a nameless namespace": ("namespace { int v; }\n", "", NUMBERED),
    "local": ("static int h() { struct L { int a; } l{1}; return l.a; }\n", "", NUMBERED),
    "a place": (
        "inline const char *h(const char *f = __builtin_FILE());\n",
        "",
        "it asks for names of files",
    ),
    "annotated": ('__attribute__((annotate("x"))) inline void h();\n', "", "it asks for names of files"),
    "a warning in a header": ("inline int h() { int x; return 0; }\n", "", SAYS),
    "a warning": ("", "int f() { int x; return 0; }\n", SAYS),
    "an error": ("", "int f() { return x; }\n", ERROR),
    "itself": ("", '#ifndef Q\n#define Q\n#include "t.cpp"\n#endif\n', ITSELF),
    "itself by a macro": ("", "#ifndef Q\n#define Q\n#include __FILE__\n#endif\n", ITSELF),
    "itself embedded": ("", 'char x[] = {\n#embed "t.cpp"\n};\n', ITSELF),
    "itself by a header": (
        '#ifndef Q\n#define Q\n#include "t.cpp"\n#endif\n',
        "",
        "it includes the file itself",
    ),
}


@pytest.mark.parametrize("kind", TRAPS)
def test_what_cannot_be_decided_is_compiled_plainly(kind: str) -> None:
    header, body, reason = TRAPS[kind]
    assert outcome('#include "a.h"\n', body, {"a.h": header}, flags=("-std=c++20", "-Wall")) == reason


def test_a_header_behind_the_head_that_includes_the_file() -> None:
    files = {"a.h": "", "b.h": '#ifndef Q\n#define Q\n#include "t.cpp"\n#endif\n'}
    assert outcome('#include "a.h"\n', '#include "b.h"\n', files) == ITSELF


@pytest.mark.parametrize(
    ("name", "text", "seen"),
    [
        ("t.cpp", b"int x;\n", True),
        ("t.cpp", b"int x;", False),  # clang says so, with some flags
        ("t.cpp", b"int x;\\\n", False),
        ("é.cpp", b"int x;\n", False),
        ('".cpp', b"int x;\n", False),
    ],
)
def test_which_sources_can_be_seen(name: str, text: bytes, *, seen: bool) -> None:
    source = Source(find_clang(None, os.environ), Path(name), 2, (), text, 0, room_for(text))
    assert can_be_seen(source) == seen
    assert not can_be_seen(Source(source.clang, Path("t.cpp"), 2, (), b"int x;\n", 0, 3))


def test_a_header_of_another_size_is_noticed_by_clang_itself() -> None:
    """Where it changes between our look and clang's."""
    Path("a.h").write_text("inline int h() { return 1; }\n")
    data = b'#include "a.h"\nint f() { return h(); }\n'
    Path("t.cpp").write_bytes(data)
    clang, running, folder = find_clang(None, os.environ), Running(), Path("scratch").absolute()
    folder.mkdir()
    source = Source(clang, Path("t.cpp"), 2, (), data, heads.head_length(data), room_for(data))
    made = precompile.precompile(source, folder, running)
    (folder / "p").write_bytes(made.precompiled)
    Path("a.h").write_text("inline int h() { return 12; }\n")
    with pytest.raises(Unsure):
        emit_on(Preamble(source, folder / "p", made.read), folder, folder / "d", folder / "l", running)
