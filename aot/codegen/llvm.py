"""Every call into LLVM. LLVM may end its process on bad input, so this runs in worker processes.

llvmlite is loaded by the first call that needs it: 25 ms that a build with libLLVM may do without.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from functools import cache, cached_property, lru_cache
from importlib.machinery import PathFinder
from typing import Any, Final

from nativecache.aot.codegen.diagnostics import Diagnostic, overheard, refuse
from nativecache.aot.codegen.engine import MARKING, SMALL_DATA, Engine, pass_tuning
from nativecache.aot.codegen.facts import Library, find_known, keep_library, stamp
from nativecache.aot.codegen.libllvm import find_library
from nativecache.aot.codegen.triples import normalise
from nativecache.aot.errors import BuildError, UsageError
from nativecache.aot.ir.syntax import TOKEN, quote, symbol_name
from nativecache.aot.key import Compiler, Options
from nativecache.cache.lookup import EntryStore
from nativecache.linker import lazy_re as re

#: Major and minor of llvmlite's LLVM, which pyproject.toml pins.
VERSION: Final = (22, 1)


class _Binding:
    """llvmlite's binding, loaded when something of it is first asked for."""

    def __getattr__(self, name: str) -> Any:
        from llvmlite import binding

        return getattr(binding, name)


llvm: Final = _Binding()

_BEYOND_ASCII: Final = re.compile(rb"[\x80-\xff]")


@cache
def initialize() -> None:
    """Sets up all targets, their printers and their asm parsers (without those, inline asm aborts)."""
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    llvm.initialize_native_asmparser()


def host() -> tuple[str, str, str]:
    """Triple, CPU name and features of this machine, for `--cpu native`."""
    return llvm.get_default_triple(), llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten()


def platform(triple: str) -> tuple[str, ...]:
    """The parts of a triple that objects must share: vendor and versions say nothing."""
    parts = llvm.get_triple_parts(triple)
    system = {"darwin": "macosx"}.get(parts.OS, parts.OS)
    return (parts.Arch if parts.Arch != "unknown" else triple, system, parts.Env, parts.ObjectFormat)


def is_known(triple: str) -> bool:
    """Whether this LLVM has a target for a triple."""
    initialize()
    try:
        llvm.Target.from_triple(triple)
    except RuntimeError:
        return False
    return True


def read_module(data: bytes, clear_names: bool = False) -> str:
    """Parses bitcode or text, verifies it and prints it, one character per byte.

    `clear_names` takes the names off all values and blocks. Raises BuildError with LLVM's reason.
    """
    context = llvm.create_context()
    try:
        if data[:4] in (b"BC\xc0\xde", b"\xde\xc0\x17\x0b"):
            module = llvm.parse_bitcode(data, context)
        else:
            # Bytes beyond ASCII stand in strings only; escaped, they survive any encoding.
            ascii_only = _BEYOND_ASCII.sub(lambda m: b"\\%02X" % m[0][0], data)
            module = llvm.parse_assembly(ascii_only.decode("ascii"), context)
            if _has_old_layout(module):
                module = _upgraded(module)
        with module:
            module.verify()
            if clear_names:
                for function in module.functions:
                    for value in function.arguments:
                        value.name = ""
                    for block in function.blocks:
                        block.name = ""
                        for instruction in block.instructions:
                            instruction.name = ""
            return str(module)
    except RuntimeError as error:
        raise BuildError(explain(first_line(str(error)))) from None


def read_triple(bitcode: bytes) -> str:
    """The target triple of a module. Raises BuildError for what cannot be read."""
    try:
        with llvm.parse_bitcode(bitcode, llvm.create_context()) as module:
            module.verify()
            return str(module.triple)
    except RuntimeError as error:
        raise BuildError(explain(first_line(str(error)))) from None


def explain(message: str) -> str:
    """LLVM's message, with what to do where it does not say so."""
    if message == "Expected a single module":
        return "holds several modules, as -fsplit-lto-unit makes them: compile it without that, or -flto"
    return message


def _has_old_layout(module: Any) -> bool:
    """Whether a module has a data layout that is not its target's, which earlier versions of LLVM wrote."""
    if not module.data_layout or not module.triple:
        return False
    initialize()
    try:
        machine = llvm.Target.from_triple(normalise(module.triple)).create_target_machine()
    except RuntimeError:
        return False  # unknown to this LLVM
    return bool(module.data_layout != str(machine.target_data))


def _upgraded(module: Any) -> Any:
    """The module as LLVM reads it from bitcode: it upgrades data layouts of that only.

    See llvm/lib/IR/AutoUpgrade.cpp, UpgradeDataLayoutString. What the upgrade aligns in another way is laid
    out as the target's code is today; alignments that are written down stay.
    """
    with module:
        return llvm.parse_bitcode(module.as_bitcode(), llvm.create_context())


def first_line(message: str) -> str:
    """LLVM's message without the source excerpt under it."""
    lines = [line.strip() for line in message.strip().splitlines() if line.strip()]
    while lines and lines[0] in ("LLVM IR parsing error", "LLVM bitcode parsing error"):
        lines = lines[1:]
    return lines[0].removeprefix("<string>:").strip() if lines else "no reason given"


@lru_cache(maxsize=8)
def _machine(options: Options) -> tuple[Any, Any]:
    """Target machine and tuning for some options, made once per process."""
    return _make_machine(options)


@lru_cache(maxsize=8)
def _machine_of_flagged(options: Options) -> tuple[Any, Any]:
    return _make_machine(options)


def _make_machine(options: Options) -> tuple[Any, Any]:
    initialize()
    target = llvm.Target.from_triple(options.triple)
    machine = target.create_target_machine(
        cpu=options.cpu,
        features=options.features,
        opt=options.level,
        reloc=options.relocation,
        # llvmlite has no name for tiny code; small code runs wherever it does.
        codemodel="small" if options.code_model == "tiny" else options.code_model,
    )
    tuning = llvm.create_pipeline_tuning_options(options.level)
    loops, blocks, unroll, interleave = pass_tuning(options)
    tuning.loop_vectorization, tuning.slp_vectorization = loops, blocks
    tuning.loop_unrolling, tuning.loop_interleaving = unroll, interleave
    return machine, tuning


def data_layout(options: Options) -> str:
    """The data layout of a target. Raises BuildError for one that this LLVM does not know."""
    return layout_of(Llvmlite(), options)


def layout_of(engine: Engine, options: Options) -> str:
    """The data layout that an engine has for a target. Raises BuildError for one that it does not know."""
    try:
        return engine.data_layout(options)
    except RuntimeError as error:
        raise BuildError(f"unknown target '{options.triple}': {first_line(str(error))}") from None


def check_target(options: Options) -> None:
    """Raises BuildError if LLVM does not know the CPU or a feature; it says so only on stderr."""
    import tempfile

    with tempfile.TemporaryFile() as capture:
        saved = os.dup(2)
        os.dup2(capture.fileno(), 2)
        try:
            data_layout(options)
            text = f'target triple = "{options.triple}"\ndefine void @f() {{ ret void }}'
            with llvm.parse_assembly(text) as module:
                _machine(options)[0].emit_object(module)
        finally:
            os.dup2(saved, 2)
            os.close(saved)
        capture.seek(0)
        words = capture.read().decode("utf-8", "replace").strip()
    if "is not a recognized" in words:
        raise BuildError(f"target {options.triple}: {words.splitlines()[0].partition(' (ignoring')[0]}")


class Llvmlite:
    """The engine in llvmlite's wheel."""

    path = ""

    def __init__(self, store: EntryStore | None = None) -> None:
        """`store` may know already which LLVM it is."""
        self._store = store

    @cached_property
    def identity(self) -> Compiler:
        """The versions of LLVM and llvmlite, and the size of its library."""
        library = library_path()
        if self._store and library and (known := find_known(self._store, library, "")):
            return known.identity
        found = stamp(library)
        self.load()
        import llvmlite

        size = os.path.getsize(library) if os.path.exists(library) else 0
        version = ".".join(map(str, llvm.llvm_version_info))
        identity = Compiler(llvm=version, llvmlite=str(llvmlite.__version__), library=str(size))
        if self._store and found == stamp(library):
            keep_library(self._store, library, "", Library(library, found, identity))
        return identity

    def load(self) -> None:
        """Loads llvmlite."""
        initialize()

    def data_layout(self, options: Options) -> str:
        """The data layout of a target. Raises RuntimeError for one that this LLVM does not know."""
        return str(_machine(options)[0].target_data)

    def unit_bitcode(self, text: str) -> bytes:
        """A unit's bitcode, parsed in a fresh context. Raises RuntimeError with LLVM's reason."""
        initialize()  # see libllvm.py
        with llvm.parse_assembly(text, llvm.create_context()) as module:
            return bytes(module.as_bitcode())

    def simplify(self, text: str, options: Options) -> str:
        """A unit's IR after the clean-up of `SIMPLIFY`, printed."""
        builder = llvm.create_pass_builder(*_machine(options))
        with llvm.parse_assembly(text, llvm.create_context()) as module:
            passes = llvm.create_new_module_pass_manager()
            passes.add_simplify_cfg_pass()
            passes.add_sroa_pass()
            passes.add_instruction_combine_pass()
            passes.run(module, builder)
            return str(module)

    def emit(self, bitcode: bytes, options: Options, said: list[Diagnostic] | None = None) -> bytes:
        """Optimises a unit and generates code. LLVM ends the process at an error, and prints why."""
        if said is None:
            return self._emit(bitcode, options)
        with overheard(said):
            output = self._emit(bitcode, options)
        refuse(said)
        return output

    def _emit(self, bitcode: bytes, options: Options) -> bytes:
        machine, tuning = (_machine_of_flagged if SMALL_DATA in bitcode else _machine)(options)
        with llvm.parse_bitcode(bitcode, llvm.create_context()) as module:
            module.verify()
            if options.optimize:
                # A run uses the pass manager up (a second one asserts) and leaves callbacks in the builder
                # that slow every later run (sqlite's 2,600 units: 26 s with one builder, 14 s with one each).
                builder = llvm.create_pass_builder(machine, tuning)
                builder.getModulePassManager().run(module, builder)
            if options.output == "bitcode":
                return bytes(module.as_bitcode())
            if options.output == "assembly":
                # Machines number sections, over all that they emit.
                return str(_make_machine(options)[0].emit_assembly(module)).encode("latin-1")
            if any(variable.name == MARKING for variable in module.global_variables):
                machine = _make_machine(options)[0]
            return bytes(machine.emit_object(module))


def library_path() -> str:
    """Where llvmlite's library lies, found without loading it; empty if it is in no file."""
    found = PathFinder.find_spec("llvmlite")
    folder = os.path.dirname(found.origin or "") if found else ""
    return os.path.join(folder, "binding", "libllvmlite.so") if folder else ""


def find_engine(
    choice: str, clang: str | None, store: EntryStore | None = None, search_path: str = ""
) -> Engine:
    """The engine to use: `auto` (LLVM's shared library, else llvmlite's own copy), `llvmlite` or a path.

    `clang` is the compiler beside which the library may lie. An engine that `store` knows is not loaded
    before it is used; `search_path` is the user's for libraries. Raises UsageError for an unfit path.
    """
    try:
        return find_library(choice, VERSION, clang, store, search_path) or Llvmlite(store)
    except OSError as error:
        raise UsageError(f"{choice}: cannot be used as LLVM's library: {error}") from None


def empty_object(triple: str) -> bytes:
    """An object of a target that holds nothing."""
    engine = Llvmlite()
    options = Options(triple, "", "", 0, False, "pic", "default")
    return engine.emit(engine.unit_bitcode(f'target triple = "{triple}"\n'), options)


def merge(units: Iterable[tuple[bytes, Mapping[str, str]]]) -> bytes:
    """One module of many bitcode units, each with its symbols renamed. Raises BuildError."""
    context = llvm.create_context()
    merged = llvm.parse_assembly("", context)
    try:
        for bitcode, names in units:
            with llvm.parse_bitcode(bitcode, context) as module:
                text = rename_globals(str(module), names)
            merged.link_in(llvm.parse_assembly(text, context))
        return bytes(merged.as_bitcode())
    except RuntimeError as error:
        raise BuildError(first_line(str(error))) from None


def rename_globals(text: str, names: Mapping[str, str]) -> str:
    """Printed IR with its symbols renamed."""

    def spell(match: re.Match[str]) -> str:
        token = match[0]
        new = names.get(symbol_name(token)) if token[0] == "@" else None
        return token if new is None else "@" + quote(new)

    return TOKEN.sub(spell, text)
