"""A manifest has the variant used last first, and forgets the oldest; it is read back as it was."""

from typing import Any

import pytest

from nativecache.aot.front.manifest import Manifest, encode_manifest, read_answer, read_manifest, shared_ends
from nativecache.cache.dependencies import Dependency
from nativecache.cache.entry import Entry
from nativecache.cache.shape import Malformed

KEYS = [f"{n:064x}" for n in range(12)]
SEARCH = (("/usr/include",), (Dependency("program", "1 2", ("/bin/clang",)),))


def dependencies(n: int) -> tuple[Dependency, ...]:
    return (Dependency("file", str(n), ("a.c",)), Dependency("file", "", ("missing.h",)))


def filled(count: int) -> Manifest:
    manifest = Manifest(SEARCH)
    for n in range(count):
        manifest = manifest.with_answer(dependencies(n), KEYS[n])
    return manifest


def keys(manifest: Manifest) -> list[int]:
    return [KEYS.index(key) for _, key in manifest.variants]


def test_the_newest_answer_is_first_and_the_oldest_goes() -> None:
    assert keys(filled(3)) == [2, 1, 0]
    assert keys(filled(12)) == [11, 10, 9, 8, 7, 6, 5, 4]


def test_the_same_answer_is_there_once() -> None:
    again = filled(3).with_answer(dependencies(9), KEYS[1])
    assert keys(again) == [1, 2, 0] and again.variants[0][0] == dependencies(9)


def test_what_was_used_is_first() -> None:
    manifest = filled(4)
    assert keys(manifest.used(2)) == [1, 3, 2, 0] and keys(manifest.used(0)) == keys(manifest) == [3, 2, 1, 0]


def test_another_search_path_leaves_no_answers() -> None:
    manifest = filled(2).found_on(((), ()))
    assert manifest.variants == () and manifest.search == ((), ())


def test_the_time_of_day_is_noted_until_there_is_an_answer() -> None:
    dated = filled(1).met_time_of_day()
    assert dated.dated and keys(dated) == [0]
    assert not dated.with_answer(dependencies(1), KEYS[1]).dated


@pytest.mark.parametrize("manifest", [Manifest(), filled(3), filled(1).met_time_of_day()])
def test_it_is_read_as_it_was_written(manifest: Manifest) -> None:
    assert read_manifest(Entry(KEYS[0], encode_manifest(manifest), {})) == manifest


def test_a_number_of_no_dependency_is_malformed() -> None:
    written = encode_manifest(filled(1)).replace(b"[[[1, 2]", b"[[[1, 9]")
    assert b"[1, 9]" in written
    with pytest.raises(Malformed):
        read_manifest(Entry(KEYS[0], written, {}))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (b"", b""),
        (b"abc", b"abc"),
        (b"abc", b"abcabc"),
        (b"aaaa", b"aaaaaaa"),
        (b"x" * 70_000 + b"1" + b"y" * 140_000, b"x" * 70_000 + b"22" + b"y" * 140_000),
        (b"all else", b"is another"),
    ],
)
def test_shared_ends_are_the_longest_that_do_not_meet(one: bytes, other: bytes) -> None:
    for first, second in ((one, other), (other, one)):
        start, end = shared_ends(first, second)
        assert first[:start] == second[:start] and start + end <= min(len(first), len(second))
        assert first[len(first) - end :] == second[len(second) - end :]
        middles = first[start : len(first) - end], second[start : len(second) - end]
        assert not all(middles) or (middles[0][0] != middles[1][0] and middles[0][-1] != middles[1][-1])


@pytest.mark.parametrize(
    "wrong",
    [
        {"base": KEYS[1]},
        {"shared": [1, 1]},
        {"base": "x", "shared": [1, 1]},
        {"base": KEYS[0], "shared": [1, 1]},
    ],
)
def test_a_part_of_an_answer_names_another_one(wrong: dict[str, Any]) -> None:
    meta: dict[str, Any] = {"messages": "", "size": 4, "digest": "0" * 64}
    right = {**meta, "base": KEYS[1], "shared": [1, 1]}
    assert read_answer(Entry(KEYS[0], b"", right)).base == KEYS[1]
    with pytest.raises(Malformed):
        read_answer(Entry(KEYS[0], b"", {**meta, **wrong}))


def test_the_answer_that_is_whole_is_replaced_once_it_is_no_longer_known() -> None:
    bases = [filled(count).base for count in range(1, 10)]
    assert bases == [KEYS[0]] * 8 + [KEYS[8]]
    assert filled(3).found_on(((), ())).base == ""
    assert read_manifest(Entry(KEYS[0], encode_manifest(filled(3)), {})).base == KEYS[0]
