"""The form of packs: what is written is read back, and damage is an error or a damaged entry, no more."""

import hashlib
import os
import random
import struct
from pathlib import Path

import pytest

from nativecache.cache import pack as pack_module
from nativecache.cache import pack_writer
from nativecache.cache.entry import CorruptEntry, Entry, decode_entry, encode_entry
from nativecache.cache.pack import BadPack, Pack, is_pack_name, remove_pack, used_path
from nativecache.cache.pack_writer import Packed, Writer


def entry(number: int, size: int = 100) -> Packed:
    key = hashlib.sha256(b"%d" % number).hexdigest()
    payload = random.Random(number).randbytes(8) * (size // 8)
    return Packed(key, encode_entry(Entry(key, payload, {"milliseconds": number})), 1000.0 + number, number)


def written(folder: Path, entries: list[Packed]) -> Pack:
    writer = Writer()
    writer.add(entries)
    return Pack(writer.write(str(folder)))


def found(pack: Pack, key: str) -> bytes | None:
    number = pack.find(key)
    return None if number is None else pack.read(number)


@pytest.mark.parametrize("much", [0, 1 << 24], ids=["lzma", "zlib"])
@pytest.mark.parametrize("count", [0, 1, 2, 300])
def test_what_is_packed_is_found(
    tmp_path: Path, count: int, much: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pack_writer, "MUCH", much)
    entries = [entry(n, 8 * n) for n in range(count)]
    pack = written(tmp_path, entries)
    assert len(pack) == count
    for one in entries:
        number = pack.find(one.key)
        assert number is not None and pack.key(number) == one.key
        assert (pack.read(number), pack.used(number)) == (one.data, one.used)
        assert pack.place(number).milliseconds == one.milliseconds
    assert pack.find(entry(-1).key) is None
    assert sorted(pack.in_order()) == list(range(count))


def test_a_key_is_not_found_across_two_others(tmp_path: Path) -> None:
    """Keys stand one after the other: bytes of two are no third."""
    first, second = "00" * 31 + "01", "00" * 30 + "0200"
    pack = written(tmp_path, [Packed(key, b"value", 0.0, None) for key in (first, second)])
    both = pack.key(0) + pack.key(1)
    between = [both[at : at + 64] for at in range(2, 64, 2)]
    assert [pack.find(key) for key in between] == [None] * len(between)
    assert pack.find(first) is not None and pack.find(second) is not None


def test_many_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pack_writer, "BLOCK", 1000)
    entries = [entry(n, 400) for n in range(50)]
    pack = written(tmp_path, entries)
    assert pack.place(pack.in_order()[-1]).block > 10
    assert all(found(pack, one.key) == one.data for one in entries)


def test_each_block_is_unfolded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also with more than may be held in memory."""
    monkeypatch.setattr(pack_writer, "BLOCK", 1000)
    monkeypatch.setattr(pack_module, "_HELD", 3000)
    entries = [entry(n, 400) for n in range(50)]
    pack = written(tmp_path, entries)
    blocks: list[int] = []
    unfold = pack_module._unfold

    def count(block: bytes, size: int) -> bytes:
        blocks.append(size)
        return unfold(block, size)

    monkeypatch.setattr(pack_module, "_unfold", count)
    for _ in range(3):
        random.Random(1).shuffle(entries)
        assert all(found(pack, one.key) == one.data for one in entries)
    assert len(blocks) == 1 + max(pack.place(n).block for n in range(len(pack)))


def test_blocks_that_cannot_be_set_aside_are_unfolded_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pack_module, "_HELD", 0)
    pack = written(tmp_path, [entry(n) for n in range(5)])

    def full() -> None:
        raise OSError("full")

    monkeypatch.setattr("tempfile.TemporaryFile", full)
    for _ in range(2):
        assert all(found(pack, entry(n).key) == entry(n).data for n in range(5))


def test_a_fork_keeps_off_the_blocks_of_its_parent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pack_writer, "BLOCK", 1000)
    monkeypatch.setattr(pack_module, "_HELD", 0)
    entries = [entry(n, 400) for n in range(20)]
    pack = written(tmp_path, entries)
    assert found(pack, entries[0].key) == entries[0].data
    child = os.fork()
    if child == 0:
        os._exit(any(found(pack, one.key) != one.data for one in entries))
    assert os.waitpid(child, 0)[1] == 0
    assert all(found(pack, one.key) == one.data for one in entries)


def test_it_is_the_same_for_the_same_entries() -> None:
    one, other = Writer(), Writer()
    entries = [entry(n) for n in range(20)]
    one.add(entries)
    other.add(entries[::-1])
    assert one.encoded() == other.encoded()


@pytest.mark.parametrize("much", [0, 1 << 24], ids=["lzma", "zlib"])
def test_no_bit_of_it_can_be_flipped_unseen(
    tmp_path: Path, much: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pack_writer, "MUCH", much)
    entries = [entry(n, 64) for n in range(4)]
    path = Path(written(tmp_path, entries).path)
    data = path.read_bytes()
    for at in range(len(data)):
        path.write_bytes(data[:at] + bytes([data[at] ^ 1 << at % 8]) + data[at + 1 :])
        check_harmless(path, entries)


@pytest.mark.parametrize("length", range(0, 1400, 7))
def test_one_that_is_cut_short_is_none(tmp_path: Path, length: int) -> None:
    path = Path(written(tmp_path, [entry(n, 64) for n in range(4)]).path)
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(BadPack):
        Pack(str(path))


def test_what_is_put_in_its_place_is_read_as_what_it_is(tmp_path: Path) -> None:
    """Also while it is open; who has opened it reads on in the old one."""
    path = Path(written(tmp_path, [entry(1)]).path)
    before = Pack(str(path))
    Path(written(tmp_path, [entry(2)]).path).replace(path)
    assert found(before, entry(1).key) == entry(1).data
    assert found(Pack(str(path)), entry(1).key) is None and found(Pack(str(path)), entry(2).key)


def test_one_that_is_cut_while_it_is_open_ends_nobody(tmp_path: Path) -> None:
    pack = written(tmp_path, [entry(n) for n in range(5)])
    os.truncate(pack.path, 10)
    assert all(found(pack, entry(n).key) == b"" for n in range(5))


def check_harmless(path: Path, entries: list[Packed]) -> None:
    """A damaged pack is none, or each entry is what it was, or damaged, or not there."""
    try:
        pack = Pack(str(path))
    except BadPack:
        return
    for one in entries:
        data = found(pack, one.key)
        if data is not None and data != one.data:
            with pytest.raises(CorruptEntry):
                decode_entry(one.key, data)


def reseal(table_and_head: bytes) -> bytes:
    return table_and_head + hashlib.sha256(table_and_head).digest() + b"ncpack1\n"


@pytest.mark.parametrize("version", [0, 2])
def test_another_version(tmp_path: Path, version: int) -> None:
    path = Path(written(tmp_path, []).path)
    path.write_bytes(reseal(path.read_bytes()[:-44] + struct.pack("<I", version)))
    with pytest.raises(BadPack, match="version"):
        Pack(str(path))


def test_tables_that_cannot_be(tmp_path: Path) -> None:
    """However well they are sealed."""
    path = Path(written(tmp_path, [entry(1)]).path)
    data = path.read_bytes()[:-40]
    blocks = len(data) - 12 - 16 - 32 - 1024 - 12
    for at, value in (
        (-28, 7),
        (-24, 2**31),
        (blocks - len(data) + 8, 2**31),
        (blocks - len(data), 1),
        (-12, 9),
    ):
        changed = bytearray(data)
        struct.pack_into("<I", changed, len(data) + at, value)
        path.write_bytes(data[:blocks] + reseal(bytes(changed[blocks:])))
        try:
            pack = Pack(str(path))
        except BadPack:
            continue
        assert pack.read(0) == b"" or at == -24, at


def test_times_of_use(tmp_path: Path) -> None:
    pack = written(tmp_path, [entry(n) for n in range(3)])
    number = pack.find(entry(1).key)
    assert number is not None
    pack.note_used(number, 5000.5)
    again = Pack(pack.path)
    assert sorted(again.used(n) for n in range(3)) == [1000, 1002, 5000]
    pack.note_used(0, 7000)
    again.read_times_again()
    assert again.used(0) == 7000


@pytest.mark.parametrize("damage", ["gone", "short", "long", "empty"])
def test_lost_times_are_those_of_the_file(tmp_path: Path, damage: str) -> None:
    pack = written(tmp_path, [entry(n) for n in range(3)])
    times = Path(used_path(pack.path))
    data = times.read_bytes()
    times.unlink()
    if damage != "gone":
        times.write_bytes({"short": data[:-1], "long": data + b"?", "empty": b""}[damage])
    os.utime(pack.path, (2000, 2000))
    pack = Pack(pack.path)
    assert [pack.used(n) for n in range(3)] == [2000] * 3
    pack.note_used(1, 3000)
    assert [Pack(pack.path).used(n) for n in range(3)] == [2000, 3000, 2000]


def test_removing(tmp_path: Path) -> None:
    pack = written(tmp_path, [entry(1)])
    remove_pack(pack.path)
    assert not list(tmp_path.iterdir()) and found(pack, entry(1).key) == entry(1).data


def test_nothing_is_left_of_one_that_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(path: str, data: bytes) -> None:
        if path.endswith(".pack"):
            raise OSError("full")
        Path(path).write_bytes(data)

    monkeypatch.setattr(pack_writer, "write_file", fail)
    with pytest.raises(OSError, match="full"):
        written(tmp_path, [entry(1)])
    assert not list(tmp_path.iterdir())


def test_names() -> None:
    assert is_pack_name("0123456789abcdef" * 2 + ".pack")
    for name in ("0123456789abcdef.pack", "x" * 32 + ".pack", "0123456789abcdef" * 2, ".pack"):
        assert not is_pack_name(name)
