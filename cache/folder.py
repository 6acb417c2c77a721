"""What is in a cache folder: its entries, what writers left behind, and how to remove just that.

Entries are files, in packs of many, or rows of a database: a folder may have been used by stores of both
kinds.

Only names that a cache gives, in folders that it makes, are ever looked at or removed: ROOT/v1/ab/cdef….o,
ROOT/v1/packs/….pack, ROOT/v1/quarantine, databases and temporary files. Symbolic links below the root are not
followed, and nothing but plain files is removed. All of it is safe beside readers and writers; what vanishes
meanwhile is no error.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from nativecache.cache.entry import JSON, find_meta, find_milliseconds
from nativecache.cache.file_store import FileStore
from nativecache.cache.files import TEMPORARY_SUFFIX, read_plain
from nativecache.cache.found import Found, occupied
from nativecache.cache.in_packs import (
    InPack,
    entries_of,
    find_orphans,
    find_pack_files,
    open_packs,
    remove_packed,
)
from nativecache.cache.layout import (
    CACHEDIR_TAG,
    DATABASE_SUFFIX,
    LAYOUT,
    QUARANTINE,
    TAG_NAME,
    database_path,
    layout_folder,
)
from nativecache.cache.store import BuildStore

if TYPE_CHECKING:
    from nativecache.cache.database import Database

T = TypeVar("T")

_SHELF = re.compile(r"[0-9a-f]{2}")
_ENTRY = re.compile(r"[0-9a-f]{62}\.o")
_TEMPORARY = re.compile(r"\d+-\d+-[0-9a-f]{16}" + re.escape(TEMPORARY_SUFFIX))
_DATABASE = re.compile(r"([0-9a-f]{16})" + re.escape(DATABASE_SUFFIX) + r"(?:-wal|-shm|-journal)?")

#: Temporary files are renamed within milliseconds. After an hour nobody is at one any more.
_ABANDONED = 3600


@dataclass(frozen=True, slots=True)
class Row(Found):
    """An entry in the database whose file `path` is."""

    home: Database = field(repr=False, compare=False)

    @property
    def place(self) -> str:
        """Where the entry is, for people."""
        return f"{self.path}: {self.key}"

    def read(self) -> bytes:
        """The entry's bytes. Raises OSError, FileNotFoundError where it is gone."""
        found = _ask(lambda: self.home.get(self.key))
        if found is None:
            raise FileNotFoundError(self.place)
        return found[0]

    def milliseconds(self) -> float | None:
        """How long making the entry took, None if it does not say. Raises OSError and CorruptEntry."""
        return find_milliseconds(self.read())

    def meta(self) -> Mapping[str, JSON]:
        """The entry's metadata, unchecked. Raises OSError and CorruptEntry."""
        return find_meta(self.read())


def find_entries(root: Path) -> Iterator[Found]:
    """All entries of a cache folder, in no order. Those of a database or pack that cannot be read are not."""
    yield from _find_files(root)
    for pack in open_packs(root):
        yield from entries_of(pack)
    with suppress(OSError):
        yield from _find_rows(open_database(root))


def _find_files(root: Path) -> Iterator[Found]:
    layout = layout_folder(root)
    for shelf in filter(_SHELF.fullmatch, _folders(layout)):
        for file in _plain_files(os.path.join(layout, shelf)):
            if _ENTRY.fullmatch(file.name):
                yield from _found(file, shelf + file.name.removesuffix(".o"))


def _find_rows(home: Database | None) -> Iterator[Row]:
    if home:
        for key, used, size in _ask(home.rows):
            yield Row(home.path, key, _occupied_row(size), used, home)


def _occupied_row(size: int) -> int:
    """What a value takes of a database: an eighth of its pages stays free (20,000 objects of sqlite3)."""
    return size + size // 8 + 128


def find_database(root: Path) -> str | None:
    """The file of a cache folder's database; None if there is none, or it is no plain file."""
    with suppress(OSError, ValueError):
        path = database_path(root)
        if path and _is_there(os.path.dirname(path)) and os.path.isfile(path) and not os.path.islink(path):
            return path
    return None


def open_database(root: Path) -> Database | None:
    """A cache folder's database, None if there is none. Raises OSError where it cannot be opened."""
    path = find_database(root)
    if path is None:
        return None
    from nativecache.cache.database import Database

    # Not to read only: only who may lock it is sure that nobody changes what is being read.
    return _ask(lambda: Database(path, read_only=False))


def _ask(question: Callable[[], T]) -> T:
    """Asks a database. Raises OSError where it cannot answer."""
    import sqlite3

    try:
        return question()
    except sqlite3.Error as error:
        raise OSError(str(error)) from None


def readers(root: Path, warn: Callable[[str], None]) -> list[BuildStore]:
    """Stores that read what a cache folder has, files or rows, and leave it as it is."""
    stores: list[BuildStore] = [FileStore(root, read_only=True, warn=warn)]
    if find_database(root):
        from nativecache.cache.sqlite_store import SqliteStore

        stores.append(SqliteStore(root, read_only=True, warn=warn))
    return stores


def find_temporaries(root: Path) -> Iterator[Found]:
    """The files of a cache folder that writers are at, and those that killed writers left behind."""
    layout = layout_folder(root)
    ours = [layout, *(os.path.join(layout, name) for name in _folders(layout))] if _is_there(layout) else []
    for folder in (str(root), *ours):
        for file in _plain_files(folder):
            if _TEMPORARY.fullmatch(file.name):
                yield from _found(file, "")
    yield from find_orphans(root)
    current = find_database(root)
    for file in _plain_files(layout) if ours else []:
        found = _DATABASE.fullmatch(file.name)
        if found and (current is None or found[1] + DATABASE_SUFFIX != os.path.basename(current)):
            yield from _found(file, "")


def find_abandoned(root: Path, now: float) -> list[Found]:
    """The files of a cache folder that killed writers left behind."""
    return [found for found in find_temporaries(root) if now - found.used > _ABANDONED]


def find_quarantined(root: Path) -> Iterator[Found]:
    """The files in the quarantine of a cache folder."""
    layout = layout_folder(root)
    if QUARANTINE in _folders(layout):
        for file in _plain_files(os.path.join(layout, QUARANTINE)):
            yield from _found(file, "")


def remove(founds: Iterable[Found]) -> list[Found]:
    """Deletes entries unused since they were listed; returns those deleted.

    What is no plain file any more stays.
    """
    removed: list[Found] = []
    rows: dict[int, list[Row]] = {}
    files: list[Found] = []
    packed: list[InPack] = []
    for found in founds:
        if isinstance(found, InPack):
            packed.append(found)
        elif isinstance(found, Row):
            rows.setdefault(id(found.home), []).append(found)
        else:
            files.append(found)
    removed += _unlink_all(files, unless_used=True)[0]
    removed += remove_packed(packed)
    for group in rows.values():
        removed += remove_rows(group[0].home, group)
    return removed


def _unlink_all(files: Iterable[Found], *, unless_used: bool = False) -> tuple[list[Found], OSError | None]:
    """Removes files, folder by folder; which were removed, and the first reason why one was not.

    Each folder is opened once, so that no link put in its place is followed.
    """
    removed: list[Found] = []
    failure: OSError | None = None
    by_folder: dict[str, list[Found]] = {}
    for found in files:
        by_folder.setdefault(os.path.dirname(found.path), []).append(found)
    for folder, inside in by_folder.items():
        try:
            descriptor = os.open(folder, _FOLDER_FLAGS)
        except OSError as error:
            failure = failure or _unless_gone(error)
            continue
        try:
            for found in inside:
                name = os.path.basename(found.path)
                try:
                    if unless_used and _modified(name, descriptor) != found.used:
                        continue
                    os.unlink(name, dir_fd=descriptor)
                    removed.append(found)
                except OSError as error:
                    failure = failure or _unless_gone(error)
        finally:
            os.close(descriptor)
    return removed, failure


_FOLDER_FLAGS: int = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_NOFOLLOW", 0)


def _modified(name: str, folder: int) -> float:
    return os.stat(name, dir_fd=folder, follow_symlinks=False).st_mtime


def _unless_gone(error: OSError) -> OSError | None:
    return None if isinstance(error, FileNotFoundError) else error


def obstacle(root: Path, *, write: bool = False) -> OSError | None:
    """What keeps this user from seeing, and from removing, all that is in a cache folder; None for nothing.

    A folder that is not there is no obstacle.
    """
    layout = layout_folder(root)
    try:
        with os.scandir(root):
            pass
        with os.scandir(layout) as found:
            shelves = [entry.path for entry in found if entry.is_dir(follow_symlinks=False)]
        for shelf in (layout, *shelves):
            with os.scandir(shelf) as inside:
                for file in inside:
                    file.stat(follow_symlinks=False)  # a folder may be listed and yet closed
                    break
                else:
                    continue
            if write and not os.access(shelf, os.W_OK | os.X_OK):
                # What the system would say to it.
                read_only = os.statvfs(shelf).f_flag & os.ST_RDONLY
                code = errno.EROFS if read_only else errno.EACCES
                return OSError(code, os.strerror(code), shelf)
    except FileNotFoundError:
        return None
    except OSError as error:
        return error
    return None


def remove_rows(home: Database, rows: list[Row]) -> list[Row]:
    """Deletes rows of one database unused since they were listed; returns those deleted."""
    try:
        done = _ask(lambda: home.remove([(row.key, row.used) for row in rows]))
        _ask(home.shrink)
    except OSError:
        return []
    return [row for row, was_removed in zip(rows, done, strict=True) if was_removed]


def is_marked(root: Path) -> bool:
    """Whether a cache of this kind made this folder, or the v1 in it."""
    for name in ("", LAYOUT):
        with suppress(OSError):
            if read_plain(os.path.join(root, name, TAG_NAME))[0].startswith(CACHEDIR_TAG):
                return True
    return False


def clear(root: Path, now: float) -> tuple[int, int]:
    """Removes entries, abandoned temporaries and quarantined files; returns how many, and their bytes.

    Raises OSError where some cannot be removed, after all others are.

    A database goes as a whole.

    What a build puts meanwhile may stay, and so do folders, which it may be about to write to.
    """
    there = (*_find_files(root), *find_pack_files(root), *find_abandoned(root, now), *find_quarantined(root))
    removed, failure = _unlink_all(there)
    files, size = total(removed)
    if path := find_database(root):
        from nativecache.cache.sqlite_store import drop_database

        try:
            bytes_there = occupied(os.stat(path).st_size)
            drop_database(root)
            files += 1
            size += bytes_there
        except OSError as error:
            failure = failure or _unless_gone(error)
    if failure:
        raise failure
    return files, size


def total(files: Iterable[Found]) -> tuple[int, int]:
    """The number of some files, and the bytes that they occupy."""
    sizes = [found.size for found in files]
    return len(sizes), sum(sizes)


def _found(file: os.DirEntry[str], key: str) -> Iterator[Found]:
    with suppress(OSError):
        status = file.stat(follow_symlinks=False)
        yield Found(file.path, key, occupied(status.st_size), status.st_mtime)


def _is_there(folder: str) -> bool:
    """Whether it is a folder, and not a link to one."""
    return os.path.isdir(folder) and not os.path.islink(folder)


def _folders(path: str) -> list[str]:
    """Names of the folders in a folder of ours, in order; none if it is a link."""
    if not _is_there(path):
        return []
    with suppress(OSError), os.scandir(path) as entries:
        return sorted(entry.name for entry in entries if entry.is_dir(follow_symlinks=False))
    return []


def _plain_files(path: str) -> list[os.DirEntry[str]]:
    with suppress(OSError), os.scandir(path) as entries:
        return [entry for entry in entries if entry.is_file(follow_symlinks=False)]
    return []
