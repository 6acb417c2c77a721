"""When a build began: what was changed after that may have been another thing when it was read."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterable, Sequence
from typing import Final

from nativecache.cache.since import Since

#: Changed so shortly before the build that the clock of the file system, which lags by up to 10 ms, may
#: show an earlier time for a change that came later.
_CLOCK_LAG_NS: Final = 20_000_000


class Start:
    """When a build began, and what there was then. In `busy` folders, and above, names come and go."""

    def __init__(self, busy: Sequence[str] = ()) -> None:
        self.time_ns = time.time_ns() - _CLOCK_LAG_NS
        self._epoch = _epoch_ns()
        self._mounts = _mounts()
        above = {path for folder in busy for path in _with_parents(os.path.abspath(folder))}
        self._busy = frozenset(filter(None, map(_identity, above)))

    def since(self) -> Since:
        """The build's beginning, as `changed_since` takes it to tell whether a dependency has changed."""
        mounts = _mounts()
        mounted = () if mounts == self._mounts else _mount_points(mounts ^ self._mounts)
        return Since(self.time_ns, mounted, self._busy)

    def clock_was_set(self) -> bool:
        """Whether the time of day has gone another way than time does, so that times of files say nothing."""
        return abs(_epoch_ns() - self._epoch) > _CLOCK_LAG_NS // 2


def _epoch_ns() -> int:
    """The time of day at which the clock that is never set began."""
    for _ in range(100):
        before = time.monotonic_ns()
        now = time.time_ns()
        if time.monotonic_ns() - before < _CLOCK_LAG_NS // 20:  # else another process ran meanwhile
            break
    return now - before


def _with_parents(folder: str) -> list[str]:
    parts = folder.split("/")
    return ["/".join(parts[:end]) or "/" for end in range(1, len(parts) + 1)]


def _identity(path: str) -> tuple[int, int] | None:
    try:
        is_now = os.stat(path)
    except OSError:
        return None
    return is_now.st_dev, is_now.st_ino


def _mounts() -> frozenset[str]:
    try:
        with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
            return frozenset(file)
    except OSError:
        return frozenset()


def _mount_points(lines: Iterable[str]) -> tuple[str, ...]:
    fields = [line.split(" ") for line in lines]
    points = {field[4] for field in fields if len(field) > 4}
    return tuple(re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), point) for point in points)
