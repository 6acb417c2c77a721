"""Processors that GNU make's job server, or one like it, has to spare for a build that it started.

The protocol is that of the GNU make manual, "Sharing Job Slots with GNU make": a pipe or a fifo holds a byte
for each job that may run besides those that do; who takes one gives it back. A process of its own gives back
ours: when the build has ended, however it did.
"""

from __future__ import annotations

import fcntl
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final, NoReturn

from nativecache.aot.request import Request
from nativecache.linker.signals import ignore_signals
from nativecache.linker.values import replace

_SERVER: Final = re.compile(r"--jobserver-(?:auth|fds)=(?:fifo:(\S+)|(\d+),(\d+))")


@contextmanager
def with_slots(request: Request, makeflags: str) -> Iterator[Request]:
    """The request with as many workers as there are slots; as it is where there is no job server to ask."""
    with job_slots(makeflags, request.threads) as slots:
        yield replace(request, threads=slots) if slots else request


@contextmanager
def job_slots(makeflags: str, most: int) -> Iterator[int | None]:
    """How many workers a build may have, one of them in its own slot, as `MAKEFLAGS` has it; at most `most`.

    None where there is no job server to ask. What it gave is given back in the end, and where this process is
    killed.
    """
    ends = _open_server(makeflags)
    if ends is None:
        yield None
        return
    server, back = ends
    slots = b""
    with suppress(BlockingIOError):
        slots = os.read(server, most - 1) if most > 1 else b""
    os.close(server)
    if not slots:
        os.close(back)
        yield 1
        return
    reader, writer = os.pipe()
    keeper = os.fork()
    if keeper == 0:
        _keep(slots, reader, back)
    os.close(reader)
    os.close(back)
    try:
        yield 1 + len(slots)
    finally:
        os.close(writer)
        with suppress(ChildProcessError):
            os.waitpid(keeper, 0)


def _open_server(makeflags: str) -> tuple[int, int] | None:
    """The ends of the last job server that is named: to read from, which does not wait, and to write to."""
    found = [*_SERVER.finditer(makeflags)]
    if not found:
        return None
    path, *numbers = found[-1].groups()
    # A pipe is opened once more: whether it waits is for all that have it.
    ends = [path] * 2 if path else [f"/proc/self/fd/{n}" for n in numbers if _is_given(int(n))]
    if len(ends) < 2:
        return None
    opened = list[int]()
    try:
        for end, how in zip(ends, (os.O_RDONLY | os.O_NONBLOCK, os.O_WRONLY | os.O_NONBLOCK), strict=True):
            opened.append(os.open(end, how))
            if not stat.S_ISFIFO(os.fstat(opened[-1]).st_mode):
                raise FileNotFoundError(end)
    except OSError:
        for one in opened:
            os.close(one)
        return None
    os.set_blocking(opened[1], True)
    return opened[0], opened[1]


def _is_given(number: int) -> bool:
    """Whether this process was started with a descriptor, and it is no file that was opened since.

    make leaves its pipe to recipes that begin with `+` only.
    """
    try:
        return not fcntl.fcntl(number, fcntl.F_GETFD) & fcntl.FD_CLOEXEC
    except OSError:
        return False


def _keep(slots: bytes, reader: int, back: int) -> NoReturn:
    """The life of the process that gives slots back once nobody can write to a pipe any more."""
    try:
        ignore_signals()
        low, high = sorted((reader, back))
        # Whoever waits for an end of the build's output does not wait for this process.
        os.closerange(0, low)
        os.closerange(low + 1, high)
        os.closerange(high + 1, os.sysconf("SC_OPEN_MAX"))
        os.read(reader, 1)
        os.write(back, slots)
    finally:
        os._exit(0)
