"""Units that define or name ten thousand symbols, of any length and spelling, against clang."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from harness import CLANG, build, needs_clang, run
from rules import write

pytestmark = needs_clang

COUNT = 10_000


def plain(number: int) -> str:
    return f"f{number}"


def long(number: int) -> str:
    """As long as the assembler of old allowed."""
    return f"f{number}_".ljust(255, "x")


def longest(number: int) -> str:
    return f"f{number}_".ljust(10_000, "y")


def in_unicode(number: int) -> str:
    return f'функция {number} ∀"\\'


def spell(name: str) -> str:
    """As LLVM prints a name: what is no plain ASCII in hexadecimal."""
    plain = (b for b in range(0x20, 0x7F) if b not in b'"\\')
    spelt = {b: chr(b) for b in plain}
    return "".join(['@"', *(spelt.get(b, f"\\{b:02X}") for b in name.encode()), '"'])


def program(names: list[str]) -> str:
    """Variables, aliases of one function, a table of these, and a function that reads and calls all."""
    count = len(names)
    variables = [spell(f"{name}v") for name in names]
    functions = [spell(name) for name in names]
    lines = [
        *(f"{name} = global i32 {n}" for n, name in enumerate(variables)),
        f"@table = global [{count} x ptr] [{', '.join(f'ptr {name}' for name in functions)}]",
        *(f"{name} = alias i32 (i32), ptr @increment" for name in functions),
        "define i32 @increment(i32 %x) noinline {\n  %y = add i32 %x, 1\n  ret i32 %y\n}",
        "define i32 @all(i32 %v0) noinline {",
        *(
            f"  %l{n} = load i32, ptr {variable}\n  %c{n} = call i32 {function}(i32 %v{n})\n"
            f"  %v{n + 1} = add i32 %c{n}, %l{n}"
            for n, (variable, function) in enumerate(zip(variables, functions, strict=True))
        ),
        f"  ret i32 %v{count}\n}}",
        MAIN.format(count=count, last=count - 1),
    ]
    return "\n".join(lines)


MAIN = """\
declare i32 @printf(ptr, ...)

@text = constant [8 x i8] c"%d %d\\0A\\00\\00"

define i32 @main() {{
  %sum = call i32 @all(i32 7)
  %place = getelementptr [{count} x ptr], ptr @table, i64 0, i64 {last}
  %function = load ptr, ptr %place
  %two = call i32 %function(i32 1)
  %n = call i32 (ptr, ...) @printf(ptr @text, i32 %sum, i32 %two)
  ret i32 0
}}
"""


@pytest.mark.family(2)
@pytest.mark.parametrize(
    ("name", "count", "level"),
    [(plain, COUNT, "-O2"), (in_unicode, COUNT, "-O0"), (long, COUNT, "-O0"), (longest, 500, "-O2")],
)
def test_many_symbols(tmp_path: Path, name: Callable[[int], str], count: int, level: str) -> None:
    names = [name(number) for number in range(count)]
    write(tmp_path, {"p.ll": program(names)})
    cold = build(tmp_path, "p.ll", level, "-o", "ours")
    assert cold.stats["units"] <= 6
    # At -O0, for clang's own optimiser would take longer than all the rest.
    subprocess.run([CLANG, "-O0", "-w", "p.ll", "-o", "clangs"], cwd=tmp_path, check=True)
    expected = f"{7 + count + sum(range(count))} 2\n".encode()
    assert run(tmp_path / "ours").stdout == expected == run(tmp_path / "clangs").stdout
    for image in ("ours", "clangs"):
        symbols = symbols_of(tmp_path / image)
        assert {*names, *(f"{name}v" for name in names)} <= symbols, image
    assert build(tmp_path, "p.ll", level, "-o", "again", "-v").misses == 0
    assert (tmp_path / "again").read_bytes() == (tmp_path / "ours").read_bytes()


def symbols_of(image: Path) -> set[str]:
    lines = subprocess.run(["nm", str(image)], capture_output=True, check=True).stdout.split(b"\n")
    return {line[19:].decode("utf-8") for line in lines}


@pytest.mark.parametrize("emit", ["exe", "object", "asm", "bitcode"])
def test_names_with_quotes_and_backslashes(tmp_path: Path, emit: str) -> None:
    names = [*map(in_unicode, range(3)), "\\22", "\\\\", "\\n"]
    write(tmp_path, {"p.ll": program(names)})
    suffix = {"exe": "out", "object": "o", "asm": "s", "bitcode": "bc"}[emit]
    build(tmp_path, "p.ll", "-O0", "--emit", emit, "-o", f"ours.{suffix}")
    image = tmp_path / f"ours.{suffix}"
    if emit != "exe":
        subprocess.run([CLANG, "-w", image.name, "-o", "ours"], cwd=tmp_path, check=True)
        image = tmp_path / "ours"
    assert run(image).stdout == b"%d 2\n" % (7 + 6 + sum(range(6)))
    data = image.read_bytes()
    for name in names:
        assert b"\0" + name.encode() + b"\0" in data, name
        assert b"\0" + name.encode() + b"v\0" in data, name
