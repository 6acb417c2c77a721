"""Hits are compiled again and compared: a cache that lies is found out, and the image is right."""

from pathlib import Path

import pytest
from harness import build
from rules import write

from nativecache.aot.verify import Verifier
from nativecache.cache.entry import Entry
from nativecache.cache.file_store import FileStore
from nativecache.cache.folder import find_entries, find_quarantined
from nativecache.cache.lookup import EntryStore
from nativecache.cache.store import MemoryStore

KEYS = [f"{n * 2**32 // 1000:08x}" + "0" * 56 for n in range(1000)]


@pytest.mark.parametrize("percent", [1, 10, 25, 50, 100])
def test_every_key_has_its_turn(percent: int) -> None:
    turns = 100 // percent
    samples = [
        {key for key in KEYS if Verifier(EntryStore(MemoryStore()), percent, turn).samples(key)}
        for turn in range(turns)
    ]
    assert set().union(*samples) == set(KEYS)
    assert all(abs(len(sample) - 10 * percent) <= 1 for sample in samples)
    assert sum(map(len, samples)) == len(KEYS)


def test_without_a_share_nothing_is_sampled() -> None:
    assert not any(map(Verifier(EntryStore(MemoryStore()), 0, 7).samples, KEYS))


IR = """\
define i32 @f() {
  ret i32 %d
}
define i32 @g(i32 %%x) {
  %%y = mul i32 %%x, 3
  ret i32 %%y
}
define i32 @h(i32 %%x) {
  %%y = mul i32 %%x, 3
  ret i32 %%y
}
"""
WORDS = ("f.ll", "--emit", "object", "-o", "f.o")


def objects(cache: Path) -> list[Entry]:
    """The entries that are objects."""
    store = EntryStore(FileStore(cache))
    found = (store.load(entry.key) for entry in find_entries(cache))
    return [entry for entry in found if entry and "milliseconds" in entry.meta]


@pytest.fixture
def lying(tmp_path: Path) -> Path:
    """A folder whose cache has, under the key of `f`, a whole entry with the object of another `f`."""
    for number in (2, 1):
        write(tmp_path, {"f.ll": IR % number})
        build(tmp_path, *WORDS, env={"NATIVECACHE_DIR": str(tmp_path / f"cache{number}")})
    (tmp_path / "right.o").write_bytes((tmp_path / "f.o").read_bytes())
    other = {entry.key: entry for entry in objects(tmp_path / "cache2")}
    (mine,) = [entry for entry in objects(tmp_path / "cache1") if entry.key not in other]
    (theirs,) = other.keys() - {entry.key for entry in objects(tmp_path / "cache1")}
    (tmp_path / "cache1").rename(tmp_path / "cache")
    EntryStore(FileStore(tmp_path / "cache")).save(Entry(mine.key, other[theirs].payload, mine.meta))
    return tmp_path


@pytest.mark.slow
def test_a_wrong_object_is_set_aside_and_named(lying: Path) -> None:
    result = build(lying, *WORDS, "--verify=100", check=False)
    assert result.exit_code == 4
    line, advice = result.stderr.splitlines()
    assert (
        advice.startswith("nativecache: warning: f.o was rebuilt correctly; other outputs")
        and "--cache-mode refresh" in advice
    )
    assert line.startswith(
        "nativecache: error: f.ll: function 'f': the cached object is not what it compiles to; see"
    )
    assert result.stats["verified"] == 2 and result.stats["mismatches"] == ["f.ll: function 'f'"]
    assert (result.hits, result.misses) == (3, 0)
    kept = {Path(found.path) for found in find_quarantined(lying / "cache")}
    assert {path.name[64:] for path in kept} == {".cached.o", ".compiled.o", ".bc"}
    assert all(str(path) in line for path in kept)
    assert (lying / "f.o").read_bytes() == (lying / "right.o").read_bytes()
    again = build(lying, *WORDS, "--verify=100")
    assert (again.stats["verified"], again.misses) == (2, 0)


@pytest.mark.slow
def test_without_verification_it_would_be_used(lying: Path) -> None:
    (lying / "f.o").unlink()  # with the image there, there is nothing to link
    build(lying, *WORDS, "-v")
    assert (lying / "f.o").read_bytes() != (lying / "right.o").read_bytes()


@pytest.mark.slow
def test_other_images_are_healed_by_a_refresh(lying: Path) -> None:
    other = (*WORDS[:-1], "other.o")
    build(lying, *other)
    assert (lying / "other.o").read_bytes() != (lying / "right.o").read_bytes()
    build(lying, *WORDS, "--verify=100", check=False)
    build(lying, *other, "--cache-mode=refresh")
    assert (lying / "other.o").read_bytes() == (lying / "right.o").read_bytes()


@pytest.mark.slow
def test_where_nothing_can_be_kept_it_is_named_all_the_same(lying: Path) -> None:
    result = build(lying, *WORDS, "--verify=100", "--cache-mode=read-only", check=False)
    assert result.exit_code == 4 and "; see" not in result.stderr
    assert (lying / "f.o").read_bytes() == (lying / "right.o").read_bytes()
    assert list(find_quarantined(lying / "cache")) == []


@pytest.mark.slow
def test_a_record_that_led_to_another_key_is_named(tmp_path: Path) -> None:
    write(tmp_path, {"f.ll": IR % 1})
    build(tmp_path, *WORDS)
    (tmp_path / "f.o").rename(tmp_path / "right.o")
    swap_recorded_keys(tmp_path / "cache")
    result = build(tmp_path, *WORDS, "--verify=100", check=False)
    assert result.exit_code == 4
    assert "f.ll: function 'f': has another key than was recorded" in result.stderr
    assert (tmp_path / "f.o").read_bytes() == (tmp_path / "right.o").read_bytes()
    (tmp_path / "f.o").unlink()
    assert build(tmp_path, *WORDS).misses == 0, "the record is right now"
    assert (tmp_path / "f.o").read_bytes() == (tmp_path / "right.o").read_bytes()


def swap_recorded_keys(cache: Path) -> None:
    """Exchanges the keys of two units in the records of what units meant."""
    store, held = EntryStore(FileStore(cache)), b"?" * 64
    first, second = (entry.key.encode() for entry in objects(cache))
    for found in list(find_entries(cache)):
        entry = store.load(found.key)
        if entry and "milliseconds" not in entry.meta and first in entry.payload:
            payload = entry.payload.replace(first, held).replace(second, first).replace(held, second)
            store.save(Entry(entry.key, payload, entry.meta))


@pytest.mark.slow
def test_shares_take_turns(tmp_path: Path) -> None:
    functions = "".join(f"define i32 @f{n}() {{\n  ret i32 {n}\n}}\n" for n in range(20))
    write(tmp_path, {"f.ll": functions})
    build(tmp_path, *WORDS)
    checked = [build(tmp_path, *WORDS, "--verify=25").stats["verified"] for _ in range(4)]
    assert sum(checked) == 20 and max(checked) < 20


def test_what_compiles_to_the_same_is_as_before(tmp_path: Path) -> None:
    write(tmp_path, {"f.ll": IR % 1})
    build(tmp_path, *WORDS)
    before = (tmp_path / "f.o").read_bytes()
    result = build(tmp_path, *WORDS, "--verify=100", "-j2")
    assert (result.hits, result.misses, result.stats["verified"]) == (3, 0, 2)
    assert "2 hits compiled again, 0 of them wrong" in result.stdout
    assert (tmp_path / "f.o").read_bytes() == before


@pytest.mark.parametrize("value", ["--verify=101", "--verify=-1", "--verify=all"])
def test_what_is_no_share(tmp_path: Path, value: str) -> None:
    assert build(tmp_path, *WORDS, value, check=False).exit_code == 2


def test_the_word_alone_means_a_tenth(tmp_path: Path) -> None:
    write(tmp_path, {"f.ll": IR % 1})
    assert build(tmp_path, "--verify", *WORDS).misses == 2
    assert build(tmp_path, *WORDS[:1], "--verify", *WORDS[1:]).stats["verified"] <= 2
