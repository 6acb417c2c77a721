"""Names the symbols of a unit: by numbers in order of first use, unless a name means something there."""

from __future__ import annotations

from nativecache.aot.errors import BuildError
from nativecache.aot.ir.library_names import has_meaning
from nativecache.aot.ir.linkage import is_decorated
from nativecache.aot.ir.module import Entity
from nativecache.aot.ir.syntax import symbol_name
from nativecache.aot.units.bonds import MODULE_ASM
from nativecache.aot.units.partition import Unit
from nativecache.aot.units.program import Definitions, Program


class NameClash(Exception):
    """Two symbols of the program want the same name in one unit. `name`: that name."""

    def __init__(self, name: str) -> None:
        """`name`: as symbol tables spell it."""
        super().__init__(name)
        self.name = name


class SymbolNames:
    """What the symbols of a program are called in one unit.

    A symbol is told by its identity: its final name, or, for a local that is pinned, that and a NUL, for a
    pinned local is not what another file exports under its name.
    """

    def __init__(self, program: Program, unit: Unit) -> None:
        """Names for the symbols of one unit of a program, of which none has one yet."""
        part = program.modules[unit.module]
        pieces = part.bonds.pieces
        asm = [pieces[token] for token in unit.tokens if token in pieces]
        if unit.has_asm and MODULE_ASM in pieces:
            asm.append(pieces[MODULE_ASM])
        self._program = program
        #: Symbols that asm in this unit names: they keep their names.
        self._kept = frozenset().union(*(piece.names for piece in asm))
        #: Whether all symbols keep their names, for the module is sealed (bonds.py).
        self.sealed = bool(part.bonds.sealed)
        #: The final names of what the unit defines.
        self.members = frozenset(part.names[t] for t in unit.tokens if t not in part.pinned)
        #: Symbol name in the unit's object -> symbol name in the program, where they differ.
        self.bindings: dict[str, str] = {}
        #: Tokens in the unit by identity.
        self.tokens: dict[str, str] = {}
        self._identities: dict[str, str] = {}  # by token
        self._numbered = 0

    def add(self, source: Definitions, entity: Entity, identity: str) -> str:
        """Names a symbol that `source` knows as this entity, and gives its token in the unit.

        Raises NameClash where its own name is taken, BuildError where that is one of those that we give.
        """
        token, final = entity.token, source.names[entity.token]
        ours = source.generated and token.startswith("@nc.")
        name = symbol_name(token)
        keep = self._keeps_name(source, entity, name, ours=ours)
        if keep and name.startswith("nc.") and not ours:
            raise BuildError(f"symbol '{name}': names that begin with 'nc.' are ours; rename it")
        new = token if keep else f"@nc.{self._numbered}"
        self._numbered += not keep
        if self._identities.setdefault(new, identity) != identity:
            raise NameClash(name)
        self.tokens[identity] = new
        if keep and name != final:
            self.bindings[name] = final
        elif not keep:
            self.bindings[new[1:]] = final
        return new

    def _keeps_name(self, source: Definitions, entity: Entity, name: str, *, ours: bool) -> bool:
        final = source.names[entity.token]
        local = name != final and not ours
        # A local is no library function whatever its name; only its own body must know it, for passes
        # turn a loop into a call of memset everywhere but in memset.
        meant = has_meaning(name) and (not local or final in self.members)
        fixed = entity.token in source.pinned or final not in self._program.definitions
        return fixed or meant or final in self._kept or self.sealed or is_decorated(entity)
