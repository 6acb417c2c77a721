"""Tells which symbols a native input (`.o`, `.a`, `.so`) defines and which it needs."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence

from nativecache.linker import lazy_re as re
from nativecache.linker.archive import MAGIC, THIN_MAGIC, read_members
from nativecache.linker.elf import Linkage, all_linkage
from nativecache.linker.errors import BadObject
from nativecache.linker.files import PlainFile
from nativecache.linker.scripts import find_file, read_script
from nativecache.linker.values import dataclass


@dataclass(frozen=True)
class NativeSymbols:
    """The names of symbols that a native input defines, and those that it needs.

    `undefined` are the names that some object of the input uses without defining them itself.
    A name can be in both sets: one member of an archive may define what another one needs, and still the
    program's own definition would be taken if it is linked first.
    """

    defined: frozenset[str]
    undefined: frozenset[str]
    common: bool = False  # whether some symbol is common
    #: Whether constructors are listed as clang does not: with a padded priority, as gcc does, or in `.ctors`;
    #: or an object has other sections that linkers treat unlike, or functions that are chosen at run time.
    padded: bool = False


#: Beginnings of what a linker reads as objects.
_OBJECTS = (b"\x7fELF", MAGIC, THIN_MAGIC)
#: Sections of constructors that GNU ld sorts by their whole names, and lld and mold by the number alone.
_PADDED = re.compile(rb"\.(?:init|fini)_array\.0\d{4}\0|\.[cd]tors(?:\.\d+)?\0")
#: Sections of objects that only GNU ld fills up with code that does nothing, or takes for the loader's name.
_PIECES = re.compile(rb"\0\.(?:init|fini|interp)\0")
#: What only a linker script has: a command, or an assignment to a symbol.
_SCRIPT = re.compile(
    rb"(?:^|[\s;}])(?:(?:INPUT|GROUP|ENTRY|EXTERN|PROVIDE|PROVIDE_HIDDEN|OUTPUT_FORMAT|OUTPUT_ARCH|OUTPUT|ASSERT"
    rb"|SEARCH_DIR|TARGET|STARTUP|INCLUDE|INSERT|NOCROSSREFS|HIDDEN)\s*[(\s]|(?:SECTIONS|MEMORY|PHDRS|VERSION)\s*\{"
    rb"|[\w.$]+\s*=[^=])"
)
_COMMENT = re.compile(rb"/\*.*?\*/", re.DOTALL)


def is_script(path: str | os.PathLike[str]) -> bool:
    """Whether a file is a text that a linker takes for a script. Raises OSError."""
    with PlainFile(path) as file:
        start = file.read(0, 1 << 16)
    return b"\0" not in start and _SCRIPT.search(_COMMENT.sub(b" ", start)) is not None


def linker_files(options: Iterable[str]) -> list[str]:
    """The objects, archives, libraries and scripts among words for the linker, behind `-Wl,` as well."""
    found: dict[str, None] = {}
    for option in options:
        for word in option.split(",")[1:] if option.startswith("-Wl,") else (option,):
            # `--just-symbols=FILE` names one, too.
            path = word.rpartition("=")[2] if word[:1] == "-" else word
            if path and os.path.isfile(path) and (_starts(path) or is_script(path)):
                found[path] = None
    return list(found)


def _starts(path: str) -> bool:
    with PlainFile(path) as file:
        return file.read(0, 8).startswith(_OBJECTS)


def _script_files(path: str | os.PathLike[str], folders: Sequence[str]) -> Iterator[str]:
    """The files that a script and what it includes have the linker read, those that are found."""
    places = (os.path.dirname(path), *folders)
    script = read_script(os.fspath(path), places)
    yield from script.inputs
    for name in script.libraries:
        found = [find_file(f"lib{name}{ending}", places) for ending in (".so", ".a")]
        yield from filter(None, found[: 1 + (found[0] is None)])


def splits_stacks(path: str | os.PathLike[str]) -> bool:
    """Whether an object says that its functions split stacks, which lld links to no other object (`-r`)."""
    try:
        with PlainFile(path) as file:
            return file.read(0, 4) == b"\x7fELF" and b"\0.note.GNU-split-stack\0" in file.read(0, file.size)
    except OSError:
        return False


def _is_padded(content: bytes) -> bool:
    relocatable = content[:4] == b"\x7fELF" and content[16:18] == b"\1\0"
    return bool(_PADDED.search(content) or (relocatable and _PIECES.search(content)))


def scan_native(
    path: str | os.PathLike[str], folders: Sequence[str] = (), within: tuple[str, ...] = ()
) -> NativeSymbols:
    """The symbols of an object, of all members of an archive (thin ones too), or of a shared library.

    Of a linker script they are those of the files that it names, which are looked for beside it and in
    `folders`; `within` are the scripts that named this one. Members that are not ELF files are passed over,
    as linkers do, but LLVM bitcode is refused: its symbols would be missing. One member at a time is in
    memory, and what a thin archive or a script names more than once is read once. Raises BadObject naming
    the file, and OSError, also for what is no plain file.
    """
    defined: set[str] = set()
    undefined: set[str] = set()
    common = padded = False
    where = os.fspath(path)
    try:
        with PlainFile(path) as file:
            start = file.read(0, 8)
            if not start.startswith((*_OBJECTS, b"BC\xc0\xde")) and is_script(path):
                for name in dict.fromkeys(_script_files(path, folders)):
                    if os.path.realpath(name) not in within:
                        named = scan_native(name, folders, (*within, os.path.realpath(path)))
                        defined |= named.defined
                        undefined |= named.undefined
                        common |= named.common
                        padded |= named.padded
            elif start in (MAGIC, THIN_MAGIC):
                for name, content in read_members(file, os.path.dirname(path)):
                    where = f"{os.fspath(path)}({name})"
                    if content[:4] in (b"\x7fELF", b"BC\xc0\xde"):
                        found = _add(content, defined, undefined)
                        common |= found.common
                        padded |= found.chosen or _is_padded(content)
            else:
                content = file.read(0, file.size)
                found = _add(content, defined, undefined)
                common = found.common
                padded = found.chosen or _is_padded(content)
    except BadObject as error:
        raise BadObject(f"{where}: {error}") from None
    return NativeSymbols(frozenset(defined), frozenset(undefined), common, padded)


def _add(obj: bytes, defined: set[str], undefined: set[str]) -> Linkage:
    found = all_linkage(obj)
    defined.update(found.defined)
    undefined.update(found.undefined)
    return found
