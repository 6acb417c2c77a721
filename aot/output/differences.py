"""An archive as it differs from the objects that its members were made from, which the cache has anyway.

Problem: under their real names objects would be in the cache once more, four times as large as all else that
is kept of a program. Method: names are appended to an object and offsets changed in place, so a member less
its object, byte by byte, is zeros but for these. Folded, nearly nothing is left of it.

    difference = number of members u32, length of the archive u32, its SHA-256, keys, starts, lengths, rest
    keys       = of the objects, 32 bytes each
    starts     = where in the archive each member begins that has an object, u32 each
    lengths    = of how many bytes of each object the member's were taken, u32 each
    rest       = the archive, exclusive or the objects in their places
    Integers are little-endian.

The objects are not checked one by one: the archive that comes out has to be the one that went in.
"""

from __future__ import annotations

import hashlib
import sys
from array import array
from collections.abc import Callable, Iterable, Sequence
from struct import Struct
from typing import Final, NamedTuple

from nativecache.cache.shape import Malformed
from nativecache.linker.archive import find_members

_HEAD: Final = Struct("<II32s")
_KEY: Final = 32
#: Bytes that are joined and subtracted at once: all of a large program's at once would need much memory.
_STEP: Final = 1 << 20
_MOST_LOADED: Final = 16 << 20
#: The longest archive that can be written so.
LONGEST: Final = 2**32 - 1

Load = Callable[[str], bytes]


class Loaded:
    """Objects as they were loaded: those of an archive are soon needed for the one in its place."""

    def __init__(self, load: Load) -> None:
        self._load, self._found, self._size = load, dict[str, bytes](), 0

    def __call__(self, key: str) -> bytes:
        """The bytes of an object, as `load` gives them."""
        found = self._found.get(key)
        if found is None:
            found = self._load(key)
            if self._size > _MOST_LOADED:
                self._found, self._size = {}, 0
            self._found[key] = found
            self._size += len(found)
        return found


class Difference:
    """A packed difference: which objects it is from, and what to do with them."""

    def __init__(self, data: bytes | memoryview) -> None:
        """Raises Malformed where that is none."""
        if len(data) < _HEAD.size:
            raise Malformed("a difference without its head")
        count, length, self._digest = _HEAD.unpack_from(data)
        #: Of the archive, in bytes.
        self.length: int = length
        starts = _HEAD.size + count * _KEY
        self._rest = memoryview(data)[starts + count * 8 :]
        if len(self._rest) != length:
            raise Malformed("a difference that ends early")
        self.keys = [data[at : at + _KEY].hex() for at in range(_HEAD.size, starts, _KEY)]
        numbers = little_endian(array("I", bytes(data[starts : starts + count * 8])))
        self._starts, self._lengths = numbers[:count], numbers[count:]
        ends = (start + length for start, length in zip(self._starts, self._lengths, strict=True))
        if any(end > start for end, start in zip(ends, [*self._starts[1:], length], strict=False)):
            raise Malformed("objects that are not one after the other")

    def part(self, n: int, end: int) -> Part:
        """The member of the archive that is from the nth object and ends at `end`."""
        return Part(self.keys[n], self._lengths[n], bytes(self._rest[self._starts[n] : end]))

    def archive(self, load: Load) -> bytes | None:
        """The archive; None where an object that it is from is gone or damaged. `load` may give b""."""
        rows = zip(self.keys, self._starts, self._lengths, strict=True)
        data = _combine(self._rest, rows, load)
        return data if hashlib.sha256(data).digest() == self._digest else None


class Part(NamedTuple):
    """A member of an archive, by what it has more than an object: exclusive or that object at its begin.

    `key`: of the object, "" for none; `length`: how many of the object's bytes were taken.
    """

    key: str
    length: int
    rest: bytes


def part(content: bytes, key: str, load: Load) -> Part:
    """What a member has more than the object of a key; `load` gives that, b"" where it is not to be had."""
    object_ = load(key)[: len(content)] if key else b""
    if not object_:
        return Part("", 0, content)
    length = len(object_)
    return Part(key, length, _exclusive_or(memoryview(content)[:length], object_) + content[length:])


def difference(archive: bytes, parts: Sequence[Part]) -> bytes:
    """An archive as it differs from objects; `parts` are its members."""
    found = list(find_members(lambda at, size: archive[at : at + size], len(archive)))
    rows, rest, at = list[tuple[Part, int]](), list[bytes | memoryview](), 0
    for (_, span), one in zip(found, parts, strict=True):
        if span is None or span[1] - span[0] != len(one.rest):
            raise ValueError("parts of another archive")
        rest += memoryview(archive)[at : span[0]], one.rest
        at = span[1]
        if one.key:
            rows.append((one, span[0]))
    rest.append(memoryview(archive)[at:])
    numbers = array("I", [*(start for _, start in rows), *(one.length for one, _ in rows)])
    head = _HEAD.pack(len(rows), len(archive), hashlib.sha256(archive).digest())
    names = b"".join(bytes.fromhex(one.key) for one, _ in rows)
    return b"".join((head, names, little_endian(numbers).tobytes(), *rest))


def _combine(data: memoryview, rows: Iterable[tuple[str, int, int]], load: Load) -> bytes:
    """Bytes, exclusive or objects' from their starts on, as many as are given."""
    done: list[bytes] = []
    waiting: list[bytes] = []
    begin = at = 0
    for key, start, length in rows:
        object_ = load(key)[:length]
        waiting += bytes(start - at), object_
        at = start + len(object_)
        if at - begin >= _STEP:
            done.append(_exclusive_or(data[begin:at], b"".join(waiting)))
            waiting, begin = [], at
    done.append(_exclusive_or(data[begin:at], b"".join(waiting)))
    done.append(bytes(data[at:]))
    return b"".join(done)


def _exclusive_or(one: memoryview, other: bytes) -> bytes:
    both = int.from_bytes(one, "little") ^ int.from_bytes(other, "little")
    return both.to_bytes(len(other), "little")


def little_endian(numbers: array[int]) -> array[int]:
    """Numbers as they are packed from this machine's, in place, or the other way round."""
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers
