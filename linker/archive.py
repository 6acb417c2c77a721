"""Writes and reads archives of objects in the GNU variant of the `ar` format."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from mmap import mmap
from struct import pack
from typing import BinaryIO

from .elf import linkage
from .errors import BadObject

MAGIC = b"!<arch>\n"
THIN_MAGIC = b"!<thin>\n"

# Time, owner and mode are constants, as with `ar D`: the same members give the same bytes.
_HEADER = b"%-16b0           0     0     644     %-10d`\n"
_INDEX_HEADER = b"%-16b0           0     0     0       %-10d`\n"
_NAMES_HEADER = b"//                                              %-10d`\n"


def write_archive(members: Iterable[tuple[str, bytes]], *, symbol_index: bool) -> bytes:
    """An archive of (name, content) pairs in the order given; names may repeat.

    With `symbol_index` it starts with the table of defined symbols from which linkers pull members lazily;
    members that are not ELF objects have no symbols. Without it, link under `--whole-archive`. Raises
    BadObject for a damaged ELF member and ValueError for a name that the format cannot hold.
    """
    members = list(members)
    long_names = bytearray()
    stored = [_stored_name(name, long_names) for name, _ in members]
    body: list[bytes] = []
    offsets = []
    size = 0
    for name, (_, content) in zip(stored, members, strict=True):
        offsets.append(size)
        body += _member(name, content)
        size += 60 + len(content) + len(content) % 2
    front = _front(long_names)
    index = _symbol_index(members, offsets, len(front), size) if symbol_index else b""
    return b"".join([MAGIC, index, front, *body])


def stream_archive(names: Sequence[str], contents: Iterable[bytes], file: BinaryIO) -> None:
    """Writes an archive without an index, in which only one member at a time need be in memory.

    Raises ValueError for a name that the format cannot hold.
    """
    long_names = bytearray()
    stored = [_stored_name(name, long_names) for name in names]
    file.write(MAGIC + _front(long_names))
    for name, content in zip(stored, contents, strict=True):
        file.writelines(_member(name, content))


def _member(stored_name: bytes, content: bytes) -> tuple[bytes, ...]:
    header = _HEADER % (stored_name, len(content))
    return (header, content, b"\n") if len(content) % 2 else (header, content)


def _front(long_names: bytearray) -> bytes:
    return _NAMES_HEADER % len(_even(long_names)) + _even(long_names) if long_names else b""


def read_archive(data: bytes, directory: str | os.PathLike[str] | None = None) -> Iterator[tuple[str, bytes]]:
    """The members of an archive in order, without its symbol and name tables.

    A thin archive holds paths only: its members are read relative to `directory`, the folder of the
    archive; without one it is refused. Raises BadObject, and OSError when a thin member cannot be read.
    """
    if data[:8] == THIN_MAGIC and directory is None:
        raise BadObject("thin archive: its members are in other files")
    for name, span in find_members(data):
        yield name, data[slice(*span)] if span else _read_file(os.path.join(directory or "", name))


def find_members(data: bytes | mmap) -> Iterator[tuple[str, tuple[int, int] | None]]:
    """Name of each member, and where in the archive it begins and ends; None where it is a file of its own.

    Raises BadObject.
    """
    thin = data[:8] == THIN_MAGIC
    if not thin and data[:8] != MAGIC:
        raise BadObject("not an archive")
    long_names = b""
    at = 8
    while at < len(data):
        header = data[at : at + 60]
        if len(header) < 60 or header[58:] != b"`\n" or not header[48:58].strip().isdigit():
            raise BadObject(f"damaged archive member header at byte {at}")
        field, size = header[:16].rstrip(), int(header[48:58])
        at += 60
        special = field in (b"/", b"//", b"/SYM64/")
        stored = special or not thin
        if stored and at + size > len(data):
            raise BadObject(f"archive member {field.decode(errors='replace')} is truncated")
        if field == b"//":
            long_names = data[at : at + size]
        elif not special:
            yield _member_name(field, long_names), (at, at + size) if stored else None
        if stored:
            at += size + size % 2


def _stored_name(name: str, long_names: bytearray) -> bytes:
    encoded = os.fsencode(name)
    if not encoded or b"\n" in encoded or b"\0" in encoded:
        raise ValueError(f"not an archive member name: {name!r}")
    if len(encoded) <= 15 and b"/" not in encoded:
        return encoded + b"/"
    long_names += encoded + b"/\n"
    return b"/%d" % (len(long_names) - len(encoded) - 2)


def _member_name(field: bytes, long_names: bytes) -> str:
    if field[:1] == b"/":
        start = field[1:]
        end = long_names.find(b"/\n", int(start)) if start.isdigit() else -1
        if end < 0:
            raise BadObject(f"archive member name {field.decode(errors='replace')} is not in the name table")
        return os.fsdecode(long_names[int(start) : end])
    if field[:3] == b"#1/":
        raise BadObject("archive in the BSD variant of the format")
    return os.fsdecode(field.removesuffix(b"/"))


def _symbol_index(members: list[tuple[str, bytes]], offsets: list[int], front: int, size: int) -> bytes:
    """The `/` member: big-endian count, the offset of each symbol's member, then the symbol names."""
    names: list[str] = []
    positions: list[int] = []
    for (_, content), offset in zip(members, offsets, strict=True):
        if content[:4] == b"\x7fELF":
            try:
                defined = linkage(content)[0]
            except BadObject:
                continue  # as `ar` does: a member that is no object after all has no symbols
            names += defined
            positions += [offset] * len(defined)
    text = "".join([name + "\0" for name in names]).encode("utf-8", "surrogateescape")
    base = len(MAGIC) + 60 + front
    word = 4 if base + 5 + 4 * len(names) + len(text) + size < 1 << 32 else 8
    padding = b"\0" * (len(text) % 2)
    base += word * (1 + len(names)) + len(text) + len(padding)
    numbers = [len(names), *(base + position for position in positions)]
    table = pack(f">{len(numbers)}{'I' if word == 4 else 'Q'}", *numbers) + text + padding
    return _INDEX_HEADER % (b"/" if word == 4 else b"/SYM64/", len(table)) + table


def _even(content: bytearray) -> bytes:
    return bytes(content) + b"\n" * (len(content) % 2)


def _read_file(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()
