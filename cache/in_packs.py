"""The packs of a cache folder as those see them who list, check and remove entries."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from nativecache.cache.entry import JSON, find_meta
from nativecache.cache.found import Found, occupied
from nativecache.cache.layout import packs_folder
from nativecache.cache.pack import (
    USED_SUFFIX,
    BadPack,
    Pack,
    is_pack_name,
    used_path,
)

#: What an entry takes besides its share of a block: its row in the table, and its time.
_ROW = 52


@dataclass(frozen=True, slots=True)
class InPack(Found):
    """An entry in the pack whose file `path` is."""

    home: Pack = field(repr=False, compare=False)
    number: int = 0

    @property
    def place(self) -> str:
        """Where the entry is, for people."""
        return f"{self.path}: {self.key}"

    def read(self) -> bytes:
        """The entry's bytes, none where they are damaged. Raises OSError."""
        return self.home.read(self.number)

    def milliseconds(self) -> float | None:
        """How long making the entry took, None if it does not say."""
        return self.home.place(self.number).milliseconds

    def meta(self) -> Mapping[str, JSON]:
        """The entry's metadata, unchecked. Raises OSError and CorruptEntry."""
        return find_meta(self.read())


def open_packs(root: str | os.PathLike[str]) -> list[Pack]:
    """The packs of a cache folder; those that cannot be read are left out."""
    packs = []
    for path in _pack_paths(root):
        with suppress(OSError, BadPack):
            packs.append(Pack(path))
    return packs


def find_bad_packs(root: str | os.PathLike[str]) -> Iterator[tuple[str, str]]:
    """The files of packs that are damaged, or of another version, each with what is wrong with it."""
    for path in _pack_paths(root):
        try:
            Pack(path)
        except BadPack as bad:
            yield path, str(bad)
        except OSError:
            continue


def entries_of(pack: Pack) -> Iterator[InPack]:
    """The entries of a pack, those of a block together."""
    for number in pack.in_order():
        place = pack.place(number)
        folded, unfolded = pack.block_sizes(place.block)
        size = _ROW + -(-place.length * folded // max(unfolded, 1))
        yield InPack(pack.path, pack.key(number), size, pack.used(number), pack, number)


def remove_packed(entries: Iterable[InPack]) -> list[Found]:
    """Removes entries unused since they were listed, by making new packs without them; those removed."""
    from nativecache.cache.packing import rewrite

    by_pack: dict[str, list[InPack]] = defaultdict(list)
    for entry in entries:
        by_pack[entry.path].append(entry)
    removed: list[Found] = []
    for inside in by_pack.values():
        home = inside[0].home
        home.read_times_again()
        gone = {entry.number: entry for entry in inside if home.used(entry.number) == entry.used}
        if gone and rewrite([home], lambda _pack, number, gone=gone: number not in gone):  # type: ignore[misc]
            removed += gone.values()
    return removed


def find_pack_files(root: str | os.PathLike[str]) -> Iterator[Found]:
    """The files of packs, and of their times."""
    folder = packs_folder(root)
    for name in _names(folder):
        if is_pack_name(name) or _is_times(name):
            yield from _found(os.path.join(folder, name))


def find_orphans(root: str | os.PathLike[str]) -> Iterator[Found]:
    """The files of times whose packs are gone, or not there yet."""
    folder = packs_folder(root)
    names = _names(folder)
    packs = {used_path(name) for name in names if is_pack_name(name)}
    for name in names:
        if _is_times(name) and name not in packs:
            yield from _found(os.path.join(folder, name))


def _is_times(name: str) -> bool:
    stem = name.removesuffix(USED_SUFFIX)
    return stem != name and len(stem) == 32 and not stem.strip("0123456789abcdef")


def _pack_paths(root: str | os.PathLike[str]) -> list[str]:
    folder = packs_folder(root)
    return [os.path.join(folder, name) for name in _names(folder) if is_pack_name(name)]


def _names(folder: str) -> list[str]:
    """Names in a folder of ours, in order; none if it is a link."""
    with suppress(OSError):
        if not os.path.islink(folder):
            return sorted(os.listdir(folder))
    return []


def _found(path: str) -> Iterator[Found]:
    with suppress(OSError):
        if os.path.isfile(path) and not os.path.islink(path):
            status = os.stat(path, follow_symlinks=False)
            yield Found(path, "", occupied(status.st_size), status.st_mtime)
