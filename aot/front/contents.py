"""Tells from a file's first bytes what kind of input it is, whatever its name. Light to import."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from nativecache.linker.archive import MAGIC, THIN_MAGIC, find_members
from nativecache.linker.errors import BadObject
from nativecache.linker.files import PlainFile

#: LLVM bitcode, and the wrapper that Apple's compilers put around it (llvm/Bitcode/BitcodeReader.h).
BITCODE: Final = (b"BC\xc0\xde", b"\xde\xc0\x17\x0b")
_ARCHIVE: Final = (MAGIC, THIN_MAGIC)
_NATIVE: Final = (b"\x7fELF", *_ARCHIVE)


def is_bitcode(path: Path) -> bool:
    """Whether a file is LLVM bitcode, as `-flto` and rustc call `.o`. Raises OSError."""
    return _head(path).startswith(BITCODE)


def is_elf_or_archive(path: Path) -> bool:
    """Whether a file begins as ELF files and archives do, for linkers under any name. Raises OSError."""
    return _head(path).startswith(_NATIVE)


def holds_bitcode(path: Path) -> bool:
    """Whether a file is an archive with a member that is bitcode; False also for one that cannot be read."""
    try:
        if not _head(path).startswith(_ARCHIVE):
            return False
        with PlainFile(path) as file:
            for name, span in find_members(file.read, file.size):
                head = file.read(span[0], 4) if span else _head(path.parent / name)
                if head.startswith(BITCODE):
                    return True
    except (BadObject, OSError):
        pass  # the linker says what is wrong with it
    return False


def _head(path: Path) -> bytes:
    if not path.is_file():
        return b""  # a FIFO or a device: to look into it would use it up
    with PlainFile(path) as file:
        return file.read(0, 8)
