"""Clang runs only if it would say something else than it said before; each trap is a test."""

import os
import random
import shutil
import subprocess
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from harness import CLANG, build, needs_clang, run
from rules import write

from nativecache.aot.errors import BuildError
from nativecache.aot.front import clang as clang_module
from nativecache.aot.front.clang import Clang, Running, read_depfile, search_path
from nativecache.aot.front.clang_cache import FrontCache
from nativecache.aot.front.load import load
from nativecache.aot.front.sources import ClangJobs, FrontEnd
from nativecache.cache.entry import Entry
from nativecache.cache.file_store import FileStore
from nativecache.cache.layout import entry_path
from nativecache.cache.lookup import EntryStore

pytestmark = needs_clang


@dataclass
class Space:
    """A folder with sources, a cache, and a clang that notes when it is run."""

    folder: Path
    environ: dict[str, str] = field(default_factory=dict)
    reads: object = None
    not_kept: dict[str, str] = field(default_factory=dict)
    busy: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        self.clang = self.folder / "bin" / "clang"
        self.clang.parent.mkdir()
        self.clang.write_text(f'#!/bin/sh\necho "$@" >> {self.folder}/runs\nexec {CLANG} "$@"\n')
        self.clang.chmod(0o755)
        (self.folder / "scratch").mkdir()

    def runs(self) -> int:
        """How often clang compiled something since this was last asked."""
        log = self.folder / "runs"
        lines = log.read_text().splitlines() if log.exists() else []
        log.unlink(missing_ok=True)
        return sum(" -emit-llvm " in line or " -c " in line for line in lines)

    def ask(self, *flags: str, names: tuple[str, ...] = ("main.c",), cached: bool = True) -> list[str]:
        """What clang says of the files: printed IR or bytes of objects, and warnings."""
        time.sleep(0.03)  # else they count as changed while clang was reading
        store = EntryStore(FileStore(self.folder / "cache"))
        with FrontCache(store, self.environ, busy=self.busy) as cache:
            front = FrontEnd(Clang((str(self.clang),), 22), 0, flags, cache if cached else None)
            inputs = list(map(Path, names))
            sources = ClangJobs(inputs, front, threads=1, outputs=self.folder / "scratch")
            loaded = load(inputs, sources, store, threads=1)
            if cached:
                self.reads, self.not_kept = cache.reads, dict(cache.not_kept)
        objects = [path.read_bytes().hex() for path in loaded.native.values()]
        return [*(found.text for found in loaded.texts), *objects, *loaded.warnings]

    def check(self, expected_runs: int, *flags: str) -> list[str]:
        """Asks, counts the runs of clang and compares with what it says without a cache."""
        self.runs()
        answer = self.ask(*flags)
        assert self.runs() == expected_runs
        assert answer == self.ask(*flags, cached=False)
        return answer

    def settle(self, *flags: str) -> None:
        """Has the answer kept, and sees that it is."""
        self.check(1, *flags)
        self.check(0, *flags)


@pytest.fixture
def space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Space:
    monkeypatch.chdir(tmp_path)
    write(
        tmp_path,
        {"main.c": '#include "value.h"\nint f(void) { return VALUE; }\n', "value.h": "#define VALUE 1\n"},
    )
    return Space(tmp_path)


# What is noticed


def test_nothing_changed(space: Space) -> None:
    space.settle()
    assert space.reads


@pytest.mark.parametrize("name", ["main.c", "value.h"])
def test_touched_or_written_again_with_the_same_content(space: Space, name: str) -> None:
    space.settle()
    os.utime(name, (1, 1))
    space.check(0)
    text = Path(name).read_text()
    Path(name).unlink()
    Path(name).write_text(text)
    space.check(0)


def test_a_changed_source(space: Space) -> None:
    space.settle()
    write(space.folder, {"main.c": "int f(void) { return 2; }\n"})
    space.check(1)


def test_a_header_of_the_same_size_and_time(space: Space) -> None:
    space.settle()
    before = Path("value.h").stat()
    Path("value.h").write_text("#define VALUE 2\n")
    os.utime("value.h", ns=(before.st_atime_ns, before.st_mtime_ns))
    assert Path("value.h").stat().st_size == before.st_size
    space.check(1)


def test_branches_that_are_switched(space: Space) -> None:
    for value in (1, 2, 3):
        Path("value.h").write_text(f"#define VALUE {value}\n")
        space.check(1)
    for value in (1, 3, 2, 2):
        Path("value.h").write_text(f"#define VALUE {value}\n")
        space.check(0)


def test_not_all_branches_are_kept_for_ever(space: Space) -> None:
    for value in range(10):
        Path("value.h").write_text(f"#define VALUE {value}\n")
        space.ask()
    space.check(0)
    Path("value.h").write_text("#define VALUE 0\n")
    space.check(1)


def kept_answers(space: Space) -> dict[str, Entry]:
    """The answers in the cache, by key: those that are kept whole first."""
    store = EntryStore(FileStore(space.folder / "cache"))
    keys = [path.parent.name + path.stem for path in (space.folder / "cache").rglob("*.o")]
    found = [entry for key in keys if (entry := store.load(key)) and "digest" in entry.meta]
    answers = [entry for entry in found if str(entry.meta["form"]).startswith("answer ")]
    return {entry.key: entry for entry in sorted(answers, key=lambda entry: "base" in entry.meta)}


def edit_in_two_ways(space: Space) -> tuple[Entry, ...]:
    for value in (1, 2):
        Path("value.h").write_text(f"#define VALUE {value}\n")
        space.check(1)
    return tuple(kept_answers(space).values())


def test_of_an_edited_source_only_what_differs_is_kept(space: Space) -> None:
    whole, part = edit_in_two_ways(space)
    assert part.meta["base"] == whole.key and "base" not in whole.meta
    assert len(part.payload) < 50 < len(whole.payload)
    space.check(0)


@pytest.mark.parametrize("damage", ["gone", "another", "no whole one"])
def test_without_the_rest_of_an_answer_clang_is_asked(space: Space, damage: str) -> None:
    whole, part = edit_in_two_ways(space)
    store = FileStore(space.folder / "cache")
    if damage == "gone":
        Path(entry_path(store.root, whole.key)).unlink()
    else:
        other = whole if damage == "another" else part
        payload = zlib.compress(bytes(int(str(whole.meta["size"])))) if damage == "another" else part.payload
        EntryStore(store).save(Entry(whole.key, payload, other.meta, 0))
    space.check(1)
    space.check(0)


def test_an_answer_that_differs_in_much_is_kept_whole(space: Space) -> None:
    space.settle()
    many = "".join(f"int f{n}(int a) {{ return a * {n}; }}\n" for n in range(50))
    Path("main.c").write_text(many)
    space.check(1)
    assert ["base" in entry.meta for entry in kept_answers(space).values()] == [False, False]


def test_an_include_that_is_gone(space: Space) -> None:
    space.settle()
    Path("value.h").rename("other.h")
    with pytest.raises(Exception, match=r"'value\.h' file not found"):
        space.ask()


# A header that appears where it is found first


def header(path: str, value: int = 2) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(f"#define VALUE {value}\n")


def include(name: str) -> None:
    Path("main.c").write_text(f"#include {name}\nint f(void) {{ return VALUE; }}\n")


@pytest.mark.parametrize(
    ("spelling", "flags"),
    [
        ('"v.h"', ("-Ione", "-Itwo")),
        ("<sub/v.h>", ("-Ione/", "-I./two")),
        ('"sub/../sub/v.h"', ("-Ione", "-Itwo")),
        ('"sub/v.h"', ("-iquote", "one", "-Itwo")),
        ("<v.h>", ("-isystem", "one", "-isystem", "two")),
        ("<sub/v.h>", ("-Ione", "-idirafter", "two")),
    ],
)
def test_in_an_earlier_folder(space: Space, spelling: str, flags: tuple[str, ...]) -> None:
    """The folder does not exist at first, then it does, then the header is in it."""
    name = spelling[1:-1].replace("sub/../", "")
    include(spelling)
    header(f"two/{name}")
    space.settle(*flags)
    Path("one").mkdir()
    space.check(0, *flags)
    header("one/other.h")
    space.check(0, *flags)
    header(f"one/{name}", 3)
    assert "i32 3" in space.check(1, *flags)[0]
    Path(f"one/{name}").unlink()
    assert "i32 2" in space.check(0, *flags)[0]


def test_beside_the_including_file(space: Space) -> None:
    header("inc/v.h")
    include('"v.h"')
    space.settle("-Iinc")
    header("v.h", 3)
    assert "i32 3" in space.check(1, "-Iinc")[0]


def test_beside_an_including_header(space: Space) -> None:
    header("inc/v.h")
    Path("deep/er").mkdir(parents=True)
    Path("deep/er/first.h").write_text('#include "v.h"\n')
    include('"deep/er/first.h"')
    space.settle("-Iinc")
    header("deep/er/v.h", 3)
    assert "i32 3" in space.check(1, "-Iinc")[0]


def test_in_place_of_a_system_header(space: Space) -> None:
    Path("main.c").write_text("#include <limits.h>\nint f(void) { return INT_MAX; }\n")
    space.settle("-Ione")
    Path("one").mkdir()
    Path("one/limits.h").write_text("#define INT_MAX 4\n")
    assert "i32 4" in space.check(1, "-Ione")[0]


def test_through_the_environment(space: Space, monkeypatch: pytest.MonkeyPatch) -> None:
    header("two/v.h")
    include("<v.h>")
    space.environ = {"CPATH": "one:two"}
    monkeypatch.setenv("CPATH", "one:two")
    space.settle()
    header("one/v.h", 3)
    assert "i32 3" in space.check(1)[0]
    space.environ = {"CPATH": "two:one"}
    monkeypatch.setenv("CPATH", "two:one")
    assert "i32 2" in space.check(1)[0]


@pytest.mark.parametrize(
    ("asked", "where"), [('"nosuch.h"', "."), ("<nosuch.h>", "two"), ('"sub/nosuch.h"', "one")]
)
def test_what_is_asked_for_but_not_there(space: Space, asked: str, where: str) -> None:
    Path("main.c").write_text(f"int f(void) {{ return 0\n#if __has_include({asked})\n + 1\n#endif\n; }}\n")
    flags = ("-Ione", "-Itwo")
    space.settle(*flags)
    header(f"{where}/{asked[1:-1]}")
    assert "i32 1" in space.check(1, *flags)[0]


@pytest.mark.parametrize("question", ["__has_include", "__has_embed"])
def test_asked_for_by_an_absolute_name(space: Space, question: str) -> None:
    path = Path("nosuch.h").absolute()
    Path("main.c").write_text(f'int f(void) {{ return 0\n#if {question}("{path}")\n + 1\n#endif\n; }}\n')
    space.settle("-std=c23")
    header("nosuch.h")
    assert "i32 1" in space.check(1, "-std=c23")[0]


@pytest.mark.parametrize("absolute", [False, True])
def test_a_precompiled_header_that_comes(space: Space, absolute: bool) -> None:
    """As GCC, clang takes NAME.pch in place of a header that a flag includes."""
    header("pre.h", 1)
    header("other.h", 2)
    Path("main.c").write_text("int f(void) { return VALUE; }\n")
    flags = ("-include", str(Path("pre.h").absolute()) if absolute else "pre.h")
    space.busy = (str(space.folder),)  # other tests' folders come and go above it
    space.settle(*flags)
    precompile = [CLANG, "-O0", "-x", "c-header", "other.h", "-o", "pre.h.pch"]
    subprocess.run(precompile, check=True)
    assert "i32 2" in space.check(1, *flags)[0]
    space.check(0, *flags)
    os.utime("other.h", (1, 1))  # clang refuses it now
    with pytest.raises(BuildError, match="mtime changed"):
        space.check(1, *flags)


@pytest.mark.parametrize(
    "question",
    ["HAS(<nosuch.h>)", '__has_include /* is it there? */ ("nosuch.h")', "__has_\\\ninclude(<nosuch.h>)"],
)
def test_asked_for_in_roundabout_ways(space: Space, question: str) -> None:
    Path("main.c").write_text(
        f"#define HAS __has_include\nint f(void) {{ return 0\n#if {question}\n + 1\n#endif\n; }}\n"
    )
    space.check(1, "-I.")
    header("nosuch.h")
    assert "i32 1" in space.check(1, "-I.")[0]


@pytest.mark.parametrize("question", ["#ifdef __has_include", "#if defined(__has_embed)", "// __has_include"])
def test_whether_can_be_asked_for_is_no_question(space: Space, question: str) -> None:
    end = "#endif\n" * (question[0] == "#")
    Path("main.c").write_text(f"{question}\n{end}int f(void) {{ return 0; }}\n")
    space.settle()


def test_asked_for_by_a_header_or_by_a_macro(space: Space) -> None:
    Path("main.c").write_text('#include "a.h"\nint f(void) { return A; }\n')
    Path("a.h").write_text('#if __has_include ( "b.h" )\n#define A 1\n#else\n#define A 0\n#endif\n')
    space.settle()
    header("b.h")
    space.check(1)
    Path("a.h").write_text('#define X "c.h"\n#if __has_include(X)\n#define A 1\n#else\n#define A 0\n#endif\n')
    space.check(1)
    space.check(1)


def test_a_link_that_leads_somewhere_at_last(space: Space) -> None:
    header("two/v.h")
    include("<v.h>")
    Path("one").mkdir()
    Path("one/v.h").symlink_to(space.folder / "late.h")
    space.settle("-Ione", "-Itwo")
    header("late.h", 3)
    assert "i32 3" in space.check(1, "-Ione", "-Itwo")[0]


def asking(question: str, define: str = "") -> None:
    Path("main.c").write_text(f"{define}\nint f(void) {{ return 0\n#if {question}\n + 1\n#endif\n; }}\n")


@pytest.mark.parametrize(
    ("question", "define", "flags"),
    [
        ("HAS(<nosuch.h>)", "#define HAS(x) __has_include(x)", ()),
        ("HAS(<nosuch.h>)", "#define HAS __has_include", ()),
        ("HAS", "", ('-DHAS=__has_include("nosuch.h")',)),
        ("HAS(<nosuch.h>)", "", ("-Wp,-DHAS(x)=__has_include(x)",)),
        (
            '__has_include("nosuch.h") // */',
            'const char *a = R"(/api/*)";',
            ("-std=gnu23", "-fraw-string-literals"),
        ),
        ('__has_include("nosuch.h") // */', "#if 0\ndon't /*\n#endif", ()),
        ("__has_embed(<nosuch.h>)", "", ("-std=c23", "--embed-dir=one", "--embed-dir=.")),
    ],
)
def test_asked_for_by_macros_flags_and_behind_odd_text(
    space: Space, question: str, define: str, flags: tuple[str, ...]
) -> None:
    asking(question, define)
    space.settle("-I.", *flags)
    header("nosuch.h")
    assert "i32 1" in space.check(1, "-I.", *flags)[0]
    Path("nosuch.h").unlink()
    assert "i32 0" in space.check(0, "-I.", *flags)[0]


def test_embedded_from_an_earlier_folder(space: Space) -> None:
    Path("main.c").write_text("char data[] = {\n#embed <sub/d.bin>\n};\n")
    header("two/sub/d.bin", 2)
    flags = ("-std=c23", "--embed-dir=one", "--embed-dir=two")
    space.settle(*flags)
    header("one/sub/d.bin", 3)
    assert "VALUE 3" in space.check(1, *flags)[0]


@pytest.mark.parametrize("hard", [True, False])
def test_headers_that_become_one(space: Space, hard: bool) -> None:
    """`#pragma once` counts files, not names."""
    Path("main.c").write_text('#include "a.h"\n#include "b.h"\nint f(void) { return N; }\n')
    for name in ("a.h", "b.h"):
        Path(name).write_text("#pragma once\n#ifndef N\n#define N 1\n#else\n#undef N\n#define N 2\n#endif\n")
    space.settle()
    Path("b.h").unlink()
    if hard:
        Path("b.h").hardlink_to("a.h")
    else:
        Path("b.h").symlink_to("a.h")
    space.check(1)


def test_search_folders_that_become_one(space: Space) -> None:
    """What is named twice is looked in once, so `#include_next` finds another header."""
    for folder in ("one", "two"):
        Path(folder).mkdir()
        Path(folder, "v.h").write_text(
            "#define VALUE (VALUE_BEFORE)\n#include_next <v.h>\n#undef VALUE_BEFORE\n"
        )
    header("three/v.h")
    include("<v.h>")
    flags = ("-Ione", "-Itwo", "-Ithree", "-Wno-macro-redefined", "-DVALUE_BEFORE=1")
    space.settle(*flags)
    Path("two/v.h").unlink()
    Path("two").rmdir()
    Path("two").symlink_to("one")
    space.check(1, *flags)


# Edits at random


def random_edits(space: Space, seed: int, rounds: int) -> tuple[int, int]:
    """Headers move, become links, are found elsewhere; flags change. How many answers, and runs of clang."""
    chance = random.Random(seed)
    root = space.folder
    for folder in ("one", "two", "three"):
        (root / folder / "sub").mkdir(parents=True)
    write(
        root,
        {
            "main.c": '#include "a.h"\n#include <b.h>\n#define HAS(x) __has_include(x)\n'
            "#ifndef C\n#define C 0\n#endif\n"
            "int f(void) { return (A * 10 + B) * 1000 + C\n#if HAS(<sub/c.h>)\n + 40\n#endif\n; }\n",
            "f.c": "#include <b.h>\n#include <sub/d.h>\nint f(void) { return B * 7 + D\n"
            '#if __has_include("two/b.h")\n + 1\n#endif\n; }\n',
            "two/a.h": "#pragma once\n#ifndef A\n#define A 1\n#else\n#define C 100\n#endif\n#include <b.h>\n",
            "two/b.h": "#pragma once\n#ifndef B\n#define B 1\n#else\n#define C 9\n#endif\n",
            "three/sub/d.h": "#define D 3\n",
        },
    )
    flags: list[str] = []
    answers: set[tuple[str, ...]] = set()
    runs = 0
    for _ in range(rounds):
        chance.choice(edits(root, chance))()
        if chance.random() < 0.3:
            flags = [f"-DC={chance.randrange(3)}"] * chance.randrange(2)
        words = ("-Ione", "-Itwo", "-Ithree", "-w", *flags)
        said = []
        for cached in (True, False):
            space.runs()
            try:
                said.append(space.ask(*words, names=("main.c", "f.c"), cached=cached))
            except BuildError as error:
                said.append(list(error.problems))
            runs += space.runs() if cached else 0
        assert said[0] == said[1]
        answers.add(tuple(said[0]))
    return len(answers), runs


@pytest.mark.slow
def test_random_edits(space: Space) -> None:
    answers, runs = random_edits(space, 101, 14)
    assert answers >= 3 and runs < 20


def edits(root: Path, chance: random.Random) -> list[Callable[[], object]]:
    folder = root / chance.choice(("one", "three"))
    name = chance.choice(("a.h", "b.h", "sub/c.h"))
    header = folder / name

    def replace(make: Callable[[], object]) -> Callable[[], None]:
        def edit() -> None:
            header.unlink(missing_ok=True)
            make()

        return edit

    def swap() -> None:
        (root / "one").rename(root / "spare")
        (root / "three").rename(root / "one")
        (root / "spare").rename(root / "three")

    value = chance.randrange(9)
    text = f"#pragma once\n#ifndef {name[-3].upper()}\n#define {name[-3].upper()} {value}\n#endif\n"
    made: list[Callable[[], object]] = [replace(lambda: header.write_text(text))] * 3
    made.append(replace(lambda: None))
    if name != "sub/c.h":
        made += [
            replace(lambda: header.symlink_to(root / "two" / name)),
            replace(lambda: header.hardlink_to(root / "two" / name)),
            replace(lambda: shutil.copy(root / "two" / name, header)),
        ]
    if (root / "three/sub/d.h").exists() and (root / "one").is_dir():
        made.append(lambda: shutil.copytree(root / "three/sub", root / "one/sub", dirs_exist_ok=True))
        made.append(swap)
    return made


# Other command lines


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (("-Ione", "-Itwo"), ("-Itwo", "-Ione")),
        ((), ("-DVALUE2",)),
        (("-O1",), ("-O2",)),
        ((), ("-g",)),
        ((), ("-fPIC",)),
    ],
)
def test_another_command_line(space: Space, first: tuple[str, ...], second: tuple[str, ...]) -> None:
    space.settle(*first)
    space.settle(*second)
    space.check(0, *first)


def test_another_folder(space: Space, monkeypatch: pytest.MonkeyPatch) -> None:
    space.settle("-g")
    write(space.folder / "scratch", {name: Path(name).read_text() for name in ("main.c", "value.h")})
    monkeypatch.chdir("scratch")
    space.check(1, "-g")


def test_another_compiler_of_the_same_name(space: Space) -> None:
    space.settle()
    space.clang.write_text(space.clang.read_text() + "# newer\n")
    space.check(1)
    real = space.folder / "bin" / "clang-22"
    real.write_text(space.clang.read_text())
    real.chmod(0o755)
    space.clang.unlink()
    space.clang.symlink_to(real)
    space.settle()
    real.write_text(real.read_text() + "# and newer\n")
    space.check(1)


def test_files_that_flags_name(space: Space) -> None:
    header("forced.h", 5)
    Path("main.c").write_text("int f(void) { return VALUE; }\n")
    space.settle("-include", "forced.h")
    header("forced.h", 6)
    assert "i32 6" in space.check(1, "-include", "forced.h")[0]
    Path("list.txt").write_text("fun:f\n")
    space.settle("-include", "forced.h", "-fsanitize=address", "-fsanitize-ignorelist=list.txt")
    Path("list.txt").write_text("fun:g\n")
    space.check(1, "-include", "forced.h", "-fsanitize=address", "-fsanitize-ignorelist=list.txt")


def test_embedded_files(space: Space) -> None:
    Path("main.c").write_text('char data[] = {\n#embed "data.bin"\n};\n')
    Path("data.bin").write_bytes(b"one")
    space.settle("-std=c23")
    Path("data.bin").write_bytes(b"two")
    assert "two" in space.check(1, "-std=c23")[0]


@pytest.mark.parametrize("size", [1, 2 << 20])
def test_another_compiler_of_the_same_size_and_time(space: Space, size: int) -> None:
    text = space.clang.read_text() + "exit\n" + "#" * size
    space.clang.write_text(text)
    before = space.clang.stat()
    space.settle()
    space.clang.write_text(text.replace('"$@"\nexit', '"$@" \nexi'))
    os.utime(space.clang, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert space.clang.stat().st_size == before.st_size
    space.check(1)


def test_what_a_script_rests_on(space: Space, monkeypatch: pytest.MonkeyPatch) -> None:
    """A helper that it reads, and a variable: both change what it has clang do."""
    Path("flags").write_text("-DMORE=1")
    text = space.clang.read_text().replace('"$@"\n', '$(cat flags) $MORE "$@"\n')
    space.clang.write_text(text)
    Path("main.c").write_text("int f(void) { return MORE; }\n")
    space.settle()
    Path("flags").write_text("-DMORE=2")
    assert "i32 2" in space.check(1)[0]
    monkeypatch.setenv("MORE", "-UMORE -DMORE=3")
    assert "i32 3" in space.check(1)[0]
    monkeypatch.delenv("MORE")
    space.check(0)


# What is never kept


@pytest.mark.parametrize("macro", ["__DATE__", "__TIME__", "__TIMESTAMP__"])
@pytest.mark.parametrize("name", ["main.c", "value.h"])
def test_the_time_of_day(space: Space, macro: str, name: str) -> None:
    with open(name, "a") as file:
        file.write(f"static const char *when(void) {{ return {macro}; }}\n")
    space.ask()
    space.runs()
    space.ask()
    assert space.runs() == 1 and space.reads is None


@pytest.mark.parametrize(
    ("text", "flags"),
    [
        ("STAMP", ("-DSTAMP=__TIME__",)),
        ("__TI\\\nME__", ()),
        ("__TI\\  \nME__", ("-w",)),
        ("__TI??/\nME__", ("-trigraphs",)),
        ("__TIME__", ("--no-warnings",)),
        ("C(__TIME, STAMP__)", ("-DC(a,b)=a##b",)),
        ("D(__DA, TE__)", ("-Wno-everything", "-Wno-error")),
        ('"a";\n#pragma clang diagnostic ignored "-Wdate-time"\nconst char *t = __TIME__', ()),
        ('"a";\n#pragma GCC diagnostic ignored "-Wd\\x61te" "-time"\nconst char *t = D(__DA, TE__)', ()),
        ("__DATE__", ("-grecord-gcc-switches", "-g")),
        ("__DATE__", ("-fmessage-length=10", "-fcolor-diagnostics", "-fno-diagnostics-show-option")),
    ],
)
def test_the_time_of_day_in_disguise(space: Space, text: str, flags: tuple[str, ...]) -> None:
    Path("main.c").write_text(f"#define D(a, b) a%:%:b\nconst char *s = {text};\n")
    space.ask(*flags)
    for _ in range(2):
        space.runs()
        space.ask(*flags)
        assert space.runs() == 1 and space.reads is None and "time" in space.not_kept["main.c"]


def test_the_time_of_day_that_goes_away(space: Space) -> None:
    Path("main.c").write_text("const char *s = __DATE__;\n")
    space.ask()
    Path("main.c").write_text("const char *s = 0;\n")
    space.settle()


def test_a_name_that_is_no_time_of_day(space: Space) -> None:
    """Clang says that it met none."""
    Path("main.c").write_text(
        '#if 0\ndon\'t __DATE__\n#endif\n#define D __TIME__\nconst char *s = "__TIME__";\n'
    )
    space.settle("-Werror", "-Wdate-time", "-Weverything", "-Wno-error")


def test_the_time_of_day_in_a_comment(space: Space) -> None:
    with open("value.h", "a") as file:
        file.write("/* not __DATE__\n */ // nor __TIME__ \\\n nor __TIMESTAMP__\n")
    space.settle()


def test_a_comment_that_is_none(space: Space) -> None:
    Path("main.c").write_text('const char *a = "/*";\nconst char *b = __DATE__; /* */\n')
    space.ask()
    space.runs()
    space.ask()
    assert space.runs() == 1


@pytest.mark.parametrize(
    "flags",
    [
        ("-MMD", "-MF", "mine.d"),
        ("-Xclang", "-ffake-address-space-map"),
        ("-fmodules",),
        ("--coverage",),
        ("-mllvm", "-inline-threshold=3"),
        ("-save-temps=obj",),
        ("-ftime-trace",),
        ("-Wp,-MMD,mine.d",),
        ("-Xpreprocessor", "-MT", "-Xpreprocessor", "x"),
        ("-fprebuilt-module-path=.",),
        ("-F.",),
    ],
)
def test_flags_that_read_or_write_more(space: Space, flags: tuple[str, ...]) -> None:
    space.ask(*flags)
    space.runs()
    space.ask(*flags)
    assert space.runs() == 1 and space.reads is None
    assert space.not_kept["main.c"]


@pytest.mark.parametrize(
    "flags",
    [("-Wa,--noexecstack",), ("-Wp,-DA=1,-UB",), ("-Xpreprocessor", "-DA"), ("-Xassembler", "--noexecstack")],
)
def test_flags_for_the_preprocessor_and_the_assembler(space: Space, flags: tuple[str, ...]) -> None:
    space.settle(*flags)
    space.settle(*flags, "-fsanitize=address")


@pytest.mark.parametrize("variable", ["DEPENDENCIES_OUTPUT", "CC_PRINT_OPTIONS", "CCC_OVERRIDE_OPTIONS"])
def test_variables_with_which_clang_does_more(space: Space, variable: str) -> None:
    space.environ = {variable: "x"}
    space.ask()
    assert variable in space.not_kept["main.c"] and space.reads is None


def test_pragmas_that_look_at_more_files(space: Space) -> None:
    Path("main.c").write_text('#pragma GCC dependency "value.h"\nint x;\n')
    space.ask()
    assert "dependency" in space.not_kept["main.c"]


def test_files_that_the_assembler_reads(space: Space) -> None:
    """In IR the directive is still text, and the text does not change with the file."""
    Path("data.bin").write_bytes(b"one")
    Path("main.c").write_text('__asm__(".data\\n.incbin \\"data.bin\\"\\n");\n')
    space.settle()
    space.ask("-fsanitize=address")
    Path("data.bin").write_bytes(b"two")
    assert b"two".hex() in space.check(1, "-fsanitize=address")[0]
    Path("main.c").write_text('__asm__(".data\\n.INCBIN \\"data.bin\\"\\n");\n')
    space.ask("-fsanitize=address")
    Path("data.bin").write_bytes(b"six")
    assert b"six".hex() in space.check(1, "-fsanitize=address")[0]


@pytest.mark.parametrize("name", ["main.i", "main.ii"])
def test_preprocessed_files(space: Space, name: str) -> None:
    Path(name).write_text("int x;\n")
    for _ in range(2):
        space.runs()
        space.ask(names=(name,))
        assert space.runs() == 1 and space.reads is None


@pytest.mark.parametrize("name", ["main.s", "main.S"])
def test_assembly(space: Space, name: str) -> None:
    text = ".data\n.long 1\n" if name == "main.s" else '#include "value.h"\n.data\n.long VALUE\n'
    Path(name).write_text(text)
    for expected in (1, 0):
        first = space.ask(names=(name,))
        assert space.runs() == expected and space.reads is not None
    header("value.h")
    Path(name).write_text(text.replace("long 1", "long 2"))
    assert space.ask(names=(name,)) != first
    Path("value.bin").write_bytes(b"1")
    Path(name).write_text('.data\n.incbin "value.bin"\n')
    for _ in range(2):
        space.runs()
        space.ask(names=(name,))
        assert space.runs() == 1 and space.reads is None


def test_errors(space: Space) -> None:
    Path("main.c").write_text("int f(void) { return x; }\n")
    for _ in range(2):
        with pytest.raises(Exception, match="undeclared identifier 'x'"):
            space.ask()
        assert space.runs() == 1


def meanwhile(space: Space, monkeypatch: pytest.MonkeyPatch, change: Callable[[], None]) -> None:
    """Has something changed while clang runs, after it read all it reads."""
    run_clang = clang_module._run

    def wrapped(command: list[str], source: Path, running: Running | None) -> str:
        said = run_clang(command, source, running)
        change()
        return said

    with monkeypatch.context() as patch:
        patch.setattr(clang_module, "_run", wrapped)
        space.ask("-Ione", "-I.")
        assert space.reads is None


def test_what_changes_while_clang_reads_it(space: Space, monkeypatch: pytest.MonkeyPatch) -> None:
    meanwhile(space, monkeypatch, lambda: header("value.h", 7))
    assert "i32 7" in space.check(1, "-Ione", "-I.")[0]
    include("<value.h>")
    meanwhile(space, monkeypatch, lambda: header("one/value.h", 8))
    assert "i32 8" in space.check(1, "-Ione", "-I.")[0]
    include("<value.h> // again")
    meanwhile(space, monkeypatch, lambda: Path("one/value.h").unlink())


def test_a_link_to_a_folder_that_is_turned_while_clang_reads(
    space: Space, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n, folder in enumerate(("old", "new")):
        header(f"{folder}/value.h", n)
    Path("now").symlink_to("old")
    Path("one").symlink_to("now")

    def turn() -> None:
        Path("now").unlink()
        Path("now").symlink_to("new")

    include("<value.h>")
    Path("value.h").unlink()
    meanwhile(space, monkeypatch, turn)
    assert "i32 1" in space.check(1, "-Ione", "-I.")[0]


@pytest.mark.parametrize("spelling", ["<value.h>", '"sub/value.h"', '"../{name}/inc/sub/value.h"'])
def test_a_folder_that_is_renamed_while_clang_reads(
    space: Space, monkeypatch: pytest.MonkeyPatch, spelling: str
) -> None:
    """Nothing in it is newer than the build then."""
    for n, folder in enumerate(("inc", "inc2", "one/sub2")):
        header(f"{folder}/value.h", n)
        header(f"{folder}/sub/value.h", n)
    Path("value.h").unlink()
    include(spelling.format(name=space.folder.name))

    def swap() -> None:
        Path("inc").rename("old")
        Path("inc2").rename("inc")
        Path("inc/other.h").touch()  # hides the time of the renaming

    with monkeypatch.context() as patch:
        run_clang = clang_module._run

        def wrapped(command: list[str], source: Path, running: Running | None) -> str:
            said = run_clang(command, source, running)
            swap()
            return said

        patch.setattr(clang_module, "_run", wrapped)
        assert "i32 0" in space.ask("-Iinc")[0]
        assert space.reads is None and "inc" in space.not_kept["main.c"]
    assert "i32 1" in space.check(1, "-Iinc")[0]


def test_a_folder_found_earlier_that_comes_while_clang_reads(
    space: Space, monkeypatch: pytest.MonkeyPatch
) -> None:
    header("late/value.h", 9)
    include("<value.h>")

    def move() -> None:
        Path("late").rename("one")

    meanwhile(space, monkeypatch, move)
    assert "i32 9" in space.check(1, "-Ione", "-I.")[0]


def test_a_busy_folder(space: Space, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files that come and go beside headers are no reason to read again."""
    header("inc/value.h", 3)
    include("<value.h>")
    space.busy = ("inc",)

    def write_more() -> None:
        Path("inc/other.o").touch()
        Path("inc/other.o").unlink()

    run_clang = clang_module._run

    def wrapped(command: list[str], source: Path, running: Running | None) -> str:
        said = run_clang(command, source, running)
        write_more()
        return said

    monkeypatch.setattr(clang_module, "_run", wrapped)
    space.settle("-Iinc")


# What else


def test_warnings_are_shown_again(space: Space) -> None:
    Path("main.c").write_text("int f(void) { int unused; return 1; }\n")
    for expected in (1, 0):
        assert "unused variable 'unused'" in space.check(expected, "-Wall")[1]


@pytest.mark.parametrize("flag", ["-fsanitize=address", "-fsanitize=undefined", "-fprofile-generate", "-pg"])
def test_objects_of_files_compiled_whole(space: Space, flag: str) -> None:
    space.settle(flag)
    header("value.h", 3)
    space.check(1, flag)


def test_names_with_blanks_and_signs(space: Space) -> None:
    for name in ("a b.h", "a#b.h", "a$b.h", "ä.h"):
        include(f'"{name}"')
        header(name)
        space.settle()
        header(name, 3)
        space.check(1)


def test_many_files_of_which_one_changes(space: Space) -> None:
    names = tuple(f"f{n}.c" for n in range(4))
    for n, name in enumerate(names):
        Path(name).write_text(f'#include "value.h"\nint f{n}(void) {{ return VALUE + {n}; }}\n')
    space.ask(names=names)
    assert space.runs() == 4
    Path("f2.c").write_text("int f2(void) { return 0; }\n")
    assert [text.count("define") for text in space.ask(names=names)] == [1, 1, 1, 1]
    assert space.runs() == 1


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"[]",
        b"{}",
        b'{"dependencies":[["file"]]}',
        b'{"search":1,"dependencies":[],"variants":[[[5],""]]}',
        b"\xff",
    ],
)
def test_a_strange_manifest_is_none(space: Space, payload: bytes) -> None:
    space.settle()
    store = EntryStore(FileStore(space.folder / "cache"))
    for path in (space.folder / "cache").rglob("*.o"):
        key = path.parent.name + path.stem
        entry = store.load(key)
        if entry and b'"variants"' in entry.payload:
            store.save(Entry(key, payload, {}))
    space.settle()


def test_no_process_to_store_with(space: Space, monkeypatch: pytest.MonkeyPatch) -> None:
    def fork() -> int:
        raise BlockingIOError

    monkeypatch.setattr("nativecache.aot.front.clang_cache.os.fork", fork)
    space.settle()


def test_a_damaged_cache(space: Space) -> None:
    space.settle()
    for path in (space.folder / "cache").rglob("*.o"):
        path.write_bytes(path.read_bytes()[:-1])
    space.settle()
    for path in (space.folder / "cache").rglob("*.o"):
        path.unlink()
    space.settle()


def test_depfiles(tmp_path: Path) -> None:
    depfile = tmp_path / "d"
    depfile.write_text("it: a.c b\\ c.h \\\n  d\\#e.h f$$g.h\n")
    assert read_depfile(depfile) == ["a.c", "b c.h", "d#e.h", "f$g.h"]
    depfile.write_text("a.o: a.c\n")
    with pytest.raises(ValueError, match="not a depfile"):
        read_depfile(depfile)


def test_the_search_path_names_folders_that_are_not_there(tmp_path: Path) -> None:
    path = search_path(Clang((CLANG,), 22), Path("a.c"), (f"-I{tmp_path}/no", f"-I{tmp_path}"))
    assert path and {f"{tmp_path}/no", str(tmp_path), "/usr/include"} <= set(path.folders)
    assert "clang" in path.program and os.path.isabs(path.program)
    assert search_path(Clang((CLANG,), 22), Path("a.c"), ("--nosuch",)) is None
    assert search_path(Clang(("true",), 22), Path("a.c"), ()) is None
    assert search_path(Clang(("nosuch",), 22), Path("a.c"), ()) is None


@pytest.mark.slow
def test_builds_say_how_many_files_were_unchanged(tmp_path: Path) -> None:
    write(
        tmp_path,
        {"a.c": "int f(void) { return 3; }\n", "b.c": "int f(void); int main(void) { return f(); }\n"},
    )
    words = ("a.c", "b.c", "-O1", "-o", "app")
    assert build(tmp_path, *words).stats["sources_unchanged"] == 0
    write(tmp_path, {"a.c": "int f(void) { return 4; }\n"})
    done = build(tmp_path, *words, "--timings")
    assert (done.stats["sources"], done.stats["sources_unchanged"]) == (2, 1)
    assert "app: front end: 1 of 2 files unchanged\n" in done.stdout
    assert run(tmp_path / "app").code == 4
    assert build(tmp_path, *words, "--no-cache").stats["sources_unchanged"] == 0


@pytest.mark.parametrize(
    ("appears", "flag"),
    [
        ("root/usr/include/x86_64-linux-gnu/q.h", "--sysroot=root"),
        ("root/usr/include/c++/12/q.h", "--sysroot=root"),
        ("root/include/c++/12/q.h", "--gcc-toolchain=root"),
        ("root/include/q.h", "-resource-dir root"),
    ],
)
def test_folders_that_clang_would_look_in_if_they_were_there(space: Space, appears: str, flag: str) -> None:
    Path("main.cpp").write_text("#if __has_include(<q.h>)\nint there;\n#endif\n")
    Path("root").mkdir()
    flags = (*flag.split(), "--target=x86_64-linux-gnu")
    assert "@there" not in space.ask(*flags, names=("main.cpp",))[0]
    space.runs()
    space.ask(*flags, names=("main.cpp",))
    assert space.runs() == 0
    place = "root/usr/lib" if "usr" in appears else "root/lib"
    write_at(Path(place, "gcc/x86_64-linux-gnu/12/crtbegin.o"))
    write_at(Path(appears))
    assert "@there" in space.ask(*flags, names=("main.cpp",))[0]


def write_at(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()


@pytest.mark.parametrize(
    ("text", "flags", "fits"),
    [
        ("int main(void) { int n = 0; char *p = &n; return *p; }", ("-w",), False),
        ("int main(void) { return f(); }", ("-w", "-std=c11"), False),
        ("int main(void) { int n; if (n = 0) return 1; return 0; }", ("-w",), True),
        ("int main(void) { int n; if (n = 0) return 1; return 0; }", ("-w", "-Werror"), True),
        ("int main(void) { int n; if (n = 0) return 1; return 0; }", ("-w", "-Werror=parentheses"), True),
    ],
)
def test_without_warnings_errors_stay(text: str, flags: tuple[str, ...], fits: bool, tmp_path: Path) -> None:
    write(tmp_path, {"a.c": text})
    theirs = subprocess.run([CLANG, *flags, "-c", "a.c", "-o", "a.o"], cwd=tmp_path, capture_output=True)
    ours = build(tmp_path, "a.c", *flags, "-o", "a", check=False)
    assert (theirs.returncode == 0, ours.exit_code == 0) == (fits, fits)
    assert "not kept" not in ours.stdout + ours.stderr
