"""Lets exceptions through functions of languages that know none, as images of separate objects do."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence, Set
from functools import partial
from typing import Final

from nativecache.aot.ir.module import Entity, Module
from nativecache.aot.ir.syntax import NAME

_GROUP: Final = re.compile(r"#\d+", re.ASCII)
_CALLEE: Final = re.compile(rf" (@{NAME})\(", re.ASCII)
_QUOTED_OR_GROUP: Final = re.compile(r'"[^"]*"| #\d+', re.ASCII)


def admit_unwinding(modules: Sequence[Module]) -> None:
    """Takes `nounwind` from functions that only have it because their language knows no exceptions.

    Exceptions pass through C in an image of separate objects, as its functions are described to the unwinder.
    LLVM would believe the word of a C function that is inlined into C++, or just in sight there, and
    remove the handlers around the call.
    """
    if not any(" personality " in _head(f) for module in modules for f in module.functions()):
        return
    for module in modules:
        claims = {group for group, text in module.attributes.items() if " nounwind " in text}
        nothrow = {
            e.token for e in module.entities.values() if not e.defined and not claims.isdisjoint(e.groups)
        }
        # Where nothing knows of exceptions, optimised calls only repeat what their callers claim.
        believed = claims if any(" personality " in _head(f) for f in module.functions()) else set[str]()
        without: dict[str, str] = {}
        for function in module.functions():
            if claims.isdisjoint(function.groups) or " personality " in _head(function):
                continue
            head, *lines = function.text.splitlines(keepends=True)
            unsure = [
                n for n, line in enumerate(lines) if " call " in line and _may_unwind(line, believed, nothrow)
            ]
            if not unsure:
                continue
            lines = [head, *lines]
            for n in (0, *(n + 1 for n in unsure)):
                for group in sorted(claims.intersection(_GROUP.findall(lines[n])) - without.keys()):
                    rest = module.attributes[group].replace(" nounwind ", " ", 1)
                    without[group] = (
                        f"#{max(int(g[1:]) for g in module.attributes) + 1}" if rest != "{ }" else ""
                    )
                    if without[group]:
                        module.attributes[without[group]] = rest
                lines[n] = _QUOTED_OR_GROUP.sub(partial(_exchange, without), lines[n])
            function.text = "".join(lines)
            function.groups = tuple(_GROUP.findall(lines[0]))


def _exchange(groups: Mapping[str, str], match: re.Match[str]) -> str:
    group = groups.get(match[0][1:])
    return match[0] if group is None else group and f" {group}"


def _head(function: Entity) -> str:
    return function.text[: function.text.find("\n")]


def _may_unwind(call: str, believed: Set[str], nothrow: Set[str]) -> bool:
    """Whether something may be thrown out of the call on a line, by its attribute groups and its callee."""
    if not believed.isdisjoint(_GROUP.findall(call)):
        return False
    callee = _CALLEE.search(call)
    if callee is None:
        return " asm " not in call or " unwind " in call
    return not callee[1].startswith("@llvm.") and callee[1] not in nothrow
