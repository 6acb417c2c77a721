"""Makes packs of entries that are files of their own, and new packs of old ones.

Problem: a file takes whole blocks of a disk, and a build makes thousands of small ones. Method: as git does,
entries are first files of their own, so that a killed build loses none; at the end of a build that made many,
and when the folder is pruned, they are packed. Only entries that say what they took to make are: nothing
replaces them, for all that they are made from is in their keys. Records that change with each build, and what
is read before anything else is loaded, stay files.

A pack appears whole under a name that never was, and only then is removed what is in it. So whoever is
killed, and whoever does the same at the same time, leaves entries twice at worst, which the next merge of
packs mends. Readers find an entry in its file, in the old pack or in the new one. No lock is needed for that;
one process prunes at a time.
"""

import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress

from nativecache.cache import packs
from nativecache.cache.entry import CorruptEntry, decode_entry, find_milliseconds
from nativecache.cache.files import make_folder, read_plain
from nativecache.cache.layout import entry_path, packs_folder
from nativecache.cache.pack import LONGEST, Pack, remove_pack
from nativecache.cache.pack_writer import Packed, Writer

#: With more packs than this look-ups of what is missing take noticeably longer.
_MOST_PACKS = 12
#: Bytes of entries, or of blocks, that are in memory at once, and in one pack.
_MOST_BYTES = 128 << 20


def pack_files(root: str | os.PathLike[str], keys: Iterable[str]) -> int:
    """Packs those of some entries that are files, whole, and made from what their keys say; their number.

    Nothing happens where they are not enough to be worth it, or a pack cannot be written.
    """
    done = 0
    for slice_ in _slices(_readable(root, keys)):
        if len(slice_) < packs.ENOUGH:
            continue
        writer = Writer()
        writer.add(slice_)
        try:
            folder = packs_folder(root)
            make_folder(folder)
            writer.write(folder)
        except OSError:
            return done
        _remove_files(root, [entry.key for entry in slice_])
        done += len(slice_)
    return done


def _slices(entries: Iterable[Packed]) -> Iterator[list[Packed]]:
    found: list[Packed] = []
    size = 0
    for entry in entries:
        found.append(entry)
        size += len(entry.data)
        if size >= _MOST_BYTES:
            yield found
            found, size = [], 0
    yield found


def _readable(root: str | os.PathLike[str], keys: Iterable[str]) -> Iterator[Packed]:
    for key in keys:
        with suppress(OSError, CorruptEntry):
            data, used = read_plain(entry_path(root, key), limit=LONGEST)
            milliseconds = find_milliseconds(data)
            if milliseconds is not None:
                decode_entry(key, data)
                yield Packed(key, data, used, milliseconds)


def _remove_files(root: str | os.PathLike[str], keys: Iterable[str]) -> None:
    """Removes the files of entries, and folders in which nothing is left."""
    folders = set()
    for key in keys:
        path = entry_path(root, key)
        folders.add(os.path.dirname(path))
        with suppress(OSError):
            os.unlink(path)
    for folder in folders:
        with suppress(OSError):
            os.rmdir(folder)


def rewrite(old: Sequence[Pack], keep: Callable[[Pack, int], bool] = lambda _pack, _number: True) -> bool:
    """Puts one pack in the place of some; of their entries it has those to `keep`, each once, the newest.

    False where that cannot be done; then all is as it was.
    """
    writer = Writer()
    try:
        for pack in sorted(old, key=lambda one: one.written, reverse=True):
            _add_kept(writer, pack, keep)
        if len(writer):
            writer.write(os.path.dirname(old[0].path))
    except OSError:
        return False
    removed = True
    for pack in old:
        try:
            remove_pack(pack.path)
        except FileNotFoundError:
            continue
        except OSError:
            removed = False
    return removed


def _add_kept(writer: Writer, pack: Pack, keep: Callable[[Pack, int], bool]) -> None:
    blocks: dict[int, list[int]] = defaultdict(list)
    for number in range(len(pack)):
        blocks[pack.place(number).block].append(number)
    loose: list[Packed] = []
    for block, numbers in sorted(blocks.items()):
        kept = [n for n in numbers if not writer.has(pack.key(n)) and keep(pack, n)]
        if len(kept) == len(numbers):
            writer.copy_block(pack, block, numbers)
        else:
            loose += (_packed(pack, number) for number in kept)
    writer.add(loose)


def _packed(pack: Pack, number: int) -> Packed:
    data = pack.read(number)
    return Packed(pack.key(number), data, pack.used(number), pack.place(number).milliseconds)


def merge_packs(found: Sequence[Pack]) -> None:
    """Makes one pack of the smallest where there are too many. Who calls this holds the lock of pruning."""
    if len(found) <= _MOST_PACKS:
        return
    chosen: list[Pack] = []
    size = 0
    for pack in sorted(found, key=lambda one: one.size):
        if size + pack.size > _MOST_BYTES:
            break
        chosen.append(pack)
        size += pack.size
    if len(chosen) > 1:
        rewrite(chosen)
