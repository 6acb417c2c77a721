"""Normalises a module whose nodes another text of it had: they are named already, and the rest is on demand.

To read and to name the nodes of sqlite3.c's debug information takes 3 s, most of what an edit of it costs
besides clang. After an edit within functions that moves no line all nodes are what they were but for the
checksums of sources; then tokens are looked up by number, and a function is spelled when its text is asked
for. What is made so is what `normalise` makes, or PlanLost is raised.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from nativecache.aot.debug.files import read_files
from nativecache.aot.debug.nodes import DebugNodes
from nativecache.aot.debug.syntax import ATTACHED, LOCATION
from nativecache.aot.debug.tokens import TextTokens, digits
from nativecache.aot.errors import PlanLost
from nativecache.aot.ir.debug_info import RELATIVE, Named, Types
from nativecache.aot.ir.module import Entity, Module, SpelledEntity
from nativecache.aot.ir.syntax import attach
from nativecache.linker.values import replace


def respell(module: Module, named: Named, directory: str, types: Types | None) -> Module:
    """The module normalised, where its nodes are those of the one that `named` is of, but for checksums.

    `directory`: as `normalise` has it. `types`: the unit of its types, None where there is none. Raises
    PlanLost where it would be another one; so does asking a function for its text.
    """
    if module.described != named.functions:
        raise PlanLost("other functions are described")
    nodes = _Nodes(module.debug_text)
    checksums = _checksums(nodes, named, directory)
    tokens = TextTokens({}, partial(_spell_node, nodes, named))
    attached = dict(named.attached)
    entities = dict[str, Entity]()
    for token, entity in module.entities.items():
        if entity.kind == "function" and entity.defined:
            entities[token] = SpelledEntity(entity, tokens.spell)
            continue
        text = entity.text
        if entity.kind == "variable" and " !dbg " in text:
            text = ATTACHED.sub("", text)
        text = tokens.spell(text)
        if token in attached:
            text = attach(text, f", !dbg {attached[token]}")
        entities[token] = entity if text == entity.text else replace(entity, text=text)
    return replace(
        module,
        entities=entities,
        named_metadata={name: tokens.spell(text) for name, text in module.named_metadata.items()},
        metadata=named.nodes,
        debug=replace(named.info, checksums=checksums, types=types),
        debug_text="",
    )


class _Nodes:
    """The lines of printed metadata by number, found when they are asked for: they are in order."""

    def __init__(self, text: str) -> None:
        self._text = text

    def line(self, n: str) -> str:
        """The line of a node. Raises PlanLost where there is none."""
        text, number = self._text, int(n[1:])
        low, high = 0, len(text)
        while low < high:
            start = text.rfind("\n", low, (low + high) // 2) + 1 or low
            end = text.find("\n", start)
            if end < 0:
                end = len(text)
            found = int(text[start + 1 : text.index(" ", start)])
            if found == number:
                return text[start:end]
            if found < number:
                low = end + 1
            else:
                high = start
        raise PlanLost("a node is gone")

    def lines_with(self, words: str) -> Iterator[tuple[str, str]]:
        """Number and body of all nodes in which these words are."""
        at = self._text.find(words)
        while at >= 0:
            end = self._text.find("\n", at)
            if end < 0:
                end = len(self._text)
            n, _, body = self._text[self._text.rfind("\n", 0, at) + 1 : end].partition(" = ")
            yield n, body
            at = self._text.find(words, end)


def _spell_node(nodes: _Nodes, named: Named, n: str) -> str:
    """What stands for a node in the module's text. Raises PlanLost where that cannot be told."""
    if n in named.repeated:
        raise PlanLost("nodes that are told apart by their order")
    token = named.tokens.get(n)
    if token is not None:
        return token
    found = LOCATION.fullmatch(nodes.line(n))
    if found is None:
        raise PlanLost("a node without a token")
    _, line, middle, scope, tail = found.groups()
    place = named.tokens.get(scope, "")
    if " inlinedAt: " in tail or not place:
        raise PlanLost("a location of another kind")
    if line == "0":
        return f"!DILocation(line: 0{middle}{place}{tail})"
    key = named.info.scopes.get(place)
    if key is None:
        raise PlanLost("a location without a range")
    return f"!DILocation(line: {int(line) - named.info.ranges[key]}{RELATIVE}{middle}{place}{tail})"


def _checksums(nodes: _Nodes, named: Named, directory: str) -> dict[bytes, bytes]:
    """The checksums of the module's sources by placeholder. Raises PlanLost where placeholders are others."""
    bodies = dict(nodes.lines_with(" = !DIFile("))
    bodies.update(nodes.lines_with('"Dwarf Version"'))
    files = read_files(DebugNodes(bodies, (), (), (), {}), placeholders=True, directory=directory)
    for n, body in files.bodies.items():
        if named.tokens.get(n, f"!{digits(body)}") != f"!{digits(body)}":
            raise PlanLost("files are told apart by something else")
    return files.checksums
