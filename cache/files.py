"""Reads plain files, never waiting for what is none, and writes files in one step.

This module is loaded before anything else, to answer in no time when nothing has changed: it imports only
what every Python process has loaded.
"""

import errno
import io
import itertools
import os
import stat

#: What a killed writer leaves behind ends in this.
TEMPORARY_SUFFIX = ".tmp"

_O_BINARY: int = getattr(os, "O_BINARY", 0)  # Windows only
# A FIFO would be waited for until someone writes to it; for plain files O_NONBLOCK does nothing.
_PLAIN_FLAGS: int = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | _O_BINARY

_temporary_numbers = itertools.count()


def open_descriptor(path: "str | os.PathLike[str]") -> int:
    """The descriptor of a plain file, opened for reading; never waited for.

    Raises OSError, also where the name stands for something else than a file: a FIFO, a device.
    """
    descriptor = os.open(path, _PLAIN_FLAGS)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "Not a plain file", os.fspath(path))
    return descriptor


def open_plain(path: "str | os.PathLike[str]") -> io.FileIO:
    """A plain file, opened for reading without a buffer; never waited for.

    Raises OSError, also where the name stands for something else than a file: a FIFO, a device.
    """
    return open(open_descriptor(path), "rb", buffering=0)


def read_plain(path: "str | os.PathLike[str]", *, limit: int | None = None) -> tuple[bytes, float]:
    """The content of a plain file, and its modification time in seconds since the epoch.

    Raises OSError, also where the name stands for something else than a file, and where it is larger than
    `limit`.
    """
    with open_plain(path) as file:
        status = os.fstat(file.fileno())
        if limit is not None and status.st_size > limit:
            raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), os.fspath(path))
        return file.readall(), status.st_mtime


def write_file(path: str, data: bytes, mode: int = 0o600) -> None:
    """Make `path` a file of `data` in one step, or raise OSError and leave no trace.

    `mode` is what files get, less the process's umask.
    """
    temporary = temporary_name(os.path.dirname(path))
    try:
        write_new(temporary, data, mode)
        os.replace(temporary, path)
    except BaseException:
        try:  # noqa: SIM105 - contextlib is slow to import
            os.unlink(temporary)
        except OSError:
            pass
        raise


def temporary_name(folder: str) -> str:
    """The path of a temporary file in `folder` that nobody else takes, for `write_new`.

    Who asks for it removes the file, whatever happens: a signal may raise as soon as the file is made.
    """
    name = f"{os.getpid()}-{next(_temporary_numbers)}-{os.urandom(8).hex()}{TEMPORARY_SUFFIX}"
    return os.path.join(folder, name)


def write_new(path: str, data: bytes, mode: int = 0o600) -> None:
    """Make a file of `data` where none is, or raise OSError; `mode` as in `write_file`."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _O_BINARY, mode)
    try:
        write_all(descriptor, data)
    finally:
        os.close(descriptor)


def write_all(descriptor: int, data: bytes) -> None:
    """Writes all of `data` to an open file. Raises OSError."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def make_folder(path: str) -> bool:
    """Make a folder and what is missing above it, mode 0700; False if the name was there already."""
    parent = os.path.dirname(path)
    if parent not in ("", path) and not os.path.isdir(parent):
        make_folder(parent)
    try:
        os.mkdir(path, 0o700)
    except FileExistsError:
        return False
    return True
