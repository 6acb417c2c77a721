"""Where the cache folder is unless the user names one, and whether to trust it."""

import os
import stat
import sys

from nativecache.cache.layout import layout_folder

TYPE_CHECKING = False  # typing's, whose import would take longer than all that is done here
if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_NAME = "nativecache"


def default_cache_dir(environ: "Mapping[str, str]", *, platform: str = sys.platform) -> "Path":
    """The cache folder unless the user names one, as a Path; see `default_cache_folder`."""
    from pathlib import Path

    return Path(default_cache_folder(environ, platform=platform))


def default_cache_folder(environ: "Mapping[str, str]", *, platform: str = sys.platform) -> str:
    """The cache folder: NATIVECACHE_DIR, else nativecache in XDG_CACHE_HOME or the platform's cache folder.

    That is ~/.cache, ~/Library/Caches on macOS, %LOCALAPPDATA% on Windows. An empty variable counts as
    unset, and so does a relative XDG_CACHE_HOME (as its specification demands). Without a home folder to
    write to, it is in a private folder for temporary files; only that one is made here. OSError if not
    even that can be made.
    """
    if named := environ.get("NATIVECACHE_DIR"):
        return named
    xdg = environ.get("XDG_CACHE_HOME", "")
    if os.path.isabs(xdg):
        return os.path.join(xdg, _NAME)
    return os.path.join(_user_caches(environ, platform) or _private_temporary_folder(), _NAME)


def distrust(folder: str) -> str:
    """Why other users may have put something into a cache folder, in some words; "" if they cannot have.

    What is read from it will be linked into programs and run. Nobody but the user, root and a group that is
    taken to be a team may write to it, or may put another in its place: so each folder on the way to it, and
    each symbolic link on that way, is looked at as sshd looks at those to a user's keys. Then one look is
    enough: who passes it can be asked for by name ever after. A folder that is not there is nobody's, but
    may be somebody else's a moment later: ask again once it is made.
    """
    if not hasattr(os, "geteuid"):  # Windows, which has no such modes
        return ""
    for path in (folder, layout_folder(folder)):
        if why := _distrust_way(os.path.abspath(path)):
            return why
    return ""


def distrust_file(path: str) -> str:
    """Why other users may have written to a settings file, in some words; "" if they cannot have."""
    return _distrust_way(os.path.abspath(path)) if hasattr(os, "geteuid") else ""


def _distrust_way(path: str) -> str:
    """Why others may have written to any folder or link on the way to an absolute path, itself included."""
    to_go = path.split("/")[::-1]
    at, links = "", 0
    while to_go:
        part = to_go.pop()
        if part == "..":  # in a link's target
            at = os.path.dirname(at)
            continue
        if part in ("", ".") and at:
            continue
        here = f"{at}/{part}" if part else "/"
        try:
            status = os.lstat(here)
        except OSError:  # not there, or closed to this user: nothing can be read from it either
            return ""
        if why := _distrust_one(here, status, is_end=not to_go):
            return why
        if not stat.S_ISLNK(status.st_mode):
            at = here.rstrip("/")
            continue
        links += 1
        if links > _MOST_LINKS:
            return ""  # it cannot be opened
        target = os.readlink(here)
        if target[:1] == "/":
            at = ""
        to_go += target.split("/")[::-1]
    return ""


_MOST_LINKS = 40  # as many as Linux follows


def _distrust_one(path: str, status: os.stat_result, *, is_end: bool) -> str:
    if status.st_uid not in (os.geteuid(), 0) and (is_end or not _is_unmapped(status.st_uid)):
        return f"{path} belongs to user {status.st_uid}"
    if stat.S_ISLNK(status.st_mode):
        return ""  # its mode says nothing
    if status.st_mode & stat.S_IWOTH and not status.st_mode & stat.S_ISVTX:
        return f"every user may write to {path}"
    return ""


def _is_unmapped(user: int) -> bool:
    """Whether that is how a user namespace shows the owners that it has no numbers for, as the real root."""
    try:
        with open("/proc/sys/kernel/overflowuid", "rb") as file:
            if int(file.read()) != user:
                return False
        with open("/proc/self/uid_map", "rb") as file:
            return file.read().split() != [b"0", b"0", b"4294967295"]
    except (OSError, ValueError):
        return False


def _user_caches(environ: "Mapping[str, str]", platform: str) -> str | None:
    """The platform's folder for the user's caches, or None if it neither can be written to nor made."""
    if platform == "win32":
        home = caches = environ.get("LOCALAPPDATA", "")
    else:
        home = environ.get("HOME", "")
        caches = os.path.join(home, "Library/Caches" if platform == "darwin" else ".cache")
    # Containers and build users often have a HOME that does not exist, or is / and not theirs.
    # os.path.isdir, for Path.is_dir raises where the home is closed to this user.
    there = caches if os.path.isdir(caches) else home
    usable = os.path.isabs(home) and os.path.isdir(home) and os.access(there, os.W_OK | os.X_OK)
    return caches if usable else None


def _private_temporary_folder() -> str:
    """A folder that no other user can have put anything into: what is read from it will be run."""
    import tempfile  # here, since it is slow to import and seldom needed

    temporary = tempfile.gettempdir()
    if not hasattr(os, "getuid"):  # Windows, where the folder for temporary files is the user's own
        return temporary
    folder = os.path.join(temporary, f"{_NAME}-{os.getuid()}")
    try:  # noqa: SIM105 - contextlib is slow to import, too
        os.mkdir(folder, 0o700)
    except FileExistsError:
        pass
    status = os.lstat(folder)
    private = stat.S_ISDIR(status.st_mode) and stat.S_IMODE(status.st_mode) & 0o077 == 0
    if private and status.st_uid == os.getuid():
        return folder
    return tempfile.mkdtemp(prefix=f"{_NAME}-")
