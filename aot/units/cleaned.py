"""Carries functions from their clean-up into other functions' units, debug information and all.

Problem: LLVM prints a cleaned-up function with every node of metadata that its unit had, under new numbers.
To read those nodes again, and to normalise them a second time, cost a third of a cold build with -g.
Method: LLVM makes no node of debug information anew but locations, so what a function names are nodes that
its unit was written with, and those are the module's own. The unit lists all of its nodes, LLVM prints the
list with its new numbers, and the function is kept with the unit's numbers in their place; locations are
written where they are used, and the few nodes that LLVM made stand behind the function. Which of the module's
nodes a number stands for is noted beside it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Mapping, Sequence
from typing import Final

from nativecache.aot.debug.syntax import COMPILE_UNIT, NAME, REFERENCE, SCOPE, VARIABLE
from nativecache.aot.debug.tokens import TextTokens, digits
from nativecache.aot.ir.debug_info import RELATIVE, LineMap, Nodes
from nativecache.aot.ir.module import Entity, Module, index_module
from nativecache.aot.ir.syntax import ATTACHED_NODE, HEADER_NODE, references
from nativecache.aot.packed import RANK, decode_nodes
from nativecache.linker import lazy_re as re
from nativecache.linker.values import replace

#: The named metadata in which a unit lists its nodes.
_LIST: Final = "!nc.nodes"
#: Strings, the nodes outside of strings, and the lines of locations.
_REFERENCE_OR_PLACE: Final = re.compile(
    rf"{REFERENCE.pattern[:-1]}|(?<=DILocation\(line: )[1-9]\d*)", re.ASCII
)
#: So many scopes may stand around a variable.
_MAX_SCOPES: Final = 100
_NEW_NODE: Final = re.compile(r"^(!\d+) = ", re.MULTILINE | re.ASCII)


def list_nodes(count: int) -> str:
    """The line by which a unit of so many nodes has LLVM tell what numbers it gives them."""
    return f"{_LIST} = !{{{', '.join(f'!{n}' for n in range(count))}}}\n"


def carry(printed: str) -> str:
    """A cleaned-up unit, as LLVM printed it, with the numbers that its nodes had in the unit.

    The nodes that LLVM made follow under further numbers; the others are left out.
    """
    end = printed.rindex("\n}\n") + 3
    first = printed.index("\n!", end) + 1
    nodes = dict(line.split(" = ", 1) for line in printed[first:].split("\n") if line)
    before: dict[str, str] = {}
    listed = nodes[_LIST][2:-1].split(", ")
    for n, node in enumerate(listed):
        before.setdefault(node, f"!{n}")
    made: list[str] = []

    def spell(node: str) -> str:
        body = nodes[node]
        if body.startswith("!DILocation("):
            return tokens.spell(body)
        at = len(made)
        made.append("")
        new = tokens[node] = f"!{len(listed) + at}"  # it may name itself
        made[at] = f"{new} = {tokens.spell(body)}\n"
        return new

    tokens = TextTokens(before, spell)
    return "".join([tokens.spell(printed[:first]), *made])


def used_nodes(text: str) -> list[int]:
    """The numbers of its unit's nodes that a carried function names, in order."""
    named = {part for part in REFERENCE.findall(text) if part[0] == "!"}
    return sorted(int(node[1:]) for node in named.difference(_NEW_NODE.findall(text)))


def read_carried(text: str, packed: str, module: Module, *, line_map: LineMap, salt: str) -> Module:
    """A carried function as a module of its own, with the nodes of the module that it is from.

    `packed`: the tokens of the nodes that it names, as `encode_nodes` packs them. `line_map`: what the lines
    of its unit stand for. `salt`: what no other function has.
    Raises ValueError where these do not belong together.
    """
    debug, nodes = module.debug, module.metadata
    assert debug is not None and isinstance(nodes, Nodes)
    known = dict(zip((f"!{n}" for n in used_nodes(text)), decode_nodes(packed), strict=True))
    known.update((node, f"!{digits(salt + node)}") for node in _NEW_NODE.findall(text))
    spelled = _Spelled(known, line_map if debug.relative else None)
    parts = _REFERENCE_OR_PLACE.split(text)
    parts[1::2] = map(spelled.__getitem__, parts[1::2])
    found = index_module("".join(parts), "")
    # Functions that must be inlined are there with their callers.
    names = {e.token: module.described.get(_header_node(e), "") for e in found.functions()}
    statics = {
        entity.token: _find_statics(found, entity, nodes, [n for _, n in debug.statics.get(name, ())])
        for entity, name in zip(found.functions(), names.values(), strict=True)
    }
    described = {node for listed in statics.values() for _, node in listed}

    # Units that hold the function attach these, see MetadataWriter.described.
    def kept(match: re.Match[str]) -> str:
        return "" if match[1] in described else match[0]

    variables = {
        name: replace(entity, text=ATTACHED_NODE.sub(kept, entity.text))
        for name, entity in found.entities.items()
        if entity.kind == "variable" and " !dbg " in entity.text
    }
    callees = {token: debug.callees[name] for token, name in names.items() if name in debug.callees}
    return replace(
        found,
        entities=found.entities | variables,
        named_metadata=module.named_metadata,
        metadata=Nodes(found.metadata, nodes),
        debug=replace(debug, statics=statics, callees=callees, hosts={}),
    )


def _header_node(entity: Entity) -> str:
    found = HEADER_NODE.search(entity.head)
    return found[1] if found else ""


def _find_statics(
    found: Module, own: Entity, nodes: Nodes, described: Sequence[str]
) -> list[tuple[str | None, str]]:
    """Of nodes of variables that a function's unit describes those that go wherever it is imported.

    These are its own, and those in a namespace without a name that it mentions (debug/variables.py). Each
    comes with the variable, None for one that is not there any more.
    """
    if not described:
        return []
    symbols: dict[str, list[str]] = defaultdict(list)
    for name, entity in found.entities.items():
        if entity.kind == "variable":
            for node in ATTACHED_NODE.findall(entity.text):
                symbols[node].append(name)
    group = _header_node(own)[:-RANK]
    mentioned = frozenset(references(own.text))
    statics: dict[tuple[str | None, str], None] = {}
    for node in described:
        variable = VARIABLE.search(nodes.body(node) or "")
        body = nodes.body(variable[1]) or "" if variable else ""
        scope = SCOPE.search(body)
        names: list[str | None] = [*symbols.get(node, ())]
        if scope and scope[1][:-RANK] == group:
            statics.update(((name, node), None) for name in names or [None])
        elif (
            scope
            and "isLocal: true" in body
            and not mentioned.isdisjoint(names)
            and _is_nameless(nodes, scope[1])
        ):
            statics.update(((name, node), None) for name in names)
    return list(statics)


def _is_nameless(nodes: Nodes, scope: str) -> bool:
    """Whether a scope, or one that it is in, is a namespace or type without a name."""
    for _ in range(_MAX_SCOPES):
        body = nodes.body(scope) or "!DIFile("
        if body.startswith(("!DIFile(", COMPILE_UNIT)):
            return False
        if not NAME.search(body):
            return True
        outer = SCOPE.search(body)
        if outer is None:
            return False
        scope = outer[1]
    return False


def are_known(packed: str, nodes: Container[object]) -> bool:
    """Whether a module has all the nodes of a carried function. Raises ValueError as `decode_nodes` does."""
    return all(token in nodes for token in decode_nodes(packed))


class _Spelled(dict[str, str]):
    """What stands for the tokens of a carried function in the text that units are written from."""

    def __init__(self, known: Mapping[str, str], line_map: LineMap | None) -> None:
        super().__init__(known)
        self._line_map = line_map

    def __missing__(self, part: str) -> str:
        if part[0] != '"' and self._line_map is not None:
            offset, key = self._line_map.decode_line(int(part))
            found = f"{offset}{RELATIVE}{RELATIVE}{key}{RELATIVE}"
        else:
            found = part
        self[part] = found
        return found
