"""Programs of a few lines of IR, taken through the steps of a build up to their units."""

from dataclasses import dataclass

from nativecache.aot.codegen import llvm
from nativecache.aot.ir.module import index_module
from nativecache.aot.key import Compiler, Options, compute_key
from nativecache.aot.records.memo import UnitMemo
from nativecache.aot.simplify import find_bodies
from nativecache.aot.units.extract import UnitText, extract
from nativecache.aot.units.fingerprint import Fingerprints
from nativecache.aot.units.imports import NO_CANDIDATES, NO_IMPORTS, ImportCandidates, ImportLimits
from nativecache.aot.units.partition import partition
from nativecache.aot.units.program import Program
from nativecache.aot.units.resolve import resolve_symbols
from nativecache.cache.lookup import EntryStore
from nativecache.cache.store import NullStore

TRIPLE = "x86_64-unknown-linux-gnu"
COMPILER = Compiler(llvm="22", llvmlite="0", library="1")
OPTIONS = Options(
    triple=TRIPLE, cpu="", features="", level=2, optimize=True, relocation="pic", code_model="default"
)
LIMITS = ImportLimits(lines=20, total=100)


def resolved(*texts: str) -> Program:
    modules = [index_module(llvm.read_module(text.encode()), f"{n}.ll") for n, text in enumerate(texts)]
    return resolve_symbols(modules)


@dataclass(frozen=True)
class Prepared:
    """A program, and what its units may import."""

    program: Program
    candidates: ImportCandidates


def with_bodies(*texts: str) -> Prepared:
    """Every function that stands alone may be imported."""
    program = resolved(*texts)
    memos = [UnitMemo(m.label, COMPILER, OPTIONS, EntryStore(NullStore())) for m in program.modules]
    bodies = find_bodies(
        program,
        partition(program),
        Fingerprints(program, b"", memos),
        memos,
        engine=llvm.Llvmlite(),
        options=OPTIONS,
        store=EntryStore(NullStore()),
        threads=1,
    )
    return Prepared(program, ImportCandidates(bodies, frozenset(), LIMITS))


def unit(made: Program | Prepared, name: str, limits: ImportLimits = NO_IMPORTS) -> UnitText:
    """The text of the unit of a name."""
    made = Prepared(made, NO_CANDIDATES) if isinstance(made, Program) else made
    found = next(u for u in partition(made.program) if u.name == name)
    return extract(made.program, found, made.candidates.within(limits), triple=TRIPLE, datalayout="")


def key(text: UnitText) -> str:
    return compute_key(COMPILER, OPTIONS, llvm.Llvmlite().unit_bitcode(text.text))


def body(name: str, lines: int, head: str = "", attributes: str = "") -> str:
    """A function of that many lines of IR that no clean-up makes shorter."""
    steps = "".join(f"  store volatile i32 {n}, ptr %p\n" for n in range(lines - 2))
    return f"define {head} void @{name}(ptr %p) {attributes} {{\n{steps}  ret void\n}}\n"


def caller(name: str, callee: str, arguments: str = "ptr %p") -> str:
    result = "i32" if callee == "work" else "void"
    return f"define void @{name}(ptr %p) {{\n  call {result} @{callee}({arguments})\n  ret void\n}}\n"
