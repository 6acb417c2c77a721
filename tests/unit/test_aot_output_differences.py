"""An archive comes back from its difference to objects, or not at all."""

import hashlib
import random
import zlib

import pytest

from nativecache.aot.output import differences
from nativecache.aot.output.differences import Difference, difference
from nativecache.cache.shape import Malformed
from nativecache.linker.archive import write_archive


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


@pytest.mark.parametrize("step", [1, 100, 1 << 20])
def test_an_archive_comes_back(step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(differences, "_STEP", step)
    packed = difference(ARCHIVE, KEYS, load)
    found = Difference(packed)
    assert found.keys == KEYS and found.archive(load) == ARCHIVE
    assert len(zlib.compress(packed)) < 9 * 32 + len(zlib.compress(ARCHIVE)) // 2


@pytest.mark.parametrize("keys", [[""] * 9, KEYS[:3], []])
def test_an_archive_without_objects(keys: list[str]) -> None:
    found = Difference(difference(ARCHIVE, keys, load))
    assert found.keys == [] and found.archive(lambda _: b"") == ARCHIVE


def test_some_objects_are_not_there() -> None:
    packed = difference(ARCHIVE, KEYS, lambda key: load(key) if key != KEYS[4] else b"")
    assert Difference(packed).keys == KEYS[:4] + KEYS[5:] and Difference(packed).archive(load) == ARCHIVE


def test_an_object_longer_than_what_was_made_of_it() -> None:
    packed = difference(ARCHIVE, KEYS, lambda key: load(key) + bytes(range(256)))
    assert Difference(packed).archive(lambda key: load(key) + bytes(range(256))) == ARCHIVE


def test_an_empty_archive() -> None:
    empty = write_archive([], symbol_index=False)
    assert Difference(difference(empty, [], load)).archive(load) == empty


@pytest.mark.parametrize("change", [lambda _: b"", lambda data: data[:-1], lambda data: b"?" + data[1:]])
def test_an_object_that_is_gone_or_another_is_noticed(change: object) -> None:
    assert callable(change)
    found = Difference(difference(ARCHIVE, KEYS, load))
    for lost in KEYS:
        assert found.archive(lambda key, lost=lost: change(load(key)) if key == lost else load(key)) is None  # type: ignore[misc]


def test_no_byte_of_it_can_be_changed_unseen() -> None:
    packed = difference(ARCHIVE, KEYS, load)
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
        Difference(difference(ARCHIVE, KEYS, load)[:length])
