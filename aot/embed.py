"""For programs with a compiler in them: LLVM's code generator behind a cache, without the rest of a build.

    class DictStore(dict):
        def put(self, key, value):
            self[key] = value

    store = DictStore()
    made = compile_with_cache(module.as_bitcode(), Target.of_this_machine(), store)
    made.object  # a relocatable object, under the module's own symbol names
    made.hit     # False; True the next time

A store is anything with `get` and `put` (`Store`); for folders there are `cache.file_store.FileStore` and
`cache.sqlite_store.SqliteStore`.
Nothing in it is believed: an entry is checked in full against its key, and a damaged one is made again and
replaced. Who may write to a store can forge entries, and so code.

A key covers the bitcode to the last byte, the target, and which LLVM compiles, as the keys of `nativecache
build` do; the two never share an entry, for a build's units have been through more hands. The code generator
sees nothing but what is in the key. A module whose inline asm reads files is compiled each time.

LLVM may end its process on bad input, and only a process of its own survives that: say `isolated` for bitcode
that you did not make. That forks: do not where other threads may be inside LLVM, for the child would wait for
them for ever.

Everything here is safe in many threads, and in many processes as far as the store is.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import Final, Literal

from llvmlite import binding

from nativecache.aot import key
from nativecache.aot.codegen import llvm
from nativecache.aot.codegen.engine import Engine
from nativecache.aot.errors import BuildError
from nativecache.aot.pool import Job, Pool, WorkerDied
from nativecache.cache.entry import CorruptEntry, Entry
from nativecache.cache.entry import decode_entry as deserialize_entry
from nativecache.cache.entry import encode_entry as serialize_entry
from nativecache.cache.shape import Malformed, check, number, record
from nativecache.cache.store import Store

__all__ = (
    "BuildError",
    "Compiled",
    "CorruptEntry",
    "Entry",
    "Store",
    "Target",
    "compile_with_cache",
    "compute_key",
    "deserialize_entry",
    "serialize_entry",
)

#: Raised whenever the way from bitcode to entry changes.
SCHEMA: Final = 1

_MAGICS: Final = (b"BC\xc0\xde", b"\xde\xc0\x17\x0b")
#: What modules are for that name no target; llvmlite.ir writes the second.
_ANY: Final = ("", "unknown-unknown-unknown")

_one_at_a_time = threading.Lock()  # threads would share LLVM's target machines, which are not made for that


def _default_triple() -> str:
    return llvm.host()[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What to compile for and how; by default for any CPU of this machine's kind.

    `level` 0 to 3 is of optimisation and code generation; without `optimize` code is generated as the IR
    stands. `llvm` is what `nativecache build --llvm` takes: `llvmlite`, `auto` (LLVM's shared library where
    there is one, which is faster) or a library's path. LLVM does without a CPU or feature that it does not
    know, and says so on stderr. Raises ValueError for a level or model that there is not.
    """

    triple: str = field(default_factory=_default_triple)
    cpu: str = ""
    features: str = ""
    level: int = 2
    optimize: bool = True
    relocation: Literal["static", "pic", "dynamicnopic"] = "pic"
    code_model: Literal["default", "tiny", "small", "kernel", "medium", "large"] = "default"
    llvm: str = "llvmlite"

    def __post_init__(self) -> None:
        if self.level not in range(4):
            raise ValueError(f"a level is 0, 1, 2 or 3, not {self.level!r}")
        if self.relocation not in ("static", "pic", "dynamicnopic"):
            raise ValueError(f"no such relocation model: {self.relocation!r}")
        if self.code_model not in ("default", "tiny", "small", "kernel", "medium", "large"):
            raise ValueError(f"no such code model: {self.code_model!r}")

    @classmethod
    def of_this_machine(cls, level: int = 2) -> Target:
        """This very machine, with all that its CPU can do."""
        triple, cpu, features = llvm.host()
        return cls(triple=triple, cpu=cpu, features=features, level=level)


@dataclass(frozen=True, slots=True)
class Compiled:
    """A relocatable object, whether it was in the store, its key, and what making it took or had taken."""

    object: bytes
    hit: bool
    key: str
    milliseconds: float


def compute_key(bitcode: bytes, target: Target) -> str:
    """The key of what `bitcode` is compiled to: 64 lowercase hexadecimal digits.

    Other bytes are another key: give values and the module the same names each time. LLVM is not asked, so
    bad bitcode has a key, too. Raises BuildError for what is not bitcode at all, and where `target.llvm` is
    no LLVM that can be used.
    """
    return _key(_engine(target), bitcode, target)


def compile_with_cache(bitcode: bytes, target: Target, store: Store, *, isolated: bool = False) -> Compiled:
    """The object of a module: from the store, else made and put there.

    Symbols keep their names. `isolated`: LLVM runs in a process of its own (tens of milliseconds), so that it
    can end only that. Raises BuildError with LLVM's reason: bad bitcode, a module for another target, or one
    that LLVM does not know; if isolated, also for an LLVM that ended. What the store raises is let through.
    """
    engine = _engine(target)
    name = _key(engine, bitcode, target)
    data = store.get(name)
    if data is not None:
        try:
            entry = deserialize_entry(name, data)
            check(entry.meta, _META)
        except (CorruptEntry, Malformed):
            pass  # it is made again and replaced
        else:
            milliseconds = float(entry.meta["milliseconds"])  # type: ignore[arg-type]
            return Compiled(entry.payload, True, name, milliseconds)
    made, milliseconds, may_keep = (_compile_apart if isolated else _compile)(engine, bitcode, target)
    if may_keep:
        store.put(name, serialize_entry(Entry(name, made, {"milliseconds": milliseconds})))
    return Compiled(made, False, name, milliseconds)


_META: Final = record({"milliseconds": number()})


def _engine(target: Target) -> Engine:
    return llvm.find_engine(target.llvm, None)


def _key(engine: Engine, bitcode: bytes, target: Target) -> str:
    if not isinstance(bitcode, bytes):
        raise BuildError(f"a module is given as bitcode, in bytes, not as {type(bitcode).__name__}")
    if bitcode[:4] not in _MAGICS:
        raise BuildError(
            "not LLVM bitcode; llvmlite.binding.parse_assembly(text).as_bitcode() makes it of text"
        )
    # Bitcode never begins like that, so no build's key is the same. llvmlite prepares it for any engine.
    head = f"embed {SCHEMA} {llvm.Llvmlite().identity}\0".encode()
    return key.compute_key(engine.identity, _options(target), head + bitcode)


def _options(target: Target) -> key.Options:
    return key.Options(
        triple=target.triple,
        cpu=target.cpu,
        features=target.features,
        level=target.level,
        optimize=target.optimize,
        relocation=target.relocation,
        code_model=target.code_model,
    )


def _compile_apart(engine: Engine, bitcode: bytes, target: Target) -> tuple[bytes, float, bool]:
    with Pool(1, {"compile": lambda: _compile(engine, bitcode, target)}) as pool:
        pool.submit(Job("compile", None))
        (done,) = pool.results()
    if isinstance(done.error, WorkerDied):
        raise BuildError(f"LLVM stopped while compiling: {done.error}")
    if done.error:
        raise done.error
    made: tuple[bytes, float, bool] = done.result
    return made


def _compile(engine: Engine, bitcode: bytes, target: Target) -> tuple[bytes, float, bool]:
    """The object, the milliseconds of processor time that it took, and whether it may be kept."""
    start = time.process_time()
    options = _options(target)
    try:
        with _one_at_a_time:
            prepared, may_keep = _prepare(bitcode, target, llvm.data_layout(options))
            made = engine.emit(prepared, options)
    except RuntimeError as error:
        raise BuildError(llvm.first_line(str(error))) from None
    return made, round((time.process_time() - start) * 1000, 3), may_keep


def _prepare(bitcode: bytes, target: Target, layout: str) -> tuple[bytes, bool]:
    """The module under the target's triple and layout, and whether it reads no files.

    Raises BuildError for a module of another target, and RuntimeError.
    """
    with binding.parse_bitcode(bitcode, binding.create_context()) as module:
        module.verify()
        theirs = module.triple
        if theirs not in _ANY and llvm.platform(theirs) != llvm.platform(target.triple):
            raise BuildError(f"the module is for {theirs}, not for {target.triple}")
        if module.data_layout not in ("", layout):
            raise BuildError(f"the module's data layout is not that of {target.triple}")
        module.triple, module.data_layout = target.triple, layout
        return bytes(module.as_bitcode()), not key.assembler_reads(str(module))
