"""Modules are linked in groups of neighbours, small enough that an edit writes little again."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from nativecache.aot.errors import PlanLost
from nativecache.aot.output.pieces import LastPieces, Linked, Pieces, group_modules
from nativecache.cache.lookup import EntryStore
from nativecache.cache.store import MemoryStore
from nativecache.linker.archive import read_archive

KEYS = ["aa", "bb", "", "cc"]


def members(module: int) -> list[tuple[str, bytes]]:
    return [(f"{module}.{n}.o", b"%d %d" % (module, n)) for n in range(2)]


def linked(sizes: list[int], places: Sequence[int | None] = range(4)) -> Linked:
    return Linked(KEYS, [1, 1, 1, 2], sizes, places)


def test_a_group_holds_so_many_units() -> None:
    assert group_modules([range(5)], dict.fromkeys(range(5), 50), 5) == [1, 1, 2, 2, 3]
    assert group_modules([range(3)], {0: 1, 1: 999, 2: 1}, 3) == [1, 2, 3]


def test_a_group_holds_so_many_modules() -> None:
    groups = group_modules([range(130)], {}, 130)
    assert [groups.count(number) for number in sorted(set(groups))] == [64, 64, 2]


def test_what_is_linked_apart_is_in_no_group() -> None:
    """Native inputs may be between modules on the line."""
    assert group_modules([(0, 1), (2,)], {0: 1, 1: 1, 2: 1}, 3) == [1, 1, 2]


def test_pieces_that_stand_come_from_the_last_link(tmp_path: Path) -> None:
    store, path = EntryStore(MemoryStore()), tmp_path / "0.a"
    first = Pieces(store, {i: key for i, key in enumerate(KEYS) if key}, [1, 1, 1, 2])
    assert list(first.grouped(range(4))) == [(0, 1), (3,)]
    first.write((0, 1), path, members)
    last = LastPieces(store, linked([2, 2, 0, 2]))
    assert last.members(1) == members(1) and not last.members(2) and not last.members(3)

    def edited(module: int) -> list[tuple[str, bytes]]:
        assert module == 0
        return [("new.o", b"new")]

    second = Pieces(store, {0: "new", 1: "bb"}, [1, 1, 1, 2], {1}, last)
    second.write((0, 1), path, edited)
    assert list(read_archive(path.read_bytes())) == [("new.o", b"new"), *members(1)]


def test_a_piece_that_stands_and_is_gone_ends_the_plan(tmp_path: Path) -> None:
    store = EntryStore(MemoryStore())
    for last in (None, LastPieces(store, linked([2, 2, 0, 2]))):
        with pytest.raises(PlanLost):
            Pieces(store, {0: "new", 1: "bb"}, [1, 1, 1, 2], {1}, last).write(
                (0, 1), tmp_path / "0.a", members
            )


def test_a_group_of_other_sizes_is_not_cut(tmp_path: Path) -> None:
    store = EntryStore(MemoryStore())
    Pieces(store, {0: "aa", 1: "bb"}, [1, 1, 1, 2]).write((0, 1), tmp_path / "0.a", members)
    assert not LastPieces(store, linked([2, 3, 0, 2])).members(0)


def test_pieces_of_another_link_are_found_by_their_places(tmp_path: Path) -> None:
    store = EntryStore(MemoryStore())
    Pieces(store, {0: "aa", 1: "bb"}, [1, 1, 1, 2]).write((0, 1), tmp_path / "0.a", members)
    last = LastPieces(store, linked([2, 2, 0, 2], places=(None, 1, 0)))
    assert [last.members(module) for module in range(3)] == [(), members(1), members(0)]
