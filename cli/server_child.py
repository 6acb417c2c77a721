"""A build in a child of the resident process: it takes over all of its client that a build can see.

Open files have the numbers that they have there, the folder is the client's even if it is gone, standard
streams have its encodings, and the environment is the same to the byte. Processor time counts from the fork
on.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import fcntl
import io
import marshal
import os
import signal
import socket
import sys
import time
from contextlib import suppress
from typing import Any, Final, NoReturn

from nativecache.cli import server_place
from nativecache.cli.server_client import MOST

#: Held back until the build begins, so that no signal is lost that its client passes on.
_HELD: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)

#: Seconds that a client may take to say what it wants.
_PATIENCE: Final = 10.0


def live(connection: socket.socket) -> NoReturn:
    """Does the build that is asked for on a connection."""
    code = 1
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_BLOCK, _HELD)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.setpgid(0, 0)
        connection.settimeout(_PATIENCE)
        connection.send(b"H")
        request, files = _receive(connection)
        connection, blocked, start = _become(connection, request, files)
        connection.sendall(b"R" + os.getpid().to_bytes(4, "little"))
        connection.settimeout(_PATIENCE)
        if connection.recv(1) != b"G":
            os._exit(0)
        connection.settimeout(None)
    except BaseException:  # the client sees that the connection ends, and does the build itself
        os._exit(1)
    try:
        code = _run(blocked, start)
        os.chdir("/")
        connection.sendall(b"C" + code.to_bytes(4, "little", signed=True))
    finally:
        os._exit(code)


def _receive(connection: socket.socket) -> tuple[Any, list[int]]:
    """A request, and the descriptors that came with it. Raises OSError and ValueError."""
    size = socket.CMSG_SPACE(253 * 4)
    data, ancillary, flags, _ = connection.recvmsg(1 << 20, size, socket.MSG_CMSG_CLOEXEC)
    files: list[int] = []
    for level, kind, numbers in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            files += memoryview(numbers[: len(numbers) // 4 * 4]).cast("i")
    if flags & socket.MSG_CTRUNC:
        raise ValueError("files were lost")
    length = int.from_bytes(data[:4], "little")
    parts, missing = [data[4:]], length - len(data) + 4
    while 0 < missing <= MOST:
        part = connection.recv(missing)
        if not part:
            raise ValueError("the client is gone")
        parts.append(part)
        missing -= len(part)
    request = marshal.loads(b"".join(parts))
    if request[0] != server_place.PROTOCOL:
        raise ValueError("another protocol")
    return request, files


def _become(
    connection: socket.socket, request: Any, files: list[int]
) -> tuple[socket.socket, set[int], float]:
    """Makes this process what the client is. Returns the connection, signals to be blocked, and the start."""
    _, words, environ, numbers, umask, ignored, blocked, streams, writes_no_bytecode, start = request
    os.fchdir(files[0])
    connection = _take_files(connection, files, numbers)
    os.umask(umask)
    os.environb.clear()
    os.environb.update(environ)
    time.tzset()
    sys.argv = [os.fsdecode(word) for word in words]
    sys.orig_argv = [sys.executable, *sys.argv]
    sys.dont_write_bytecode = writes_no_bytecode
    for number, (name, (encoding, errors, by_line)) in enumerate(zip(_STREAMS, streams, strict=True)):
        stream = _stream(number, encoding, errors, by_line)
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)
    _signal.signal(signal.SIGINT, _signal.default_int_handler)
    for number in signal.valid_signals():
        if ignored >> number - 1 & 1 and number not in (signal.SIGKILL, signal.SIGSTOP):
            _signal.signal(number, _signal.SIG_IGN)
    server_place.State.is_child = True
    return connection, {n for n in signal.valid_signals() if blocked >> n - 1 & 1}, start


_STREAMS: Final = ("stdin", "stdout", "stderr")


def _take_files(connection: socket.socket, files: list[int], numbers: list[int]) -> socket.socket:
    """Has the client's files at its own numbers, and no others but the connection."""
    if len(files) != len(numbers) + 1:
        raise ValueError("not all files came")
    above = max(*numbers, *files, connection.fileno()) + 1
    line = fcntl.fcntl(connection.fileno(), fcntl.F_DUPFD_CLOEXEC, above)
    given = [fcntl.fcntl(file, fcntl.F_DUPFD_CLOEXEC, above) for file in files[1:]]
    keep = {line, *given}
    for name in os.listdir("/proc/self/fd"):
        if int(name) not in keep:
            with suppress(OSError):  # the listing's own
                os.close(int(name))
    connection.detach()
    for file, number in zip(given, numbers, strict=True):
        os.dup2(file, number, inheritable=True)
        os.close(file)
    return socket.socket(fileno=line)


def _stream(number: int, encoding: str, errors: str, by_line: bool) -> Any:
    """A standard stream as Python makes them when it starts (Python/pylifecycle.c, create_stdio)."""
    raw = io.FileIO(number, "r" if number == 0 else "w", closefd=False)
    buffered: Any = io.BufferedReader(raw) if number == 0 else io.BufferedWriter(raw)
    stream: Any = io.TextIOWrapper(buffered, encoding, errors, "\n", line_buffering=by_line)
    stream.mode = "r" if number == 0 else "w"
    return stream


def _run(blocked: set[int], start: float) -> int:
    """Does the build as the command does; returns its exit code."""
    import atexit

    from nativecache.cli.start import end_interrupted, main

    code = 0
    try:
        try:
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
            main(start)
        except KeyboardInterrupt:
            end_interrupted(2)
    except SystemExit as leaving:
        code = leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None)
    except BaseException:
        sys.excepthook(*sys.exc_info())
        code = 1
    atexit._run_exitfuncs()
    try:
        sys.stderr.flush()
    except OSError:
        return 1 if code == 0 else code
    return code
