"""The folder tree of a cache, drawn once.

    ROOT/                     made and marked by `make_folders`
      README.txt              what this folder is, for people
      CACHEDIR.TAG            has backup tools leave it out
      config.toml             settings (limits.py)
      v1/                     LAYOUT; holds a CACHEDIR.TAG of its own in a root that someone else made
        ab/cdef….o            the entry of key abcdef… (entry.py)
        packs/                many entries in a file each, HEX.pack, and when they were used (pack.py)
        database              the name of the database: 16 hex digits and a newline (sqlite_store.py)
        0123….sqlite          the database (database.py)
        pruned                which keys were pruned (evicted.py)
        prune.lock            held while pruning (prune.py)
        prune.stamp           modified when someone last looked for something to prune (folder.py)
        quarantine/           damaged entries that were set aside for people to look at
        statistics/           counters of what builds did (counters.py, statistics.py)
      N-N-HEX.tmp             what a writer is at, here and in v1 and below (files.py)

This module is loaded before anything else, to answer in no time when nothing has changed: it imports little.
"""

import os

from nativecache.cache.files import make_folder, read_plain, write_file
from nativecache.cache.format import check_key

#: Another layout gets another name, so that both can share one root.
LAYOUT = "v1"
CONFIG_NAME = "config.toml"
TAG_NAME = "CACHEDIR.TAG"
DATABASE_SUFFIX = ".sqlite"
QUARANTINE = "quarantine"
PACKS = "packs"
PRUNE_LOCK = "prune.lock"
PRUNE_STAMP = "prune.stamp"

_ENTRY_SUFFIX = ".o"
_README = b"""\
This folder is the cache of nativecache. It holds only what can be made again:
it is safe to delete, as a whole or in part, at any time.
"""
CACHEDIR_TAG = b"""\
Signature: 8a477f597d28d172789f06886806bc55
# This file marks a cache folder, made by nativecache, for backup tools to leave out.
# For information see https://bford.info/cachedir/
"""


def layout_folder(root: "str | os.PathLike[str]") -> str:
    """The folder within a cache folder that holds all but settings."""
    return os.path.join(root, LAYOUT)


def entry_name(key: str) -> str:
    """The path of an entry from the root, with slashes. Raises ValueError for a malformed key."""
    check_key(key)
    return f"{LAYOUT}/{key[:2]}/{key[2:]}{_ENTRY_SUFFIX}"


def entry_path(root: "str | os.PathLike[str]", key: str) -> str:
    """The file of an entry in a cache folder. Raises ValueError for a malformed key."""
    check_key(key)
    return os.path.join(root, LAYOUT, key[:2], key[2:] + _ENTRY_SUFFIX)


def pointer_path(root: "str | os.PathLike[str]") -> str:
    """The file that names a cache folder's database, if it has one."""
    return os.path.join(root, LAYOUT, "database")


def database_path(root: "str | os.PathLike[str]", pointer: "bytes | None" = None) -> "str | None":
    """The file of the database that `pointer`, by default the folder's, names; None if there is none.

    Raises OSError where the pointer cannot be read, ValueError where what it says is no database's name.
    """
    if pointer is None:
        try:
            pointer, _ = read_plain(pointer_path(root))
        except FileNotFoundError:
            return None
    if len(pointer) != 17 or pointer[16:] != b"\n" or pointer[:16].strip(b"0123456789abcdef"):
        raise ValueError("the name of the database is damaged")
    return os.path.join(root, LAYOUT, pointer[:16].decode() + DATABASE_SUFFIX)


def packs_folder(root: "str | os.PathLike[str]") -> str:
    """The folder of a cache folder's packs."""
    return os.path.join(root, LAYOUT, PACKS)


def evicted_path(root: "str | os.PathLike[str]") -> str:
    """The file that lists a cache folder's evicted keys."""
    return os.path.join(root, LAYOUT, "pruned")


def statistics_folder(root: "str | os.PathLike[str]") -> str:
    """The folder of a cache folder's counters."""
    return os.path.join(root, LAYOUT, "statistics")


def make_folders(root: str) -> None:
    """Makes a cache folder, if there is none, and marks it as one. Raises OSError."""
    # A root that someone else made is not marked: it may hold more than a cache,
    # and the tag would keep all of it out of backups. The folder that we make in it is.
    made = make_folder(root)
    if made:
        write_file(os.path.join(root, "README.txt"), _README)
    layout = layout_folder(root)
    if make_folder(layout) and not made:
        write_file(os.path.join(layout, TAG_NAME), CACHEDIR_TAG)
    elif made:
        write_file(os.path.join(root, TAG_NAME), CACHEDIR_TAG)
