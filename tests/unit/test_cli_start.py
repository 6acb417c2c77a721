"""Where nothing is to be done, the command says so without loading what builds."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from harness import CLANG, ROOT, BuildResult, build, clean_environment, needs_clang
from rules import write

#: What takes longer to import than all that an answer needs. Modules that Python itself has loaded at its
#: start, of which an installation may add some, do not count.
HEAVY = {
    *("click", "rich", "llvmlite", "multiprocessing", "concurrent.futures", "subprocess", "tempfile"),
    *("dataclasses", "inspect", "typing", "re", "enum", "json", "pathlib", "contextlib", "shutil", "ctypes"),
    *("nativecache.aot.build", "nativecache.cli.main", "nativecache.cache.store", "nativecache.cache.entry"),
}
SCRIPT = """\
import sys
before = set(sys.modules)
from nativecache.cli.start import main
sys.argv[1:] = {words!r}
main()
print(*sorted(set(sys.modules) - before), file=sys.stderr)
"""


def loaded(space: Path, *words: str) -> tuple[str, set[str]]:
    """What a command says, and the modules that it loads."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(words=list(words))],
        cwd=space,
        env=clean_environment() | {"NATIVECACHE_DIR": str(space / "cache")},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout, set(done.stderr.split())


@pytest.mark.parametrize(("words", "code"), [(["--version"], 0), (["build", "missing.c"], 1)])
def test_a_command_that_went_well_ends_without_pythons_own_end(words: list[str], code: int) -> None:
    command = [sys.executable, "-v", "-m", "nativecache.cli.start", *words]
    done = subprocess.run(command, env=clean_environment(), capture_output=True, text=True)
    assert done.returncode == code
    assert ("# cleanup" in done.stderr) == bool(code)
    assert not done.stdout or done.stdout.endswith("\n")


def test_the_version_loads_nothing(tmp_path: Path) -> None:
    said, modules = loaded(tmp_path, "--version")
    assert re.fullmatch(r"nativecache, version \d+\.\d+\.\d+\n", said)
    parts = ("", ".cli", ".cli.start", ".cli.cc_names", ".cli.working_folder")
    assert modules <= {"nativecache" + part for part in parts}


@pytest.fixture
def space(tmp_path: Path) -> Path:
    write(tmp_path, {"f.ll": "define i32 @f() {\n  ret i32 1\n}\n"})
    return tmp_path


WORDS = ("f.ll", "--emit", "object", "-o", "f.o")


def test_an_answer_loads_little(space: Path) -> None:
    build(space, *WORDS)
    said, modules = loaded(space, "build", *WORDS)
    assert "up to date" in said
    assert not modules & HEAVY
    ours = {name for name in modules if name.startswith("nativecache.")} - {
        "nativecache.cli",
        "nativecache.cache",
        "nativecache.linker",
    }
    assert ours == {
        "nativecache.cli.start",
        "nativecache.cli.cc_names",
        "nativecache.cli.working_folder",
        "nativecache.cli.up_to_date",
        "nativecache.cli.words",
        "nativecache.cli.option_table",
        "nativecache.cache.counters",
        "nativecache.cache.dependencies",
        "nativecache.linker.environment",
        "nativecache.cache.location",
        "nativecache.cache.own_code",
        "nativecache.cache.recipe",
        "nativecache.cache.since",
        "nativecache.cache.layout",
        "nativecache.cache.files",
        "nativecache.cache.format",
        "nativecache.cache.sha256",
    }


@needs_clang
def test_a_known_compile_loads_next_to_nothing(tmp_path: Path) -> None:
    """Python's own start without packages is what it is measured by."""
    write(tmp_path, {"a.c": '#include <stdio.h>\nint main(void) { return puts(""); }\n'})
    script = f"""
import sys
space = type(sys)("nativecache")
space.__path__ = [{str(ROOT)!r}]
sys.modules["nativecache"] = space
before = set(sys.modules)
from nativecache.cli import cc_start
sys.argv = ["nativecache"]
cc_start.run_compiler([{CLANG!r}, "-O2", "-MD", "-c", "a.c"])
print(*sorted(set(sys.modules) - before))
"""

    def loads() -> set[str]:
        done = subprocess.run(
            [sys.executable, "-I", "-S", "-c", script],
            cwd=tmp_path,
            env=clean_environment() | {"NATIVECACHE_DIR": str(tmp_path / "cache")},
            capture_output=True,
            text=True,
            check=True,
        )
        return set(done.stdout.split())

    assert "nativecache.cli.cc_miss" in loads()
    (tmp_path / "a.o").unlink()
    modules = loads()
    assert (tmp_path / "a.o").exists()
    assert not modules & (
        HEAVY | {"hashlib", "signal", "collections", "functools", "nativecache.cli.cc_miss"}
    )
    assert len(modules) <= 33


def test_what_it_says(space: Path) -> None:
    first = build(space, *WORDS)
    assert "functions from cache" in first.stdout
    again = build(space, *WORDS)
    assert re.fullmatch(r"f\.o: up to date, 1 functions, checked in \d+ ms\n", again.stdout)
    assert again.stderr == ""
    assert build(space, *WORDS, "-q").stdout == ""
    assert build(space, *WORDS, env={"NATIVECACHE_QUIET": "1"}).stdout == ""
    *lines, last = build(space, *WORDS, "--timings").stdout.splitlines()
    assert len(lines) == 1 and "files, folders and tools were checked" in lines[0] and "up to date" in last
    assert "up to date" in build(space, *WORDS, env={"NATIVECACHE_TIMINGS": "1"}).stdout


@pytest.mark.slow
def test_a_build_that_says_more_is_done_in_full(space: Path) -> None:
    build(space, *WORDS)
    assert "functions from cache (100 %)" in build(space, *WORDS, "-v").stdout
    assert "functions from cache (0 %)" in build(space, *WORDS, "--no-cache").stdout


def test_figures_are_those_of_a_build_with_nothing_to_compile(space: Path) -> None:
    cold = build(space, *WORDS)
    again = build(space, *WORDS)
    assert cold.misses == 1 and again.misses == 0
    assert list(cold.stats) == list(again.stats)
    same = ("units", "functions", "grouped", "unreached", "whole", "image_bytes", "shared")
    assert {name: cold.stats[name] for name in same} == {name: again.stats[name] for name in same}
    assert again.hits == again.stats["units"] and again.compiled == []
    assert again.stats["saved_seconds"] > 0 and again.stats["wall_seconds"] < 1
    assert list(again.stats["phases"]) == ["check"]


def test_figures_that_cannot_be_written_are_the_same_error(space: Path) -> None:
    build(space, *WORDS)
    done = build(space, *WORDS, "--stats-json", space / "nodir" / "stats.json", check=False)
    assert done.exit_code == 1
    assert done.stderr.splitlines() == [
        f"nativecache: error: {space}/nodir/stats.json: cannot be written: No such file or directory"
    ]


@needs_clang
def test_warnings_are_shown_again(space: Path) -> None:
    write(space, {"main.c": "int main(void) { int unused; return 0; }\n"})

    def warned(words: tuple[str, ...]) -> BuildResult:
        done = build(space, "main.c", "-Wall", "-o", "app", *words)
        assert "unused variable 'unused'" in done.stderr
        return done

    first = warned(())
    again = warned(())
    assert "up to date" in again.stdout and again.stderr == first.stderr
    assert warned(("-q",)).stdout == ""


@pytest.mark.slow
@needs_clang
def test_the_image_is_that_of_a_full_build(space: Path) -> None:
    write(space, {"main.c": "int main(void) { return 3; }\n"})
    words = ("main.c", "-O1", "-o", "app")
    build(space, *words)
    image = (space / "app").read_bytes()
    for text, expected in (("4", False), ("3", True)):
        write(space, {"main.c": f"int main(void) {{ return {text}; }}\n"})
        assert "up to date" not in build(space, *words).stdout
        assert ((space / "app").read_bytes() == image) == expected
        assert "up to date" in build(space, *words).stdout


def test_what_is_said_is_the_output_of_json(space: Path) -> None:
    build(space, *WORDS)
    build(space, *WORDS)
    text = (space / "stats.json").read_text()
    assert text == json.dumps(json.loads(text), indent=2) + "\n"
