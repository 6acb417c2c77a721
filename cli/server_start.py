"""Starts a resident process behind a build, where the user asks for one.

It is a new Python, not a fork of the build: nothing of the build is in it. It keeps no file of the build
open, is in a session of its own, and gets no variables but those of the locale.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

from nativecache.cli import server_place
from nativecache.cli.server_client import connect

#: Seconds until another one is started under the same name: where something always ends them, or they cannot
#: begin, builds do not start one each.
_PAUSE: Final = 120.0

_PROGRAM: Final = """
import sys
package = type(sys)("nativecache")
package.__path__ = [{root!r}]
sys.modules["nativecache"] = package
from nativecache.cli.server import serve
serve()
"""


def start_behind(environ: Mapping[str, str]) -> None:
    """Starts a resident process if this is a command of a user who asks for one, and none is there."""
    state = server_place.State
    if not state.entered or state.is_child or not server_place.is_asked_for(environ):
        return
    path = server_place.socket_path(environ)
    if not path:
        return
    with suppress(OSError, NotImplementedError):  # a system without sessions for what is spawned
        if connection := connect(path, b"?"):
            connection.close()
        elif _is_time(path):
            _start(path, environ)


def _is_time(path: str) -> bool:
    """Whether none was started at a path a moment ago; notes that one is. Raises OSError."""
    folder = os.path.dirname(path)
    with suppress(FileExistsError):
        os.mkdir(folder, 0o700)
    if not server_place.is_private(folder):
        return False
    note = f"{path}.started"
    with suppress(FileNotFoundError):
        if abs(time.time() - os.lstat(note).st_mtime) < _PAUSE:
            return False
        os.unlink(note)
    try:
        os.close(os.open(note, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
    except FileExistsError:  # another build starts it
        return False
    return True


def _start(path: str, environ: Mapping[str, str]) -> None:
    import signal

    wanted = sorted(name for name in sys.modules if name.partition(".")[0] != "__main__")
    text = "\n".join((path, _loaded_library(), *wanted))
    reader, writer = os.pipe()
    try:
        os.write(writer, os.fsencode(text)[: 1 << 16])
        root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
        kept = {name: environ[name] for name in (*server_place.LOCALE, "XDG_RUNTIME_DIR") if name in environ}
        actions: list[tuple[int, ...]] = [(os.POSIX_SPAWN_DUP2, reader, 0)]
        null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        actions += [(os.POSIX_SPAWN_DUP2, null, number) for number in (1, 2)]
        actions += [(os.POSIX_SPAWN_CLOSE, number) for number in _inheritable()]
        os.posix_spawn(
            sys.executable,
            [sys.executable, "-I", "-S", "-c", _PROGRAM.format(root=root)],
            kept,
            file_actions=actions,
            setsid=True,
            setsigmask=(),
            setsigdef=[n for n in signal.valid_signals() if n not in (signal.SIGKILL, signal.SIGSTOP)],
        )
        os.close(null)
    finally:
        os.close(reader)
        os.close(writer)


def _inheritable() -> list[int]:
    found = []
    for name in os.listdir("/proc/self/fd"):
        with suppress(OSError):
            if int(name) > 2 and os.get_inheritable(int(name)):
                found.append(int(name))
    return found


def _loaded_library() -> str:
    """The path of LLVM's library in this process, "" if there is none."""
    for line in server_place.read("/proc/self/maps").splitlines():
        words = line.split(None, 5)
        if len(words) > 5 and os.path.basename(words[5]).startswith(b"libLLVM"):
            return os.fsdecode(words[5])
    return ""
