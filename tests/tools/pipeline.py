"""Programs of a few lines of IR, taken through the steps of a build up to their units."""

from nativecache.aot.codegen import llvm
from nativecache.aot.ir.module import index_module
from nativecache.aot.key import Compiler, Options, compute_key
from nativecache.aot.records.memo import UnitMemo
from nativecache.aot.simplify import find_bodies
from nativecache.aot.units.extract import UnitText, extract
from nativecache.aot.units.fingerprint import Fingerprints
from nativecache.aot.units.imports import NO_IMPORTS, ImportLimits
from nativecache.aot.units.partition import partition
from nativecache.aot.units.program import Program, resolve_symbols
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


def with_bodies(*texts: str) -> Program:
    program = resolved(*texts)
    memos = [UnitMemo(m.label, COMPILER, OPTIONS, EntryStore(NullStore())) for m in program.modules]
    find_bodies(
        program,
        partition(program, final=True),
        Fingerprints(program, b"", memos),
        memos,
        engine=llvm.Llvmlite(),
        options=OPTIONS,
        final=True,
        store=EntryStore(NullStore()),
        threads=1,
    )
    return program


def unit(program: Program, name: str, limits: ImportLimits = NO_IMPORTS) -> UnitText:
    found = next(u for u in partition(program, final=True) if u.name == name)
    return extract(program, found, triple=TRIPLE, datalayout="", final=True, limits=limits)


def key(text: UnitText) -> str:
    return compute_key(COMPILER, OPTIONS, llvm.Llvmlite().unit_bitcode(text.text))


def body(name: str, lines: int, head: str = "", attributes: str = "") -> str:
    """A function of that many lines of IR that no clean-up makes shorter."""
    steps = "".join(f"  store volatile i32 {n}, ptr %p\n" for n in range(lines - 2))
    return f"define {head} void @{name}(ptr %p) {attributes} {{\n{steps}  ret void\n}}\n"


def caller(name: str, callee: str, arguments: str = "ptr %p") -> str:
    result = "i32" if callee == "work" else "void"
    return f"define void @{name}(ptr %p) {{\n  call {result} @{callee}({arguments})\n  ret void\n}}\n"
