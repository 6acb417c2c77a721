"""Flags that builds pass do what clang does at them, and names are those that the user gave."""

import os
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from harness import CLANG, needs, needs_clang, needs_lld, needs_mold, run
from rules import Build, clang_object, write

pytestmark = needs_clang

SAYS_FILE = "#include <stdio.h>\nint f(void);\nint main(void) { puts(__FILE__); return f(); }\n"
SEVEN = "int main(void) { return 7; }\n"


def attempt(space: Path, *words: str) -> tuple[int | None, str]:
    """Exit code of a build and all that it printed; the cache and the log are beside the folder."""
    folder = space.parent / f"{space.name}.built"
    folder.mkdir(exist_ok=True)
    started = Build.start(space, folder, *words)
    started.process.join(60)
    return started.process.exitcode, started.log.read_text()


def built(space: Path, *words: str) -> str:
    code, said = attempt(space, *words)
    assert code == 0, said
    return said


def clang(space: Path, *words: str) -> None:
    subprocess.run([CLANG, "-w", *words], cwd=space, check=True, timeout=60)


# Names


@pytest.mark.parametrize(
    ("source", "native"),
    [
        *(("./-x.c", "./-x.o"), ("./-d/x.c", "./@x.o"), (".//-d/../-x.c", "./-d/./x.o")),
        ("././-x.c", "./odd\udcff.o"),
    ],
)
def test_names_are_what_the_user_gave(tmp_path: Path, source: str, native: str) -> None:
    (tmp_path / "-d").mkdir()
    (tmp_path / source).write_text(SAYS_FILE)
    made = clang_object(tmp_path, "made.c", "int f(void) { return 3; }\n")
    os.rename(tmp_path / made, os.fsencode(tmp_path) + b"/" + os.fsencode(native))
    for _ in range(2):  # read, and remembered
        built(tmp_path, source, native, "-o", "./-app")
        done = run(tmp_path / "-app")
        assert (done.code, done.stdout) == (3, os.fsencode(source) + b"\n")


def test_a_name_that_begins_with_a_dot_is_remembered(tmp_path: Path) -> None:
    """clang leaves out `./` in the depfile by which its answer is kept."""
    (tmp_path / "a.c").write_text(SEVEN)
    time.sleep(0.03)
    built(tmp_path, "./a.c", "-o", "app")
    assert "front end: 1 of 1 files unchanged" in built(tmp_path, "./a.c", "-o", "app", "-v")


def test_a_name_that_is_all_suffix(tmp_path: Path) -> None:
    write(tmp_path, {".c": SEVEN, ".ll": "define i32 @f() {\n  ret i32 1\n}\n"})
    built(tmp_path, ".c", ".ll", "-o", "app")
    assert run(tmp_path / "app").code == 7
    built(tmp_path, "-c", ".c", "-MD")
    assert (tmp_path / ".o").exists() and (tmp_path / ".d").exists()


# Languages


def test_languages_and_standard_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "program").write_text('extern "C" int f(void);\nint main() { return f(); }\n')
    write(tmp_path, {"f.c": "int new = 9;\nint f(void) { return new; }\n"})
    built(tmp_path, "-x", "c++", "program", "-x", "none", "f.c", "-o", "app")
    assert run(tmp_path / "app").code == 9
    with (tmp_path / "program").open("rb") as file:
        kept = os.dup(0)
        try:
            os.dup2(file.fileno(), 0)
            built(tmp_path, "f.c", "-xc++", "-", "-o", "again")
        finally:
            os.dup2(kept, 0)
            os.close(kept)
    assert run(tmp_path / "again").code == 9


def test_sources_that_yield_nothing(tmp_path: Path) -> None:
    write(tmp_path, {"none.c": "/* nothing */\ntypedef int t;\n", "empty.c": "", "main.c": SEVEN})
    for kind in ("object", "archive", "shared", "asm", "bitcode"):
        built(tmp_path, "none.c", "empty.c", "--emit", kind, "-o", kind)
    words = ("object", "-Wl,--whole-archive", "archive", "-Wl,--no-whole-archive")
    clang(tmp_path, "main.c", *words, "-o", "app")
    members = subprocess.run(["ar", "t", "archive"], cwd=tmp_path, capture_output=True, text=True).stdout
    assert run(tmp_path / "app").code == 7 and members.split() == ["none.o", "empty.o"]
    built(tmp_path, "empty.c", "main.c", "-o", "app")


# Objects


def test_c_makes_an_object_of_each_source(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    main = "int b(void);\nint main(void) { return b(); }\n"
    write(tmp_path, {"a.c": main, "sub/b.c": "int b(void) { return 5; }\n"})
    built(tmp_path, "-c", "a.c", "sub/b.c")
    clang(tmp_path, "a.o", "b.o", "-o", "app")
    assert run(tmp_path / "app").code == 5
    code, said = attempt(tmp_path, "-c", "a.c", "sub/b.c", "-o", "both.o")
    assert code == 2 and "leave -o out, or say --emit object" in said
    assert "b.o: not used" in built(tmp_path, "-c", "a.c", "b.o")


SECTIONS = """\
int a = 1, z;
static int b = 2;
extern int x;
int *const p = &x;
const char *s = "hello";
_Thread_local int t = 3;
const int ro[4] = {1, 2, 3, 4};
int f(void) { return b++; }
int sw(int n) { switch (n) { case 0: return f(); case 1: return 77; case 2: return z; case 3: return a;
  case 4: return b * n; case 5: return a * 3 + f(); default: return 1; } }
__attribute__((cold)) int cold(int n) { return n; }
__attribute__((section("mine"))) int g(void) { return 1; }
"""
#: Those that linkers make, or that say nothing of code.
_OTHERS = {"", "NULL", ".comment", ".llvm_addrsig", ".strtab", ".shstrtab", ".symtab"}


def sections(obj: Path) -> list[str]:
    text = subprocess.run(["readelf", "-SW", obj], capture_output=True, text=True, check=True).stdout
    rows = [line.partition("]")[2].split() for line in text.splitlines() if line.lstrip()[:1] == "["]
    return sorted(row[0] for row in rows if row and row[0] not in _OTHERS)


@needs("readelf")
@pytest.mark.parametrize(
    "linker", ["bfd", pytest.param("lld", marks=needs_lld), pytest.param("mold", marks=needs_mold)]
)
def test_objects_keep_a_section_for_each_function_and_datum(tmp_path: Path, linker: str) -> None:
    write(tmp_path, {"a.c": SECTIONS})
    flags = ("-O2", "-ffunction-sections", "-fdata-sections")
    clang(tmp_path, "-c", *flags, "a.c", "-o", "clang.o")
    built(tmp_path, *flags, "a.c", "--emit", "object", "-o", "ours.o", "--linker", linker)
    assert sections(tmp_path / "ours.o") == sections(tmp_path / "clang.o")
    words = ("a.c", "--emit", "object", "-o", "ours.o", "--linker", linker)
    built(tmp_path, *flags, "-fno-data-sections", *words)
    assert ".data" in sections(tmp_path / "ours.o") and ".text.f" in sections(tmp_path / "ours.o")


# Depfiles


def dependencies(space: Path, flags: Sequence[str]) -> dict[str, str]:
    """What the depfiles in a folder say, which are gone then."""
    found = {path.name: path.read_text() for path in space.glob("*d") if path.is_file()}
    for name in found:
        (space / name).unlink()
    assert found, flags
    return found


@pytest.mark.parametrize(
    "flags",
    [
        *("-MD", "-MMD -MP", "-MMD -MT x -MT y -MF other.d", "-MD -MQ a$b -o sub.o", "-Wp,-MMD,k.d"),
        "-MMD -o s.x.o",
    ],
)
def test_depfiles_are_clangs(tmp_path: Path, flags: str) -> None:
    text = '#include "h.h"\n#include <stddef.h>\nint f(void) { return H; }\n'
    write(tmp_path, {"a b.c": text, "h.h": "#define H 1\n"})
    clang(tmp_path, *flags.split(), "-c", "a b.c")
    expected = dependencies(tmp_path, flags)
    for _ in range(2):
        built(tmp_path, *flags.split(), "-c", "a b.c")
        assert dependencies(tmp_path, flags) == expected


@pytest.mark.parametrize("flags", ["-O0 -MD", "-O2 -MMD", "-Os -MMD -MD", "-MD -MMD -O3"])
def test_depfiles_name_what_is_read_at_that_level(tmp_path: Path, flags: str) -> None:
    text = "#ifdef __OPTIMIZE__\n#include <stddef.h>\n#include NAME\n#endif\nint f(void) { return 1; }\n"
    write(tmp_path, {"a.c": text.replace("NAME", '"h.h"'), "h.h": ""})
    clang(tmp_path, *flags.split(), "-c", "a.c")
    expected = dependencies(tmp_path, flags)
    built(tmp_path, *flags.split(), "-c", "a.c")
    assert dependencies(tmp_path, flags) == expected


def test_a_depfile_of_several_sources_names_all(tmp_path: Path) -> None:
    text = '#include "h.h"\n'
    write(tmp_path, {"a.c": text + SEVEN, "b.c": text, "h.h": ""})
    words = ("a.c", "b.c", "-MMD", "-o", "app")
    time.sleep(0.03)
    built(tmp_path, *words)
    assert (tmp_path / "app.d").read_text() == "app: a.c h.h\napp: b.c h.h\n"
    code, said = attempt(tmp_path, "a.c", "-MMD", "-MF", "a.c", "-o", "app")
    assert code == 2 and "would be the depfile" in said and (tmp_path / "a.c").read_text() == text + SEVEN


# Libraries


@needs("ld.bfd")
@pytest.mark.parametrize("flag", ["-fopenmp", "-fopenmp=libgomp", "-fopenmp-simd", "-rtlib=compiler-rt"])
def test_runtimes_are_those_that_clang_links(tmp_path: Path, flag: str) -> None:
    text = "int main(void) {\n  int s = 0;\n#pragma omp parallel for reduction(+:s)\n"
    write(tmp_path, {"a.c": text + "  for (int i = 0; i < 10; i++) s += i;\n  return s;\n}\n"})
    try:
        clang(tmp_path, "a.c", flag, "-o", "clang")
    except subprocess.CalledProcessError:
        pytest.skip(f"clang has no library for {flag}")
    built(tmp_path, "a.c", flag, "-o", "ours", "--linker", "bfd")
    assert needed(tmp_path / "ours") == needed(tmp_path / "clang") and run(tmp_path / "ours").code == 45


def needed(image: Path) -> list[str]:
    text = subprocess.run(["readelf", "-d", image], capture_output=True, text=True, check=True).stdout
    return sorted(line.split()[-1] for line in text.splitlines() if "NEEDED" in line)


@pytest.mark.parametrize(
    "flags",
    ["-O4", "-Og", "-Ofast", "-Os -O1", "-w -Qunused-arguments -undef -trigraphs", "-imacros h.h -DH=2",
     "-Xclang -fno-unroll-loops", "-mllvm -inline-threshold=5", "-target x86_64-linux-gnu", "@flags"],
)  # fmt: skip
def test_flags_that_builds_pass(tmp_path: Path, flags: str) -> None:
    write(tmp_path, {"a.c": SEVEN, "h.h": "#define SEVEN 7\n"})
    (tmp_path / "flags").write_text("-O1 '-DA=a b' @more")
    (tmp_path / "more").write_text("-g0")
    built(tmp_path, "a.c", *flags.split(), "-o", "app")
    assert run(tmp_path / "app").code == 7


def test_what_clang_makes_on_its_way_can_be_kept(tmp_path: Path) -> None:
    write(tmp_path, {"a.c": SEVEN})
    for _ in range(2):
        built(tmp_path, "a.c", "-save-temps", "-o", "app")
        for name in ("a.i", "a.bc", "a.s"):
            (tmp_path / name).unlink()


# What is not to be overwritten


def test_figures_overwrite_no_ones_work(tmp_path: Path) -> None:
    write(tmp_path, {"a.c": SEVEN, "b.c": "int b;\n", "c.c": "int c;\n"})
    time.sleep(0.03)
    built(tmp_path, "a.c", "b.c", "-o", "app")
    for name in ("b.c", "c.c", "./a.c", "app"):
        code, said = attempt(tmp_path, "a.c", "b.c", "-o", "app", "--stats-json", name)
        assert code == 2 and f"--stats-json {Path(name)}" in said, said
    assert (tmp_path / "b.c").read_text() == "int b;\n" and (tmp_path / "c.c").read_text() == "int c;\n"
    built(tmp_path, "a.c", "b.c", "-o", "app", "--stats-json", "new.json")
    built(tmp_path, "a.c", "b.c", "-o", "app", "--stats-json", "new.json")
