"""Runs the phases of a build in this process: texts of IR become a program, its units, keys and objects.

Tests call phases only through this module where they do not test the phase itself, so that a change of a
phase's parameters is followed in one place. What the phases do is in ARCHITECTURE.md.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from nativecache.aot.called_once import find_called_once, longest_import
from nativecache.aot.codegen import llvm
from nativecache.aot.codegen.engine import Engine
from nativecache.aot.front.load import index
from nativecache.aot.ir.module import Module, index_module
from nativecache.aot.key import Options, compute_key
from nativecache.aot.records.memo import UnitMemo
from nativecache.aot.simplify import find_bodies
from nativecache.aot.units.extract import UnitText, extract
from nativecache.aot.units.fingerprint import Fingerprints, ImportFingerprints
from nativecache.aot.units.imports import NO_CANDIDATES, NO_IMPORTS, ImportCandidates, ImportLimits
from nativecache.aot.units.output_model import EXECUTABLE, OutputModel
from nativecache.aot.units.partition import Unit, partition
from nativecache.aot.units.program import Program
from nativecache.aot.units.resolve import resolve_symbols
from nativecache.aot.workers import edit_workers
from nativecache.cache.lookup import EntryStore
from nativecache.cache.store import NullStore
from nativecache.linker.symbol_options import SymbolOptions

TRIPLE = "x86_64-unknown-linux-gnu"
OPTIONS = Options(
    triple=TRIPLE, cpu="", features="", level=2, optimize=True, relocation="pic", code_model="default"
)
ENGINE = llvm.Llvmlite()
#: What units may import where a test has no limits of its own.
LIMITS = ImportLimits(lines=20, total=100)


def indexed(*texts: str, labels: Sequence[str] = ()) -> list[Module]:
    """Modules of IR that LLVM reads and prints first, called 0.ll, 1.ll, … where they have no labels."""
    names = labels or [f"{n}.ll" for n in range(len(texts))]
    return [
        index_module(llvm.read_module(text.encode("latin-1")), name)
        for text, name in zip(texts, names, strict=False)
    ]


def resolved(
    *texts: str,
    labels: Sequence[str] = (),
    output: OutputModel = EXECUTABLE,
    told: SymbolOptions = SymbolOptions(),  # noqa: B008 - it is frozen
) -> "Pipeline":
    """A program up to its resolved symbols, nothing simplified."""
    return Pipeline(resolve_symbols(indexed(*texts, labels=labels), output, told))


def resolved_modules(modules: Sequence[Module], output: OutputModel = EXECUTABLE) -> "Pipeline":
    """The same of modules."""
    return Pipeline(resolve_symbols(modules, output))


def resolved_with_debug(texts: Sequence[tuple[str, str]]) -> "Pipeline":
    """The same of pairs of a label and printed IR, whose debug information has its lines encoded."""
    modules, directory = index(texts, relative=True)
    return resolved_modules(modules, OutputModel(directory=directory))


@dataclass(frozen=True)
class Pipeline:
    """A program whose symbols are resolved, and the phases that follow as methods."""

    program: Program
    options: Options = OPTIONS
    engine: Engine = ENGINE
    #: What may be inlined across units: nothing until `simplify`.
    candidates: ImportCandidates = NO_CANDIDATES
    #: Where what is known of earlier runs is kept.
    store: EntryStore = EntryStore(NullStore())  # noqa: RUF009 - without state

    @cached_property
    def units(self) -> tuple[Unit, ...]:
        return partition(self.program)

    def unit(self, name: str) -> Unit:
        """The unit of that final name."""
        return next(unit for unit in self.units if unit.name == name)

    @cached_property
    def memos(self) -> list[UnitMemo]:
        modules = self.program.modules
        return [UnitMemo(part.label, self.engine.identity, self.options, self.store) for part in modules]

    @cached_property
    def fingerprints(self) -> Fingerprints:
        """Of units without what they import."""
        return Fingerprints(self.program, b"", self.memos)

    @cached_property
    def import_fingerprints(self) -> ImportFingerprints:
        """Of units with what they import."""
        return ImportFingerprints(self.fingerprints, self.candidates, self.candidates.limits.lines)

    def simplify(self, limits: ImportLimits, *, packs: EntryStore | None = None) -> "Pipeline":
        """With short functions simplified. `packs`: where simplified bodies are kept, if not in `store`."""
        with edit_workers(self.engine, 1) as workers:
            bodies = find_bodies(
                self.program,
                self.units,
                self.fingerprints,
                self.memos,
                engine=self.engine,
                options=self.options,
                store=packs or self.store,
                workers=workers,
            )
        return self._with(ImportCandidates(bodies, frozenset(), limits))

    def called_once(self, *roots: str) -> frozenset[str]:
        """Functions that one call reaches, if an image starts at the units of these names."""
        starts = [unit.index for unit in self.units if unit.name in roots]
        found = self.candidates
        longest = longest_import(self.program, found.limits)
        every, units = range(len(self.program.modules)), dict(enumerate(self.units))
        return find_called_once(self.program, found.bodies, every, units, self.fingerprints, starts, longest)

    def with_callers(self, *roots: str) -> "Pipeline":
        """With functions that are called once compiled with their callers."""
        return self._with(replace(self.candidates, once=self.called_once(*roots)))

    def _with(self, candidates: ImportCandidates) -> "Pipeline":
        """With other candidates, and all that does not depend on them as it is."""
        made = replace(self, candidates=candidates)
        vars(made).update(units=self.units, memos=self.memos, fingerprints=self.fingerprints)
        return made

    def extract(
        self,
        unit: Unit,
        *,
        datalayout: str = "",
        keep_types: bool = False,
        real_lines: bool = False,
    ) -> UnitText:
        """The unit's canonical IR, with the bodies that it may inline."""
        return extract(
            self.program,
            unit,
            self.candidates,
            triple=self.options.triple,
            datalayout=datalayout,
            keep_types=keep_types,
            real_lines=real_lines,
        )

    def emit(self, unit: Unit, text: UnitText) -> bytes:
        """The unit's object, or what `options.output` says; only functions are optimised."""
        options = replace(self.options, optimize=self.options.optimize and unit.is_function)
        return self.engine.emit(self.engine.unit_bitcode(text.text), options)


# Short forms


def with_bodies(*texts: str) -> Pipeline:
    """A program whose functions may be imported up to LIMITS."""
    return resolved(*texts).simplify(LIMITS)


def unit(made: Pipeline, name: str, limits: ImportLimits = NO_IMPORTS) -> UnitText:
    """The text of the unit of that name, which imports within these limits only."""
    return replace(made, candidates=made.candidates.within(limits)).extract(made.unit(name))


def key(text: UnitText) -> str:
    """The key of a unit under OPTIONS."""
    return compute_key(ENGINE.identity, OPTIONS, ENGINE.unit_bitcode(text.text))


def body(name: str, lines: int, head: str = "", attributes: str = "") -> str:
    """A function of that many lines of IR that no clean-up makes shorter."""
    steps = "".join(f"  store volatile i32 {n}, ptr %p\n" for n in range(lines - 2))
    return f"define {head} void @{name}(ptr %p) {attributes} {{\n{steps}  ret void\n}}\n"


def caller(name: str, callee: str, arguments: str = "ptr %p") -> str:
    result = "i32" if callee == "work" else "void"
    return f"define void @{name}(ptr %p) {{\n  call {result} @{callee}({arguments})\n  ret void\n}}\n"
