"""Writes packs, of entries and of blocks of other packs; `pack.py` describes the form."""

import hashlib
import math
import os
import struct
from array import array
from collections.abc import Sequence
from itertools import accumulate
from typing import NamedTuple

from nativecache.cache.files import write_file
from nativecache.cache.pack import (
    BLOCK,
    FOOTER_HEAD,
    LONGER,
    LZMA2,
    MAGIC,
    MUCH,
    PACK_SUFFIX,
    PLACE,
    VERSION,
    ZLIB,
    Pack,
    Place,
    filters,
    little_endian,
    to_seconds,
    unlink,
    used_path,
)


class Packed(NamedTuple):
    """An entry to be packed: its key, bytes, time of last use, and what it took to make if it says."""

    key: str
    data: bytes
    used: float
    milliseconds: float | None


class Writer:
    """Gathers blocks and entries, and writes them as a pack."""

    def __init__(self) -> None:
        self._blocks: list[bytes] = []
        self._sizes: list[int] = []
        self._rows: dict[str, tuple[Place, float]] = {}

    def __len__(self) -> int:
        return len(self._rows)

    def has(self, key: str) -> bool:
        """Whether an entry of this key is in the pack already."""
        return key in self._rows

    @property
    def size(self) -> int:
        """The bytes of all blocks."""
        return sum(map(len, self._blocks))

    def copy_block(self, pack: Pack, block: int, numbers: Sequence[int]) -> None:
        """Takes a block of another pack as it is, with the entries of these numbers in it. Raises OSError."""
        at = len(self._blocks)
        self._blocks.append(pack.folded(block))
        self._sizes.append(pack.block_sizes(block)[1])
        for number in numbers:
            place = pack.place(number)._replace(block=at)
            self._rows[pack.key(number)] = place, pack.used(number)

    def add(self, entries: Sequence[Packed]) -> None:
        """Folds entries into blocks, those of one length together."""
        much = sum(len(entry.data) for entry in entries) >= MUCH
        block = BLOCK * LONGER if much else BLOCK
        waiting: list[bytes] = []
        start = 0
        for entry in sorted(entries, key=lambda one: (len(one.data), one.key)):
            place = Place(len(self._blocks), start, len(entry.data), entry.milliseconds)
            self._rows[entry.key] = place, entry.used
            waiting.append(entry.data)
            start += len(entry.data)
            if start >= block:
                self._fold(waiting, hard=much)
                waiting, start = [], 0
        if waiting:
            self._fold(waiting, hard=much)

    def _fold(self, entries: list[bytes], *, hard: bool) -> None:
        together = b"".join(entries)
        self._blocks.append(_fold(together, hard=hard))
        self._sizes.append(len(together))

    def write(self, folder: str) -> str:
        """Writes the pack under a new name, its times before it; its path. Raises OSError."""
        path = os.path.join(folder, os.urandom(16).hex() + PACK_SUFFIX)
        times = array("I", (to_seconds(self._rows[key][1]) for key in sorted(self._rows)))
        try:
            write_file(used_path(path), little_endian(times).tobytes())
            write_file(path, self.encoded())
        except BaseException:
            unlink(path)
            unlink(used_path(path))
            raise
        return path

    def encoded(self) -> bytes:
        """The bytes of the pack."""
        keys = sorted(self._rows)
        counts = [0] * 256
        for key in keys:
            counts[int(key[:2], 16)] += 1
        table = b"".join(
            (
                struct.pack(f"<{len(self._blocks)}Q", *accumulate(map(len, self._blocks))),
                struct.pack(f"<{len(self._sizes)}I", *self._sizes),
                struct.pack("<256I", *accumulate(counts)),
                *map(bytes.fromhex, keys),
                *(_pack_place(self._rows[key][0]) for key in keys),
            )
        )
        head = FOOTER_HEAD.pack(len(self._blocks), len(keys), VERSION)
        checksum = hashlib.sha256(table + head).digest()
        return b"".join((*self._blocks, table, head, checksum, MAGIC))


def _pack_place(place: Place) -> bytes:
    milliseconds = math.nan if place.milliseconds is None else place.milliseconds
    return PLACE.pack(place.block, place.start, place.length, milliseconds)


def _fold(entries: bytes, *, hard: bool) -> bytes:
    """A block of some entries."""
    if not hard:
        import zlib

        return ZLIB + zlib.compress(entries, 6)
    import lzma

    return LZMA2 + lzma.compress(entries, lzma.FORMAT_RAW, filters=filters())
