"""What a memo is told is there in the next build, and goes when nothing uses it any more."""

import pytest

from nativecache.aot.key import Compiler, Options, digest
from nativecache.aot.packed import encode_names, encode_nodes
from nativecache.aot.records.memo import CleanUp, KeyedUnit, UnitMemo
from nativecache.aot.units.shapes import Shape
from nativecache.cache.lookup import EntryStore
from nativecache.cache.store import MemoryStore

COMPILER = Compiler(llvm="1", llvmlite="", library="")
OPTIONS = Options(
    triple="", cpu="", features="", level=2, optimize=True, relocation="pic", code_model="default"
)
NAMES = [digest(bytes([n])) for n in range(9)]
SHAPES = (
    Shape(b"shape", ("@f", "@g"), ("!1", "#2"), ("@g",)),
    Shape(b"", (), (), ()),
    Shape(b"\xff", ('@"\xe9\\0A"',), (), ()),
)
MENTIONS = encode_names(["g", "g", "h"])
NODES = encode_nodes([f"!{1:024}", f"!{2:020}", f"!{4:024}"])
CLEAN_UP = CleanUp(b"text", 12, encode_names(["nc.0", "f"]), MENTIONS, nodes=NODES)
KEY = "0123456789abcdef" * 4
UNIT = KeyedUnit(KEY, "own", encode_names(["nc.0", "f\udcff"]), ("g", "\x01h"), b"fingerprints")


@pytest.fixture
def store() -> EntryStore:
    return EntryStore(MemoryStore())


def opened(store: EntryStore) -> UnitMemo:
    return UnitMemo("folder/a.ll", COMPILER, OPTIONS, store)


def test_nothing_is_known_at_first(store: EntryStore) -> None:
    memo = opened(store)
    assert not (memo.shape(NAMES[0]) or memo.clean_up(NAMES[0]) or memo.unit(NAMES[0]))


def test_all_comes_back_as_it_was(store: EntryStore) -> None:
    memo = opened(store)
    for name, shape in zip(NAMES, SHAPES, strict=False):
        memo.add_shape(name, shape)
    memo.add_clean_up(NAMES[0], CLEAN_UP)
    memo.add_clean_up(NAMES[1], CleanUp(b"", 0, "", ""))
    memo.add_unit(NAMES[0], UNIT)
    memo.add_unit(NAMES[2], KeyedUnit(KEY, "", "", (), b""))
    for _ in range(2):  # read from a new one, then from that
        assert [memo.shape(name) for name in NAMES[:4]] == [*SHAPES, None]
        assert memo.clean_up(NAMES[0]) == CLEAN_UP and memo.clean_up(NAMES[1]) == CleanUp(b"", 0, "", "")
        assert memo.unit(NAMES[0]) == UNIT and memo.unit(NAMES[2]) == KeyedUnit(KEY, "", "", (), b"")
        assert not (memo.unit(NAMES[1]) or memo.clean_up(NAMES[2]))
        memo.save()
        memo = opened(store)


def test_what_is_not_used_goes_before_what_is(store: EntryStore) -> None:
    memo = opened(store)
    for name in NAMES[:6]:
        memo.add_unit(name, UNIT)
    memo.save()
    for name in (NAMES[6], NAMES[7]):  # each build uses two of the old and one of its own
        memo = opened(store)
        assert memo.unit(NAMES[4]) and memo.unit(NAMES[5])
        memo.add_unit(name, UNIT)
        memo.save()
    memo = opened(store)
    known = [n for n, name in enumerate(NAMES) if memo.unit(name)]
    assert known == [0, 1, 4, 5, 6, 7], "as many that were not used as were"


def test_nothing_new_is_not_saved_again() -> None:
    class Noting(MemoryStore):
        saved = 0

        def put(self, key: str, value: bytes) -> None:
            self.saved += 1
            super().put(key, value)

    store = Noting()
    for _ in range(2):
        memo = opened(EntryStore(store))
        if memo.unit(NAMES[0]) is None:
            memo.add_unit(NAMES[0], UNIT)
        memo.save()
    assert store.saved == 1
