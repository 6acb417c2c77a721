"""A C++20 program of two files, exceptions and threads included, behaves as clang's build does."""

import pytest
from harness import PROGRAMS, Program, assert_same_behaviour, edit, has_tool, needs_clang, run

# To build it takes half a minute: in CI at -O2 only.
pytestmark = [needs_clang, pytest.mark.family(2, 1)]


@pytest.fixture(scope="module")
def cxx(level: str, tmp_path_factory: pytest.TempPathFactory) -> Program:
    """The program, built once from an empty cache."""
    names = ("cxx20.cpp", "cxx20_lib.cpp", "cxx20_lib.h")
    program = Program.copied(
        tmp_path_factory.mktemp("cxx"),
        *(PROGRAMS / name for name in names),
        sources=names[:2],
        flags=["-std=c++20"],
    )
    cold = program.build("cold", level)
    assert cold.hits + cold.misses == cold.stats["units"]
    return program


def test_output(cxx: Program, level: str) -> None:
    answer = assert_same_behaviour(cxx.space / "cold", cxx.clang(level))
    lines = answer.stdout.decode().splitlines()
    assert lines[:3] == ["+ main priority 1000", "+ lib priority 2000", "+ main priority 3000"]
    assert lines[3:5] == ["+ main global", "+ lib global"]
    assert lines[-2:] == ["- lib priority 2000", "- main priority 1000"]
    assert answer.stderr == b"to the error stream\n"


def test_exit_code(cxx: Program, level: str) -> None:
    assert_same_behaviour(cxx.space / "cold", cxx.clang(level), ["argument"], code=4)


def test_every_linker(cxx: Program, level: str) -> None:
    for linker in ("bfd", "lld", "mold"):
        if not any(map(has_tool, (linker, f"ld.{linker}", f"ld.{linker}-22"))):
            pytest.skip(f"needs {linker}")
        linked = cxx.build(linker, level, "--linker", linker)
        assert linked.misses == 0
        assert_same_behaviour(cxx.space / linker, cxx.clang(level))


def test_second_build_compiles_nothing(cxx: Program, level: str) -> None:
    warm = cxx.assert_same_image("cold", level)
    assert (warm.misses, warm.compiled) == (0, [])


def test_edit_of_one_function_compiles_that_function(cxx: Program, level: str) -> None:
    # library() is far too large to be imported into main().
    edited = cxx.copy("edited")
    edit(edited.path("cxx20.cpp"), "views::take(5)", "views::take(4)")
    (name,) = edited.build("edited-image", level).compiled
    assert "library" in name
    before, after = run(cxx.space / "cold").stdout, run(cxx.space / "edited-image").stdout
    assert after == before.replace(b"1225 784 441 196 49", b"784 441 196 49")
    assert after != before


def test_edit_of_a_template_reaches_both_files(cxx: Program, level: str) -> None:
    edited = cxx.copy("template")
    edit(edited.path("cxx20_lib.h"), "    T result = 1;", "    T result = 2;")
    edited.build("template-image", level)
    assert b"2048 31.25 " in run(cxx.space / "template-image").stdout
    # A cold build with one worker in another folder gives the same image.
    cold = edited.copy("elsewhere").assert_same_image("template-image", level, "-j1", cache="fresh")
    assert cold.misses > 0
