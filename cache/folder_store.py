"""What stores in a folder share: how they are made, told of failures, and when a use is noted."""

import itertools
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path

from nativecache.cache.files import make_folder
from nativecache.cache.layout import make_folders

# Pruning looks at the time of last use in days, so an hour is exact enough and saves
# a write to disk for nearly every hit.
_TOUCH_SECONDS = 3600


def print_warning(message: str) -> None:
    """What a store does with a failure where nobody says otherwise."""
    print(f"nativecache: warning: {message}", file=sys.stderr)


class FolderStore(ABC):
    """A store in a folder: has a mode, warns once, and makes folders when first needed, mode 0700.

    `read_only`: nothing is put, and no time of use is noted. The first failure of a store to read or write
    is given to `warn`, the following are not; they rarely have another cause. It goes on trying all the
    same: a full disk may be cleared in the meantime.
    """

    def __init__(
        self,
        root: Path,
        *,
        read_only: bool = False,
        clock: Callable[[], float] = time.time,
        warn: Callable[[str], None] = print_warning,
    ) -> None:
        self.root = root
        self.keeps = not read_only
        self._clock = clock
        self._warn = warn
        self._told = itertools.count()
        self.failed = False  # whether anything could not be read or written

    #: Whether a value is a file, which other tools open: see BuildStore.
    opened_by_tools = True

    @abstractmethod
    def get(self, key: str) -> bytes | None:
        """The value last put under `key`, or None."""

    @abstractmethod
    def put(self, key: str, value: bytes) -> None:
        """Keep `value` under `key`, in place of what was there, if that can be done."""

    def close(self) -> None:
        """Writes what still waits to be written. The end of the process does that too."""
        return

    def _is_stale(self, used: float) -> bool:
        """Whether a time of last use is to be noted anew. One in the future is wrong: it is set right."""
        return self.keeps and abs(self._clock() - used) >= _TOUCH_SECONDS

    def _make_folders(self, folder: str) -> None:
        make_folders(str(self.root))
        make_folder(folder)

    def _could_not_read(self, reason: object) -> None:
        self.warn_once(f"cache folder {self.root} cannot be read: {reason}; building without what is in it")

    def _could_not_write(self, reason: object) -> None:
        self.warn_once(f"cache folder {self.root} cannot be written: {reason}; building without storing")

    def pass_failures(self, warn: Callable[[str], None]) -> None:
        """Has the first failure told to `warn`: in a forked process, which is to pass it on."""
        self._warn = warn

    def warn_once(self, failure: str) -> None:
        """Gives a failure to `warn` if it is the first; also one that a forked process met."""
        self.failed = True
        self._tell(failure)

    def _tell(self, message: str) -> None:
        if next(self._told) == 0:
            self._warn(message)
