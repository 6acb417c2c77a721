"""An open SQLite database of values by key; `sqlite_store.py` says where it is and what damage does.

Times of last use change often and values seldom, so they are in tables of their own.

SQLite must not be carried through a fork: the child would take the locks of its parent for its own. So all
databases of a process are closed before each fork, and opened again when they are next asked for something.

What a power cut spares is whole: SQLite syncs the log before it writes it into the database (one second of
writing costs a few milliseconds of that), since damage would cost all values, and not one as with files.

This module imports sqlite3, which takes 4 ms: import it where there is a database only.
"""

import atexit
import errno
import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any
from weakref import WeakSet

from nativecache.cache.shape import whole

#: Seconds to wait for another process's write; each takes less than a millisecond, a checkpoint some more.
_PATIENCE = 10.0
#: Pages of log, 16 MiB, after which it is written into the database: a build seldom does that, and syncs.
_CHECKPOINT_PAGES = 4096
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

#: Held over all connections of the process: a fork waits until none is in use.
lock = threading.RLock()
_open: "WeakSet[Database]" = WeakSet()


class Database:
    """An open SQLite database of values, closed when nobody has it any more. Methods raise sqlite3.Error."""

    is_open = False

    def __init__(self, path: str, *, read_only: bool) -> None:
        """Raises OSError where it, or what is beside it, is no plain file; FileNotFoundError for no file."""
        self.path = path
        self._identity = _identity(path)
        # SQLite would wait for a FIFO.
        if has_special_file(path):
            raise OSError(errno.EINVAL, "Not a plain file", path)
        self._stale: dict[bytes, float] = {}  # times of use that are to be noted
        with lock:
            self._connection = _connect_to_read(path) if read_only else _connect(path)
            self.is_open = True
            _open.add(self)

    def is_there(self) -> bool:
        """Whether the database is open, and its file still the one that its path names."""
        try:
            return self.is_open and _identity(self.path) == self._identity
        except OSError:
            return False

    def close(self) -> None:
        """Writes the noted times of use and closes the database. Nothing is raised."""
        with lock:
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
        """The value of a key, and when it was last used; None if there is none."""
        with lock:
            row = self._connection.execute(
                "SELECT value, used FROM entries JOIN payloads USING (id) WHERE key = ?",
                (bytes.fromhex(key),),
            ).fetchone()
        if row is None or not isinstance(row[0], bytes) or not isinstance(row[1], float):
            return None  # or damaged: then the next put replaces it
        return row[0], row[1]

    def touch(self, key: str, now: float) -> None:
        """Notes that a key was used; that is written at the latest when the database is closed."""
        self._stale[bytes.fromhex(key)] = now

    def put(self, key: str, value: bytes, now: float) -> None:
        """Keeps a value under a key in place of what was there, in a transaction of its own."""
        with lock, self._transaction():
            name = bytes.fromhex(key)
            # The old value's place is not used again: damage may have given it to two keys.
            self._remove("key = ?", (name,))
            place = self._connection.execute("INSERT INTO payloads (value) VALUES (?)", (value,)).lastrowid
            row = name, now, len(value), place
            self._connection.execute("INSERT INTO entries VALUES (?, ?, ?, ?)", row)

    def rows(self) -> list[tuple[str, float, int]]:
        """Key, time of last use (seconds since the epoch) and size in bytes of all values."""
        with lock:
            rows = self._connection.execute("SELECT key, used, size FROM entries").fetchall()
        return [
            (key.hex(), used, size)
            for key, used, size in rows
            if isinstance(key, bytes) and len(key) == 32 and isinstance(used, float) and _is_size(size)
        ]

    def remove(self, rows: Sequence[tuple[str, float]]) -> list[bool]:
        """Deletes keys, each given with its time of last use, that were not used since; which it deleted."""
        removed: list[bool] = []
        for at in range(0, len(rows), _BATCH):
            with lock, self._transaction():
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
        """Gives the room of deleted values back to the disk."""
        while self._pragma("freelist_count") > 0:
            before = self._pragma("freelist_count")
            with lock:
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
        with lock:
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
    lock.acquire()
    _close_all()


os.register_at_fork(before=_before_fork, after_in_parent=lock.release, after_in_child=lock.release)
atexit.register(_close_all)


def has_special_file(path: str) -> bool:
    """Whether a database's path, or that of a file that SQLite keeps beside it, names no plain file."""
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


def make_database(path: str) -> None:
    """Makes an empty database where no file is. Raises OSError and sqlite3.Error."""
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    with lock:
        connection = sqlite3.connect(path, isolation_level=None)
        try:
            for statement in ("PRAGMA auto_vacuum = INCREMENTAL", "PRAGMA journal_mode = WAL", *_TABLES):
                connection.execute(statement).fetchall()
        finally:
            connection.close()


def remove_database(path: str) -> None:
    """Removes the files of a database, as far as that can be done."""
    for ending in _BESIDE:
        with suppress(OSError):
            os.unlink(path + ending)


def _sweep(path: str) -> None:
    """Removes what SQLite puts beside a database that others have removed."""
    if not os.path.lexists(path):
        remove_database(path)
