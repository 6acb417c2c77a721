"""The entry format: every damage is found, and has its reason."""

import hashlib
import os
import shutil
import struct
import subprocess
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nativecache.cache.entry import (
    AGAIN,
    FIRST,
    JSON,
    CorruptEntry,
    Entry,
    Reason,
    decode_entry,
    encode_entry,
    find_milliseconds,
    read_milliseconds,
)

KEY = "0123456789abcdef" * 4
OTHER_KEY = "fedcba9876543210" * 4
ENTRY = Entry(KEY, b"payload", {"milliseconds": 1.5, "defined": ["f"]})
PACKED = encode_entry(ENTRY)

json_values: st.SearchStrategy[JSON] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
entries = st.builds(
    Entry,
    key=st.binary(min_size=32, max_size=32).map(bytes.hex),
    payload=st.binary(max_size=64),
    meta=st.dictionaries(st.text(max_size=8), json_values, max_size=4),
    level=st.sampled_from((None, 0, 1, 6)),
)


def reason_of(data: bytes, key: str = KEY) -> Reason:
    with pytest.raises(CorruptEntry) as caught:
        decode_entry(key, data)
    return caught.value.reason


def sealed(meta: bytes = b"{}", version: int = 1) -> bytes:
    """An entry with an empty payload and a right checksum, written out as the grammar says."""
    body = meta + bytes.fromhex(KEY) + struct.pack("<QII", 0, len(meta), version)
    return body + hashlib.sha256(body).digest() + b"ncentry\n"


@pytest.mark.slow
@given(entries)
def test_unpack_gives_back_what_was_packed(entry: Entry) -> None:
    assert decode_entry(entry.key, encode_entry(entry)) == entry


def test_bytes_are_those_of_the_grammar() -> None:
    assert encode_entry(Entry(KEY, b"", {})) == sealed()


def test_bytes_do_not_depend_on_the_order_of_the_metadata() -> None:
    assert encode_entry(Entry(KEY, b"", {"a": 1, "b": 2})) == encode_entry(Entry(KEY, b"", {"b": 2, "a": 1}))


def test_payload_comes_first_and_verbatim() -> None:
    assert PACKED.startswith(ENTRY.payload)


def test_names_that_are_not_utf8_survive() -> None:
    entry = Entry(KEY, b"", {"defined": [b"\xff".decode(errors="surrogateescape")]})
    assert decode_entry(KEY, encode_entry(entry)) == entry


@given(entries, st.data())
def test_any_changed_byte_is_found(entry: Entry, data: st.DataObject) -> None:
    packed = bytearray(encode_entry(entry))
    position = data.draw(st.integers(0, len(packed) - 1))
    packed[position] ^= data.draw(st.integers(1, 255))
    reason_of(bytes(packed), entry.key)


def test_every_flipped_bit_of_one_entry_is_found() -> None:
    for bit in range(len(PACKED) * 8):
        damaged = bytearray(PACKED)
        damaged[bit // 8] ^= 1 << bit % 8
        reason_of(bytes(damaged))


def test_every_truncation_is_found() -> None:
    for length in range(len(PACKED)):
        reason_of(PACKED[:length])
        reason_of(PACKED[-length:] if length else b"")


@given(st.binary(min_size=1))
def test_any_extension_is_found(extra: bytes) -> None:
    reason_of(PACKED + extra)
    reason_of(extra + PACKED)


def test_two_entries_in_one_file_are_not_an_entry() -> None:
    assert reason_of(PACKED + PACKED) is Reason.LENGTH


@pytest.mark.parametrize(
    ("from_end", "reason"),
    [
        (len(PACKED), Reason.CHECKSUM),  # payload
        (len(PACKED) - len(b"payload"), Reason.CHECKSUM),  # metadata
        (88, Reason.CHECKSUM),  # key
        (56, Reason.LENGTH),  # payload length
        (48, Reason.LENGTH),  # metadata length
        (44, Reason.VERSION),
        (40, Reason.CHECKSUM),
        (8, Reason.MAGIC),
    ],
)
def test_each_part_has_its_reason(from_end: int, reason: Reason) -> None:
    damaged = bytearray(PACKED)
    damaged[-from_end] ^= 1
    assert reason_of(bytes(damaged)) is reason


def test_short() -> None:
    assert reason_of(PACKED[-87:]) is Reason.SHORT


def test_entry_of_another_key() -> None:
    assert reason_of(PACKED, OTHER_KEY) is Reason.KEY


def test_another_version_with_a_right_checksum() -> None:
    assert reason_of(sealed(version=3)) is Reason.VERSION


TEXT = b"define" * 1000


@pytest.mark.parametrize("level", [FIRST, AGAIN])
def test_what_is_folded_is_smaller_and_comes_back(level: int) -> None:
    entry = Entry(KEY, TEXT, {"milliseconds": 1.5}, level)
    packed = encode_entry(entry)
    assert len(packed) < len(TEXT) / 10
    assert decode_entry(KEY, packed) == entry and decode_entry(KEY, packed).level == AGAIN
    assert find_milliseconds(packed) == 1.5
    assert decode_entry(KEY, encode_entry(Entry(KEY, TEXT, {}))).level is None


@pytest.mark.parametrize("payload", [b"", b"short", os.urandom(5000)])
def test_what_folding_makes_no_smaller_is_kept_as_it_is(payload: bytes) -> None:
    assert encode_entry(Entry(KEY, payload, {}, FIRST)) == encode_entry(Entry(KEY, payload, {}))


def forged(folded: bytes, size: int) -> bytes:
    """An entry with a right checksum, whose payload says that it unfolds to `size` bytes."""
    body = struct.pack("<Q", size) + folded
    body += b"{}" + bytes.fromhex(KEY) + struct.pack("<QII", len(body), 2, 2)
    return body + hashlib.sha256(body).digest() + b"ncentry\n"


def test_a_payload_unfolds_to_what_is_said() -> None:
    folded = zlib.compress(TEXT)
    assert decode_entry(KEY, forged(folded, len(TEXT))).payload == TEXT
    bomb = zlib.compress(bytes(1 << 26))
    wrong = [(folded, len(TEXT) + 1), (folded, len(TEXT) - 1), (folded[:-1], len(TEXT)), (b"", 0), (b"x", 1)]
    wrong += [(folded + b"x", len(TEXT)), (bomb, 10), (folded, 2**40), (folded, 2**64 - 1), (folded, 0)]
    for data, size in wrong:
        assert reason_of(forged(data, size)) is Reason.FOLDING
    assert reason_of(sealed(version=2)) is Reason.FOLDING


def test_every_flipped_bit_of_a_folded_entry_is_found() -> None:
    packed = encode_entry(Entry(KEY, TEXT, {}, AGAIN))
    for bit in range(len(packed) * 8):
        damaged = bytearray(packed)
        damaged[bit // 8] ^= 1 << bit % 8
        reason_of(bytes(damaged))


@pytest.mark.parametrize("meta", [b"", b"{", b"[]", b"null", b'"\xff"', b"[" * 100_000])
def test_metadata_that_is_not_a_json_object(meta: bytes) -> None:
    assert reason_of(sealed(meta)) is Reason.METADATA


def test_metadata_that_is_not_json_cannot_be_packed() -> None:
    with pytest.raises(ValueError, match="JSON"):
        encode_entry(Entry(KEY, b"", {"milliseconds": float("nan")}))


@pytest.mark.parametrize("key", ["", KEY[1:], KEY + "0", KEY.upper(), "g" * 64, " " + KEY[1:]])
def test_malformed_key(key: str) -> None:
    with pytest.raises(ValueError, match="64 lowercase hex"):
        Entry(key, b"", {})


@pytest.mark.skipif(not (shutil.which("gcc") and shutil.which("objdump")), reason="needs gcc and objdump")
def test_objdump_reads_an_entry_as_the_object_in_it(tmp_path: Path) -> None:
    def disassembly(data: bytes) -> bytes:
        (tmp_path / "x.o").write_bytes(data)
        return subprocess.run(["objdump", "-dr", "x.o"], cwd=tmp_path, check=True, capture_output=True).stdout

    (tmp_path / "f.c").write_text("int g(int); int f(int x) { return g(x) + 1; }")
    subprocess.run(["gcc", "-c", "f.c"], cwd=tmp_path, check=True)
    payload = (tmp_path / "f.o").read_bytes()
    assert b"<f>:" in disassembly(payload)
    assert disassembly(encode_entry(Entry(KEY, payload, {"defined": ["f"]}))) == disassembly(payload)


# What an entry saves, read from its end


@pytest.mark.parametrize(
    ("meta", "expected"),
    [
        ({"milliseconds": 3.5}, 3.5),
        ({"milliseconds": 7, "names": ["n" * 50] * 100}, 7.0),
        ({}, None),
        ({"milliseconds": "many"}, None),
        ({"milliseconds": -1}, None),
    ],
)
def test_milliseconds(tmp_path: Path, meta: dict[str, JSON], expected: float | None) -> None:
    file = tmp_path / "entry"
    file.write_bytes(encode_entry(Entry("ab" * 32, b"payload" * 1000, meta)))
    assert read_milliseconds(str(file)) == expected


@pytest.mark.parametrize("cut", [0, 1, 8, 87, 88, 100])
def test_milliseconds_of_what_is_no_entry(tmp_path: Path, cut: int) -> None:
    file = tmp_path / "entry"
    file.write_bytes(encode_entry(Entry("ab" * 32, b"", {"milliseconds": 1}))[:cut])
    with pytest.raises(CorruptEntry):
        read_milliseconds(str(file))


def test_milliseconds_with_a_length_that_lies(tmp_path: Path) -> None:
    data = bytearray(encode_entry(Entry("ab" * 32, b"", {})))
    data[-88 + 40 : -88 + 44] = b"\xff\xff\xff\x7f"
    (tmp_path / "entry").write_bytes(data)
    with pytest.raises(CorruptEntry):
        read_milliseconds(str(tmp_path / "entry"))
