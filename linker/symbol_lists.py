"""Translates lists of symbols for a linker that knows local symbols by other names than the list.

Locals that several objects share are linked under longer names, and get their own only in the image. A list
on the link line names them as the source does; the linker gets a copy in which each such name is followed, or
replaced, by those that it stands for.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from nativecache.linker.files import read_plain
from nativecache.linker.symbol_options import expanded_words, parse_option

#: By source name, the names by which a linker knows what is called so, in the order of the link.
Renamed = Mapping[str, Sequence[str]]


def translate_lists(words: Sequence[str], renamed: Renamed, folder: str, *, locals_too: bool) -> list[str]:
    """The words of a link line, those that name lists of symbols made to name copies in the folder.

    `words` as a compiler driver takes them. `locals_too`: the linker looks for local symbols in the list of
    `--retain-symbols-file`, as GNU ld and gold do. Lists in which no renamed symbol is stay as they are.
    """
    written: dict[str, str] = {}

    def translate(option: str, path: str) -> str:
        if path not in written:
            written[path] = _write(option, path, renamed, os.path.join(folder, f"symbols{len(written)}"))
        return written[path]

    lists = {name for name in _FORMS if locals_too or name != _RETAINED}
    return [*_Reader(lists, translate).read(words)] if renamed else [*words]


class _Reader:
    """Finds the values of some options among the words for a linker."""

    def __init__(self, lists: set[str], translate: Callable[[str, str], str]) -> None:
        self._lists, self._translate = lists, translate
        self._pending = ""  # the option whose value is the next word

    def read(self, words: Iterable[str]) -> Iterator[str]:
        rest = iter(words)
        for word in rest:
            if word[:1] == "@" and self._names_list(inside := [*expanded_words([word])]):
                yield from self.read(inside)
            elif word.startswith("-Wl,"):
                given = [*expanded_words(word.split(",")[1:])] if ",@" in word else word.split(",")[1:]
                found = [self._word(one) for one in given]
                if found == given:
                    yield word
                else:
                    for one in found:
                        yield from ("-Xlinker", one)
            elif word in ("-Xlinker", "--for-linker"):
                yield from (word, self._word(next(rest, "")))
            elif word.startswith("--for-linker="):
                yield from ("-Xlinker", self._word(word.partition("=")[2]))
            else:
                yield word

    def _names_list(self, words: Iterable[str]) -> bool:
        return any(name in word for word in words for name in self._lists)

    def _word(self, word: str) -> str:
        if self._pending:
            option, self._pending = self._pending, ""
            return self._translate(option, word)
        if word[:1] != "-":
            return word
        _, name, value = parse_option(word)
        if name not in self._lists:
            return word
        if value is None:
            self._pending = name
            return word
        return f"--{name}={self._translate(name, value)}"


def _write(option: str, path: str, renamed: Renamed, copy: str) -> str:
    """Writes a translation of the list; the path of it, or of the list where nothing is to be translated."""
    try:
        lines = os.fsdecode(read_plain(path)).splitlines()
    except OSError:
        return path  # the linker says so
    translated = [new for line in lines for new in _FORMS[option](line, renamed)]
    if translated == lines:
        return path
    with open(copy, "wb") as file:
        file.write(os.fsencode("".join(f"{line}\n" for line in translated)))
    return copy


def _ordered(line: str, renamed: Renamed) -> Iterable[str]:
    return renamed.get(line.strip(), (line,))


def _edge(line: str, renamed: Renamed) -> Iterable[str]:
    """Caller, callee and weight; of several symbols of a name lld takes the last."""
    *ends, weight = line.split(" ")
    return (" ".join((*(renamed.get(end, (end,))[-1] for end in ends), weight)),)


def _retained(line: str, renamed: Renamed) -> Iterable[str]:
    words = line.split()
    if renamed.keys().isdisjoint(words):
        return (line,)
    return (name for word in words for name in (word, *renamed.get(word, ())))


_RETAINED = "retain-symbols-file"
_FORMS: Mapping[str, Callable[[str, Renamed], Iterable[str]]] = {
    "symbol-ordering-file": _ordered,
    "call-graph-ordering-file": _edge,
    _RETAINED: _retained,
}
