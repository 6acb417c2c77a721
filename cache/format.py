"""How an entry's bytes are checked, and where they are: what the quickest reader of one needs.

`entry.py` describes the form. This module is loaded before anything else, to answer in no time when
nothing has changed, so it imports little.
"""

import struct

from nativecache.cache.sha256 import sha256

#: Payload verbatim; payload folded (entry.py).
VERBATIM, FOLDED = 1, 2

#: The most that a payload may unfold to. No IR of half of that is known.
LARGEST = 1 << 31

_SIZE = struct.Struct("<Q")
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


def seal(key: str, payload: bytes, meta: bytes, level: int = 0) -> bytes:
    """The bytes of the entry of a key: payload, metadata, footer.

    `level`: zlib's, with which the payload is folded if that makes it smaller; 0 for verbatim.
    """
    version = VERBATIM
    if level and len(payload) <= LARGEST:
        folded = _fold(payload, level)
        if len(folded) < len(payload):
            payload, version = folded, FOLDED
    head = _FOOTER_HEAD.pack(bytes.fromhex(key), len(payload), len(meta), version)
    checksum = sha256(payload)
    checksum.update(meta)
    checksum.update(head)
    return b"".join((payload, meta, head, checksum.digest(), _MAGIC))


def measure_meta(end: bytes) -> int | None:
    """How long the metadata before the footer is, by an entry's last bytes; None if these are not."""
    if len(end) < _FOOTER.size:
        return None
    _, _, meta_length, version, _, magic = _FOOTER.unpack_from(end, len(end) - _FOOTER.size)
    return int(meta_length) if version in (VERBATIM, FOLDED) and magic == _MAGIC else None


def is_folded(data: bytes) -> bool:
    """Whether the payload of an entry that `unseal` took is folded in it."""
    return bool(_FOOTER.unpack_from(data, len(data) - _FOOTER.size)[3] == FOLDED)


def glance(data: bytes) -> bytes:
    """The payload, unfolded, of what may be an entry, unchecked; b"" where that is plainly none."""
    if len(data) < _FOOTER.size:
        return b""
    _, length, _, version, _, magic = _FOOTER.unpack_from(data, len(data) - _FOOTER.size)
    if magic != _MAGIC or length > len(data) or version not in (VERBATIM, FOLDED):
        return b""
    try:
        return _unfold(data[:length]) if version == FOLDED else data[:length]
    except CorruptBytes:
        return b""


def unseal(key: str, data: bytes) -> tuple[bytes, bytes]:
    """Payload, unfolded, and metadata of the entry in `data`, checked in full but for the metadata's form.

    Raises CorruptBytes if it is not the undamaged entry of `key`.
    """
    if len(data) < _FOOTER.size:
        raise CorruptBytes("short")
    start = len(data) - _FOOTER.size
    stored_key, payload_length, meta_length, version, checksum, magic = _FOOTER.unpack_from(data, start)
    if magic != _MAGIC:
        raise CorruptBytes("magic")
    if version not in (VERBATIM, FOLDED):
        raise CorruptBytes("version")
    if payload_length + meta_length != start:
        raise CorruptBytes("length")
    if sha256(memoryview(data)[:-_CHECKSUM_AND_MAGIC]).digest() != checksum:
        raise CorruptBytes("checksum")
    if stored_key.hex() != key:
        raise CorruptBytes("key")
    payload = data[:payload_length]
    return _unfold(payload) if version == FOLDED else payload, data[payload_length:start]


def _fold(payload: bytes, level: int) -> bytes:
    import zlib

    return _SIZE.pack(len(payload)) + zlib.compress(payload, level)


def _unfold(folded: bytes) -> bytes:
    """What was folded, of the size that it says and no larger. Raises CorruptBytes."""
    import zlib

    if len(folded) < _SIZE.size:
        raise CorruptBytes("folding")
    (size,) = _SIZE.unpack_from(folded)
    if size > LARGEST:
        raise CorruptBytes("folding")
    unfolding = zlib.decompressobj()
    try:
        payload = unfolding.decompress(memoryview(folded)[_SIZE.size :], size + 1)
    except zlib.error:
        raise CorruptBytes("folding") from None
    if len(payload) != size or not unfolding.eof or unfolding.unused_data:
        raise CorruptBytes("folding")
    return payload
