"""Looking entries up: exact counts, and damage is a miss that the next save repairs."""

from pathlib import Path

import pytest
from stores import Kind

from nativecache.cache.entry import AGAIN, FIRST, Entry, Reason, encode_entry
from nativecache.cache.evicted import add_evicted
from nativecache.cache.file_store import FileStore
from nativecache.cache.format import is_folded
from nativecache.cache.lookup import EntryStore, Miss, Missed
from nativecache.cache.shape import Malformed
from nativecache.cache.sqlite_store import SqliteStore
from nativecache.cache.store import MemoryStore, NullStore

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
    store.put(KEY, b"?" + encode_entry(ENTRY)[1:])
    store.put(OTHER_KEY, b"?")
    entries = EntryStore(store)
    assert entries.load(KEY) is None
    assert entries.load(KEY) is None
    assert entries.load(OTHER_KEY) is None
    assert (entries.hits, entries.misses) == (0, 3)
    assert entries.corrupt == {Reason.CHECKSUM: 1, Reason.SHORT: 1}, "each entry counts once"


def test_an_entry_that_was_looked_ahead_for_is_read_once() -> None:
    store = MemoryStore()
    entries = EntryStore(store)
    entries.save(ENTRY)
    entries.look_ahead(KEY)
    entries.look_ahead(OTHER_KEY)
    store.put(KEY, b"?")
    assert (entries.hits, entries.bytes_read) == (0, 0)
    assert entries.load(KEY) == ENTRY and entries.load(OTHER_KEY) is None
    assert (entries.hits, entries.misses, entries.bytes_read) == (1, 1, len(encode_entry(ENTRY)))
    assert entries.load(KEY) is None and entries.corrupt == {Reason.SHORT: 1}


def test_what_is_saved_takes_the_place_of_what_was_looked_ahead_for() -> None:
    entries = EntryStore(MemoryStore())
    entries.save(ENTRY)
    entries.look_ahead(KEY)
    newer = ENTRY._replace(payload=b"newer")
    entries.save(newer)
    assert entries.load(KEY) == newer


def test_a_damaged_entry_that_is_looked_ahead_for_is_a_miss_with_its_reason() -> None:
    store = MemoryStore()
    store.put(KEY, b"?")
    entries = EntryStore(store)
    entries.look_ahead(KEY)
    assert not entries.corrupt and entries.load(KEY) is None
    assert entries.why_missed(KEY).damage == Reason.SHORT


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


def test_root_is_that_of_the_folder(tmp_path: Path, kind: Kind) -> None:
    assert EntryStore(kind.open(tmp_path)).root == tmp_path
    assert EntryStore(MemoryStore()).root is None


def test_why_an_entry_was_missed(tmp_path: Path, kind: Kind) -> None:
    store = kind.open(tmp_path, warn=pytest.fail)
    entries = EntryStore(store)
    store.put(KEY, b"?")
    add_evicted(tmp_path, [OTHER_KEY])
    keys = (KEY, OTHER_KEY, "cd" * 32)
    assert [entries.load(key) for key in keys] == [None] * 3
    why = [
        Miss(KEY, Missed.CORRUPT, Reason.SHORT),
        Miss(OTHER_KEY, Missed.PRUNED),
        Miss(keys[2], Missed.ABSENT),
    ]
    assert [entries.why_missed(key) for key in keys] == why
    assert [entries.find(key, _as_it_is) for key in keys] == why
    assert entries.misses == 6 and entries.corrupt == {Reason.SHORT: 1}


def test_find_gives_what_is_there_or_why_not() -> None:
    entries = EntryStore(MemoryStore())
    entries.save(ENTRY)

    def refuse(_: Entry) -> bytes:
        raise Malformed("no")

    assert entries.find(KEY, lambda entry: entry.payload) == b"payload"
    assert entries.find(KEY, refuse) == Miss(KEY, Missed.CORRUPT, Reason.FORM)
    assert entries.find(OTHER_KEY, refuse) == Miss(OTHER_KEY, Missed.ABSENT)
    assert (entries.hits, entries.misses) == (1, 2)


def _as_it_is(entry: Entry) -> Entry:
    return entry


def test_used_keys_are_those_loaded_and_saved() -> None:
    entries = EntryStore(MemoryStore())
    entries.save(ENTRY)
    entries.load(OTHER_KEY)
    assert list(entries.used) == [KEY]


# Fallbacks


def test_a_fallback_is_a_hit_and_copied(tmp_path: Path, kind: Kind) -> None:
    EntryStore(kind.open(tmp_path / "far")).save(ENTRY)
    near, far = (
        kind.open(tmp_path / "near", warn=pytest.fail),
        kind.open(tmp_path / "far", read_only=True, warn=pytest.fail),
    )
    entries = EntryStore(near, [far])
    assert entries.load(KEY) == ENTRY
    assert (entries.hits, entries.misses, entries.fallback_hits) == (1, 0, 1)
    assert near.get(KEY) == encode_entry(ENTRY)
    assert entries.load(KEY) == ENTRY
    assert (entries.hits, entries.fallback_hits) == (2, 1)


def test_a_fallback_makes_up_for_damage(tmp_path: Path, kind: Kind) -> None:
    EntryStore(kind.open(tmp_path / "far")).save(ENTRY)
    near = kind.open(tmp_path / "near", warn=pytest.fail)
    near.put(KEY, b"?")
    entries = EntryStore(near, [kind.open(tmp_path / "far", read_only=True)])
    assert entries.load(KEY) == ENTRY
    assert (entries.hits, entries.corrupt) == (1, {Reason.SHORT: 1})
    assert near.get(KEY) == encode_entry(ENTRY)


def test_fallbacks_are_asked_in_order() -> None:
    stores = [MemoryStore(), MemoryStore(), MemoryStore()]
    stores[1].put(KEY, b"damaged")
    stores[2].put(KEY, encode_entry(ENTRY))
    entries = EntryStore(stores[0], stores[1:])
    assert entries.load(KEY) == ENTRY
    assert entries.load(OTHER_KEY) is None


def test_a_broken_fallback_costs_one_line(tmp_path: Path, kind: Kind) -> None:
    (tmp_path / "file").touch()
    lines: list[str] = []
    entries = EntryStore(NullStore(), [kind.open(tmp_path / "file", read_only=True, warn=lines.append)])
    assert entries.load(KEY) is None and entries.load(OTHER_KEY) is None
    assert len(lines) == 1


def test_a_read_only_store_takes_a_fallbacks_entry_without_keeping_it(tmp_path: Path, kind: Kind) -> None:
    EntryStore(kind.open(tmp_path / "far")).save(ENTRY)
    entries = EntryStore(
        kind.open(tmp_path / "near", read_only=True), [kind.open(tmp_path / "far", read_only=True)]
    )
    assert entries.load(KEY) == ENTRY
    assert not entries.keeps and not (tmp_path / "near").exists()
    assert entries.set_aside("name", b"data") == ""


@pytest.mark.parametrize(("level", "folded"), [(None, True), (0, False), (AGAIN, True)])
def test_what_no_tool_opens_is_folded(tmp_path: Path, level: int | None, folded: bool) -> None:
    store = SqliteStore(tmp_path, warn=pytest.fail)
    EntryStore(store).save(Entry(KEY, bytes(5000), {}, level))
    value = store.get(KEY)
    assert value and is_folded(value) is folded
    assert EntryStore(store).load(KEY) == Entry(KEY, bytes(5000), {})


def test_a_file_is_the_payload_unless_it_is_said_to_be_folded(tmp_path: Path) -> None:
    store = FileStore(tmp_path, warn=pytest.fail)
    for level, folded in ((None, False), (FIRST, True)):
        EntryStore(store).save(Entry(KEY, bytes(5000), {}, level))
        value = store.get(KEY)
        assert value and is_folded(value) is folded


def test_what_a_fallback_has_folded_is_folded_again(tmp_path: Path) -> None:
    far, near = MemoryStore(), FileStore(tmp_path, warn=pytest.fail)
    EntryStore(far).save(Entry(KEY, bytes(5000), {}, FIRST))
    assert EntryStore(near, [far]).load(KEY)
    value = near.get(KEY)
    assert value and is_folded(value)
