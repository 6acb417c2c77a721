"""Outputs are listed by what they were made from, the last ones only."""

from pathlib import Path

import pytest

from nativecache.aot.key import sealed
from nativecache.aot.records.outputs import list_outputs, note_output, outputs_recipe, read_outputs
from nativecache.cache.lookup import EntryStore
from nativecache.cache.shape import Malformed
from nativecache.cache.store import MemoryStore


@pytest.fixture
def store() -> EntryStore:
    return EntryStore(MemoryStore())


def names(store: EntryStore, guard: str = "guard") -> list[str]:
    return [Path(one.path).name for one in list_outputs(store, guard)]


def digests(word: str, count: int = 10) -> list[str]:
    return [f"{word}{n}".ljust(64, "0") for n in range(count)]


def test_the_last_output_comes_first(store: EntryStore) -> None:
    for n in range(11):
        note_output(store, "guard", Path(f"/out{n}"), digests("a"), digests("b"))
    assert names(store) == [f"out{n}" for n in range(10, 2, -1)]
    assert names(store, "another") == []
    first = list_outputs(store, "guard")[0]
    assert first.texts[3] == "a30000000000" and first.contents[3] == "b30000000000"


def test_one_edit_does_not_have_it_written_again(store: EntryStore) -> None:
    note_output(store, "guard", Path("/one"), digests("a"), digests("b"))
    note_output(store, "guard", Path("/two"), digests("a"), digests("b"))
    note_output(store, "guard", Path("/one"), [*digests("a", 9), "c"], [*digests("b", 9), "c"])
    assert names(store) == ["two", "one"]
    note_output(store, "guard", Path("/one"), digests("c"), digests("c"))
    assert names(store) == ["one", "two"]


@pytest.mark.parametrize(
    "payload", [b"", b"{}", b'[["a",[]]]', b'[["a",["0123456789abc"],[]]]', b"[[1,[],[]]]"]
)
def test_other_forms_are_none(payload: bytes) -> None:
    key = outputs_recipe("guard").key()
    with pytest.raises(Malformed):
        read_outputs(sealed("outputs", key, payload))
