"""Finds out which symbols the system's libraries mention, for a program may define one they look for."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass

from .driver import find_driver
from .errors import BadObject, LinkError
from .native import scan_native

#: What every C or C++ link brings in without being asked.
_DEFAULT = ("c", "m", "stdc++", "gcc_s", "pthread", "c++", "c++abi")


@dataclass(frozen=True, slots=True)
class Libraries:
    """Files of libraries, all symbols that they define or need, and where they were looked for."""

    files: tuple[str, ...] = ()
    symbols: frozenset[str] = frozenset()
    folders: tuple[str, ...] = ()


def scan_libraries(options: tuple[str, ...], driver: str | None, environ: Mapping[str, str]) -> Libraries:
    """The default libraries and those named by `-l` in `options`.

    A program that defines `malloc` replaces libc's even if it never calls it. Libraries that cannot be
    found or read are passed over: the linker reports those.
    """
    names = dict.fromkeys((*_DEFAULT, *(option[2:] for option in options if re.match("-l.", option))))
    folders = [option[2:] for option in options if re.match("-L.", option)] + _search_folders(driver, environ)
    files = tuple(path for path in (_find(name, folders) for name in names) if path)
    found: set[str] = set()
    for path in files:
        try:
            symbols = scan_native(path)
        except (BadObject, OSError):
            continue
        found |= symbols.defined | symbols.undefined
    return Libraries(files, frozenset(found), tuple(folders))


def _search_folders(driver: str | None, environ: Mapping[str, str]) -> list[str]:
    import subprocess

    try:
        command = find_driver(driver, cplusplus=False, environ=environ).command
        text = subprocess.run(
            [*command, "-print-search-dirs"], capture_output=True, text=True, check=False
        ).stdout
    except (LinkError, OSError):
        return []
    match = re.search(r"^libraries: =(.*)$", text, re.MULTILINE)
    return match[1].split(":") if match else []


def _find(name: str, folders: list[str]) -> str | None:
    for folder in folders:
        # A plain `.so` may be a linker script; the numbered file beside it is the library.
        for pattern in (f"lib{name}.so.[0-9]*", f"lib{name}.so", f"lib{name}.a"):
            for path in sorted(glob.glob(os.path.join(glob.escape(folder), pattern))):
                return path
    return None
