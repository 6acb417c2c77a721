"""Evicted keys: what was pruned is remembered, up to a bound; damage is harmless."""

from pathlib import Path

import pytest

from nativecache.cache import evicted
from nativecache.cache.evicted import add_evicted, read_evicted, short_key
from nativecache.cache.layout import evicted_path

KEYS = [f"{n:02x}" * 32 for n in range(10)]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "v1").mkdir()
    return tmp_path


def test_evicted_keys_come_back(root: Path) -> None:
    assert read_evicted(root) == set()
    add_evicted(root, KEYS[:2])
    add_evicted(root, KEYS[1:3])
    assert read_evicted(root) == set(map(short_key, KEYS[:3]))
    assert Path(evicted_path(root)).stat().st_size == 3 * 8


def test_the_oldest_are_forgotten(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evicted, "LIMIT", 4)
    add_evicted(root, KEYS[:3])
    add_evicted(root, KEYS[3:6])
    assert read_evicted(root) == set(map(short_key, KEYS[2:6]))


@pytest.mark.parametrize("data", [b"", b"1234567", b"12345678" * 3 + b"123"])
def test_a_damaged_list_is_still_one(root: Path, data: bytes) -> None:
    Path(evicted_path(root)).write_bytes(data)
    read_evicted(root)
    add_evicted(root, KEYS)
    assert set(map(short_key, KEYS)) <= read_evicted(root)


def test_where_nothing_can_be_written(tmp_path: Path) -> None:
    add_evicted(tmp_path / "nowhere", KEYS)
    assert list(tmp_path.iterdir()) == []
