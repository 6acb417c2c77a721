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

    __slots__ = ("next", "since", "what")

    def __init__(self, what: "str | Callable[[], str]") -> None:
        self.what = what
        self.since = 0.0
        self.next = FIRST

    def __enter__(self) -> None:
        self.since = _clock()
        _waits[id(self)] = self

    def __exit__(self, *_: object) -> None:
        _waits.pop(id(self), None)


def due(now: float) -> list[str]:
    """The lines that are due: what has been waited for, and for how many seconds."""
    lines = []
    for wait in list(_waits.values()):
        waited = now - wait.since
        if waited >= wait.next:
            what = wait.what if isinstance(wait.what, str) else wait.what()
            if what:
                lines.append(f"waiting for {what} ({waited:.0f} s)")
            wait.next = waited - waited % AGAIN + AGAIN
    return lines


class Watch:
    """Has a thread look every `pause` seconds, and `say` each line that is due. Use as a context manager."""

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
    """Past Python's buffers: their locks would be taken for ever in a process forked at that moment."""
    start = "\r\x1b[K" if os.isatty(2) else ""  # where a progress bar may stand
    try:
        os.write(2, f"{start}nativecache: {line}\n".encode("utf-8", "backslashreplace"))
    except OSError:  # nobody listens any more
        return
