"""What LLVM told earlier builds, so that a build which finds everything in the cache loads none.

Three facts are kept: which LLVM a library is, told by its file's place, size and time; a target's data
layout; what llvmlite's LLVM calls this machine.
"""

from __future__ import annotations

import json
import os
from importlib.machinery import PathFinder
from typing import Final

from nativecache.aot.key import (
    Compiler,
    Options,
    check_sealed,
    compiler_fields,
    option_fields,
    own_record,
    sealed,
)
from nativecache.cache.entry import Entry
from nativecache.cache.lookup import EntryStore
from nativecache.cache.recipe import Recipe
from nativecache.cache.shape import Malformed, read_json, record, text
from nativecache.linker import lazy_re as re
from nativecache.linker.values import dataclass

#: What the system's loader looks names up in.
_LOADER_CACHE: Final = "/etc/ld.so.cache"


@dataclass(frozen=True, slots=True)
class Library:
    """A library of LLVM: where it was found, its file's stamp then, and what of it goes into keys."""

    path: str
    stamp: str
    identity: Compiler


def stamp(path: str) -> str:
    """What changes with a file: place, size and time; empty if it cannot be told."""
    try:
        status = os.stat(path)
    except OSError:
        return ""
    return f"{status.st_dev} {status.st_ino} {status.st_size} {status.st_mtime_ns}"


def library_recipe(name: str, search_path: str) -> Recipe:
    """What a library is kept under: the name that it is asked for by, and where the user has it sought."""
    where = os.path.abspath(name) if "/" in name else f"{search_path}\n{stamp(_LOADER_CACHE)}"
    return Recipe(*own_record("llvm"), ("name", name), ("where", where))


def find_known(store: EntryStore, name: str, search_path: str) -> Library | None:
    """The library that a name stood for, if its file is still the same."""
    known = store.read(library_recipe(name, search_path).key(), read_library)
    return known if known and known.stamp == stamp(known.path) else None


def keep_library(store: EntryStore, name: str, search_path: str, found: Library) -> None:
    """Keeps what a name stands for. Not of a path that means another file in another folder."""
    if found.stamp and os.path.isabs(found.path):
        identity = found.identity
        values = {
            "path": found.path,
            "stamp": found.stamp,
            "llvm": identity.llvm,
            "llvmlite": identity.llvmlite,
            "library": identity.library,
        }
        key, payload = library_recipe(name, search_path).key(), json.dumps(values).encode()
        store.save(sealed("llvm", key, payload))


_LIBRARY: Final = record(dict.fromkeys(("path", "stamp", "llvm", "llvmlite", "library"), text()))
_STAMP: Final = re.compile(r"\d+ \d+ \d+ -?\d+", re.ASCII)
_VERSION: Final = re.compile(r"\d+\.\d+\.\d+", re.ASCII)
_TRIPLE: Final = re.compile(rb"\w[\w.]*(?:-[\w.]+)*", re.ASCII)
_LAYOUT: Final = re.compile(rb"[eE](?:-\w[\w:]*)*")


def read_library(entry: Entry) -> Library:
    """A library as it was kept. Raises Malformed."""
    check_sealed(entry)
    known = read_json(entry.payload, _LIBRARY)
    if not os.path.isabs(known["path"]):
        raise Malformed("no absolute path")
    if not _STAMP.fullmatch(known["stamp"]) or not _VERSION.fullmatch(known["llvm"]):
        raise Malformed("no stamp, or no version")
    identity = Compiler(known["llvm"], known["llvmlite"], known["library"])
    return Library(known["path"], known["stamp"], identity)


def host_recipe() -> Recipe:
    """What this machine's triple is kept under: the machine, and llvmlite's file."""
    llvmlite = PathFinder.find_spec("llvmlite")
    machine = os.uname()
    return Recipe(
        *own_record("host"),
        ("machine", f"{machine.sysname} {machine.machine}"),
        ("llvmlite", stamp(str(llvmlite.origin)) if llvmlite else ""),
    )


def read_host(entry: Entry) -> str:
    """A machine's triple as it was kept. Raises Malformed."""
    check_sealed(entry)
    if not _TRIPLE.fullmatch(entry.payload):
        raise Malformed("no triple")
    return entry.payload.decode("ascii")


def keep_host(store: EntryStore, triple: str) -> None:
    """Keeps what LLVM calls this machine."""
    key, payload = host_recipe().key(), triple.encode()
    if _TRIPLE.fullmatch(payload):
        store.save(sealed("host", key, payload))


def layout_recipe(compiler: Compiler, options: Options) -> Recipe:
    """What a target's data layout is kept under: its names, whatever else is asked of code generation."""
    named = Options(options.triple, options.cpu, options.features, 0, False, "default", "default")
    return Recipe(*own_record("layout"), *compiler_fields(compiler), *option_fields(named))


def read_layout(entry: Entry) -> str:
    """A data layout as it was kept. Raises Malformed."""
    check_sealed(entry)
    if not _LAYOUT.fullmatch(entry.payload):
        raise Malformed("no data layout")
    return entry.payload.decode("ascii")


def keep_layout(store: EntryStore, compiler: Compiler, options: Options, layout: str) -> None:
    """Keeps the data layout of a target that LLVM has found nothing wrong with."""
    if _LAYOUT.fullmatch(layout.encode()):
        key, payload = layout_recipe(compiler, options).key(), layout.encode()
        store.save(sealed("layout", key, payload))
