"""A table of records by digest, from which those age out that builds no longer use.

Problem: what one build leaves for the next grows with every edit, and nobody says what is no longer wanted.
Method: a build marks what it uses. What it packs is that, new records among it, and as many of the older
ones, in the order in which they were last used: a build of another branch may want them.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Callable, Iterator
from itertools import accumulate, islice
from operator import gt
from struct import Struct
from typing import Final

from nativecache.aot.key import DIGEST
from nativecache.cache.shape import Malformed

_HEAD: Final = Struct("<QQ")


class Table:
    """Records of bytes by digest, those that this build uses told apart from older ones. Packed:

        table   = number of records u64, length of `records` u64, digests, ends, records
        digests = one for each record, `DIGEST` bytes each
        ends    = where each record ends in `records`, u64 each

    Integers are little-endian. Records that were read are views into the bytes, so that reading a large table
    copies little.
    """

    def __init__(self) -> None:
        # By digest, where a record is in `_packed`.
        self._old: dict[bytes, int] = {}
        self._ends = array("Q")
        self._packed: memoryview = memoryview(b"")
        self._used: dict[bytes, bytes | memoryview] = {}
        self._changed = False

    @classmethod
    def read(cls, data: memoryview) -> tuple[Table, memoryview]:
        """The table that some bytes begin with, and what follows it. Raises Malformed."""
        if len(data) < _HEAD.size:
            raise Malformed("a table without its head")
        count, size = _HEAD.unpack_from(data)
        ends = _HEAD.size + count * DIGEST
        records = ends + count * 8
        if records + size > len(data):
            raise Malformed("a table that ends early")
        table = cls()
        digests = bytes(data[_HEAD.size : ends])
        table._old = {digests[at : at + DIGEST]: n for n, at in enumerate(range(0, len(digests), DIGEST))}
        numbers = table._ends = _little_endian(array("Q", bytes(data[ends:records])))
        table._packed = data[records : records + size]
        if any(map(gt, numbers, numbers[1:])) or (numbers[-1] if count else 0) != size:
            raise Malformed("records that are not one after the other")
        return table, data[records + size :]

    @property
    def changed(self) -> bool:
        """Whether a record was added, so that the table is to be packed and kept."""
        return self._changed

    def use(self, digest: bytes) -> bytes | memoryview | None:
        """The record of a digest, or None. It counts as used by this build."""
        record = self._used.get(digest)
        if record is None:
            number = self._old.get(digest)
            if number is None:
                return None
            record = self._used[digest] = self._record(number)
        return record

    def add(self, digest: bytes, record: bytes | memoryview) -> None:
        """Puts a record under a digest, in place of what was there. It counts as used by this build."""
        self._used[digest] = record
        self._changed = True

    def records(self) -> Iterator[tuple[bytes, memoryview]]:
        """Digest and content of every record that was read, used or not."""
        return ((digest, self._record(number)) for digest, number in self._old.items())

    def check(self, reader: Callable[[bytes | memoryview], object]) -> None:
        """Has every record read. Raises Malformed where `reader` raises ValueError."""
        for _, record in self.records():
            try:
                reader(record)
            except ValueError as error:
                raise Malformed(str(error)) from None

    def packed(self, *, all_old: bool = False) -> bytes:
        """The bytes of this build's records and of as many older ones, those used most recently.

        `all_old`: of all older ones, where the build looked at some only of what it goes on using.
        """
        most = None if all_old else len(self._used)
        rest = islice((digest for digest in self._old if digest not in self._used), most)
        kept = {**self._used, **{digest: self._record(self._old[digest]) for digest in rest}}
        ends = _little_endian(array("Q", accumulate(map(len, kept.values()))))
        size = sum(map(len, kept.values()))
        return b"".join((_HEAD.pack(len(kept), size), *kept, ends.tobytes(), *kept.values()))

    def _record(self, number: int) -> memoryview:
        return self._packed[self._ends[number - 1] if number else 0 : self._ends[number]]


def _little_endian(numbers: array[int]) -> array[int]:
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers
