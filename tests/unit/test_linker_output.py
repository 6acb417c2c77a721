"""What is no regular file is written to, never replaced; of what is one, nobody sees a half."""

import json
import os
import stat
import threading
from pathlib import Path

import pytest
from harness import needs_clang
from rules import Build, write

from nativecache.linker import output
from nativecache.linker.output import is_special, own_descriptor, put, temporary_name

KINDS = ("exe", "shared", "object", "archive", "asm", "bitcode")


class Reader:
    """Reads a FIFO to its end, as somebody else would."""

    def __init__(self, fifo: Path) -> None:
        os.mkfifo(fifo)
        self._got = b""
        self._thread = threading.Thread(target=self._read, args=(fifo,), daemon=True)
        self._thread.start()

    def _read(self, fifo: Path) -> None:
        self._got = fifo.read_bytes()

    def got(self) -> bytes:
        self._thread.join(60)
        return self._got


def test_a_fifo_is_written_to(tmp_path: Path) -> None:
    reader = Reader(tmp_path / "fifo")
    assert not put(str(tmp_path / "fifo"), b"data" * 100_000)
    assert reader.got() == b"data" * 100_000
    assert [path.name for path in tmp_path.iterdir()] == ["fifo"]


def test_a_link_to_what_is_no_file_is_followed(tmp_path: Path) -> None:
    reader = Reader(tmp_path / "fifo")
    (tmp_path / "link").symlink_to("fifo")
    (tmp_path / "made").write_bytes(b"data")
    assert not output.move(str(tmp_path / "made"), str(tmp_path / "link"))
    assert reader.got() == b"data"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fifo", "link"]
    assert (tmp_path / "link").is_symlink()


def test_a_link_to_a_file_is_replaced_as_clang_does(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"old")
    (tmp_path / "link").symlink_to("file")
    (tmp_path / "other").hardlink_to(tmp_path / "file")
    assert put(str(tmp_path / "link"), b"new") and put(str(tmp_path / "other"), b"new")
    assert (tmp_path / "file").read_bytes() == b"old"
    assert not (tmp_path / "link").is_symlink() and (tmp_path / "other").read_bytes() == b"new"


@pytest.fixture(params=["closed folder", "mount point"])
def fixed(tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that can be written to but not replaced; root is told what others would be."""
    path = tmp_path / "folder" / "file"
    path.parent.mkdir()
    path.write_bytes(b"older and longer")
    real_open = os.open

    def open_old(name: str, flags: int, mode: int = 0o777) -> int:
        if flags & os.O_EXCL:
            raise PermissionError(13, "Permission denied", name)
        return real_open(name, flags, mode)

    def replace(_: str, name: str) -> None:
        raise OSError(16, "Device or resource busy", name)

    if request.param == "mount point":
        monkeypatch.setattr(os, "replace", replace)
    else:
        monkeypatch.setattr(os, "open", open_old)
    return path


def test_a_file_that_cannot_be_replaced_is_written_to(fixed: Path) -> None:
    before = fixed.stat().st_ino
    assert not put(str(fixed), b"data")
    assert (fixed.read_bytes(), fixed.stat().st_ino) == (b"data", before)
    assert [path.name for path in fixed.parent.iterdir()] == ["file"]


def test_our_own_descriptors_are_told_by_every_name(tmp_path: Path) -> None:
    with open(tmp_path / "file", "wb") as file:
        number = file.fileno()
        for name in (f"/dev/fd/{number}", f"/proc/self/fd/{number}", f"/proc/{os.getpid()}/fd/{number}"):
            assert own_descriptor(name) == number
            assert is_special(name)  # even if a file is behind it
        file.write(b"head ")
        file.flush()
        put(f"/dev/fd/{number}", b"data")  # goes on where the file is, as a shell's redirection asks for
    assert (tmp_path / "file").read_bytes() == b"head data"
    assert own_descriptor("/dev/stdout") == 1 and own_descriptor("/dev/stderr") == 2
    assert own_descriptor(f"/proc/{os.getppid()}/fd/1") is None
    assert own_descriptor(str(tmp_path / "file")) is None


@pytest.mark.parametrize("name", ["x" * 255, "é" * 127, os.fsdecode(b"\xff" * 255), "a\nb"])
def test_temporary_names_are_no_longer_than_names_may_be(tmp_path: Path, name: str) -> None:
    made = Path(temporary_name(str(tmp_path / name)))
    made.mkdir()
    assert made.parent == tmp_path
    assert put(str(tmp_path / name), b"data")


def test_nothing_is_left_where_it_fails(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with pytest.raises(IsADirectoryError):
        put(str(tmp_path / "out"), b"data")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.slow
@needs_clang
def test_no_kind_of_output_replaces_a_device_or_a_pipe(tmp_path: Path) -> None:
    files = write(tmp_path, {"a.c": "int f(int a) { return a + 1; }\nint main(void) { return f(-1); }\n"})
    (tmp_path / "null").symlink_to("/dev/null")
    if os.geteuid() == 0:
        (tmp_path / "null").unlink()
        os.mknod(tmp_path / "null", stat.S_IFCHR | 0o666, os.stat("/dev/null").st_rdev)
    for kind in KINDS:
        words = [*files, "--emit", kind]
        Build.start(tmp_path, tmp_path, *words, "-o", f"{kind}.file").result()
        done = Build.start(tmp_path, tmp_path, *words, "-o", "null").result()
        assert (tmp_path / "null").is_char_device()
        reader = Reader(tmp_path / "fifo")
        Build.start(tmp_path, tmp_path, *words, "-o", "fifo").result()
        assert reader.got() == (tmp_path / f"{kind}.file").read_bytes(), kind
        assert (tmp_path / "fifo").is_fifo()
        (tmp_path / "fifo").unlink()
    assert "up to date" not in done.stdout
    left = [path.name for path in tmp_path.iterdir() if path.name.startswith(".")]
    assert left == []


@needs_clang
def test_figures_can_go_into_a_pipe(tmp_path: Path) -> None:
    files = write(tmp_path, {"a.c": "int main(void) { return 0; }\n"})
    for _ in range(2):
        reader = Reader(tmp_path / "fifo")
        process = Build.start(tmp_path, tmp_path, *files, "-o", "app", "--stats-json", "fifo").process
        process.join()
        assert json.loads(reader.got())["functions"] == 1
        (tmp_path / "fifo").unlink()
