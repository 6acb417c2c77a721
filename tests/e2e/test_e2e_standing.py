"""An edit is planned by the last build's plan where that stands, and gives the image of any other build."""

import os
import subprocess
from pathlib import Path

import pytest
from copies import Trial as CopiesTrial
from edits import Trial
from harness import CLANG, BuildResult, build, needs_clang, run
from rules import write

from nativecache.aot.formats import check_form
from nativecache.aot.key import sealed
from nativecache.aot.records.last_plan import load_plan, plan_recipe
from nativecache.aot.records.named_nodes import nodes_recipe
from nativecache.cache.audit import check_entries
from nativecache.cache.entry import decode_entry, encode_entry
from nativecache.cache.file_store import FileStore
from nativecache.cache.folder import find_entries
from nativecache.cache.layout import entry_path
from nativecache.cache.lookup import EntryStore

pytestmark = needs_clang

SOURCES = {
    "all.h": "int printf(const char *, ...);\nstruct pair { int a; int b; };\n"
    "int twice(int); int odd(int); int sum(struct pair *); extern const int limit;\n"
    "static inline int clip(int n) { return n > 99 ? 99 : n; }\n",
    "main.c": '#include "all.h"\nstatic int count;\n'
    "static int step(int n) { count += n; return clip(count); }\n"
    "int main(void) {\n  struct pair p = {3, 4};\n"
    '  printf("%d %d %d %d\\n", step(twice(5)), odd(7), sum(&p), limit);\n  return 0;\n}\n',
    "twice.c": '#include "all.h"\nint twice(int n) { return n * 2; }\n'
    "int spare(int n) { return n - 1; }\nconst int limit = 12;\n",
    "odd.c": '#include "all.h"\n__attribute__((noinline)) static int low(int n) { return n & 1; }\n'
    "int odd(int n) { return low(n) ? twice(n) : n; }\n",
    "sum.c": '#include "all.h"\nint sum(struct pair *p) { return p->a + p->b; }\n',
}
FILES = [name for name in SOURCES if name.endswith(".c")]
#: What is edited, in which file, and whether the plan of the build before stands.
EDITS = {
    "a constant": ("odd.c", "n & 1", "n & 3", True),
    "what others inline": ("twice.c", "n * 2", "n * 3 + 1", True),
    "a constant that others see": ("twice.c", "limit = 12", "limit = 13", True),
    "lines above what others inline": ("twice.c", "int twice", "\n\nint twice", True),
    "a comment": ("sum.c", "int sum", "/* of both */ int sum", True),
    "a static function with a string": (
        "sum.c",
        "int sum(struct pair *p) {",
        '__attribute__((noinline)) static void say(int n) { printf("say %d\\n", n); }\n'
        "int sum(struct pair *p) { say(p->a);",
        True,
    ),
    "a call of another file's function": ("odd.c", ": n;", ": spare(n);", True),
    "a call less": ("odd.c", "twice(n)", "n * 9", True),
    "a static function goes": ("main.c", "step(twice(5))", "clip(twice(5))", True),
    "a struct": ("all.h", "int a; int b;", "int b; int more; int a;", True),
    "an inline function": ("all.h", "n > 99 ? 99 : n", "n > 9 ? 9 : n", True),
    "an exported function more": ("sum.c", "int sum", "int extra(void) { return 1; }\nint sum", True),
    "a static one is exported": ("odd.c", "static int low", "int low", True),
    "an exported function less": ("twice.c", "int spare(int n) { return n - 1; }\n", "", True),
    "one of a library's name": ("sum.c", "int sum", "int puts(const char *s) { return *s; }\nint sum", False),
    "a weak one": ("sum.c", "int sum", "__attribute__((weak)) int may(void) { return 1; }\nint sum", False),
    "a section": ("sum.c", "int sum", '__attribute__((section("mine"))) int sum', True),
    "an alias": (
        "sum.c",
        "int sum",
        'int again(struct pair *) __attribute__((alias("sum")));\nint sum',
        False,
    ),
}


def edited(sources: dict[str, str], name: str) -> dict[str, str]:
    file, old, new, _ = EDITS[name]
    assert old in sources[file]
    text = sources[file].replace(old, new)
    if "spare" in new:
        text = text.replace('"all.h"\n', '"all.h"\nint spare(int);\n')
    return {**sources, file: text}


def follows(done: BuildResult) -> bool:
    """Whether a build was planned by the last build's plan."""
    return "plan" in done.stats["phases"] and "index" not in done.stats["phases"]


def from_nothing(folder: Path, *words: str) -> bytes:
    build(folder, *FILES, *words, "--no-cache", "-o", "cold")
    return (folder / "cold").read_bytes()


SEVERAL = {
    "main.c": "int first(int), second(int), many(int *, int);\n"
    "int main(int n, char **v) {\n  int a[9] = {3, 1, 2};\n"
    "  return first(n) + second(n) + many(a, 9);\n}\n",
    "all.c": "#include <stdio.h>\nstruct kept { int a; } kept;\n"
    "#define LONE __attribute__((noinline)) static\n"
    "LONE int low(int n) { return n & 1; }\nLONE int high(int n) { return n >> 4; }\n"
    "static inline __attribute__((always_inline)) int both(int n) { return n * 5; }\n"
    "static int small(int n) { return n * 6 + 2; }\nstatic int lonely(int n) { return n * n - 41; }\n"
    "int first(int n) { return low(n) + small(n) + both(n) + (n > 7 ? low(n + 1) : 0); }\n"
    'int second(int n) { printf("%d\\n", n); return high(n) + small(n + 1) + lonely(n) + high(3); }\n'
    "int many(int *a, int n) {\n  int s = 0;\n"
    "  for (int i = 0; i < n; i++) s += a[i] * i;\n  for (int i = n; i; i--) s ^= a[i - 1];\n"
    "  return s;\n}\n"
    "LONE int tied(int n) { void *to[] = {&&one, &&two}; goto *to[n & 1]; one: return 3; two: return 4; }\n"
    "int indirect(int n) { return tied(n); }\n",
}
#: What is edited of all.c, and whether all of its functions must be looked at for it.
WITHIN = {
    "a constant": ("n & 1;", "n & 3;", False),
    "what two functions inline": ("n * 6 + 2", "n * 7 + 3", False),
    "what its caller only has": ("n * n - 41", "n * n - 43", False),
    "a loop's body": ("s += a[i] * i", "s += a[i] + i", False),
    "a call of another function": ("return low(n) + small", "return high(n) + small", True),
    "a call of what two functions call": ("  return s;", "  return s + small(n);", False),
    "no call any more": ("high(n) + small(n + 1)", "small(n + 1)", True),
    "a call of what one function called": ("(n > 7 ? low(n + 1) : 0)", "lonely(n + 1)", True),
    "what is always inlined": ("n * 5", "n * 9", True),
    "what blocks' addresses tie": ("return 3;", "return 8;", True),
    "a string": ("%d\\n", "%d \\n", True),
    "a function's attributes": ("LONE int high", "LONE __attribute__((cold)) int high", True),
    "one loop less": ("  for (int i = n; i; i--) s ^= a[i - 1];\n", "", True),
    "its lines": ("n * 6 + 2", "(n > 3 ? n * 6 : n * n + n / 7)", True),
}


class Edited:
    """A project that is built once, then with one edit after the other and back, each compared with a build
    without a cache."""

    def __init__(self, sources: dict[str, str], words: tuple[str, ...], folder: Path) -> None:
        self.sources, self.words, self.folder = sources, words, folder
        write(folder, sources)
        self.files = sorted(name for name in sources if not name.endswith(".h"))
        self.build()
        self.first = (folder / "app").read_bytes()

    def build(self) -> BuildResult:
        return build(self.folder, *self.files, *self.words, "-o", "app")

    def planned(self, file: str, old: str, new: str, *, must_follow: bool = True) -> list[int]:
        """How many modules were planned anew for an edit, and for its way back.

        `must_follow`: both are planned by what stands.
        """
        text = self.sources[file]
        assert text.count(old) == 1
        write(self.folder, {file: text.replace(old, new)})
        there = self.build()
        image = (self.folder / "app").read_bytes()
        build(self.folder, *self.files, *self.words, "--no-cache", "-o", "cold")
        assert image == (self.folder / "cold").read_bytes()
        write(self.folder, self.sources)
        back = self.build()
        assert (self.folder / "app").read_bytes() == self.first
        assert not must_follow or (follows(there) and follows(back))
        return [there.stats["planned_modules"], back.stats["planned_modules"]]

    def stays(self, file: str, old: str, new: str, *, must_follow: bool = True) -> None:
        """Makes an edit from which the next ones start."""
        assert self.sources[file].count(old) == 1
        self.sources = {**self.sources, file: self.sources[file].replace(old, new)}
        write(self.folder, self.sources)
        done = self.build()
        build(self.folder, *self.files, *self.words, "--no-cache", "-o", "cold")
        self.first = (self.folder / "app").read_bytes()
        assert self.first == (self.folder / "cold").read_bytes()
        assert not must_follow or follows(done)


#: Lambdas of a namespace without a name: their symbols have a `$`.
LAMBDAS = {
    "main.cpp": 'extern "C" int printf(const char *, ...); int part(int);\n'
    "namespace { auto twice = [](int n) { return n * 2; }; int (*pointer)(int) = twice; }\n"
    'int main() { printf("%d %d\\n", pointer(4), part(5)); return 0; }\n',
    "part.cpp": "namespace { auto least = [](auto n) { return n > 7 ? 7 : n; }; }\n"
    "int part(int n) { int (*chosen)(int) = least; return chosen(n + 30) + n; }\n",
}


def test_an_edit_beside_lambdas_is_planned_by_what_stands(tmp_path: Path) -> None:
    edited = Edited(LAMBDAS, ("-O2",), tmp_path)
    assert edited.planned("part.cpp", "n + 30", "n + 31") == [0, 0]
    assert edited.planned("main.cpp", "n * 2", "n * 3")[0] <= 1


#: clang's copies of `data` differ: in one file it calls what it invokes in the other.
STRINGS = {
    "main.cpp": "#include <string>\nint part(const std::string &);\n"
    "int put(const std::string &s) { return s.data()[0]; }\n"
    "int all(const std::string &s) { return s.c_str()[0] + part(s); }\n"
    'int main(int n, char **) { std::string s(n, "x"[0]); return put(s) + all(s); }\n',
    "part.cpp": "#include <string>\nint put(const std::string &);\n"
    "int part(const std::string &s) { return s.data()[0] + put(s); }\n"
    "int first(const std::string &s) { return *s.begin(); }\n",
}


@pytest.mark.parametrize("flags", [(), ("-g",)], ids=["plain", "-g"])
def test_copies_of_what_templates_became_may_differ(flags: tuple[str, ...], tmp_path: Path) -> None:
    edited = Edited(STRINGS, ("-std=c++11", "-O2", *flags), tmp_path)
    edited.planned("part.cpp", "+ put(s)", "+ put(s) * 3")
    edited.planned("main.cpp", "s.c_str()[0]", "s.c_str()[0] * 3")


@pytest.mark.parametrize(("name", "does"), [("isdigit", True), ("strange", False)])
def test_copies_of_what_the_library_defines(name: str, does: bool, tmp_path: Path) -> None:
    """Files that only declare it have what copies from the library's headers do."""
    library = f"int {name}(int n) {{ return n > 47 && n < 58; }}\n"
    sources = {
        "main.c": f"extern inline __attribute__((gnu_inline)) {library}int part(int);\n"
        f"int main(int n, char **v) {{ return {name}(n + 47) + part(n) - 2; }}\n",
        "part.c": f"int {name}(int);\nint part(int n) {{ return {name}(n + 48) * 1; }}\n",
    }
    write(tmp_path, {**sources, "library.c": library})
    command = [CLANG, "-shared", "-fPIC", "library.c", "-o", "liblibrary.so"]
    subprocess.run(command, cwd=tmp_path, check=True, timeout=120)
    words = ["main.c", "part.c", "./liblibrary.so", "-O2", "-Wl,-rpath,$ORIGIN"]
    build(tmp_path, *words, "-o", "app")
    write(tmp_path, {"part.c": sources["part.c"].replace("* 1", "* 3")})
    assert follows(build(tmp_path, *words, "-o", "app")) == does
    build(tmp_path, *words, "--no-cache", "-o", "cold")
    assert (tmp_path / "app").read_bytes() == (tmp_path / "cold").read_bytes()


#: Inline functions that several files call, and one that one call in one of them reaches.
SHARED = {
    "all.h": "int out(int);\n"
    "inline int often(int n) { int s = n; for (int i = 0; i < n; i++) s += out(s ^ i); return s; }\n"
    "inline int rarely(int n) { int s = n; for (int i = 0; i < n; i++) s -= out(s | i); return s; }\n",
    "main.cpp": '#include "all.h"\nint one(int), two(int), three(int);\n'
    "__attribute__((noinline)) static int low(int n) { return rarely(n) + 1; }\n"
    "int main(int n, char **) { return often(n) + one(n) + two(n) + three(n) + (n > 4 ? low(n) : 0); }\n",
    "one.cpp": '#include "all.h"\nint one(int n) { return often(n + 1) * 3; }\n'
    "int out(int n) { return n * 7 + 1; }\n",
    "three.cpp": '#include "all.h"\nint three(int n) { return often(n + 2) * 5; }\n',
    "two.cpp": '#include "all.h"\nint two(int n) { return n > 7 ? n : often(n + 5) - 4; }\n',
}


@pytest.mark.parametrize("flags", [(), ("-g",)], ids=["plain", "-g"])
def test_calls_of_inline_functions_come_and_go(flags: tuple[str, ...], tmp_path: Path) -> None:
    edited = Edited(SHARED, ("-O2", *flags), tmp_path)
    edited.planned("two.cpp", "? n :", "? often(n + 9) :")
    edited.planned("one.cpp", "often(n + 1) * 3", "often(n + 1) * often(n * 2)")
    # Which of them is compiled with its only caller is decided over the whole program.
    for file, old, new in (
        ("main.cpp", "rarely(n) + 1", "rarely(n) + rarely(n + 1)"),
        ("main.cpp", "? low(n) :", "? low(n) + low(n + 1) :"),
        ("main.cpp", "rarely(n) + 1", "often(n) + 1"),
    ):
        edited.planned(file, old, new)


#: What C++ has in each file that needs it: functions, templates, a class with virtual functions.
COPIED = {
    "all.h": "int out(int);\n"
    "inline int often(int n) { int s = n; for (int i = 0; i < n; i++) s += out(s ^ i); return s; }\n"
    "inline int counted(int n) { static int count = out(n); return count += n; }\n"
    "template <int N> int times(int n) { return often(n) * N + (N > 4 ? counted(n) : 0); }\n"
    "struct base { virtual int ask(int n) { return often(n); } virtual ~base() {} };\n"
    "template <int N> struct shape : base { int ask(int n) override { return times<N>(n); } };\n"
    "template <int N> base *make() { static shape<N> one; return &one; }\n",
    "main.cpp": '#include "all.h"\nint one(int), two(int), three(int);\n'
    "int all(int n) { return often(n) + one(n) + two(n) + three(n); }\n"
    "int main(int n, char **) { try { return all(n); } catch (int) { return 3; } }\n",
    "one.cpp": '#include "all.h"\nint one(int n) { return often(n + 1) * 3; }\n'
    "int out(int n) { return n * 7 + 1; }\n",
    "three.cpp": '#include "all.h"\nint three(int n) { return often(n + 2) * 5; }\n',
    "two.cpp": '#include "all.h"\nint two(int n) { return n > 7 ? n : often(n + 5) - 4; }\n',
}


@pytest.mark.parametrize("flags", [(), ("-g",), ("-fPIC", "--emit", "shared")], ids=" ".join)
def test_copies_come_to_files_and_go(flags: tuple[str, ...], tmp_path: Path) -> None:
    edited = Edited(COPIED, ("-O2", *flags), tmp_path)
    for file, old, new in (
        ("two.cpp", "n : often", "times<2>(n) : often"),  # the only copy
        ("three.cpp", "often(n + 2)", "times<2>(n + 2)"),  # a second one
        ("one.cpp", "often(n + 1)", "times<2>(n + 1) * times<2>(n)"),  # which prevails
        ("one.cpp", "times<2>(n + 1) * times<2>(n)", "often(n + 1)"),  # another file's prevails
        ("two.cpp", "times<2>(n) : often", "n : often"),
        ("three.cpp", "times<2>(n + 2)", "n"),  # none any more, and one call less of another
        ("three.cpp", "return n", "return make<5>()->ask(n)"),  # with tables, and a variable
        ("main.cpp", "often(n)", "make<5>()->ask(n) + counted(n)"),
        ("three.cpp", "make<5>()->ask(n)", "n"),
        ("main.cpp", "make<5>()->ask(n) + counted(n)", "often(n)"),
    ):
        edited.stays(file, old, new)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("int two", "template int times<3>(int);\nint two"),
        ("int two", 'int other(int) __asm__("_Z5timesILi3EEii");\nint two'),
        ("n : often", "counted<3> : often"),
    ],
    ids=["instantiated", "named", "variable"],
)
def test_copies_that_more_belongs_to(old: str, new: str, tmp_path: Path) -> None:
    """Such come and go as well, and the image is that of a build from nothing."""
    header = COPIED["all.h"].replace("inline int counted", "template <int N> int counted") + (
        "struct held { held(int n) : n(n) {} int n; };\n"
        "template <int N> struct keeps { static held one; };\n"
        "template <int N> held keeps<N>::one = out(N);\n"
    )
    edited = Edited({**COPIED, "all.h": header.replace("counted(n)", "counted<N>(n)")}, ("-O2",), tmp_path)
    new = new.replace("counted<3>", "keeps<3>::one.n")
    edited.stays("two.cpp", old, new, must_follow=False)
    edited.stays("three.cpp", "often(n + 2)", "times<3>(n + 2) + keeps<3>::one.n", must_follow=False)
    edited.stays("two.cpp", new, old, must_follow=False)
    edited.stays("three.cpp", "times<3>(n + 2) + keeps<3>::one.n", "often(n)", must_follow=False)


def test_copies_whose_name_is_another_comdats(tmp_path: Path) -> None:
    """A comdat prevails by its name, whatever it has in it: with the first file's the second's goes."""
    triple = 'target triple = "x86_64-unknown-linux-gnu"\n'
    one = triple + "$f = comdat any\ndefine linkonce_odr i32 @f(i32 %n) comdat { ret i32 3 }\n"
    two = triple + "$f = comdat any\ndefine linkonce_odr i32 @g(i32 %n) comdat($f) { ret i32 9 }\n"
    called = "define i32 @{0}(i32 %n) noinline {{\n  %r = call i32 @{1}(i32 %n)\n  ret i32 %r\n}}\n"
    write(
        tmp_path,
        {
            "two.ll": two + called.format("two", "g"),
            "weak.ll": triple + "define weak i32 @g(i32 %n) { ret i32 77 }\n",
            "main.ll": triple + "declare i32 @two(i32)\n" + called.format("main", "two"),
        },
    )
    words = ["one.ll", "two.ll", "weak.ll", "main.ll", "-O2"]
    for has_it in (False, True, False):
        without = triple + "define i32 @one(i32 %n) { ret i32 0 }\n"
        write(tmp_path, {"one.ll": one + called.format("one", "f") if has_it else without})
        build(tmp_path, *words, "-o", "app")
        build(tmp_path, *words, "--no-cache", "-o", "cold")
        assert (tmp_path / "app").read_bytes() == (tmp_path / "cold").read_bytes()
        assert run(tmp_path / "app").code == (77 if has_it else 9)


@pytest.mark.family(2)
@pytest.mark.parametrize("seed", [4, 16, 20])
def test_random_edits_of_what_files_have_copies_of(seed: int, tmp_path: Path) -> None:
    trial = CopiesTrial(seed, tmp_path / "pool")
    for _ in range(5):
        problems = trial.check()
        assert not problems, "\n".join([*trial.commands, *problems])
    assert trial.followed > 1 and trial.compared > 2


#: A class that three files know, and one that two of them have for themselves.
CLASSES = {
    "all.h": "// what all know\nstruct shape { int a; int area() const { return a * a; } };\n"
    "int one(const shape &), two(const shape &);\n",
    "main.cpp": '#include "all.h"\nint main(int n, char **) { shape s{n}; return one(s) + two(s) - 13; }\n',
    "one.cpp": '#include "all.h"\nnamespace { struct own { int x; } kept; }\n'
    "int one(const shape &s) { kept.x = s.area(); return kept.x + 2; }\n",
    "two.cpp": '#include "all.h"\nnamespace { struct own { long y; } kept; }\n'
    "int two(const shape &s) { kept.y = s.area(); return kept.y + 3; }\n",
}


def test_a_class_moves_in_the_header_of_several_files(tmp_path: Path) -> None:
    edited = Edited(CLASSES, ("-O2", "-g"), tmp_path)
    edited.planned("all.h", "// what all know\n", "// what all know\n\n")
    edited.planned("all.h", "{ int a; int", "{ int a, b; int")
    edited.planned("two.cpp", "int two", "\nint two")


@pytest.fixture(scope="module")
def several(tmp_path_factory: pytest.TempPathFactory) -> Edited:
    return Edited(SEVERAL, ("-O2",), tmp_path_factory.mktemp("several"))


@pytest.mark.family(2)
@pytest.mark.parametrize("name", WITHIN)
def test_an_edit_within_functions_looks_at_those_only(name: str, several: Edited) -> None:
    old, new, all_of_it = WITHIN[name]
    assert [count > 0 for count in several.planned("all.c", old, new)] == [all_of_it] * 2


@pytest.mark.parametrize("words", [("-O1", "-fPIC", "--emit", "shared"), ("-O0",)], ids=" ".join)
def test_edits_within_functions_at_other_levels(words: tuple[str, ...], tmp_path: Path) -> None:
    project = Edited(SEVERAL, words, tmp_path)
    for name in ("a constant", "what two functions inline", "a call of another function"):
        project.planned("all.c", *WITHIN[name][:2])


@pytest.fixture(scope="module")
def described(tmp_path_factory: pytest.TempPathFactory) -> Edited:
    return Edited(SEVERAL, ("-O2", "-g"), tmp_path_factory.mktemp("described"))


MOVING = {
    "a line more": ("  return s;", "\n  return s;", False),
    "a line above all": ("#include <stdio.h>", "\n#include <stdio.h>", False),
    "a variable more": ("int s = 0;", "int s = 0, t = n;", False),
    "another type": ("int s = 0;", "long s = 0;", False),
    "another member": ("struct kept { int a; }", "struct kept { int b; }", True),
}


@pytest.mark.family(2)
@pytest.mark.parametrize("name", [*tuple(WITHIN)[:6], *MOVING])
def test_an_edit_within_functions_and_their_lines(name: str, described: Edited) -> None:
    old, new, all_of_it = {**WITHIN, **MOVING}[name]
    assert [count > 0 for count in described.planned("all.c", old, new)] == [all_of_it] * 2


def test_edits_within_functions_of_a_library_with_lines(tmp_path: Path) -> None:
    project = Edited(SEVERAL, ("-O1", "-gdwarf-4", "-fPIC", "--emit", "shared"), tmp_path)
    for name in ("a constant", "what two functions inline", "a call of what two functions call"):
        assert project.planned("all.c", *WITHIN[name][:2]) == [0, 0]


THROWING = {
    "main.cpp": 'extern "C" { int f(int), g(int); int thrower(int n) { if (n > 3) throw n; return n; } }\n'
    "static int inner(int n) { try { return f(n) + g(n + 3); } catch (int m) { return m * 10; } }\n"
    "int main(int n, char **v) { return inner(n) * 7 - 60; }\n",
    "c.c": "int thrower(int);\n__attribute__((noinline)) static int h(int n) { return n * 3; }\n"
    "int f(int n) { return h(n) + 1; }\nint g(int n) { return thrower(n) * 2; }\n",
}


@pytest.fixture(scope="module")
def throwing(tmp_path_factory: pytest.TempPathFactory) -> Edited:
    return Edited(THROWING, ("-O2",), tmp_path_factory.mktemp("throwing"))


@pytest.mark.parametrize(
    ("file", "old", "new", "all_of_it"),
    [
        ("c.c", "n * 3", "n * 5", False),
        ("main.cpp", "m * 10", "m * 11", False),
        ("main.cpp", "n > 3", "n > 2", False),
        ("c.c", "n * 3", "thrower(n) * 3", True),
        ("c.c", "thrower(n) * 2", "thrower(n) * 4", True),
    ],
)
def test_edits_within_functions_where_there_are_exceptions(
    file: str, old: str, new: str, all_of_it: bool, throwing: Edited
) -> None:
    assert [count > 0 for count in throwing.planned(file, old, new)] == [all_of_it] * 2


def test_variables_that_are_described_where_they_are_used(tmp_path: Path) -> None:
    """Which functions do that depends on what they mention, so that no nodes are kept."""
    sources = {
        "main.c": "static int same = 3; int other(int);\n"
        "int main(int n, char **v) { same += n; return other(n) + same - 8; }\n",
        "all.c": "static long same = 4;\n__attribute__((noinline)) static int low(int n) { return n & 1; }\n"
        "int other(int n) { same *= n; return low(n) + (int)same; }\n",
    }
    project = Edited(sources, ("-O1", "-g"), tmp_path)
    assert project.planned("all.c", "n & 1", "n & 3") == [0, 0]
    assert project.planned("all.c", "int other", "\nint other") == [0, 0]


@pytest.mark.parametrize("what", ["nodes", "another's nodes"])
def test_nodes_of_debug_information_may_be_gone(what: str, tmp_path: Path) -> None:
    project = Edited(SEVERAL, ("-O2", "-g"), tmp_path)
    output = tmp_path / "app"
    keys = [nodes_recipe(output, i).key() for i in range(2)]
    paths = [Path(entry_path(str(tmp_path / "cache"), key)) for key in keys]
    other = decode_entry(keys[1], paths[1].read_bytes()).payload
    if what == "nodes":
        paths[0].unlink()
    else:
        paths[0].write_bytes(encode_entry(sealed("nodes", keys[0], other)))
    there, back = project.planned("all.c", *WITHIN["a constant"][:2])
    assert [there, back] == [0, 0]
    assert decode_entry(keys[0], paths[0].read_bytes()).payload != other


WAYS = {"-O2": tuple(EDITS), "-O0": tuple(EDITS)[:3], "-fPIC --emit shared": tuple(EDITS)[1:5]}
WAYS["-O2 -g"] = tuple(EDITS)
WAYS["-O0 -g"] = ("a constant", "lines above what others inline")
WAYS["-O1 -gdwarf-4 -fPIC --emit shared"] = ("lines above what others inline", "a comment")


@pytest.mark.family(2)
@pytest.mark.parametrize(
    ("name", "words"), [(name, tuple(way.split())) for way, names in WAYS.items() for name in names]
)
def test_an_edit_and_back(name: str, words: tuple[str, ...], tmp_path: Path) -> None:
    write(tmp_path, SOURCES)
    build(tmp_path, *FILES, *words, "-o", "app")
    first = (tmp_path / "app").read_bytes()
    sources = edited(SOURCES, name)
    write(tmp_path, sources)
    done = build(tmp_path, *FILES, *words, "-o", "app")
    assert follows(done) == EDITS[name][3]
    assert (tmp_path / "app").read_bytes() == from_nothing(tmp_path, *words)
    write(tmp_path, SOURCES)
    build(tmp_path, *FILES, *words, "-o", "app")
    assert (tmp_path / "app").read_bytes() == first


def test_lines_of_standing_modules_are_those_of_their_sources(tmp_path: Path) -> None:
    write(tmp_path, SOURCES)
    build(tmp_path, *FILES, "-O2", "-g", "-o", "app")
    write(tmp_path, edited(SOURCES, "lines above what others inline"))
    done = build(tmp_path, *FILES, "-O2", "-g", "-o", "app", "-v")
    assert follows(done)
    assert done.stats["compiled"] == []
    assert (tmp_path / "app").read_bytes() == from_nothing(tmp_path, "-O2", "-g")


def test_files_of_one_name_keep_their_own_records(tmp_path: Path) -> None:
    sources = {
        "main.c": "int f(int); int g(int);\nint main(int n, char **v) { return f(n) + g(n); }\n",
        "a/same.c": "int f(int n) { return n * 3; }\n",
        "b/same.c": "int g(int n) { return n + 5; }\n",
    }
    write(tmp_path, sources)
    build(tmp_path, *(files := sorted(sources)), "-O2", "-o", "app")
    write(tmp_path, {"b/same.c": sources["b/same.c"].replace("5", "9")})
    done = build(tmp_path, *files, "-O2", "-o", "app")
    assert follows(done)
    build(tmp_path, *files, "-O2", "--no-cache", "-o", "cold")
    assert (tmp_path / "app").read_bytes() == (tmp_path / "cold").read_bytes()


def test_a_piece_with_lines_may_be_gone(tmp_path: Path) -> None:
    """The objects in it cannot be made from those in the cache without the lines of their modules."""
    write(tmp_path, SOURCES)
    build(tmp_path, *FILES, "-O2", "-g", "-o", "app")
    for found in find_entries(tmp_path / "cache"):
        if check_kind(tmp_path / "cache", found.key) == "pieces":
            Path(entry_path(str(tmp_path / "cache"), found.key)).unlink()
    write(tmp_path, edited(SOURCES, "lines above what others inline"))
    build(tmp_path, *FILES, "-O2", "-g", "-o", "app")
    assert (tmp_path / "app").read_bytes() == from_nothing(tmp_path, "-O2", "-g")


@pytest.mark.parametrize("name", ["a constant", "a comment"])
def test_a_piece_with_checksums_may_be_gone(name: str, tmp_path: Path) -> None:
    write(tmp_path, SOURCES)
    build(tmp_path, *FILES, "-O2", "-g", "-o", "app")
    for found in find_entries(tmp_path / "cache"):
        if check_kind(tmp_path / "cache", found.key) == "pieces":
            Path(entry_path(str(tmp_path / "cache"), found.key)).unlink()
    write(tmp_path, edited(SOURCES, name))
    build(tmp_path, *FILES, "-O2", "-g", "-o", "app")
    assert (tmp_path / "app").read_bytes() == from_nothing(tmp_path, "-O2", "-g")


def test_sources_of_one_checksum_are_told_apart(tmp_path: Path) -> None:
    """Two headers have one content, until one of them is edited, and then the other one."""
    header = "static inline int clip(int n) { return n > 99 ? 99 : n; }\n"
    first = "int f(int);\nint main(int n, char **v) { return f(n) + clip(n); }\n"
    sources = {
        "main.c": '#include "a/clip.h"\n' + first,
        "f.c": '#include "b/clip.h"\nint f(int n) { return clip(n) * 3; }\n',
        "a/clip.h": header,
        "b/clip.h": header,
    }
    write(tmp_path, sources)
    words = "main.c", "f.c", "-O2", "-g"
    build(tmp_path, *words, "-o", "app")
    images = set()
    for changed in (
        {"a/clip.h": header + "// a\n"},
        {"b/clip.h": header + "// b\n"},
        {"b/clip.h": header + "// a\n"},
    ):
        write(tmp_path, changed)
        assert follows(build(tmp_path, *words, "-o", "app"))
        build(tmp_path, *words, "--no-cache", "-o", "cold")
        assert (tmp_path / "app").read_bytes() == (tmp_path / "cold").read_bytes()
        images.add((tmp_path / "app").read_bytes())
    assert len(images) == 3


def test_one_function_is_looked_at(tmp_path: Path) -> None:
    write(tmp_path, SOURCES)
    build(tmp_path, *FILES, "-O2", "-o", "app")
    write(tmp_path, edited(SOURCES, "a constant"))
    done = build(tmp_path, *FILES, "-O2", "-o", "app", "-v")
    assert follows(done) and done.compiled == ["low"]
    total = build(tmp_path, *FILES, "-O2", "--no-cache", "-o", "cold").stats
    figures = ("units", "functions", "grouped", "unreached")
    assert [done.stats[name] for name in figures] == [total[name] for name in figures]


@pytest.mark.parametrize("what", ["plan", "states", "pieces", "linked", "objects", "all but the plan"])
def test_what_was_kept_may_be_gone(what: str, tmp_path: Path) -> None:
    write(tmp_path, SOURCES)
    build(tmp_path, *FILES, "-O2", "-o", "app")
    if what == "linked":
        write(tmp_path, edited(SOURCES, "a constant"))
        assert follows(build(tmp_path, *FILES, "-O2", "-o", "app"))
    cache = tmp_path / "cache"
    plan = Path(entry_path(str(cache), plan_recipe(tmp_path / "app").key()))
    assert plan.exists()
    for found in find_entries(cache):
        path = Path(entry_path(str(cache), found.key))
        data = found.read()
        if (
            (what == "plan" and path == plan)
            or (what == "objects" and data[:4] == b"\x7fELF")
            or (what == "all but the plan" and path != plan)
            or (what in ("pieces", "linked", "states") and check_kind(cache, found.key) == what)
        ):
            path.unlink()
    write(tmp_path, edited(SOURCES, "what others inline"))
    build(tmp_path, *FILES, "-O2", "-o", "app")
    assert (tmp_path / "app").read_bytes() == from_nothing(tmp_path, "-O2")
    assert not any(check_entries(cache, keep=False, check_form=check_form))


def test_states_of_another_plan_are_not_taken(tmp_path: Path) -> None:
    """They are under the same name: of a build that ended between writing these and writing the plan."""
    write(tmp_path, SOURCES)
    build(tmp_path, *FILES, "-O2", "-o", "app")
    cache = tmp_path / "cache"
    (key,) = (found.key for found in find_entries(cache) if check_kind(cache, found.key) == "states")
    path = Path(entry_path(str(cache), key))
    before = path.read_bytes()
    write(tmp_path, edited(SOURCES, "a call less"))
    assert follows(build(tmp_path, *FILES, "-O2", "-o", "app"))
    assert path.read_bytes() != before
    path.write_bytes(before)
    write(tmp_path, SOURCES)
    assert not follows(build(tmp_path, *FILES, "-O2", "-o", "app"))
    assert (tmp_path / "app").read_bytes() == from_nothing(tmp_path, "-O2")


def test_an_edit_writes_the_states_of_one_group_again(tmp_path: Path) -> None:
    names = [f"f{n}" for n in range(70)]
    write(tmp_path, {f"{name}.c": f"int {name}(int n) {{ return n * 3; }}\n" for name in names})
    words = [*(f"{name}.c" for name in names), "-fPIC", "--emit", "shared", "-o", "app.so"]
    build(tmp_path, *words)
    cache = tmp_path / "cache"

    def states() -> set[bytes]:
        kept = (found for found in find_entries(cache) if check_kind(cache, found.key) == "states")
        return {Path(entry_path(str(cache), found.key)).read_bytes() for found in kept}

    before = states()
    write(tmp_path, {"f69.c": "int f69(int n) { return n * 5; }\n"})
    assert follows(build(tmp_path, *words))
    assert len(before) == len(states()) == 2 and len(before & states()) == 1
    write(tmp_path, {"f0.c": "int f0(int n) { return n * 7; }\n"})
    assert follows(build(tmp_path, *words))
    build(tmp_path, *words[:-1], "cold.so", "--no-cache")
    assert (tmp_path / "app.so").read_bytes() == (tmp_path / "cold.so").read_bytes()


def check_kind(cache: Path, key: str) -> str:
    """The kind of an entry, as its form says it."""
    entry = EntryStore(FileStore(cache)).load(key)
    form = str(entry.meta.get("form", "")) if entry else ""
    return form.partition(" ")[0]


def test_neighbours_of_an_edited_module_are_linked_as_they_were(tmp_path: Path) -> None:
    """Their objects are those of the last link's archive, and not looked up one by one."""
    write(tmp_path, SOURCES)
    build(tmp_path, *FILES, "-O2", "-o", "app")
    cache = tmp_path / "cache"
    write(tmp_path, edited(SOURCES, "a constant"))
    done = build(tmp_path, *FILES, "-O2", "-o", "app")
    assert follows(done) and done.compiled == ["low"]
    assert (tmp_path / "app").read_bytes() == from_nothing(tmp_path, "-O2")
    kinds = [check_kind(cache, found.key) for found in find_entries(cache)]
    assert kinds.count("pieces") == kinds.count("linked") == 1


def test_a_plan_is_renewed_after_a_day(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, SOURCES)
    build(tmp_path, *FILES, "-o", "app")
    store = EntryStore(FileStore(tmp_path / "cache"))
    plan = load_plan(store, tmp_path / "app")
    assert plan and len(plan) == len(FILES)
    for seconds in (25 * 3600, -25 * 3600):
        monkeypatch.setattr("time.time", lambda now=plan.since + seconds: now)
        assert load_plan(store, tmp_path / "app") is None


def test_exceptions_come_into_a_program_of_c(tmp_path: Path) -> None:
    write(tmp_path, {**SOURCES, "odd.cpp": 'extern "C" int odd(int n) { return n; }\n'})
    words = [*(name for name in FILES if name != "odd.c"), "odd.cpp", "-O2"]
    build(tmp_path, *words, "-o", "app")
    throwing = 'extern "C" int twice(int);\nextern "C" int odd(int n) {\n'
    throwing += "  try { if (n > twice(1)) throw n; } catch (int m) { return m + 1; }\n  return n;\n}\n"
    write(tmp_path, {"odd.cpp": throwing})
    done = build(tmp_path, *words, "-o", "app")
    assert not follows(done) and run(tmp_path / "app").stdout.split()[1] == b"8"
    build(tmp_path, *words, "--no-cache", "-o", "cold")
    assert (tmp_path / "app").read_bytes() == (tmp_path / "cold").read_bytes()


def test_another_checkout_is_not_looked_at_closely(tmp_path: Path) -> None:
    write(tmp_path, SOURCES)
    build(tmp_path, *FILES, "-O2", "-o", "app")
    elsewhere = tmp_path / "elsewhere"
    write(elsewhere, SOURCES)
    # As CMake names files. No unit is written out to learn its key.
    done = build(tmp_path, *(elsewhere / name for name in FILES), "-O2", "-o", elsewhere / "app")
    assert done.misses == 0 and "key" not in done.stats["phases"]
    assert (tmp_path / "app").read_bytes() == (elsewhere / "app").read_bytes()


@pytest.mark.parametrize(
    ("flags", "anywhere"), [((), True), (("-I", ".", "-DX", "-fPIC"), True), (("-g",), False)]
)
def test_another_checkout_asks_no_clang(flags: tuple[str, ...], anywhere: bool, tmp_path: Path) -> None:
    files = {**SOURCES, "where.c": '#include "where.h"\nconst char *where(void) { return __FILE__ WHERE; }\n'}
    first, second, third = folders = [tmp_path / name for name in ("first", "second", "third")]
    for folder in folders:
        write(folder, {**files, "where.h": f'#define WHERE "{"here" if folder != third else "there"}"\n'})
    words = (*FILES, "where.c", "-O2", *flags, "-o", "app")

    def unchanged(folder: Path) -> int:
        done = build(tmp_path, *words, cwd=folder)
        build(tmp_path, *words[:-1], "cold", "--no-cache", cwd=folder)
        assert (folder / "app").read_bytes() == (folder / "cold").read_bytes()
        return int(done.stats["sources_unchanged"])

    unchanged(first)
    assert unchanged(second) == (len(FILES) + 1 if anywhere else 0)
    assert unchanged(third) == (len(FILES) if anywhere else 0)


def test_several_outputs_share_pieces(tmp_path: Path) -> None:
    write(tmp_path, SOURCES)
    build(tmp_path, *FILES, "-O2", "-o", "app")

    def pieces() -> set[str]:
        cache = tmp_path / "cache"
        return {found.key for found in find_entries(cache) if check_kind(cache, found.key) == "pieces"}

    before = pieces()
    done = build(tmp_path, *FILES, "-O2", "-o", "other")
    assert done.misses == 0 and pieces() == before
    assert (tmp_path / "app").read_bytes() == (tmp_path / "other").read_bytes()


@pytest.mark.family(3)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_plans_of_projects_that_are_edited_at_random(seed: int, tmp_path: Path) -> None:
    trial = Trial(seed, tmp_path / "project", calm=True)
    for step in range(8):
        if step:
            trial.edit()
        problems = trial.check(behaviour=False)
        assert not problems, "\n".join([*trial.commands, *problems])
    assert trial.followed > 0


def test_the_warnings_of_files_that_stand_are_said_again(tmp_path: Path) -> None:
    warning = "int shady(int n) { int unused = 3; return n; }\n"
    write(tmp_path, {**SOURCES, "sum.c": SOURCES["sum.c"] + warning})
    words = [*FILES, "-O2", "-Wall", "-o", "app"]
    assert "unused" in build(tmp_path, *words).stderr
    write(tmp_path, edited(SOURCES, "a constant") | {"sum.c": SOURCES["sum.c"] + warning})
    done = build(tmp_path, *words)
    assert follows(done) and "unused" in done.stderr
    os.utime(tmp_path / "odd.c")
    assert "unused" in build(tmp_path, *words).stderr


#: A function that two files call, one of them where a variable and a dropped copy of an inline function are.
CALLED = {
    "shown.h": "int shown(int); inline int both(int n) { return shown(n) + 1; }\n"
    "void gone(int *) noexcept(false);\n",
    "shown.cpp": '#include "shown.h"\nstatic int kept[9];\n'
    "int shown(int n) { return n * 3; }\n"
    "void gone(int *p) { kept[1] += *p; }\n",
    "one.cpp": '#include "shown.h"\nint one(int n) { int m = shown(n) - 1; gone(&m); return both(m); }\n'
    "int far(int n) { return n + 7; }\n",
    "main.cpp": '#include <cstdio>\n#include "shown.h"\nint one(int), far(int);\n'
    "int (*table[])(int) = {far};\n"
    'int main(int n, char **) { printf("%d %d %d\\n", one(n), both(n + 1), table[n - 1](shown(n))); }\n',
}


@pytest.mark.parametrize("flags", [("-O2",), ("-O2", "-g"), ("-Os",)])
def test_how_a_function_is_inlined_concerns_those_alone_that_call_it(
    flags: tuple[str, ...], tmp_path: Path
) -> None:
    edited = Edited(CALLED, flags, tmp_path)
    longer = "n ^= n << (n & 3); n += n / 7 ^ n % 11; n *= n >> 2 ^ n; n -= n / 5 + n % 3; return n * 3;"
    assert edited.planned("shown.cpp", "return n * 3;", longer) == [0, 0]
    # What may throw, or not, is declared otherwise.
    throws = "if (*p > 99) throw 1; kept[1] += *p;"
    assert edited.planned("shown.cpp", "kept[1] += *p;", throws) == [1, 1]
    edited.stays("shown.cpp", "return n * 3;", "if (n > 50) throw n; return n * 3;")
    assert edited.planned("shown.cpp", "if (n > 50) throw n; return", "return") == [1, 1]
