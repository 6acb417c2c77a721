"""Modules are linked in groups of neighbours, small enough that an edit writes little again."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from nativecache.aot.errors import PlanLost
from nativecache.aot.key import sealed
from nativecache.aot.output.pieces import (
    LastPieces,
    Linked,
    LinkedArchive,
    LinkedObject,
    Pieces,
    group_modules,
    linked_recipe,
    read_linked,
    read_pieces,
    write_linked,
    write_pieces,
)
from nativecache.cache.lookup import EntryStore
from nativecache.cache.shape import Malformed
from nativecache.cache.store import MemoryStore
from nativecache.linker.archive import read_archive

KEY = "ab" * 32
KEYS = ["aa", "bb", "", "cc"]
#: Placeholders of checksums of two sources.
ONE, TWO = b"1" * 16, b"2" * 16


def write(
    pieces: Pieces, group: Sequence[int], path: Path, make: Callable[[int], list[LinkedObject]]
) -> None:
    pieces.write(group, path, make)
    pieces.save()


def members(module: int) -> list[LinkedObject]:
    return [LinkedObject(f"{module}.{n}.o", b"%d %d" % (module, n)) for n in range(2)]


def described(module: int) -> list[LinkedObject]:
    """Objects with checksums: one each, two in one behind the other, none though it looks so, at the end."""
    return [
        LinkedObject(f"{module}.o", b"<" + ONE + b">", (1,)),
        LinkedObject("both.o", TWO + ONE + b"%d" % module, (0, 16)),
        LinkedObject("none.o", b"  " + ONE),
        LinkedObject("last.o", b"odd" + TWO, (3,)),
    ]


def stamped(objects: list[LinkedObject], one: bytes, two: bytes) -> list[tuple[str, bytes]]:
    return [
        (found.name, found.content.replace(ONE, one).replace(TWO, two) if found.checksums else found.content)
        for found in objects
    ]


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
    write(first, (0, 1), path, members)
    last = LastPieces(store, linked([2, 2, 0, 2]))
    assert last.members(1) == members(1) and not last.members(2) and not last.members(3)

    def edited(module: int) -> list[LinkedObject]:
        assert module == 0
        return [LinkedObject("new.o", b"new")]

    second = Pieces(store, {0: "new", 1: "bb"}, [1, 1, 1, 2], {1}, last)
    write(second, (0, 1), path, edited)
    assert list(read_archive(path.read_bytes())) == [("new.o", b"new"), *stamped(members(1), ONE, TWO)]


def test_checksums_are_written_on_the_way_to_the_linker(tmp_path: Path) -> None:
    store, path = EntryStore(MemoryStore()), tmp_path / "0.a"
    keys, groups = {0: "aa", 1: "bb"}, [1, 1, 1, 2]
    both = described(0) + described(1)
    for one, two in ((b"a" * 16, b"b" * 16), (b"b" * 16, TWO), (b"c" * 16, ONE)):

        def once(module: int, first: bool = one[:1] == b"a") -> list[LinkedObject]:
            assert first, "what is kept serves any checksums"
            return described(module)

        write(Pieces(store, keys, groups, checksums={ONE: one, TWO: two}), (0, 1), path, once)
        assert list(read_archive(path.read_bytes())) == stamped(both, one, two)
    # One that is unknown stays.
    Pieces(store, keys, groups, checksums={TWO: ONE}).write((0, 1), path, once)
    assert list(read_archive(path.read_bytes())) == stamped(both, ONE, ONE)


def test_pieces_that_stand_bring_their_checksums_with_them(tmp_path: Path) -> None:
    store, path = EntryStore(MemoryStore()), tmp_path / "0.a"
    groups, old = [1, 1, 1, 2], {ONE: b"a" * 16, TWO: b"b" * 16}
    write(Pieces(store, {0: "aa", 1: "bb"}, groups, checksums=old), (0, 1), path, described)
    last = LastPieces(store, linked([4, 4, 0, 2]))
    assert last.members(0) == described(0) and last.members(1) == described(1)
    new = [LinkedObject("new.o", b"a longer one: " + ONE, (14,)), *described(0)[1:]]
    sums = {ONE: b"c" * 16, TWO: b"d" * 16}
    pieces = Pieces(store, {0: "new", 1: "bb"}, groups, {1}, last, checksums=sums)
    for _ in "written", "kept":
        write(pieces, (0, 1), path, lambda _: new)
        assert list(read_archive(path.read_bytes())) == stamped(new + described(1), *sums.values())


def test_what_was_kept_of_objects_is_kept_again(tmp_path: Path) -> None:
    """An edit's pieces are kept as those of a build from nothing, whatever of it is from the last link."""
    objects = {f"{n:064x}": b"object %d " % n + bytes(99) for n in range(4)}
    new, asked = f"{9:064x}", list[str]()

    class Objects(EntryStore):
        def peek(self, key: str) -> bytes:
            asked.append(key)
            return b"new one" if key == new else objects.get(key, b"")

    def make(module: int) -> list[LinkedObject]:
        rows = list(objects.items())[2 * module :][:2]
        return [LinkedObject("a.o", content + key.encode()) for key, content in rows]

    keys = list(objects)
    store, path, groups = Objects(MemoryStore()), tmp_path / "0.a", [1, 1, 1, 2]
    first = Pieces(store, {0: "aa", 1: "bb"}, groups, objects={0: keys[:2], 1: keys[2:]}.get)
    write(first, (0, 1), path, make)
    last = LastPieces(store, linked([2, 2, 0, 2]))
    kept = last.members(0)[1]
    edited = [LinkedObject("a.o", b"new two"), kept]
    second = Pieces(store, {0: "new", 1: "bb"}, groups, {1}, last, {0: [new, keys[1]]}.get)
    asked.clear()
    write(second, (0, 1), path, lambda _: edited)
    assert asked == [new]
    whole = Objects(MemoryStore())
    anew = [LinkedObject("a.o", b"new two"), make(0)[1]]
    third = Pieces(whole, {0: "new", 1: "bb"}, groups, objects={0: [new, keys[1]], 1: keys[2:]}.get)
    write(third, (0, 1), path, lambda i: make(1) if i else anew)
    (key,) = whole.used
    here, there = store.load(key), whole.load(key)
    assert here and there and here.payload == there.payload


def test_archives_of_an_edited_output_are_kept_as_they_are(tmp_path: Path) -> None:
    """They are read without the objects, by later edits of it and by outputs that adopt its plan."""
    objects = {f"{n:064x}": b"object %d " % n + bytes(99) for n in range(4)}
    asked = list[str]()

    class Objects(EntryStore):
        def peek(self, key: str) -> bytes:
            asked.append(key)
            return objects.get(key, b"")

    def make(module: int) -> list[LinkedObject]:
        rows = list(objects.items())[2 * module :][:2]
        return [LinkedObject("a.o", content + key.encode()) for key, content in rows]

    keys, groups, sizes = list(objects), [1, 1, 1, 2], linked([2, 2, 0, 2])
    store, path, app = Objects(MemoryStore()), tmp_path / "0.a", tmp_path / "app"
    first = Pieces(store, {0: "aa", 1: "bb"}, groups, objects={0: keys[:2], 1: keys[2:]}.get, output=app)
    write(first, (0, 1), path, make)
    assert not asked and list(store.used) == [linked_recipe(app, 1).key()]
    both = list(read_archive(path.read_bytes()))
    last = LastPieces(store, sizes, app)
    assert last.members(1) == make(1)
    new = [LinkedObject("new.o", b"new")]
    second = Pieces(store, {0: "new", 1: "bb"}, groups, {1}, last, output=app)
    for _ in "made", "kept":
        write(second, (0, 1), path, lambda _: new)
        assert list(read_archive(path.read_bytes())) == [("new.o", b"new"), *both[2:]]
    assert not asked
    # Its archive is another one now; those of outputs that are built first are kept as differences.
    assert not LastPieces(store, sizes, app).members(1)
    write(first, (0, 1), path, make)
    last = LastPieces(store, sizes, app)
    adopted = Pieces(store, {0: "new", 1: "bb"}, groups, {1}, last, lambda i: keys[2:] if i else None)
    write(adopted, (0, 1), path, lambda _: new)
    assert asked == keys[2:]
    assert list(read_archive(path.read_bytes())) == [("new.o", b"new"), *both[2:]]


def test_archives_of_another_form_are_none(tmp_path: Path) -> None:
    archive = LinkedArchive(KEY, bytes(99), [3, 80])
    payload = write_linked(archive)
    found = read_linked(sealed("linked", KEY, payload))
    assert (found.group, found.data, list(found.checksums)) == (KEY, archive.data, [3, 80])
    wrong = [LinkedArchive(KEY, bytes(99), places) for places in ([3, 18], [84], [80, 3])]
    for data in (b"", payload[:33], payload[:41], *map(write_linked, wrong)):
        with pytest.raises(Malformed):
            read_linked(sealed("linked", KEY, data))


def test_large_pieces_are_kept_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, path = EntryStore(MemoryStore()), tmp_path / "0.a"
    pieces = Pieces(store, {0: "aa"}, [1])
    pieces.write((0,), path, members)
    assert not store.used
    monkeypatch.setattr("nativecache.aot.output.pieces._MOST_UNSAVED", 9)
    pieces.write((0,), path, members)
    assert len(store.used) == 1


def test_pieces_of_another_form_are_none(tmp_path: Path) -> None:
    store = EntryStore(MemoryStore())
    write(Pieces(store, {0: "aa"}, [1]), (0,), tmp_path / "0.a", described)
    (key,) = store.used
    payload = entry.payload if (entry := store.load(key)) else b""
    kept = read_pieces(sealed("pieces", key, payload))
    archive = (tmp_path / "0.a").read_bytes()
    places = list(kept.checksums)
    assert [archive[at : at + 16] for at in places] == [ONE, TWO, ONE, TWO]
    packed = payload[4 + 4 * len(places) :]
    assert write_pieces(packed, places) == payload
    apart = [places[0], places[0] + 15], places[::-1], [len(archive) - 15], [2**32 - 1]
    for wrong in (b"", payload[:3], payload[:20], *(write_pieces(packed, one) for one in apart)):
        with pytest.raises(Malformed):
            read_pieces(sealed("pieces", key, wrong))
    assert read_pieces(sealed("pieces", key, write_pieces(packed, [len(archive) - 16]))).checksums


def test_a_piece_that_stands_and_is_gone_ends_the_plan(tmp_path: Path) -> None:
    store = EntryStore(MemoryStore())
    for last in (None, LastPieces(store, linked([2, 2, 0, 2]))):
        with pytest.raises(PlanLost):
            Pieces(store, {0: "new", 1: "bb"}, [1, 1, 1, 2], {1}, last).write(
                (0, 1), tmp_path / "0.a", members
            )


def test_a_group_of_other_sizes_is_not_cut(tmp_path: Path) -> None:
    store = EntryStore(MemoryStore())
    write(Pieces(store, {0: "aa", 1: "bb"}, [1, 1, 1, 2]), (0, 1), tmp_path / "0.a", members)
    assert not LastPieces(store, linked([2, 3, 0, 2])).members(0)


def test_pieces_of_another_link_are_found_by_their_places(tmp_path: Path) -> None:
    store = EntryStore(MemoryStore())
    write(Pieces(store, {0: "aa", 1: "bb"}, [1, 1, 1, 2]), (0, 1), tmp_path / "0.a", members)
    last = LastPieces(store, linked([2, 2, 0, 2], places=(None, 1, 0)))
    assert [last.members(module) for module in range(3)] == [(), members(1), members(0)]
