"""The resident process (fork server): has loaded what an edit loads, and forks a child for each build.

Python's start, imports and LLVM's library are two thirds of an edit of a small program. A child has all that
from its first moment on, and is otherwise what a process of its own would be: see `server_child`.

One process serves all builds of a user that have the same name (`server_place`). It is the only one at its
socket: who finds another there ends. It ends after ten idle minutes, where its socket is gone or another's,
where its code or LLVM's library changed, where memory is short, and by SIGTERM; builds under way are done to
their end.

If it is killed, children do their builds to the end and say so themselves. A client that is killed has its
child killed; what that has started ends as it does where a build is killed.
"""

from __future__ import annotations

import gc
import os
import select
import signal
import socket
import sys
import time
from contextlib import suppress
from typing import Final, NoReturn

from nativecache.aot.codegen.libllvm import initialize
from nativecache.cache.own_code import own_code, own_stamps
from nativecache.cli import server_place
from nativecache.cli.server_child import live
from nativecache.linker.lazy_re import compile_all
from nativecache.linker.values import dataclass, field, make_all

#: Seconds without a build after which the process ends, and between looks at whether it should end before.
IDLE: Final = 600.0
LOOK: Final = 30.0

#: Bytes of memory that the system has to have left for the process to stay.
_SPARE: Final = 256 << 20

_BACKLOG: Final = 64

#: Not loaded before they are needed: what they know of their process at that time is to be the child's.
_LATER: Final = frozenset(("tempfile", "random", "uuid", "secrets", "locale", "site", "getpass", "readline"))


@dataclass(slots=True)
class Server:
    """The process at a socket."""

    path: str
    listener: socket.socket
    #: Files whose change makes this process one of the past, and what they were.
    stamps: dict[str, str] = field(default_factory=dict)
    #: Connections by descriptor: of those who have not yet said what they want, and of builds under way.
    asking: dict[int, socket.socket] = field(default_factory=dict)
    waiting: dict[int, socket.socket] = field(default_factory=dict)
    #: By the number of a child, the descriptor of its connection; the client may be gone already.
    children: dict[int, int] = field(default_factory=dict)
    builds: int = 0
    last: float = field(default_factory=time.monotonic)
    ending: bool = False
    inode: int = 0

    def run(self) -> None:
        """Serves until it is time to end, and the last build is done."""
        wakes, woken = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(woken, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGTERM, self._end)
        self.inode = os.lstat(self.path).st_ino
        looked = time.monotonic()
        while not self.ending or self.children:
            poll = select.poll()
            poll.register(wakes, select.POLLIN)
            if not self.ending:
                poll.register(self.listener, select.POLLIN)
            for number in self.asking:
                poll.register(number, select.POLLIN | select.POLLRDHUP)
            for number in self.waiting:
                poll.register(number, select.POLLRDHUP)  # what comes is for the child
            for number, _ in poll.poll(LOOK * 1000):
                if number == wakes:
                    os.read(wakes, 4096)
                elif number in self.waiting:
                    self._lose(number)
                elif number in self.asking:
                    self._hear(self.asking[number])
                elif not self.ending:
                    self._accept()
            self._reap()
            if time.monotonic() - looked > LOOK:
                looked = time.monotonic()
                if not self._is_worth_it():
                    self._end()

    def _end(self, *_: object) -> None:
        """Takes no more builds."""
        if not self.ending:
            self.ending = True
            if self._is_ours():
                with suppress(OSError):
                    os.unlink(self.path)
            self.listener.close()

    def _is_ours(self) -> bool:
        try:
            return os.lstat(self.path).st_ino == self.inode
        except OSError:
            return False

    def _is_current(self) -> bool:
        """Whether what was loaded is what would be loaded now. Code has its part in the socket's name."""
        return self._is_ours() and all(stamp(path) == known for path, known in self.stamps.items())

    def _is_worth_it(self) -> bool:
        if self.children:
            return True
        idle = time.monotonic() - self.last
        return idle < IDLE and self._is_current() and _memory_left() > _SPARE and is_code_current()

    def _accept(self) -> None:
        try:
            connection, _ = self.listener.accept()
        except OSError:
            return
        credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
        if int.from_bytes(credentials[4:8], sys.byteorder) != os.getuid():
            connection.close()
            return
        connection.setblocking(False)
        self.asking[connection.fileno()] = connection
        self._hear(connection)  # as a rule it is here already

    def _hear(self, connection: socket.socket) -> None:
        """Does what a client wants."""
        try:
            kind = connection.recv(1)
        except BlockingIOError:
            return
        except OSError:
            kind = b""
        del self.asking[connection.fileno()]
        if kind == b"B" and self._build(connection):
            return
        if kind == b"U":
            with suppress(OSError):
                connection.send(self._usage().encode())
        if kind == b"Q":
            self._end()
        connection.close()

    def _build(self, connection: socket.socket) -> bool:
        """Has a child do a build; returns whether there is one."""
        if self.ending or not self._is_current():
            self._end()
            return False
        try:
            child = os.fork()
        except OSError:
            return False
        if child == 0:
            live(connection)
        self.children[child] = connection.fileno()
        self.waiting[connection.fileno()] = connection
        self.builds += 1
        return True

    def _lose(self, number: int) -> None:
        """Ends the child of a client that is gone."""
        for child, connection in self.children.items():
            if connection == number:
                os.kill(child, signal.SIGKILL)  # it may have ended, but its number is still its own
                self.children[child] = -1
        self.waiting.pop(number).close()

    def _reap(self) -> None:
        """Tells clients how their children ended."""
        while self.children:
            child, status = os.waitpid(-1, os.WNOHANG)
            if not child:
                return
            self.last = time.monotonic()
            number = self.children.pop(child)
            if connection := self.waiting.pop(number, None):
                with suppress(OSError):
                    connection.send(b"S" + status.to_bytes(4, "little", signed=True))
                connection.close()

    def _usage(self) -> str:
        """Process, builds, builds under way, seconds of processor time: its own, and those of builds done."""
        import resource

        used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        own, children = (who.ru_utime + who.ru_stime for who in used)
        return f"{os.getpid()} {self.builds} {len(self.children)} {own:.6f} {children:.6f}"


def stamp(path: str) -> str:
    """What changes with a file, "" for one that is not there."""
    try:
        status = os.stat(path)
    except OSError:
        return ""
    return f"{status.st_dev} {status.st_ino} {status.st_size} {status.st_mtime_ns}"


def _memory_left() -> int:
    """Bytes that the system says are available; many if it does not say."""
    try:
        for line in server_place.read("/proc/meminfo").splitlines():
            if line.startswith(b"MemAvailable:"):
                return int(line.split()[1]) << 10
    except OSError:
        pass
    return sys.maxsize


_code = ""


def is_code_current() -> bool:
    """Whether all modules are those that were there when this process began."""
    return own_stamps() == _code


def listen(path: str) -> socket.socket | None:
    """A socket that listens at a path; None if another process does, or that cannot be.

    It is bound to another name first: at its own name it is there only once it listens.
    """
    folder = os.path.dirname(path)
    with suppress(OSError):
        os.mkdir(folder, 0o700)
    if not server_place.is_private(folder):
        return None
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    name = os.path.join(folder, os.urandom(6).hex())
    try:
        listener.bind(name)
        try:
            listener.listen(_BACKLOG)
            listener.setblocking(False)
            if not _link(name, path):
                listener.close()
                return None
        finally:
            os.unlink(name)
    except OSError:
        listener.close()
        return None
    return listener


def _link(name: str, path: str) -> bool:
    """Gives a socket its name unless another process listens there. Raises OSError."""
    for _ in range(3):
        try:
            os.link(name, path)
        except FileExistsError:
            if _is_listened_at(path):
                return False
            with suppress(FileNotFoundError):
                os.unlink(path)
        else:
            return True
    return False


def _is_listened_at(path: str) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
        asking.setblocking(False)
        try:
            asking.connect(path)
        except BlockingIOError:  # it is busy
            return True
        except OSError:
            return False
    return True


def _load(names: list[str]) -> None:
    """Loads modules that an edit has loaded."""
    known = sys.stdlib_module_names
    for name in names:
        top = name.partition(".")[0]
        if top == "nativecache" or (top in known and top not in _LATER):
            try:
                __import__(name)
            except Exception:
                continue


def _load_library(wanted: str) -> dict[str, str] | None:
    """Loads LLVM's library, and returns stamps of what it was found by; None if it is not the wanted one.

    It is asked for as a build does that knows nothing of it. A library that is loaded is what its name leads
    to from then on, in children, too: so it has to be the one that the loader finds by that name.
    """
    import ctypes

    before = {path: stamp(path) for path in (wanted, "/etc/ld.so.cache")}
    library = ctypes.CDLL(os.path.basename(wanted))
    if before != {path: stamp(path) for path in before} or not _is_mapped(wanted):
        return None
    initialize(library)
    return before


def _is_mapped(path: str) -> bool:
    """Whether a library that this process has loaded is that file."""
    is_now = os.stat(path)
    for line in server_place.read("/proc/self/maps").splitlines():
        words = line.split(None, 5)
        if len(words) > 5 and words[4] == str(is_now.st_ino).encode() and os.fsencode(path) == words[5]:
            return True
    return False


def _has_threads() -> bool:
    return len(os.listdir("/proc/self/task")) > 1


def serve() -> NoReturn:
    """The whole life of the process. Standard input names the socket, LLVM's library, modules to load."""
    global _code  # noqa: PLW0603 - one process, one code
    path, library, *names = os.fsdecode(os.read(0, 1 << 16)).split("\n")
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.close(null)
    os.chdir("/")
    os.umask(0o077)
    _code = own_stamps()
    import site

    site.main()
    _load(names)
    stamps: dict[str, str] = {}
    if library:
        found = _load_library(library)
        if found is None:
            os._exit(1)
        stamps = found
    own_code()
    compile_all()
    make_all()
    # What was loaded is what the name says; and nothing of it is at work by itself.
    if not is_code_current() or _has_threads() or path != server_place.socket_path(os.environ):
        os._exit(1)
    listener = listen(path)
    if listener is None:
        os._exit(1)
    gc.collect()
    gc.freeze()
    Server(path, listener, stamps).run()
    os._exit(0)
