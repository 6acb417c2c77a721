"""Finds from where the lines of each function count: its *range* in each file that it takes code from.

A range begins with the function's own line, in other files with the least line that the function has there.
Where several functions begin with the same line of a file they share a range, because LLVM compares lines.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from nativecache.aot.debug.errors import FarLines
from nativecache.aot.debug.syntax import FILE, INLINED_AT, LINE, SCOPE
from nativecache.linker.lines import MAX_LINE, REACH
from nativecache.linker.values import dataclass, field

if TYPE_CHECKING:
    from nativecache.aot.debug.functions import Functions
    from nativecache.aot.debug.nodes import DebugNodes

#: A function and a file, by their numbers.
Place = tuple[str, str]


@dataclass(frozen=True)
class Ranges:
    """The ranges of a module's functions; none where lines are real.

    `places`: key and first line by function and file. `first`: first line by key. A key is that of the
    function that the range is called after (see functions.py), with the file's name if it is another file.
    """

    places: Mapping[Place, tuple[str, int]] = field(default_factory=dict)
    first: Mapping[str, int] = field(default_factory=dict)

    def scope_keys(self, functions: Functions, owner: str) -> list[str]:
        """By place in `members`, the key of the range that locations in a node belong to, "" for none."""
        members = functions.members[owner]
        if not self.places:
            return [""] * len(members)
        files, places, own_file = functions.files, self.places, functions.files[owner]
        own = places.get((owner, own_file), ("", 0))[0]
        keys = []
        for n in members:
            file = files.get(n)
            if file is None:
                keys.append("")
            else:
                keys.append(own if file == own_file else places.get((owner, file), ("", 0))[0])
        return keys


def find_ranges(nodes: DebugNodes, functions: Functions) -> Ranges:
    """The ranges of all functions. Raises FarLines where one begins beyond MAX_LINE - REACH."""
    begins: dict[Place, int] = {}
    for n in functions.members:
        if (found := LINE.search(nodes.bodies[n])) and found[1] != "0":
            begins[n, functions.files[n]] = int(found[1])
    begins.update(_least_lines(nodes, functions, begins.keys()))
    return _choose_keys(nodes, functions, begins)


def _least_lines(nodes: DebugNodes, functions: Functions, known: Iterable[Place]) -> dict[Place, int]:
    """The least line of each place that does not begin with its function."""
    known = frozenset(known)
    owners = functions.owners
    least: dict[Place, int] = {}
    scopes: dict[str, Place] = {}  # of such places

    def take(place: Place, line: str) -> None:
        if line != "0":
            least[place] = min(least.get(place, int(line)), int(line))

    for n, _, file, line, _ in nodes.blocks:
        if n in owners and (place := (owners[n], file)) not in known:
            scopes[n] = place
            take(place, line)
    for n, _, _, file, line, *_ in nodes.variables:
        if n in owners and (place := (owners[n], file)) not in known:
            take(place, line)
    for n in functions.members:
        if (place := (n, functions.files[n])) not in known:
            scopes[n] = place
    done = {n for n, *_ in nodes.blocks} | {n for n, *_ in nodes.variables}
    for n in owners:
        if n in done or not (found := FILE.search(nodes.bodies[n])):
            continue
        if (place := (owners[n], found[1])) not in known:
            scopes[n] = place
            if line_found := LINE.search(nodes.bodies[n]):
                take(place, line_found[1])
    for _, line, _, scope, _ in nodes.locations if scopes else ():
        if scope in scopes:
            take(scopes[scope], line)
    if rest := {*scopes.values()} - least.keys():
        # Where all code was inlined, the places of the calls have the only lines.
        calls = [body for body in nodes.bodies.values() if body.startswith(INLINED_AT)]
        for body in calls:
            scope_found, line_found = SCOPE.search(body), LINE.search(body)
            if scope_found and line_found and scopes.get(scope_found[1]) in rest:
                take(scopes[scope_found[1]], line_found[1])
    return least


def _choose_keys(nodes: DebugNodes, functions: Functions, begins: Mapping[Place, int]) -> Ranges:
    places: dict[Place, tuple[str, int]] = {}
    first: dict[str, int] = {}
    shared: dict[tuple[str, int], str] = {}
    for (owner, file), line in begins.items():
        if line > MAX_LINE - REACH:
            raise FarLines
        key = functions.keys[owner]
        if file != functions.files[owner]:
            key += f"/{nodes.file_name(file)}"
        while first.get(key, line) != line:  # another file of that name
            key += "'"
        key = shared.setdefault((file, line), key)
        places[owner, file] = key, line
        first[key] = line
    return Ranges(places, first)
