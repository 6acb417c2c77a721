"""What is compiled and kept in one piece: functions, or files that clang compiles as it would without us."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from harness import CLANG, BuildResult, build, clean_environment, needs_clang, run
from rules import write

from nativecache.cache.statistics import fold_statistics, read_statistics

pytestmark = needs_clang

SOURCES = {
    "all.h": "int printf(const char *, ...);\nint twice(int); int odd(int);\n",
    "main.c": '#include "all.h"\nstatic int step(int n) { return n + 1; }\n'
    'int main(void) { printf("%d %d\\n", step(twice(5)), odd(7)); return 0; }\n',
    "twice.c": '#include "all.h"\nint unused(int n) { return n - 4; }\nint twice(int n) { return n * 2; }\n',
    "odd.c": '#include "all.h"\nstatic int low(int n) { return n & 1; }\nint odd(int n) { return low(n); }\n',
}
FILES = [name for name in SOURCES if name.endswith(".c")]


def built(folder: Path, *words: str) -> BuildResult:
    return build(folder, *FILES, "-o", "app", *words)


def files(done: BuildResult) -> tuple[int, int]:
    """Files that are compiled in one piece, and how many of them came from the cache."""
    return len(done.stats["whole"]), done.stats["whole_hits"]


def symbols(path: Path) -> list[str]:
    """Names of what a program's own code defines, and in what section it is, as nm shows them."""
    nm = next(filter(shutil.which, ("llvm-nm-22", "nm")))
    said = subprocess.run([nm, str(path)], capture_output=True, text=True, check=True).stdout
    ours = {"main", "step", "twice", "odd", "low", "unused"}
    return sorted(
        " ".join(line.split()[-2:]).lower() for line in said.splitlines() if line.split()[-1] in ours
    )


@pytest.mark.parametrize("debug", [(), ("-g",)])
def test_files_at_level_0(debug: tuple[str, ...], tmp_path: Path) -> None:
    write(tmp_path, SOURCES)
    words = ("-O0", *debug, "--granularity", "auto")
    cold = built(tmp_path, *words)
    assert files(cold) == (3, 0) and cold.stats["functions"] == 0 and not cold.stats["not_kept"]
    assert "app: 0 of 3 files from cache (0 %), linked in" in cold.stdout and "whole" not in cold.stdout
    image = (tmp_path / "app").read_bytes()
    again = built(tmp_path, *words)
    assert again.stdout.startswith("app: up to date, 3 files,") and files(again) == (3, 3)

    # As clang has it: nothing is left out, for nothing was looked into.
    subprocess.run([CLANG, *words[:-2], *FILES, "-o", "theirs"], cwd=tmp_path, check=True)
    assert symbols(tmp_path / "app") == symbols(tmp_path / "theirs")
    assert len(symbols(tmp_path / "app")) == 6
    assert run(tmp_path / "app") == run(tmp_path / "theirs")

    write(tmp_path, {"odd.c": SOURCES["odd.c"].replace("n & 1", "n & 3")})
    edited = built(tmp_path, *words)
    assert files(edited) == (3, 2) and "2 of 3 files from cache (66.67 %)" in edited.stdout
    assert run(tmp_path / "app").stdout == b"11 3\n"
    for more in (("--no-cache",), ("--cache-dir", "other", "-j1")):
        built(tmp_path, *words, "-o", "cold", *more)
        assert (tmp_path / "app").read_bytes() == (tmp_path / "cold").read_bytes()
    write(tmp_path, SOURCES)
    assert files(built(tmp_path, *words)) == (3, 3)
    assert (tmp_path / "app").read_bytes() == image


@pytest.mark.parametrize(
    ("words", "whole", "functions"),
    [
        (("-O0", "--granularity=function"), 0, 5),  # nobody needs `unused`
        (("-O0", "--granularity=auto"), 3, 0),
        (("-O0", "--granularity=auto", "-g"), 3, 0),
        (("-O0", "--granularity=auto", "--features=+avx"), 0, 5),  # for our own code generation alone
        (("-O1", "--granularity=auto"), 0, 3),  # the static ones are in their callers
        (("-O2", "--granularity=file"), 3, 0),
        (("-O0", "--granularity=auto", "--emit=bitcode"), 0, 6),
    ],
)
def test_who_compiles_what(words: tuple[str, ...], whole: int, functions: int, tmp_path: Path) -> None:
    write(
        tmp_path,
        {name: text.replace("static", "__attribute__((noinline)) static") for name, text in SOURCES.items()},
    )
    for _ in range(2):
        done = built(tmp_path, *words)
        assert (len(done.stats["whole"]), done.stats["functions"]) == (whole, functions)


def test_other_inputs_are_functions_all_the_same(tmp_path: Path) -> None:
    write(tmp_path, SOURCES)
    subprocess.run([CLANG, "-S", "-emit-llvm", "-O0", "odd.c", "-o", "odd.ll"], cwd=tmp_path, check=True)
    inputs = ("main.c", "twice.c", "odd.ll")
    done = build(tmp_path, *inputs, "-O0", "--granularity", "auto", "-o", "app")
    assert files(done) == (2, 0) and done.stats["functions"] == 2
    assert "0 of 2 functions from cache (0 %) and 0 of 2 files from cache (0 %)" in done.stdout
    assert run(tmp_path / "app").stdout == b"11 1\n"
    write(tmp_path, {"main.c": SOURCES["main.c"].replace("n + 1", "n + 2")})
    done = build(tmp_path, *inputs, "-O0", "--granularity", "auto", "-o", "app")
    assert files(done) == (2, 1) and done.stats["function_hits"] == 2
    assert run(tmp_path / "app").stdout == b"12 1\n"


def test_from_one_granularity_to_another(tmp_path: Path) -> None:
    write(tmp_path, SOURCES)
    images: dict[str, bytes] = {}
    expected = {"function": (0, 0), "file": (3, 0), "auto": (3, 3)}
    for _ in range(2):
        for granularity, counts in expected.items():
            assert files(built(tmp_path, "-O0", "--granularity", granularity)) == counts
            image = (tmp_path / "app").read_bytes()
            assert images.setdefault(granularity, image) == image
        expected["file"] = (3, 3)
    assert images["auto"] == images["file"] != images["function"]


@pytest.mark.parametrize("kind", ["shared", "archive", "object"])
def test_other_outputs(kind: str, tmp_path: Path) -> None:
    write(tmp_path, SOURCES)
    words = (*FILES[1:], "-O0", "-g", "--granularity", "auto", "--emit", kind)
    name = {"shared": "lib.so", "archive": "lib.a", "object": "lib.o"}[kind]
    done = build(tmp_path, *words, "-o", name)
    assert files(done) == (2, 0)
    subprocess.run([CLANG, "main.c", name, "-Wl,-rpath,.", "-o", "app"], cwd=tmp_path, check=True)
    assert subprocess.run(["./app"], cwd=tmp_path, capture_output=True, check=True).stdout == b"11 1\n"
    if kind == "archive":
        members = subprocess.run(["ar", "t", name], cwd=tmp_path, capture_output=True, text=True, check=True)
        assert members.stdout.split() == ["twice.o", "odd.o"]
    whole = (tmp_path / name).read_bytes()
    assert files(build(tmp_path, *words, "-o", name, "-v")) == (2, 2)
    assert (tmp_path / name).read_bytes() == whole


def test_it_is_the_default_and_a_variable(tmp_path: Path) -> None:
    write(tmp_path, SOURCES)

    def said(**environ: str) -> str:
        words = ["build", *FILES, "-O0", "-o", "app", "--cache-dir", "cache"]
        done = subprocess.run(
            [sys.executable, "-m", "nativecache.cli.start", *words],
            cwd=tmp_path,
            env=clean_environment() | environ,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout

    assert "0 of 3 files from cache" in said()
    assert "0 of 5 functions from cache" in said(NATIVECACHE_GRANULARITY="function")
    assert "3 of 3 files from cache" in said(NATIVECACHE_GRANULARITY="file")


def test_it_is_refused(tmp_path: Path) -> None:
    write(tmp_path, SOURCES)
    for words, reason in (
        (("--granularity", "module"), "'module' is not one of 'auto', 'function', 'file'"),
        (("--granularity=file", "--features=+avx"), "--features: is not for files in one piece"),
    ):
        done = build(tmp_path, *FILES, "-o", "app", *words, check=False)
        assert done.exit_code == 2 and reason in done.stderr and not (tmp_path / "app").exists()


def test_statistics_count_files(tmp_path: Path) -> None:
    write(tmp_path, SOURCES)
    built(tmp_path, "-O0", "--granularity", "auto")
    write(tmp_path, {"odd.c": SOURCES["odd.c"].replace("n & 1", "n & 3")})
    built(tmp_path, "-O0", "--granularity", "auto")
    fold_statistics(tmp_path / "cache")
    counts = read_statistics(tmp_path / "cache").total
    assert (counts["hits"], counts["missed_new"]) == (2, 4)
