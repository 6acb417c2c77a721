"""Each example builds from an empty cache and from a full one, and prints its kept output."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from harness import EXAMPLES, Program, needs_clang, run

TOY = EXAMPLES / "toy"


def c_example(space: Path) -> Program:
    files = [*(EXAMPLES / "c").glob("*.[ch]")]
    sources = ["main.c", "lexer.c", "parser.c", "functions.c"]
    return Program.copied(space, *files, sources=sources, libraries=["-lm"])


def ir_example(space: Path) -> Program:
    return Program.copied(space, EXAMPLES / "ir" / "stack.ll", sources=["stack.ll"])


def toy_example(space: Path) -> Program:
    """The toy language's front end turns program.toy into program.ll."""
    program = Program.copied(space, sources=["program.ll"])
    with program.path("program.ll").open("wb") as output:
        subprocess.run([sys.executable, TOY / "toy.py", TOY / "program.toy"], stdout=output, check=True)
    return program


@pytest.mark.parametrize("level", ["-O0", "-O2"])
@pytest.mark.parametrize(
    ("name", "example"),
    [pytest.param("c", c_example, marks=needs_clang), ("ir", ir_example), ("toy", toy_example)],
    ids=["c", "ir", "toy"],
)
def test_example(name: str, example: Callable[[Path], Program], level: str, tmp_path: Path) -> None:
    program = example(tmp_path)
    expected = (EXAMPLES / name / "expected.txt").read_bytes()

    cold = program.build("cold", level)
    assert cold.misses > 0
    assert run(tmp_path / "cold") == (0, expected, b"")

    warm = program.assert_same_image("cold", level)
    assert (warm.misses, warm.compiled) == (0, [])
    assert warm.hits == warm.stats["units"]


def test_toy_language_reports_a_malformed_program(tmp_path: Path) -> None:
    source = tmp_path / "bad.toy"
    source.write_text("fn main() {\n  let x = ;\n}\n")
    done = subprocess.run([sys.executable, TOY / "toy.py", source], capture_output=True, text=True)
    assert done.returncode == 1
    assert "line 2: expected a name, found ';'" in done.stderr
