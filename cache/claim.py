"""When a cache folder is to be pruned next, and by whom. Every build asks: this imports little."""

import os
from contextlib import suppress
from pathlib import Path

from nativecache.cache.files import write_new
from nativecache.cache.layout import LAYOUT, PRUNE_STAMP

#: Automatic pruning looks at most so often, in seconds.
_PRUNE_INTERVAL = 3600


def claim_pruning(root: Path, now: float) -> float | None:
    """Claims the hourly prune: seconds since the last one, or None if it is not due.

    Whoever gets seconds is to prune; others are told that it is not due for another hour. It is not due in a
    folder that nobody asked about before, which is as good as new, nor where the claim cannot be noted. A
    last prune in the future counts by its distance: some clock was wrong.
    """
    stamp = os.path.join(root, LAYOUT, PRUNE_STAMP)
    with suppress(OSError):
        pause = abs(now - os.stat(stamp).st_mtime)
        if pause < _PRUNE_INTERVAL:
            return None
        os.utime(stamp, (now, now))
        return pause
    with suppress(OSError):
        write_new(stamp, b"")
        os.utime(stamp, (now, now))
    return None
