"""Records of finished compiles hold as long as all that they rest on is as it was, and damage is none."""

import os
import time
import zlib
from pathlib import Path

import pytest

from nativecache.cache.dependencies import Dependency, observe
from nativecache.cache.entry import Entry, encode_entry
from nativecache.cache.file_store import FileStore
from nativecache.cache.layout import entry_path
from nativecache.cli.cc_records import Done, encode_record, find_done, note_done, put_file, stamps_of

KEY, RESULT, OTHER = "ab" * 32, "cd" * 32, "ef" * 32
OBJECT = b"\x7fELF object " * 40


@pytest.fixture
def root(tmp_path: Path) -> str:
    (tmp_path / "a.c").write_text("int a;\n")
    store = FileStore(tmp_path / "cache")
    for key in (RESULT, OTHER):
        store.put(key, encode_entry(Entry(key, zlib.compress(OBJECT), {})))
    return str(tmp_path / "cache")


def done(root: str, result: str = RESULT, since: float = 0) -> Done:
    rests = [observe("file", (f"{root}/../a.c",)), observe("found", (root, "", "later.h"))]
    stamps = stamps_of(rests, int(since * 1e9))
    return Done(result, len(OBJECT), "warned\n", "a.o: a.c\n", rests, stamps)


def found(root: str) -> tuple[str, bytes, str, str] | None:
    known = find_done(root, KEY, {})
    return known and (known[0].result, known[1], known[0].messages, known[0].depfile)


def test_what_is_noted_is_found(root: str) -> None:
    assert found(root) is None
    note_done(root, KEY, done(root))
    assert found(root) == (RESULT, OBJECT, "warned\n", "a.o: a.c\n")


def test_it_holds_no_longer(root: str) -> None:
    note_done(root, KEY, done(root))
    Path(root, "later.h").write_text("")
    assert found(root) is None
    Path(root, "later.h").unlink()
    assert found(root)
    Path(root, "../a.c").write_text("int b;\n")
    assert found(root) is None


def test_branches_that_are_switched(root: str) -> None:
    source = Path(root, "../a.c")
    note_done(root, KEY, done(root))
    source.write_text("int b;\n")
    note_done(root, KEY, done(root, OTHER))
    assert found(root) and found(root)[0] == OTHER  # type: ignore[index]
    source.write_text("int a;\n")
    assert found(root) and found(root)[0] == RESULT  # type: ignore[index]


def test_a_status_is_noted_only_where_it_was_so_for_a_while(root: str) -> None:
    assert done(root).stamps == [""]
    assert done(root, since=time.time() + 1).stamps == [""]
    stamp = done(root, since=time.time() + 3600).stamps[0]
    assert stamp == observe("stat", (f"{root}/../a.c",)).value


def test_with_the_same_status_the_content_is_not_read(root: str) -> None:
    known = done(root, since=time.time() + 3600)
    other = [Dependency("file", "12", (f"{root}/../a.c",))]
    assert Done(RESULT, 1, "", "", other, known.stamps).is_valid({})
    os.utime(Path(root, "../a.c"))
    assert not Done(RESULT, 1, "", "", other, known.stamps).is_valid({})
    assert known.is_valid({})  # by its content


@pytest.mark.parametrize("key", [KEY, RESULT])
def test_damage(root: str, key: str) -> None:
    note_done(root, KEY, done(root))
    path = Path(entry_path(root, key))
    data = path.read_bytes()
    for at in range(0, len(data), 7):
        path.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
        assert found(root) is None
        path.write_bytes(data[:at])
        assert found(root) is None
    path.unlink()
    assert found(root) is None


@pytest.mark.parametrize(
    "fields",
    [
        "",
        "x",
        f"{RESULT}\0" + "1\0\0\0000\0000",
        f"{RESULT}\0" + "1\0\0\0005\0000\0said\0x\0001\0true",
        f"{RESULT}\0" + "1\0\0\0004\0000\0file\0x\0001\0a",
        f"{RESULT}\0" + "1\0\0\0004\0009\0file\0x\0001\0a\0",
        "not a key\0" + "1\0\0\0004\0001\0file\0x\0001\0a\0",
    ],
)
def test_forged_records(root: str, fields: str) -> None:
    FileStore(Path(root)).put(KEY, encode_entry(Entry(KEY, fields.encode(), {})))
    assert found(root) is None


def test_a_nul_is_not_noted(root: str) -> None:
    with pytest.raises(ValueError, match="NUL"):
        encode_record([Done(RESULT, 1, "a\0b", "", [], [])])


def test_a_file_takes_the_place_of_another(tmp_path: Path) -> None:
    path, link = tmp_path / "a.o", tmp_path / "link"
    path.write_bytes(b"old")
    os.link(path, link)
    before = os.umask(0o027)
    try:
        put_file(str(path), b"new")
    finally:
        os.umask(before)
    assert (path.read_bytes(), link.read_bytes()) == (b"new", b"old")
    assert path.stat().st_mode & 0o777 == 0o640
    assert sorted(os.listdir(tmp_path)) == ["a.o", "link"]
