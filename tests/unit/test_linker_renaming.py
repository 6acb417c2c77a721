"""Symbols renamed, checked with readelf and by linking and running."""

import ctypes
import shutil
import struct
import subprocess
from pathlib import Path

import pytest
from elf_symbols import symbols
from harness import llvm_object
from hypothesis import given, settings
from hypothesis import strategies as st
from native_objects import (
    HIDDEN,
    compile_c,
    each_linker,
    needs_gcc,
    read_names,
    run,
    section_names,
)

from nativecache.linker.elf import (
    linkage,
)
from nativecache.linker.localizing import localize
from nativecache.linker.renaming import cut_names, rename_symbols

pytestmark = needs_gcc

CALL = "declare i32 @nc.1(i32)\ndefine i32 @nc.0(i32 %a) {\n %b = call i32 @nc.1(i32 %a)\n ret i32 %b\n}"

CATCH = """
    void may_throw();
    extern "C" int old(int x) { try { may_throw(); } catch (int e) { x = e; } return x; }
"""


def test_renamed_object_links_and_runs(tmp_path: Path) -> None:
    unit = tmp_path / "unit.o"
    unit.write_bytes(rename_symbols(llvm_object(CALL), {"nc.0": "start_here", "nc.1": "add_one"}))
    assert {"start_here", "add_one"} <= read_names(unit).keys()
    source = (
        "int start_here(int); int add_one(int x) { return x + 1; } int main(void) { return start_here(41); }"
    )
    main = compile_c(tmp_path, source, name="main")
    run("gcc", unit, main, "-o", tmp_path / "app")
    assert subprocess.run([tmp_path / "app"]).returncode == 42


def test_rename_keeps_section_names_that_share_the_string_table() -> None:
    ir = 'define i32 @text() { ret i32 1 }\ndefine i32 @data() section ".text.data" { ret i32 2 }'
    obj = llvm_object(ir)
    renamed = rename_symbols(obj, {"text": "x", "data": "y"})
    assert b".text.y\0" in renamed and len(linkage(renamed)[0]) == 2


def test_rename_swaps_names(tmp_path: Path) -> None:
    obj = compile_c(tmp_path, "int a(void) { return 1; } int b(void) { return 2; }").read_bytes()
    swapped = rename_symbols(obj, {"a": "b", "b": "a"})
    assert linkage(obj)[0] == ["a", "b"] and linkage(swapped)[0] == ["b", "a"]


def test_rename_takes_the_sections_of_a_function_along(tmp_path: Path) -> None:
    unit = compile_c(tmp_path, CATCH, "-ffunction-sections", compiler="g++")
    unit.write_bytes(rename_symbols(unit.read_bytes(), {"old": "brand_new"}))
    assert " .text.brand_new " in section_names(unit) and ".rela.text.brand_new" in section_names(unit)
    assert ".text.old" not in section_names(unit)


@pytest.mark.skipif(shutil.which("clang++-22") is None, reason="clang++-22 is missing")
def test_rename_takes_the_exception_table_of_clang_along(tmp_path: Path) -> None:
    unit = compile_c(tmp_path, CATCH, "-ffunction-sections", compiler="clang++-22")
    unit.write_bytes(rename_symbols(unit.read_bytes(), {"old": "brand_new"}))
    assert " .gcc_except_table.brand_new " in section_names(unit)


def test_a_section_that_only_looks_like_a_symbols_stays(tmp_path: Path) -> None:
    unit = compile_c(tmp_path, "int text(void); int property(void) { return text(); }", "-fcf-protection")
    before = section_names(unit)
    unit.write_bytes(rename_symbols(unit.read_bytes(), {"text": "a", "property": "b"}))
    assert ".rela.text" in section_names(unit)
    assert (".note.gnu.property" in before) == (".note.gnu.property" in section_names(unit))


def test_rename_of_nothing_returns_the_same_bytes() -> None:
    obj = llvm_object(CALL)
    assert rename_symbols(obj, {"other": "x"}) is obj


NAMES = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=30)


@settings(deadline=None, max_examples=60)
@given(st.dictionaries(st.sampled_from(["nc.0", "nc.1", "0", "text", "elsewhere"]), NAMES))
def test_rename_changes_the_mapped_names_and_nothing_else(names: dict[str, str]) -> None:
    obj = llvm_object(CALL)
    before, after = symbols(obj), symbols(rename_symbols(obj, names))
    assert [names.get(s.name, s.name) for s in before] == [s.name for s in after]
    assert [(s.kind, s.binding, s.defined) for s in before] == [(s.kind, s.binding, s.defined) for s in after]


@pytest.mark.slow
def test_more_sections_than_the_header_can_count(tmp_path: Path) -> None:
    lines = [f'.section .text.s{i},"ax"\n.globl s{i}\n.hidden s{i}\ns{i}: ret\n' for i in range(0x10100)]
    (tmp_path / "many.s").write_text("".join(lines))
    run("gcc", "-c", tmp_path / "many.s", "-o", tmp_path / "many.o")
    obj = (tmp_path / "many.o").read_bytes()
    assert struct.unpack_from("<H", obj, 60) == (0,)
    (tmp_path / "many.o").write_bytes(
        rename_symbols(localize(obj, {"s65790"}), {"s65790": "last", "s7": "seven"})
    )
    names = read_names(tmp_path / "many.o")
    assert names["last"].startswith("LOCAL DEFAULT") and names["seven"].startswith("GLOBAL HIDDEN")
    run("gcc", "-r", "-nostdlib", tmp_path / "many.o", "-o", tmp_path / "again.o")
    assert read_names(tmp_path / "again.o").keys() >= {"last", "seven", "s65791"}


@each_linker
def test_local_names_of_images_get_shorter_and_no_others(tmp_path: Path, ld: str) -> None:
    """Linkers may keep `e.one`, `able.one` and `stable.one` in one string."""
    for name in ("one", "two"):
        source = (
            f'{HIDDEN} int s asm("stable.{name}") = 1, a asm("able.{name}") = 2, f asm("f.{name}") = 3;'
            f' int e asm("e.{name}") = 4; int sum_{name}(void) {{ return s + a + f + e; }}'
        )
        compile_c(tmp_path, source, "-fPIC", name=name)
    image = tmp_path / "lib.so"
    run(ld, "-shared", tmp_path / "one.o", tmp_path / "two.o", "-o", image)
    shorter = {f"{name}.{file}": name for name in ("stable", "able", "f") for file in ("one", "two")}
    data = bytearray(image.read_bytes())
    for at in cut_names(bytes(data), shorter):
        assert data[at] == ord(".")
        data[at] = 0
    image.write_bytes(data)
    names = [line.split()[-1] for line in run("readelf", "-sW", image).splitlines() if " OBJECT " in line]
    # Twice what others see: there are two tables.
    assert names.count("e.one") == names.count("e.two") == 2 and names.count("f") == 2
    for name in ("able", "stable"):
        assert sum(one in (name, f"{name}.one", f"{name}.two") for one in names) == 2
    library = ctypes.CDLL(str(image))
    assert library.sum_one() == library.sum_two() == 10
