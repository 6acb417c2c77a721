"""The entry: what one key stands for, as bytes that can be checked in full before they are used.

    entry    = payload metadata footer
    payload  = the caller's bytes, verbatim; or folded: their length, u64, and what zlib made of them
    metadata = a JSON object: keys sorted, no blanks, ASCII (other characters escaped), so valid UTF-8
    footer   = key              32 bytes
               payload length   u64, in bytes, as it is in the entry
               metadata length  u32, in bytes
               version          u32
               checksum         32 bytes, SHA-256 over every byte before it
               magic            8 bytes
    Integers are little-endian, without padding. Every version ends in version, checksum, magic.

The payload comes first so that a tool for the payload's own format opens an entry as if it were the
payload: readers of object files, such as objdump, ignore what follows the last section. Folded is what no
such tool is for: `Entry.level` says so.
The key is in the entry so that a file renamed or copied to another key is not taken for it.

The caller's metadata is its own but for one field: "milliseconds" is what it took to make the payload, and
so what a hit saves. Pruning keeps what saves most.

The checksum finds accidents, not attacks: who can write to a store can forge an entry.

Versions:
    1  the first: the payload is verbatim
    2  the payload is folded
"""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple, Self, TypeAlias

from nativecache.cache.files import open_descriptor
from nativecache.cache.format import (
    FOOTER_SIZE,
    CorruptBytes,
    check_key,
    is_folded,
    measure_meta,
    seal,
    unseal,
)
from nativecache.cache.shape import Malformed, number, read_json

JSON: TypeAlias = "bool | int | float | str | Sequence[JSON] | Mapping[str, JSON] | None"


#: zlib's levels: for what is new and may stay as it is for long, and for what takes the place of something
#: after an edit, while somebody waits. sqlite3.c's 20 MB of printed IR: 2.9 MB in 0.41 s, 4.0 MB in 0.11 s;
#: its 7 MB of cleaned-up functions: 0.7 MB in 0.11 s, 1.2 MB in 0.04 s. Unfolding both takes 0.06 s.
FIRST, AGAIN = 6, 1


class Reason(StrEnum):
    """What is wrong with a corrupt entry, in the order in which it is checked."""

    SHORT = "short"
    MAGIC = "magic"
    VERSION = "version"
    LENGTH = "length"
    CHECKSUM = "checksum"
    KEY = "key"
    FOLDING = "folding"
    METADATA = "metadata"
    FORM = "form"  # whole, and not what its reader expects under that key


class CorruptEntry(Exception):
    """Bytes are not the undamaged entry of a key; `reason` says why."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason)
        self.reason = reason


class _Parts(NamedTuple):
    key: str
    payload: bytes
    meta: Mapping[str, JSON]
    level: int | None = None


class Entry(_Parts):
    """A payload and its metadata under a key of 64 lowercase hex digits, else ValueError.

    `level` says how hard the payload is to be folded (FIRST, AGAIN), 0 for not at all, None for as the store
    has it best; it is not kept, and entries are equal without it.
    """

    __slots__ = ()

    def __new__(cls, key: str, payload: bytes, meta: Mapping[str, JSON], level: int | None = None) -> Self:
        """Looks at the key."""
        check_key(key)
        return super().__new__(cls, key, payload, meta, level)

    def __eq__(self, other: object) -> bool:
        """Whether both say the same, however hard it is folded."""
        return isinstance(other, Entry) and tuple.__eq__(self[:3], other[:3])

    def __hash__(self) -> int:
        """By the key."""
        return hash(self.key)


def encode_entry(entry: Entry) -> bytes:
    """The bytes of `entry`, the same for equal entries of one level.

    TypeError or ValueError if `meta` is not JSON.
    """
    meta = json.dumps(entry.meta, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()
    return seal(entry.key, entry.payload, meta, entry.level or 0)


def decode_entry(key: str, data: bytes) -> Entry:
    """The entry packed in `data`, checked in full. Raises CorruptEntry if it is not the whole entry of `key`.

    Sequences in the metadata come back as lists.
    """
    try:
        payload, meta = unseal(key, data)
    except CorruptBytes as broken:
        raise CorruptEntry(Reason(broken.reason)) from None
    return Entry(key, payload, _read_meta(meta), AGAIN if is_folded(data) else None)


def read_milliseconds(path: str) -> float | None:
    """How long making the entry in a file took, None if the entry does not say. Raises what `peek` does."""
    return _milliseconds(peek(path))


def find_milliseconds(data: bytes) -> float | None:
    """How long making the entry in `data` took, None if it does not say. Raises CorruptEntry."""
    return _milliseconds(find_meta(data))


def _milliseconds(meta: Mapping[str, JSON]) -> float | None:
    cost = meta.get("milliseconds")
    return float(cost) if _is_cost(cost) else None  # type: ignore[arg-type]


def peek(path: str) -> dict[str, JSON]:
    """The metadata of the entry in a file.

    Only the end is read, and the checksum is not looked at. Raises OSError where there is no such file, and
    CorruptEntry where its end is not an entry's.
    """
    descriptor = open_descriptor(path)
    try:
        size = os.fstat(descriptor).st_size
        return _find_meta(lambda length: os.pread(descriptor, length, max(0, size - length)), size)
    finally:
        os.close(descriptor)


def find_meta(data: bytes) -> dict[str, JSON]:
    """The metadata of the entry in `data`, whose checksum is not looked at. Raises CorruptEntry."""
    return _find_meta(lambda length: data[-length:], len(data))


def _find_meta(read_end: Callable[[int], bytes], size: int) -> dict[str, JSON]:
    end = read_end(_END)
    meta_length = measure_meta(end)
    if meta_length is None or meta_length + FOOTER_SIZE > size:
        raise CorruptEntry(Reason.MAGIC)
    if meta_length + FOOTER_SIZE > len(end):
        end = read_end(meta_length + FOOTER_SIZE)
    return _read_meta(end[len(end) - FOOTER_SIZE - meta_length : len(end) - FOOTER_SIZE])


_is_cost = number()

#: Nearly all metadata is shorter than this.
_END = 2048


def _read_meta(text: bytes) -> dict[str, JSON]:
    try:
        return read_json(text, _is_object)  # type: ignore[no-any-return]
    except Malformed:
        raise CorruptEntry(Reason.METADATA) from None


def _is_object(value: object) -> bool:
    return isinstance(value, dict)
