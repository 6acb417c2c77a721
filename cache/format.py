"""How an entry's bytes are checked, and where they are: what the quickest reader of one needs.

`entry.py` describes the form. This module is loaded before anything else, to answer in no time when
nothing has changed, so it imports little.
"""

import hashlib
import struct

VERSION = 1

_MAGIC = b"ncentry\n"
_FOOTER = struct.Struct("<32sQII32s8s")
_FOOTER_HEAD = struct.Struct("<32sQII")  # the footer as far as the checksum covers it
FOOTER_SIZE = _FOOTER.size
_CHECKSUM_AND_MAGIC = _FOOTER.size - _FOOTER_HEAD.size


class CorruptBytes(Exception):
    """Bytes are not the undamaged entry of a key; `reason` is one of `entry.Reason`."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def check_key(key: str) -> None:
    """Raise ValueError unless `key` is 64 lowercase hex digits; such a key is also a safe file name."""
    if len(key) != 64 or key.strip("0123456789abcdef"):
        raise ValueError(f"a cache key is 64 lowercase hex digits, not {key!r}")


def seal(key: str, payload: bytes, meta: bytes) -> bytes:
    """The bytes of the entry of a key: payload, metadata, footer."""
    head = _FOOTER_HEAD.pack(bytes.fromhex(key), len(payload), len(meta), VERSION)
    checksum = hashlib.sha256(payload)
    checksum.update(meta)
    checksum.update(head)
    return b"".join((payload, meta, head, checksum.digest(), _MAGIC))


def measure_meta(end: bytes) -> int | None:
    """How long the metadata before the footer is, by an entry's last bytes; None if these are not."""
    if len(end) < _FOOTER.size:
        return None
    _, _, meta_length, version, _, magic = _FOOTER.unpack_from(end, len(end) - _FOOTER.size)
    return int(meta_length) if (version, magic) == (VERSION, _MAGIC) else None


def unseal(key: str, data: bytes) -> tuple[bytes, bytes]:
    """Payload and metadata of the entry in `data`, checked in full but for the metadata's form.

    Raises CorruptBytes if it is not the undamaged entry of `key`.
    """
    if len(data) < _FOOTER.size:
        raise CorruptBytes("short")
    start = len(data) - _FOOTER.size
    stored_key, payload_length, meta_length, version, checksum, magic = _FOOTER.unpack_from(data, start)
    if magic != _MAGIC:
        raise CorruptBytes("magic")
    if version != VERSION:
        raise CorruptBytes("version")
    if payload_length + meta_length != start:
        raise CorruptBytes("length")
    if hashlib.sha256(memoryview(data)[:-_CHECKSUM_AND_MAGIC]).digest() != checksum:
        raise CorruptBytes("checksum")
    if stored_key.hex() != key:
        raise CorruptBytes("key")
    return data[:payload_length], data[payload_length:start]
