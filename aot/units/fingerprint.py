"""Digests of what a unit is made from, without writing the unit.

Problem: to know that a unit is what it was in the last build without extracting it. Its text is a function
of the definitions in it, of the bodies that it imports, and of what can be seen of every symbol that those
name. Numbers (`!7`, `#3`, `@.str.12`) change wherever something is added above, fingerprints do not.
Method: a definition's shape is its text with each token replaced by its rank of first use, and its
fingerprint is the shape with the tokens' fingerprints: the content of types, attribute groups, metadata and
copied constants, the final name of other symbols. The shape depends on the text alone, so one that
was made from the same text before is not made again.

Identity that content does not show: two constants with the same bytes, or two `distinct` nodes, may be told
apart. Within a definition the ranks do that; where one of those is used by several definitions, or has a
twin, its own token is part of its fingerprint.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Final, Protocol, TypeVar

from nativecache.aot.ir.linkage import aliasee
from nativecache.aot.ir.module import Entity
from nativecache.aot.ir.syntax import TOKEN, split_global
from nativecache.aot.key import digest, text_digest, value_digest
from nativecache.aot.packed import decode_names
from nativecache.aot.units.imports import must_import, shows_constant
from nativecache.aot.units.partition import structors
from nativecache.aot.units.program import Program, copyable

_K = TypeVar("_K")
_NODE: Final = re.compile(r"!\d+", re.ASCII)

_DESCRIBED: Final = re.compile(r" !dbg !\d+", re.ASCII)


@dataclass(frozen=True, slots=True)
class Shape:
    """A piece of IR without the spelling of what it names; that in order of first use, each once.

    Names of values and contents of strings mean themselves, so they stay.
    """

    shape: bytes
    symbols: tuple[str, ...]  # tokens of globals
    others: tuple[str, ...]  # of types, attribute groups, metadata and comdats
    #: Symbols that are named more than once.
    repeated: tuple[str, ...]


def make_shape(text: str, types: Container[str]) -> Shape:
    """One regex split, one join and a digest. `types`: those of the module, spelled like values."""
    parts = TOKEN.split(text)
    tokens = parts[1::2]
    symbols: list[str] = []
    others: list[str] = []
    ranks = {}
    for token in dict.fromkeys(tokens):
        if token[0] == "@":
            ranks[token] = f"\0@{len(symbols)}\0"
            symbols.append(token)
        elif token[0] == '"' or (token[0] == "%" and token not in types):
            ranks[token] = token
        else:
            ranks[token] = f"\0{len(others)}\0"
            others.append(token)
    parts[1::2] = map(ranks.__getitem__, tokens)
    repeated: Iterable[str] = ()
    if len(tokens) > len(ranks):
        counts = Counter(token for token in tokens if token[0] == "@")
        repeated = (token for token, count in counts.items() if count > 1)
    return Shape(text_digest("".join(parts)), tuple(symbols), tuple(others), tuple(repeated))


class _OnDemand(dict[_K, bytes]):
    """Digests by token or other key, each made when it is asked for first."""

    def __init__(self, make: Callable[[_K], bytes]) -> None:
        super().__init__()
        self._make = make

    def __missing__(self, key: _K) -> bytes:
        found = self[key] = self._make(key)
        return found


class Skeletons(Protocol):
    """Where shapes of functions are kept by the digest of their text."""

    def shape(self, name: bytes) -> Shape | None: ...

    def add_shape(self, name: bytes, made: Shape) -> None: ...


class ModuleMeaning:
    """Fingerprints of one module's tokens and definitions."""

    def __init__(self, program: Program, i: int, known: Skeletons) -> None:
        self._program = program
        self._i = i
        self._module = program.modules[i]
        self._known = known
        self._entities = self._module.entities
        self._names = program.names[i]
        self._spelled = _OnDemand(self._spell)
        self.fingerprint: _OnDemand[str] = _OnDemand(
            lambda token: digest(self._combine(self.shape(token)), self._described(token))
        )  # of a whole definition
        #: Of a function's first line: all that a declaration of it is made from.
        self.head = _OnDemand(self._head)
        self._shapes: dict[str, Shape] = {}  # of definitions, by token

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
        """What every unit of the module depends on."""
        module = self._module
        flags = module.named_metadata.get("llvm.module.flags", "")
        slots = [structors(self._program, self._i, final=final) for final in (False, True)]
        lists = (module.used, slots, module.numbered_types, module.asm, module.label)
        bonds = self._program.bonds[self._i]
        fixed = (sorted(self._program.pinned[self._i]), bonds.sealed, sorted(bonds.fixed))
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
        head = self._entities[token].text.partition("\n")[0]
        if self._module.debug is not None and self._entities[token].defined:
            # Callers see another node than what describes the function with all its variables.
            head = _DESCRIBED.sub(self._module.debug.callees.get(token, ""), head)
        parts = TOKEN.split(head)
        return digest(text_digest("\0".join(parts[0::2])), *map(self._spelled.__getitem__, parts[1::2]))

    def _described(self, token: str) -> bytes:
        """Of what describes a function's static variables."""
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
        pinned = self._program.pinned[self._i]
        return {
            token: split_global(entity.text)[1]
            for token, entity in self._entities.items()
            if entity.constant and entity.defined and token not in pinned and copyable(entity)
        }

    def copy(self, token: str) -> bytes | None:
        """Of such a constant; None for other symbols."""
        return self._spelled[token] if token in self.copies else None

    @cached_property
    def _twins(self) -> Counter[str]:
        """How many of them have the same content."""
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
        alone = self._users[token] == 1 and self._below[token].isdisjoint(self._with_identity)
        own = "" if alone else token
        content = self._tokens(re.sub(rf"{token}\b", "!self", body))
        return digest(text_digest("!" + own), content)

    @cached_property
    def _with_identity(self) -> set[str]:
        """The nodes that are not told apart by their content alone, themselves or what is below them."""
        found: set[str] = set()
        for token in self._inside_out:
            if not self._module.metadata[token].startswith("!{") or not found.isdisjoint(self._below[token]):
                found.add(token)
        return found

    @cached_property
    def _users(self) -> Counter[str]:
        """How many definitions name each node; another node counts for two, as it may have several users."""
        users = Counter(token for below in self._below.values() for token in below for _ in range(2))
        for token in self._module.entities:
            users.update(t for t in self.shape(token).others if t[0] == "!")
        return users


class Fingerprints:
    """Fingerprints over a whole program.

    Two stages: what a unit is without imports (for the clean-up, which decides what can be imported),
    and with them. The second must not be asked for before `program.bodies` and `.once` are complete.
    """

    def __init__(
        self, program: Program, context: bytes, known: Iterable[Skeletons], *, longest: int = 0
    ) -> None:
        """`context`: all else that units depend on; `longest`: lines of a body that may be imported."""
        self._program = program
        self._context = context
        self._longest = longest
        self.modules = [ModuleMeaning(program, i, names) for i, names in enumerate(known)]
        count = range(len(self.modules))
        self._sources = [program.source(i) for i in count]
        self._values: dict[object, bytes] = _OnDemand(value_digest)
        # By module: what is known of a symbol without imports; by stage and module: all that a unit
        # knows of a symbol, and a definition with that of everything that it names.
        self._plain = [_OnDemand(partial(self._declared, i)) for i in count]
        self._seen = [[_OnDemand(partial(self._see, i, stage)) for i in count] for stage in (False, True)]
        self._code = [[_OnDemand(partial(self._read, i, stage)) for i in count] for stage in (False, True)]

    def unit(self, module: int, tokens: Iterable[str], *, imports: bool) -> bytes:
        """Of a unit with these definitions, what it imports left out."""
        return digest(self._context, *map(self._code[imports][module].__getitem__, tokens))

    def types(self, module: int) -> bytes:
        """Of the unit of a module's types."""
        debug = self._program.modules[module].debug
        text = debug.types.text if debug is not None and debug.types is not None else ""
        return digest(self._context, self.modules[module].context, b"types", text_digest(text))

    def body(self, name: str) -> bytes:
        """The same of the program's definition of a symbol, as imported; b"" if there is none."""
        found = self._program.definitions.get(name)
        return self._code[True][found.module][found.token] if found else b""

    def _read(self, module: int, imports: bool, token: str) -> bytes:
        fingerprint = self.modules[module]
        seen = map(self._seen[imports][module].__getitem__, fingerprint.shape(token).symbols)
        parts = [fingerprint.context, fingerprint.fingerprint[token], *seen]
        if imports:
            parts += self._come_up(module, token)
        return digest(*parts)

    def _come_up(self, module: int, token: str) -> Iterator[bytes]:
        """What is known of symbols that the clean-up brought in: it makes `puts` of a `printf`."""
        program = self._program
        body = program.body(module, token)
        if body is None or body.given:
            return
        symbols = self.modules[module].shape(token).symbols
        old = map(program.names[module].get, symbols)
        for name in sorted(set(decode_names(body.mentions)).difference(old)):
            if found := program.definitions.get(name):
                yield self._seen[True][found.module][found.token]

    def _see(self, module: int, imports: bool, token: str) -> bytes:
        # An alias of an alias of …: each is seen once, and not all those below it for each.
        chain: dict[tuple[int, str], None] = {}
        place = module, token
        while place not in chain and place[1] not in self._seen[imports][place[0]]:
            carried, below = self._attached(*place)
            if carried is not None or len(below) != 1:
                break
            chain[place] = None
            place = below[0]
        if len(chain) < 2 or place in chain:
            return self._look(module, imports, token)
        seen = self._seen[imports][place[0]][place[1]]
        for place in reversed(chain):
            seen = digest(self._view(*place, imports=imports), seen)
            self._seen[imports][place[0]][place[1]] = seen
        return seen

    def _look(self, module: int, imports: bool, token: str) -> bytes:
        view = self._view(module, token, imports=imports)
        carried, below = self._attached(module, token)
        if not below and carried is None:  # as nearly always
            return digest(view)
        parts, stack, done = [view], [], {(module, token)}
        while True:
            if carried is not None:
                parts.append(carried)
            stack += [place for place in below if place not in done]
            done.update(below)
            if not stack:
                return digest(*parts)
            place = stack.pop()
            parts.append(self._view(*place, imports=imports))
            carried, below = self._attached(*place)

    def _attached(self, module: int, token: str) -> tuple[bytes | None, list[tuple[int, str]]]:
        """A body that goes wherever the symbol is named, and what that names; what it is a second name of."""
        program = self._program
        entity = program.modules[module].entities.get(token)
        if entity is None:
            return None, []
        below: list[tuple[int, str]] = []
        found = program.definitions.get(program.names[module][token])
        other = program.modules[found.module].entities[found.token] if found else entity
        if other.kind == "alias":
            below.append((found.module if found else module, aliasee(other)))
        if not must_import(program, self._sources[module], entity):
            return None, below
        fingerprint = self.modules[module]
        below += [(module, symbol) for symbol in fingerprint.shape(token).symbols]
        return digest(fingerprint.context, fingerprint.fingerprint[token]), below

    def _view(self, module: int, token: str, *, imports: bool) -> bytes:
        plain = self._plain[module][token]
        if not imports:
            return plain
        program = self._program
        entity = program.modules[module].entities.get(token)
        name = program.names[module][token] if entity else ""
        body = program.bodies.get(name)
        if body is None:
            where = None
        else:
            # How long a body is does not matter once it is too long.
            lines = min(body.lines, self._longest + 1)
            where = (lines, body.importable, body.home, body.heat, name in program.once)
        parts = [plain, self._values[where]]
        found = program.definitions.get(name)
        if found and shows_constant(program, found):
            symbols = self.modules[found.module].shape(found.token).symbols
            parts += map(self._seen[False][found.module].__getitem__, symbols)
        return digest(*parts)

    def _declared(self, module: int, token: str) -> bytes:
        """What a declaration of the symbol is made from, and where its definition stands."""
        program = self._program
        entity = program.modules[module].entities.get(token)
        if entity is None:
            return text_digest(token)
        if copied := self.modules[module].copy(token):
            return copied
        name = program.names[module][token]
        found = program.definitions.get(name)
        flags = (
            name,
            entity.kind,
            entity.defined,
            token in program.pinned[module],
            name in program.assigned,
            program.modules[found.module].label if found else None,
            found is not None and found.module == module,
            found is not None and found.token in program.bonds[found.module].changed,
        )
        parts = [value_digest(flags), self._own(module, entity)]
        if found and (found.module, found.token) != (module, token):
            parts.append(self._own(found.module, program.modules[found.module].entities[found.token]))
        return digest(*parts)

    def _own(self, module: int, entity: Entity) -> bytes:
        """A function's first line; all of a variable, whose contents may be shown; an alias with its base."""
        fingerprint = self.modules[module]
        if entity.kind == "function":
            return fingerprint.head[entity.token]
        if entity.kind == "variable":
            return fingerprint.fingerprint[entity.token]
        plain, entities = self._plain[module], self._program.modules[module].entities
        chain, base = [], aliasee(entity)
        while base not in plain and (other := entities.get(base)) and other.kind in ("alias", "ifunc"):
            chain.append(base)
            base = aliasee(other)
        for token in reversed(chain):
            plain[token]  # not by way of this function, as often as the chain is long
        opaque = value_digest(self._program.is_opaque_alias(module, entity))
        return digest(fingerprint.fingerprint[entity.token], opaque, self._plain[module][aliasee(entity)])
