"""Counters: what each run did, appended as one line to a file of the day, without a lock.

    ROOT/v1/statistics/2026-11-20.log      lines of  name=N name=N … DIGEST
    ROOT/v1/statistics/total               days that are over, summed by `statistics.py`

Any number of processes append: the system puts what one write gives to the end of a file in one piece
(on local file systems). So nothing is lost, nothing waits, and a sum over the lines is exact. A line
begins with a newline too: one that a full disk cut short spoils none but itself, which its digest shows.

This module is loaded by runs that do next to nothing: it imports only what is as quick to load.
"""

import os
import time

from nativecache.cache.layout import layout_folder, statistics_folder
from nativecache.cache.sha256 import sha256

TYPE_CHECKING = False  # typing's, whose import would take longer than all that is done here
if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

LOG_SUFFIX = ".log"

_DIGEST_LENGTH = 8
_MOST = 2**62

_O_NONBLOCK: int = getattr(os, "O_NONBLOCK", 0)  # a FIFO without a reader is refused, not waited for


def add_counts(root: "str | Path", counts: "Mapping[str, int]", *, now: float | None = None) -> None:
    """Adds a run's counts to those of the cache folder. Where that cannot be done, nothing happens.

    Names are free of blanks and `=`. 0.05 ms.
    """
    day = time.strftime("%Y-%m-%d", time.gmtime(now))
    folder = statistics_folder(root)
    line = _line(counts)
    try:
        try:
            _append(os.path.join(folder, day + LOG_SUFFIX), line)
        except FileNotFoundError:
            if not os.path.isdir(layout_folder(root)):
                return  # no such cache: nothing was kept in it
            os.mkdir(folder, 0o700)
            _append(os.path.join(folder, day + LOG_SUFFIX), line)
    except OSError:
        return


def _append(path: str, line: bytes) -> None:
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | _O_NONBLOCK, 0o600)
    try:
        os.write(file, line)
    finally:
        os.close(file)


def _line(counts: "Mapping[str, int]") -> bytes:
    text = " ".join(f"{name}={number}" for name, number in counts.items() if number)
    return f"\n{text} {_digest(text)}\n".encode()


def read_line(line: bytes) -> dict[str, int]:
    """The counts in a line of a day's log. Raises ValueError if the line is damaged."""
    text, _, digest = line.decode("ascii").rpartition(" ")
    if digest != _digest(text):
        raise ValueError("damaged")
    pairs = (pair.rpartition("=") for pair in text.split())
    counts = {name: int(number) for name, _, number in pairs}
    if any(abs(number) >= _MOST for number in counts.values()):
        raise ValueError("damaged")
    return counts


def _digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:_DIGEST_LENGTH]
