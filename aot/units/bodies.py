"""Bodies of functions that may stand in other functions' units, to be inlined: as read, or simplified."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Final

from nativecache.aot.debug.normalise import keep_debug
from nativecache.aot.ir.debug_info import LineMap
from nativecache.aot.ir.module import Entity, Module, index_module
from nativecache.aot.ir.profile import WARM
from nativecache.aot.ir.syntax import NAME, symbol_name
from nativecache.aot.packed import decode_pairs
from nativecache.aot.units.partition import Unit
from nativecache.aot.units.program import Definitions, Program
from nativecache.linker import lazy_re as re
from nativecache.linker.values import dataclass

_CALL: Final = re.compile(rf"(@{NAME})\(", re.ASCII)


@dataclass(frozen=True, eq=False, kw_only=True)
class _Importable:
    """What decides whether a function's body is imported."""

    #: What inlining it would cost, in simplified lines.
    lines: int
    #: Whether a copy may stand in another unit at all.
    importable: bool
    #: The final names of the symbols that it names, packed (packed.py), itself left out; some of them more
    #: than once if it names them more than once.
    mentions: str
    #: How hot the function's profile has it (COLD, WARM or HOT of ir/profile.py); it multiplies limits.
    heat: int = WARM
    #: The one module that may import it, where another image could replace it at run time, or where it
    #: names what no other module can.
    home: int | None = None


@dataclass(frozen=True, eq=False, kw_only=True)
class RawBody(_Importable):
    """A function as its module has it: one that is too long to be simplified."""

    source: Definitions
    entity: Entity

    @cached_property
    def calls(self) -> frozenset[str]:
        """Tokens of what the function calls by name."""
        return called(self.entity.text)


@dataclass(frozen=True, eq=False, kw_only=True)
class SimplifiedBody(_Importable):
    """A function as LLVM left it after a clean-up of its unit. It is indexed when it is first asked for."""

    #: The simplified unit as LLVM printed it, one character per byte.
    printed: bytes | memoryview
    #: Pairs, packed: a symbol in that unit, and its name in the program where that differs.
    bindings: str
    #: What that unit's encoded lines stand for, packed.
    line_map: str
    #: The nodes of its module that it names, packed (cleaned.py); none without debug information.
    nodes: str
    #: The digest of what was simplified.
    digest: bytes
    #: The label of the module that the function is from.
    label: str
    #: That module, if its debug information is normalised, and the function's token there.
    module: Module | None
    token: str

    @cached_property
    def source(self) -> Definitions:
        """The unit's text, its symbols' final names, and its debug information normalised."""
        names, bindings = {}, decode_pairs(self.bindings)
        text = str(self.printed, "latin-1")
        if self.module is not None:
            # Builds without debug information do not load what is loaded here.
            from nativecache.aot.units.cleaned import read_carried

            places, salt = LineMap.decode(self.line_map), f"{self.digest.hex()} {self.token} "
            module = read_carried(text, self.nodes, self.module, line_map=places, salt=salt)
        else:
            module = keep_debug(index_module(text, ""))
        for token in module.entities:
            name = symbol_name(token)
            names[token] = bindings.get(name, name)
        return Definitions(module, names, frozenset(), self.label, generated=True)

    @cached_property
    def entity(self) -> Entity:
        """The simplified function, as an entity of `source`."""
        return next(e for e in self.source.module.entities.values() if e.kind == "function" and e.defined)

    @cached_property
    def calls(self) -> frozenset[str]:
        """Tokens of what the function calls by name."""
        return called(self.entity.text)


@dataclass(frozen=True, eq=False, kw_only=True)
class StandingBody(_Importable):
    """A function of a module that stands as the last build had it: read when its text is asked for."""

    load: Callable[[], RawBody | SimplifiedBody]

    @cached_property
    def _body(self) -> RawBody | SimplifiedBody:
        return self.load()

    @property
    def source(self) -> Definitions:
        """The text that it is in."""
        return self._body.source

    @property
    def entity(self) -> Entity:
        """The function, as an entity of `source`."""
        return self._body.entity

    @property
    def calls(self) -> frozenset[str]:
        """Tokens of what the function calls by name."""
        return self._body.calls


#: A function that may stand in other functions' units.
Body = RawBody | SimplifiedBody | StandingBody


def called(text: str) -> frozenset[str]:
    """Tokens of what a function, given by its text, calls by name (and its own)."""
    return frozenset(_CALL.findall(text))


def unit_body(program: Program, bodies: Mapping[str, Body], unit: Unit) -> Body | None:
    """The body of a unit that is one function, if there is one by the function's final name.

    A function that does not prevail or is pinned has none: its name may be another file's, too.
    """
    if unit.kind != "function":
        return None
    part, token = program.modules[unit.module], unit.tokens[0]
    return bodies.get(part.names[token]) if program.is_home(part, token) else None
