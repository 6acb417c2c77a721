"""Folders and files that `nativecache cache` cannot use, and inputs that are none: one line, and no wait."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from nativecache.cache.file_store import FileStore
from nativecache.cli.main import main

NOBODY = 65534


@pytest.fixture(autouse=True)
def impatient() -> Iterator[None]:
    """Whoever waits for a FIFO is interrupted."""
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    signal.alarm(30)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("NATIVECACHE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("NATIVECACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    FileStore(tmp_path / "cache").put("ab" * 32, b"value")
    return tmp_path / "cache"


def ends(capture: pytest.CaptureFixture[str], code: int, *words: str) -> str:
    with pytest.raises(SystemExit) as ended:
        main(list(words))
    said = capture.readouterr()
    assert (ended.value.code or 0) == code, said
    assert "Traceback" not in said.err
    return said.err


@pytest.mark.parametrize("output", [".", "..", "/", "folder", "folder/"])
def test_what_a_bundle_cannot_be_written_to(
    cache: Path, capsys: pytest.CaptureFixture[str], output: str
) -> None:
    (cache.parent / "folder").mkdir()
    said = ends(capsys, 1, "cache", "export", "-o", output)
    assert "cannot be written" in said and len(said.splitlines()) == 1
    assert not list(cache.parent.glob("*.tmp"))


def test_a_bundle_does_not_replace_a_device(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ends(capsys, 0, "cache", "export", "-o", "/dev/null") == ""
    assert Path("/dev/null").is_char_device()


def test_a_bundle_is_not_written_to_standard_output(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "name a file" in ends(capsys, 2, "cache", "export", "-o", "-")
    assert not (cache.parent / "-").exists()


@pytest.mark.parametrize("name", ["fifo", "/dev/zero", "."])
def test_what_a_bundle_cannot_be_read_from(
    cache: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    os.mkfifo(cache.parent / "fifo")
    said = ends(capsys, 1, "cache", "import", name)
    assert "cannot be read" in said and len(said.splitlines()) == 1


COMMANDS = (("info",), ("verify",), ("export", "-o", "out.tar"), ("clear",))


@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: words[0])
def test_a_folder_that_is_none(
    cache: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    (cache.parent / "file").write_text("")
    said = ends(capsys, 1, "cache", *words, "--cache-dir", "file")
    assert "Not a directory" in said and len(said.splitlines()) == 1


@pytest.fixture
def mere_user(cache: Path) -> Iterator[None]:
    """Root may do anything, so tests that it runs are another user's for a while."""
    if os.geteuid() != 0:
        yield
        return
    for parent in cache.parents:
        if parent.stat().st_mode & 0o001 == 0:  # pytest's own
            parent.chmod(0o711)
    for path in (cache.parent, cache, *cache.rglob("*")):
        os.chown(path, NOBODY, -1)
    os.seteuid(NOBODY)
    yield
    os.seteuid(0)


@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: words[0])
@pytest.mark.parametrize("closed", ["", "v1", "v1/ab"])
@pytest.mark.usefixtures("mere_user")
def test_a_folder_that_cannot_be_read(
    cache: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], closed: str
) -> None:
    try:
        (cache / closed).chmod(0)
    except PermissionError:
        pytest.skip("the way to the folder is closed to others")
    try:
        said = ends(capsys, 1, "cache", *words)
    finally:
        (cache / closed).chmod(0o700)
    assert "Permission denied" in said and len(said.splitlines()) == 1


@pytest.mark.usefixtures("mere_user")
def test_a_folder_that_cannot_be_cleared(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        (cache / "v1" / "ab").chmod(0o500)
    except PermissionError:
        pytest.skip("the way to the folder is closed to others")
    said = ends(capsys, 1, "cache", "clear")
    assert "Permission denied" in said and len(said.splitlines()) == 1


@pytest.mark.parametrize("name", ["cache/config.toml", "config/nativecache/config.toml"])
def test_settings_that_are_no_file(cache: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    """They are not waited for; what is larger than any settings are is an error."""
    (cache.parent / name).parent.mkdir(parents=True, exist_ok=True)
    os.mkfifo(cache.parent / name)
    assert ends(capsys, 0, "cache", "info") == ""
    (cache.parent / name).unlink()
    with open(cache.parent / name, "wb") as file:
        file.truncate(1 << 30)
    assert f"{name}: File too large" in ends(capsys, 2, "cache", "info")


@pytest.mark.parametrize("name", ["a.ll", "a.c", "a.o", "a"])
@pytest.mark.parametrize("kind", ["fifo", "/dev/zero"])
def test_inputs_that_are_no_files(
    cache: Path, capsys: pytest.CaptureFixture[str], name: str, kind: str
) -> None:
    if kind == "fifo":
        os.mkfifo(name)
    else:
        os.symlink(kind, name)
    said = ends(capsys, 1, "build", name, "-o", "out")
    assert said == f"nativecache: error: {name}: is no plain file; write it to one first\n"


def test_a_file_of_options_that_is_no_file(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    os.mkfifo("words")
    assert "'@words': the file cannot be read" in ends(capsys, 2, "build", "@words")


def test_a_folder_below_one_that_all_may_write_to(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cache.parent.chmod(0o777)
    said = ends(capsys, 2, "cache", "info")
    assert f"every user may write to {cache.parent}" in said and "--trust-cache-dir" in said
    ends(capsys, 0, "cache", "info", "--trust-cache-dir")
