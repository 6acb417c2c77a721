"""What is in a cache folder: only what is the cache's own is found, removed, or set aside."""

import os
from pathlib import Path

import pytest

from nativecache.cache.audit import check_entries
from nativecache.cache.claim import claim_pruning
from nativecache.cache.entry import Entry
from nativecache.cache.file_store import FileStore
from nativecache.cache.folder import (
    clear,
    find_entries,
    find_quarantined,
    find_temporaries,
    is_marked,
    remove,
    total,
)
from nativecache.cache.found import occupied
from nativecache.cache.layout import entry_path
from nativecache.cache.lookup import EntryStore
from nativecache.cache.quarantine import set_aside

NOW = 2e9
KEY, OTHER_KEY = "ab" + "0" * 62, "cd" + "1" * 62


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A cache folder with two entries."""
    store = EntryStore(FileStore(tmp_path / "cache"))
    store.save(Entry(KEY, b"one", {}))
    store.save(Entry(OTHER_KEY, b"two" * 5000, {}))
    return tmp_path / "cache"


def file_of(root: Path, key: str) -> Path:
    return Path(entry_path(root, key))


def files_in(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*") if not path.is_dir()}


def test_entries_are_found(root: Path) -> None:
    os.utime(file_of(root, KEY), (100, 100))
    found = {entry.key: entry for entry in find_entries(root)}
    assert found.keys() == {KEY, OTHER_KEY}
    assert (found[KEY].path, found[KEY].size, found[KEY].used) == (str(file_of(root, KEY)), 4096, 100)
    assert found[OTHER_KEY].size == 16384
    assert total(found.values()) == (2, 20480)


@pytest.mark.parametrize("size", [0, 1, 4096, 4097])
def test_files_take_whole_blocks(size: int) -> None:
    assert occupied(size) == (0, 4096, 4096, 8192)[(0, 1, 4096, 4097).index(size)]


def test_nothing_is_in_a_folder_that_is_not_there(tmp_path: Path) -> None:
    for find in (find_entries, find_temporaries, find_quarantined):
        assert list(find(tmp_path / "nowhere")) == []
    assert clear(tmp_path / "nowhere", NOW) == (0, 0)
    assert list(check_entries(tmp_path / "nowhere", keep=False)) == []


def plant_foreign(root: Path, elsewhere: Path) -> set[str]:
    """Puts things into a cache folder that are not its own, some of which look like it; their names."""
    elsewhere.mkdir()
    (elsewhere / ("0" * 62 + ".o")).write_text("mine")
    (elsewhere / "1-2-0123456789abcdef.tmp").write_text("mine")
    (root / "notes.txt").write_text("mine")
    (root / "v1" / "ab" / "notes.o").write_text("mine")
    (root / "v1" / "ab" / "draft.tmp").write_text("mine")
    (root / "v1" / "0g").mkdir()
    (root / "v1" / "0g" / ("0" * 62 + ".o")).write_text("mine")
    (root / "v1" / "ef").symlink_to(elsewhere)
    (root / "v1" / "quarantine").symlink_to(elsewhere)
    (root / "v1" / "ab" / ("2" * 62 + ".o")).symlink_to(elsewhere / ("0" * 62 + ".o"))
    (root / "v1" / "ab" / ("3" * 62 + ".o")).mkdir()
    os.mkfifo(root / "v1" / "ab" / ("4" * 62 + ".o"))
    return files_in(root)


def test_clear_removes_only_what_is_ours(root: Path, tmp_path: Path) -> None:
    before = files_in(root)
    after = plant_foreign(root, tmp_path / "elsewhere")
    for name, age in (("1-2-0123456789abcdef.tmp", 4000), ("2-2-0123456789abcdef.tmp", 60)):
        (root / "v1" / "ab" / name).write_text("old" if age > 3600 else "new")
        os.utime(root / "v1" / "ab" / name, (NOW - age, NOW - age))
    after.add("v1/ab/2-2-0123456789abcdef.tmp")
    assert clear(root, NOW) == (3, 4096 + 16384 + 4096)
    gone = {str(file_of(root, key).relative_to(root)) for key in (KEY, OTHER_KEY)}
    assert files_in(root) == after - gone
    assert gone < before
    assert len(list((tmp_path / "elsewhere").iterdir())) == 2


def test_a_linked_layout_is_not_ours(tmp_path: Path) -> None:
    EntryStore(FileStore(tmp_path / "theirs")).save(Entry(KEY, b"", {}))
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "v1").symlink_to(tmp_path / "theirs" / "v1")
    assert list(find_entries(tmp_path / "cache")) == []
    assert clear(tmp_path / "cache", NOW) == (0, 0)
    assert file_of(tmp_path / "theirs", KEY).exists()


def test_a_root_may_be_a_link(root: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(root)
    assert clear(tmp_path / "link", NOW)[0] == 2


def test_marked_folders(root: Path, tmp_path: Path) -> None:
    assert is_marked(root)
    (tmp_path / "mine").mkdir()
    assert not is_marked(tmp_path / "mine")
    FileStore(tmp_path / "mine").put(KEY, b"")
    assert is_marked(tmp_path / "mine"), "what the cache made in it is"
    (tmp_path / "mine" / "v1" / "CACHEDIR.TAG").write_text("Signature: 8a477f597d28d172789f06886806bc55\n")
    assert not is_marked(tmp_path / "mine"), "that is some other program's cache"


def test_whole_entries_stay(root: Path) -> None:
    assert list(check_entries(root, keep=False)) == [None, None]
    assert len(list(find_entries(root))) == 2


@pytest.mark.parametrize("keep", [True, False])
def test_damaged_entries_go(root: Path, keep: bool) -> None:
    file = file_of(root, KEY)
    data = b"?" + file.read_bytes()[1:]
    file.write_bytes(data)
    (bad,) = filter(None, check_entries(root, keep=keep))
    assert (bad.path, bad.key, bad.reason) == (str(file), KEY, "checksum")
    assert not file.exists()
    assert [found.path for found in find_quarantined(root)] == ([bad.kept] if keep else [])
    if keep:
        assert Path(bad.kept).read_bytes() == data
        clear(root, NOW)
        assert list(find_quarantined(root)) == []


def test_what_was_used_meanwhile_is_not_removed(root: Path) -> None:
    found = next(find_entries(root))
    os.utime(found.path)
    assert remove([found]) == [] and Path(found.path).exists()
    again = next(find_entries(root))
    assert remove([again]) == [again] and remove([again]) == []


def test_set_aside(root: Path) -> None:
    path = set_aside(root, "name.o", b"data")
    assert Path(path).read_bytes() == b"data" and Path(path).parent == root / "v1" / "quarantine"
    assert Path(path).parent.stat().st_mode & 0o777 == 0o700


def test_pruning_is_due_once_per_hour(root: Path) -> None:
    assert claim_pruning(root, 10_000.0) is None, "a folder as good as new"
    assert claim_pruning(root, 13_599.0) is None
    assert claim_pruning(root, 13_601.0) == 3_601
    assert claim_pruning(root, 13_602.0) is None
    assert claim_pruning(root, 5_000.0) == 8_601, "a stamp of the future is wrong"
    assert claim_pruning(root / "nowhere", 1e9) is None
