"""A file in a cache folder, or an entry that is one or part of one, as listed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from nativecache.cache.entry import JSON, peek, read_milliseconds
from nativecache.cache.files import read_plain

#: Disks give space in blocks of mostly this many bytes, and each entry is a file.
_BLOCK = 4096


@dataclass(frozen=True, slots=True)
class Found:
    """A file in a cache folder: the bytes it occupies, and its time of last use in seconds since the epoch.

    Only entries have a key.
    """

    path: str
    key: str
    size: int
    used: float

    @property
    def place(self) -> str:
        """Where the file is, for people."""
        return self.path

    def read(self) -> bytes:
        """The file's content. Raises OSError, FileNotFoundError where it is gone."""
        return read_plain(self.path)[0]

    def milliseconds(self) -> float | None:
        """How long making the entry took, None if it does not say. Raises OSError and CorruptEntry."""
        return read_milliseconds(self.path)

    def meta(self) -> Mapping[str, JSON]:
        """The entry's metadata, unchecked. Raises OSError and CorruptEntry."""
        return peek(self.path)


def occupied(size: int) -> int:
    """What a file of `size` bytes takes of a disk."""
    return -(-size // _BLOCK) * _BLOCK
