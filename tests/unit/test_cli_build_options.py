"""What click makes of a build's options is one value with types, which nobody changes."""

import os
from dataclasses import FrozenInstanceError, fields
from pathlib import Path

import click
import pytest

from nativecache.cli.build_options import build_options, spell_for_click
from nativecache.cli.options import BuildOptions, read_plainly
from nativecache.cli.words import BadWords, read_words


def read(*words: str) -> BuildOptions:
    @click.command()
    @build_options
    def command(options: BuildOptions) -> BuildOptions:
        return options

    found = command.main(spell_for_click(read_words(list(words))), standalone_mode=False)
    assert isinstance(found, BuildOptions)
    return found


def test_every_declared_option_is_a_field() -> None:
    @click.command()
    @build_options
    def command(options: BuildOptions) -> None:
        """Nothing."""

    assert {option.name for option in command.params} == {field.name for field in fields(BuildOptions)}


def test_words_become_values(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NATIVECACHE_DIR", raising=False)
    options = read(
        "a.c", "-Ofast", "-j3", "--fallback-dir=x", "--fallback-dir", "y", "--verify", "-o", "b", "-q"
    )
    assert (options.level, options.threads, options.verify) == (3, 3, 10.0)
    assert options.fallback_dir == (Path("x"), Path("y")) and options.output == Path("b") and options.quiet
    assert options.cache_dir is None and options.emit == "exe" and not options.no_opt
    with pytest.raises(FrozenInstanceError):
        options.level = 2  # type: ignore[misc]


def test_the_last_level_counts() -> None:
    assert [read("a.c", "-O1", level).level for level in ("-O", "-Og", "-Os", "-O4", "-O0")] == [
        1,
        1,
        2,
        3,
        0,
    ]


def without_click(*words: str, **environ: str) -> BuildOptions | None:
    return read_plainly(read_words(list(words)), environ)


@pytest.mark.parametrize(
    "line",
    [
        "a.c",
        "a.c -o b -O0 -O3 -j 4 -q --timings",
        "-shared a.c -Os --cpu native --features=+avx2 --target x86_64-linux-gnu --cc gcc --clang clang",
        "-c a.c --cache-dir=d --stats-json s.json --linker mold --llvm llvmlite --compiler-check mtime",
        "a.c --no-opt --no-cache --trust-cache-dir --compress-debug -v --import-limit 3 --threads=2",
        "a.c --emit archive --cache-mode refresh --store sqlite --fallback-dir x --fallback-dir=y --verify",
        "a.c -O4 --verify=3 --cache-mode off -Iinclude -DX=1 -std=c11 --cflag=-w -- -lm",
    ],
)
def test_plain_lines_are_read_as_by_click(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("NATIVECACHE_")]:
        monkeypatch.delenv(name)
    assert without_click(*line.split()) == read(*line.split())
    monkeypatch.setenv("NATIVECACHE_DIR", "folder")
    assert without_click(*line.split(), NATIVECACHE_DIR="folder") == read(*line.split())


@pytest.mark.parametrize(
    "words",
    [
        *(("-h",), ("a.c", "--help"), ("a.c", "-vq"), ("a.c", "-O7x"), ("a.c", "--emit", "exes")),
        *(("a.c", "-j0"), ("a.c", "-j", "two"), ("a.c", "--threads=2000"), ("a.c", "-j", "+2")),
        *(("a.c", "--verify=101"), ("a.c", "--verify=0.5"), ("a.c", "-o", ""), ("a.c", "--store=")),
        *(("a.c", "--import-limit=-1"), ("a.c", "-j", "٣"), ("a.c", "--quiet=1")),
    ],
)
def test_what_is_not_plain_is_left_to_click(words: tuple[str, ...]) -> None:
    try:
        line = read_words(list(words))
    except BadWords:
        return
    assert read_plainly(line, {}) is None


ENVIRONMENTS = [
    {"NATIVECACHE_THREADS": "3", "NATIVECACHE_CACHE_MODE": "read-only", "NATIVECACHE_QUIET": "on"},
    {"NATIVECACHE_TRUST_CACHE_DIR": "1", "NATIVECACHE_TIMINGS": "0", "NATIVECACHE_STATS_JSON": "s.json"},
    {"NATIVECACHE_LINKER": "mold", "NATIVECACHE_CC": "gcc", "NATIVECACHE_OUTPUT": "b", "NATIVECACHE_OPT": ""},
    {"NATIVECACHE_OF_ANOTHER": "x", "NATIVECACHE_NO_CACHE": "No", "NATIVECACHE_LLVM": "llvmlite"},
    {"NATIVECACHE_GRANULARITY": "file", "NATIVECACHE_EMIT": "archive", "NATIVECACHE_IMPORT_LIMIT": "7"},
]


@pytest.mark.parametrize("environ", ENVIRONMENTS)
@pytest.mark.parametrize("line", ["a.c", "a.c -j2 -o c --linker lld --emit exe --timings"])
def test_plain_environments_are_read_as_by_click(
    environ: dict[str, str], line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in os.environ if name.startswith("NATIVECACHE_")]:
        monkeypatch.delenv(name)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    assert without_click(*line.split(), **environ) == read(*line.split())


def test_every_variable_is_known_to_who_reads_without_click() -> None:
    @click.command()
    @build_options
    def command(options: BuildOptions) -> None:
        """Nothing."""

    for option in command.params:
        name = option.envvar
        if isinstance(name, str) and name != "NATIVECACHE_DIR":
            assert without_click("a.c", **{name: "no such value"}) != without_click("a.c"), name


def test_what_is_odd_in_the_environment_is_left_to_click() -> None:
    for name, value in (("QUIET", "maybe"), ("THREADS", "0"), ("CFLAGS", "-g"), ("OPT", "1"), ("EMIT", "x")):
        assert without_click("a.c", **{f"NATIVECACHE_{name}": value}) is None
    found = without_click("a.c", NATIVECACHE_DIR="")
    assert found and found.cache_dir is None
