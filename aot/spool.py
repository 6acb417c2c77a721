"""Puts bytes aside in a file: a large program's objects need not be in memory until they are linked."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from typing import Final

#: So much stays in memory: the objects of sqlite3 are 6 MB.
_IN_MEMORY: Final = 32 << 20


class Spool(Mapping[int, bytes]):
    """Bytes by number, each put aside once. Not to be used from several threads or processes at a time."""

    def __init__(self) -> None:
        self._file = tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115 - lives as long as the spool
        self._places: dict[int, tuple[int, int]] = {}
        self._end = 0

    def put(self, number: int, data: bytes) -> None:
        """Keeps `data` under a number."""
        self._file.seek(self._end)
        self._file.write(data)
        self._places[number] = self._end, len(data)
        self._end += len(data)

    def __getitem__(self, number: int) -> bytes:
        start, size = self._places[number]
        self._file.seek(start)
        return self._file.read(size)

    def __iter__(self) -> Iterator[int]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)
