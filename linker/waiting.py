"""Says what a build has been waiting for, to whoever looks at a terminal or a log in which nothing moves.

Nothing here ends a wait: a build has no time-outs, for nobody knows how long a function may take.
"""

import os
import threading
import time
from collections.abc import Callable
from typing import Final

#: Seconds until a wait is worth a line, and from one line to the next.
FIRST: Final = 10.0
AGAIN: Final = 60.0

_clock: Callable[[], float] = time.monotonic
_waits: "dict[int, Waiting]" = {}  # those that go on, of all threads


class Waiting:
    """A wait, as a context: `with Waiting("the linker"):`. A callable is asked when a line is due."""

    __slots__ = ("_next", "_since", "_what")

    def __init__(self, what: "str | Callable[[], str]") -> None:
        self._what = what
        self._since = 0.0
        self._next = FIRST

    def __enter__(self) -> None:
        self._since = _clock()
        _waits[id(self)] = self

    def __exit__(self, *_: object) -> None:
        _waits.pop(id(self), None)

    def due(self, now: float) -> str:
        """What has been waited for, and for how many seconds, if a line about it is due; else ""."""
        waited = now - self._since
        if waited < self._next:
            return ""
        self._next = waited - waited % AGAIN + AGAIN
        what = self._what if isinstance(self._what, str) else self._what()
        return f"waiting for {what} ({waited:.0f} s)" if what else ""


def due(now: float) -> list[str]:
    """The lines about waits, of all threads, that are due at a time of the monotonic clock."""
    return [line for wait in list(_waits.values()) if (line := wait.due(now))]


class Watch:
    """A context in which a thread looks every `pause` seconds for waits to tell of, and calls `say`."""

    def __init__(self, say: Callable[[str], None], pause: float = 1.0) -> None:
        self._say, self._pause = say, pause
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._ended.wait(self._pause):
            for line in due(_clock()):
                self._say(line)


def say_on_stderr(line: str) -> None:
    """Write a line to standard error, past Python's buffers.

    Their locks would be taken for ever in a process forked at that moment.
    """
    start = "\r\x1b[K" if os.isatty(2) else ""  # where a progress bar may stand
    try:
        os.write(2, f"{start}nativecache: {line}\n".encode("utf-8", "backslashreplace"))
    except OSError:  # nobody listens any more
        return
