"""Pruning: limits hold, what is worth least goes first, and nothing in use is lost."""

import os
from pathlib import Path

import pytest
from filelock import FileLock
from stores import Kind

from nativecache.cache.entry import Entry
from nativecache.cache.evicted import read_evicted, short_key
from nativecache.cache.folder import find_entries
from nativecache.cache.found import Found
from nativecache.cache.limits import Limits
from nativecache.cache.lookup import EntryStore
from nativecache.cache.prune import Pruned, prune, worth
from nativecache.cache.quarantine import set_aside
from nativecache.cache.statistics import read_statistics

NOW = 2_000_000_000.0
HOUR, DAY = 3600.0, 86400.0
NO_LIMITS = Limits(None, None, None)


class Space:
    """A cache folder whose entries are named by letters."""

    def __init__(self, root: Path, kind: Kind) -> None:
        self.root = root
        self.kind = kind

    def add(self, name: str, *, milliseconds: float | None = 1, age: float = 0, blocks: int = 1) -> None:
        meta = {} if milliseconds is None else {"milliseconds": milliseconds}
        store = self.kind.open(self.root)
        EntryStore(store).save(Entry(self.key(name), os.urandom(4096 * blocks - 500), meta))
        store.close()
        self.kind.set_used(self.root, self.key(name), NOW - age)

    def key(self, name: str) -> str:
        return f"{ord(name):02x}" * 32

    def sizes(self, names: str) -> int:
        return sum(found.size for found in find_entries(self.root) if chr(int(found.key[:2], 16)) in names)

    def names(self) -> str:
        return "".join(sorted(chr(int(found.key[:2], 16)) for found in find_entries(self.root)))

    def prune(self, limits: Limits) -> Pruned:
        done = prune(self.root, limits, now=NOW)
        assert done is not None
        return done


@pytest.fixture
def space(tmp_path: Path, kind: Kind) -> Space:
    return Space(tmp_path / "cache", kind)


def test_without_limits_all_stays(space: Space) -> None:
    space.add("a", age=1000 * DAY)
    assert space.prune(NO_LIMITS) == Pruned(0, 0, 0, 1, space.sizes("a"))
    assert space.names() == "a"


def test_what_is_not_used_goes(space: Space) -> None:
    space.add("a", age=7 * DAY + 1)
    space.add("b", age=7 * DAY - 1)
    space.add("c", age=-DAY)
    expected = Pruned(1, space.sizes("a"), 0, 2, space.sizes("bc"))
    assert space.prune(Limits(None, 7 * DAY, None)) == expected
    assert space.names() == "bc"


def test_a_pause_longer_than_the_greatest_age_ages_nothing(space: Space) -> None:
    for name in "abcd":
        space.add(name, age=90 * DAY)
    limits = Limits(None, 7 * DAY, 3)
    two = space.sizes("ab")
    assert prune(space.root, limits, now=NOW, pause=8 * DAY) == Pruned(2, two, 0, 2, two), "but the number"
    assert prune(space.root, limits, now=NOW, pause=6 * DAY) == Pruned(2, two, 0, 0, 0)


def test_what_saves_least_time_per_byte_goes_first(space: Space) -> None:
    space.add("a", milliseconds=9, blocks=1)
    space.add("b", milliseconds=10, blocks=4)
    space.add("c", milliseconds=2, blocks=1)
    space.add("d", milliseconds=40, blocks=4)
    assert space.prune(Limits(9 * 4096, None, None)).entries == 2
    assert space.names() == "ad"


def test_if_there_are_too_many_size_does_not_matter(space: Space) -> None:
    space.add("a", milliseconds=9, blocks=1)
    space.add("b", milliseconds=10, blocks=4)
    space.add("c", milliseconds=11, blocks=2)
    space.prune(Limits(100 * 4096, None, 2))
    assert space.names() == "c"


def test_up_to_a_limit_nothing_goes_and_then_a_tenth_more(space: Space) -> None:
    for n in range(20):
        space.add(chr(ord("a") + n), milliseconds=n + 1)
    assert space.prune(Limits(space.sizes(space.names()), None, 20)).entries == 0
    assert space.prune(Limits(None, None, 19)).entries_left == 17
    assert space.names() == "defghijklmnopqrst"


def test_worth_halves_with_every_day(space: Space) -> None:
    space.add("a", milliseconds=8, age=0)
    space.add("b", milliseconds=8, age=DAY)
    values = {found.key: worth(found, NOW) for found in find_entries(space.root)}
    assert values == pytest.approx({space.key("a"): 8, space.key("b"): 4})


def test_entries_that_name_no_time_are_worth_a_typical_one(space: Space) -> None:
    space.add("a", milliseconds=None)
    space.add("b", milliseconds=100)
    space.add("c", milliseconds=0.001)
    space.prune(Limits(None, None, 2))
    assert space.names() == "b"
    (found,) = find_entries(space.root)
    assert worth(Found(str(space.root / "nothing"), "", 1, NOW), NOW) == 0 < worth(found, NOW)


def test_damaged_entries_go_first(space: Space) -> None:
    space.add("a", milliseconds=0.01)
    space.add("b", milliseconds=1000)
    space.kind.overwrite(space.root, space.key("b"), b"damaged")
    space.prune(Limits(None, None, 1))
    assert "b" not in space.names()


def test_abandoned_files_are_swept(space: Space) -> None:
    space.add("a")
    names = {"1-0-0123456789abcdef.tmp": 2 * HOUR, "2-0-0123456789abcdef.tmp": 0.5 * HOUR, "x.tmp": 2 * HOUR}
    (space.root / "v1" / "61").mkdir(exist_ok=True)
    for folder in ("", "v1", "v1/61"):
        for name, age in names.items():
            (space.root / folder / name).touch()
            os.utime(space.root / folder / name, (NOW - age, NOW - age))
    assert space.prune(NO_LIMITS).temporaries == 3
    left = sorted(path.name for path in space.root.rglob("*.tmp"))
    assert left == ["2-0-0123456789abcdef.tmp"] * 3 + ["x.tmp"] * 3


def test_what_was_set_aside_ages_too(space: Space) -> None:
    space.add("a")
    path = set_aside(space.root, "old.o", b"")
    os.utime(path, (0, 0))
    space.prune(Limits())
    assert not Path(path).exists()


def test_pruned_keys_are_noted_and_are_counted(space: Space) -> None:
    space.add("a", milliseconds=1)
    space.add("b", milliseconds=2)
    space.add("c", milliseconds=3)
    size = space.sizes("ab")
    space.prune(Limits(None, None, 2))
    assert read_evicted(space.root) == {short_key(space.key(name)) for name in "ab"}
    assert read_statistics(space.root).total == {"pruned": 2, "pruned_bytes": size}


def test_who_comes_second_lets_it_be(space: Space) -> None:
    space.add("a", age=100 * DAY)
    with FileLock(space.root / "v1" / "prune.lock"):
        assert prune(space.root, Limits(), now=NOW) is None
    assert space.names() == "a"
    assert space.prune(Limits()).entries == 1


def test_what_is_used_while_others_go_stays(space: Space, monkeypatch: pytest.MonkeyPatch) -> None:
    space.add("a", age=100 * DAY)
    space.add("b", age=100 * DAY)

    def find_then_use(root: Path) -> list[Found]:
        found = list(find_entries(root))
        store = space.kind.open(root)
        assert store.get(space.key("a"))
        store.close()
        return found

    monkeypatch.setattr("nativecache.cache.prune.find_entries", find_then_use)
    assert space.prune(Limits()).entries == 1
    assert space.names() == "a"


def test_nothing_to_prune(tmp_path: Path) -> None:
    assert prune(tmp_path / "nowhere", Limits()) == Pruned(0, 0, 0, 0, 0)
    assert list(tmp_path.iterdir()) == []
