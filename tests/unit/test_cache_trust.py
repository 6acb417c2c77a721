"""Nobody else can put a folder in the place of one that was looked at: the way to it is looked at, too."""

import ast
import os
import re
import stat
import threading
from pathlib import Path

import click
import pytest
from harness import ROOT

from nativecache.cache.claim import claim_pruning
from nativecache.cache.counters import add_counts
from nativecache.cache.dependencies import Dependency
from nativecache.cache.entry import Entry
from nativecache.cache.entry import encode_entry as pack_entry
from nativecache.cache.file_store import FileStore
from nativecache.cache.limits import Limits
from nativecache.cache.location import distrust, distrust_file
from nativecache.cache.own_code import PARTS
from nativecache.cache.prune import prune
from nativecache.cache.statistics import fold_statistics
from nativecache.cli.folders import find_root
from nativecache.cli.up_to_date import Record, check, encode_record, read_command

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to make another user's folders")
OTHER = 12345


@pytest.fixture
def way(tmp_path: Path) -> Path:
    """A folder some way down; all of it is ours."""
    folder = tmp_path / "a" / "b" / "cache"
    folder.mkdir(parents=True)
    return folder


@pytest.mark.parametrize("mode", [0o777, 0o707, 0o703])
def test_a_parent_that_every_user_may_write_to(way: Path, mode: int) -> None:
    parent = way.parent.parent
    parent.chmod(mode)
    assert distrust(str(way)) == f"every user may write to {parent}"
    assert distrust(str(way / "not" / "there")) == f"every user may write to {parent}"
    assert distrust_file(str(way / "config.toml")) == f"every user may write to {parent}"


@pytest.mark.parametrize("mode", [0o1777, 0o770, 0o755])
def test_parents_in_which_no_other_user_renames(way: Path, mode: int) -> None:
    way.parent.chmod(mode)
    assert distrust(str(way)) == ""


@needs_root
def test_a_parent_of_another_user(way: Path) -> None:
    os.chown(way.parent, OTHER, -1)
    assert distrust(str(way)) == f"{way.parent} belongs to user {OTHER}"


@needs_root
def test_a_link_of_another_user(way: Path, tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o1777)
    link = shared / "link"
    link.symlink_to(way)
    assert distrust(str(link)) == ""
    os.lchown(link, OTHER, -1)
    assert distrust(str(link)) == f"{link} belongs to user {OTHER}"
    assert distrust(str(link / "below")) == f"{link} belongs to user {OTHER}"


@pytest.mark.parametrize("target", ["{}/bad/cache", "bad/cache", "a/../bad/./cache", "second"])
def test_what_a_link_leads_through(tmp_path: Path, way: Path, target: str) -> None:
    bad = tmp_path / "bad"
    (bad / "cache").mkdir(parents=True)
    bad.chmod(0o777)
    (tmp_path / "second").symlink_to("bad/cache")
    link = tmp_path / "link"
    link.symlink_to(target.format(tmp_path))
    assert distrust(str(link)) == f"every user may write to {bad}"


def test_a_link_in_a_bad_folder(tmp_path: Path, way: Path) -> None:
    bad = tmp_path / "bad"
    bad.mkdir()
    (bad / "link").symlink_to(way)
    bad.chmod(0o777)
    assert distrust(str(bad / "link")) == f"every user may write to {bad}"


def test_links_without_end(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    assert distrust(str(tmp_path / "loop" / "cache")) == ""  # nobody can open it


def test_relative_paths(way: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(way)
    way.parent.chmod(0o777)
    assert distrust(".") == distrust("x/../") == f"every user may write to {way.parent}"


def test_a_folder_is_made_before_it_is_looked_at(tmp_path: Path) -> None:
    tmp_path.chmod(0o1777)
    root = find_root(tmp_path / "new" / "cache", trust=False, make=True)
    assert stat.S_IMODE(root.stat().st_mode) == stat.S_IMODE((root / "v1").stat().st_mode) == 0o700


def test_nothing_is_made_in_a_folder_that_is_not_trusted(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    with pytest.raises(click.ClickException, match="every user may write to"):
        find_root(tmp_path / "new" / "cache", trust=False, make=True)
    assert not list(tmp_path.iterdir())


def test_there_is_no_record_in_a_folder_that_is_not_there(tmp_path: Path) -> None:
    """Who makes it in the next moment may be another user."""
    words = ["build", "a.c", "--cache-dir", str(tmp_path / "cache")]
    command = read_command(words, {})
    assert command and not command.readable
    (tmp_path / "cache" / "v1").mkdir(parents=True)
    data = pack_entry(
        Entry(
            command.key, encode_record(Record("line", "{}", [], [Dependency("file", "", ("missing",))])), {}
        )
    )
    FileStore(tmp_path / "cache").put(command.key, data)
    assert check(command) is None
    command = read_command(words, {})
    assert command and command.readable and check(command) is not None


@pytest.mark.parametrize("mask", [0, 0o22, 0o77])
def test_all_is_private_under_any_mask(tmp_path: Path, mask: int) -> None:
    before = os.umask(mask)
    try:
        root = tmp_path / "cache"
        FileStore(root).put("ab" * 32, b"value")
        add_counts(root, {"hits": 1})
        claim_pruning(root, 0)
        prune(root, Limits(max_files=1))
        fold_statistics(root, now=4e9)
    finally:
        os.umask(before)
    paths = [root, *root.rglob("*")]
    assert {"prune.stamp", "prune.lock", "lock", "total"} <= {path.name for path in paths}
    wrong = [path for path in paths if stat.S_IMODE(path.stat().st_mode) & 0o077]
    assert not wrong


def test_nobody_waits_for_who_prunes(tmp_path: Path) -> None:
    from filelock import FileLock

    store = FileStore(tmp_path)
    store.put("ab" * 32, b"value")
    with FileLock(tmp_path / "v1" / "prune.lock"):
        worker = threading.Thread(target=store.put, args=("cd" * 32, b"other"))
        worker.start()
        worker.join(10)
        assert not worker.is_alive()
        assert prune(tmp_path, Limits()) is None


#: These read what we have written ourselves, pipes of our children, or the system's own files.
READ_THEIR_OWN = {
    "aot/build.py",
    "aot/front/clang.py",
    "aot/output/image.py",
    "aot/output/pieces.py",
    "aot/front/clang_cache.py",
    "aot/records/dependencies.py",
    "cache/dependencies.py",
    "cache/location.py",
    "cache/own_code.py",
    "cache/since.py",
    "cli/cc_miss.py",
    "cli/cc_start.py",
    "linker/link.py",
    "linker/output.py",
}


def test_no_module_reads_without_care_what_others_name() -> None:
    """`open`, `read_bytes` and `read_text` wait for FIFOs: seal.py and files.py have what does not."""
    found = set()
    for part in PARTS:
        for module in (ROOT / part).rglob("*.py"):
            for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call) and _reads(ast.unparse(node)):
                    found.add(module.relative_to(ROOT).as_posix())
    assert found <= READ_THEIR_OWN


def _reads(call: str) -> bool:
    opens = re.match(r"open\((?!open_descriptor)|.*\.open\(['\"]r", call) is not None
    writes = re.search(r"'[wxa]b?'", call) is not None
    return (opens and not writes) or re.search(r"\.read_(?:bytes|text)\([^()]*\)$", call) is not None
