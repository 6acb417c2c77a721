"""What words of a compiler's command line say of one file, or of all: clang's flags, and the -O level."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from nativecache.cli.option_table import BOTH, CLANG, OURS
from nativecache.cli.options import asked_level
from nativecache.cli.words import Word

#: What clang does besides at levels that only it knows.
_BESIDES: Final = {"s": ["-Os"], "g": ["-Og"], "z": ["-Oz"], "fast": ["-ffast-math"]}


def clang_flags(line: Sequence[Word]) -> list[str]:
    """Clang's flags among some words, in order, with what the last level says besides."""
    levels = [word for word in line if word.place == OURS and word.name == "-O"]
    flags: list[str] = []
    for word in line:
        if word.place in (CLANG, BOTH):
            flags += word.words
        elif word in levels[-1:]:
            flags += _BESIDES.get(word.value, [])
    return flags


def with_own(word: Word, own: Sequence[Word]) -> Word:
    """An input's word with flags of its own."""
    level = "".join(asked_level([*own]))
    if level and level not in "0123":
        level = ""  # clang's own, which the file's flags say
    return Word(
        word.place, word.words, word.name, word.value, word.language, (*word.own, *clang_flags(own)), level
    )
