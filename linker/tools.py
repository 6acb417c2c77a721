"""Finds compilers and linkers on PATH, and runs them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress

from nativecache.linker.errors import LinkError
from nativecache.linker.shown import shown
from nativecache.linker.signals import hold_signals
from nativecache.linker.waiting import Waiting

#: The versions of LLVM whose tools are looked for (`clang-22`), newest first.
LLVM_VERSIONS = range(30, 13, -1)


class Killed(LinkError):
    """A tool was killed twice before it could answer."""


def run(command: tuple[str, ...], environ: Mapping[str, str], to: str = "") -> tuple[int, str]:
    """Exit status and output of a command; an exception, Ctrl-C too, kills it with all its children.

    `to` says what it is to do, in what the user is told when it takes long. A status below 0 is the number of
    the signal that ended it. Raises LinkError if it cannot be run.
    """
    import signal
    import subprocess

    child: subprocess.Popen[bytes] | None = None
    try:
        with hold_signals():
            child = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env=environ,
                process_group=0,
            )
        with Waiting(shown(f"{os.path.basename(command[0])}{to}")):
            text = child.communicate()[0]
    except BaseException as error:
        if child:
            with suppress(ProcessLookupError):  # it has just ended
                os.killpg(child.pid, signal.SIGKILL)
            child.communicate()  # the last of them has closed its output
        elif isinstance(error, OSError):
            raise LinkError(f"cannot run {command[0]}: {error.strerror}") from error
        raise
    return child.returncode, text.decode("utf-8", "surrogateescape")


def ask(command: tuple[str, ...], environ: Mapping[str, str]) -> str:
    """What a tool writes when it is asked something.

    One that is killed is asked once more: what it would have said decides what is linked, and how. Raises
    Killed if it is again, and LinkError if it cannot be run.
    """
    for _ in range(2):
        status, text = run(command, environ)
        if status >= 0:
            return text
    raise Killed(f"{' '.join(command)}: killed by signal {-status}; is memory short?")


def find_program(name: str, environ: Mapping[str, str]) -> str | None:
    """The path of a program on the PATH of an environment, or None; a name with a slash is a path already."""
    if os.path.dirname(name):
        return name if _is_program(name) else None
    path = environ.get("PATH", os.defpath)
    folders = path.split(os.pathsep) if path else []
    return next(filter(_is_program, (os.path.join(folder, name) for folder in folders)), None)


def _is_program(path: str) -> bool:
    return os.access(path, os.X_OK) and not os.path.isdir(path)
