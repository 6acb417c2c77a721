"""Digests of what a unit is made from, without writing the unit.

Problem: to know that a unit is what it was in the last build without extracting it. Its text is a function
of the definitions in it, of the bodies that it imports, and of what can be seen of every symbol that those
name. Numbers (`!7`, `#3`, `@.str.12`) change wherever something is added above, meanings do not.
Method: a definition's skeleton is its text with each token replaced by its rank of first use, and its
meaning is the skeleton with the tokens' meanings: the content of types, attribute groups, metadata and
copied constants, the final name of other symbols. The skeleton depends on the text alone, so one that
was made from the same text before is not made again.

Identity that content does not show: two constants with the same bytes, or two `distinct` nodes, may be told
apart. Within a definition the ranks do that; where one of those is used by several definitions, or has a
twin, its own token is part of its meaning.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Protocol

from nativecache.aot.extract import importable_constant, must_import
from nativecache.aot.index import TOKEN, Entity, aliasee, split_global
from nativecache.aot.program import Program, copyable

#: Bytes of a digest: an accident within one cache has a chance of 2^-64 at four billion of them.
_SIZE: Final = 16


def digest(*parts: bytes) -> bytes:
    """A digest of some byte strings, each delimited by its length."""
    state = hashlib.sha256()
    for part in parts:
        state.update(len(part).to_bytes(8, "little"))
        state.update(part)
    return state.digest()[:_SIZE]


def text_digest(text: str) -> bytes:
    """The digest under which a definition's skeleton is known."""
    return hashlib.sha256(text.encode("latin-1")).digest()[:_SIZE]


@dataclass(frozen=True, slots=True)
class Skeleton:
    """A piece of IR without the spelling of its tokens. `tokens`: each once, in order of first use."""

    shape: bytes
    tokens: tuple[str, ...]
    #: Symbols that are named more than once.
    repeated: frozenset[str]

    @property
    def symbols(self) -> list[str]:
        """The tokens of globals."""
        return [token for token in self.tokens if token[0] == "@"]


def skeleton(text: str) -> Skeleton:
    """One regex split, one join and a digest."""
    parts = TOKEN.split(text)
    tokens = parts[1::2]
    ranks = {token: f"\0{rank}\0" for rank, token in enumerate(dict.fromkeys(tokens))}
    parts[1::2] = map(ranks.__getitem__, tokens)
    repeated: Iterable[str] = ()
    if len(tokens) > len(ranks):
        counts = Counter(token for token in tokens if token[0] == "@")
        repeated = (token for token, count in counts.items() if count > 1)
    return Skeleton(text_digest("".join(parts)), tuple(ranks), frozenset(repeated))


class Skeletons(Protocol):
    """Where skeletons of functions are kept by the digest of their text."""

    def skeleton(self, name: bytes) -> Skeleton | None: ...

    def add_skeleton(self, name: bytes, made: Skeleton) -> None: ...


class ModuleMeaning:
    """Meanings of one module's tokens and definitions."""

    def __init__(self, program: Program, i: int, known: Skeletons) -> None:
        self._program = program
        self._i = i
        self._module = program.modules[i]
        self._known = known
        self._names = program.names[i]
        self._spelled: dict[str, bytes] = {}
        self._heads: dict[str, bytes] = {}
        self._meanings: dict[str, bytes] = {}
        self._skeletons: dict[str, Skeleton] = {}  # of definitions, by token

    @cached_property
    def _below(self) -> dict[str, frozenset[str]]:
        """What each metadata node names besides itself."""
        return {
            token: frozenset(t for t in skeleton(body).tokens if t[0] == "!" and t != token)
            for token, body in self._module.metadata.items()
        }

    @cached_property
    def _opaque(self) -> bool:
        """Whether nodes form cycles, as debug information does. A node then means its number, in a
        module with just these nodes."""
        if "llvm.dbg.cu" in self._module.named_metadata:
            return True
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
        return len(ready) < len(waiting)

    @cached_property
    def context(self) -> bytes:
        """What every unit of the module depends on."""
        module = self._module
        flags = module.named_metadata.get("llvm.module.flags", "")
        lists = (module.used, module.structors, module.numbered_types, module.asm, module.label)
        target = (module.triple, module.datalayout, sorted(self._program.pinned[self._i]))
        nodes = module.metadata if self._opaque else None
        return digest(repr((lists, target, nodes)).encode("utf-8", "surrogateescape"), self._tokens(flags))

    def skeleton(self, token: str) -> Skeleton:
        """The skeleton of a whole definition."""
        found = self._skeletons.get(token)
        if found is None:
            entity = self._module.entities[token]
            if entity.kind == "function" and entity.defined:
                name = text_digest(entity.text)
                found = self._known.skeleton(name)
                if found is None:
                    found = skeleton(entity.text)
                    self._known.add_skeleton(name, found)
            else:
                found = skeleton(entity.text)
            self._skeletons[token] = found
        return found

    def meaning(self, token: str) -> bytes:
        """Of a whole definition."""
        found = self._meanings.get(token)
        if found is None:
            bones = self.skeleton(token)
            found = digest(bones.shape, *map(self._spell, bones.tokens))
            self._meanings[token] = found
        return found

    def head(self, token: str) -> bytes:
        """Of a function's first line: all that a declaration of it is made from."""
        found = self._heads.get(token)
        if found is None:
            found = self._tokens(self._module.entities[token].text.partition("\n")[0])
            self._heads[token] = found
        return found

    def _tokens(self, text: str) -> bytes:
        bones = skeleton(text)
        return digest(bones.shape, *map(self._spell, bones.tokens))

    def _spell(self, token: str) -> bytes:
        found = self._spelled.get(token)
        if found is None:
            found = self._spelled[token] = self._mean(token)
        return found

    def _mean(self, token: str) -> bytes:
        module = self._module
        match token[0]:
            case "@":
                return self._symbol(token)
            case "%" if token in module.types:
                return b"%" + self._tokens(module.types[token])
            case "#":
                return b"#" + module.attributes.get(token, token).encode("latin-1")
            case "!" if token in module.metadata:
                return self._node(token)
            case "$":
                return f"{token} {module.comdats.get(token)}".encode("latin-1")
        return token.encode("latin-1")

    def copy(self, token: str) -> bytes | None:
        """Of a constant that each unit has its own copy of; None for other symbols."""
        entity = self._module.entities.get(token)
        if entity and entity.defined and token not in self._program.pinned[self._i] and copyable(entity):
            return self._spell(token)
        return None

    def _symbol(self, token: str) -> bytes:
        entity = self._module.entities.get(token)
        if entity is None:
            return token.encode("latin-1")
        if entity.defined and token not in self._program.pinned[self._i] and copyable(entity):
            content = split_global(entity.text)[1]
            twin = token if self._constants[content] > 1 else ""
            return b"=" + twin.encode("latin-1") + self._tokens(content)
        return b"@" + self._names[token].encode("utf-8", "surrogateescape")

    @cached_property
    def _constants(self) -> Counter[str]:
        """How many copied constants have the same content."""
        return Counter(split_global(e.text)[1] for e in self._module.entities.values() if copyable(e))

    def _node(self, token: str) -> bytes:
        if self._opaque:
            return token.encode("latin-1")
        body = self._module.metadata[token]
        if body.startswith("!{"):
            return b"!" + self._tokens(body)
        # A node with an identity; the usual one (of a loop) is named by one function and itself.
        alone = self._users[token] == 1 and all(map(self._is_plain, self._below[token]))
        own = "" if alone else token
        return b"!" + own.encode("latin-1") + self._tokens(body.replace(token, "!self"))

    def _is_plain(self, token: str) -> bool:
        """Whether a node and all below it are told apart by their content alone."""
        if not self._module.metadata.get(token, "!{").startswith("!{"):
            return False
        return all(map(self._is_plain, self._below.get(token, ())))

    @cached_property
    def _users(self) -> Counter[str]:
        """How many definitions and other nodes name each node."""
        users = Counter(token for below in self._below.values() for token in below)
        for token in self._module.entities:
            users.update(t for t in self.skeleton(token).tokens if t[0] == "!")
        return users


class Meanings:
    """Meanings over a whole program.

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
        self._plain: dict[tuple[int, str], bytes] = {}
        self._seen: tuple[dict[tuple[int, str], bytes], ...] = ({}, {})
        self._code: tuple[dict[tuple[int, str], bytes], ...] = ({}, {})

    def unit(self, module: int, tokens: Iterable[str], *, imports: bool) -> bytes:
        """Of a unit with these definitions, what it imports left out."""
        return digest(self._context, *(self.code(module, token, imports=imports) for token in tokens))

    def code(self, module: int, token: str, *, imports: bool) -> bytes:
        """Of a definition and of what can be seen of everything that it names."""
        known = self._code[imports]
        found = known.get((module, token))
        if found is None:
            found = known[module, token] = digest(*self._parts(module, token, imports=imports))
        return found

    def body(self, name: str) -> bytes:
        """The same of the program's definition of a symbol, as imported; b"" if there is none."""
        found = self._program.definitions.get(name)
        return self.code(found.module, found.token, imports=True) if found else b""

    def _parts(self, module: int, token: str, *, imports: bool) -> Iterator[bytes]:
        meaning = self.modules[module]
        yield meaning.context
        yield meaning.meaning(token)
        for symbol in meaning.skeleton(token).symbols:
            yield self.seen(module, symbol, imports=imports)

    def seen(self, module: int, token: str, *, imports: bool) -> bytes:
        """Of what a unit knows about a symbol that a module names."""
        known = self._seen[imports]
        found = known.get((module, token))
        if found is None:
            found = known[module, token] = digest(*self._views(module, token, imports=imports))
        return found

    def _views(self, module: int, token: str, *, imports: bool) -> Iterator[bytes]:
        """The symbol, what it is a second name of, and the bodies that go wherever those are named."""
        program = self._program
        stack, done = [(module, token)], {(module, token)}
        while stack:
            at, current = stack.pop()
            yield self._view(at, current, imports=imports)
            below: list[tuple[int, str]] = []
            entity = program.modules[at].entities.get(current)
            if entity is None:
                continue
            found = program.definitions.get(program.names[at][current])
            other = program.modules[found.module].entities[found.token] if found else entity
            if other.kind == "alias":
                below.append((found.module if found else at, aliasee(other)))
            if must_import(program, program.source(at), entity):
                yield self.modules[at].meaning(current)
                below += [(at, symbol) for symbol in self.modules[at].skeleton(current).symbols]
            stack += [place for place in below if place not in done]
            done.update(below)

    def _view(self, module: int, token: str, *, imports: bool) -> bytes:
        plain = self._plain.get((module, token))
        if plain is None:
            plain = self._plain[module, token] = digest(*self._declared(module, token))
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
            where = (lines, body.importable, body.home, name in program.once)
        parts = [plain, repr(where).encode()]
        found = program.definitions.get(name)
        if found and importable_constant(program.modules[found.module].entities[found.token]):
            for symbol in self.modules[found.module].skeleton(found.token).symbols:
                parts.append(self._view(found.module, symbol, imports=False))
        return digest(*parts)

    def _declared(self, module: int, token: str) -> Iterator[bytes]:
        """What a declaration of the symbol is made from, and where its definition stands."""
        program = self._program
        entity = program.modules[module].entities.get(token)
        if entity is None:
            yield token.encode("latin-1")
            return
        if copied := self.modules[module].copy(token):
            yield copied
            return
        name = program.names[module][token]
        yield name.encode("utf-8", "surrogateescape")
        yield self._own(module, entity)
        found = program.definitions.get(name)
        flags = (
            entity.kind,
            entity.defined,
            token in program.pinned[module],
            name in program.wrapped,
            program.modules[found.module].label if found else None,
            found is not None and found.module == module,
        )
        yield repr(flags).encode()
        if found and (found.module, found.token) != (module, token):
            other = program.modules[found.module].entities[found.token]
            yield self._own(found.module, other)

    def _own(self, module: int, entity: Entity) -> bytes:
        """A function's first line; all of a variable, whose contents may be shown; an alias with its base."""
        meaning = self.modules[module]
        if entity.kind == "function":
            return meaning.head(entity.token)
        if entity.kind == "variable":
            return meaning.meaning(entity.token)
        base = aliasee(entity)
        opaque = repr(self._program.is_opaque_alias(entity)).encode()
        return digest(meaning.meaning(entity.token), opaque, self._view(module, base, imports=False))
