"""Finds the files that globs name: `*` within a name, `**` for any folders, as `.gitignore` has them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from re import Match, Pattern, compile
from typing import Final

from nativecache.linker import lazy_re as re

_MAGIC: Final = re.compile(r"[*?[]")
_SIGN: Final = re.compile(r"\[!?[^\]]+\]|.", re.DOTALL)
_WILD: Final = {"*": "[^/]*", "?": "[^/]"}


class Found:
    """What globs found, and the folders in which was looked for it.

    Names that begin with a dot are found by what begins with one; folders behind links only by name.
    """

    def __init__(self) -> None:
        self.folders: dict[str, None] = {}

    def files(self, pattern: str) -> list[str]:
        """The files of a glob, sorted. One without signs is itself, if it is there."""
        absolute = pattern[:1] == "/"
        parts = [part for part in pattern.split("/") if part]
        found = self._below("/" if absolute else "", parts)
        return sorted(dict.fromkeys(path for path in found if not os.path.isdir(path)))

    def _below(self, base: str, parts: list[str]) -> Iterator[str]:
        part, rest = parts[0], parts[1:]
        if part == "**":
            yield from self._below(base, rest or ["*"])
            for name in self._names(base):
                path = os.path.join(base, name)
                if name[0] != "." and os.path.isdir(path) and not os.path.islink(path):
                    yield from self._below(path, parts)
        elif _MAGIC.search(part):
            from fnmatch import filter

            for name in filter(self._names(base), part):
                if name[0] != "." or part[0] == ".":
                    yield from self._one(os.path.join(base, name), rest)
        else:
            yield from self._one(os.path.join(base, part), rest)

    def _one(self, path: str, rest: list[str]) -> Iterator[str]:
        if not rest:
            if os.path.lexists(path):
                yield path
        elif os.path.isdir(path):
            yield from self._below(path, rest)

    def _names(self, folder: str) -> list[str]:
        self.folders.setdefault(folder or ".")
        try:
            return sorted(os.listdir(folder or "."))
        except OSError:
            return []


def is_glob(pattern: str) -> bool:
    """Whether a pattern may name several files."""
    return _MAGIC.search(pattern) is not None


def matches(path: str, patterns: Iterable[str]) -> bool:
    """Whether one of some globs names a path."""
    return any(_expression(pattern).fullmatch(os.path.normpath(path)) for pattern in patterns)


def _expression(pattern: str) -> Pattern[str]:
    """A glob as an expression over whole paths: `**` stands for any folders, or none."""
    words = []
    parts = os.path.normpath(pattern).split("/")
    for n, part in enumerate(parts):
        last = n == len(parts) - 1
        if part == "**":
            words.append(".*" if last else "(?:.*/)?")
        else:
            words.append(_SIGN.sub(_translate, part) + ("" if last else "/"))
    return compile("".join(words))


def _translate(sign: Match[str]) -> str:
    word = sign[0]
    if word in _WILD:
        return _WILD[word]
    if len(word) == 1:
        return re.escape(word)
    inner = word[1:-1].replace("\\", "\\\\").replace("[", "\\[")
    return f"[^{inner[1:]}]" if inner[0] == "!" else f"[{inner}]"
