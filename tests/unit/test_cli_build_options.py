"""What click makes of a build's options is one value with types, which nobody changes."""

from dataclasses import FrozenInstanceError, fields
from pathlib import Path

import click
import pytest

from nativecache.cli.build_options import BuildOptions, build_options, spell_for_click
from nativecache.cli.words import read_words


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
