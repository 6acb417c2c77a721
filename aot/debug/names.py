"""Takes out of names the lines that compilers put there: C++ calls a lambda `(lambda at a.cpp:7:3)`.

Each such line becomes a key, `a.cpp:3:0` for the first one of that file and column, so that a name stays what
it is when its line moves.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Final

from nativecache.aot.ir.debug_info import IN_NAME
from nativecache.linker import lazy_re as re
from nativecache.linker.lines import MAX_NAMED

#: File, line, column.
_LINE_IN_NAME: Final = re.compile(r' at ([^"()]*?):(\d+):(\d+)\)', re.ASCII)


def hide_lines_in_names(nodes: str) -> tuple[str, dict[str, int]]:
    """Replace the lines in names in printed nodes by keys, each between two IN_NAME; return the lines by key.

    Lines above MAX_NAMED stay.
    """
    if " at " not in nodes:
        return nodes, {}
    found = {(m[1], m[3], m[2]) for m in _LINE_IN_NAME.finditer(nodes)}
    keys, lines = _choose_keys(found)

    def spell(match: re.Match[str]) -> str:
        key = keys.get((match[1], match[3], match[2]))
        return match[0] if key is None else f" at {match[1]}:{IN_NAME}{key}{IN_NAME}:{match[3]})"

    return _LINE_IN_NAME.sub(spell, nodes) if keys else nodes, lines


def _choose_keys(
    found: set[tuple[str, str, str]],
) -> tuple[Mapping[tuple[str, str, str], str], dict[str, int]]:
    """Keys by file, column and line, and lines by key. Keys of one file and column count the lines."""
    keys: dict[tuple[str, str, str], str] = {}
    lines: dict[str, int] = {}
    seen: Counter[tuple[str, str]] = Counter()
    for file, column, line in sorted(found, key=lambda place: (*place[:2], len(place[2]), place[2])):
        if int(line) > MAX_NAMED:
            continue
        key = keys[file, column, line] = f"{file}:{column}:{seen[file, column]}"
        seen[file, column] += 1
        lines[key] = int(line)
    return keys, lines
