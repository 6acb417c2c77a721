"""Evicted keys: which entries were pruned, so that a miss can be told that would have been a hit.

A file of eight bytes a key, oldest first, bounded. Losing it, or damage, costs an explanation only.
Readers need no lock; who adds holds that of pruning.
"""

from array import array
from collections.abc import Iterable
from pathlib import Path

from nativecache.cache.files import read_plain, write_file
from nativecache.cache.layout import evicted_path

#: 256 KiB; read in 2 ms, and only where something was pruned and something is missing.
LIMIT = 32768

_SIZE = 8


def short_key(key: str) -> int:
    """The first 8 bytes of the key; collisions are negligible."""
    return int.from_bytes(bytes.fromhex(key[: 2 * _SIZE]), "little")


def read_evicted(root: Path) -> set[int]:
    """The short keys of entries pruned from a cache folder; none where there is no such list."""
    return set(_read(root))


def add_evicted(root: Path, keys: Iterable[str]) -> None:
    """Notes that entries were pruned, forgetting the oldest. Nothing happens where that cannot be written.

    Whoever calls this holds the lock of pruning.
    """
    both = list(dict.fromkeys((*_read(root), *map(short_key, keys))))[-LIMIT:]
    try:
        write_file(evicted_path(root), b"".join(one.to_bytes(_SIZE, "little") for one in both))
    except OSError:
        return


def _read(root: Path) -> "array[int]":
    found = array("Q")
    try:
        data = read_plain(evicted_path(root))[0][: LIMIT * _SIZE]
    except OSError:
        return found
    found.frombytes(data[: len(data) // _SIZE * _SIZE])
    if _IS_BIG_ENDIAN:
        found.byteswap()
    return found


_IS_BIG_ENDIAN = array("H", [1]).tobytes() == b"\0\1"
