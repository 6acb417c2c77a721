"""Writes the unit that holds the definitions of a module's types, with enumerations and constants.

Nodes are numbered as they are come upon, and so are lines, which stand in the text by their ordinal (see
linker/lines.py).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from nativecache.aot.debug.syntax import (
    COMPILE_UNIT,
    LINKAGE_NAME,
    NAME,
    NODE,
    REFERENCE_OR_LINE,
    SCOPE,
    UNIT_LISTS,
)
from nativecache.aot.ir.debug_info import IN_NAME, NAMED_LINE, TypeUnit
from nativecache.linker.lines import MIDDLE, name_line, ordinal

if TYPE_CHECKING:
    import re

    from nativecache.aot.debug.analysis import Analysis


def has_types(module: Analysis) -> bool:
    """Whether a module's debug information describes types, and not only lines."""
    return any("emissionKind: FullDebug" in body for body in module.nodes.compile_units.values())


def write_type_unit(module: Analysis, flags: Sequence[str], constants: Collection[str]) -> TypeUnit:
    """The unit of a module's types, as metadata in LLVM's own form with encoded lines.

    `flags` are the nodes of the module's flags, `constants` those of global variables that have only a value.
    """
    return _Writer(module, constants).write(flags)


class _Writer:
    """One such unit while it is written: the numbers of nodes and lines, and nodes that have yet to come."""

    def __init__(self, module: Analysis, constants: Collection[str]) -> None:
        self._module = module
        self._functions = module.functions
        self._bodies = module.nodes.bodies
        self._constants = frozenset(constants)
        #: Definitions that the first compile unit is to list.
        self._defined = [n for n in self._bodies if module.is_definition(n)]
        self._numbers: dict[str, str] = {}
        self._waiting: list[str] = []
        self._lines: list[int] = []
        self._names: dict[str, int] = {}

    def write(self, flags: Sequence[str]) -> TypeUnit:
        written = []
        units = list(map(self._number, self._module.nodes.compile_units))
        while self._waiting:
            batch, self._waiting = self._waiting, []
            written += [f"{self._numbers[n]} = {self._spell(self._body(n))}\n" for n in batch]
        head = f"!llvm.dbg.cu = !{{{', '.join(units)}}}\n"
        kept = [n for n in flags if '"CG Profile"' not in self._bodies.get(n, "")]
        head += f"!llvm.module.flags = !{{{', '.join(map(self._number, kept))}}}\n"
        written += [f"{self._numbers[n]} = {self._spell(self._bodies[n])}\n" for n in self._waiting]
        named = tuple(self._module.nodes.named[key] for key in self._names)
        return TypeUnit(head + "".join(written), tuple(self._lines), named)

    def _number(self, n: str) -> str:
        n = self._functions.owners.get(n, n)  # of what is in a function, no more than which it is
        if n not in self._numbers:
            self._numbers[n] = f"!{len(self._numbers)}"
            self._waiting.append(n)
        return self._numbers[n]

    def _spell(self, body: str) -> str:
        """A node with the numbers of others, and the ordinals of its lines."""
        parts = REFERENCE_OR_LINE.split(body)
        for at in range(1, len(parts), 2):
            part = parts[at]
            if part[0] == "!":
                parts[at] = self._number(part)
            elif part[0] == '"':
                if IN_NAME in part:
                    parts[at] = NAMED_LINE.sub(self._spell_named, part)
            elif part != "line: 0":
                word, _, line = part.partition(" ")
                if self._module.relative and len(self._lines) < MIDDLE:
                    self._lines.append(int(line))
                    line = str(ordinal(len(self._lines) - 1))
                parts[at] = f"{word} {line}"
        return "".join(parts)

    def _spell_named(self, match: re.Match[str]) -> str:
        return name_line(self._names.setdefault(match[1], len(self._names)))

    def _body(self, n: str) -> str:
        """What the unit says of a node, before others are numbered in it."""
        body = self._bodies.get(n, "!{}")
        if n in self._functions.members:
            called = [m[0] for pattern in (NAME, LINKAGE_NAME) if (m := pattern.search(body))]
            return f"!DISubprogram({', '.join([*called, 'spFlags: 0'])})"
        if body.startswith(COMPILE_UNIT):
            return self._compile_unit(body)
        return self._module.files.bodies.get(n, body)

    def _compile_unit(self, body: str) -> str:
        """A compile unit that lists types and constants, and nothing that is in a function."""
        lists = {name: NODE.findall(self._bodies[m]) for name, m in UNIT_LISTS.findall(body)}
        lists.pop("macros", None)
        lists["globals"] = [m for m in lists.get("globals", ()) if m in self._constants]
        for name in ("enums", "retainedTypes", "imports"):
            lists[name] = [m for m in lists.get(name, ()) if not self._is_local(m)]
        lists["retainedTypes"] = list(dict.fromkeys([*lists["retainedTypes"], *self._defined]))
        self._defined = []
        fields = [f", {name}: !{{{', '.join(nodes)}}}" for name, nodes in lists.items() if nodes]
        return f"{UNIT_LISTS.sub('', body)[:-1]}{''.join(fields)})"

    def _is_local(self, n: str) -> bool:
        found = SCOPE.search(self._bodies.get(n, ""))
        return n in self._functions.owners or (found is not None and found[1] in self._functions.owners)
