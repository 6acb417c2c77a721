"""Bundles: entries in one tar file, to carry a cache from one machine to another.

What a build used is noted under its name, so that a bundle carries just that. A bundle holds entries as the
cache folder does, v1/ab/cdef….o, and nothing else; it is the same for the same entries. It is not compressed:
whoever carries it can do that, and whoever reads it need not fear what it unfolds to. An entry may be folded,
and unfolds to the size that it says, which is bounded.

Nothing in a bundle is believed: names must be an entry's, members plain files of bearable size, and each
entry is checked in full under the key that its name says. Who can make you import a bundle can make you
run its code all the same: take one only from where you would take programs.
"""

import errno
import io
import os
import re
import tarfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from nativecache.cache.entry import CorruptEntry, decode_entry
from nativecache.cache.files import make_folder, open_plain, write_file
from nativecache.cache.folder import find_entries
from nativecache.cache.layout import LAYOUT, entry_name
from nativecache.cache.store import Store

#: The greatest entries known are front ends' results of some tens of megabytes.
MEMBER_LIMIT = 2**30

_MEMBER = re.compile(re.escape(LAYOUT) + r"/([0-9a-f]{2})/([0-9a-f]{62})\.o")


class BadBundle(Exception):
    """The file is not a bundle, or ends early. The message says why."""


@dataclass(frozen=True, slots=True)
class Exported:
    """What went into a bundle: entries, bytes, and how many noted keys had no whole entry any more."""

    entries: int
    size: int
    missing: int


@dataclass(frozen=True, slots=True)
class Imported:
    """What was taken from a bundle: entries, bytes, and names of refused members, each with the reason."""

    entries: int
    size: int
    refused: tuple[tuple[str, str], ...]


def export_entries(stores: Sequence[Store], keys: Iterable[str], bundle: Path) -> Exported:
    """Writes what stores have whole of `keys` to a new file, which appears when it is complete.

    Raises OSError where the file cannot be written, also where the name is not that of a file.
    """
    _check_replaceable(bundle)
    temporary = bundle.with_name(f"{bundle.name}.{os.getpid()}.tmp")
    entries = size = missing = 0
    try:
        with (
            open(temporary, "xb") as file,
            tarfile.open(fileobj=file, mode="w", format=tarfile.USTAR_FORMAT) as tar,
        ):
            for key in sorted(set(keys)):
                data = _read_whole(stores, key)
                if data is None:
                    missing += 1
                    continue
                member = tarfile.TarInfo(entry_name(key))
                member.size, member.mode = len(data), 0o600
                tar.addfile(member, io.BytesIO(data))
                entries += 1
                size += len(data)
        os.replace(temporary, bundle)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)
        raise
    return Exported(entries, size, missing)


def _check_replaceable(path: Path) -> None:
    """Raises OSError for what a file would be put in place of: a folder, a device, a FIFO."""
    if path.is_dir() or not path.name:
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "Not a plain file", path)


def _read_whole(stores: Sequence[Store], key: str) -> bytes | None:
    for store in stores:
        data = store.get(key)
        if data is not None:
            with suppress(CorruptEntry):
                decode_entry(key, data)
                return data
    return None


def extract_entries(root: Path, keys: Sequence[str], folder: Path) -> dict[str, str]:
    """Writes what whole entries hold to files KEY.o in a folder, which is made; the files by key.

    Of those whose keys begin with one of `keys`, or of all where there are none. Raises OSError.
    """
    make_folder(os.path.abspath(folder))
    written: dict[str, str] = {}
    for found in find_entries(root):
        if found.key in written or (keys and not found.key.startswith(tuple(keys))):
            continue
        with suppress(CorruptEntry, FileNotFoundError):
            path = os.path.join(folder, f"{found.key}.o")
            write_file(path, decode_entry(found.key, found.read()).payload)
            written[found.key] = path
    return written


def import_entries(store: Store, bundle: Path) -> Imported:
    """Takes all whole entries of a bundle, each at once or not at all, in place of what is there.

    Raises OSError where the file cannot be read, and BadBundle where it is none; entries before that stay.
    """
    entries = size = 0
    refused: list[tuple[str, str]] = []
    with io.BufferedReader(open_plain(bundle)) as file:
        for name, key, data in _members(cast("BinaryIO", file), refused):
            try:
                decode_entry(key, data)
            except CorruptEntry as bad:
                refused.append((name, f"damaged ({bad.reason})"))
                continue
            store.put(key, data)
            entries += 1
            size += len(data)
    return Imported(entries, size, tuple(refused))


def _members(file: BinaryIO, refused: list[tuple[str, str]]) -> Iterator[tuple[str, str, bytes]]:
    """Names, keys and contents of members that look like entries; what does not is added to `refused`."""
    try:
        with tarfile.open(fileobj=file, mode="r:") as tar:
            for member in tar:
                found = _MEMBER.fullmatch(member.name)
                reason = _why_not(member, found is not None)
                if reason or not found:
                    refused.append((member.name, reason))
                    continue
                content = tar.extractfile(member)
                data = content.read() if content else b""
                yield member.name, found[1] + found[2], data
    except (tarfile.TarError, EOFError, ValueError, OverflowError) as error:
        raise BadBundle(str(error) or "it is damaged") from None


def _why_not(member: tarfile.TarInfo, is_named_so: bool) -> str:
    if not is_named_so:
        return "not an entry's name"
    if member.type not in (tarfile.REGTYPE, tarfile.AREGTYPE) or member.sparse:
        return "not a plain file"
    if member.size > MEMBER_LIMIT:
        return "too big"
    return ""
