"""Writes and reads archives of objects in the GNU variant of the `ar` format."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from struct import pack
from typing import BinaryIO, Final

from nativecache.linker.elf import linkage
from nativecache.linker.errors import BadObject
from nativecache.linker.files import PlainFile, read_plain

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
    """Write an archive without a symbol index, of which only one member at a time need be in memory.

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
    return _members(lambda at, size: data[at : at + size], len(data), directory, read_plain)


def read_members(file: PlainFile, directory: str | os.PathLike[str] | None) -> Iterator[tuple[str, bytes]]:
    """The members of an archive file in order, one in memory at a time, as `read_archive` has them.

    A file that a thin archive names again is left out.
    """
    seen: set[tuple[int, int]] = set()

    def read_once(path: str) -> bytes | None:
        with PlainFile(path) as member:
            if member.identity in seen:
                return None
            seen.add(member.identity)
            return member.read(0, member.size)

    return _members(file.read, file.size, directory, read_once)


def _members(
    read: Callable[[int, int], bytes],
    length: int,
    directory: str | os.PathLike[str] | None,
    read_file: Callable[[str], bytes | None],
) -> Iterator[tuple[str, bytes]]:
    if directory is None and read(0, 8) == THIN_MAGIC:
        raise BadObject("thin archive: its members are in other files")
    for name, span in find_members(read, length):
        if span:
            content: bytes | None = read(span[0], span[1] - span[0])
        else:
            content = read_file(os.path.join(directory or "", name))
        if content is not None:
            yield name, content


def find_members(
    read: Callable[[int, int], bytes], length: int
) -> Iterator[tuple[str, tuple[int, int] | None]]:
    """The name of each member of an archive, and where it begins and ends, or None if it is another file.

    `read(at, size)` gives bytes of the archive, which is `length` long. Raises BadObject.
    """
    magic = read(0, 8)
    thin = magic == THIN_MAGIC
    if not thin and magic != MAGIC:
        raise BadObject("not an archive")
    long_names = b""
    at = 8
    while at < length:
        header = read(at, 60)
        if len(header) < 60 or header[58:] != b"`\n" or not header[48:58].strip().isdigit():
            raise BadObject(f"damaged archive member header at byte {at}")
        field, size = header[:16].rstrip(), int(header[48:58])
        at += 60
        special = field in (b"/", b"//", b"/SYM64/")
        stored = special or not thin
        if stored and at + size > length:
            raise BadObject(f"archive member {field.decode(errors='replace')} is truncated")
        if field == b"//":
            if size > _NAMES_LIMIT:
                raise BadObject(f"an archive name table of {size} bytes")
            long_names = read(at, size)
        elif not special:
            yield _member_name(field, long_names), (at, at + size) if stored else None
        if stored:
            at += size + size % 2


#: Bytes of a name table: a quarter of a million names of 256 characters.
_NAMES_LIMIT: Final = 64 << 20
#: The longest path that Linux takes is 4,096 bytes.
_NAME_LIMIT: Final = 1 << 16


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
        end = -1
        if start.isdigit():
            end = long_names.find(b"/\n", int(start), int(start) + _NAME_LIMIT)
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
