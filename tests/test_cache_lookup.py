"""Looking entries up: exact counts, and damage is a miss that the next save repairs."""

from pathlib import Path

import pytest

from nativecache.cache.entry import Entry, Reason, pack
from nativecache.cache.lookup import EntryStore
from nativecache.cache.store import FileStore, MemoryStore, NullStore

KEY = "ab" + "0" * 62
OTHER_KEY = "ab" + "1" * 62
ENTRY = Entry(KEY, b"payload", {"milliseconds": 3})


def test_saved_entry_is_a_hit() -> None:
    entries = EntryStore(MemoryStore())
    entries.save(ENTRY)
    assert entries.load(KEY) == ENTRY
    assert (entries.hits, entries.misses, entries.corrupt) == (1, 0, {})


def test_absent_entry_is_a_miss() -> None:
    entries = EntryStore(NullStore())
    entries.save(ENTRY)
    assert entries.load(KEY) is None
    assert (entries.hits, entries.misses, entries.corrupt) == (0, 1, {})


def test_damaged_entry_is_a_miss_with_its_reason() -> None:
    store = MemoryStore()
    store.put(KEY, b"?" + pack(ENTRY)[1:])
    store.put(OTHER_KEY, b"?")
    entries = EntryStore(store)
    assert entries.load(KEY) is None
    assert entries.load(KEY) is None
    assert entries.load(OTHER_KEY) is None
    assert (entries.hits, entries.misses) == (0, 3)
    assert entries.corrupt == {Reason.CHECKSUM: 2, Reason.SHORT: 1}


def test_damaged_entry_is_replaced_by_the_next_save() -> None:
    store = MemoryStore()
    store.put(KEY, b"?")
    entries = EntryStore(store)
    entries.load(KEY)
    entries.save(ENTRY)
    assert entries.load(KEY) == ENTRY
    assert (entries.hits, entries.misses, entries.corrupt) == (1, 1, {Reason.SHORT: 1})


def test_swapped_files_are_two_misses(tmp_path: Path) -> None:
    entries = EntryStore(FileStore(tmp_path, warn=pytest.fail))
    entries.save(ENTRY)
    entries.save(Entry(OTHER_KEY, b"other payload", {}))
    one, other = (tmp_path / "v1" / "ab" / f"{key[2:]}.o" for key in (KEY, OTHER_KEY))
    one.rename(tmp_path / "aside")
    other.rename(one)
    (tmp_path / "aside").rename(other)
    assert entries.load(KEY) is None
    assert entries.load(OTHER_KEY) is None
    assert (entries.hits, entries.misses, entries.corrupt) == (0, 2, {Reason.KEY: 2})


def test_root_is_that_of_the_folder(tmp_path: Path) -> None:
    assert EntryStore(FileStore(tmp_path)).root == tmp_path
    assert EntryStore(MemoryStore()).root is None
