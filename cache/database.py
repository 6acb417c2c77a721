"""A store in one file: a SQLite database holds all values, in place of a file for each.

    ROOT/v1/database      the database's name: 16 hex digits and a newline
    ROOT/v1/NAME.sqlite   the database; NAME.sqlite-wal and NAME.sqlite-shm are there while it is in use

A name is never given twice. SQLite finds the files beside a database by name, and removes them by name when
the last who uses it closes it; so whoever still has a database open that others have removed or replaced
must not meet theirs under the same name. Who makes a database puts up its name only if none is put up yet.

Times of last use change often and values seldom, so they are in tables of their own.

SQLite must not be carried through a fork: the child would take the locks of its parent for its own. So all
databases of a process are closed before each fork, and opened again when they are next asked for something.

What a power cut spares is whole: SQLite syncs the log before it writes it into the database (one second of
writing costs a few milliseconds of that), since damage would cost all values, and not one as with files.
Damage that SQLite finds makes the store begin anew. Damage that it cannot find, inside values, is found by
the checksum of each.

This module imports sqlite3, which takes 4 ms: import it where there is a database only.
"""

import atexit
import errno
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar
from weakref import WeakSet

from nativecache.cache.format import (
    DATABASE_SUFFIX,
    LAYOUT,
    check_key,
    database_path,
    pointer_path,
    read_plain,
)
from nativecache.cache.shape import whole
from nativecache.cache.store import FolderStore, temporary_name, write_new

T = TypeVar("T")

#: Seconds to wait for another process's write; each takes less than a millisecond, a checkpoint some more.
_PATIENCE = 10.0
#: Others may remove the database under each of them, but hardly do.
_ATTEMPTS = 4
#: Pages of log, 16 MiB, after which it is written into the database: a build seldom does that, and syncs.
_CHECKPOINT_PAGES = 4096
#: What SQLite needs beside a database, in bytes, before it writes anything.
_LOG_ROOM = 1 << 16
#: Entries removed, and pages given back, in one go, while others wait to write (some milliseconds).
_BATCH, _BATCH_PAGES = 256, 1024

#: How to open what nobody writes to. Without a mode SQLite would make an empty file where there is none.
_LEFT_ALONE = "mode=ro&immutable=1"

_BESIDE = ("", "-wal", "-shm", "-journal")

_TABLES = (
    "CREATE TABLE entries (key BLOB PRIMARY KEY, used REAL, size INTEGER, id INTEGER) WITHOUT ROWID",
    "CREATE TABLE payloads (id INTEGER PRIMARY KEY, value BLOB)",
)
_is_size = whole(0, 2**40)
_DAMAGE = (
    sqlite3.SQLITE_ERROR,  # tables or columns are missing
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_NOTADB,
    sqlite3.SQLITE_FORMAT,
    sqlite3.SQLITE_MISMATCH,
    sqlite3.SQLITE_CONSTRAINT,
    sqlite3.SQLITE_TOOBIG,
)

_lock = threading.RLock()  # over all connections of the process: a fork waits until none is in use
_open: "WeakSet[Database]" = WeakSet()


class Database:
    """An open database. Its methods raise sqlite3.Error. It is closed when nobody has it any more."""

    is_open = False

    def __init__(self, path: str, *, read_only: bool) -> None:
        """Raises OSError where it, or what is beside it, is no plain file; FileNotFoundError for no file."""
        self.path = path
        self._identity = _identity(path)
        # SQLite would wait for a FIFO.
        if _has_no_files(path):
            raise OSError(errno.EINVAL, "Not a plain file", path)
        self._stale: dict[bytes, float] = {}  # times of use that are to be noted
        with _lock:
            self._connection = _connect_to_read(path) if read_only else _connect(path)
            self.is_open = True
            _open.add(self)

    def is_there(self) -> bool:
        """Whether it is open, and still the file of its name."""
        try:
            return self.is_open and _identity(self.path) == self._identity
        except OSError:
            return False

    def close(self) -> None:
        """Notes the times of use and closes. Nothing is raised."""
        with _lock:
            if not self.is_open:
                return
            if self._stale and self.is_there():
                uses = [(used, key) for key, used in self._stale.items()]
                with suppress(sqlite3.Error), self._transaction():
                    self._connection.executemany("UPDATE entries SET used = ? WHERE key = ?", uses)
            self._stale.clear()
            self.is_open = False
            with suppress(sqlite3.Error):
                self._connection.close()
            _sweep(self.path)

    def __del__(self) -> None:
        self.close()  # a connection alone is a cycle of references

    def get(self, key: str) -> tuple[bytes, float] | None:
        """A value, and when it was last used."""
        with _lock:
            row = self._connection.execute(
                "SELECT value, used FROM entries JOIN payloads USING (id) WHERE key = ?",
                (bytes.fromhex(key),),
            ).fetchone()
        if row is None or not isinstance(row[0], bytes) or not isinstance(row[1], float):
            return None  # or damaged: then the next put replaces it
        return row[0], row[1]

    def touch(self, key: str, now: float) -> None:
        """Notes a use, at the latest when this is closed."""
        self._stale[bytes.fromhex(key)] = now

    def put(self, key: str, value: bytes, now: float) -> None:
        with _lock, self._transaction():
            name = bytes.fromhex(key)
            # The old value's place is not used again: damage may have given it to two keys.
            self._remove("key = ?", (name,))
            place = self._connection.execute("INSERT INTO payloads (value) VALUES (?)", (value,)).lastrowid
            row = name, now, len(value), place
            self._connection.execute("INSERT INTO entries VALUES (?, ?, ?, ?)", row)

    def rows(self) -> list[tuple[str, float, int]]:
        """Key, time of last use and bytes of all values."""
        with _lock:
            rows = self._connection.execute("SELECT key, used, size FROM entries").fetchall()
        return [
            (key.hex(), used, size)
            for key, used, size in rows
            if isinstance(key, bytes) and len(key) == 32 and isinstance(used, float) and _is_size(size)
        ]

    def remove(self, rows: Sequence[tuple[str, float]]) -> list[bool]:
        """Removes keys unless they were used since the time that is given with each; which it did."""
        removed: list[bool] = []
        for at in range(0, len(rows), _BATCH):
            with _lock, self._transaction():
                removed += [
                    self._remove("key = ? AND used = ?", (bytes.fromhex(key), used))
                    for key, used in rows[at : at + _BATCH]
                ]
        return removed

    def _remove(self, which: str, values: Sequence[Any]) -> bool:
        found = self._connection.execute(f"SELECT id FROM entries WHERE {which}", values).fetchone()
        if found:
            self._connection.execute("DELETE FROM payloads WHERE id = ?", found)
            self._connection.execute(f"DELETE FROM entries WHERE {which}", values)
        return found is not None

    def shrink(self) -> None:
        """Gives the room of what was removed back to the disk."""
        while self._pragma("freelist_count") > 0:
            before = self._pragma("freelist_count")
            with _lock:
                self._connection.execute(f"PRAGMA incremental_vacuum({_BATCH_PAGES})").fetchall()
            if self._pragma("freelist_count") >= before:
                break
        self._pragma("wal_checkpoint(TRUNCATE)")

    def fault(self) -> str:
        """What is wrong with the database's form, in SQLite's words; "" if nothing is."""
        try:
            found = str(self._pragma("quick_check(1)"))
        except sqlite3.Error as error:
            return str(error)
        return "" if found == "ok" else found.splitlines()[-1]

    def _pragma(self, name: str) -> Any:
        with _lock:
            return self._connection.execute(f"PRAGMA {name}").fetchone()[0]

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._connection.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):
                self._connection.execute("ROLLBACK")
            raise


def _close_all() -> None:
    for database in list(_open):
        database.close()


def _before_fork() -> None:
    _lock.acquire()
    _close_all()


os.register_at_fork(before=_before_fork, after_in_parent=_lock.release, after_in_child=_lock.release)
atexit.register(_close_all)


def _has_no_files(path: str) -> bool:
    """Whether a database, or what SQLite keeps beside it, is there and no plain file."""
    names = [path + ending for ending in _BESIDE]
    return any(os.path.lexists(name) and not os.path.isfile(name) and os.path.lexists(name) for name in names)


def _identity(path: str) -> tuple[int, int]:
    status = os.stat(path)
    return status.st_dev, status.st_ino


def _connect(path: str) -> sqlite3.Connection:
    """A connection to read and write; to read only, where the file system or its modes allow no more."""
    try:
        return _try(path, "mode=rw")
    except sqlite3.OperationalError:
        if os.access(path, os.W_OK) and os.access(os.path.dirname(path), os.W_OK):
            raise
        return _try(path, _LEFT_ALONE)


def _connect_to_read(path: str) -> sqlite3.Connection:
    """A connection that leaves all files as they are.

    Where nobody has the database open, SQLite would make the files beside it. It does not for one that is
    said not to change; should it change all the same, errors and damaged values show that.
    """
    in_use = os.path.exists(path + "-wal")
    return _try(path, "mode=ro" if in_use else _LEFT_ALONE)


def _try(path: str, how: str) -> sqlite3.Connection:
    quoted = os.path.abspath(path).replace("%", "%25").replace("?", "%3f").replace("#", "%23")
    connection = sqlite3.connect(
        f"file://{quoted}?{how}", uri=True, timeout=_PATIENCE, isolation_level=None, check_same_thread=False
    )
    try:
        for setting in (
            "synchronous = NORMAL",
            f"wal_autocheckpoint = {_CHECKPOINT_PAGES}",
            "secure_delete = OFF",
            "cell_size_check = ON",
            "trusted_schema = OFF",
        ):
            connection.execute(f"PRAGMA {setting}").close()
        connection.execute("SELECT key FROM entries LIMIT 1").fetchone()  # it is opened only now
    except BaseException:
        connection.close()
        _sweep(path)
        raise
    return connection


def _make(path: str) -> None:
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    with _lock:
        connection = sqlite3.connect(path, isolation_level=None)
        try:
            for statement in ("PRAGMA auto_vacuum = INCREMENTAL", "PRAGMA journal_mode = WAL", *_TABLES):
                connection.execute(statement).fetchall()
        finally:
            connection.close()


def _unlink(path: str) -> None:
    for ending in _BESIDE:
        with suppress(OSError):
            os.unlink(path + ending)


def _sweep(path: str) -> None:
    """Removes what SQLite puts beside a database that others have removed."""
    if not os.path.lexists(path):
        _unlink(path)


def drop(root: Path) -> None:
    """Takes the name of the database of a folder down and removes its files; nothing but plain files.

    Raises OSError where that cannot be done.
    """
    aside = temporary_name(os.path.join(root, LAYOUT))
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
            _unlink(path)


def _code(error: Exception) -> int | None:
    """SQLite's primary error code; None if there is none."""
    code = getattr(error, "sqlite_errorcode", None)
    return None if code is None else int(code) & 0xFF


class SqliteStore(FolderStore):
    """One database in a folder.

    Safe on a local file system: any number of readers and writers, in any number of threads and processes,
    also while values, the database or whole folders are being deleted. Each put is a transaction, so that
    nothing is lost when a process is killed. Readers never wait; of writers one writes at a time.

    Not safe: network file systems. SQLite's log needs memory that all processes share.

    Safe across forks, if nothing else in the process uses SQLite on the same file.
    """

    _database: Database | None = None
    _tried: str | None = None  # the file that was opened last, or was to be

    def get(self, key: str) -> bytes | None:
        check_key(key)
        return self._attempt(lambda: self._get(key), self._could_not_read)

    def put(self, key: str, value: bytes) -> None:
        check_key(key)
        if self.keeps:
            self._attempt(lambda: self._put(key, value), self._could_not_write)

    def close(self) -> None:
        """Notes times of use. The store may be used again afterwards."""
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
                drop(self.root)
        return self._database

    def _create(self) -> None:
        """Makes a database and puts up its name, unless another process does."""
        layout = os.path.join(self.root, LAYOUT)
        name = os.urandom(8).hex()
        path = os.path.join(layout, name + DATABASE_SUFFIX)
        try:
            try:
                _make(path)
            except FileNotFoundError:  # the first value in this folder, or the folder has vanished
                self._make_folders(layout)
                _make(path)
            temporary = temporary_name(layout)
            try:
                write_new(temporary, f"{name}\n".encode())
                os.link(temporary, pointer_path(self.root))
            except FileExistsError:
                _unlink(path)
            except OSError:  # a file system without hard links: there, of two firsts the second's is kept
                os.replace(temporary, pointer_path(self.root))
            finally:
                with suppress(OSError):
                    os.unlink(temporary)
        except BaseException:
            _unlink(path)
            raise

    def _attempt(self, action: Callable[[], T], complain: Callable[[object], None]) -> T | None:
        """Does something with the database, again if that can help; None if it cannot be done."""
        with _lock:
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
            drop(self.root)
        except OSError:
            return False
        why = self._reason(error)
        self._tell(f"cache folder {self.root} held a damaged database ({why}), which is begun anew")
        return True

    def _is_damage(self, error: Exception) -> bool:
        if isinstance(error, ValueError):
            return True
        path = self._path()
        if path and _has_no_files(path):
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
        layout = os.path.join(self.root, LAYOUT)
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
