"""Finds types and variables that have one name but are not the same in all modules of a build.

A debugger that looks for a declared type by name would find any of them, so such types stay whole in each
unit. A type's *shape* is all that can be seen from it, with other types by their names alone. Two types
differ if their shapes do, or those of types that they name.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from nativecache.aot.debug.analysis import Analysis
from nativecache.aot.debug.errors import Unsupported
from nativecache.aot.debug.syntax import EXPANDED, FILE, LINE, NAME, PLACE, REFERENCE, SIZE, VALUE, VARIABLE
from nativecache.aot.key import value_digest
from nativecache.linker.values import dataclass

_MAX_DEPTH: Final = 100
#: In a shape: a variable that no other file knows. Those of two modules always differ.
_OWN: Final = "variable own"


@dataclass(frozen=True, slots=True)
class Shape:
    """What a type looks like, "" if two in one module differ, and the names of the types that it names."""

    text: str
    names: frozenset[str] = frozenset()


def find_shapes(module: Analysis) -> dict[str, Shape]:
    """The shapes of a module's defined types, by qualified name, and of its variables, by "=" and name.

    A C++ type with linkage is told by where it is defined, for it is the same in all files by law. Raises
    Unsupported.
    """
    found: dict[str, Shape] = {}
    for n, body in module.nodes.bodies.items():
        if not module.is_definition(n):
            continue
        name = module.nodes.qualified_name(n)
        if " identifier: " in body:
            found[name] = _linked_shape(module, body)
            continue
        names: set[str] = set()
        text = _spell(module, n, [], names)
        if found.setdefault(name, Shape(text, frozenset(names))).text != text:
            found[name] = Shape("", frozenset(names))
    for body in module.nodes.bodies.values():
        if body.startswith("!DIGlobalVariableExpression(") and (variable := VARIABLE.search(body)):
            described = module.nodes.bodies[variable[1]]
            if not NAME.search(described):  # a string literal, which no debugger shows
                continue
            is_local = "isLocal: true" in described
            values = VALUE.findall(body) if is_local else ""
            text = _OWN if is_local and not values else f"variable {values}"
            found[f"={module.nodes.qualified_name(variable[1])}"] = Shape(text)
    return found


def find_ambiguous(modules: Sequence[Mapping[str, Shape]]) -> frozenset[str]:
    """The names, as `find_shapes` has them, of what differs between modules, or names a type that does."""
    if len(modules) < 2:
        return frozenset()
    seen: dict[str, str] = {}
    ambiguous = set()
    several = set()
    below: dict[str, set[str]] = defaultdict(set)
    for shapes in modules:
        for name, shape in shapes.items():
            if name in seen:
                several.add(name)
                if shape.text == _OWN:
                    ambiguous.add(name)
            if not shape.text or seen.setdefault(name, shape.text) != shape.text:
                ambiguous.add(name)
            below[name] |= shape.names
    while ambiguous:
        more = {n for n in several - ambiguous if not ambiguous.isdisjoint(below[n])}
        if not more:
            break
        ambiguous |= more
    return frozenset(ambiguous)


def find_doubtful(shapes: Mapping[str, Shape], ambiguous: frozenset[str]) -> frozenset[str]:
    """The names of a module's shapes that may be ambiguous though all modules that have them agree.

    `ambiguous`: the names that are so in the program.
    """
    return frozenset(
        name
        for name, shape in shapes.items()
        if shape.text in ("", _OWN) or name in ambiguous or not ambiguous.isdisjoint(shape.names)
    )


def digest_shapes(shapes: Mapping[str, Shape]) -> dict[str, str]:
    """A digest of each shape by name, 16 hexadecimal digits; "" for a name that is ambiguous by itself.

    As long as a name is in one module only, and its digest is not "", `find_ambiguous` does not look at it.
    """
    return {
        name: shape.text and value_digest((shape.text, sorted(shape.names))).hex()[:16]
        for name, shape in sorted(shapes.items())
    }


def are_as_ambiguous(
    before: Sequence[Mapping[str, str]],
    now: Mapping[int, tuple[Mapping[str, str], frozenset[str]]],
    ambiguous: Callable[[], frozenset[str]],
) -> bool:
    """Whether the same names are ambiguous once some of the modules changed, if that is easily said.

    `before`: what `digest_shapes` had for the modules; `now`: what it has for those that changed, by number,
    and what `find_doubtful` has. `ambiguous`: the names that were.

    They are where no name that means something else now was ambiguous, and all modules that have it agree on
    it, as when lines move in a header with classes.
    """
    changed, gone, doubtful = dict[str, str](), set[str](), set[str]()
    for i, (shapes, doubts) in now.items():
        old = before[i]
        if old == shapes:
            continue
        for name, shape in shapes.items():
            if old.get(name) != shape and changed.setdefault(name, shape) != shape:
                return False
        gone.update(old.keys() - shapes.keys())
        doubtful |= doubts
    if not changed and not gone:
        return True
    if not ambiguous().isdisjoint(gone | changed.keys()):
        return False
    doubtful &= changed.keys()
    had = set[str]()
    for i in range(len(before)):
        known = now[i][0] if i in now else before[i]
        found = changed.keys() & known.keys()
        # What is doubtful is not ambiguous as long as one module alone has it.
        if any(known[name] != changed[name] for name in found) or not had.isdisjoint(doubtful & found):
            return False
        had |= found
    return "" not in changed.values()


def _linked_shape(module: Analysis, body: str) -> Shape:
    file, *rest = [m[1] if (m := pattern.search(body)) else "" for pattern in (FILE, LINE, SIZE)]
    return Shape(f"{module.nodes.file_name(file)} {rest}")


def _spell(module: Analysis, n: str, path: list[str], names: set[str]) -> str:
    """A type's shape, nodes on the path to it by their distance. Adds the types that it names to `names`."""
    if n in path:
        return f"^{path.index(n)}"
    body = module.nodes.bodies.get(n, "")
    if n in module.functions.owners or not body.startswith(EXPANDED) or (path and module.is_findable(n)):
        name = module.nodes.qualified_name(n)
        names.add(name)
        # Whether a file defines it or only declares it is no difference of what names it.
        return f"{body.partition('(')[0].removeprefix('distinct ')} {name}"
    if len(path) > _MAX_DEPTH:
        raise Unsupported("types nested too deeply")
    path.append(n)
    parts = REFERENCE.split(PLACE.sub("", body))
    for at in range(1, len(parts), 2):
        if parts[at][0] == "!":
            parts[at] = _spell(module, parts[at], path, names)
    path.pop()
    return f"({''.join(parts)})"
