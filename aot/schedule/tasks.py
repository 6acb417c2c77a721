"""What workers do with a unit: write it and find its key, or compile its bitcode.

Workers are forked, so these see the plan as it was then. The one that compiles sees only what is in the key.
Where there are few units, the driver writes them, and workers that were forked before there was a plan do the
rest: to fork more of them takes longer.
"""

from __future__ import annotations

import time

from nativecache.aot.codegen.diagnostics import Diagnostic
from nativecache.aot.codegen.engine import Engine
from nativecache.aot.key import Options, assembler_reads, compute_key
from nativecache.aot.packed import encode_pairs
from nativecache.aot.records.memo import KeyedUnit
from nativecache.aot.schedule.plan import Plan
from nativecache.aot.units.extract import UnitText, extract
from nativecache.linker.elf import linkage
from nativecache.linker.errors import BadObject
from nativecache.linker.values import dataclass, replace


@dataclass(frozen=True, slots=True)
class Written:
    """A unit's text, the options that it is compiled with, and the seconds of processor time it took."""

    text: UnitText
    options: Options
    seconds: float


@dataclass(frozen=True, slots=True)
class KeyedText:
    """The key and the bitcode of a unit's text, and the seconds of processor time that they took."""

    key: str
    bitcode: bytes
    seconds: float


@dataclass(frozen=True, slots=True)
class KeyResult:
    """A unit's key and bitcode, and the seconds of processor time that its text and the rest took."""

    keyed: KeyedUnit
    bitcode: bytes
    #: Whether the key may be kept under the unit's fingerprint: not where lines are real, which it lacks.
    lasting: bool
    extract_seconds: float
    key_seconds: float


@dataclass(frozen=True, slots=True)
class CompileResult:
    """What a unit's bitcode was compiled to: an object, assembly or bitcode, as the options have it."""

    output: bytes
    #: Names of the symbols that an object defines and leaves undefined.
    defined: list[str]
    undefined: list[str]
    #: Where lines go in the object, encoded; None where they fit nowhere and real ones are needed.
    fixups: str | None
    milliseconds: float
    diagnostics: list[Diagnostic]


def write_unit(plan: Plan, index: int, *, real_lines: bool) -> Written:
    """Extracts the unit with this index; `real_lines` as `extract` takes it.

    Raises BuildError for what cannot be extracted.
    """
    start = time.process_time()
    unit = plan.units[index]
    options = plan.options_of(unit)
    text = extract(
        plan.program,
        unit,
        plan.candidates,
        triple=options.triple,
        datalayout=plan.program.modules[unit.module].module.datalayout,
        keep_types=options.output == "bitcode",
        real_lines=real_lines,
    )
    return Written(text, replace(options, relative=text.relative), time.process_time() - start)


def key_text(engine: Engine, options: Options, text: str) -> KeyedText:
    """Computes a unit's key from its text. Raises RuntimeError for what LLVM refuses."""
    start = time.process_time()
    bitcode = engine.unit_bitcode(text)
    key = compute_key(engine.identity, options, bitcode, assembler_reads(text))
    return KeyedText(key, bitcode, time.process_time() - start)


def join_key(written: Written, made: KeyedText) -> KeyResult:
    """What is known of a unit that was written and keyed."""
    text = written.text
    keyed = KeyedUnit(
        made.key,
        text.own,
        encode_pairs(text.bindings),
        text.imported,
        line_map=text.line_map.encode(),
        relative=text.relative,
    )
    return KeyResult(keyed, made.bitcode, not text.absolute, written.seconds, made.seconds)


def key_unit(plan: Plan, engine: Engine, index: int, real_lines: bool) -> KeyResult:
    """Extracts the unit with this index and computes its key. Raises what these steps do."""
    written = write_unit(plan, index, real_lines=real_lines)
    return join_key(written, key_text(engine, written.options, written.text.text))


def compile_unit(engine: Engine, bitcode: bytes, options: Options) -> CompileResult:
    """Compiles a unit's bitcode. Raises RuntimeError and Refused for what LLVM does not compile."""
    start = time.process_time()
    diagnostics: list[Diagnostic] = []
    output = engine.emit(bitcode, options, diagnostics)
    defined, undefined = linkage(output) if options.output == "object" else ([], [])
    fixups: str | None = ""
    if options.relative:
        from nativecache.linker.fixups import find_fixups

        try:
            fixups = find_fixups(output).encode()
        except BadObject:
            fixups = None
    milliseconds = (time.process_time() - start) * 1000
    return CompileResult(output, defined, undefined, fixups, milliseconds, diagnostics)
