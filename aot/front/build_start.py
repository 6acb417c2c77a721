"""When a build began: what was changed after that may have been another thing when it was read."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from nativecache.cache.since import (
    CLOCK_LAG_NS,
    Moment,
    Since,
    epoch_ns,
    folders_above,
    identity,
    read_mounts,
)


class Start:
    """When a build began, and what there was then. In `busy` folders, and above, names come and go.

    `moment`: when it began, if not just now; folders that may have been others then are not taken for busy.
    """

    def __init__(self, busy: Sequence[str] = (), moment: Moment | None = None) -> None:
        self._moment = moment or Moment()
        self.time_ns = self._moment.time_ns
        self._busy = self._moment.folders
        since = self.since()
        above = {path for folder in busy for path in folders_above(folder)}
        stood = (path for path in above if not moment or since.stands(path))
        self._busy |= frozenset(filter(None, map(identity, stood)))

    def since(self) -> Since:
        """The build's beginning, as `changed_since` takes it to tell whether a dependency has changed."""
        before, now = self._moment.mounts, read_mounts()
        mounted = () if now == before else _mount_points(now ^ before)
        return Since(self.time_ns, mounted, self._busy)

    def clock_was_set(self) -> bool:
        """Whether the time of day has gone another way than time does, so that times of files say nothing."""
        return abs(epoch_ns() - self._moment.epoch_ns) > CLOCK_LAG_NS // 2


def _mount_points(lines: Iterable[str]) -> tuple[str, ...]:
    fields = [line.split(" ") for line in lines]
    points = {field[4] for field in fields if len(field) > 4}
    return tuple(re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), point) for point in points)
