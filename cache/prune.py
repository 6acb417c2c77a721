"""Pruning: brings a cache folder under its limits, and costs builds nothing.

What was not used for longer than the greatest age goes first. If what is left is too much or too many,
that goes which is worth least: the milliseconds that a hit saves, halved for every day since the last use,
per byte of the disk, or per entry if only their number is too great. The time of use is noted hourly.
Pruning goes on to nine tenths of a limit, so that the next build does not need it again.

Entries whose metadata name no milliseconds are notes about many things at once: losing one makes the
next build of that slower, not wrong. They count as worth a typical amount (`_UNSAID`).

What is left is packed (packing.py), and packs are made anew without what was removed.

One process prunes at a time, whoever comes second lets it be. Builds go on meanwhile: an entry that was
used after it was looked at stays, one that vanishes under a reader is a miss.

Clocks may be wrong. Where nobody has pruned for longer than the greatest age, either no build has had a
chance to use an entry, or the clock has jumped; then the first automatic look leaves age out, and builds
have until the next to show what is in use. (ccache and Go's cache go by the clock alone: one build under a
clock that is years ahead empties them.) A time of use in the future is never too old, and the next use sets
it right.
"""

import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from nativecache.cache.counters import add_counts
from nativecache.cache.entry import CorruptEntry
from nativecache.cache.evicted import add_evicted
from nativecache.cache.folder import find_abandoned, find_entries, find_quarantined, remove
from nativecache.cache.found import Found, occupied
from nativecache.cache.in_packs import open_packs
from nativecache.cache.layout import PRUNE_LOCK, layout_folder
from nativecache.cache.limits import Limits
from nativecache.cache.pack import LONGEST
from nativecache.cache.packing import merge_packs, pack_files

#: How much of a limit is left after pruning for it.
_TARGET = 0.9
#: After so many seconds without use an entry is worth half.
_HALF_LIFE = 24 * 3600
#: Milliseconds per byte of what does not say: 1.2 s for sqlite3.c's 3.3 MB of compressed IR, 2.1 s for 5.9 MB
#: of cleaned-up functions. Objects are worth four times that: 10.9 s for 6.4 MB.
_UNSAID = 0.4 / 1024

#: Entries that are removed before that is noted: who ends a prune loses no more.
_SLICE = 2048


@dataclass(frozen=True, slots=True)
class Pruned:
    """What a prune removed and left: entries, their bytes, and abandoned temporary files."""

    entries: int
    size: int
    temporaries: int
    entries_left: int
    size_left: int


def prune(root: Path, limits: Limits, *, now: float | None = None, pause: float = 0) -> Pruned | None:
    """Applies limits to a cache folder; None if another process does, or the folder cannot be written to.

    `pause`: seconds since it was last done, where that is for the clock to say and not for the user.
    """
    if limits.max_age is not None and pause > limits.max_age:
        limits = limits._replace(max_age=None)
    layout = layout_folder(root)
    if not os.path.isdir(layout):
        return Pruned(0, 0, 0, 0, 0)
    try:
        with FileLock(os.path.join(layout, PRUNE_LOCK), timeout=0, mode=0o600):
            return _prune(root, limits, time.time() if now is None else now)
    except (OSError, Timeout, NotImplementedError):  # the last: a file system without locks
        return None


def _prune(root: Path, limits: Limits, now: float) -> Pruned:
    temporaries = remove(find_abandoned(root, now))
    entries = list(find_entries(root))
    old, rest = _by_age(entries, limits.max_age, now)
    remove(_by_age(find_quarantined(root), limits.max_age, now)[0])
    gone: list[Found] = []
    doomed = [*old, *_too_much(rest, limits, now)]
    for at in range(0, len(doomed), _SLICE):
        removed = remove(doomed[at : at + _SLICE])
        if removed:
            add_evicted(root, (found.key for found in removed))
            add_counts(root, {"pruned": len(removed), "pruned_bytes": sum(found.size for found in removed)})
        gone += removed
    _pack(root)
    size = sum(found.size for found in gone)
    left = len(entries) - len(gone), sum(found.size for found in entries) - size
    return Pruned(len(gone), size, len(temporaries), *left)


def _pack(root: Path) -> None:
    """Packs what is left, and makes one pack of many."""
    files = (
        found.key for found in find_entries(root) if type(found) is Found and found.size <= occupied(LONGEST)
    )
    pack_files(root, sorted(files))
    merge_packs(open_packs(root))


def _by_age(files: Iterable[Found], max_age: float | None, now: float) -> tuple[list[Found], list[Found]]:
    """What is too old, and the rest."""
    old: list[Found] = []
    rest: list[Found] = []
    for found in files:
        (old if max_age is not None and now - found.used > max_age else rest).append(found)
    return old, rest


def _too_much(entries: list[Found], limits: Limits, now: float) -> Iterator[Found]:
    """Entries to remove, those of least worth first, if there are more than there may be."""
    size, files = sum(found.size for found in entries), len(entries)
    too_big = limits.max_size is not None and size > limits.max_size
    too_many = limits.max_files is not None and files > limits.max_files
    if not too_big and not too_many:
        return
    size_target = size if limits.max_size is None else limits.max_size * _TARGET
    files_target = files if limits.max_files is None else limits.max_files * _TARGET
    if not too_big:
        size_target = size
    if not too_many:
        files_target = files

    def worth_of_room(found: Found) -> tuple[float, float]:
        return worth(found, now) / (max(found.size, 1) if too_big else 1), found.used

    for found in sorted(entries, key=worth_of_room):
        if size <= size_target and files <= files_target:
            return
        size -= found.size
        files -= 1
        yield found


def worth(found: Found, now: float) -> float:
    """Milliseconds that an entry saves, less with every day of no use; 0 if it is damaged."""
    try:
        milliseconds = found.milliseconds()
    except (OSError, CorruptEntry):
        return 0.0
    if milliseconds is None:
        milliseconds = _UNSAID * found.size
    return float(milliseconds * 0.5 ** (max(0.0, now - found.used) / _HALF_LIFE))
