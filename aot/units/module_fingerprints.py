"""Fingerprints of one module's tokens and definitions: digests that unrelated edits do not change.

A token's fingerprint is made from what it stands for: the content of a type, an attribute group, a metadata
node or a copied constant, the final name of another symbol. See fingerprint.py for what units make of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Container, Iterable
from functools import cached_property
from typing import Final, TypeVar

from nativecache.aot.ir.syntax import NAME, TOKEN, split_global
from nativecache.aot.key import digest, text_digest, value_digest
from nativecache.aot.units.copies import copyable
from nativecache.aot.units.partition import structors
from nativecache.aot.units.program import Program, ProgramModule
from nativecache.aot.units.shapes import Shape, ShapeStore, make_shape
from nativecache.linker import lazy_re as re

_K = TypeVar("_K")
#: Nodes whose users are looked for in all texts, 10 ms each in 20 MB; to have all shapes takes 250.
_FEW: Final = 8
_NODE: Final = re.compile(r"!\d+", re.ASCII)
_DESCRIBED: Final = re.compile(r" !dbg !\d+", re.ASCII)
#: By what a function's exceptions are caught: no declaration has it, and it comes with calls that may throw.
_PERSONALITY: Final = re.compile(rf" personality ptr @{NAME}(?= )", re.ASCII)


class OnDemand(dict[_K, bytes]):
    """Digests by token or other key, each made when it is asked for first."""

    def __init__(self, make: Callable[[_K], bytes]) -> None:
        """`make` gives the digest of a key."""
        super().__init__()
        self._make = make

    def __missing__(self, key: _K) -> bytes:
        """Makes and keeps the digest of a key."""
        found = self[key] = self._make(key)
        return found


class ModuleFingerprints:
    """Fingerprints of one module's tokens and definitions."""

    def __init__(
        self,
        program: Program,
        part: ProgramModule,
        known: ShapeStore,
        tied: Container[str] | None = None,
    ) -> None:
        """`known`: shapes of functions that were made before; `tied`: `tied_nodes`, if they are known."""
        self._tied = tied
        self._program = program
        self._part = part
        self._module = part.module
        self._known = known
        self._entities = part.entities
        self._names = part.names
        self._spelled = OnDemand(self._spell)
        self.fingerprint: OnDemand[str] = OnDemand(
            lambda token: digest(self._combine(self.shape(token)), self._described(token))
        )  # of a whole definition, by token
        #: Fingerprints of functions' first lines, by token: all that a declaration is made from.
        self.head = OnDemand(self._head)
        self._shapes: dict[str, Shape] = {}  # of definitions, by token
        self._asked = 0  # nodes whose users were counted

    @cached_property
    def _below(self) -> dict[str, frozenset[str]]:
        """What each metadata node names besides itself; what only a string names may be among it."""
        return {
            token: frozenset(_NODE.findall(body)) - {token} for token, body in self._module.metadata.items()
        }

    @cached_property
    def _opaque(self) -> bool:
        """Whether nodes form cycles, as debug information does where it is not normalised. A node then means
        its number, in a module with just these nodes."""
        if self._module.debug is not None:
            return False
        if "llvm.dbg.cu" in self._module.named_metadata:
            return True
        return len(self._inside_out) < len(self._below)

    @cached_property
    def _inside_out(self) -> list[str]:
        """The nodes, each behind all that it names; those in cycles, and what names them, left out."""
        waiting = {token: len(below & self._below.keys()) for token, below in self._below.items()}
        above: dict[str, list[str]] = {}
        for token, below in self._below.items():
            for other in below:
                above.setdefault(other, []).append(token)
        ready = [token for token, count in waiting.items() if count == 0]
        for token in ready:
            for other in above.get(token, ()):
                waiting[other] -= 1
                if waiting[other] == 0:
                    ready.append(other)
        return ready

    @cached_property
    def context(self) -> bytes:
        """The digest of what every unit of the module depends on: flags, lists, target, asm.

        Lines are known by the label of their module, so it counts where there are any.
        """
        module = self._module
        flags = module.named_metadata.get("llvm.module.flags", "")
        slots = structors(self._part, self._program.output)
        label = module.label if module.debug is not None else ""
        lists = (module.used, slots, module.numbered_types, module.asm, label)
        bonds = self._part.bonds
        fixed = (sorted(self._part.pinned), bonds.sealed, sorted(bonds.fixed))
        target = (module.triple, module.datalayout, *fixed)
        nodes = module.metadata if self._opaque else None
        imports = module.debug.imports if module.debug is not None else None
        return digest(value_digest((lists, target, nodes, imports)), self._tokens(flags))

    def shape(self, token: str) -> Shape:
        """The shape of a whole definition."""
        found = self._shapes.get(token)
        if found is None:
            entity = self._module.entities[token]
            if entity.kind == "function" and entity.defined:
                name = text_digest(entity.text)
                found = self._known.shape(name)
                if found is None:
                    found = make_shape(entity.text, self._module.types)
                    self._known.add_shape(name, found)
            else:
                found = make_shape(entity.text, self._module.types)
            self._shapes[token] = found
        return found

    def _head(self, token: str) -> bytes:
        # No token's identity matters here, so none needs a rank.
        head = _PERSONALITY.sub("", self._entities[token].head)
        if self._module.debug is not None and self._entities[token].defined:
            # Callers see another node than what describes the function with all its variables.
            head = _DESCRIBED.sub(self._module.debug.callees.get(token, ""), head)
        parts = TOKEN.split(head)
        return digest(text_digest("\0".join(parts[0::2])), *map(self._spelled.__getitem__, parts[1::2]))

    def _described(self, token: str) -> bytes:
        """The digest of what describes a function's static variables."""
        debug = self._module.debug
        return value_digest(debug.statics.get(token)) if debug is not None else b""

    def _tokens(self, text: str) -> bytes:
        return self._combine(make_shape(text, self._module.types))

    def _combine(self, shape: Shape) -> bytes:
        spelled = self._spelled.__getitem__
        return digest(shape.shape, *map(spelled, shape.symbols), *map(spelled, shape.others))

    def _spell(self, token: str) -> bytes:
        """The fingerprint of a token, those that it is made of first, however deeply they are nested."""
        stack = [token]
        while True:
            if stack[-1] not in self._spelled:
                more = [inner for inner in self._inner(stack[-1]) if inner not in self._spelled]
                if more:
                    stack += more
                    continue
                self._spelled[stack[-1]] = self._spell_one(stack[-1])
            if len(stack) == 1:
                return self._spelled[token]
            stack.pop()

    def _inner(self, token: str) -> Iterable[str]:
        """The types and nodes that a type or node is made of."""
        module = self._module
        if token[0] == "%":
            text = module.types.get(token, "")
        elif token[0] == "!" and not self._opaque and module.debug is None:
            text = module.metadata.get(token, "")
        else:
            return ()
        nested = (inner for inner in TOKEN.findall(text) if inner[0] in "%!" and inner != token)
        return (inner for inner in nested if inner in module.types or inner in module.metadata)

    def _spell_one(self, token: str) -> bytes:
        module = self._module
        match token[0]:
            case "@":
                return self._symbol(token)
            case "%" if token in module.types:
                return digest(b"%", self._tokens(module.types[token]))
            case "#":
                return text_digest("#" + module.attributes.get(token, token))
            case "!" if token in module.metadata:
                return self._node(token)
            case "$":
                # It is spelled as the symbol of its name is.
                symbol = self._names.get("@" + token[1:], "")
                known = symbol in self._program.definitions
                return value_digest((token, module.comdats.get(token), symbol, known))
        return text_digest(token)

    @cached_property
    def copies(self) -> dict[str, str]:
        """The content of every constant that units have their own copies of, by token."""
        pinned = self._part.pinned
        return {
            token: split_global(entity.text)[1]
            for token, entity in self._entities.items()
            if entity.constant and entity.defined and token not in pinned and copyable(entity)
        }

    def copy(self, token: str) -> bytes | None:
        """The fingerprint of a constant that units have their own copies of; None for other symbols."""
        return self._spelled[token] if token in self.copies else None

    @cached_property
    def _twins(self) -> Counter[str]:
        """How many of the constants in `copies` have each content."""
        return Counter(self.copies.values())

    def _symbol(self, token: str) -> bytes:
        if content := self.copies.get(token):
            twin = token if self._twins[content] > 1 else ""
            return digest(text_digest("=" + twin), text_digest(content))
        return value_digest(self._names[token]) if token in self._entities else text_digest(token)

    def _node(self, token: str) -> bytes:
        if self._opaque or self._module.debug is not None:
            return text_digest(token)  # normalised, it says all
        body = self._module.metadata[token]
        if body.startswith("!{"):
            return digest(b"!", self._tokens(body))
        # A node with an identity; the usual one (of a loop) is named by one function and itself.
        own = "" if self._is_alone(token) else token
        # One expression for all: to make one for each node takes ten times as long as to look for it.
        content = self._tokens(_NODE.sub(lambda found: "!self" if found[0] == token else found[0], body))
        return digest(text_digest("!" + own), content)

    def _is_alone(self, token: str) -> bool:
        if self._tied is not None:
            return token not in self._tied
        return self._count_users(token) == 1 and self._below[token].isdisjoint(self._with_identity)

    @cached_property
    def tied_nodes(self) -> list[str]:
        """The nodes with an identity that more than one definition may name, by what is in the module now.

        Those that a definition names make the whole difference: they stay as long as each names the same.
        """
        if self._opaque or self._module.debug is not None:
            return []
        nodes = [token for token, body in self._module.metadata.items() if not body.startswith("!{")]
        return [
            token
            for token in nodes
            if self._users[token] != 1 or not self._below[token].isdisjoint(self._with_identity)
        ]

    @cached_property
    def _with_identity(self) -> set[str]:
        """The nodes that are not told apart by their content alone, themselves or what is below them."""
        found: set[str] = set()
        for token in self._inside_out:
            if not self._module.metadata[token].startswith("!{") or not found.isdisjoint(self._below[token]):
                found.add(token)
        return found

    def _count_users(self, token: str) -> int:
        """How many definitions name a node; all are gone through only where many nodes are asked for."""
        self._asked += 1
        if self._asked > _FEW:
            return self._users[token]
        pattern = re.compile(rf"{token}(?!\d)")
        named = (t for t, e in self._entities.items() if token in e.text and pattern.search(e.text))
        above = 2 * sum(token in below for below in self._below.values())
        return above + sum(token in self.shape(t).others for t in named)

    @cached_property
    def _users(self) -> Counter[str]:
        """How many definitions name each node; another node counts for two, as it may have several users."""
        users = Counter(token for below in self._below.values() for token in below for _ in range(2))
        for token in self._module.entities:
            users.update(self.shape(token).others)  # all of them: nobody asks for what is no node
        return users
