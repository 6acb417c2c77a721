"""The two kinds of store that keep values in a folder, and how tests get behind their backs."""

import os
import sqlite3
from abc import ABC, abstractmethod
from contextlib import closing
from pathlib import Path
from typing import Any

from nativecache.cache.file_store import FileStore
from nativecache.cache.folder import find_entries
from nativecache.cache.folder_store import FolderStore
from nativecache.cache.layout import database_path, entry_path
from nativecache.cache.sqlite_store import SqliteStore


class Kind(ABC):
    """A kind of store, as `--store` names it."""

    name: str
    opens: type[FolderStore]

    def open(self, root: Path, **settings: Any) -> FolderStore:
        return self.opens(root, **settings)

    def used(self, root: Path, key: str) -> float:
        """When a value was last used, as pruning sees it."""
        (used,) = (found.used for found in find_entries(root) if found.key == key)
        return used

    @abstractmethod
    def set_used(self, root: Path, key: str, time: float) -> None:
        """Changes when a value was last used."""

    @abstractmethod
    def overwrite(self, root: Path, key: str, value: bytes) -> None:
        """Puts damaged bytes in place of a value."""


class Files(Kind):
    name = "files"
    opens = FileStore

    def set_used(self, root: Path, key: str, time: float) -> None:
        os.utime(entry_path(root, key), (time, time))

    def overwrite(self, root: Path, key: str, value: bytes) -> None:
        Path(entry_path(root, key)).write_bytes(value)


class Sqlite(Kind):
    name = "sqlite"
    opens = SqliteStore

    def set_used(self, root: Path, key: str, time: float) -> None:
        self.execute(root, "UPDATE entries SET used = ? WHERE key = ?", time, bytes.fromhex(key))

    def overwrite(self, root: Path, key: str, value: bytes) -> None:
        which = "(SELECT id FROM entries WHERE key = ?)"
        self.execute(root, f"UPDATE payloads SET value = ? WHERE id = {which}", value, bytes.fromhex(key))

    @staticmethod
    def file(root: Path) -> Path:
        """The database of a folder, which must have one."""
        return Path(database_path(root) or "none")

    def execute(self, root: Path, statement: str, *values: object) -> list[Any]:
        with closing(sqlite3.connect(self.file(root), isolation_level=None)) as connection:
            return connection.execute(statement, values).fetchall()


FILES, SQLITE = Files(), Sqlite()
KINDS = (FILES, SQLITE)
