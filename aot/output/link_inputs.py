"""What goes to the link besides our own objects, and what it says about symbols.

Native inputs and system libraries define and need symbols, link options give symbols another meaning, and
some flags of the compiler are the link driver's as well.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import Final

from nativecache.aot.codegen.target import is_foreign
from nativecache.aot.errors import BuildError
from nativecache.aot.front import clang
from nativecache.aot.front.load import Loaded
from nativecache.aot.front.sources import is_source
from nativecache.aot.ir.linkage import needs_unlike
from nativecache.aot.ir.module import Module
from nativecache.aot.ir.syntax import symbol_name
from nativecache.aot.key import Options
from nativecache.aot.request import Request
from nativecache.linker import lazy_re as re
from nativecache.linker.errors import BadObject
from nativecache.linker.files import why_unread
from nativecache.linker.libraries import Libraries, scan_libraries
from nativecache.linker.native import NativeSymbols, linker_files, scan_native
from nativecache.linker.shown import warning_line
from nativecache.linker.symbol_options import SymbolOptions, read_symbol_options


def name_sources(lines: Sequence[str], request: Request, loaded: Loaded) -> tuple[str, ...]:
    """What a linker said, with sources named in place of the objects that clang made of them whole."""
    for n, path in loaded.native.items():
        if path != request.inputs[n]:
            lines = [line.replace(str(path), str(request.inputs[n])) for line in lines]
    return tuple(lines)


#: What linkers say of a machine that has no C library, or none for the target.
_START_UP: Final = re.compile(
    r"cannot (?:open|find) (?:\S*/)?\w*crt\w+\.o\b|.*(?:library|cannot find) -l(?:gcc\w*|c)\b"
)


def explain_link(lines: Sequence[str], request: Request, options: Options) -> list[str]:
    """What a linker said, with remedies where it has none."""
    lines = _without_start_up(lines, options.triple)
    return [_with_object_pattern(line, request) for line in lines]


def _without_start_up(lines: Sequence[str], triple: str) -> list[str]:
    """One line in place of those about missing start-up files and libraries of compilers, with a remedy."""
    lost = [line for line in lines if _START_UP.match(line)]
    if not any("crt" in line for line in lost):
        return [*lines]
    said = (
        f"no start-up files and C library to link with for {triple}: name a compiler that has them "
        "with --cc, or their folder with --sysroot=FOLDER; --emit object needs none"
    )
    return [said, *(line for line in lines if line not in lost)]


def _with_object_pattern(line: str, request: Request) -> str:
    """What GNU ld says of a script that names a source's object, with what to write instead."""
    found = re.match(r"cannot find ([^\s/*?]+)\.o: No such file", line)
    sources = [path for path in request.inputs if is_source(path) and found and path.stem == found[1]]
    if not found or not sources:
        return line
    return (
        f"a script names {found[1]}.o, and no object of {sources[0]} has just that name: "
        f"write *{found[1]}.o, or name {found[1]}.o, made with -c, as an input"
    )


def link_driver(request: Request, options: Options, loaded: Loaded) -> str | None:
    """The link driver asked for; else clang, for another machine's image (it has all targets) and for
    what clang instrumented (it knows the libraries that go with it)."""
    instrumented = bool(loaded.whole) and clang.instruments(request.all_flags)
    told = any(map(_CLANGS_LINK.match, (*request.all_flags, *request.link_options)))
    if request.driver or not (is_foreign(options) or instrumented or told):
        return request.driver
    return " ".join(clang.find_clang(request.clang, request.environ).command)


#: What clang as a driver links other libraries for than gcc does, or gcc does not know.
_CLANGS_LINK: Final = re.compile(
    r"-fopenmp(?!-simd)|-fsanitize|-fno-(?:sanitize|openmp)-|--?stdlib=|--?rtlib=|--?unwindlib=|-nostdlib\+\+|-fxray"
    r"|-fprofile-|-mdaz-ftz$"
    r"|-fcs-profile|-fcoverage|--?coverage|-fmemory-profile|-static-openmp|-(?:static|shared)-lib[at]?san"
    r"|--gcc-(?:toolchain|install-dir|triple)|-resource-dir|-framework|--?static-pie|-nopie|-noprebind"
)


def mentioned_symbols(modules: Iterable[Module]) -> set[str]:
    """The symbols of all globals of some modules, whether they are defined there or not."""
    return {symbol_name(token) for module in modules for token in module.entities}


#: What says whether floating-point operations may be as fast as possible; the last of them counts.
_MATHS: Final = re.compile(r"-f(?P<no>no-)?(?:fast-math|unsafe-math-optimizations)$|-ffp-model=(?P<model>.*)")
_FAST_MODELS: Final = ("fast", "aggressive")
#: A flag by which any link driver links the start-up code that turns denormals off.
FAST_MATH: Final = "-ffast-math"
_LINKED_TOO: Final = (
    *("-fsanitize", "-fprofile", "-fcoverage", "--coverage", "-pthread", "-fopenmp", "-pg", "-m32"),
    *("-stdlib=", "-rtlib=", "--rtlib=", "-unwindlib=", "--unwindlib=", "--sysroot=", "-fmemory-profile"),
    "-fxray",
)


def link_flags(request: Request) -> tuple[str, ...]:
    """The flags that a link driver needs as well, and were given for the compiler alone."""
    given = frozenset(request.link_options)
    linked = (f for f in request.all_flags if f.startswith(_LINKED_TOO) and f not in given)
    return (*linked, *(flag for flag in _denormals(request) if flag not in given))


def _denormals(request: Request) -> tuple[str, ...]:
    """The flag for start-up code that turns denormals off, where clang links it.

    The rule is clang's (clang/lib/Driver/ToolChain.cpp, isFastMathRuntimeAvailable); gcc knows another one
    in each of its versions.
    """
    shared = request.emit == "shared" or "-shared" in request.link_options
    asked = [flag for flag in request.clang_flags if flag in ("-mdaz-ftz", "-mno-daz-ftz")]
    maths = [match for match in map(_MATHS.match, request.clang_flags) if match]
    if asked:
        wanted = asked[-1] == "-mdaz-ftz"
    else:
        last = maths[-1] if maths else None
        wanted = bool(last and not last["no"] and (last["model"] in (None, *_FAST_MODELS)) and not shared)
    if not wanted:
        return ()
    return ("-mdaz-ftz",) if shared else (FAST_MATH,)


def system_libraries(request: Request) -> Libraries:
    """The libraries that the link brings in, with their symbols; none where nothing is linked."""
    if not links_anything(request):
        return Libraries()
    relocatable = request.emit == "object"
    return scan_libraries(request.link_options, request.driver, request.environ, relocatable=relocatable)


def links_anything(request: Request) -> bool:
    """Whether the build links, so that link options mean anything: an image, or an object with `-r`."""
    return request.emit in ("exe", "shared") or (request.emit == "object" and "-r" in request.line)


def read_told(request: Request, loaded: Loaded, libraries: Libraries) -> SymbolOptions:
    """What link options, scripts and native inputs say about symbols; nothing where nothing is linked."""
    if links_anything(request):
        words = (*request.link_options, *_natives(loaded))
        return read_symbol_options(words, libraries.scripts, libraries.folders)
    return SymbolOptions()


#: How words begin that compilers take for compiling and for linking, so that none of them is unused.
_NOT_OF_LINKS_ALONE: Final = (
    "-pthread",
    "-static",
    "-shared",
    "-pie",
    "-no-pie",
    "-Wl,--compress-debug-sections",
)


def unused_options(request: Request) -> list[str]:
    """A warning that names the link options that do nothing, where nothing is linked; else none."""
    if links_anything(request):
        return []
    both, sources = frozenset(request.clang_flags), any(map(is_source, request.inputs))
    options = [
        word
        for word in request.link_options
        if not (word.startswith(_NOT_OF_LINKS_ALONE) or (sources and word in both))
    ]
    said = warning_line(f"--emit {request.emit} links nothing: not used: {' '.join(options)}")
    return [said] if options else []


def _natives(loaded: Loaded) -> list[str]:
    """The native inputs, but for those that the linker is told to be of another format."""
    return [os.fspath(path) for path in loaded.native.values() if clang.language(path) != "link"]


def native_symbols(
    request: Request, loaded: Loaded, libraries: Libraries, told: SymbolOptions
) -> NativeSymbols:
    """What native inputs, those that scripts name as well, and system libraries define and need.

    Raises BuildError for the first that cannot be read.
    """
    defined = set(libraries.symbols)
    undefined: set[str] = set()
    common, padded = False, libraries.padded
    given = (*_natives(loaded), *linker_files(request.link_options), *told.inputs)
    for path in dict.fromkeys(given):
        try:
            symbols = scan_native(path)
        except BadObject as error:
            raise BuildError(f"{path}: cannot be linked: {error}") from None
        except OSError as error:
            raise BuildError(f"{path}: cannot be linked: {why_unread(path, error)}") from None
        defined |= symbols.defined
        undefined |= symbols.undefined
        common = common or symbols.common
        padded = padded or symbols.padded or needs_unlike(symbols.undefined)
    return NativeSymbols(frozenset(defined), frozenset(undefined), common, padded)
