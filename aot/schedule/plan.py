"""What a build has decided before the first unit is compiled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from nativecache.aot.ir.syntax import symbol_name
from nativecache.aot.key import Options
from nativecache.aot.units.imports import ImportCandidates
from nativecache.aot.units.partition import Unit
from nativecache.aot.units.program import Program
from nativecache.linker.values import dataclass, replace


@dataclass(frozen=True, slots=True)
class Plan:
    """The program cut into units, those that the image needs in any case, and how units are compiled.

    `defined_in` gives the indices of the units that define a symbol, by its final name; `roots` are indices
    of units. Workers are forked with a plan, so nothing in it changes once there are any.
    """

    program: Program
    units: Sequence[Unit]
    defined_in: Mapping[str, list[int]]
    roots: tuple[int, ...]
    options: Options
    candidates: ImportCandidates

    def options_of(self, unit: Unit, *, relative: bool = False) -> Options:
        """The options of one unit; `relative` as UnitText has it.

        Data has nothing to optimise, and a pass might drop what other units need.
        """
        return replace(self.options, optimize=self.options.optimize and unit.is_function, relative=relative)

    def place(self, index: int) -> tuple[str, str]:
        """The label of a unit's input, and what the source calls its function (else the unit's name)."""
        unit = self.units[index]
        name = symbol_name(unit.tokens[0]) if unit.kind == "function" else unit.name
        return self.program.modules[unit.module].label, name

    def label(self, index: int) -> str:
        """Where a unit is, for messages: input, kind and name."""
        label, name = self.place(index)
        return f"{label}: {self.units[index].kind} '{name}'"
