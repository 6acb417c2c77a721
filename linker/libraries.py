"""Finds out which symbols the system's libraries mention, for a program may define one they look for."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from contextlib import suppress

from nativecache.linker import lazy_re as re
from nativecache.linker.driver import find_driver
from nativecache.linker.errors import BadObject, LinkError
from nativecache.linker.native import scan_native
from nativecache.linker.scripts import is_object, read_script
from nativecache.linker.symbol_options import linker_words, read_symbol_options
from nativecache.linker.tools import Killed, ask
from nativecache.linker.values import dataclass

#: What every C or C++ link brings in without being asked.
_DEFAULT = ("c", "m", "stdc++", "gcc_s", "pthread", "c++", "c++abi")


@dataclass(frozen=True, slots=True)
class Libraries:
    """Files of libraries, all symbols that they define or need, and where they were looked for.

    `scripts`: those of the files that are linker scripts; what these bring in is among the files, too.
    """

    files: tuple[str, ...] = ()
    symbols: frozenset[str] = frozenset()
    folders: tuple[str, ...] = ()
    scripts: tuple[str, ...] = ()
    padded: bool = False  # as NativeSymbols has it


@dataclass(frozen=True, slots=True)
class Asked:
    """Libraries that link options ask for: names as behind `-l`, and folders to look in first."""

    names: tuple[str, ...]
    folders: tuple[str, ...]


def asked_libraries(options: Iterable[str]) -> Asked:
    """The libraries and folders of `-lNAME`, `-l NAME`, `--library=NAME` and `-L`, also behind `-Wl,`."""
    found: dict[str, list[str]] = {"l": [], "L": []}
    before = ""
    for word in linker_words(options):
        if before:
            found[before].append(word)
            before = ""
        elif match := _ASKED.fullmatch(word):
            kind = match[1] or ("L" if match[2] else "l")
            if match[3] is None:
                before = kind
            else:
                found[kind].append(match[3])
    return Asked(tuple(found["l"]), tuple(found["L"]))


_ASKED = re.compile(r"(?:-([lL])|--?library(-path)?(?==|$)=?)(.+)?")


def scan_libraries(
    options: tuple[str, ...], driver: str | None, environ: Mapping[str, str], *, relocatable: bool = False
) -> Libraries:
    """The default libraries and those that `options` ask for; these alone, and archives, if `relocatable`.

    A program that defines `malloc` replaces libc's even if it never calls it. Libraries that cannot be
    found or read are passed over: the linker reports those.
    """
    asked = asked_libraries(options)
    told = read_symbol_options(options)
    names = list(dict.fromkeys((*(() if relocatable else _DEFAULT), *asked.names, *told.libraries)))
    named = frozenset(asked.names + told.libraries)
    if not names:
        return Libraries()
    folders = [*asked.folders, *_search_folders(driver, environ)]
    files: dict[str, None] = {}
    scripts: dict[str, None] = {}
    found: set[str] = set()
    padded = False
    for name in names:  # it grows
        path = _find(name, folders, relocatable=relocatable)
        if path is None or path in files:
            continue
        files[path] = None
        added = [path]
        if _is_script(path):
            scripts[path] = None
            script = read_script(path, folders)
            names += script.libraries
            added = list(script.inputs)
            files.update(dict.fromkeys((*script.files, *script.inputs)))
        for file in added:
            with suppress(BadObject, OSError):
                symbols = scan_native(file)
                found |= symbols.defined | symbols.undefined
                # What compilers bring in by themselves runs before all else, in whatever order.
                padded |= symbols.padded and name in named
    return Libraries(tuple(files), frozenset(found), tuple(folders), tuple(scripts), padded)


def _is_script(path: str) -> bool:
    try:
        return not is_object(path)
    except OSError:
        return False


def _search_folders(driver: str | None, environ: Mapping[str, str]) -> list[str]:
    try:
        command = find_driver(driver, cplusplus=False, environ=environ).command
        text = ask((*command, "-print-search-dirs"), environ)
    except Killed:  # without what it would have said, it might be another image
        raise
    except LinkError:
        return []
    match = re.search(r"^libraries: =(.*)$", text, re.MULTILINE)
    return match[1].split(":") if match else []


def _find(name: str, folders: list[str], *, relocatable: bool) -> str | None:
    if name[:1] == ":":
        files = (os.path.join(folder, name[1:]) for folder in folders)
        return next(filter(os.path.isfile, files), None)
    import glob

    for folder in folders:
        # A plain `.so` may be a linker script; the numbered file beside it is the library.
        shared = () if relocatable else (f"lib{name}.so.[0-9]*", f"lib{name}.so")
        for pattern in (*shared, f"lib{name}.a"):
            for path in sorted(glob.glob(os.path.join(glob.escape(folder), pattern))):
                return path
    return None
