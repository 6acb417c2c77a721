"""What words of a compiler's command line say of one file, or of all: clang's flags, and the -O level."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from nativecache.cli.option_table import BOTH, CLANG, OURS
from nativecache.cli.options import asked_level
from nativecache.cli.words import BadWords, Word

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


def with_own(word: Word, own: Sequence[Word], folder: str = "") -> Word:
    """An input's word with flags of its own, and the folder in which it is compiled. Raises BadWords."""
    level = "".join(asked_level([*own]))
    if level not in ("", "0", "1", "2", "3"):
        raise BadWords(f"-O{level} is no level that is known")
    # Said again, for all files may have been told of -Os.
    said = (f"-O{level}",) if level else ()
    flags = (*word.own, *said, *clang_flags(own))
    return Word(word.place, word.words, word.name, word.value, word.language, flags, level, folder)
