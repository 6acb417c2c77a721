"""Stores: they keep bytes, survive every failure of the folder, and leave nothing behind."""

import errno
import multiprocessing
import os
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import pytest
from stores import KINDS, SQLITE, Kind

from nativecache.cache.file_store import FileStore
from nativecache.cache.folder import find_entries, find_temporaries
from nativecache.cache.store import MemoryStore, NullStore, RefreshStore, Store

KEY = "ab" + "0" * 62
OTHER_KEY = "ab" + "1" * 62
HOUR = 3600.0


def quiet(root: Path) -> FileStore:
    """A store that must not warn."""
    return FileStore(root, warn=pytest.fail)


def files_in(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}


def entry_path(root: Path, key: str = KEY) -> Path:
    return root / "v1" / key[:2] / f"{key[2:]}.o"


def fail_with(number: int) -> Callable[..., NoReturn]:
    def fail(*arguments: object, **named: object) -> NoReturn:
        raise OSError(number, os.strerror(number))

    return fail


@pytest.fixture(params=["files", "sqlite", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    kinds = {kind.name: kind for kind in KINDS}
    if request.param == "memory":
        return MemoryStore()
    return kinds[request.param].open(tmp_path / "cache", warn=pytest.fail)


def test_value_comes_back(store: Store) -> None:
    store.put(KEY, b"value")
    assert store.get(KEY) == b"value"


def test_empty_value_is_a_value(store: Store) -> None:
    store.put(KEY, b"")
    assert store.get(KEY) == b""


def test_second_value_replaces_the_first(store: Store) -> None:
    store.put(KEY, b"first")
    store.put(KEY, b"second")
    assert store.get(KEY) == b"second"


def test_unknown_key_is_none(store: Store) -> None:
    store.put(KEY, b"value")
    assert store.get(OTHER_KEY) is None


def test_null_store_keeps_nothing() -> None:
    store = NullStore()
    store.put(KEY, b"value")
    assert store.get(KEY) is None


@pytest.mark.parametrize(
    "key", ["", "ab", KEY.upper(), "../" * 21 + "a", "/" + KEY[1:], KEY + "\n", KEY[1:] + "\0"]
)
def test_malformed_key_is_refused(tmp_path: Path, key: str) -> None:
    stores: list[Store] = [kind.open(tmp_path / "cache") for kind in KINDS]
    for store in (*stores, MemoryStore(), NullStore()):
        with pytest.raises(ValueError, match="64 lowercase hex"):
            store.get(key)
        with pytest.raises(ValueError, match="64 lowercase hex"):
            store.put(key, b"")
    assert list(tmp_path.iterdir()) == []


def own_files(root: Path, kind: Kind) -> set[str]:
    """What a store makes for one value, besides what marks the folder."""
    if kind is SQLITE:
        return {"v1/database", str(SQLITE.file(root).relative_to(root))}
    return {f"v1/ab/{'0' * 62}.o"}


def test_layout(tmp_path: Path, kind: Kind) -> None:
    store = kind.open(tmp_path / "cache", warn=pytest.fail)
    store.put(KEY, b"value")
    store.close()
    own = own_files(tmp_path / "cache", kind)
    assert files_in(tmp_path / "cache") == {*own, "README.txt", "CACHEDIR.TAG"}


def test_what_is_new_is_private(tmp_path: Path, kind: Kind) -> None:
    kind.open(tmp_path / "above" / "cache").put(KEY, b"value")
    folders = [path for path in tmp_path.rglob("*") if path.is_dir()]
    assert len(folders) == (4 if kind.name == "files" else 3)
    assert {stat.S_IMODE(folder.stat().st_mode) for folder in folders} == {0o700}
    files = [path for path in (tmp_path / "above" / "cache" / "v1").rglob("*") if path.is_file()]
    assert files and {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


def test_new_root_is_tagged_as_a_cache(tmp_path: Path, kind: Kind) -> None:
    kind.open(tmp_path / "cache").put(KEY, b"value")
    tag = (tmp_path / "cache" / "CACHEDIR.TAG").read_bytes()
    assert tag.startswith(b"Signature: 8a477f597d28d172789f06886806bc55\n")
    assert "safe to delete" in (tmp_path / "cache" / "README.txt").read_text()


def test_root_made_by_someone_else_is_not_tagged(tmp_path: Path, kind: Kind) -> None:
    store = kind.open(tmp_path)
    store.put(KEY, b"value")
    store.close()
    assert files_in(tmp_path) == {*own_files(tmp_path, kind), "v1/CACHEDIR.TAG"}


def test_get_makes_no_folder(tmp_path: Path, kind: Kind) -> None:
    assert kind.open(tmp_path / "cache", warn=pytest.fail).get(KEY) is None
    assert list(tmp_path.iterdir()) == []


def test_relative_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: Kind) -> None:
    monkeypatch.chdir(tmp_path)
    kind.open(Path("cache")).put(KEY, b"value")
    assert kind.open(tmp_path / "cache").get(KEY) == b"value"


@pytest.mark.parametrize("vanished", ["cache/v1/ab", "cache/v1", "cache"])
def test_vanished_folder_is_made_again(tmp_path: Path, vanished: str, kind: Kind) -> None:
    store = kind.open(tmp_path / "cache", warn=pytest.fail)
    store.put(KEY, b"first")
    (tmp_path / vanished).mkdir(exist_ok=True)  # a shelf, where there is none
    (tmp_path / vanished).rename(tmp_path / "gone")
    if kind is SQLITE and vanished == "cache/v1/ab":
        assert store.get(KEY) == b"first"
        return
    assert store.get(KEY) is None
    store.put(KEY, b"second")
    assert store.get(KEY) == b"second"


def test_folder_that_vanishes_during_a_put_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = quiet(tmp_path / "cache")
    store.put(KEY, b"first")
    replace = os.replace

    def vanish_then_replace(source: str, target: str) -> None:
        monkeypatch.setattr(os, "replace", replace)
        entry_path(tmp_path / "cache").parent.rename(tmp_path / "gone")
        replace(source, target)

    monkeypatch.setattr(os, "replace", vanish_then_replace)
    store.put(KEY, b"second")
    assert store.get(KEY) == b"second"


def test_short_writes_are_completed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, data[:3]))
    store = quiet(tmp_path)
    store.put(KEY, b"a value of several writes")
    assert store.get(KEY) == b"a value of several writes"


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES, errno.EROFS])
@pytest.mark.parametrize("call", ["open", "write", "replace", "mkdir"])
def test_failed_put_warns_once_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, number: int
) -> None:
    warnings: list[str] = []
    store = FileStore(tmp_path, warn=warnings.append)
    with monkeypatch.context() as patch:
        patch.setattr(os, call, fail_with(number))
        store.put(KEY, b"value")
        store.put(OTHER_KEY, b"value")
    assert warnings == [
        f"cache folder {tmp_path} cannot be written: {os.strerror(number)}; building without storing"
    ]
    assert files_in(tmp_path) == set()


def test_failed_put_keeps_the_old_value(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = FileStore(tmp_path, warn=lambda _: None)
    store.put(KEY, b"old")
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", fail_with(errno.ENOSPC))
        store.put(KEY, b"new")
    assert store.get(KEY) == b"old"


def test_put_works_again_when_the_failure_is_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = FileStore(tmp_path, warn=lambda _: None)
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", fail_with(errno.ENOSPC))
        store.put(KEY, b"value")
    store.put(KEY, b"value")
    assert store.get(KEY) == b"value"


def test_interrupted_put_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(source: str, target: str) -> NoReturn:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        quiet(tmp_path).put(KEY, b"value")
    assert files_in(tmp_path) == set()


def test_every_store_object_warns(tmp_path: Path, kind: Kind) -> None:
    warnings: list[str] = []
    (tmp_path / "cache").touch()
    for _ in range(2):
        kind.open(tmp_path / "cache", warn=warnings.append).put(KEY, b"value")
    assert len(warnings) == 2


def test_failures_can_be_passed_on(tmp_path: Path, kind: Kind) -> None:
    (tmp_path / "cache").touch()
    for refresh in (False, True):
        said: list[str] = []
        told: list[str] = []
        ours, theirs = (kind.open(tmp_path / "cache", warn=said.append) for _ in range(2))
        for_build, for_child = (RefreshStore(one) if refresh else one for one in (ours, theirs))
        for_child.pass_failures(told.append)
        for_child.put(KEY, b"value")
        for_child.put(OTHER_KEY, b"value")
        assert len(told) == 1 and not said
        for _ in range(2):
            for_build.warn_once(told[0])
        for_build.put(KEY, b"value")
        assert said == told and ours.failed and theirs.failed


@pytest.mark.parametrize("name", ["cache", "cache/v1", "cache/v1/ab"])
def test_file_in_place_of_a_folder(tmp_path: Path, name: str, kind: Kind) -> None:
    if kind is SQLITE and name == "cache/v1/ab":
        pytest.skip("a database has no shelves")
    warnings: list[str] = []
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_bytes(b"mine")
    store = kind.open(tmp_path / "cache", warn=warnings.append)
    assert store.get(KEY) is None
    store.put(KEY, b"value")
    assert len(warnings) == 1
    assert (tmp_path / name).read_bytes() == b"mine"


def test_folder_in_place_of_a_file(tmp_path: Path) -> None:
    warnings: list[str] = []
    entry_path(tmp_path).mkdir(parents=True)
    store = FileStore(tmp_path, warn=warnings.append)
    store.put(KEY, b"value")
    assert store.get(KEY) is None
    assert len(warnings) == 1
    assert files_in(tmp_path) == set()


def test_dangling_link_in_place_of_the_root(tmp_path: Path, kind: Kind) -> None:
    warnings: list[str] = []
    (tmp_path / "cache").symlink_to("nowhere")
    store = kind.open(tmp_path / "cache", warn=warnings.append)
    store.put(KEY, b"value")
    assert store.get(KEY) is None
    assert len(warnings) == 1


def test_unreadable_value_is_a_miss_with_one_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    warnings: list[str] = []
    store = FileStore(tmp_path, warn=warnings.append)
    store.put(KEY, b"value")
    with monkeypatch.context() as patch:
        patch.setattr(os, "fstat", fail_with(errno.EIO))
        assert store.get(KEY) is None
        assert store.get(KEY) is None
    assert warnings == [
        f"cache folder {tmp_path} cannot be read: {os.strerror(errno.EIO)}; building without what is in it"
    ]


def test_warning_goes_to_stderr_by_default(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: Kind
) -> None:
    (tmp_path / "cache").touch()
    kind.open(tmp_path / "cache").put(KEY, b"value")
    assert capsys.readouterr().err.startswith(
        f"nativecache: warning: cache folder {tmp_path / 'cache'} cannot be written"
    )


@pytest.mark.parametrize(
    ("age", "touched"),
    [(0.0, False), (HOUR - 1, False), (HOUR, True), (1000 * HOUR, True), (-2 * HOUR, True)],
)
def test_use_is_noted_at_most_hourly(tmp_path: Path, age: float, touched: bool, kind: Kind) -> None:
    now = 2_000_000_000.0
    store = kind.open(tmp_path, clock=lambda: now)
    store.put(KEY, b"value")
    kind.set_used(tmp_path, KEY, now - age)
    store.get(KEY)
    store.close()
    assert kind.used(tmp_path, KEY) == (now if touched else now - age)


def test_value_that_cannot_be_touched_is_still_a_hit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = FileStore(tmp_path, clock=lambda: 0.0, warn=pytest.fail)
    store.put(KEY, b"value")
    monkeypatch.setattr(os, "utime", fail_with(errno.EROFS))
    assert store.get(KEY) == b"value"


def test_a_read_only_store_changes_nothing(tmp_path: Path, kind: Kind) -> None:
    kind.open(tmp_path).put(KEY, b"value")
    kind.set_used(tmp_path, KEY, 1.0)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    store = kind.open(tmp_path, read_only=True, warn=pytest.fail)
    store.put(OTHER_KEY, b"other")
    store.put(KEY, b"other")
    assert (store.get(KEY), store.get(OTHER_KEY)) == (b"value", None)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before
    store.close()
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


def test_a_refresh_store_gets_nothing_and_replaces(tmp_path: Path, kind: Kind) -> None:
    kind.open(tmp_path).put(KEY, b"old")
    store = RefreshStore(kind.open(tmp_path, warn=pytest.fail))
    assert store.get(KEY) is None
    store.put(KEY, b"new")
    assert store.get(KEY) is None
    assert kind.open(tmp_path).get(KEY) == b"new"


def test_failed_is_known_afterwards(tmp_path: Path, kind: Kind) -> None:
    (tmp_path / "file").touch()
    store = kind.open(tmp_path / "file", warn=lambda _: None)
    assert not store.failed
    store.put(KEY, b"value")
    assert store.failed


def put_and_get(kind: Kind, root: Path, writer: int) -> None:
    """Exit with 0 if every value got is one that some writer put."""
    keys = [f"{number:064x}" for number in range(8)]
    warnings: list[str] = []
    store = kind.open(root, warn=warnings.append)
    for _ in range(25):
        for key in keys:
            store.put(key, (key[-1] + str(writer)).encode() * 50_000)
            value = store.get(key)
            if value is None or value != value[:2] * 50_000 or value[0] != ord(key[-1]):
                sys.exit(1)
    sys.exit(len(warnings))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_processes_share_a_folder(tmp_path: Path, kind: Kind) -> None:
    context: Any = multiprocessing.get_context("fork")
    writers = [context.Process(target=put_and_get, args=(kind, tmp_path / "cache", n)) for n in range(6)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0] * 6
    assert len(list(find_entries(tmp_path / "cache"))) == 8
    assert list(find_temporaries(tmp_path / "cache")) == []
