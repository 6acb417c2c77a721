"""Stores: where bytes are kept under a key, in a folder, in memory, or nowhere.

A store holds opaque values. It may lose or damage them, and it never raises because of it: a value that
cannot be read is not there, a value that cannot be written is not kept. Only a malformed key is an
error, ValueError, since it is the caller's.
"""

import itertools
import os
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from nativecache.cache.format import LAYOUT, check_key, entry_path, read_plain

TEMPORARY_SUFFIX = ".tmp"  # what a killed writer leaves behind ends in this
TAG_NAME = "CACHEDIR.TAG"

# Pruning looks at the time of last use in days, so an hour is exact enough and saves
# a write to disk for nearly every hit.
_TOUCH_SECONDS = 3600

_README = b"""\
This folder is the cache of nativecache. It holds only what can be made again:
it is safe to delete, as a whole or in part, at any time.
"""
CACHEDIR_TAG = b"""\
Signature: 8a477f597d28d172789f06886806bc55
# This file marks a cache folder, made by nativecache, for backup tools to leave out.
# For information see https://bford.info/cachedir/
"""

_O_BINARY: int = getattr(os, "O_BINARY", 0)  # Windows only


class Store(Protocol):
    """Bytes under keys of 64 lowercase hex digits; any other key raises ValueError."""

    def get(self, key: str) -> bytes | None:
        """The value last put under `key`, or None."""

    def put(self, key: str, value: bytes) -> None:
        """Keep `value` under `key`, in place of what was there, if that can be done."""


class BuildStore(Store, Protocol):
    """What a build asks of its store besides: where it is, for all that is kept next to the values."""

    @property
    def root(self) -> Path | None:
        """The folder that the values are in, if they are in one."""

    @property
    def keeps(self) -> bool:
        """Whether what is put is there for the next build, so that notes about it are of use."""

    def pass_failures(self, warn: Callable[[str], None]) -> None:
        """Has the first failure told to `warn`: in a forked process, which is to pass it on."""

    def warn_once(self, failure: str) -> None:
        """Says what a forked process passed on, unless a failure was said before."""


class _Elsewhere:
    """What stores without a folder share: there is nothing that could fail."""

    root = None
    keeps = False

    def pass_failures(self, warn: Callable[[str], None]) -> None:
        return

    def warn_once(self, failure: str) -> None:
        return


class NullStore(_Elsewhere):
    """Keeps nothing."""

    def get(self, key: str) -> bytes | None:
        check_key(key)
        return None

    def put(self, key: str, value: bytes) -> None:
        check_key(key)


class MemoryStore(_Elsewhere):
    """Keeps values as long as itself."""

    def __init__(self) -> None:
        self._values: dict[str, bytes] = {}

    def get(self, key: str) -> bytes | None:
        check_key(key)
        return self._values.get(key)

    def put(self, key: str, value: bytes) -> None:
        check_key(key)
        self._values[key] = value


def _print_warning(message: str) -> None:
    print(f"nativecache: warning: {message}", file=sys.stderr)


class FolderStore(ABC):
    """What stores in a folder share: modes, one warning, and folders made when first needed, mode 0700.

    `read_only`: nothing is put, and no time of use is noted. The first failure of a store to read or write
    is given to `warn`, the following are not; they rarely have another cause. It goes on trying all the
    same: a full disk may be cleared in the meantime.
    """

    def __init__(
        self,
        root: Path,
        *,
        read_only: bool = False,
        clock: Callable[[], float] = time.time,
        warn: Callable[[str], None] = _print_warning,
    ) -> None:
        self.root = root
        self.keeps = not read_only
        self._clock = clock
        self._warn = warn
        self._told = itertools.count()
        self.failed = False  # whether anything could not be read or written

    @abstractmethod
    def get(self, key: str) -> bytes | None:
        """The value last put under `key`, or None."""

    @abstractmethod
    def put(self, key: str, value: bytes) -> None:
        """Keep `value` under `key`, in place of what was there, if that can be done."""

    def close(self) -> None:
        """Writes what still waits to be written. The end of the process does that too."""
        return

    def _is_stale(self, used: float) -> bool:
        """Whether a time of last use is to be noted anew. One in the future is wrong: it is set right."""
        return self.keeps and abs(self._clock() - used) >= _TOUCH_SECONDS

    def _make_folders(self, folder: str) -> None:
        make_folders(str(self.root))
        make_folder(folder)

    def _could_not_read(self, reason: object) -> None:
        self.warn_once(f"cache folder {self.root} cannot be read: {reason}; building without what is in it")

    def _could_not_write(self, reason: object) -> None:
        self.warn_once(f"cache folder {self.root} cannot be written: {reason}; building without storing")

    def pass_failures(self, warn: Callable[[str], None]) -> None:
        """Has the first failure told to `warn`: in a forked process, which is to pass it on."""
        self._warn = warn

    def warn_once(self, failure: str) -> None:
        """Gives a failure to `warn` if it is the first; also one that a forked process met."""
        self.failed = True
        self._tell(failure)

    def _tell(self, message: str) -> None:
        if next(self._told) == 0:
            self._warn(message)


class FileStore(FolderStore):
    """One file per key, ROOT/v1/ab/cdef….o.

    Safe without a lock on a local filesystem: any number of readers and writers, in any number of threads
    and processes, also while files or whole folders are being deleted. A value is written to a temporary
    name and renamed into place, so a reader gets all of one value or nothing; of two writers the last wins.

    Not safe: network filesystems. There a rename may be reported as failed although it was done, or the
    other way round, and a reader may see an old or a half-written file. Only a checksum inside the value
    tells then.

    Nothing is synced to the disk. That would cost milliseconds per value, and all it would save is what
    was written just before a power cut: such a value may come back torn or empty, which the checksum
    inside it shows, and is then made again.
    """

    def get(self, key: str) -> bytes | None:
        path = entry_path(self.root, key)
        try:
            value, modified = read_plain(path)
        except FileNotFoundError:
            return None
        except OSError as error:
            self._could_not_read(error.strerror or error)
            return None
        if self._is_stale(modified):
            now = self._clock()
            with suppress(OSError):  # a folder that can only be read is still of use
                os.utime(path, (now, now))
        return value

    def put(self, key: str, value: bytes) -> None:
        path = entry_path(self.root, key)
        if not self.keeps:
            return
        try:
            try:
                write_file(path, value)
            except FileNotFoundError:  # the first value in this folder, or the folder has vanished
                self._make_folders(os.path.dirname(path))
                write_file(path, value)
        except OSError as error:
            self._could_not_write(error.strerror or error)


class RefreshStore:
    """A store whose values are all to be made again: each is put, none is got."""

    def __init__(self, store: BuildStore) -> None:
        self._store = store
        self.root = store.root
        self.keeps = store.keeps
        self.pass_failures = store.pass_failures
        self.warn_once = store.warn_once

    def get(self, key: str) -> bytes | None:
        check_key(key)
        return None

    def put(self, key: str, value: bytes) -> None:
        self._store.put(key, value)


_temporary_numbers = itertools.count()


def write_file(path: str, data: bytes) -> None:
    """Make `path` a file of `data` in one step, mode 0600, or raise OSError and leave no trace."""
    temporary = temporary_name(os.path.dirname(path))
    try:
        write_new(temporary, data)
        os.replace(temporary, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)
        raise


def temporary_name(folder: str) -> str:
    """A name that nobody else takes, for `write_new`.

    Who asks for it removes the file, whatever happens: a signal may raise as soon as the file is made.
    """
    name = f"{os.getpid()}-{next(_temporary_numbers)}-{os.urandom(8).hex()}{TEMPORARY_SUFFIX}"
    return os.path.join(folder, name)


def write_new(path: str, data: bytes) -> None:
    """Make a file of `data`, mode 0600, where none is, or raise OSError."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _O_BINARY, 0o600)
    try:
        _write_all(descriptor, data)
    finally:
        os.close(descriptor)


def _write_all(descriptor: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def make_folders(root: str) -> None:
    """Makes a cache folder, if there is none, and marks it as one. Raises OSError."""
    # A root that someone else made is not marked: it may hold more than a cache,
    # and the tag would keep all of it out of backups. The folder that we make in it is.
    made = make_folder(root)
    if made:
        write_file(os.path.join(root, "README.txt"), _README)
    layout = os.path.join(root, LAYOUT)
    if make_folder(layout) and not made:
        write_file(os.path.join(layout, TAG_NAME), CACHEDIR_TAG)
    elif made:
        write_file(os.path.join(root, TAG_NAME), CACHEDIR_TAG)


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
