"""Puts bytes aside in a file: a large program's objects need not be in memory until they are linked."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import IO, Final

from nativecache.aot.errors import temporary_files

#: Bytes that are gathered before they are written; the objects of sqlite3 are 6 MB and never are.
_IN_MEMORY: Final = 16 << 20


class Spool(Mapping[int, bytes]):
    """Bytes by number, each put aside once. Not to be used from several threads or processes at a time.

    Raises BuildError where the file cannot be written.
    """

    def __init__(self) -> None:
        self._places: dict[int, tuple[int, int]] = {}
        self._file: IO[bytes] | None = None
        self._written = 0
        self._recent = bytearray()

    def put(self, number: int, data: bytes) -> None:
        """Keeps `data` under a number."""
        self._places[number] = self._written + len(self._recent), len(data)
        self._recent += data
        if len(self._recent) > _IN_MEMORY:
            with temporary_files():
                if self._file is None:
                    import tempfile

                    self._file = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the spool
                self._file.write(self._recent)
                self._file.flush()
            self._written += len(self._recent)
            self._recent.clear()

    def __getitem__(self, number: int) -> bytes:
        start, size = self._places[number]
        if start >= self._written:
            return bytes(self._recent[start - self._written : start - self._written + size])
        assert self._file
        data = os.pread(self._file.fileno(), size, start)
        if len(data) != size:
            raise OSError("a temporary file was cut short")
        return data

    def __iter__(self) -> Iterator[int]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)
