"""A pack: many entries in one file that never changes, folded together and found by key.

    pack   = blocks table footer
    blocks = each a byte that says how, and some entries (entry.py), one after the other, folded so: by zlib,
             or by LZMA2 as `filters` says
    table  = for each block, where it ends in the file   u64
             for each block, how long its entries are    u32
             for each first byte of a key, how many keys begin with it or a lesser one    256 u32
             keys, in order                              32 bytes each
             for each key: block, start in it unfolded, length: u32 each; milliseconds: f32, NaN for unsaid
    footer = number of blocks   u32
             number of keys     u32
             version            u32
             checksum           32 bytes, SHA-256 over the table and the footer before it
             magic              8 bytes
    Integers are little-endian, without padding.

Of 1,800 objects of sqlite3.c each takes a block of a disk, 8 MB in all; a pack of them takes 1.0 MB, for
objects have much in common, those of one size most. A footer and a table that were damaged make the file no
pack; damage to a block shows in its entries, each of which has its own checksum and its key.

    NAME.used = for each key, in order: the time of last use in seconds since the epoch, u32

Times change while packs do not, so they are in a file of their own, written in place. Losing it, or damage,
makes the time of the pack's file that of all its entries.

Nothing is mapped into memory: a file that others cut short would end the process.
"""

import hashlib
import math
import os
import struct
from _thread import allocate_lock
from array import array
from collections.abc import Iterator
from typing import NamedTuple

from nativecache.cache.files import open_descriptor, write_file

PACK_SUFFIX, USED_SUFFIX = ".pack", ".used"
VERSION = 1

#: Bytes of entries in a block, which a look-up unfolds: 1 ms.
BLOCK = 1 << 18
#: With this much to pack blocks are four times as long, and folded by LZMA2: pugixml's tests with `-g` take
#: 4.1 MB in place of 6.9. sqlite3.c would take 0.9 in place of 1.0, and unfolding it five times as long.
MUCH, LONGER = 1 << 24, 4
#: What is longer than this is well off in a file of its own.
LONGEST = 1 << 20

ZLIB, LZMA2 = b"\1", b"\2"
MAGIC = b"ncpack1\n"
_FOOTER = struct.Struct("<III32s8s")
FOOTER_HEAD = struct.Struct("<III")
PLACE = struct.Struct("<IIIf")
_KEY = 32
_FANOUT = 256 * 4
#: Raw, so that nothing in a damaged file decides how much memory unfolding takes.
_DICTIONARY = 1 << 20
#: Unfolded blocks that are held in memory; further ones are in a temporary file, for look-ups come in any
#: order, and unfolding a block for each of a hundred thousand entries would take minutes.
_HELD = 64 << 20


class BadPack(Exception):
    """A file is not a whole pack of this version; the message is one word."""


class Place(NamedTuple):
    """Where an entry is in a pack: its block, and start and length in what that unfolds to.

    `milliseconds`: what it took to make, None if it does not say.
    """

    block: int
    start: int
    length: int
    milliseconds: float | None


def _unfold(block: bytes, size: int) -> bytes:
    """The entries of a block, `size` bytes; none where it is damaged."""
    folded = memoryview(block)[1:]
    if block[:1] == ZLIB:
        import zlib

        try:
            entries = zlib.decompressobj().decompress(folded, size)
        except zlib.error:
            return b""
    else:
        import lzma

        try:
            entries = lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=filters()).decompress(folded, size)
        except (lzma.LZMAError, EOFError):
            return b""
    return entries if len(entries) == size else b""


def filters() -> list[dict[str, int]]:
    """How blocks are folded, for lzma."""
    import lzma

    return [{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": _DICTIONARY}]


class Pack:
    """An open pack, from which any number of threads may read."""

    def __init__(self, path: str) -> None:
        """Raises OSError where it cannot be read, and BadPack where it is none."""
        self.path = path
        self._descriptor = -1
        self._descriptor = open_descriptor(path)
        status = os.fstat(self._descriptor)
        self.size, self.written = status.st_size, status.st_mtime
        self._read_table()
        self._times = self._read_times()
        self._held: dict[int, bytes] = {}
        self._held_bytes = 0
        self._spill: _Spill | None = None
        self._turn = allocate_lock()

    def __del__(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)

    def __len__(self) -> int:
        """How many entries there are."""
        return self._count

    def _read_table(self) -> None:
        at = self.size - _FOOTER.size
        footer = os.pread(self._descriptor, _FOOTER.size, at) if at >= 0 else b""
        if len(footer) < _FOOTER.size:
            raise BadPack("short")
        blocks, count, version, checksum, magic = _FOOTER.unpack(footer)
        self._count = int(count)
        if magic != MAGIC:
            raise BadPack("magic")
        if version != VERSION:
            raise BadPack("version")
        length = blocks * 12 + _FANOUT + count * (_KEY + PLACE.size)
        if length > at:
            raise BadPack("length")
        table = os.pread(self._descriptor, length, at - length)
        if hashlib.sha256(table + footer[: FOOTER_HEAD.size]).digest() != checksum:
            raise BadPack("checksum")
        self._ends = struct.unpack_from(f"<{blocks}Q", table)
        self._sizes = struct.unpack_from(f"<{blocks}I", table, blocks * 8)
        self._fanout = struct.unpack_from("<256I", table, blocks * 12)
        keys = blocks * 12 + _FANOUT
        self._keys = table[keys : keys + count * _KEY]
        self._places = table[keys + count * _KEY :]
        in_blocks = little_endian(array("I", self._places))[:: PLACE.size // 4]
        if (
            (self._ends[-1] if blocks else 0) != at - length
            or self._fanout[-1] != count
            or max(in_blocks, default=0) >= max(blocks, 1)
            or max(self._sizes, default=0) > LONGER * BLOCK + LONGEST
        ):
            raise BadPack("length")

    # Looking up

    def find(self, key: str) -> int | None:
        """The number of a key in this pack, None if it has none."""
        wanted = bytes.fromhex(key)
        first = wanted[0]
        at = (self._fanout[first - 1] if first else 0) * _KEY
        end = self._fanout[first] * _KEY
        while (at := self._keys.find(wanted, at, end)) >= 0:
            if at % _KEY == 0:
                return at // _KEY
            at += 1
        return None

    def key(self, number: int) -> str:
        """The key of a number."""
        return self._keys[number * _KEY : (number + 1) * _KEY].hex()

    def place(self, number: int) -> Place:
        """Where the entry of a number is."""
        block, start, length, milliseconds = PLACE.unpack_from(self._places, number * PLACE.size)
        return Place(block, start, length, None if math.isnan(milliseconds) else milliseconds)

    def in_order(self) -> list[int]:
        """All numbers, those of one block together, in the order in which they are in the file."""
        return sorted(range(self._count), key=lambda number: self.place(number)[:2])

    def read(self, number: int) -> bytes:
        """The bytes of an entry, unchecked; none where its block is damaged. Raises OSError."""
        place = self.place(number)
        return self._unfolded(place.block)[place.start : place.start + place.length]

    def folded(self, block: int) -> bytes:
        """A block as it is in the file. Raises OSError."""
        start = self._ends[block - 1] if block else 0
        return os.pread(self._descriptor, self._ends[block] - start, start)

    def block_sizes(self, block: int) -> tuple[int, int]:
        """The bytes of a block in the file, and those that it unfolds to."""
        return self._ends[block] - (self._ends[block - 1] if block else 0), self._sizes[block]

    def _unfolded(self, block: int) -> bytes:
        with self._turn:
            found = self._held.get(block)
            if found is None and self._spill is not None:
                found = self._spill.read(block)
            if found is None:
                found = _unfold(self.folded(block), self._sizes[block])
                self._hold(block, found)
            return found

    def _hold(self, block: int, entries: bytes) -> None:
        if self._held_bytes + len(entries) <= _HELD:
            self._held[block] = entries
            self._held_bytes += len(entries)
            return
        try:
            self._spill = self._spill or _Spill()
        except OSError:  # no room for temporary files: it is unfolded again
            return
        self._spill.write(block, entries)

    # Times of last use

    def used(self, number: int) -> float:
        """The time of last use of an entry, as it was when the pack was opened, or is since noted."""
        return float(self._times[number]) if self._times else self.written

    def note_used(self, number: int, now: float) -> None:
        """Notes a use of an entry, if that can be done."""
        path = used_path(self.path)
        if not self._times:
            self._times = array("I", [to_seconds(self.written)]) * self._count
            write_file(path, little_endian(self._times).tobytes())
        self._times[number] = to_seconds(now)
        descriptor = os.open(path, os.O_WRONLY | os.O_NOFOLLOW)
        try:
            os.pwrite(descriptor, struct.pack("<I", self._times[number]), 4 * number)
        finally:
            os.close(descriptor)

    def read_times_again(self) -> None:
        """Has the times of last use as other processes have noted them since."""
        self._times = self._read_times()

    def _read_times(self) -> "array[int]":
        """The noted times; none where there are not as many as there are entries."""
        times = array("I")
        try:
            descriptor = open_descriptor(used_path(self.path))
        except OSError:
            return times
        try:
            data = os.pread(descriptor, 4 * self._count + 1, 0)
        except OSError:
            data = b""
        finally:
            os.close(descriptor)
        if len(data) == 4 * self._count:
            times.frombytes(data)
        return little_endian(times)


class _Spill:
    """Unfolded blocks in a temporary file of this process."""

    def __init__(self) -> None:
        import tempfile

        self._process = os.getpid()
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - as long as the pack is open
        self._places: dict[int, tuple[int, int]] = {}
        self._end = 0

    def write(self, block: int, entries: bytes) -> None:
        if os.getpid() != self._process:
            return  # a fork shares the file
        try:
            if os.pwrite(self._file.fileno(), entries, self._end) != len(entries):
                return
        except OSError:
            return
        self._places[block] = self._end, len(entries)
        self._end += len(entries)

    def read(self, block: int) -> bytes | None:
        if block not in self._places:
            return None
        start, length = self._places[block]
        return os.pread(self._file.fileno(), length, start)


def used_path(path: str) -> str:
    """The file with the times of a pack's entries."""
    return path.removesuffix(PACK_SUFFIX) + USED_SUFFIX


def remove_pack(path: str) -> None:
    """Removes a pack and its times. Raises OSError where the pack cannot be removed."""
    os.unlink(path)
    unlink(used_path(path))


def is_pack_name(name: str) -> bool:
    """Whether a name is one that `Writer.write` gives to packs."""
    stem = name.removesuffix(PACK_SUFFIX)
    return stem != name and len(stem) == 32 and not stem.strip("0123456789abcdef")


def pack_names(folder: str) -> Iterator[str]:
    """The names of the packs in a folder, in order. Raises OSError."""
    return (name for name in sorted(os.listdir(folder)) if is_pack_name(name))


def to_seconds(time: float) -> int:
    """A time as it is noted."""
    return min(max(int(time), 0), 2**32 - 1)


def little_endian(numbers: "array[int]") -> "array[int]":
    """Numbers as they are in a file, or as they are once they were read from one."""
    if array("H", [1]).tobytes() == b"\0\1":
        numbers = array("I", numbers)
        numbers.byteswap()
    return numbers


def unlink(path: str) -> None:
    """Removes a file, if that can be done."""
    try:  # noqa: SIM105 - contextlib is slow to import
        os.unlink(path)
    except OSError:
        pass
