"""Signals that end a build: they become an exception, so that what was begun is cleaned up.

An exception that may be raised anywhere may also be raised between the making of something and the `try`
that removes it. Such places hold signals back.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Final

from nativecache.linker.temporary import make_temporary_folder, remove_folder

#: Ctrl-C, what service managers and CI send, and a terminal that is closed.
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

#: People press Ctrl-C twice. The second time is not to disturb the cleaning up, which takes less than this
#: many seconds; it counts where that takes longer.
_ONE_PRESS: Final = 2.0

_RETRY_SECONDS: Final = 0.01


class Interrupted(BaseException):
    """The build was told to end, by signal `number`. No Exception, for none shall handle it by chance."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class _State:
    held = 0
    waiting = 0  # the signal that arrived while held
    last = float("-inf")


def catch_signals() -> None:
    """Have signals raise Interrupted in the main thread from now on, but for those that are ignored."""
    if threading.current_thread() is threading.main_thread():
        for number in _SIGNALS:
            if signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
                signal.signal(number, _arrived)


def ignore_signals() -> None:
    """Ignore signals from now on: in a process whose parent ends it, or that is about to end."""
    if threading.current_thread() is threading.main_thread():
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_IGN)


def _arrived(number: int, frame: FrameType | None) -> None:
    if _State.held:
        _State.waiting = number
    elif _is_lost_in(frame):
        again = threading.Timer(_RETRY_SECONDS, os.kill, (os.getpid(), number))
        again.daemon = True
        again.start()
    elif time.monotonic() - _State.last > _ONE_PRESS:
        _State.last = time.monotonic()
        sys.unraisablehook = _say_nothing
        raise Interrupted(number)


def _say_nothing(_: object) -> None:
    """What destructors of half-made objects complain of, llvmlite's among them, tells nobody anything."""


def _is_lost_in(frame: FrameType | None) -> bool:
    """Whether Python would drop an exception, which it does in destructors."""
    while frame:
        if frame.f_code.co_name == "__del__":
            return True
        frame = frame.f_back
    return False


@contextmanager
def hold_signals() -> Iterator[None]:
    """Hold signals back until the end, while a process or a temporary file comes or goes.

    For the main thread only.
    """
    _State.held += 1
    try:
        yield
    finally:
        _State.held -= 1
        number, _State.waiting = _State.waiting, 0
        if number:
            _arrived(number, None)


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """A new folder for temporary files, removed whatever signals come."""
    with hold_signals():
        folder = make_temporary_folder()
    try:
        yield Path(folder)
    finally:
        with hold_signals():
            remove_folder(folder)


_SET_PARENT_DEATH_SIGNAL: Final = 1  # linux/prctl.h


def end_with_parent(parent: int) -> None:
    """Have Linux kill this process when the thread that forked it, in process `parent`, is gone."""
    import ctypes

    with suppress(OSError, AttributeError):  # no such call elsewhere
        ctypes.CDLL(None).prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(0)
