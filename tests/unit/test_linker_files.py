"""What native inputs cost is bounded by their size, and nothing is read that is no plain file."""

import os
import resource
import struct
from pathlib import Path

import pytest

from nativecache.linker.archive import MAGIC, THIN_MAGIC
from nativecache.linker.elf import Linkage, all_linkage, linkage
from nativecache.linker.errors import BadObject
from nativecache.linker.files import read_plain
from nativecache.linker.native import scan_native


def elf(strings: bytes, starts: list[int]) -> bytes:
    """An object of nothing but symbols: where each one's name is."""
    symbols = bytes(24) + b"".join(struct.pack("<IBBHQQ", at, 0x10, 0, 0xFFF1, 0, 0) for at in starts)
    body = 64 + 3 * 64
    head = b"\x7fELF\x02\x01\x01" + bytes(9)
    head += struct.pack("<HHIQQQIHHHHHH", 1, 62, 1, 0, 0, 64, 0, 64, 0, 0, 64, 3, 2)
    table = struct.pack("<IIQQQQIIQQ", 0, 2, 0, 0, body, len(symbols), 2, 1, 8, 24)
    names = struct.pack("<IIQQQQIIQQ", 0, 3, 0, 0, body + len(symbols), len(strings), 0, 0, 1, 0)
    return head + bytes(64) + table + names + symbols + strings


def test_symbols_that_share_a_name_share_its_memory() -> None:
    defined, _ = linkage(elf(b"\0" + b"x" * 1_000_000 + b"\0", [1] * 20_000))
    assert len(defined) == 20_000 and len({id(name) for name in defined}) == 1


def test_names_that_overlap_without_end_are_refused() -> None:
    with pytest.raises(BadObject, match="far longer"):
        linkage(elf(b"\0" + b"x" * 1_000_000 + b"\0", list(range(1, 20_001))))


def test_merged_tails_are_read() -> None:
    defined, _ = linkage(elf(b"\0printf\0", [1, 2, 3, 6, 7]))
    assert defined == ["printf", "rintf", "intf", "f", ""]


def test_a_name_behind_the_table_is_refused() -> None:
    with pytest.raises(BadObject, match="outside"):
        linkage(elf(b"\0f\0", [3]))


def header(name: bytes, size: int) -> bytes:
    return b"%-16b0           0     0     644     %-10d`\n" % (name, size)


@pytest.mark.parametrize("what", ["/dev/zero", "fifo", "folder"])
def test_thin_archives_name_plain_files_only(tmp_path: Path, what: str) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "folder").mkdir()
    name = what.encode() + b"/\n"
    archive = tmp_path / "lib.a"
    table = header(b"//", len(name)) + name + b"\n" * (len(name) % 2)
    archive.write_bytes(THIN_MAGIC + table + header(b"/0", 9))
    with pytest.raises(OSError, match="Not a plain file"):
        scan_native(archive)


def test_a_member_that_is_named_often_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.o").write_bytes(elf(b"\0f\0", [1]))
    (tmp_path / "lib.a").write_bytes(THIN_MAGIC + header(b"a.o/", 1) * 50)
    read: list[bytes] = []

    def noting(obj: bytes) -> Linkage:
        read.append(obj)
        return all_linkage(obj)

    monkeypatch.setattr("nativecache.linker.native.all_linkage", noting)
    assert scan_native(tmp_path / "lib.a").defined == {"f"}
    assert len(read) == 1


def test_an_endless_name_is_refused(tmp_path: Path) -> None:
    table = b"x" * (1 << 20) + b"/\n"
    (tmp_path / "lib.a").write_bytes(MAGIC + header(b"//", len(table)) + table + header(b"/0", 0) * 3)
    with pytest.raises(BadObject, match="name table"):
        scan_native(tmp_path / "lib.a")


def test_a_large_name_table_is_not_read(tmp_path: Path) -> None:
    size = 900_000_000
    with open(tmp_path / "lib.a", "wb") as file:
        file.write(MAGIC + header(b"//", size))
        file.truncate(8 + 60 + size)  # no block of the disk is taken
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(BadObject, match="name table"):
        scan_native(tmp_path / "lib.a")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # KiB


@pytest.mark.parametrize("what", ["fifo", "/dev/zero", "/dev/null", "."])
def test_only_plain_files_are_read(tmp_path: Path, what: str) -> None:
    os.mkfifo(tmp_path / "fifo")
    for read in (read_plain, scan_native):
        with pytest.raises(OSError, match="Not a plain file"):
            read(tmp_path / what)
