"""Each example builds from an empty cache and from a full one, and prints its kept output."""

import re
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest
from harness import EXAMPLES, Program, build, needs_clang, run

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


def test_embedding() -> None:
    example = EXAMPLES / "embed"
    done = subprocess.run([sys.executable, example / "embed.py"], capture_output=True, text=True, check=True)
    assert done.stdout == (example / "expected.txt").read_text()


def test_the_workflow_sums_up_what_a_build_reports(tmp_path: Path) -> None:
    (tmp_path / "f.ll").write_text("define i32 @f() {\n  ret i32 1\n}\n")
    figures = build(tmp_path, "f.ll", "--emit", "object", "-o", "f.o").stats
    workflow = (EXAMPLES / "github-actions.yml").read_text()
    script = textwrap.dedent(workflow.partition("<<'END'\n")[2].partition("          END\n")[0])
    done = subprocess.run(
        [sys.executable, "-", tmp_path / "stats.json"],
        input=script,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines()[2] == f"| {figures['functions']} | 0 | 1 new | 0.0 s |"


def test_the_workflow_gives_commands_that_there_are() -> None:
    commands = re.findall(
        r"nativecache ((?:cache \w+|build))(.*)", (EXAMPLES / "github-actions.yml").read_text()
    )
    assert [name for name, _ in commands] == ["cache import", "build", "cache export"]
    for name, rest in commands:
        options = set(re.findall(r"--[\w-]+", rest))
        said = subprocess.run(
            [sys.executable, "-m", "nativecache.cli.start", *name.split(), "--help"],
            capture_output=True,
            text=True,
        )
        assert said.returncode == 0 and all(option in said.stdout for option in options)
