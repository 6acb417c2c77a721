"""Ghosts: what was pruned is remembered, up to a bound; damage is harmless."""

from pathlib import Path

import pytest

from nativecache.cache import evicted
from nativecache.cache.evicted import add_ghosts, ghost, ghosts_path, read_ghosts

KEYS = [f"{n:02x}" * 32 for n in range(10)]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "v1").mkdir()
    return tmp_path


def test_ghosts_come_back(root: Path) -> None:
    assert read_ghosts(root) == set()
    add_ghosts(root, KEYS[:2])
    add_ghosts(root, KEYS[1:3])
    assert read_ghosts(root) == set(map(ghost, KEYS[:3]))
    assert Path(ghosts_path(root)).stat().st_size == 3 * 8


def test_the_oldest_are_forgotten(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evicted, "LIMIT", 4)
    add_ghosts(root, KEYS[:3])
    add_ghosts(root, KEYS[3:6])
    assert read_ghosts(root) == set(map(ghost, KEYS[2:6]))


@pytest.mark.parametrize("data", [b"", b"1234567", b"12345678" * 3 + b"123"])
def test_a_damaged_list_is_still_one(root: Path, data: bytes) -> None:
    Path(ghosts_path(root)).write_bytes(data)
    read_ghosts(root)
    add_ghosts(root, KEYS)
    assert set(map(ghost, KEYS)) <= read_ghosts(root)


def test_where_nothing_can_be_written(tmp_path: Path) -> None:
    add_ghosts(tmp_path / "nowhere", KEYS)
    assert list(tmp_path.iterdir()) == []
