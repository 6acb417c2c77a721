"""Units' outputs become one file under the program's names, whole or not at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from pipeline import OPTIONS, resolved

from nativecache.aot.codegen import llvm
from nativecache.aot.errors import BuildError
from nativecache.aot.ir.module import index_module
from nativecache.aot.output.image import Image, write_output
from nativecache.aot.output.link_line import Ours
from nativecache.aot.output.results import UnitResult
from nativecache.aot.packed import encode_pairs
from nativecache.aot.write import write_file
from nativecache.linker.symbol_options import SymbolOptions

ONE = (
    "define internal i32 @local() {\n  ret i32 1\n}\ndefine i32 @one() {\n"
    "  %x = call i32 @local()\n  ret i32 %x\n}\n"
)
TWO = ONE.replace("i32 1", "i32 2").replace("@one", "@two")


def image(output: str, *texts: str) -> Image:
    """Every unit of the program, emitted without optimisation."""
    options = replace(OPTIONS, level=0, optimize=False, output=output)
    made = replace(resolved(*texts), options=options)
    objects, results = {}, {}
    for unit in made.units:
        text = made.extract(unit)
        objects[unit.index] = made.emit(unit, text)
        results[unit.index] = UnitResult(f"{unit.index:064}", text.own, encode_pairs(text.bindings))
    program, units = made.program, made.units
    line = (Ours(tuple(range(len(program.modules)))),)
    return Image(program, units, objects, results, line, cplusplus=False, target=None)


@contextmanager
def phase(name: str) -> Iterator[None]:
    yield


def write(made: Image, emit: str, output: Path) -> bytes:
    write_output(
        made,
        emit=emit,
        output=output,
        linker="auto",
        driver=None,
        told=SymbolOptions(),
        environ=os.environ,
        phase=phase,
    )
    return output.read_bytes()


def test_assembly_has_the_programs_names_and_labels_of_each_units_own(tmp_path: Path) -> None:
    text = write(image("assembly", ONE, TWO), "asm", tmp_path / "a.s").decode()
    for name in ("local.0:", "one:", "local.1:", "two:"):
        assert text.count(f"\n{name}") == 1
    assert "nc." not in text
    labels = [line for line in text.splitlines() if line.startswith(".L")]
    assert labels and len(labels) == len(set(labels))


def test_bitcode_is_one_module_of_all_units(tmp_path: Path) -> None:
    text = llvm.read_module(write(image("bitcode", ONE, TWO), "bitcode", tmp_path / "a.bc"))
    defined = [entity.token for entity in index_module(text, "").functions()]
    assert sorted(defined) == ["@local.0", "@local.1", "@one", "@two"]


def test_objects_that_are_none_are_an_error(tmp_path: Path) -> None:
    broken = image("assembly", ONE)  # text where objects should be
    with pytest.raises(BuildError, match="this target's objects cannot be renamed"):
        write(broken, "exe", tmp_path / "app")
    assert not (tmp_path / "app").exists()


def test_a_file_is_written_with_the_modes_that_files_get(tmp_path: Path) -> None:
    old = os.umask(0o027)
    try:
        write_file(tmp_path / "out", b"data")
    finally:
        os.umask(old)
    assert (tmp_path / "out").read_bytes() == b"data"
    assert (tmp_path / "out").stat().st_mode & 0o777 == 0o640


def test_an_older_file_is_replaced_and_nothing_else_is_left(tmp_path: Path) -> None:
    (tmp_path / "out").write_bytes(b"older and longer")
    write_file(tmp_path / "out", b"data")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("out", b"data")]


def test_a_file_that_cannot_be_written_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with pytest.raises(BuildError, match="out: cannot be written: Is a directory"):
        write_file(tmp_path / "out", b"data")
    with pytest.raises(BuildError, match="cannot be written: No such file"):
        write_file(tmp_path / "nodir" / "out", b"data")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_long_names_can_be_written(tmp_path: Path) -> None:
    path = tmp_path / ("x" * 255)
    write_file(path, b"data")
    assert path.read_bytes() == b"data"
