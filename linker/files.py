"""Reads files that others named: never a FIFO, which would be waited for, or a device, which may not end."""

from __future__ import annotations

import errno
import os
import stat
from typing import Final

#: For plain files O_NONBLOCK does nothing. The last is Windows's only.
_FLAGS: Final = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


class PlainFile:
    """A plain file that is read piece by piece. Use it as a context manager."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Raises OSError, also where the name stands for something else than a file."""
        try:
            self._descriptor = os.open(path, _FLAGS)
        except OSError as error:
            if error.errno not in (errno.ENXIO, errno.ENODEV):
                raise
            raise _not_plain(path) from None  # a socket, a device that is not there
        status = os.fstat(self._descriptor)
        self.size = status.st_size
        self.identity = status.st_dev, status.st_ino
        if not stat.S_ISREG(status.st_mode):
            os.close(self._descriptor)
            raise _not_plain(path)

    def __enter__(self) -> PlainFile:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)

    def read(self, at: int, size: int) -> bytes:
        """Up to `size` bytes of the file from an offset, fewer at its end. Raises OSError."""
        pieces: list[bytes] = []
        while size > 0:
            piece = os.pread(self._descriptor, min(size, _PIECE), at)
            if not piece:
                break
            pieces.append(piece)
            at += len(piece)
            size -= len(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _not_plain(path: str | os.PathLike[str]) -> OSError:
    return OSError(errno.EINVAL, "Not a plain file", os.fspath(path))


def why_unread(path: str | os.PathLike[str], error: OSError) -> str:
    """Why an input cannot be read, in words: for itself, or for a file that it names, as thin archives do."""
    reason = error.strerror or str(error)
    if not error.filename or os.fspath(error.filename) == os.fspath(path):
        return reason
    return f"it names {os.fsdecode(error.filename)}: {reason}"


#: No system reads more than 2 GiB at once.
_PIECE: Final = 1 << 30


def read_plain(path: str | os.PathLike[str]) -> bytes:
    """The content of a plain file. Raises OSError, also where the path is a device, a FIFO or a folder."""
    with PlainFile(path) as file:
        return file.read(0, file.size)
