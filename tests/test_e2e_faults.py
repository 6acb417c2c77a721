"""Where the machine fails, not the cache: builds end well, and say in one line what they do without."""

import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness import build, clean_environment
from rules import write
from stores import Kind

from nativecache.cache.folder import check_entries, clear, find_entries, find_temporaries
from nativecache.cache.limits import Limits
from nativecache.cache.prune import prune


def functions(count: int) -> str:
    return "".join(f"define i32 @f{n}() {{\n  ret i32 {n}\n}}\n" for n in range(count))


WORDS = ("f.ll", "--emit", "object", "-o", "f.o")


@pytest.fixture(autouse=True)
def store(kind: Kind, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every machine fails under each kind of store."""
    folder = tmp_path_factory.mktemp("config")
    (folder / "nativecache").mkdir()
    write(folder, {"nativecache/config.toml": f'store = "{kind.name}"\n'})
    monkeypatch.setenv("XDG_CONFIG_HOME", str(folder))


@pytest.fixture
def space(tmp_path: Path) -> Path:
    """A folder with a program, and the image that it should give."""
    write(tmp_path, {"f.ll": functions(30)})
    build(tmp_path, *WORDS, "--no-cache")
    (tmp_path / "f.o").rename(tmp_path / "expected")
    return tmp_path


def assert_right(space: Path) -> None:
    assert (space / "f.o").read_bytes() == (space / "expected").read_bytes()
    (space / "f.o").unlink()


@pytest.fixture
def disk(tmp_path: Path, kind: Kind) -> Iterator[Path]:
    """A disk on which three functions have room, and thirty have not."""
    size = 64 if kind.name == "files" else 128
    folder = tmp_path / "disk"
    folder.mkdir(mode=0o700)
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}k,mode=700", "tmpfs", str(folder)]
    if not shutil.which("mount") or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("needs to be allowed to mount")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk(space: Path, disk: Path) -> None:
    for _ in range(2):
        result = build(space, *WORDS, "-v", env={"NATIVECACHE_DIR": str(disk / "cache")})
        (line,) = result.stderr.splitlines()
        assert "cannot be written: No space left on device; building without storing" in line
        assert_right(space)
    assert list(find_temporaries(disk / "cache")) == []
    assert not any(check_entries(disk / "cache", keep=False))


def test_a_disk_that_is_read_only(space: Path, disk: Path) -> None:
    folder = {"NATIVECACHE_DIR": str(disk)}
    write(space, {"f.ll": functions(3)})
    cold = build(space, *WORDS, env=folder)
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    warm = build(space, *WORDS, "-v", env=folder)
    assert (cold.hits, warm.misses) == (0, 0)
    assert len(warm.stderr.splitlines()) <= 1
    write(space, {"f.ll": functions(30)})
    (line,) = build(space, *WORDS, env=folder).stderr.splitlines()
    assert "cannot be written: Read-only file system; building without storing" in line
    assert_right(space)
    for words in (("stats",), ("info",), ("verify",)):
        assert command(*words, folder=disk).returncode == 0
    for words in (("zero",), ("prune",)):
        done = command(*words, folder=disk)
        assert done.returncode == 1 and "Traceback" not in done.stderr


def command(*words: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "nativecache.cli.start", "cache", *words],
        env=clean_environment() | {"NATIVECACHE_DIR": str(folder)},
        capture_output=True,
        text=True,
    )


def test_a_folder_that_vanishes_again_and_again(space: Path) -> None:
    ended = threading.Event()

    def delete() -> None:
        while not ended.wait(0.005):
            shutil.rmtree(space / "cache", ignore_errors=True)

    thread = threading.Thread(target=delete)
    thread.start()
    try:
        for _ in range(3):
            result = build(space, *WORDS, "-v")
            assert len(result.stderr.splitlines()) <= 1
            assert_right(space)
    finally:
        ended.set()
        thread.join()


def test_pruning_and_clearing_all_the_time(space: Path) -> None:
    ended = threading.Event()

    def prune_and_clear() -> None:
        while not ended.wait(0.001):
            prune(space / "cache", Limits(None, None, 3))
            clear(space / "cache", time.time())

    thread = threading.Thread(target=prune_and_clear)
    thread.start()
    try:
        for _ in range(3):
            assert build(space, *WORDS, "-v").stderr == ""
            assert_right(space)
    finally:
        ended.set()
        thread.join()
    assert not any(check_entries(space / "cache", keep=False))


def test_a_file_in_place_of_the_folder(space: Path) -> None:
    (space / "cache").write_text("mine")
    (line,) = build(space, *WORDS).stderr.splitlines()
    assert "cache cannot be read: Not a directory" in line
    assert_right(space)
    assert (space / "cache").read_text() == "mine"
    for words in (("info",), ("stats",), ("verify",), ("clear",), ("zero",), ("prune",), ("path",)):
        done = command(*words, folder=space / "cache")
        assert done.returncode == 0, (words, done.stderr)
    assert (space / "cache").read_text() == "mine"


def test_no_home(space: Path) -> None:
    environment = dict.fromkeys(("NATIVECACHE_DIR", "HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"), "")
    result = build(space, *WORDS, env=environment | {"TMPDIR": str(space)})
    assert result.stderr == ""
    assert_right(space)
    (folder,) = space.glob("nativecache-*")
    assert list(find_entries(folder / "nativecache")) and folder.stat().st_mode & 0o777 == 0o700
    assert build(space, *WORDS, env=environment | {"TMPDIR": str(space)}).misses == 0


def test_names_as_long_as_they_may_be(space: Path) -> None:
    source, output, cache = "s" * 252 + ".ll", "o" * 255, "c" * 255
    (space / "f.ll").rename(space / source)
    words = (source, "--emit", "object", "-o", output)
    folder = {"NATIVECACHE_DIR": str(space / cache)}
    assert build(space, *words, env=folder).stderr == ""
    assert build(space, *words, "-v", env=folder).misses == 0
    assert (space / output).read_bytes() == (space / "expected").read_bytes()
    assert command("verify", folder=space / cache).returncode == 0
    export = command("export", "--used-by", str(space / output), "-o", "b" * 255, folder=space / cache)
    assert export.returncode in (0, 1) and "Traceback" not in export.stderr
    Path("b" * 255).unlink(missing_ok=True)


def test_names_that_are_no_text(space: Path) -> None:
    output = os.fsdecode(b"\xff\xfe.o")
    build(space, *WORDS[:-1], output, "-q")
    assert build(space, *WORDS[:-1], output, "-q", "--no-opt").misses == 30
    assert build(space, *WORDS[:-1], output, "-q", "-j1").misses == 0
    assert (
        command(
            "export", "--used-by", str(space / output), "-o", str(space / "b.tar"), folder=space / "cache"
        ).returncode
        == 0
    )
