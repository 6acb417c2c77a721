"""An archive comes back from its difference to objects, or not at all."""

import hashlib
import random
import zlib

import pytest

from nativecache.aot.output import differences
from nativecache.aot.output.differences import Difference, Load, difference, part
from nativecache.cache.shape import Malformed
from nativecache.linker.archive import find_members, write_archive


def make(number: int) -> tuple[str, bytes, bytes]:
    """A key, an object, and that under its real names: changed in one place, and longer."""
    content = random.Random(number).randbytes(50 + 37 * number)
    named = bytearray(content + b"real name %d\0" % number)
    named[10] ^= 7
    return hashlib.sha256(content).hexdigest(), content, bytes(named)


PARTS = [make(number) for number in range(9)]
KEYS = [key for key, _, _ in PARTS]
OBJECTS = {key: content for key, content, _ in PARTS}
ARCHIVE = write_archive([(f"{n}.o", named) for n, (_, _, named) in enumerate(PARTS)], symbol_index=False)


def load(key: str) -> bytes:
    return OBJECTS.get(key, b"")


def pack(keys: list[str] = KEYS, load: Load = load) -> bytes:
    """The archive, as it differs from the objects of some keys."""
    return difference(ARCHIVE, [part(named, key, load) for key, (*_, named) in zip(keys, PARTS, strict=True)])


@pytest.mark.parametrize("step", [1, 100, 1 << 20])
def test_an_archive_comes_back(step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(differences, "_STEP", step)
    packed = pack()
    found = Difference(packed)
    assert found.keys == KEYS and found.archive(load) == ARCHIVE
    assert len(zlib.compress(packed)) < 9 * 32 + len(zlib.compress(ARCHIVE)) // 2


def test_parts_of_one_are_those_of_the_next() -> None:
    """Where a member stays what it was, how it differs from its object does, too."""
    found = Difference(pack())
    spans = [span for _, span in find_members(lambda at, size: ARCHIVE[at : at + size], len(ARCHIVE)) if span]
    parts = [found.part(n, end) for n, (_, end) in enumerate(spans)]
    assert parts == [part(named, key, load) for key, _, named in PARTS]
    assert difference(ARCHIVE, parts) == pack()
    fewer = write_archive([(f"{n}.o", PARTS[n][2]) for n in (7, 2)], symbol_index=False)
    assert Difference(difference(fewer, [parts[7], parts[2]])).archive(load) == fewer


@pytest.mark.parametrize("numbers", [[], range(8), [1, 0, *range(2, 9)]])
def test_parts_of_another_archive_are_refused(numbers: list[int]) -> None:
    parts = [part(PARTS[n][2], KEYS[n], load) for n in numbers]
    with pytest.raises(ValueError, match=r"parts of another archive|zip"):
        difference(ARCHIVE, parts)


def test_an_archive_without_objects() -> None:
    found = Difference(pack([""] * 9))
    assert found.keys == [] and found.archive(lambda _: b"") == ARCHIVE


def test_some_objects_are_not_there() -> None:
    packed = pack(KEYS, lambda key: load(key) if key != KEYS[4] else b"")
    assert Difference(packed).keys == KEYS[:4] + KEYS[5:] and Difference(packed).archive(load) == ARCHIVE


def test_an_object_longer_than_what_was_made_of_it() -> None:
    packed = pack(KEYS, lambda key: load(key) + bytes(range(256)))
    assert Difference(packed).archive(lambda key: load(key) + bytes(range(256))) == ARCHIVE


def test_an_empty_archive() -> None:
    empty = write_archive([], symbol_index=False)
    assert Difference(difference(empty, [])).archive(load) == empty


@pytest.mark.parametrize("change", [lambda _: b"", lambda data: data[:-1], lambda data: b"?" + data[1:]])
def test_an_object_that_is_gone_or_another_is_noticed(change: object) -> None:
    assert callable(change)
    found = Difference(pack())
    for lost in KEYS:
        assert found.archive(lambda key, lost=lost: change(load(key)) if key == lost else load(key)) is None  # type: ignore[misc]


def test_no_byte_of_it_can_be_changed_unseen() -> None:
    packed = pack()
    for at in range(0, len(packed), 3):
        changed = packed[:at] + bytes([packed[at] ^ 1 << at % 8]) + packed[at + 1 :]
        try:
            found = Difference(changed)
        except Malformed:
            continue
        assert found.archive(load) in (None, ARCHIVE)


@pytest.mark.parametrize("length", [0, 3, 39, 40, 100, -1])
def test_one_that_ends_early_is_none(length: int) -> None:
    with pytest.raises(Malformed):
        Difference(pack()[:length])
