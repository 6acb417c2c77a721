"""Objects with encoded lines, restored, are the objects of the real lines; edits that move lines are hits."""

import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from fetch import sqlite_sources
from harness import CLANG, PROGRAMS, BuildResult, needs, needs_clang, needs_csmith, run
from rules import Build, write
from test_e2e_hits import C_FILES, CXX_FILES, MAIN, TABLE

from nativecache.aot import llvm
from nativecache.aot.bodies import find_bodies
from nativecache.aot.build import Options
from nativecache.aot.emit import Image, _placed
from nativecache.aot.engine import Engine
from nativecache.aot.extract import IMPORT_LINES, IMPORT_TOTAL, NO_IMPORTS, ImportLimits, UnitText, extract
from nativecache.aot.load import index
from nativecache.aot.meaning import Meanings
from nativecache.aot.memo import Memo
from nativecache.aot.partition import Unit, partition
from nativecache.aot.program import Program, resolve_symbols
from nativecache.cache.lookup import EntryStore
from nativecache.cache.store import MemoryStore
from nativecache.linker.dwarf import find_sites
from nativecache.linker.elf import ET_REL, contents, read_headers, string_at, string_table

pytestmark = [needs_clang, needs("llvm-dwarfdump-22")]

LEVELS = ("-O0", "-O2")
SHT_NOBITS = 8
TRIPLE = "x86_64-unknown-linux-gnu"


# Restored objects


@dataclass(frozen=True)
class Whole:
    """A program that is ready to be compiled unit by unit."""

    program: Program
    units: tuple[Unit, ...]
    engine: Engine
    options: Options
    limits: ImportLimits

    def text(self, unit: Unit, *, real_lines: bool) -> UnitText:
        layout = self.program.modules[unit.module].datalayout
        return extract(
            self.program,
            unit,
            triple=self.options.triple,
            datalayout=layout,
            final=True,
            limits=self.limits,
            real_lines=real_lines,
        )

    def compiled(self, unit: Unit, text: UnitText) -> bytes:
        options = replace(self.options, optimize=self.options.optimize and unit.is_function)
        return self.engine.emit(self.engine.unit_bitcode(text.text), options)

    def pair(self, unit: Unit) -> tuple[bytes, bytes, bool]:
        """The object that is restored, that of real lines, and whether the lines could be encoded."""
        encoded = self.text(unit, real_lines=False)
        made = self.compiled(unit, encoded)
        sites = find_sites(made) if encoded.relative else None
        restored = made
        if sites:
            n = unit.index
            objects, places, packed = {n: made}, {n: encoded.places.pack()}, {n: sites.pack()}
            restored = _placed(
                Image(self.program, self.units, objects, {}, places, packed, (), (), False, None), n
            )
        return restored, self.compiled(unit, self.text(unit, real_lines=True)), not encoded.absolute


def whole(texts: Sequence[tuple[str, str]], level: int, *, optimize: bool = True) -> Whole:
    engine = llvm.find_engine("auto", None)
    options = Options(TRIPLE, "", "", level, optimize, "pic", "default")
    modules, directory = index(texts, relative=True)
    assert all(module.debug is not None for module in modules)
    program = resolve_symbols(modules)
    program.directory = directory
    units = partition(program, final=True)
    store = EntryStore(MemoryStore())
    memos = [Memo(module.label, engine.identity, options, store) for module in modules]
    limits = ImportLimits(IMPORT_LINES, IMPORT_TOTAL) if level and optimize else NO_IMPORTS
    meanings = Meanings(program, b"", memos, longest=limits.lines)
    if limits.lines:
        arguments = {"engine": engine, "options": options, "final": True, "store": store, "threads": 1}
        find_bodies(program, units, meanings, memos, **arguments)  # type: ignore[arg-type]
    return Whole(program, units, engine, options, limits)


def front(source: Path, *flags: str) -> tuple[str, str]:
    """A file's name and its IR."""
    command = [CLANG, *flags, "-w", "-S", "-emit-llvm", "-Xclang", "-disable-llvm-passes", source, "-o", "-"]
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


def check_restored(folder: Path, made: Whole, units: Sequence[Unit]) -> int:
    """Compares both objects of units; how many had encoded lines."""
    pairs = [made.pair(unit) for unit in units]
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


@pytest.mark.parametrize("level", LEVELS)
def test_cxx_is_restored(tmp_path: Path, level: str) -> None:
    made = whole([front(PROGRAMS / "debug.cpp", level, "-g", "-std=c++20")], int(level[2]))
    units = [unit for unit in sampled(made.units, 60) if unit.kind != "types"]
    assert check_restored(tmp_path, made, units) == len(units)


def test_optimised_ir_is_restored(tmp_path: Path) -> None:
    """What is inlined already names lines of many functions."""
    command = [CLANG, "-O2", "-g", "-w", "-S", "-emit-llvm", PROGRAMS / "debug.c", "-o", "-"]
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
                ["csmith", "--seed", str(seed)], check=True, capture_output=True, timeout=60
            ).stdout
        )
        made = whole([front(tmp_path / "random.c", "-O2", "-g", "-I/usr/include/csmith")], 2)
        units = [unit for unit in sampled(made.units, 12) if unit.kind != "types"]
        assert check_restored(tmp_path / str(seed), made, units) == len(units)


@pytest.mark.parametrize("debug", ["-g", "-g1"])
def test_sqlite_is_restored(tmp_path: Path, debug: str, count: int = 40) -> None:
    made = whole([front(sqlite_sources() / "sqlite3.c", "-O2", debug)], 2)
    units = [unit for unit in sampled(made.units, count) if unit.kind != "types"]
    assert check_restored(tmp_path, made, units) == len(units)


RUST = """\
use std::collections::HashMap;
#[derive(Debug, Clone)]
enum Shape { Round(f64), Square { side: f64 }, None }
fn area(shape: &Shape) -> Option<f64> {
    match shape { Shape::Round(r) => Some(r * r * 3.0), Shape::Square { side } => Some(side * side), _ => None }
}
fn main() {
    let mut all: HashMap<String, Vec<Shape>> = HashMap::new();
    for n in 0..4 {
        all.entry(format!("{}", n % 2)).or_default().push(if n == 3 { Shape::None } else { Shape::Round(n as f64) });
    }
    let sum: f64 = all.values().flat_map(|list| list.iter()).filter_map(area).sum();
    println!("{} {:?}", sum, Shape::Square { side: 2.0 });
}
"""


@needs("rustc")
def test_rust_is_restored(tmp_path: Path) -> None:
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
