"""How an entry's bytes are checked, and where they are: what the quickest reader of one needs.

`entry.py` describes the form. This module is loaded before anything else, to answer in no time when
nothing has changed, so it imports little.
"""

import errno
import hashlib
import io
import os
import stat
import struct

LAYOUT = "v1"  # of the folder; another layout gets another name, so that both can share one root
VERSION = 1
DATABASE_SUFFIX = ".sqlite"

_MAGIC = b"ncentry\n"
_FOOTER = struct.Struct("<32sQII32s8s")
_FOOTER_HEAD = struct.Struct("<32sQII")  # the footer as far as the checksum covers it
FOOTER_SIZE = _FOOTER.size
_CHECKSUM_AND_MAGIC = _FOOTER.size - _FOOTER_HEAD.size


# A FIFO would be waited for until someone writes to it; for plain files O_NONBLOCK does nothing. The other
# is Windows's only.
_PLAIN_FLAGS: int = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


class CorruptBytes(Exception):
    """These bytes are not the entry of that key; `reason` is one of `entry.Reason`."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def check_key(key: str) -> None:
    """Raise ValueError unless `key` is 64 lowercase hex digits; such a key is also a safe file name."""
    if len(key) != 64 or key.strip("0123456789abcdef"):
        raise ValueError(f"a cache key is 64 lowercase hex digits, not {key!r}")


def entry_path(root: "str | os.PathLike[str]", key: str) -> str:
    """The file of an entry. ValueError for a malformed key."""
    check_key(key)
    return os.path.join(root, LAYOUT, key[:2], key[2:] + ".o")


def open_descriptor(path: "str | os.PathLike[str]") -> int:
    """The descriptor of a plain file that is opened to be read; never waited for.

    Raises OSError, also where the name stands for something else than a file: a FIFO, a device.
    """
    descriptor = os.open(path, _PLAIN_FLAGS)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "Not a plain file", os.fspath(path))
    return descriptor


def open_plain(path: "str | os.PathLike[str]") -> "io.FileIO":
    """The same as a file without a buffer."""
    return open(open_descriptor(path), "rb", buffering=0)


def read_plain(path: "str | os.PathLike[str]", *, limit: "int | None" = None) -> tuple[bytes, float]:
    """The content of a plain file, and its modification time in seconds since the epoch.

    Raises OSError, also where the name stands for something else than a file, and where it is larger than
    `limit`.
    """
    with open_plain(path) as file:
        status = os.fstat(file.fileno())
        if limit is not None and status.st_size > limit:
            raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), os.fspath(path))
        return file.readall(), status.st_mtime


def pointer_path(root: "str | os.PathLike[str]") -> str:
    """The file that names the folder's database, if it has one (`database.py`)."""
    return os.path.join(root, LAYOUT, "database")


def database_path(root: "str | os.PathLike[str]", pointer: "bytes | None" = None) -> "str | None":
    """The file of the database that `pointer`, by default the folder's, names; None if there is none.

    Raises OSError where it cannot be read, ValueError where what it says is no database's name.
    """
    if pointer is None:
        try:
            pointer, _ = read_plain(pointer_path(root))
        except FileNotFoundError:
            return None
    if len(pointer) != 17 or pointer[16:] != b"\n" or pointer[:16].strip(b"0123456789abcdef"):
        raise ValueError("the name of the database is damaged")
    return os.path.join(root, LAYOUT, pointer[:16].decode() + DATABASE_SUFFIX)


def seal(key: str, payload: bytes, meta: bytes) -> bytes:
    """The bytes of an entry."""
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
