"""Whether what a build read was the same ever since it began, by the times that file systems keep.

A dependency that was observed after its subject was read says nothing about what was read, unless it is
unchanged since.
"""

from __future__ import annotations

import os
import sys
import time

from nativecache.cache.dependencies import SEARCHES, Dependency, StatCache, found_paths

#: By how much the clock that file systems go by may lag, if it is not known which it is.
CLOCK_LAG_NS = 20_000_000
_COARSE_CLOCK = 5  # Linux's CLOCK_REALTIME_COARSE, which Python does not name
_COARSE_NS = 2_000_000_000  # what file systems without fractions of a second may be off
_FINE_NS = 10_000_000  # the same for those with hundredths (exFAT)


class Moment:
    """A moment as clocks and the list of mounts had it: what was changed after it can be told, later."""

    def __init__(self) -> None:
        self.time_ns = files_time_ns()
        self.epoch_ns = epoch_ns()
        self.mounts = read_mounts()
        #: Devices and inodes of the working folder and of those above it.
        self.folders = frozenset(filter(None, map(identity, folders_above("."))))


def files_time_ns() -> int:
    """A time that no file which is changed from now on has or is before, by a clock that may lag.

    Linux takes times of files from a clock that goes on by ticks, a hundredth of a second at the most, and
    has it to be read: what was written a moment ago is then known to be older, which a sure margin below the
    time of day would hide. One more tick is taken off.
    """
    if sys.platform == "linux":
        tick = round(time.clock_getres(_COARSE_CLOCK) * 1e9)
        if 1_000_000 <= tick < CLOCK_LAG_NS:  # else something that is like Linux is beneath
            return time.clock_gettime_ns(_COARSE_CLOCK) - tick
    return time.time_ns() - CLOCK_LAG_NS


def folders_above(folder: str) -> list[str]:
    """The absolute paths of a folder and of all that it is in."""
    try:
        parts = os.path.abspath(folder).split("/")
    except OSError:  # the working folder is gone
        return []
    return ["/".join(parts[:end]) or "/" for end in range(1, len(parts) + 1)]


def identity(path: str) -> tuple[int, int] | None:
    """The device and inode of a file, None where there is none."""
    try:
        is_now = os.stat(path)
    except OSError:
        return None
    return is_now.st_dev, is_now.st_ino


class Seen:
    """What was measured since a moment: a build that counts from then need not measure it again."""

    def __init__(self) -> None:
        self.moment = Moment()
        self.memo: StatCache = {}


def epoch_ns() -> int:
    """The time of day at which the clock that is never set began."""
    for _ in range(100):
        before = time.monotonic_ns()
        now = time.time_ns()
        if time.monotonic_ns() - before < CLOCK_LAG_NS // 20:  # else another process ran meanwhile
            break
    return now - before


def read_mounts() -> frozenset[str]:
    """The lines of the list of file systems that are mounted."""
    try:
        with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
            return frozenset(file)
    except OSError:
        return frozenset()


class Since:
    """A time since when subjects of dependencies must not have changed, for they were read after it.

    `time_ns`: of the file systems' clock. `mounted`: where file systems were mounted or unmounted since.
    `busy`: devices and inodes of folders that were where they are then, though they may be written to.
    """

    def __init__(
        self,
        time_ns: int,
        mounted: tuple[str, ...] = (),
        busy: frozenset[tuple[int, int]] = frozenset(),
    ) -> None:
        self.time_ns, self.mounted, self.busy = time_ns, mounted, busy
        self._stand: dict[str, bool] = {}

    def stands(self, path: str) -> bool:
        """Whether a path has led to the same file, with the same content, all the time.

        Every folder and symbolic link on the way is asked. A path that leads nowhere stands.

        A folder that is renamed keeps all times but that of its last change of status (ctime), and so does
        its content; the folders that it is in are changed. Where names come and go in a folder, its
        modification time changes with its status time: then it was not renamed after that, and not before
        either, if nothing has changed in the folder that it is in.
        """
        if self.mounted:
            real = os.path.realpath(path)
            if any(real == at or real.startswith(at.rstrip("/") + "/") for at in self.mounted):
                return False
        return self._stands(path)

    def has(self, folder: str) -> bool:
        """Whether a folder has had the same names in it all the time."""
        try:
            return not self._changed(os.stat(folder).st_ctime_ns)
        except OSError:
            return True

    def _stands(self, path: str) -> bool:
        path = path.rstrip("/")
        if path in ("", "."):  # the root, or our own folder, which is ours wherever it is moved
            return True
        known = self._stand.get(path)
        if known is None:
            self._stand[path] = True  # where links go round in circles
            known = self._stand[path] = self._ask(path)
        return known

    def _ask(self, path: str) -> bool:
        cut = path.rfind("/")
        parent, name = path[: max(cut, 0)], path[cut + 1 :]
        above = parent or ("/" if cut == 0 else ".")
        if not self._stands(parent):
            return False
        if name == "..":
            return self._folder_stands(above)  # it leads elsewhere where that was moved
        try:
            is_now = os.lstat(path)
        except OSError:
            return True
        kind = is_now.st_mode & 0o170000
        if kind == 0o040000:
            return self._folder_stands(path)
        if self._changed(is_now.st_ctime_ns):
            return False
        return kind != 0o120000 or self._stands(os.path.join(parent, os.readlink(path)))

    def _folder_stands(self, path: str) -> bool:
        try:
            is_now, around = os.stat(path), os.stat(f"{path}/..")
        except OSError:
            return True
        if not self._changed(is_now.st_ctime_ns):
            return True
        if is_now.st_mtime_ns != is_now.st_ctime_ns:
            return False  # the last that happened to it was no name that came or went
        return not self._changed(around.st_mtime_ns) or (is_now.st_dev, is_now.st_ino) in self.busy

    def _changed(self, time_ns: int) -> bool:
        if time_ns % _FINE_NS == 0:  # it may have been cut off
            time_ns += _FINE_NS if time_ns % 1_000_000_000 else _COARSE_NS
        return time_ns >= self.time_ns


def changed_since(dependency: Dependency, since: Since) -> str:
    """What of a dependency's subjects may have changed since a time, or "" if all was the same ever after.

    One observed after its subject was read says nothing about what was read unless it is unchanged since. Nor
    does one about a file that is not there any more.
    """
    kind, value, subjects = dependency
    if kind == "said":
        return ""  # it was asked when it was to be heard
    if kind in SEARCHES:
        paths = [*subjects[: subjects.index("")], *found_paths(subjects, {})]
    elif kind == "same":
        paths = list(subjects)
    elif kind == "names":
        return "" if since.stands(subjects[0]) and since.has(subjects[0]) else subjects[0]
    elif value == "":
        return subjects[0]
    else:
        paths = [subjects[0]]
    return next((path for path in paths if not since.stands(path)), "")


def unchanged_since(dependency: Dependency, since: Since | int) -> bool:
    """Whether a dependency's subjects were the same ever since a time, given in nanoseconds or in full."""
    return not changed_since(dependency, since if isinstance(since, Since) else Since(since))
