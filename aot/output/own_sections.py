"""What has a section of its own, as -ffunction-sections and -fdata-sections ask for it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from nativecache.aot.codegen.flags import generation
from nativecache.aot.ir.linkage import is_placed
from nativecache.aot.request import Request
from nativecache.aot.units.partition import NOTHING_APART, Apart, Unit
from nativecache.aot.units.program import Program
from nativecache.linker.symbol_options import SymbolOptions

#: What is said of IR in which sections cannot be told apart: clang compiles only sources whole.
LUMPED: Final = "functions or variables that are compiled together share a section, named after the first"


def asked_apart(request: Request, told: SymbolOptions) -> Apart:
    """What is to have sections of its own, named after it.

    Of an image nothing, unless the link line has to do with sections by their names: units that nobody needs
    are left out, so that the linker has nothing to drop. There, what was in a comdat keeps the section that
    it had for that.
    """
    linked_again = request.emit in ("object", "archive")
    if not (linked_again or (request.emit in ("exe", "shared") and told.by_section)):
        return NOTHING_APART
    made = generation(request.code_flags, request.level)
    return Apart(code=made.code_apart, data=made.data_apart, comdats=not linked_again)


def lumped_modules(program: Program, units: Iterable[Unit], apart: Apart) -> Iterator[int]:
    """The modules with a unit that has in one section what is to be `apart`.

    A unit's sections are named once they are compiled, so all of them after one function or variable.
    """
    if apart == NOTHING_APART:
        return
    for unit in units:
        if (len(unit.tokens) > 1 or unit.has_asm) and _is_lumped(program, unit, apart):
            yield unit.module


def _is_lumped(program: Program, unit: Unit, apart: Apart) -> bool:
    part = program.modules[unit.module]
    entities = [part.entities[token] for token in unit.tokens]
    # LLVM itself names the sections of a group's members.
    found = [e for e in entities if program.output.drops_comdats or not e.comdat]
    named = [e for e in found if e.kind in ("function", "variable") and not is_placed(e, part.module)]
    return len(named) + unit.has_asm > 1 and any(map(apart.keeps, named))
