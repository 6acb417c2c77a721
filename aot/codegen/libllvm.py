"""LLVM's own shared library, through its C interface, as the engine where there is one.

llvmlite's wheel carries the same LLVM with assertions, and with inline functions that were compiled
without optimisation: at equal work it takes 1.5 times as long (637 units of sqlite3: 3.5 s against
2.3 s, all objects byte-identical). Distributions install this library along with clang. Functions
are those of llvm-c/*.h; only those that LLVM promises to keep are used.
"""

from __future__ import annotations

import ctypes
import os
import struct
from functools import cache, cached_property, lru_cache
from pathlib import Path
from typing import Any, Final

from nativecache.aot.codegen.diagnostics import Diagnostic, refuse
from nativecache.aot.codegen.engine import (
    INLINE_FIRST,
    INLINE_FROM,
    INLINE_MOST,
    MARKING,
    SIMPLIFY,
    SMALL_DATA,
    pass_tuning,
)
from nativecache.aot.codegen.facts import Library, find_known, keep_library, stamp
from nativecache.aot.key import Compiler, Options
from nativecache.cache.files import open_plain
from nativecache.cache.lookup import EntryStore

_POINTER: Final = ctypes.c_void_p
_TEXT: Final = ctypes.c_char_p
_INT: Final = ctypes.c_int
_OUT: Final = ctypes.POINTER(ctypes.c_void_p)
_MESSAGE: Final = ctypes.POINTER(ctypes.c_char_p)

#: LLVMDiagnosticHandler of llvm-c/Core.h: a diagnostic, and what was given with the handler.
_HANDLER: Final = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p)

#: Result and parameters of every function in use.
_SIGNATURES: Final[dict[str, tuple[Any, ...]]] = {
    "LLVMGetVersion": (None, *[ctypes.POINTER(ctypes.c_uint)] * 3),
    "LLVMContextCreate": (_POINTER,),
    "LLVMContextDispose": (None, _POINTER),
    "LLVMContextSetDiscardValueNames": (None, _POINTER, _INT),
    "LLVMContextSetDiagnosticHandler": (None, _POINTER, _HANDLER, _POINTER),
    "LLVMGetDiagInfoDescription": (_POINTER, _POINTER),
    "LLVMGetDiagInfoSeverity": (_INT, _POINTER),
    "LLVMCreateMemoryBufferWithMemoryRange": (_POINTER, _TEXT, ctypes.c_size_t, _TEXT, _INT),
    "LLVMDisposeMemoryBuffer": (None, _POINTER),
    "LLVMGetBufferStart": (_POINTER, _POINTER),
    "LLVMGetBufferSize": (ctypes.c_size_t, _POINTER),
    "LLVMParseIRInContext2": (_INT, _POINTER, _POINTER, _OUT, _MESSAGE),
    "LLVMParseBitcodeInContext2": (_INT, _POINTER, _POINTER, _OUT),
    "LLVMVerifyModule": (_INT, _POINTER, _INT, _MESSAGE),
    "LLVMPrintModuleToString": (_POINTER, _POINTER),
    "LLVMWriteBitcodeToMemoryBuffer": (_POINTER, _POINTER),
    "LLVMGetNamedGlobal": (_POINTER, _POINTER, _TEXT),
    "LLVMDisposeModule": (None, _POINTER),
    "LLVMDisposeMessage": (None, _POINTER),
    "LLVMGetTargetFromTriple": (_INT, _TEXT, _OUT, _MESSAGE),
    "LLVMCreateTargetMachine": (_POINTER, _POINTER, _TEXT, _TEXT, _TEXT, _INT, _INT, _INT),
    "LLVMDisposeTargetMachine": (None, _POINTER),
    "LLVMCreateTargetDataLayout": (_POINTER, _POINTER),
    "LLVMCopyStringRepOfTargetData": (_POINTER, _POINTER),
    "LLVMDisposeTargetData": (None, _POINTER),
    "LLVMTargetMachineEmitToMemoryBuffer": (_INT, _POINTER, _POINTER, _INT, _MESSAGE, _OUT),
    "LLVMCreatePassBuilderOptions": (_POINTER,),
    "LLVMDisposePassBuilderOptions": (None, _POINTER),
    "LLVMRunPasses": (_POINTER, _POINTER, _TEXT, _POINTER, _POINTER),
    "LLVMGetErrorMessage": (_POINTER, _POINTER),
    "LLVMDisposeErrorMessage": (None, _POINTER),
}
_TUNING: Final = ("LoopVectorization", "SLPVectorization", "LoopUnrolling", "LoopInterleaving")
#: Names of LLVM's targets (llvm/lib/Target); a build of the library has some of them.
_TARGETS: Final = (
    *("X86", "AArch64", "ARM", "RISCV", "PowerPC", "SystemZ", "LoongArch", "WebAssembly", "Mips", "Sparc"),
    *(
        "AMDGPU",
        "NVPTX",
        "BPF",
        "AVR",
        "Hexagon",
        "MSP430",
        "Lanai",
        "VE",
        "XCore",
        "Xtensa",
        "M68k",
        "SPIRV",
    ),
)
_PARTS: Final = ("TargetInfo", "Target", "TargetMC", "AsmPrinter", "AsmParser")

# Numbers of llvm-c/TargetMachine.h and llvm-c/Analysis.h.
_RELOCATION: Final = {"default": 0, "static": 1, "pic": 2, "dynamicnopic": 3}
_CODE_MODEL: Final = {"default": 0, "tiny": 2, "small": 3, "kernel": 4, "medium": 5, "large": 6}
_ASSEMBLY, _OBJECT = 0, 1
_RETURN_STATUS: Final = 2
_ERROR, _WARNING = 0, 1  # LLVMDiagnosticSeverity of llvm-c/Core.h


class SharedLibrary:
    """An engine over a loaded libLLVM. Raises OSError if it cannot be used."""

    def __init__(self, name: str, known: Library | None = None) -> None:
        """Loads the library, or one that is `known` when it is first used."""
        self._name = known.path if known else name
        self.path = self._name
        self._machine = lru_cache(maxsize=8)(self._make_machine)
        self._machine_of_flagged = lru_cache(maxsize=8)(self._make_machine)
        if known is None:
            # One that the process has loaded by another name would tell that one.
            loaded = _loaded_path(self._library.LLVMGetVersion)
            self.path = name if "/" in name else loaded
        self.identity = known.identity if known else self._read_identity()
        self.version = tuple(map(int, self.identity.llvm.split(".")))
        self._known = known is not None

    def load(self) -> None:
        """Loads the library if it is not. Raises OSError if it is not the one that was known."""
        if self._known and self._read_identity() != self.identity:
            raise OSError(f"{self.path}: LLVM's library is another than it was a moment ago; build again")
        self._known = False
        self._initialize()

    @cached_property
    def _library(self) -> Any:
        library = ctypes.CDLL(self._name)
        for function, (result, *parameters) in _SIGNATURES.items():
            entry = _function(library, function)
            entry.restype, entry.argtypes = result, parameters
        for option in _TUNING:
            entry = _function(library, f"LLVMPassBuilderOptionsSet{option}")
            entry.restype, entry.argtypes = None, (_POINTER, _INT)
        return library

    def _read_identity(self) -> Compiler:
        numbers = [ctypes.c_uint() for _ in range(3)]
        self._library.LLVMGetVersion(*map(ctypes.byref, numbers))
        version = ".".join(str(number.value) for number in numbers)
        return Compiler(llvm=version, llvmlite="", library=build_id(Path(self.path)))

    def unit_bitcode(self, text: str) -> bytes:
        """A unit's bitcode, parsed in a fresh context. Raises RuntimeError with LLVM's reason."""
        # Where it knows the target, LLVM writes the symbols of a module with asm into the bitcode.
        self._initialize()
        with _Context(self._library) as context:
            return context.bitcode(context.parse(text.encode("latin-1")))

    def simplify(self, text: str, options: Options) -> str:
        """A unit's IR after the clean-up of `SIMPLIFY`, printed."""
        with _Context(self._library) as context:
            module = context.parse(text.encode("latin-1"))
            context.discard_names()
            self._run(module, f"function({SIMPLIFY})", options)
            printed = self._library.LLVMPrintModuleToString(module)
            try:
                return ctypes.string_at(printed).decode("latin-1")
            finally:
                self._library.LLVMDisposeMessage(printed)

    def emit(self, bitcode: bytes, options: Options, said: list[Diagnostic] | None = None) -> bytes:
        """Optimises a unit and generates code. Sees nothing but what is in the key.

        Adds LLVM's warnings and errors to `said`; without it LLVM prints them, and ends the process at an
        error. Raises Refused for errors.
        """
        library = self._library
        heard: list[Diagnostic] = []
        with _Context(library) as context:
            if said is not None:
                context.listen(heard)
            output = self._emit(context, bitcode, options)
        if said is not None:
            said += heard
            refuse(heard)
        return output

    def _emit(self, context: _Context, bitcode: bytes, options: Options) -> bytes:
        library = self._library
        module = context.read(bitcode)
        if options.optimize:
            inlines = options.level >= INLINE_FROM and len(bitcode) <= INLINE_MOST
            first = f"{INLINE_FIRST}," if inlines else ""
            self._run(module, f"{first}default<O{options.level}>", options)
        if options.output == "bitcode":
            return context.bitcode(module)
        kind = _ASSEMBLY if options.output == "assembly" else _OBJECT
        buffer, message = ctypes.c_void_p(), ctypes.c_char_p()
        # Machines number the sections that they name in assembly, over all that they emit.
        apart = kind == _ASSEMBLY or library.LLVMGetNamedGlobal(module, MARKING.encode()) is not None
        shared = self._machine_of_flagged if SMALL_DATA in bitcode else self._machine
        machine, tuning = (self._make_machine if apart else shared)(options)
        try:
            if library.LLVMTargetMachineEmitToMemoryBuffer(
                machine, module, kind, ctypes.byref(message), ctypes.byref(buffer)
            ):
                raise RuntimeError(_words(message))
            return context.take(buffer)
        finally:
            if apart:
                library.LLVMDisposeTargetMachine(machine)
                library.LLVMDisposePassBuilderOptions(tuning)

    def data_layout(self, options: Options) -> str:
        """The data layout of a target. Raises RuntimeError for one that this LLVM does not know."""
        layout = self._library.LLVMCreateTargetDataLayout(self._machine(options)[0])
        printed = self._library.LLVMCopyStringRepOfTargetData(layout)
        words = ctypes.string_at(printed).decode("ascii")
        self._library.LLVMDisposeMessage(printed)
        self._library.LLVMDisposeTargetData(layout)
        return words

    def _run(self, module: Any, passes: str, options: Options) -> None:
        failure = self._library.LLVMRunPasses(module, passes.encode(), *self._machine(options))
        if failure:
            message = self._library.LLVMGetErrorMessage(failure)
            words = ctypes.string_at(message).decode("utf-8", "replace")
            self._library.LLVMDisposeErrorMessage(message)
            raise RuntimeError(words)

    def _make_machine(self, options: Options) -> tuple[Any, Any]:
        """Target machine and tuning for some options."""
        self._initialize()
        library, target, message = self._library, ctypes.c_void_p(), ctypes.c_char_p()
        triple = options.triple.encode()
        if library.LLVMGetTargetFromTriple(triple, ctypes.byref(target), ctypes.byref(message)):
            raise RuntimeError(_words(message))
        machine = library.LLVMCreateTargetMachine(
            target,
            triple,
            options.cpu.encode(),
            options.features.encode(),
            options.level,
            _RELOCATION[options.relocation],
            _CODE_MODEL[options.code_model],
        )
        tuning = library.LLVMCreatePassBuilderOptions()
        for option, chosen in zip(_TUNING, pass_tuning(options), strict=True):
            getattr(library, f"LLVMPassBuilderOptionsSet{option}")(tuning, chosen)
        return machine, tuning

    @cache  # noqa: B019 - engines live as long as the process
    def _initialize(self) -> None:
        """Sets up every target."""
        initialize(self._library)


def initialize(library: Any) -> None:
    """Sets up every target of a library, once more or for the first time.

    The header's loop over all of them is not in the library.
    """
    for name in _TARGETS:
        for part in _PARTS:
            if hasattr(library, f"LLVMInitialize{name}{part}"):
                getattr(library, f"LLVMInitialize{name}{part}")()


class _Context:
    """A fresh LLVM context (another module's leavings would change a unit's bitcode) and what is in it."""

    def __init__(self, library: Any) -> None:
        self._library = library
        self._handle = library.LLVMContextCreate()
        self._modules: list[Any] = []
        self._buffers: list[Any] = []

    def __enter__(self) -> _Context:
        return self

    def __exit__(self, *_: object) -> None:
        for module in self._modules:
            self._library.LLVMDisposeModule(module)
        for buffer in self._buffers:
            self._library.LLVMDisposeMemoryBuffer(buffer)
        self._library.LLVMContextDispose(self._handle)

    def discard_names(self) -> None:
        """Has values and blocks that passes make go without names: LLVM gives them numbers when it prints."""
        self._library.LLVMContextSetDiscardValueNames(self._handle, 1)

    def listen(self, said: list[Diagnostic]) -> None:
        """Adds what LLVM says from now on to `said`, instead of its printing that."""

        def hear(diagnostic: Any, _: Any) -> None:
            severity = self._library.LLVMGetDiagInfoSeverity(diagnostic)
            if severity in (_ERROR, _WARNING):
                message = self._library.LLVMGetDiagInfoDescription(diagnostic)
                words = ctypes.string_at(message).decode("utf-8", "replace")
                self._library.LLVMDisposeMessage(message)
                said.append(Diagnostic("error" if severity == _ERROR else "warning", words))

        self._handler = _HANDLER(hear)  # to live as long as the context
        self._library.LLVMContextSetDiagnosticHandler(self._handle, self._handler, None)

    def parse(self, text: bytes) -> Any:
        module, message = ctypes.c_void_p(), ctypes.c_char_p()
        buffer = self._buffer(text)
        if self._library.LLVMParseIRInContext2(
            self._handle, buffer, ctypes.byref(module), ctypes.byref(message)
        ):
            raise RuntimeError(_words(message))
        self._modules.append(module)
        return module

    def read(self, bitcode: bytes) -> Any:
        """Parses and verifies bitcode."""
        module, message = ctypes.c_void_p(), ctypes.c_char_p()
        if self._library.LLVMParseBitcodeInContext2(
            self._handle, self._buffer(bitcode), ctypes.byref(module)
        ):
            raise RuntimeError("invalid bitcode")
        self._modules.append(module)
        if self._library.LLVMVerifyModule(module, _RETURN_STATUS, ctypes.byref(message)):
            raise RuntimeError(_words(message))
        return module

    def bitcode(self, module: Any) -> bytes:
        return self.take(ctypes.c_void_p(self._library.LLVMWriteBitcodeToMemoryBuffer(module)))

    def take(self, buffer: Any) -> bytes:
        self._buffers.append(buffer)
        start = self._library.LLVMGetBufferStart(buffer)
        return ctypes.string_at(start, self._library.LLVMGetBufferSize(buffer))

    def _buffer(self, data: bytes) -> Any:
        # The memory is Python's, which ends it with a zero as the parser of text wants it.
        buffer = self._library.LLVMCreateMemoryBufferWithMemoryRange(data, len(data), b"", 1)
        self._buffers.append(buffer)
        return buffer


def _function(library: Any, name: str) -> Any:
    try:
        return getattr(library, name)
    except AttributeError as error:
        raise OSError(str(error)) from None


def _words(message: ctypes.c_char_p) -> str:
    return (message.value or b"no reason given").decode("utf-8", "replace")


def find_library(
    choice: str,
    version: tuple[int, int],
    clang: str | None,
    store: EntryStore | None = None,
    search_path: str = "",
) -> SharedLibrary | None:
    """The libLLVM to use, or None for llvmlite's own.

    `choice`: auto, llvmlite or a path. `version`: major and minor of llvmlite's LLVM; auto takes no
    other. `clang` is looked beside. A library that `store` knows is loaded when it is first used;
    `search_path` is the user's for libraries. Raises OSError for a path that is no such library.
    """
    if choice == "llvmlite":
        return None
    name = f"libLLVM.so.{version[0]}.{version[1]}"
    if choice != "auto":
        found = _open(choice, store, search_path)
        if found.version[0] != version[0]:
            raise OSError(f"is LLVM {found.version[0]}, but {version[0]} is needed")
        return found
    beside = [Path(os.path.realpath(clang)).parent.parent / "lib" / name] if clang else []
    for candidate in (*(str(path) for path in beside if path.is_file()), name):
        try:
            return _open(candidate, store, search_path)
        except OSError:
            continue
    return None


def _open(name: str, store: EntryStore | None, search_path: str) -> SharedLibrary:
    if name in _opened:
        return _opened[name]
    if store and (known := find_known(store, name, search_path)):
        return SharedLibrary(name, known)
    before = stamp(name)
    found = _opened[name] = SharedLibrary(name)
    if store and stamp(found.path) and before in ("", stamp(found.path)):
        keep_library(store, name, search_path, Library(found.path, stamp(found.path), found.identity))
    return found


#: By name: a process stays with what it has loaded.
_opened: Final[dict[str, SharedLibrary]] = {}


class _SymbolInfo(ctypes.Structure):
    """Dl_info of dlfcn.h."""

    _fields_ = (("path", _TEXT), ("base", _POINTER), ("name", _TEXT), ("address", _POINTER))


def _loaded_path(function: Any) -> str:
    """The file that a loaded function is from."""
    info = _SymbolInfo()
    ctypes.CDLL(None).dladdr(ctypes.cast(function, _POINTER), ctypes.byref(info))
    return os.fsdecode(info.path or b"")


def build_id(path: Path) -> str:
    """The GNU build ID of an ELF file in hexadecimal: it tells apart builds of one version.

    The file's size and time stand in for it where there is none.
    """
    with open_plain(path) as file:
        head = file.read(64)
        if head[:6] == b"\x7fELF\x02\x01":
            (offset,), (size, count) = struct.unpack_from("<Q", head, 32), struct.unpack_from("<HH", head, 54)
            file.seek(offset)
            table = file.read(size * count)
            for at in range(0, size * count, size):
                kind, _, start, _, _, length = struct.unpack_from("<IIQQQQ", table, at)
                if kind == 4:  # PT_NOTE
                    file.seek(start)
                    note = file.read(length)
                    at_name = note.find(b"\x03\0\0\0GNU\0")
                    if at_name >= 4:
                        (bytes_long,) = struct.unpack_from("<I", note, at_name - 4)
                        return note[at_name + 8 : at_name + 8 + bytes_long].hex()
    status = path.stat()
    return f"{status.st_size}-{status.st_mtime_ns}"
