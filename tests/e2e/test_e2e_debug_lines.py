"""Objects with encoded lines, restored, are the objects of the real lines; edits that move lines are hits."""

import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from fetch import sqlite_sources
from harness import CLANG, PROGRAMS, BuildResult, needs, needs_clang, needs_csmith
from pipeline import TRIPLE, Pipeline, resolved_with_debug
from rules import Build, write
from samples import C_FILES, CXX_FILES, MAIN, TABLE

from nativecache.aot.codegen import llvm
from nativecache.aot.debug import analysis
from nativecache.aot.debug.errors import Unsupported
from nativecache.aot.key import Options
from nativecache.aot.output.image import Image, _with_lines
from nativecache.aot.output.results import UnitResult
from nativecache.aot.units import metadata
from nativecache.aot.units.imports import (
    IMPORT_LINES,
    IMPORT_TOTAL,
    ImportLimits,
)
from nativecache.aot.units.partition import Unit
from nativecache.cache.lookup import EntryStore
from nativecache.cache.store import MemoryStore
from nativecache.linker.elf import ET_REL, contents, read_headers, string_at, string_table
from nativecache.linker.fixups import find_fixups

pytestmark = [needs_clang, needs("llvm-dwarfdump-22")]

LEVELS = ("-O0", "-O2")
SHT_NOBITS, ET_EXEC, ET_DYN = 8, 2, 3


# Restored objects


def pair(made: Pipeline, unit: Unit) -> tuple[bytes, bytes, bool]:
    """The object that is restored, that of real lines, and whether the lines could be encoded."""
    layout = made.program.modules[unit.module].module.datalayout
    encoded = made.extract(unit, datalayout=layout)
    restored = emitted = made.emit(unit, encoded)
    if fixups := find_fixups(emitted) if encoded.relative else None:
        n = unit.index
        result = UnitResult("", "", "", encoded.line_map.encode(), fixups.encode())
        image = Image(made.program, made.units, {n: emitted}, {n: result}, (), False, None)
        restored = _with_lines(image, n)
    real = made.emit(unit, made.extract(unit, datalayout=layout, real_lines=True))
    return restored, real, not encoded.absolute


def whole(texts: Sequence[tuple[str, str]], level: int, *, optimize: bool = True) -> Pipeline:
    """A program that is ready to be compiled unit by unit."""
    made = replace(
        resolved_with_debug(texts),
        engine=llvm.find_engine("auto", None),
        options=Options(TRIPLE, "", "", level, optimize, "pic", "default"),
        store=EntryStore(MemoryStore()),
    )
    assert all(part.module.debug is not None for part in made.program.modules)
    return made.simplify(ImportLimits(IMPORT_LINES, IMPORT_TOTAL)) if level and optimize else made


def front(source: Path, *flags: str) -> tuple[str, str]:
    """A file's name and its IR."""
    command = [
        CLANG,
        *flags,
        "-w",
        "-S",
        "-emit-llvm",
        "-Xclang",
        "-disable-llvm-passes",
        str(source),
        "-o",
        "-",
    ]
    done = subprocess.run(command, check=True, capture_output=True, timeout=100)
    return source.name, done.stdout.decode("latin-1")


def sections(obj: bytes) -> dict[str, list[bytes]]:
    """Contents of all sections but those with debug information and the tables, by name."""
    file = read_headers(obj, ET_REL)
    names = string_table(obj, file, file.names_index)
    found: dict[str, list[bytes]] = {}
    for section in file.sections[1:]:
        name = string_at(names, section.name)
        if ".debug_" not in name and name not in (".strtab", ".symtab"):
            empty = section.type == SHT_NOBITS
            found.setdefault(name, []).append(b"\0" * section.size if empty else contents(obj, section))
    return found


#: Where an entry is, or a list, or a table: encoded lines are in wider forms.
OFFSET = re.compile(r"0x[0-9a-f]{8}(?![0-9a-f])|debug_line\[[^]]*\]")
UNSAID = re.compile(r"^ *(?:total_length|prologue_length|.*Compile Unit: length|format =).*\n?", re.MULTILINE)


def decoded(folder: Path, objects: Sequence[bytes]) -> list[str]:
    """What debuggers read in each of some objects."""
    folder.mkdir(parents=True)
    names = [f"{n}.o" for n in range(len(objects))]
    for name, obj in zip(names, objects, strict=True):
        (folder / name).write_bytes(obj)
    kinds = ("info", "line", "loc", "loclists", "rnglists", "addr", "frame")
    command = ["llvm-dwarfdump-22", *(f"--debug-{kind}" for kind in kinds), *names]
    done = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True, timeout=500)
    parts = re.split(r"^\d+\.o:\tfile format .*\n", done.stdout, flags=re.MULTILINE)[1:]
    assert len(parts) == len(objects)
    return [OFFSET.sub("AT", UNSAID.sub("", part)) for part in parts]


def check_restored(folder: Path, made: Pipeline, units: Sequence[Unit]) -> int:
    """Compares both objects of units; how many had encoded lines."""
    pairs = [pair(made, unit) for unit in units]
    for unit, (restored, real, _) in zip(units, pairs, strict=True):
        assert sections(restored) == sections(real), unit.name
    ours = decoded(folder / "restored", [restored for restored, _, _ in pairs])
    theirs = decoded(folder / "real", [real for _, real, _ in pairs])
    for unit, one, other in zip(units, ours, theirs, strict=True):
        assert one == other, f"{unit.name}: {folder}"
    return sum(encoded for _, _, encoded in pairs)


def sampled(units: Sequence[Unit], count: int) -> list[Unit]:
    """Some of the units, and all of the kinds that there are few of."""
    functions = [unit for unit in units if unit.kind == "function"]
    rest = [unit for unit in units if unit.kind != "function"]
    return functions[:: max(1, len(functions) // count)] + rest[:8]


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("debug", ["-g", "-g1"])
def test_c_is_restored(tmp_path: Path, level: str, debug: str) -> None:
    made = whole([front(PROGRAMS / "debug.c", level, debug)], int(level[2]))
    units = [unit for unit in made.units if unit.kind != "types"]
    assert check_restored(tmp_path, made, units) == len(units)


@pytest.mark.family(2, 1)
@pytest.mark.parametrize("level", LEVELS)
def test_cxx_is_restored(tmp_path: Path, level: str) -> None:
    made = whole([front(PROGRAMS / "debug.cpp", level, "-g", "-std=c++20")], int(level[2]))
    units = [unit for unit in sampled(made.units, 60) if unit.kind != "types"]
    assert check_restored(tmp_path, made, units) == len(units)


def test_optimised_ir_is_restored(tmp_path: Path) -> None:
    """What is inlined already names lines of many functions."""
    command = [CLANG, "-O2", "-g", "-w", "-S", "-emit-llvm", str(PROGRAMS / "debug.c"), "-o", "-"]
    text = subprocess.run(command, check=True, capture_output=True, timeout=100).stdout.decode("latin-1")
    for optimize in (True, False):
        made = whole([("debug.ll", text)], 2, optimize=optimize)
        units = [unit for unit in made.units if unit.kind != "types"]
        assert check_restored(tmp_path / str(optimize), made, units) == len(units)


@needs_csmith
def test_random_programs_are_restored(tmp_path: Path) -> None:
    for seed in (11, 12):
        (tmp_path / "random.c").write_bytes(
            subprocess.run(
                ["csmith", "--seed", str(seed)], check=True, capture_output=True, timeout=60, cwd=tmp_path
            ).stdout
        )
        made = whole([front(tmp_path / "random.c", "-O2", "-g", "-I/usr/include/csmith")], 2)
        units = [unit for unit in sampled(made.units, 12) if unit.kind != "types"]
        assert check_restored(tmp_path / str(seed), made, units) == len(units)


LOCAL_TYPES = """\
#include <map>
#include <string>
static int counted() {
    static int count = 0;
    for (int i = 0; i < 3; i++) { struct Local { int a; } l{i}; count += l.a; }
    return count;
}
template <class F> int twice(F f) { return f(1) + f(2); }
int local(int argc) {
    std::map<std::string, int> m;
    while (argc-- > 0) m["a"] += twice([&](int x) { return x + argc; });
    try { return m.at("a") + counted(); } catch (...) { return 0; }
}
"""


def test_kept_nodes_are_written_as_all_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, {**CXX_FILES, "local.cpp": LOCAL_TYPES})
    names = (*(name for name in CXX_FILES if name.endswith(".cpp")), "local.cpp")
    for level in ("-O1", "-O2"):
        made = whole([front(tmp_path / name, level, "-g") for name in names], 2)
        quick = list(map(made.extract, made.units))
        with monkeypatch.context() as patch:
            patch.setattr(metadata, "SHARED_NODE", 0)
            assert quick == list(map(made.extract, made.units))


@pytest.mark.family(2, 1)  # a minute: in `make torture` only
def test_sqlite_is_restored(tmp_path: Path) -> None:
    made = whole([front(sqlite_sources() / "sqlite3.c", "-O2", "-g")], 2)
    units = [unit for unit in sampled(made.units, 40) if unit.kind != "types"]
    assert check_restored(tmp_path, made, units) == len(units)


RUST = """\
use std::collections::HashMap;
#[derive(Debug, Clone)]
enum Shape { Round(f64), Square { side: f64 }, None }
fn area(shape: &Shape) -> Option<f64> {
    match shape {
        Shape::Round(r) => Some(r * r * 3.0),
        Shape::Square { side } => Some(side * side),
        _ => None,
    }
}
fn main() {
    let mut all: HashMap<String, Vec<Shape>> = HashMap::new();
    for n in 0..4 {
        let shape = if n == 3 { Shape::None } else { Shape::Round(n as f64) };
        all.entry(format!("{}", n % 2)).or_default().push(shape);
    }
    let sum: f64 = all.values().flat_map(|list| list.iter()).filter_map(area).sum();
    println!("{} {:?}", sum, Shape::Square { side: 2.0 });
}
"""


@needs("rustc")
def test_rust_is_restored(tmp_path: Path) -> None:
    if subprocess.run(["rustc", "--version"], capture_output=True, check=False).returncode:
        pytest.skip("rustc is there, but has no toolchain")
    (tmp_path / "main.rs").write_text(RUST)
    command = [
        "rustc",
        "-g",
        "--emit=llvm-ir",
        "-Cno-prepopulate-passes",
        "-Ccodegen-units=1",
        "-Copt-level=2",
    ]
    subprocess.run([*command, "main.rs"], cwd=tmp_path, check=True, timeout=100)
    text = llvm.read_module((tmp_path / "main.ll").read_bytes())
    made = whole([("main.ll", text)], 2)
    units = [unit for unit in sampled(made.units, 40) if unit.kind != "types"]
    assert check_restored(tmp_path, made, units) == len(units)


# Edits


def start(space: Path, image: str, sources: Sequence[str], *words: str, cache: str = "cache") -> Build:
    """Start a build in `space` whose image is `space`/../`image`/image."""
    folder = space.parent / image
    folder.mkdir(exist_ok=True)
    return Build.start(
        space, folder, *sources, *words, "--cache-dir", str(space.parent / cache), "-o", folder / "image"
    )


def images(space: Path, *folders: str) -> list[bytes]:
    return [(space / folder / "image").read_bytes() for folder in folders]


def swapped(text: str, first: str, second: str) -> str:
    """The text with two pieces in each other's place."""
    return text.replace(first, "\0").replace(second, first).replace("\0", second)


INSERT = TABLE[TABLE.index("struct item *insert(") : TABLE.index("float total(")]
TOTAL = TABLE[TABLE.index("float total(") : TABLE.index("struct range range_of(")]
SHARE = MAIN[MAIN.index("__attribute__") : MAIN.index("enum color paint(")]
NEW = "__attribute__((used)) long many(long n) {\n    long m = n;\n    return m * m;\n}\n"

#: By name: file, its new text.
C_MOVES = {
    "lines on top": ("table.c", "\n// moved\n" * 40 + TABLE),
    "lines in the header": ("table.h", C_FILES["table.h"].replace("struct item {", "\n\nstruct item {")),
    "lines between": ("table.c", TABLE.replace("float total(", "\n\n\nfloat total(")),
    "function moved": ("table.c", swapped(TABLE, INSERT, TOTAL)),
    "function with a static variable moved": (
        "main.c",
        MAIN.replace(SHARE, "").replace("int main(", SHARE + "int main("),
    ),
    "function inserted": ("table.c", TABLE.replace("__attribute__", NEW + "__attribute__", 1)),
}
CXX_MOVES = {
    "lines on top": ("main.cpp", "\n\n" + CXX_FILES["main.cpp"]),
    "lines in the header": (
        "shapes.h",
        CXX_FILES["shapes.h"].replace("namespace shapes {", "\nnamespace shapes {"),
    ),
    "lines in a class": (
        "shapes.h",
        CXX_FILES["shapes.h"].replace("    bool operator<", "\n\n    bool operator<"),
    ),
}


@pytest.fixture(scope="module", params=LEVELS)
def level(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def built(level: str, tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], Path]:
    """Spaces with a cache in which the programs are built, by language and flag for debug information."""
    spaces = {}
    for debug in ("-g", "-g0"):
        for language, files in (("c", C_FILES), ("c++", CXX_FILES)):
            space = tmp_path_factory.mktemp("moves")
            (space / "src").mkdir()
            start(space / "src", "old", write(space / "src", files), level, debug).result()
            spaces[language, debug] = space
    return spaces


def rebuild(before: Path, space: Path, files: Mapping[str, str], *words: str) -> BuildResult:
    """Build edited files with a cache and without."""
    shutil.copytree(before, space)
    sources = write(space / "src", files)
    cold = start(space / "src", "cold", sources, *words, "-j2", cache="empty")
    warm = start(space / "src", "warm", sources, *words, "-j1").result()
    cold.result()
    one, other = images(space, "warm", "cold")
    assert one == other
    return warm


@pytest.mark.family(3)
@pytest.mark.parametrize(
    ("language", "name"), [*(("c", name) for name in C_MOVES), *(("c++", name) for name in CXX_MOVES)]
)
def test_moves_are_hits(
    built: dict[tuple[str, str], Path], tmp_path: Path, language: str, name: str, level: str
) -> None:
    files, moves = (C_FILES, C_MOVES) if language == "c" else (CXX_FILES, CXX_MOVES)
    file, text = moves[name]
    assert text != files[file]
    changed = {**files, file: text}
    result, plain = (
        rebuild(built[language, debug], tmp_path / debug, changed, level, debug) for debug in ("-g", "-g0")
    )
    assert result.compiled == plain.compiled == (["many"] if name == "function inserted" else [])
    assert result.hits == plain.hits + len(write(tmp_path, files))  # and the types of each file


def test_a_longer_function_is_compiled(
    built: dict[tuple[str, str], Path], tmp_path: Path, level: str
) -> None:
    changed = {**C_FILES, "table.c": TABLE.replace("    int turns", "\n    int turns")}
    result = rebuild(built["c", "-g"], tmp_path / "space", changed, level, "-g")
    assert result.compiled == ["spin"]


@pytest.mark.parametrize("emit", ["shared", "object", "archive"])
def test_moves_are_hits_in_other_outputs(tmp_path: Path, emit: str) -> None:
    (tmp_path / "src").mkdir()
    words = ["-O2", "-g", "--emit", emit]
    start(tmp_path / "src", "old", write(tmp_path / "src", C_FILES), *words).result()
    changed = {**C_FILES, "table.c": "\n" + TABLE, "main.c": "\n\n\n" + MAIN}
    assert rebuild(tmp_path, tmp_path / "space", changed, *words).compiled == []


@pytest.mark.family(2)
def test_checkouts_share_a_cache(tmp_path: Path, level: str) -> None:
    texts = [C_FILES, {**C_FILES, "table.c": "\n" + TABLE, "table.h": "\n\n" + C_FILES["table.h"]}]
    for n, (folder, files) in enumerate(
        [("one", 0), ("two", 0), ("one", 1), ("two", 1), ("one", 0), ("two", 1)]
    ):
        (tmp_path / folder).mkdir(exist_ok=True)
        sources = write(tmp_path / folder, texts[files])
        result = start(tmp_path / folder, "warm", sources, level, "-g").result()
        assert n == 0 or result.misses == 0
        start(tmp_path / folder, "cold", sources, level, "-g", cache=f"cache{n}").result()
        one, other = images(tmp_path, "warm", "cold")
        assert one == other
        assert f"{tmp_path / folder}\0".encode() in one


def test_debug_information_changes_no_code(built: dict[tuple[str, str], Path], level: str) -> None:
    for language in ("c", "c++"):
        with_debug, without = (
            image_sections(built[language, debug] / "old" / "image") for debug in ("-g", "-g0")
        )
        assert with_debug[".text"] == without[".text"]
        assert with_debug[".rodata"] == without[".rodata"]


def image_sections(image: Path) -> dict[str, bytes]:
    data = image.read_bytes()
    file = read_headers(data, ET_EXEC, ET_DYN)
    names = string_table(data, file, file.names_index)
    return {string_at(names, s.name): data[s.offset : s.offset + s.size] for s in file.sections}


def test_all_hits_are_verified(built: dict[tuple[str, str], Path], tmp_path: Path, level: str) -> None:
    for language, files in (("c", C_FILES), ("c++", CXX_FILES)):
        changed = {name: "\n" + text for name, text in files.items()}
        result = rebuild(built[language, "-g"], tmp_path / language, changed, level, "-g", "--verify=100")
        assert result.misses == 0
        assert f"{result.hits} hits compiled again, 0 of them wrong" in result.stdout


# What was wrong once


def rebuilt(space: Path, texts: Sequence[str], *words: str, name: str = "main.c") -> list[BuildResult]:
    """Build texts of a file one after the other with one cache, and each without."""
    results = []
    source = space / "src"
    source.mkdir(parents=True, exist_ok=True)
    for n, text in enumerate(texts):
        (source / name).write_text(text)
        results.append(start(source, "warm", [name], *words).result())
        start(source, "cold", [name], *words, cache=f"cache{n}").result()
        one, other = images(space, "warm", "cold")
        assert one == other
    return results


PART = "#ifdef FIRST\nx += FIRST;\n#endif\nx *= 3;\nx ^= 5;\n"
BOTH = """\
#define NOINLINE __attribute__((noinline))
NOINLINE int f(int x) {
#define FIRST 1
#include "part.def"
    return x;
}
NOINLINE int g(int x) {
#define FIRST 1
#include "part.def"
    return x + 1;
}
int main(int n, char **words) { return f(n) + g(n); }
"""


def test_functions_that_include_the_same_lines(tmp_path: Path, level: str) -> None:
    """The lines of `g` are told from the first of `f`, if that is the same."""
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "part.def").write_text(PART)
    shorter = BOTH.replace("#define FIRST 1\n", "#undef FIRST\n", 1)
    alone = BOTH[: BOTH.index("NOINLINE int f")] + BOTH[BOTH.index("NOINLINE int g") :].replace("f(n)", "n")
    results = rebuilt(tmp_path, [BOTH, shorter, alone, BOTH], level, "-g")
    assert [result.compiled for result in results[1:]] == [["f"], ["main"], []]


FAR = """\
int volatile v;
static int near(int x) { return x + v; }
int f(int x) {
    x += near(x);
#line 900000
    return near(x) * 3;
}
#line 20
int main(int n, char **words) { return f(n); }
"""


def test_lines_too_far_apart_are_moved_too(tmp_path: Path, level: str) -> None:
    results = rebuilt(tmp_path, [FAR, "\n" + FAR.replace("900000", "900001"), FAR], level, "-g")
    assert len(results[1].compiled) == 1  # f itself, or what it was inlined into
    assert results[2].misses == 0


@pytest.mark.family(2)
@pytest.mark.parametrize("line", [1 << 20, 3 << 20, 200_000_000, 2_147_483_000])
def test_long_files(tmp_path: Path, line: int, level: str) -> None:
    texts = [f'#line {line + n} "long.c"\n' + FAR.replace("#line 900000\n", "") for n in range(2)]
    rebuilt(tmp_path, texts, level, "-g")
    done = subprocess.run(
        ["llvm-dwarfdump-22", "--debug-line", "--debug-info", tmp_path / "warm" / "image"],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert f"decl_line\t({line + 1})" in done.stdout
    assert re.search(rf"^0x[0-9a-f]+ +{line + 5} ", done.stdout, re.MULTILINE)


def test_folder_with_any_name(tmp_path: Path) -> None:
    space = tmp_path / 'd\u00e9 "q\\41'
    rebuilt(space, [BOTH.replace('#include "part.def"', "")], "-O2", "-g")
    assert f"{space / 'src'}\0".encode() in images(space, "warm")[0]


@pytest.mark.parametrize("emit", ["exe", "bitcode"])
def test_what_is_not_understood_stays(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, emit: str) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise Unsupported

    monkeypatch.setattr(analysis, "analyse", refuse)
    (tmp_path / "src").mkdir()
    for n, text in enumerate(("", "\n")):
        sources = write(tmp_path / "src", {**C_FILES, "table.c": text + TABLE})
        start(tmp_path / "src", "warm", sources, "-O2", "-g", "--emit", emit).result()
        start(tmp_path / "src", "cold", sources, "-O2", "-g", "--emit", emit, cache=f"cache{n}").result()
        one, other = images(tmp_path, "warm", "cold")
        assert one == other


def test_bitcode_with_debug_information_is_compiled_once(tmp_path: Path) -> None:
    texts = [
        BOTH.replace('#include "part.def"', "x += 2;"),
        BOTH.replace('#include "part.def"', "x += 2;") + "//",
    ]
    results = rebuilt(tmp_path, texts, "-O2", "-g", "--emit", "bitcode")
    assert results[1].hits == len(results[0].compiled) - len(results[1].compiled)


def test_files_of_one_name_in_several_folders(tmp_path: Path) -> None:
    """Each unit names the checksums of the very files that its code is from."""
    texts = []
    for n, folder in enumerate(("one", "two")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "part.h").write_text(
            f"static inline int part{n}(int x) {{ return x * {n + 3}; }}\n"
        )
        body = f'#include "part.h"\nint of{n}(int x) {{ int y = part{n}(x); return y + {n}; }}\n'
        body += "int of1(int); int main(void) { return of0(1) + of1(2); }\n" if n == 0 else ""
        (tmp_path / folder / f"{folder}.c").write_text(body)
        command = [CLANG, "-O2", "-g", "-S", "-emit-llvm", "-Xclang", "-disable-llvm-passes", f"{folder}.c"]
        subprocess.run(command, cwd=tmp_path / folder, check=True, timeout=60)
        texts.append((f"{folder}.ll", (tmp_path / folder / f"{folder}.ll").read_text()))
    made = whole(texts, 2)
    units = [unit for unit in made.units if unit.kind != "types"]
    assert check_restored(tmp_path / "objects", made, units) == len(units)
