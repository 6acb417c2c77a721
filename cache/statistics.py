"""The sums of all runs' counters: read, folded together, set to zero.

Logs of days that are long over are folded into one file under a lock. First they are renamed, so that no
run adds to them any more; then the sum is written, with the names of what is in it; then they are removed.
Killed at any point, the next fold goes on from there and counts nothing twice. Where anything cannot be
read, nothing is folded: another time it may be.
"""

import hashlib
import json
import os
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from filelock import FileLock, Timeout

from nativecache.cache.counters import LOG_SUFFIX, read_line
from nativecache.cache.files import read_plain, write_file
from nativecache.cache.layout import statistics_folder
from nativecache.cache.shape import Malformed, list_of, mapping, read_json, row, text, whole

#: A run that began on one day, with a clock that is off, may add to its log a little later.
_OPEN_SECONDS = 2 * 24 * 3600

_FOLDED_SUFFIX = ".folded"
_TOTAL, _LOCK = "total", "lock"

#: Counts by name by day; names of logs that are in them; how many records were damaged.
_TOTAL_SHAPE = row(mapping(mapping(whole(-(2**63)))), list_of(text()), whole())


@dataclass(slots=True)
class Statistics:
    """Counts by day, as `2026-11-20` in UTC, and how many damaged records were left out."""

    days: dict[str, Counter[str]] = field(default_factory=dict)
    damaged: int = 0

    @property
    def total(self) -> Counter[str]:
        """The counts of all days together."""
        both: Counter[str] = Counter()
        for counts in self.days.values():
            both.update(counts)
        return both

    def _add(self, day: str, counts: dict[str, int]) -> None:
        self.days.setdefault(day, Counter()).update(counts)


def read_statistics(root: Path) -> Statistics:
    """The counts of all runs that have ended in a cache folder. It needs no lock, and writes nothing."""
    folder = statistics_folder(root)
    before = _state(folder)
    while True:
        found = _sum_of_state(folder, *before)
        after = _state(folder)
        if after == before:
            return found
        before = after  # something was folded meanwhile


def fold_statistics(root: Path, *, now: float | None = None, timeout: float = 0) -> None:
    """Folds logs of days that are over into one file, unless another process is at it."""
    folder = statistics_folder(root)
    oldest = time.strftime("%Y-%m-%d", time.gmtime((now or time.time()) - _OPEN_SECONDS))
    with suppress(OSError, Timeout), _locked(folder, timeout):
        total = _read_if_there(os.path.join(folder, _TOTAL))
        for name in _read_total(total)[1]:
            if name.endswith(_FOLDED_SUFFIX) and os.sep not in name:
                with suppress(FileNotFoundError):
                    os.unlink(os.path.join(folder, name))
        for name in _names(folder, LOG_SUFFIX):
            if name < oldest:
                folded = f"{name.removesuffix(LOG_SUFFIX)}-{os.urandom(8).hex()}{_FOLDED_SUFFIX}"
                os.rename(os.path.join(folder, name), os.path.join(folder, folded))
        names = _names(folder, _FOLDED_SUFFIX)
        if names:
            logs = {name: _read_if_there(os.path.join(folder, name)) for name in names}
            _write_total(folder, _sum(total, logs), names)
            for name in names:
                os.unlink(os.path.join(folder, name))


def zero_statistics(root: Path, *, timeout: float = 5) -> bool:
    """Sets all counters to zero; False if the lock was held for too long, or they cannot be removed."""
    folder = statistics_folder(root)
    if not os.path.isdir(folder):
        return True
    try:
        with _locked(folder, timeout):
            for name in (_TOTAL, *_names(folder, LOG_SUFFIX), *_names(folder, _FOLDED_SUFFIX)):
                with suppress(FileNotFoundError):
                    os.unlink(os.path.join(folder, name))
    except (OSError, Timeout):
        return False
    return True


@contextmanager
def _locked(folder: str, timeout: float) -> Iterator[None]:
    if not os.path.isdir(folder):
        raise FileNotFoundError(folder)  # a lock would make the folder
    try:
        with FileLock(os.path.join(folder, _LOCK), timeout=timeout, mode=0o600):
            yield
    except NotImplementedError as error:  # a file system without locks
        raise OSError(str(error)) from None


def _names(folder: str, suffix: str) -> list[str]:
    try:
        return sorted(name for name in os.listdir(folder) if name.endswith(suffix))
    except OSError:  # there is none, or it is closed to us
        return []


def _sum_of_state(folder: str, total: bytes, open_logs: list[str], waiting: list[str]) -> Statistics:
    """The sum of all that can be read."""
    logs, unread = {}, 0
    for name in (*waiting, *open_logs):
        try:
            logs[name] = read_plain(os.path.join(folder, name))[0]
        except OSError:  # closed to us, or no file
            unread += 1
    found = _sum(total, logs)
    found.damaged += unread
    return found


def _sum(total: bytes, logs: Mapping[str, bytes]) -> Statistics:
    """What is in the total and in logs beside it, those left out that are in the total already."""
    days, counted, damaged = _read_total(total)
    found = Statistics({day: Counter(counts) for day, counts in days.items()}, damaged)
    for name, log in logs.items():
        if name in counted:
            continue
        for line in filter(None, log.split(b"\n")):
            try:
                found._add(name[: len("2026-11-20")], read_line(line))
            except ValueError:
                found.damaged += 1
    return found


def _state(folder: str) -> tuple[bytes, list[str], list[str]]:
    """What changes when logs are folded."""
    total = b""
    with suppress(OSError):
        total = _read_if_there(os.path.join(folder, _TOTAL))
    return total, _names(folder, LOG_SUFFIX), _names(folder, _FOLDED_SUFFIX)


def _read_if_there(path: str) -> bytes:
    try:
        return read_plain(path)[0]
    except FileNotFoundError:
        return b""


def _read_total(data: bytes) -> tuple[dict[str, dict[str, int]], list[str], int]:
    """Counts by day, the logs that are in them, and how often they were damaged. Damage resets them."""
    digest, _, body = data.partition(b"\n")
    if not data:
        return {}, [], 0
    if digest != hashlib.sha256(body).hexdigest().encode():
        return {}, [], 1
    try:
        days, counted, damaged = read_json(body, _TOTAL_SHAPE)
    except Malformed:
        return {}, [], 1
    return days, counted, damaged


def _write_total(folder: str, found: Statistics, counted: list[str]) -> None:
    body = json.dumps([found.days, counted, found.damaged], sort_keys=True).encode()
    write_file(os.path.join(folder, _TOTAL), hashlib.sha256(body).hexdigest().encode() + b"\n" + body)
