"""A store in one file: a SQLite database holds all values, in place of a file for each.

    ROOT/v1/database      the database's name: 16 hex digits and a newline
    ROOT/v1/NAME.sqlite   the database; NAME.sqlite-wal and NAME.sqlite-shm are there while it is in use

A name is never given twice. SQLite finds the files beside a database by name, and removes them by name when
the last who uses it closes it; so whoever still has a database open that others have removed or replaced
must not meet theirs under the same name. Who makes a database puts up its name only if none is put up yet.

Damage that SQLite finds makes the store begin anew. Damage that it cannot find, inside values, is found by
the checksum of each.

This module imports sqlite3, which takes 4 ms: import it where there is a database only.
"""

import errno
import os
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from nativecache.cache.database import Database, has_special_file, lock, make_database, remove_database
from nativecache.cache.files import read_plain, temporary_name, write_new
from nativecache.cache.folder_store import FolderStore
from nativecache.cache.format import check_key
from nativecache.cache.layout import DATABASE_SUFFIX, database_path, layout_folder, pointer_path

T = TypeVar("T")

#: Others may remove the database under each of them, but hardly do.
_ATTEMPTS = 4
#: What SQLite needs beside a database, in bytes, before it writes anything.
_LOG_ROOM = 1 << 16
_DAMAGE = (
    sqlite3.SQLITE_ERROR,  # tables or columns are missing
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_NOTADB,
    sqlite3.SQLITE_FORMAT,
    sqlite3.SQLITE_MISMATCH,
    sqlite3.SQLITE_CONSTRAINT,
    sqlite3.SQLITE_TOOBIG,
)


def drop_database(root: Path) -> None:
    """Takes down the name of a cache folder's database and removes its files.

    Nothing but plain files is removed. Raises OSError where that cannot be done.
    """
    aside = temporary_name(layout_folder(root))
    try:
        seen, _ = read_plain(pointer_path(root))
        # Another process may have put up a new name since: only what is taken away can be looked at in peace.
        os.replace(pointer_path(root), aside)
        if read_plain(aside)[0] != seen:
            with suppress(OSError):
                os.link(aside, pointer_path(root))
            return
    except FileNotFoundError:
        return
    finally:
        with suppress(OSError):
            os.unlink(aside)
    with suppress(ValueError):
        if path := database_path(root, seen):
            remove_database(path)


def _code(error: Exception) -> int | None:
    """SQLite's primary error code; None if there is none."""
    code = getattr(error, "sqlite_errorcode", None)
    return None if code is None else int(code) & 0xFF


class SqliteStore(FolderStore):
    """A store with one database in a folder.

    Safe on a local file system: any number of readers and writers, in any number of threads and processes,
    also while values, the database or whole folders are being deleted. Each put is a transaction, so that
    nothing is lost when a process is killed. Readers never wait; of writers one writes at a time.

    Not safe: network file systems. SQLite's log needs memory that all processes share.

    Safe across forks, if nothing else in the process uses SQLite on the same file.
    """

    opened_by_tools = False
    _database: Database | None = None
    _tried: str | None = None  # the file that was opened last, or was to be

    def get(self, key: str) -> bytes | None:
        """The value last put under `key`, or None. A use is noted in its row."""
        check_key(key)
        return self._attempt(lambda: self._get(key), self._could_not_read)

    def put(self, key: str, value: bytes) -> None:
        """Keeps `value` under `key`, in place of what was there, if that can be done."""
        check_key(key)
        if self.keeps:
            self._attempt(lambda: self._put(key, value), self._could_not_write)

    def close(self) -> None:
        """Writes the noted times of use. The store may be used again afterwards."""
        if self._database:
            self._database.close()

    def _get(self, key: str) -> bytes | None:
        database = self._opened()
        found = database.get(key) if database else None
        if database is None or found is None:
            return None
        value, used = found
        if self._is_stale(used):
            database.touch(key, self._clock())
        return value

    def _put(self, key: str, value: bytes) -> None:
        database = self._opened()
        while database is None:
            self._create()
            database = self._opened()
        database.put(key, value, self._clock())

    def _opened(self) -> Database | None:
        """The database of the folder, or None if there is none. Raises ValueError for a damaged name."""
        if self._database and self._database.is_there():
            return self._database
        self.close()
        self._database = None
        path = self._tried = database_path(self.root)
        try:
            self._database = Database(path, read_only=not self.keeps) if path else None
        except FileNotFoundError:  # somebody has deleted the file and not its name
            if self.keeps:
                drop_database(self.root)
        return self._database

    def _create(self) -> None:
        """Makes a database and puts up its name, unless another process does."""
        layout = layout_folder(self.root)
        name = os.urandom(8).hex()
        path = os.path.join(layout, name + DATABASE_SUFFIX)
        try:
            try:
                make_database(path)
            except FileNotFoundError:  # the first value in this folder, or the folder has vanished
                self._make_folders(layout)
                make_database(path)
            temporary = temporary_name(layout)
            try:
                write_new(temporary, f"{name}\n".encode())
                os.link(temporary, pointer_path(self.root))
            except FileExistsError:
                remove_database(path)
            except OSError:  # a file system without hard links: there, of two firsts the second's is kept
                os.replace(temporary, pointer_path(self.root))
            finally:
                with suppress(OSError):
                    os.unlink(temporary)
        except BaseException:
            remove_database(path)
            raise

    def _attempt(self, action: Callable[[], T], complain: Callable[[object], None]) -> T | None:
        """Does something with the database, again if that can help; None if it cannot be done."""
        with lock:
            for attempt in range(_ATTEMPTS):
                try:
                    return action()
                except (OSError, ValueError, sqlite3.Error) as error:
                    if attempt == _ATTEMPTS - 1 or not self._helped(error):
                        complain(self._reason(error))
                        return None
        raise AssertionError("unreachable")

    def _helped(self, error: Exception) -> bool:
        """Whether there is any use in trying again: another database is there now, or none."""
        if isinstance(error, FileNotFoundError):
            return True
        if _code(error) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_FULL):
            return False
        before, self._database = self._database, None
        # One that is removed while it is opened looks damaged; the one that has its place now is not it.
        path = self._path()
        is_there = before.is_there() if before else path == self._tried and os.path.lexists(path)
        if before:
            before.close()
        if not is_there and not isinstance(error, ValueError):
            return True
        if not self._is_damage(error):
            return False
        if not self.keeps:
            return before is not None and os.path.exists(before.path + "-wal")  # it changed under us
        try:
            drop_database(self.root)
        except OSError:
            return False
        why = self._reason(error)
        self._tell(f"cache folder {self.root} held a damaged database ({why}), which is begun anew")
        return True

    def _is_damage(self, error: Exception) -> bool:
        if isinstance(error, ValueError):
            return True
        path = self._path()
        if path and has_special_file(path):
            return True
        if isinstance(error, OSError):
            return False
        code = _code(error)
        if code is None or code in _DAMAGE:
            return True
        if getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_IOERR_SHORT_READ:
            return True
        # A header can say that this SQLite may not write.
        return code == sqlite3.SQLITE_READONLY and os.path.lexists(path) and self._obstacle() is None

    def _path(self) -> str:
        with suppress(OSError, ValueError):
            return database_path(self.root) or ""
        return ""

    def _obstacle(self) -> str | None:
        """What the system says to writing there."""
        layout = layout_folder(self.root)
        probe = temporary_name(layout)
        try:
            write_new(probe, b"")
            if path := self._path():
                os.close(os.open(path, os.O_RDWR))
            room = os.statvfs(layout)
        except OSError as error:
            return error.strerror or str(error)
        finally:
            with suppress(OSError):
                os.unlink(probe)
        return os.strerror(errno.ENOSPC) if room.f_bavail * room.f_frsize < _LOG_ROOM else None

    def _reason(self, error: Exception) -> str:
        if isinstance(error, OSError):
            return error.strerror or str(error)
        if _code(error) == sqlite3.SQLITE_FULL:
            return os.strerror(errno.ENOSPC)
        is_systems = _code(error) in (
            sqlite3.SQLITE_CANTOPEN,
            sqlite3.SQLITE_READONLY,
            sqlite3.SQLITE_IOERR,
            sqlite3.SQLITE_PERM,
        )
        return (self._obstacle() if is_systems and self.keeps else None) or str(error)
