"""Has a resident process do a build in place of this process, if there is one.

Only one of the two does it. The child that the resident process forks takes over words, variables, open
files, folder, umask and signals, says that it is ready, and waits; it begins when it is told to go, and ends
where the connection does. Until this process has said "go" it may do the build itself; from then on it never
does.

What is loaded here is loaded before each edit: next to nothing.
"""

import _signal  # type: ignore[import-not-found]  # in the interpreter; `signal` takes 5 ms
import marshal
import os
import sys

from nativecache.cli import server_place

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from typing import Any

#: Seconds to wait for a child to be ready. It takes 4 ms; where the machine is busy, a build here does not
#: wait.
_READY = 0.1

#: Linux hands over so many descriptors at once, of which one is the folder's (SCM_MAX_FD).
_MOST_FILES = 252

#: Requests are no longer than what a program can be given (Linux: 2 MiB of words and variables, at first).
MOST = 1 << 24

#: Signals that the one who waits passes on; those that stop and continue are passed on to all at work.
_PASSED_ON = (_signal.SIGINT, _signal.SIGTERM, _signal.SIGHUP, _signal.SIGQUIT)


def build_elsewhere(start: float) -> "int | None":
    """The exit code of this process's command, done by a resident process; None if it is to be done here.

    `start`: when the command began. A child that a signal ended has this process end by the same one.
    """
    path = server_place.socket_path(os.environ)
    if not path or any("/proc/" in word for word in sys.argv):  # which may name this process
        return None
    # A resident process has LLVM's library loaded by one name, and another may lead to it.
    if os.environ.get("NATIVECACHE_LLVM") or any(word.startswith("--llvm") for word in sys.argv):
        return None
    connection = connect(path, b"B")
    if connection is None:
        return None
    try:
        child = _hand_over(connection, start)
    except (OSError, ValueError):
        child = 0
    if not child:
        connection.close()
        return None
    return _wait(connection)


def connect(path: str, kind: bytes) -> "socket.socket | None":
    """A connection to the resident process of this user at a path, on which the first byte is sent."""
    if not server_place.is_private(os.path.dirname(path)):
        return None
    import _socket

    connection: Any = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    try:
        connection.settimeout(0)
        connection.connect(path)
        credentials = connection.getsockopt(_socket.SOL_SOCKET, _socket.SO_PEERCRED, 12)
        if int.from_bytes(credentials[4:8], sys.byteorder) != os.getuid():
            raise OSError
        connection.send(kind)
    except OSError:
        connection.close()
        return None
    return connection  # type: ignore[no-any-return]


def _hand_over(connection: "socket.socket", start: float) -> int:
    """Gives all that a build depends on to a child, and tells it to go; its process number, 0 if it did not.

    Raises OSError and ValueError where that cannot be done.
    """
    import _socket

    connection.settimeout(_READY)
    if connection.recv(1) != b"H":  # files that are sent to nobody would stay open
        return 0
    here = os.open(".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        files = _open_files()
        words = [os.fsencode(word) for word in sys.argv]
        status = server_place.read("/proc/self/status")
        request = marshal.dumps(
            (
                server_place.PROTOCOL,
                words,
                dict(os.environb),
                files,
                *(_number(status, name) for name in (b"Umask:", b"SigIgn:", b"SigBlk:")),
                [(one.encoding, one.errors, one.line_buffering) for one in _standard_files()],
                sys.dont_write_bytecode,
                start,
            )
        )
        if len(files) > _MOST_FILES or len(request) > MOST:
            return 0
        numbers = b"".join(number.to_bytes(4, sys.byteorder) for number in (here, *files))
        message = len(request).to_bytes(4, "little") + request
        sent = connection.sendmsg([message], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, numbers)])
        connection.sendall(message[sent:])
    finally:
        os.close(here)
    ready = _receive(connection, 5)
    if ready[:1] != b"R":
        return 0
    connection.settimeout(None)
    child = int.from_bytes(ready[1:], "little")
    before = _pass_signals_on(child)
    try:
        connection.send(b"G")
    except OSError:  # it is no more, and will do nothing
        for number, handler in before.items():
            _signal.signal(number, handler)
        return 0
    return child


def _standard_files() -> "list[Any]":
    return [sys.stdin, sys.stdout, sys.stderr]


def _open_files() -> "list[int]":
    """The descriptors that this process was given, or would give to those that it starts."""
    found = []
    for name in os.listdir("/proc/self/fd"):
        try:
            if os.get_inheritable(int(name)):
                found.append(int(name))
        except OSError:
            pass  # the listing's own
    return found


def _number(status: bytes, name: bytes) -> int:
    """A number in /proc/self/status: octal for the umask, else hexadecimal. Raises ValueError."""
    at = status.index(b"\n" + name) + len(name) + 1
    return int(status[at : status.index(b"\n", at)], 8 if name == b"Umask:" else 16)


def _receive(connection: "socket.socket", size: int) -> bytes:
    """So many bytes, or fewer where the other end is closed. Raises OSError."""
    data = b""
    while len(data) < size and (more := connection.recv(size - len(data))):
        data += more
    return data


def _pass_signals_on(child: int) -> "dict[int, object]":
    """Has the child see the signals that this process gets, but for those that both of them ignore.

    Returns the handlers that were there before.
    """
    try:
        # With it a number that another process has got meanwhile is none of a signal's business.
        process = os.pidfd_open(child)
    except OSError:
        process = -1

    def pass_on(number: int, _: object) -> None:
        try:
            if process >= 0:
                _signal.pidfd_send_signal(process, number)
            else:
                os.kill(child, number)
        except OSError:
            pass  # it is gone, and the connection tells how

    def stop(_: int, __: object) -> None:
        _signal_all(child, _signal.SIGSTOP)
        os.kill(os.getpid(), _signal.SIGSTOP)
        _signal_all(child, _signal.SIGCONT)

    handlers = {**dict.fromkeys(_PASSED_ON, pass_on), _signal.SIGTSTP: stop}
    before = {}
    for number, handler in handlers.items():
        if _signal.getsignal(number) != _signal.SIG_IGN:
            before[number] = _signal.signal(number, handler)
    return before


def _signal_all(child: int, number: int) -> None:
    """Signals a child and what it has started: it leads a group of processes."""
    try:  # noqa: SIM105 - contextlib is slow to import
        os.killpg(child, number)
    except OSError:
        pass


def _wait(connection: "socket.socket") -> int:
    """The exit code of a child that was told to go.

    It says so itself; how a signal ended it says the resident process, whose child it is.
    """
    try:
        said = _receive(connection, 5)
    except OSError:
        said = b""
    number = int.from_bytes(said[1:], "little", signed=True)
    if said[:1] == b"C":
        return number
    if said[:1] == b"S":
        code = os.waitstatus_to_exitcode(number)
        return code if code >= 0 else _end_by(-code)
    print("nativecache: error: the process of this build was killed, and its server, too", file=sys.stderr)
    return 1


def _end_by(number: int) -> int:
    """Ends this process by a signal; returns what shells make of that where it does not."""
    if number != _signal.SIGKILL:
        _signal.signal(number, _signal.SIG_DFL)
    os.kill(os.getpid(), number)
    return 128 + number
