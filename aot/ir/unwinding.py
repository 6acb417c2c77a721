"""Lets exceptions through functions of languages that know none, as images of separate objects do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from typing import Final

from nativecache.aot.ir.linkage import is_interposable, may_be_replaced
from nativecache.aot.ir.module import Entity, Module
from nativecache.aot.ir.syntax import NAME
from nativecache.linker import lazy_re as re
from nativecache.linker.values import replace

_GROUP: Final = re.compile(r"#\d+", re.ASCII)
_CALL_LINE: Final = re.compile(r"^.* call .*$", re.MULTILINE)
_CALLEE: Final = re.compile(rf" (@{NAME})\(", re.ASCII)
_QUOTED_OR_GROUP: Final = re.compile(r'"[^"]*"| #\d+', re.ASCII)


def admit_unwinding(modules: Sequence[Module]) -> list[Module]:
    """The modules without `nounwind` where a function only has it for want of exceptions in its language.

    Exceptions pass through C in an image of separate objects, as its functions are described to the unwinder.
    LLVM would believe the word of a C function that is inlined into C++, or just in sight there, and
    remove the handlers around the call. A function keeps its word if nothing that it calls may throw.
    """
    handlers = list(map(handles_exceptions, modules))
    if not any(handlers):
        return list(modules)
    return list(map(admit, modules))


def handles_exceptions(module: Module) -> bool:
    """Whether a function of the module catches what is thrown, or cleans up behind it."""
    return any(map(_has_personality, module.functions()))


def admit(module: Module) -> Module:
    """A module without the `nounwind` that is not believed where some module handles exceptions."""
    knows = handles_exceptions(module)
    claims = {group for group, text in module.attributes.items() if " nounwind " in text}
    # Where nothing knows of exceptions, optimised calls only repeat what their callers claim.
    believed = claims if knows else set[str]()
    calls = {
        function.token: _find_calls(function, believed)
        for function in module.functions()
        if not claims.isdisjoint(function.groups) and not _has_personality(function)
    }
    unsure = _find_unsure(calls, module, claims)
    groups = _Groups(module.attributes, claims)
    changed = {token: groups.leave_out(module.entities[token], numbers) for token, numbers in unsure.items()}
    if not changed:
        return module
    entities = module.entities | changed
    return replace(module, attributes=groups.all, entities=entities, disbelieved=unsure)


def _has_personality(function: Entity) -> bool:
    return " personality " in function.text[: function.text.find("\n")]


def _find_calls(function: Entity, believed: Set[str]) -> dict[int, str]:
    """Calls that are not `nounwind` themselves: the callee, "" if it has no name, by number of the line."""
    found: dict[int, str] = {}
    text = function.text
    for call in _CALL_LINE.finditer(text):
        line = call[0]
        if not believed.isdisjoint(_GROUP.findall(line)):
            continue
        n = text.count("\n", 0, call.start())
        callee = _CALLEE.search(line)
        if callee is None:
            if " asm " not in line or " unwind " in line:
                found[n] = ""
        elif not callee[1].startswith("@llvm."):
            found[n] = callee[1]
    return found


def _find_unsure(
    calls: Mapping[str, Mapping[int, str]], module: Module, claims: Set[str]
) -> dict[str, list[int]]:
    """The functions of `calls` that something may be thrown out of, and the lines of the calls that throw.

    A definition of the module that cannot be another at run time is believed as long as what it calls is;
    a declaration is believed, for someone has written it so.
    """
    sure = {
        entity.token
        for entity in module.entities.values()
        if not claims.isdisjoint(entity.groups) and (not entity.defined or _is_final(entity, module))
    }
    unsure: dict[str, list[int]] = {}
    while True:
        more = {
            token: numbers
            for token, callees in calls.items()
            if (numbers := [n for n, callee in callees.items() if callee not in sure])
        }
        if more == unsure:
            return unsure
        unsure = more
        sure -= unsure.keys()


def _is_final(entity: Entity, module: Module) -> bool:
    """Whether no other definition can take a definition's place, at link time or at run time."""
    return not is_interposable(entity) and not (module.for_library and may_be_replaced(entity))


class _Groups:
    """Attribute groups, and those without `nounwind` that stand for some that have it."""

    def __init__(self, attributes: Mapping[str, str], claims: Set[str]) -> None:
        self.all = dict(attributes)
        self._claims = claims
        self._without: dict[str, str] = {}

    def leave_out(self, function: Entity, numbers: Sequence[int]) -> Entity:
        """A function that does not claim `nounwind`, nor do some calls in it, by number of the line."""
        lines = function.text.split("\n")
        for n in (0, *numbers):
            for group in sorted(set(_GROUP.findall(lines[n])) & self._claims - self._without.keys()):
                self._without[group] = self._make(self.all[group].replace(" nounwind ", " ", 1))
            lines[n] = _QUOTED_OR_GROUP.sub(self._exchange, lines[n])
        return replace(function, text="\n".join(lines), groups=tuple(_GROUP.findall(lines[0])))

    def _make(self, body: str) -> str:
        """A new group; "" for one that says nothing."""
        if body == "{ }":
            return ""
        name = f"#{max(int(group[1:]) for group in self.all) + 1}"
        self.all[name] = body
        return name

    def _exchange(self, match: re.Match[str]) -> str:
        group = self._without.get(match[0][1:])
        return match[0] if group is None else group and f" {group}"
