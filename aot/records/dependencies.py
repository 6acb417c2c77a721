"""All that a build read, as dependencies: as long as they hold, building again would write the same image."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Final

from nativecache.aot.codegen.llvm import library_path
from nativecache.aot.front import clang
from nativecache.aot.front.clang_cache import FrontCache
from nativecache.aot.front.header_names import named_files
from nativecache.aot.front.sources import is_source
from nativecache.aot.output.image import Written
from nativecache.cache.dependencies import Dependency, StatCache, observe
from nativecache.cache.files import open_plain
from nativecache.cache.since import Since, unchanged_since
from nativecache.linker import lazy_re as re
from nativecache.linker.archive import THIN_MAGIC
from nativecache.linker.libraries import Libraries, asked_libraries
from nativecache.linker.link import SEARCHED
from nativecache.linker.scripts import find_file
from nativecache.linker.tools import find_program
from nativecache.linker.values import dataclass

#: Options with which other programs link than those we know, files are read that no linker names, or
#: other files than the image are written.
_ELSEWHERE: Final = re.compile(
    r"-fuse-ld|--ld-path|--?specs|-wrapper|.*(?:@|-plugin|-Map|dependency-file|--out-)|-save-temps|--?coverage"
)
#: Options and variables that say where drivers look first for programs, start-up files and libraries.
_PREFIX: Final = re.compile(r"(?:-B|--prefix(?:=|$))(.*)", re.DOTALL)
_PREFIX_VARIABLES: Final = ("COMPILER_PATH", "GCC_EXEC_PREFIX")
#: What drivers run, load or read in such folders that no linker names.
_UNNAMED: Final = (
    *("as", "ld", "real-ld", "collect-ld", "collect2", "cc1", "gcc", "nm", "gnm", "strip", "gstrip", "specs"),
    *("ld.bfd", "ld.gold", "ld.lld", "ld.mold", "lto-wrapper", "lto1", "liblto_plugin.so"),
)
#: Where GNU ld and lld look for libraries besides the folders they are given.
_FOLDERS: Final = ("/usr/local/lib", "/usr/local/lib64", "/lib", "/lib64", "/usr/lib", "/usr/lib64")


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """What a finished build was made from. `chosen`: tools that the user named; `scratch` is gone later.

    `engine`: the path by which LLVM's library was found, if it was one.
    """

    inputs: tuple[Path, ...]
    engine: str
    chosen: tuple[str | None, ...]
    link_options: tuple[str, ...]
    #: Linker scripts and lists of symbols, those that others include, too.
    scripts: tuple[str, ...]
    libraries: Libraries
    written: Written
    scratch: Path
    environ: Mapping[str, str]


def gather(
    build: Finished, front: FrontCache, linked: tuple[Dependency, ...] | None
) -> tuple[Dependency, ...] | None:
    """All dependencies of a build, or None where something read cannot be named, or was changed meanwhile.

    `linked`: the dependencies of the link, None if they cannot be named.
    """
    inputs = [os.fspath(path) for path in build.inputs]
    others = [os.fspath(path) for path in build.inputs if not is_source(path)]
    if front.reads is None or front.compilers.doubts or linked is None or any(map(_is_thin, others)):
        return None
    # Measured after the build began, as all is; had anything changed since, nothing would be noted.
    memo = front.memo
    joined = _headers_found(front.reads, memo)
    dependencies = dict.fromkeys(
        (
            *(dependency for dependency in front.reads if dependency.kind not in ("found", "same")),
            *joined,
            *(observe("file", (path,), memo) for path in inputs),
            *(
                observe(kind, (path,), memo)
                for path in front.compilers.programs
                for kind in ("stat", "program")
            ),
        )
    )
    since = front.start.since()
    said = [Dependency("said", value, words) for words, value in front.compilers.said.items()]
    if front.start.clock_was_set() or not all(
        unchanged_since(dependency, since) for dependency in dependencies
    ):
        return None
    front.save_index(joined)
    return tuple(dict.fromkeys((*dependencies, *said, *linked)))


def gather_linked(build: Finished, since: Since) -> tuple[Dependency, ...] | None:
    """The dependencies of a build's link and tools, or None as `gather` has it; `since` the build began."""
    reads = build.written.reads
    asked = _asked_prefixes(build.link_options)
    if reads is None or any(map(_ELSEWHERE.match, build.link_options)) or not all(map(os.path.isdir, asked)):
        return None
    inputs = {os.fspath(path) for path in build.inputs}
    known = dict.fromkeys((*named_files(build.link_options), *build.scripts))
    named = [path for path in known if path not in inputs]
    # GNU ld names scripts as they were asked for, not where it found them.
    folders = asked_libraries(build.link_options).folders
    reads = tuple(dict.fromkeys(find_file(path, folders) or path for path in reads))
    linked = [path for path in reads if path not in inputs.union(named) and not _is_in(path, build.scratch)]
    if any(map(_is_thin, (*named, *linked))):
        return None
    memo: StatCache = {}
    programs = [*build.written.programs, *_words_found(build)]
    programs += [build.engine] if build.engine else []
    big = dict.fromkeys((*linked, *build.libraries.files, *programs, *_loaded_llvm()))
    dependencies = (
        *(observe("file", (path,), memo) for path in named),
        *(observe("stat", (path,), memo) for path in big),
        *(observe("program", (path,), memo) for path in programs),
        observe("programs", (*path_folders(build.environ), "", *_tools(build.chosen)), memo),
        observe("found", _found_first(build, (*linked, *build.scripts)), memo),
        *_below_prefixes((*asked, *_set_prefixes(build.environ)), memo),
    )
    return dependencies if all(unchanged_since(dependency, since) for dependency in dependencies) else None


def _asked_prefixes(options: Sequence[str]) -> list[str]:
    """The folders, or beginnings of names, that options give; "" where one lacks its value."""
    found = []
    for word, behind in pairwise((*options, "")):
        if match := _PREFIX.fullmatch(word):
            found.append(match[1] or behind)
    return found


def _set_prefixes(environ: Mapping[str, str]) -> list[str]:
    """Likewise of the environment; of a beginning of names, the folder that it is in."""
    found = [path for name in _PREFIX_VARIABLES for path in environ.get(name, "").split(os.pathsep) if path]
    return [path if os.path.isdir(path) else os.path.dirname(path.rstrip("/")) or "." for path in found]


def _below_prefixes(prefixes: Iterable[str], memo: StatCache) -> Iterator[Dependency]:
    """Which names are where drivers look below folders: there, for a machine, for its compilers' versions.

    Linkers name what they took; of what drivers take nobody tells.
    """
    folders: dict[str, None] = {}
    for prefix in prefixes:
        machines = [path for path in _folders_in(prefix) if "-linux" in os.path.basename(path)]
        folders.update(dict.fromkeys((prefix, *machines)))
        folders.update((path, None) for machine in machines for path in _folders_in(machine))
    for folder in folders:
        yield observe("names", (folder,), memo)
        for name in _UNNAMED:
            if os.path.exists(path := os.path.join(folder, name)):
                yield observe("stat", (path,), memo)


def _folders_in(folder: str) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entry.path for entry in entries if entry.is_dir())
    except OSError:
        return []


def _headers_found(reads: Iterable[Dependency], memo: StatCache) -> list[Dependency]:
    """The `found` dependencies of all source files in one: they look for much the same in the same folders.

    Likewise their `same` dependencies: one comparison of all files.
    """
    folders: dict[str, None] = {}
    names: dict[str, None] = {}
    paths: dict[str, None] = {}
    for kind, _, subjects in reads:
        if kind == "same":
            paths.update(dict.fromkeys(subjects))
        elif kind == "found":
            cut = subjects.index("")
            folders.update(dict.fromkeys(subjects[:cut]))
            names.update(dict.fromkeys(subjects[cut + 1 :]))
    found = [observe("found", (*folders, "", *names), memo)] if names else []
    return [*found, observe("same", tuple(paths), memo)] if paths else found


def _is_in(path: str, folder: Path) -> bool:
    return os.path.abspath(path).startswith(f"{folder}/")


def _is_thin(path: str) -> bool:
    """Whether a file is an archive whose members are files of their own, which no linker names."""
    try:
        with open_plain(path) as file:
            return file.read(len(THIN_MAGIC)) == THIN_MAGIC
    except OSError:
        return True


def path_folders(environ: Mapping[str, str]) -> Iterable[str]:
    """The folders where programs are looked for, each once."""
    return dict.fromkeys(folder or "." for folder in environ.get("PATH", os.defpath).split(os.pathsep))


def _tools(chosen: Sequence[str | None]) -> Iterable[str]:
    """What is looked for on PATH. A tool may be given with arguments."""
    words = [word for tool in chosen if tool for word in tool.split() if "/" not in word]
    return dict.fromkeys(name for name in (*SEARCHED, *clang.SEARCHED, *words) if name[0] != "/")


def _words_found(build: Finished) -> list[str]:
    """The programs that a tool given with arguments may run, as in `ccache gcc`."""
    words = [word for tool in build.chosen if tool for word in tool.split()]
    return [path for word in words if (path := find_program(word, build.environ))]


def _found_first(build: Finished, files: Sequence[str]) -> tuple[str, ...]:
    """Where linkers look for libraries, scripts and what these bring in, and what they would take first.

    A script may name a file by a path from any of the folders: here, where an option says, beside itself.
    """
    asked = asked_libraries(build.link_options)
    environ = build.environ.get("LIBRARY_PATH", "").split(os.pathsep)
    beside = [os.path.dirname(path) or "." for path in (*files, *build.libraries.scripts)]
    searched = (*asked.folders, *environ, *build.libraries.folders, *beside, *_FOLDERS, ".")
    folders = dict.fromkeys(folder for folder in searched if folder)
    starts = {os.path.normpath(folder) for folder in folders}
    exact = [name[1:] for name in asked.names if name[0] == ":"]
    ends = [f"lib{name}{end}" for name in asked.names for end in (".so", ".a")]
    names = [name for path in files for name in _names_from(os.path.normpath(path), starts)]
    return (*folders, "", *dict.fromkeys((*names, *exact, *ends)))


def _names_from(path: str, folders: set[str]) -> Iterable[str]:
    """A file's own name, and its paths from any of the folders."""
    cut = path.rfind("/")
    yield path[cut + 1 :]
    if cut > 0 and path[0] != "/":
        yield path
    while (cut := path.rfind("/", 0, max(cut, 0))) > 0:
        if path[:cut] in folders:
            yield path[cut + 1 :]


def _loaded_llvm() -> list[str]:
    """The files of the LLVM in this process, read off the system's list of them; llvmlite's in any case.

    A build that has loaded none rests on what was known of it.
    """
    known = [path for path in [library_path()] if os.path.isfile(path)]
    try:
        with open("/proc/self/maps", encoding=sys.getfilesystemencoding(), errors="surrogateescape") as file:
            lines = [line for line in file if "libLLVM" in line or "libllvmlite" in line]
    except OSError:
        return known
    loaded = [line[line.index("/") :].rstrip("\n") for line in lines if "/" in line]
    return list(dict.fromkeys((*known, *loaded)))
