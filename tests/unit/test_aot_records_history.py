"""The record of an output's last build says why a unit was compiled."""

from dataclasses import replace
from pathlib import Path

from nativecache.aot.key import Compiler, Options
from nativecache.aot.records.history import BuildRecord
from nativecache.cache.lookup import EntryStore
from nativecache.cache.store import MemoryStore

COMPILER = Compiler("22.1", "", "build")
OPTIONS = Options("x86_64-linux-gnu", "", "", 2, True, "pic", "default")
KEY = "ab" * 32


def record(store: MemoryStore, compiler: Compiler = COMPILER, options: Options = OPTIONS) -> BuildRecord:
    return BuildRecord(EntryStore(store), compiler, options, Path("/out/app"))


def test_units_of_the_first_build_are_new() -> None:
    assert record(MemoryStore()).why_missed("f", KEY) == "new"


def test_units_are_new_or_changed() -> None:
    store = MemoryStore()
    record(store).save({"f": "1"})
    last = record(store)
    assert [last.why_missed(name, KEY) for name in ("f", "g")] == ["changed", "new"]
    assert last.unchanged("f", "1") and not last.unchanged("f", "2")


def test_another_llvm_and_other_options() -> None:
    store = MemoryStore()
    record(store).save({"f": "1"})
    other, options = replace(COMPILER, llvm="22.2"), replace(OPTIONS, level=3)
    assert record(store, other).why_missed("f", KEY) == "llvm"
    assert record(store, other, options).why_missed("f", KEY) == "llvm"
    assert record(store, options=options).why_missed("f", KEY) == "options"
    record(store, options=options).save({"f": "1"})
    assert record(store).why_missed("f", KEY) == "changed", "there was a build with these before"


def test_damage_comes_first() -> None:
    store = MemoryStore()
    record(store).save({"f": "1"})
    store.put(KEY, b"?")
    entries = EntryStore(store)
    last = BuildRecord(entries, COMPILER, OPTIONS, Path("/out/app"))
    assert entries.load(KEY) is None
    assert last.why_missed("f", KEY) == "corrupt"


def test_nothing_is_written_where_nothing_is_new() -> None:
    store = MemoryStore()
    record(store).save({"f": "1"})
    entries = EntryStore(store)
    BuildRecord(entries, COMPILER, OPTIONS, Path("/out/app")).save({"f": "1"})
    assert entries.bytes_written == 0


def test_the_turn_goes_on() -> None:
    store = MemoryStore()
    for turn in range(3):
        now = record(store)
        assert now.turn == turn
        now.count_verification()
        assert now.turn == turn + 1
        now.save({})
