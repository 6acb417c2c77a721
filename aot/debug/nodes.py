"""Reads a module's printed debug information into nodes, with the kinds that are most of it taken apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Final

from nativecache.aot.debug.names import hide_lines_in_names
from nativecache.aot.debug.syntax import (
    BLOCK,
    COMPILE_UNIT,
    DWARF_VERSION,
    FILE_NAME,
    LOCAL_VARIABLE,
    LOCATION,
    NAME,
    SCOPE,
)
from nativecache.linker import lazy_re as re
from nativecache.linker.values import dataclass

_TEMPLATE_VALUE: Final = "= !DITemplateValueParameter("
#: An argument of a C++ template: what stands before its value, and that value.
_VALUE_OF_A_TEMPLATE: Final = re.compile(
    rf"^(!\d+ {re.escape(_TEMPLATE_VALUE)}.*, value: )(.+)\)$", re.MULTILINE | re.ASCII
)
_STRING: Final = re.compile(r'"[^"]*"')


@dataclass(frozen=True)
class DebugNodes:
    """A module's metadata nodes as printed, by number (`!7`).

    `bodies` is what stands behind `=`, of all nodes but locations. `locations`, `blocks` and `variables` are
    the groups of LOCATION, BLOCK and LOCAL_VARIABLE (see syntax.py), in the order of the text.
    `named` are the lines that were part of names, by their key (see names.py).
    """

    bodies: Mapping[str, str]
    locations: Sequence[tuple[str, str, str, str, str]]
    blocks: Sequence[tuple[str, str, str, str, str]]
    variables: Sequence[tuple[str, str, str, str, str, str, str]]
    named: Mapping[str, int]

    @cached_property
    def dwarf_version(self) -> int:
        """The module's flag "Dwarf Version", 4 where it has none."""
        versions = (m[1] for body in self.bodies.values() if (m := DWARF_VERSION.fullmatch(body)))
        return int(next(versions, "4"))

    @cached_property
    def compile_units(self) -> Mapping[str, str]:
        """The bodies of all compile units, by number."""
        return {n: body for n, body in self.bodies.items() if body.startswith(COMPILE_UNIT)}

    def file_name(self, n: str) -> str:
        """The `filename` of a DIFile, "" if `n` is no number of one."""
        found = FILE_NAME.search(self.bodies.get(n, ""))
        return found[1] if found else ""

    def qualified_name(self, n: str) -> str:
        """The name of a type or variable behind those of the scopes around it, as C++ spells it: `a::b`."""
        names = []
        for _ in range(100):
            body = self.bodies.get(n, "")
            if body.startswith(("!DIFile(", COMPILE_UNIT)):
                break
            found, scope = NAME.search(body), SCOPE.search(body)
            names.append(found[1][1:-1] if found else "")
            if scope is None:
                break
            n = scope[1]
        return "::".join(reversed(names))


def read_nodes(text: str, *, relative: bool) -> DebugNodes:
    """Read printed metadata. Lines in names become keys if `relative`."""
    plain = "\n".join([line for line in text.split("\n") if " = !DILocation(" not in line])
    if _TEMPLATE_VALUE in plain:
        plain = _VALUE_OF_A_TEMPLATE.sub(_without_symbols, plain)
    plain, named = hide_lines_in_names(plain) if relative else (plain, {})
    return DebugNodes(
        bodies=dict(line.split(" = ", 1) for line in plain.split("\n") if line),
        locations=LOCATION.findall(text),
        blocks=BLOCK.findall(plain),
        variables=LOCAL_VARIABLE.findall(plain),
        named=named,
    )


def _without_symbols(match: re.Match[str]) -> str:
    """A template's argument without a value that holds symbols or named types, which only units' texts have.

    LLVM writes nothing of structs; of what an address is the address of, the name of the template tells.
    """
    value = _STRING.sub("", match[2])
    return f"{match[1]}null)" if "@" in value or "%" in value else match[0]
