"""Canonical units as text: each program of tests/golden/extract gives exactly the units kept beside it.

NAME.ll is a program, one file or several (`; --- FILE` begins the next one). NAME.expected has for each unit
its kind and final name, the file it is from, what it imports, what its placeholders stand for, and its text.
After a change that is meant, `pytest tests/unit/test_golden_units.py --update-golden` writes them anew: read
the difference before committing it, for every unit that differs is a miss in every user's cache.
"""

import re

import pytest
from harness import TESTS
from pipeline import Pipeline, key, resolved_with_debug

from nativecache.aot.codegen.llvm import read_module
from nativecache.aot.units.extract import UnitText
from nativecache.aot.units.imports import ImportLimits
from nativecache.aot.units.partition import Unit

GOLDEN = TESTS / "golden" / "extract"
LIMITS = ImportLimits(lines=12, total=60)


def read(name: str) -> str:
    return (GOLDEN / f"{name}.ll").read_text()


def program(name: str, text: str) -> Pipeline:
    """A program of one file of that name, or of several, as an executable that starts at `main`."""
    first, *files = re.split(r"^; --- (.*)\n", text, flags=re.MULTILINE)
    texts = zip(files[::2], files[1::2], strict=True) if files else [(f"{name}.ll", first)]
    printed = [(label, read_module(text.encode())) for label, text in texts]
    return resolved_with_debug(printed).simplify(LIMITS).with_callers("main")


def shown(made: Pipeline, unit: Unit, text: UnitText) -> str:
    file = made.program.modules[unit.module].module.label
    lines = [f"{unit.kind} {unit.name} of {file}"]
    lines += [f"imports {name}" for name in text.imported]
    lines += [f"{placeholder} = {name}" for placeholder, name in text.bindings.items()]
    lines += [f"range {n}: {key} of {label}" for n, (label, key) in enumerate(text.line_map.ranges)]
    lines += [f"line {n}: {key} of {label}" for n, (label, key) in enumerate(text.line_map.lines)]
    return "".join(f";; {line}\n" for line in lines) + text.text.rstrip("\n") + "\n"


def units(made: Pipeline) -> str:
    """All units that are not compiled with their only caller."""
    apart = [unit for unit in made.units if unit.name not in made.candidates.once]
    return "\n".join(shown(made, unit, made.extract(unit)) for unit in apart)


@pytest.mark.parametrize("name", sorted(path.stem for path in GOLDEN.glob("*.ll")))
def test_units_are_the_expected_text(name: str, pytestconfig: pytest.Config) -> None:
    found, expected = units(program(name, read(name))), GOLDEN / f"{name}.expected"
    if pytestconfig.getoption("--update-golden"):
        expected.write_text(found)
    assert found == expected.read_text()


def test_nothing_is_expected_of_no_program() -> None:
    assert {path.stem for path in GOLDEN.glob("*.expected")} == {path.stem for path in GOLDEN.glob("*.ll")}


def test_equal_functions_are_one_text() -> None:
    made = program("x", read("equal_functions"))
    texts = [made.extract(unit) for unit in made.units if unit.is_function]
    assert len(texts) == 2 and len({text.text for text in texts}) == 1
    assert texts[0].bindings != texts[1].bindings
    assert len({key(text) for text in texts}) == 1


def test_lines_that_move_change_no_unit() -> None:
    text = read("debug_lines")
    moved = re.sub(r"ine: (4\d)", lambda found: f"ine: {int(found[1]) + 700}", text)
    assert units(program("x", moved)) == units(program("x", text))
    assert units(program("x", text.replace("line: 43", "line: 44"))) != units(program("x", text))
