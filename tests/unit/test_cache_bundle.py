"""Bundles: what was used comes out, what is whole comes in, and nothing else does."""

import contextlib
import io
import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nativecache.cache import bundle
from nativecache.cache.bundle import (
    BadBundle,
    Exported,
    Imported,
    export_entries,
    import_entries,
)
from nativecache.cache.entry import Entry, encode_entry
from nativecache.cache.file_store import FileStore
from nativecache.cache.folder import find_entries, readers
from nativecache.cache.layout import entry_path
from nativecache.cache.lookup import EntryStore
from nativecache.cache.notes import note_used, read_used

KEYS = [f"{n:02x}" * 32 for n in range(4)]


def store_in(root: Path) -> EntryStore:
    return EntryStore(FileStore(root, warn=pytest.fail))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A cache folder with four entries."""
    for n, key in enumerate(KEYS):
        store_in(tmp_path / "cache").save(Entry(key, b"payload %d" % n, {"milliseconds": n}))
    return tmp_path / "cache"


def keys_in(root: Path) -> set[str]:
    return {found.key for found in find_entries(root)}


def take(root: Path, file: Path) -> Imported:
    return import_entries(FileStore(root, warn=pytest.fail), file)


def test_there_and_back(root: Path, tmp_path: Path) -> None:
    done = export_entries(readers(root, pytest.fail), KEYS[:2], tmp_path / "b.tar")
    sizes = [
        len(encode_entry(Entry(key, b"payload %d" % n, {"milliseconds": n})))
        for n, key in enumerate(KEYS[:2])
    ]
    assert done == Exported(2, sum(sizes), 0)
    assert take(tmp_path / "new", tmp_path / "b.tar") == Imported(2, sum(sizes), ())
    assert keys_in(tmp_path / "new") == set(KEYS[:2])
    entry = store_in(tmp_path / "new").load(KEYS[1])
    assert entry == Entry(KEYS[1], b"payload 1", {"milliseconds": 1})
    assert (tmp_path / "new" / "CACHEDIR.TAG").exists()


def test_the_same_entries_are_the_same_file(root: Path, tmp_path: Path) -> None:
    export_entries(readers(root, pytest.fail), KEYS, tmp_path / "a.tar")
    os.utime(entry_path(root, KEYS[0]), (1, 1))
    export_entries(readers(root, pytest.fail), [*reversed(KEYS), *KEYS], tmp_path / "b.tar")
    assert (tmp_path / "a.tar").read_bytes() == (tmp_path / "b.tar").read_bytes()


def test_what_is_gone_or_damaged_stays_out(root: Path, tmp_path: Path) -> None:
    Path(entry_path(root, KEYS[0])).unlink()
    Path(entry_path(root, KEYS[1])).write_bytes(b"damaged")
    assert export_entries(readers(root, pytest.fail), KEYS, tmp_path / "b.tar").missing == 2
    assert take(tmp_path / "new", tmp_path / "b.tar").entries == 2


def test_a_file_that_cannot_be_written_leaves_nothing(root: Path, tmp_path: Path) -> None:
    (tmp_path / "b.tar").mkdir()
    with pytest.raises(IsADirectoryError):
        export_entries(readers(root, pytest.fail), KEYS, tmp_path / "b.tar")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b.tar", "cache"]


def test_what_a_name_used(root: Path) -> None:
    store = store_in(root)
    store.load(KEYS[0])
    store.load("ff" * 32)
    store.save(Entry(KEYS[1], b"", {}))
    note_used(store, "/out/app")
    used = read_used(store_in(root), "/out/app")
    assert used is not None and set(used[:-1]) == set(KEYS[:2]) and len(used) == 3
    assert read_used(store_in(root), "/out/other") is None
    note_used(store_in(root), "/out/app")
    assert len(read_used(store_in(root), "/out/app") or ()) == 1


# What bundles must not do


def regular(name: str, data: bytes) -> tuple[tarfile.TarInfo, bytes]:
    member = tarfile.TarInfo(name)
    member.size = len(data)
    return member, data


def special(name: str, kind: bytes, target: str = "") -> tuple[tarfile.TarInfo, bytes]:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return member, b""


def write_tar(path: Path, *members: tuple[tarfile.TarInfo, bytes], mode: str = "w") -> Path:
    with tarfile.open(path, mode) as tar:  # type: ignore[call-overload]
        for member, data in members:
            tar.addfile(member, io.BytesIO(data))
    return path


def name_of(key: str) -> str:
    return f"v1/{key[:2]}/{key[2:]}.o"


WHOLE = encode_entry(Entry(KEYS[0], b"payload", {}))
GOOD = regular(name_of(KEYS[0]), WHOLE)

EVIL: dict[str, Callable[[], tuple[tarfile.TarInfo, bytes]]] = {
    "parent": lambda: regular("../" + name_of(KEYS[1]), WHOLE),
    "inner parent": lambda: regular("v1/../v1/00/" + "0" * 62 + ".o", WHOLE),
    "absolute": lambda: regular("/" + name_of(KEYS[1]), WHOLE),
    "dot": lambda: regular("./" + name_of(KEYS[1]), WHOLE),
    "upper": lambda: regular(name_of(KEYS[1]).upper(), WHOLE),
    "newline": lambda: regular(name_of(KEYS[1]) + "\n", WHOLE),
    "other layout": lambda: regular(name_of(KEYS[1]).replace("v1", "v2"), WHOLE),
    "config": lambda: regular("config.toml", b"max-size = 1"),
    "statistics": lambda: regular("v1/statistics/total", b""),
    "other key": lambda: regular(name_of(KEYS[1]), WHOLE),
    "damaged": lambda: regular(name_of(KEYS[0]), b"?" + WHOLE[1:]),
    "empty": lambda: regular(name_of(KEYS[1]), b""),
    "symbolic link": lambda: special(name_of(KEYS[1]), tarfile.SYMTYPE, "/etc/passwd"),
    "hard link": lambda: special(name_of(KEYS[1]), tarfile.LNKTYPE, name_of(KEYS[0])),
    "device": lambda: special(name_of(KEYS[1]), tarfile.CHRTYPE),
    "pipe": lambda: special(name_of(KEYS[1]), tarfile.FIFOTYPE),
    "folder": lambda: special(name_of(KEYS[1]), tarfile.DIRTYPE),
    "contiguous": lambda: special(name_of(KEYS[1]), tarfile.CONTTYPE),
}


@pytest.mark.parametrize("kind", EVIL)
def test_a_bad_member_is_refused_alone(tmp_path: Path, kind: str) -> None:
    bad = EVIL[kind]()
    write_tar(tmp_path / "b.tar", bad, GOOD)
    done = take(tmp_path / "deep" / "cache", tmp_path / "b.tar")
    assert (done.entries, [name for name, _ in done.refused]) == (1, [bad[0].name])
    assert keys_in(tmp_path / "deep" / "cache") == {KEYS[0]}
    files = {path.name for path in tmp_path.rglob("*") if not path.is_dir()}
    assert files == {"b.tar", "README.txt", "CACHEDIR.TAG", KEYS[0][2:] + ".o"}


def test_a_bad_member_does_not_replace_a_good_entry(root: Path, tmp_path: Path) -> None:
    before = Path(entry_path(root, KEYS[0])).read_bytes()
    write_tar(tmp_path / "b.tar", regular(name_of(KEYS[0]), b"?" + WHOLE[1:]))
    assert len(take(root, tmp_path / "b.tar").refused) == 1
    assert Path(entry_path(root, KEYS[0])).read_bytes() == before


def test_too_big_a_member_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundle, "MEMBER_LIMIT", len(WHOLE) - 1)
    write_tar(tmp_path / "b.tar", GOOD)
    assert take(tmp_path / "cache", tmp_path / "b.tar").refused == ((GOOD[0].name, "too big"),)


def test_a_size_that_lies(tmp_path: Path) -> None:
    data = bytearray(write_tar(tmp_path / "b.tar", GOOD).read_bytes())
    member = tarfile.TarInfo(GOOD[0].name)
    member.size = 2**30 - 1
    data[:512] = member.tobuf()
    (tmp_path / "b.tar").write_bytes(data)
    with pytest.raises(BadBundle):
        take(tmp_path / "cache", tmp_path / "b.tar")


@pytest.mark.parametrize("mode", ["w:gz", "w:xz"])
def test_compressed_files_are_no_bundles(tmp_path: Path, mode: str) -> None:
    write_tar(tmp_path / "b.tar", GOOD, mode=mode)
    with pytest.raises(BadBundle):
        take(tmp_path / "cache", tmp_path / "b.tar")


@pytest.mark.parametrize("data", [b"x" * 2000, b"x"])
def test_other_files_are_no_bundles(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "b.tar").write_bytes(data)
    with pytest.raises(BadBundle):
        take(tmp_path / "cache", tmp_path / "b.tar")


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.data())
def test_only_whole_entries_come_in(root: Path, tmp_path: Path, data: st.DataObject) -> None:
    """Whatever byte of a bundle is changed: what is taken is what was exported."""
    if not (tmp_path / "b.tar").exists():
        export_entries(readers(root, pytest.fail), KEYS[:2], tmp_path / "b.tar")
        (tmp_path / "whole.tar").write_bytes((tmp_path / "b.tar").read_bytes())
    text = bytearray((tmp_path / "whole.tar").read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        text[data.draw(st.integers(0, 4 * 512))] ^= 1 << data.draw(st.integers(0, 7))
    (tmp_path / "b.tar").write_bytes(text[: data.draw(st.sampled_from([None, 300, 700, 1300]))])
    new = tmp_path / "new"
    with contextlib.suppress(BadBundle):
        take(new, tmp_path / "b.tar")
    for key in keys_in(new):
        assert Path(entry_path(new, key)).read_bytes() == Path(entry_path(root, key)).read_bytes()
    assert keys_in(new) <= set(KEYS[:2])
