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

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property, partial

from nativecache.aot.ir.linkage import aliasee
from nativecache.aot.ir.module import Entity
from nativecache.aot.key import digest, text_digest, value_digest
from nativecache.aot.packed import decode_names
from nativecache.aot.units.bodies import RawBody
from nativecache.aot.units.imports import ImportCandidates, must_import, shows_constant
from nativecache.aot.units.module_fingerprints import ModuleFingerprints, OnDemand
from nativecache.aot.units.on_demand import OnDemandSequence
from nativecache.aot.units.program import Definition, Program
from nativecache.aot.units.resolve import module_ids
from nativecache.aot.units.shapes import ShapeStore
from nativecache.linker.values import dataclass


@dataclass(frozen=True, slots=True)
class KnownDefinition:
    """What units of other modules depend on of a definition, as an earlier build found it.

    `own`: what a declaration of it is made from; `code`: all that a copy of its body is, b"" without one.
    `changed`: asm does something to it.
    """

    label: str
    own: bytes
    code: bytes = b""
    changed: bool = False


#: What is known of a definition in a module that stands as it was; None for every other.
Known = Callable[[str], KnownDefinition | None]


def _nothing_known(_name: str) -> None:
    return None


class _UnitFingerprints(ABC):
    """Fingerprints of a program's units, given what a unit sees of each symbol (`_view`)."""

    def __init__(
        self, program: Program, context: bytes, modules: Sequence[ModuleFingerprints], known: Known
    ) -> None:
        """`context`: all else that units depend on. `known`: of definitions, by final name."""
        self.program = program
        self.context = context
        self.modules = modules
        self.known = known
        count = range(len(modules))
        #: By module and token: all that a unit knows of a symbol.
        self._seen = [OnDemand(partial(self._see, i)) for i in count]
        #: By module and token: a definition with all that a unit knows of each symbol that it names.
        self._code = [OnDemand(partial(self._read, i)) for i in count]

    def unit(self, module: int, tokens: Iterable[str]) -> bytes:
        """The fingerprint of a unit with these definitions of a module, by token."""
        return digest(self.context, *map(self._code[module].__getitem__, tokens))

    def types(self, module: int) -> bytes:
        """The fingerprint of the unit of a module's types."""
        debug = self.program.modules[module].debug
        text = debug.types.text if debug is not None and debug.types is not None else ""
        return digest(self.context, self.modules[module].context, b"types", text_digest(text))

    def code(self, found: Definition) -> bytes:
        """The fingerprint of a definition, whatever is known of it."""
        return self._code[found.module][found.token]

    def body(self, name: str) -> bytes:
        """The fingerprint of the program's definition of a symbol, by final name; b"" if there is none."""
        if known := self.known(name):
            return known.code
        found = self.program.definitions.get(name)
        return self.code(found) if found else b""

    def _read(self, module: int, token: str) -> bytes:
        fingerprint = self.modules[module]
        seen = map(self._seen[module].__getitem__, fingerprint.shape(token).symbols)
        more = self._come_up(module, token)
        return digest(fingerprint.context, fingerprint.fingerprint[token], *seen, *more)

    def _come_up(self, _module: int, _token: str) -> Iterable[bytes]:
        """What is known of symbols that a definition came to name by the clean-up."""
        return ()

    def _see(self, module: int, token: str) -> bytes:
        # An alias of an alias of …: each is seen once, and not all those below it for each.
        chain: dict[tuple[int, str], None] = {}
        place = module, token
        while place not in chain and place[1] not in self._seen[place[0]]:
            carried, below = self._attached(*place)
            if carried is not None or len(below) != 1:
                break
            chain[place] = None
            place = below[0]
        if len(chain) < 2 or place in chain:
            return self._look(module, token)
        seen = self._seen[place[0]][place[1]]
        for place in reversed(chain):
            seen = digest(self._view(*place), seen)
            self._seen[place[0]][place[1]] = seen
        return seen

    def _look(self, module: int, token: str) -> bytes:
        view = self._view(module, token)
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
            parts.append(self._view(*place))
            carried, below = self._attached(*place)

    def _attached(self, module: int, token: str) -> tuple[bytes | None, list[tuple[int, str]]]:
        """A body that goes wherever the symbol is named, and what that names; what it is a second name of."""
        program, part = self.program, self.program.modules[module]
        entity = part.entities.get(token)
        if entity is None:
            return None, []
        below: list[tuple[int, str]] = []
        found = program.definitions.get(part.names[token])
        if not (found and program.is_plain(found)):
            other = program.entity(found) if found else entity
            if other.kind == "alias":
                below.append((found.module if found else module, aliasee(other)))
        if not must_import(program, part.source, entity):
            return None, below
        fingerprint = self.modules[module]
        below += [(module, symbol) for symbol in fingerprint.shape(token).symbols]
        return digest(fingerprint.context, fingerprint.fingerprint[token]), below

    @abstractmethod
    def _view(self, module: int, token: str) -> bytes:
        """What a unit sees of a symbol itself, without what comes along with it."""


class Fingerprints(_UnitFingerprints):
    """Fingerprints of a program's units as they are without imports.

    The clean-up of functions needs these, for it decides what can be imported (see ImportFingerprints).
    """

    def __init__(
        self, program: Program, context: bytes, shapes: Sequence[ShapeStore], known: Known = _nothing_known
    ) -> None:
        """`context`: all else that units depend on; `shapes`: by module, those that were made before.
        `known`: what an earlier build found of definitions, by final name."""

        def fingerprints(i: int) -> ModuleFingerprints:
            return ModuleFingerprints(program, program.modules[i], shapes[i], program.tied_nodes(i))

        modules = OnDemandSequence(len(program.modules), fingerprints)
        super().__init__(program, context, modules, known)
        self._declared = [OnDemand(partial(self._declare, i)) for i in range(len(modules))]

    def seen(self, found: Definition) -> bytes:
        """The digest of all that a unit knows of the symbol of a definition."""
        return self._seen[found.module][found.token]

    def declared(self, module: int, token: str) -> bytes:
        """What a declaration of a module's symbol is made from, and where its definition stands."""
        return self._declared[module][token]

    _view = declared

    def _declare(self, module: int, token: str) -> bytes:
        program, part = self.program, self.program.modules[module]
        entity = part.entities.get(token)
        if entity is None:
            return text_digest(token)
        if copied := self.modules[module].copy(token):
            return copied
        name = part.names[token]
        found = program.definitions.get(name)
        outer = self.definition(name, found) if found else None
        flags = (
            name,
            entity.kind,
            entity.defined,
            token in part.pinned,
            "divided" if name in program.divided else name in program.assigned,
            outer.label if outer and program.debug else None,  # lines are known by it
            found is not None and found.module == module,
            outer is not None and outer.changed,
        )
        parts = [value_digest(flags), self._own(module, entity)]
        if outer and found and (found.module, found.token) != (module, token):
            parts.append(outer.own)
        return digest(*parts)

    def definition(self, name: str, found: Definition) -> KnownDefinition:
        """What other units depend on of the definition of a symbol, but for its body."""
        known = self.known(name)
        if known is None:
            part = self.program.modules[found.module]
            own = self._own(found.module, part.entities[found.token])
            known = KnownDefinition(part.label, own, changed=found.token in part.bonds.changed)
        return known

    def _own(self, module: int, entity: Entity) -> bytes:
        """A function's first line; all of a variable, whose contents may be shown; an alias with its base."""
        fingerprint = self.modules[module]
        if entity.kind == "function":
            return fingerprint.head[entity.token]
        if entity.kind == "variable":
            return fingerprint.fingerprint[entity.token]
        plain, entities = self._declared[module], self.program.modules[module].entities
        chain, base = [], aliasee(entity)
        while base not in plain and (other := entities.get(base)) and other.kind in ("alias", "ifunc"):
            chain.append(base)
            base = aliasee(other)
        for token in reversed(chain):
            plain[token]  # not by way of this function, as often as the chain is long
        opaque = value_digest(self.program.is_opaque_alias(self.program.modules[module], entity))
        return digest(fingerprint.fingerprint[entity.token], opaque, self._declared[module][aliasee(entity)])


class ImportFingerprints(_UnitFingerprints):
    """Fingerprints of a program's units with all that they may import."""

    def __init__(self, plain: Fingerprints, candidates: ImportCandidates, longest: int = 0) -> None:
        """`plain`: fingerprints without imports. `longest`: lines of the longest body that is imported."""
        super().__init__(plain.program, plain.context, plain.modules, plain.known)
        self._plain = plain
        self._candidates = candidates
        self._longest = longest
        self._values: dict[object, bytes] = OnDemand(value_digest)

    @cached_property
    def _identifiers(self) -> list[str]:
        """What tells modules apart, in whatever program they are."""
        return module_ids([self.program.label(i) for i in range(len(self.modules))])

    def _view(self, module: int, token: str) -> bytes:
        program, part = self.program, self.program.modules[module]
        name = part.names[token] if token in part.entities else ""
        body = self._candidates.bodies.get(name)
        if body is None:
            where = None
        else:
            # How long a body is does not matter once it is too long.
            lines = min(body.lines, self._longest + 1)
            home = None if body.home is None else self._identifiers[body.home]
            where = (lines, body.importable, home, body.heat, name in self._candidates.once)
        parts = [self._plain.declared(module, token), self._values[where]]
        found = program.definitions.get(name)
        if found and shows_constant(program, found):
            symbols = self.modules[found.module].shape(found.token).symbols
            parts += [self._plain.seen(Definition(found.module, symbol)) for symbol in symbols]
        return digest(*parts)

    def _come_up(self, module: int, token: str) -> Iterator[bytes]:
        """What is known of symbols that the clean-up brought in: it makes `puts` of a `printf`."""
        program, part = self.program, self.program.modules[module]
        body = self._candidates.bodies.get(part.names[token]) if program.is_home(part, token) else None
        if body is None or isinstance(body, RawBody):
            return
        old = map(part.names.get, self.modules[module].shape(token).symbols)
        for name in sorted(set(decode_names(body.mentions)).difference(old)):
            if found := program.definitions.get(name):
                yield self._seen[found.module][found.token]
