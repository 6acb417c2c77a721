"""Puts finished content where the user wants it: in place of a file, into a device or pipe that is there.

A regular file is replaced: what is new is written beside it and renamed over it, so that nobody ever sees
half of it and a failure leaves the old one. That takes a symbolic or hard link for the name that it is, as
clang, GNU ld and lld do. What is no regular file (a null device, a FIFO, a terminal, /dev/stdout, also behind
symbolic links) is never replaced, it is written to; and so is a file whose folder takes no new one, or that
is a mount point. Opening a FIFO waits for its reader, as with every program.

Light to import, for `cli/start.py` uses it.
"""

import errno
import os
import stat
from contextlib import contextmanager, suppress

from nativecache.linker import lazy_re as re
from nativecache.linker.shown import shown
from nativecache.linker.waiting import Waiting

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: A name in a folder has at most so many bytes (Linux' NAME_MAX); temporary ones must not be longer.
NAME_BYTES = 255

_DESCRIPTOR = re.compile(r"/proc/(self|thread-self|\d+)(?:/task/\d+)?/fd/(\d+)")
_MOST_LINKS = 40  # as many as Linux follows

#: Why a file may be written to where none can be made beside it, or renamed over it.
_NO_NEW_FILE = frozenset(
    (errno.EACCES, errno.EPERM, errno.EROFS, errno.EBUSY, errno.EXDEV, errno.ENAMETOOLONG)
)


def own_descriptor(path: str) -> "int | None":
    """The descriptor of this process that a path such as /dev/stdout or /proc/self/fd/1 is, or None."""
    path = os.path.abspath(path)
    for _ in range(_MOST_LINKS):
        path = os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path))
        if found := _DESCRIPTOR.fullmatch(path):
            ours = found[1] in ("self", "thread-self", str(os.getpid()))
            return int(found[2]) if ours else None
        try:
            path = os.path.join(os.path.dirname(path), os.readlink(path))
        except OSError:
            return None
    return None


def is_special(path: str) -> bool:
    """Whether a path stands for what is written to rather than replaced: a device, a FIFO, a terminal."""
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return False
    return not stat.S_ISREG(mode) or own_descriptor(path) is not None


def temporary_name(path: str) -> str:
    """A path beside a file, where nothing is yet, for what is to replace the file.

    Its name begins as the file's, and is no longer than names may be.
    """
    folder, name = os.path.split(path)
    ending = f".{os.urandom(8).hex()}"
    start = os.fsencode(name)[: NAME_BYTES - len(ending) - 1 - 40]
    kept = start.decode("utf-8", "ignore") if _is_utf8(name) else os.fsdecode(start)
    return os.path.join(folder, f".{kept}{ending}")


def _is_utf8(name: str) -> bool:
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def put(path: str, data: bytes, *, seen: "Callable[[str], None]" = lambda _: None) -> bool:
    """Put content in place of a file, or into what is no file. Raises OSError; an old file then stays.

    Returns whether a new file took the place, which has the mode that the process gives to files. `seen` is
    called with the path of that file before it does: later another one may be there.
    """
    if is_special(path):
        overwrite(path, data)
        return False
    temporary = temporary_name(os.path.abspath(path))
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    except OSError as error:
        if error.errno not in _NO_NEW_FILE or not os.path.isfile(path):
            raise
        overwrite(path, data)
        return False
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        seen(temporary)
        return move(temporary, path)
    except BaseException:
        _remove(temporary)
        raise


@contextmanager
def new_file(path: str) -> "Iterator[str]":
    """A context that gives a path to write to, whose file is put in place of `path` at the end.

    It is beside `path` if it can be, else among temporary files. Raises OSError; an old file then stays.
    """
    folder = os.path.dirname(os.path.abspath(path))
    beside = not is_special(path) and (os.access(folder, os.W_OK) or not os.path.isfile(path))
    if not beside:
        import tempfile

        folder = tempfile.gettempdir()
    made = temporary_name(os.path.join(folder, os.path.basename(path)))
    try:
        yield made
        move(made, path)
    except BaseException:
        _remove(made)
        raise


def move(made: str, path: str) -> bool:
    """Put a finished file in place of another, or its content into what is no file; `made` is gone then.

    Returns whether the file itself took the place. Raises OSError.
    """
    if not is_special(path):
        try:
            os.replace(made, path)
            return True
        except OSError as error:
            if error.errno not in _NO_NEW_FILE or not os.path.isfile(path):
                raise
    with open(made, "rb") as file:
        overwrite(path, file.read())
    if own_descriptor(path) is None and stat.S_ISREG(os.stat(path).st_mode):
        _copy_mode(made, path)
    _remove(made)
    return False


def overwrite(path: str, data: bytes) -> None:
    """Write content to a file, a device or a FIFO that is there, or to a new file. Raises OSError."""
    with Waiting(f"what reads {shown(path)}"):
        _overwrite(path, data)


def _overwrite(path: str, data: bytes) -> None:
    number = own_descriptor(path)
    if number is not None:
        # Opened anew, a file that the shell has redirected to would be written from its beginning.
        descriptor = os.dup(number)
    else:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOCTTY, 0o666)
    with os.fdopen(descriptor, "wb", buffering=0) as file:
        view = memoryview(data)
        while view:
            view = view[file.write(view) :]


def _copy_mode(made: str, path: str) -> None:
    with suppress(OSError):  # another user's file, which we may write to: its mode is theirs
        os.chmod(path, stat.S_IMODE(os.stat(made).st_mode))


def _remove(path: str) -> None:
    with suppress(OSError):  # who removes temporary files has been here, or nobody can
        os.unlink(path)
