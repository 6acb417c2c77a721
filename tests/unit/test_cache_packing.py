"""Entries in packs are found, pruned, checked and carried as those in files are."""

import hashlib
import os
import random
import shutil
import threading
import time
from functools import partial
from operator import add
from pathlib import Path

import pytest

from nativecache.cache import packs
from nativecache.cache.audit import check_entries
from nativecache.cache.bundle import export_entries, import_entries
from nativecache.cache.entry import Entry, encode_entry
from nativecache.cache.file_store import FileStore
from nativecache.cache.folder import clear, find_abandoned, find_entries, find_temporaries, readers, remove
from nativecache.cache.in_packs import InPack, open_packs
from nativecache.cache.layout import entry_path, packs_folder
from nativecache.cache.limits import Limits
from nativecache.cache.lookup import EntryStore, Miss, Missed
from nativecache.cache.pack import used_path
from nativecache.cache.packing import merge_packs, pack_files, rewrite
from nativecache.cache.prune import prune

NO_LIMITS = Limits(None, None, None)


@pytest.fixture(autouse=True)
def few_are_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packs, "ENOUGH", 2)


def key(number: int) -> str:
    return hashlib.sha256(b"%d" % number).hexdigest()


def entry(number: int) -> Entry:
    return Entry(key(number), random.Random(number).randbytes(100) * 10, {"milliseconds": number})


def store(root: Path) -> EntryStore:
    return EntryStore(FileStore(root, warn=pytest.fail))


def packed(root: Path, *numbers: int) -> Path:
    """A cache folder with these entries in one more pack; the pack."""
    before = {pack.path for pack in open_packs(root)}
    entries = store(root)
    for number in numbers:
        entries.save(entry(number))
    assert pack_files(root, entries.made) == len(numbers)
    (path,) = {pack.path for pack in open_packs(root)} - before
    return Path(path)


def loose(root: Path) -> set[str]:
    return {found.key for found in find_entries(root) if not isinstance(found, InPack)}


def kept(root: Path, count: int = 20) -> list[int]:
    """Numbers of the entries that a new store finds."""
    return [n for n in range(count) if store(root).load(key(n)) == entry(n)]


def test_packed_entries_are_found_and_their_files_gone(tmp_path: Path) -> None:
    pack = packed(tmp_path, *range(10))
    assert kept(tmp_path) == list(range(10)) and loose(tmp_path) == set()
    assert {path.name for path in (tmp_path / "v1").iterdir()} == {"packs", "CACHEDIR.TAG"}
    assert pack.stat().st_mode & 0o777 == 0o600 and pack.parent.stat().st_mode & 0o777 == 0o700
    assert {found.key for found in find_entries(tmp_path)} == set(map(key, range(10)))


def test_a_store_finds_what_others_pack_meanwhile(tmp_path: Path) -> None:
    open_store = store(tmp_path)
    for number in range(4):
        open_store.save(entry(number))
    assert open_store.load(key(9)) is None  # no pack, as far as it knows
    assert pack_files(tmp_path, open_store.made) == 4
    assert all(open_store.load(key(n)) == entry(n) for n in range(4))
    packed(tmp_path, 5, 6)
    assert open_store.load(key(6)) == entry(6)


def test_only_what_nothing_replaces_is_packed(tmp_path: Path) -> None:
    entries = store(tmp_path)
    for number in range(4):
        entries.save(Entry(key(number), b"record", {}))
    assert not entries.made and pack_files(tmp_path, map(key, range(4))) == 0
    assert loose(tmp_path) == set(map(key, range(4)))


def test_what_is_damaged_is_not_packed(tmp_path: Path) -> None:
    entries = store(tmp_path)
    for number in range(4):
        entries.save(entry(number))
    Path(entry_path(tmp_path, key(2))).write_bytes(b"damaged")
    assert pack_files(tmp_path, entries.made) == 3 and loose(tmp_path) == {key(2)}


def test_a_few_are_not_worth_a_pack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packs, "ENOUGH", 5)
    entries = store(tmp_path)
    for number in range(4):
        entries.save(entry(number))
    assert pack_files(tmp_path, entries.made) == 0 and len(loose(tmp_path)) == 4


def test_a_file_comes_before_a_pack(tmp_path: Path) -> None:
    packed(tmp_path, *range(4))
    other = Entry(key(1), b"other", {"milliseconds": 1})
    store(tmp_path).save(other)
    assert store(tmp_path).load(key(1)) == other


def test_what_was_damaged_and_made_again_is_found_in_the_newer_pack(tmp_path: Path) -> None:
    for _ in range(6):
        path = packed(tmp_path, *range(4))
        assert kept(tmp_path) == list(range(4))
        data = bytearray(path.read_bytes())
        data[10] ^= 1
        path.write_bytes(data)
        assert kept(tmp_path) != list(range(4))
        os.utime(path, (1, 1))
    packed(tmp_path, *range(4))
    assert rewrite(open_packs(tmp_path)) and kept(tmp_path) == list(range(4))


def test_a_damaged_block_is_a_miss_with_a_reason(tmp_path: Path) -> None:
    path = packed(tmp_path, *range(4))
    data = bytearray(path.read_bytes())
    data[10] ^= 1
    path.write_bytes(data)
    entries = store(tmp_path)
    missed = [found for n in range(4) if isinstance(found := entries.find(key(n), bool), Miss)]
    assert missed and {found.reason for found in missed} == {Missed.CORRUPT}
    for number in range(4):
        entries.save(entry(number))
    assert kept(tmp_path) == list(range(4))


@pytest.mark.parametrize("damage", ["cut", "empty", "other", "folder", "fifo", "link", "closed"])
def test_a_pack_that_is_none_is_left_alone(tmp_path: Path, damage: str) -> None:
    path = packed(tmp_path, *range(4))
    packed(tmp_path, 5, 6)
    data = path.read_bytes()
    path.unlink()
    if damage == "folder":
        path.mkdir()
    elif damage == "fifo":
        os.mkfifo(path)
    elif damage == "link":
        path.symlink_to("gone")
    else:
        path.write_bytes({"cut": data[:-9], "empty": b"", "other": b"?" * 500, "closed": data}[damage])
        path.chmod(0 if damage == "closed" else 0o600)
    assert set(kept(tmp_path)) in ({5, 6}, {0, 1, 2, 3, 5, 6} if damage == "closed" else {5, 6})
    store(tmp_path).save(entry(1))
    assert 1 in kept(tmp_path)


def test_a_use_of_one_is_noted_once_an_hour(tmp_path: Path) -> None:
    packed(tmp_path, *range(4))
    begin = time.time()
    for seconds in (100, 5000):
        assert FileStore(tmp_path, clock=partial(add, begin, seconds)).get(key(2))
    ages = {found.key: round((found.used - begin) / 1000) for found in find_entries(tmp_path)}
    assert ages == {key(0): 0, key(1): 0, key(2): 5, key(3): 0}
    assert FileStore(tmp_path, read_only=True, clock=lambda: begin + 9e5).get(key(3))
    assert max(found.used for found in find_entries(tmp_path)) < begin + 6000


def test_old_entries_are_pruned_from_a_pack(tmp_path: Path) -> None:
    packed(tmp_path, *range(6))
    now = time.time()
    for number in (1, 4):
        assert FileStore(tmp_path, clock=lambda: now + 90_000).get(key(number))
    done = prune(tmp_path, Limits(None, 86_400, None), now=now + 100_000)
    assert done and (done.entries, done.entries_left) == (4, 2)
    assert {found.used for found in find_entries(tmp_path)} == {float(int(now + 90_000))}
    assert kept(tmp_path) == [1, 4] and len(open_packs(tmp_path)) == 1
    assert [
        found.reason for n in range(2) if isinstance(found := store(tmp_path).find(key(n), bool), Miss)
    ] == [Missed.PRUNED]


def test_what_is_worth_least_is_pruned_from_a_pack(tmp_path: Path) -> None:
    packed(tmp_path, *range(10))
    size = sum(found.size for found in find_entries(tmp_path))
    done = prune(tmp_path, Limits(size // 2, None, None))
    assert done and done.size_left <= size // 2
    assert kept(tmp_path) == list(range(20))[10 - done.entries_left : 10]
    done = prune(tmp_path, Limits(None, None, 2))
    assert done and kept(tmp_path) == [9]


def test_a_pack_of_which_nothing_is_left_is_gone(tmp_path: Path) -> None:
    packed(tmp_path, *range(4))
    prune(tmp_path, Limits(None, 1, None), now=time.time() + 100)
    assert not os.listdir(packs_folder(tmp_path))


def test_what_was_used_since_it_was_listed_stays(tmp_path: Path) -> None:
    packed(tmp_path, *range(4))
    listed = list(find_entries(tmp_path))
    assert FileStore(tmp_path, clock=lambda: time.time() + 8000).get(key(3))
    assert {found.key for found in remove(listed)} == set(map(key, range(3)))
    assert kept(tmp_path) == [3]


def test_pruning_packs_what_is_loose(tmp_path: Path) -> None:
    packed(tmp_path, *range(4))
    for number in range(4, 8):
        store(tmp_path).save(entry(number))
    store(tmp_path).save(Entry(key(9), b"record", {}))
    done = prune(tmp_path, NO_LIMITS)
    assert done and done.entries == 0 and loose(tmp_path) == {key(9)}
    assert kept(tmp_path) == list(range(8)) and len(open_packs(tmp_path)) == 2


def test_pruning_makes_one_pack_of_many(tmp_path: Path) -> None:
    for number in range(0, 40, 2):
        packed(tmp_path, number, number + 1)
    packed(tmp_path, 0, 1, 2)  # some are there twice
    by_time = sorted(find_entries(tmp_path), key=lambda found: found.used)
    before = {found.key: found.used for found in by_time}
    prune(tmp_path, NO_LIMITS)
    assert len(open_packs(tmp_path)) == 1 and kept(tmp_path, 50) == list(range(40))
    assert {found.key: found.used for found in find_entries(tmp_path)} == before
    assert len(list(find_entries(tmp_path))) == 40 and len(os.listdir(packs_folder(tmp_path))) == 2


def test_a_store_reads_on_in_packs_that_are_replaced(tmp_path: Path) -> None:
    packed(tmp_path, *range(6))
    open_store = store(tmp_path)
    assert open_store.load(key(0))
    assert rewrite(open_packs(tmp_path))
    assert all(open_store.load(key(n)) == entry(n) for n in range(6))


def test_a_pack_that_cannot_be_replaced_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packed(tmp_path, *range(6))
    monkeypatch.setattr(
        "nativecache.cache.pack_writer.write_file", lambda *_: (_ for _ in ()).throw(OSError("full"))
    )
    assert remove(list(find_entries(tmp_path))[:3]) == []
    for number in range(6, 9):
        store(tmp_path).save(entry(number))
    assert pack_files(tmp_path, map(key, range(9))) == 0
    merge_packs(open_packs(tmp_path) * 20)
    assert kept(tmp_path) == list(range(9))


def test_damaged_entries_are_found_and_removed(tmp_path: Path) -> None:
    path = packed(tmp_path, *range(6))
    data = bytearray(path.read_bytes())
    data[20] ^= 255
    path.write_bytes(data)
    bad = [found for found in check_entries(tmp_path, keep=True) if found]
    assert bad and all(str(path) in found.path and Path(found.kept).exists() for found in bad)
    assert not any(check_entries(tmp_path, keep=False))
    assert len(kept(tmp_path)) == 6 - len(bad) == len(list(find_entries(tmp_path)))


def test_packs_that_are_none_are_found_and_removed(tmp_path: Path) -> None:
    path, whole = packed(tmp_path, *range(4)), packed(tmp_path, 5, 6)
    path.write_bytes(path.read_bytes()[:-1])
    (bad,) = [found for found in check_entries(tmp_path, keep=True) if found]
    assert (bad.path, bad.key, bad.reason) == (str(path), "", "magic") and Path(bad.kept).exists()
    assert not any(check_entries(tmp_path, keep=False)) and kept(tmp_path) == [5, 6]
    assert set(os.listdir(packs_folder(tmp_path))) == {whole.name, Path(used_path(str(whole))).name}


def test_a_pack_of_another_version_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = packed(tmp_path, *range(4))
    monkeypatch.setattr("nativecache.cache.pack.VERSION", 2)
    assert kept(tmp_path) == [] and not list(check_entries(tmp_path, keep=False))
    assert prune(tmp_path, NO_LIMITS) and path.exists()
    monkeypatch.undo()
    assert kept(tmp_path) == [0, 1, 2, 3]


def test_entries_are_carried_out_of_packs(tmp_path: Path) -> None:
    packed(tmp_path / "old", *range(6))
    keys = [found.key for found in find_entries(tmp_path / "old")]
    done = export_entries(readers(tmp_path / "old", pytest.fail), keys, tmp_path / "bundle")
    assert (done.entries, done.missing) == (6, 0)
    assert import_entries(FileStore(tmp_path / "new"), tmp_path / "bundle").entries == 6
    assert kept(tmp_path / "new") == list(range(6))


def test_clearing(tmp_path: Path) -> None:
    packed(tmp_path, *range(4))
    files, size = clear(tmp_path, time.time())
    assert files == 2 and size == 2 * 4096 + 4096 * (size // 4096 - 2)
    assert list(find_entries(tmp_path)) == [] and not os.listdir(packs_folder(tmp_path))


def test_times_without_a_pack_are_swept(tmp_path: Path) -> None:
    path = packed(tmp_path, *range(4))
    path.unlink()
    assert [Path(found.path).suffix for found in find_temporaries(tmp_path)] == [".used"]
    assert not find_abandoned(tmp_path, time.time())
    prune(tmp_path, NO_LIMITS, now=time.time() + 7200)
    assert not os.listdir(packs_folder(tmp_path))


def test_packs_are_not_looked_for_behind_a_link(tmp_path: Path) -> None:
    packed(tmp_path / "theirs", *range(4))
    packed(tmp_path / "ours", 5, 6)
    shutil.rmtree(packs_folder(tmp_path / "ours"))
    Path(packs_folder(tmp_path / "ours")).symlink_to(packs_folder(tmp_path / "theirs"))
    assert list(find_entries(tmp_path / "ours")) == []
    clear(tmp_path / "ours", time.time())
    assert kept(tmp_path / "theirs") == [0, 1, 2, 3]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_is_read_only(tmp_path: Path) -> None:
    packed(tmp_path, *range(4))
    os.chmod(packs_folder(tmp_path), 0o500)
    assert kept(tmp_path) == [0, 1, 2, 3] and remove(list(find_entries(tmp_path))) == []


def test_fallback_folders_may_have_packs(tmp_path: Path) -> None:
    packed(tmp_path / "far", *range(4))
    entries = EntryStore(FileStore(tmp_path / "near"), readers(tmp_path / "far", pytest.fail))
    assert entries.load(key(1)) == entry(1) and entries.fallback_hits == 1
    assert entries.peek(key(2)) == entry(2).payload and entries.peek(key(9)) == b""
    assert loose(tmp_path / "near") == {key(1)}


def test_a_peek_is_not_checked_and_counts_as_used(tmp_path: Path) -> None:
    entries = store(tmp_path)
    entries.save(entry(1))
    path = Path(entry_path(tmp_path, key(1)))
    data = path.read_bytes()
    path.write_bytes(b"?" + data[1:])
    assert entries.peek(key(1)) == b"?" + entry(1).payload[1:]
    path.write_bytes(data[:-1])
    assert entries.peek(key(1)) == b"" and entries.hits == entries.misses == 0
    assert key(1) in entries.used


def test_all_at_once(tmp_path: Path) -> None:
    """Nothing is lost and nothing is wrong while some save and pack, some merge, and some read."""
    ends = threading.Event()
    wrong: list[object] = []

    def build(first: int) -> None:
        for turn in range(15):
            entries = store(tmp_path)
            for number in range(first + 10 * turn, first + 10 * turn + 10):
                entries.save(entry(number))
            pack_files(tmp_path, entries.made)

    def merge() -> None:
        while not ends.is_set():
            rewrite(open_packs(tmp_path))

    def read() -> None:
        reader = store(tmp_path)
        while not ends.is_set():
            for number in random.sample(range(300), 20):
                found = reader.load(key(number))
                if found not in (None, entry(number)):
                    wrong.append(found)

    builders = [threading.Thread(target=build, args=(first,)) for first in (0, 0, 150)]
    others = [threading.Thread(target=merge), threading.Thread(target=read), threading.Thread(target=read)]
    for thread in (*builders, *others):
        thread.start()
    for thread in builders:
        thread.join()
    ends.set()
    for thread in others:
        thread.join()
    assert not wrong and kept(tmp_path, 300) == list(range(300))
    assert not any(check_entries(tmp_path, keep=False))


def test_values_that_are_no_entries_stay_files(tmp_path: Path) -> None:
    FileStore(tmp_path).put(key(1), b"value")
    FileStore(tmp_path).put(key(2), encode_entry(entry(2)))
    FileStore(tmp_path).put(key(3), encode_entry(entry(3)))
    assert pack_files(tmp_path, map(key, range(9))) == 2 and FileStore(tmp_path).get(key(1)) == b"value"
