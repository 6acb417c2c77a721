"""What is in a cache folder: its entries, what writers left behind, and how to remove just that.

Only names that a cache gives, in folders that it makes, are ever looked at or removed: ROOT/v1/ab/cdef….o,
ROOT/v1/quarantine and temporary files. Symbolic links below the root are not followed, and nothing but
plain files is removed. All of it is safe beside readers and writers; what vanishes meanwhile is no error.
"""

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from nativecache.cache.entry import BadEntry, unpack
from nativecache.cache.seal import LAYOUT, read_plain
from nativecache.cache.store import CACHEDIR_TAG, TAG_NAME, TEMPORARY_SUFFIX, make_folder, write_file

#: Disks give space in blocks of mostly this many bytes, and each entry is a file.
_BLOCK = 4096

_SHELF = re.compile(r"[0-9a-f]{2}")
_ENTRY = re.compile(r"[0-9a-f]{62}\.o")
_TEMPORARY = re.compile(r"\d+-\d+-[0-9a-f]{16}" + re.escape(TEMPORARY_SUFFIX))
_QUARANTINE = "quarantine"

#: Temporary files are renamed within milliseconds. After an hour nobody is at one any more.
_ABANDONED = 3600

_STAMP = "prune.stamp"
#: Automatic pruning looks at most so often, in seconds.
_PRUNE_INTERVAL = 3600


@dataclass(frozen=True, slots=True)
class Found:
    """A file: the bytes that it occupies, and when it was last used, in seconds since the epoch.

    Only entries have a key.
    """

    path: str
    key: str
    size: int
    used: float


@dataclass(frozen=True, slots=True)
class Bad:
    """An entry that is none: its file, why, and where it is now if it was set aside."""

    path: str
    key: str
    reason: str
    kept: str


def occupied(size: int) -> int:
    """What a file of `size` bytes takes of a disk."""
    return -(-size // _BLOCK) * _BLOCK


def find_entries(root: Path) -> Iterator[Found]:
    """All entries, in no order."""
    layout = os.path.join(root, LAYOUT)
    for shelf in filter(_SHELF.fullmatch, _folders(layout)):
        for file in _plain_files(os.path.join(layout, shelf)):
            if _ENTRY.fullmatch(file.name):
                yield from _found(file, shelf + file.name.removesuffix(".o"))


def find_temporaries(root: Path) -> Iterator[Found]:
    """What writers are at, and what killed ones left behind."""
    layout = os.path.join(root, LAYOUT)
    ours = [layout, *(os.path.join(layout, name) for name in _folders(layout))] if _is_there(layout) else []
    for folder in (str(root), *ours):
        for file in _plain_files(folder):
            if _TEMPORARY.fullmatch(file.name):
                yield from _found(file, "")


def find_abandoned(root: Path, now: float) -> list[Found]:
    """What killed writers left behind."""
    return [found for found in find_temporaries(root) if now - found.used > _ABANDONED]


def find_quarantined(root: Path) -> Iterator[Found]:
    """Files that were set aside."""
    layout = os.path.join(root, LAYOUT)
    if _QUARANTINE in _folders(layout):
        for file in _plain_files(os.path.join(layout, _QUARANTINE)):
            yield from _found(file, "")


def remove(found: Found) -> bool:
    """Removes a file unless it was used meanwhile, or is no plain file any more; whether it did."""
    try:
        if os.lstat(found.path).st_mtime != found.used:
            return False
        os.unlink(found.path)
    except OSError:
        return False
    return True


def is_marked(root: Path) -> bool:
    """Whether a cache of this kind made this folder, or the one in it that it keeps all in."""
    for name in ("", LAYOUT):
        with suppress(OSError):
            if read_plain(os.path.join(root, name, TAG_NAME))[0].startswith(CACHEDIR_TAG):
                return True
    return False


def clear(root: Path, now: float) -> tuple[int, int]:
    """Removes all entries, abandoned temporaries and what was set aside: how many files, and bytes.

    What a build puts meanwhile may stay, and so do folders, which it may be about to write to.
    """
    files = size = 0
    for found in (*find_entries(root), *find_abandoned(root, now), *find_quarantined(root)):
        with suppress(OSError):
            os.unlink(found.path)
            files += 1
            size += found.size
    return files, size


def set_aside(root: Path, name: str, data: bytes) -> str:
    """Keeps bytes in the quarantine, for people to look at; the file. Raises OSError if it cannot."""
    folder = os.path.join(root, LAYOUT, _QUARANTINE)
    make_folder(folder)
    path = os.path.join(folder, name)
    write_file(path, data)
    return path


def check_entries(root: Path, *, keep: bool) -> Iterator[Bad | None]:
    """Checks every entry in full, and removes those that are not whole; None for each that is.

    With `keep` they are set aside. One that cannot be read is named and left where it is.
    """
    for found in find_entries(root):
        try:
            data, _ = read_plain(found.path)
            unpack(found.key, data)
        except FileNotFoundError:
            continue
        except OSError as error:
            yield Bad(found.path, found.key, error.strerror or str(error), "")
        except BadEntry as bad:
            kept = ""
            with suppress(OSError):
                if keep:
                    kept = set_aside(root, f"{found.key}.{bad.reason}.o", data)
                os.unlink(found.path)
            yield Bad(found.path, found.key, bad.reason, kept)
        else:
            yield None


def claim_pruning(root: Path, now: float) -> float | None:
    """The seconds since someone looked for something to prune, if it is an hour; who asks is to do it then.

    Seconds ahead count as well: some clock was wrong. None where it is less, for a folder that was never
    asked about, which is as good as new, and where nothing can be noted.
    """
    stamp = os.path.join(root, LAYOUT, _STAMP)
    with suppress(OSError):
        pause = abs(now - os.stat(stamp).st_mtime)
        if pause < _PRUNE_INTERVAL:
            return None
        os.utime(stamp, (now, now))
        return pause
    with suppress(OSError), open(stamp, "x"):
        os.utime(stamp, (now, now))
    return None


def total(files: Iterable[Found]) -> tuple[int, int]:
    """How many files, and how many bytes they occupy."""
    sizes = [found.size for found in files]
    return len(sizes), sum(sizes)


def _found(file: "os.DirEntry[str]", key: str) -> Iterator[Found]:
    with suppress(OSError):
        status = file.stat(follow_symlinks=False)
        yield Found(file.path, key, occupied(status.st_size), status.st_mtime)


def _is_there(folder: str) -> bool:
    """Whether it is a folder, and not a link to one."""
    return os.path.isdir(folder) and not os.path.islink(folder)


def _folders(path: str) -> list[str]:
    """Names of the folders in a folder of ours, in order; none if it is a link."""
    if not _is_there(path):
        return []
    with suppress(OSError), os.scandir(path) as entries:
        return sorted(entry.name for entry in entries if entry.is_dir(follow_symlinks=False))
    return []


def _plain_files(path: str) -> "list[os.DirEntry[str]]":
    with suppress(OSError), os.scandir(path) as entries:
        return [entry for entry in entries if entry.is_file(follow_symlinks=False)]
    return []
