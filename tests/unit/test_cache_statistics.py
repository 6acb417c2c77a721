"""Counters: whatever else goes on, the sum of the runs comes out."""

import errno
import multiprocessing
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nativecache.cache import statistics
from nativecache.cache.counters import add_counts, read_line
from nativecache.cache.files import read_plain
from nativecache.cache.layout import statistics_folder
from nativecache.cache.statistics import fold_statistics, read_statistics, zero_statistics

DAY = 86400.0
NOW = 1_800_000_000.0  # 2027-01-15


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "v1").mkdir()
    return tmp_path


def names_in(root: Path) -> set[str]:
    return set(os.listdir(statistics_folder(root))) - {"lock"}


def test_counts_add_up_by_day(root: Path) -> None:
    assert read_statistics(root).total == {}
    add_counts(root, {"hits": 3, "misses": 1, "none": 0}, now=NOW)
    add_counts(root, {"hits": 2}, now=NOW)
    add_counts(root, {"hits": 7}, now=NOW + DAY)
    found = read_statistics(root)
    assert found.days == {"2027-01-15": {"hits": 5, "misses": 1}, "2027-01-16": {"hits": 7}}
    assert found.total == {"hits": 12, "misses": 1}
    assert found.damaged == 0


def test_no_folder_no_counts(tmp_path: Path) -> None:
    add_counts(tmp_path / "nowhere", {"hits": 1})
    add_counts(tmp_path, {"hits": 1})
    assert list(tmp_path.iterdir()) == []
    fold_statistics(tmp_path)
    assert zero_statistics(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_to_is_no_error(root: Path) -> None:
    Path(statistics_folder(root)).touch()
    add_counts(root, {"hits": 1})
    fold_statistics(root)
    assert read_statistics(root).total == {}


def test_days_that_are_over_are_folded(root: Path) -> None:
    for day in range(5):
        add_counts(root, {"hits": 10**day}, now=NOW + day * DAY)
    before = read_statistics(root)
    fold_statistics(root, now=NOW + 4 * DAY)
    assert names_in(root) == {"total", "2027-01-17.log", "2027-01-18.log", "2027-01-19.log"}
    assert read_statistics(root) == before
    add_counts(root, {"hits": 1}, now=NOW)  # by a clock that is slow
    fold_statistics(root, now=NOW + 9 * DAY)
    assert names_in(root) == {"total"}
    assert read_statistics(root).total == {"hits": 11112}


@pytest.mark.parametrize("call", ["rename", "write_file", "unlink"])
@pytest.mark.parametrize("after", [0, 1])
def test_a_fold_may_be_killed_anywhere(
    root: Path, monkeypatch: pytest.MonkeyPatch, call: str, after: int
) -> None:
    for day in range(3):
        add_counts(root, {"hits": 10**day}, now=NOW + day * DAY)
    for round in range(3):
        left = after

        class Killed(BaseException):
            pass

        place: Any = statistics if call == "write_file" else os
        real = getattr(place, call)

        def kill(*arguments: object, real: Any = real) -> object:
            nonlocal left
            left -= 1
            if left < 0:
                raise Killed
            return real(*arguments)

        with monkeypatch.context() as patch:
            patch.setattr(place, call, kill)
            with suppress(Killed):
                fold_statistics(root, now=NOW + 30 * DAY)
        assert read_statistics(root).total == {"hits": 111}, round
    fold_statistics(root, now=NOW + 30 * DAY)
    fold_statistics(root, now=NOW + 30 * DAY)
    assert read_statistics(root).total == {"hits": 111}
    assert names_in(root) == {"total"}


def test_a_lock_that_is_held_delays_nobody(root: Path) -> None:
    add_counts(root, {"hits": 1}, now=NOW)
    with FileLock(os.path.join(statistics_folder(root), "lock")):
        start = time.perf_counter()
        add_counts(root, {"hits": 1}, now=NOW)
        fold_statistics(root, now=NOW + 9 * DAY)
        assert read_statistics(root).total == {"hits": 2}
        assert not zero_statistics(root, timeout=0)
        assert time.perf_counter() - start < 1


def test_zero(root: Path) -> None:
    add_counts(root, {"hits": 1}, now=NOW)
    fold_statistics(root, now=NOW + 9 * DAY)
    add_counts(root, {"hits": 1}, now=NOW + 9 * DAY)
    assert zero_statistics(root)
    assert read_statistics(root).total == {}
    add_counts(root, {"hits": 1}, now=NOW)
    assert read_statistics(root).total == {"hits": 1}


def test_a_line_that_was_cut_spoils_no_other(root: Path) -> None:
    add_counts(root, {"hits": 1}, now=NOW)
    log = Path(statistics_folder(root), "2027-01-15.log")
    log.write_bytes(log.read_bytes() + b"\nhits=100 m")
    add_counts(root, {"hits": 2}, now=NOW)
    found = read_statistics(root)
    assert (found.total, found.damaged) == ({"hits": 3}, 1)
    fold_statistics(root, now=NOW + 9 * DAY)
    assert read_statistics(root) == found


@pytest.mark.parametrize("data", [b"?", b"\n", b"0" * 64 + b"\n[]", bytes(1000)])
def test_a_damaged_total_is_reset(root: Path, data: bytes) -> None:
    add_counts(root, {"hits": 1}, now=NOW)
    fold_statistics(root, now=NOW + 9 * DAY)
    Path(statistics_folder(root), "total").write_bytes(data)
    add_counts(root, {"hits": 2}, now=NOW)
    found = read_statistics(root)
    assert (found.total, found.damaged) == ({"hits": 2}, 1)
    fold_statistics(root, now=NOW + 9 * DAY)
    assert read_statistics(root) == found


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_damage_never_counts(root: Path, data: st.DataObject) -> None:
    """Whatever happens to one byte of a log, no other counts come out than those of whole lines."""
    zero_statistics(root)
    for hits in (1, 20, 300):
        add_counts(root, {"hits": hits}, now=NOW)
    log = Path(statistics_folder(root), "2027-01-15.log")
    text = bytearray(log.read_bytes())
    at = data.draw(st.integers(0, len(text) - 1))
    kind = data.draw(st.sampled_from(["flip", "drop", "insert", "cut"]))
    if kind == "flip":
        text[at] ^= 1 << data.draw(st.integers(0, 7))
    elif kind == "drop":
        del text[at]
    elif kind == "insert":
        text.insert(at, data.draw(st.integers(0, 255)))
    else:
        del text[at:]
    log.write_bytes(text)
    sums = {a + b + c for a in (0, 1) for b in (0, 20) for c in (0, 300)}
    assert read_statistics(root).total["hits"] in sums


def test_lines_need_their_digest() -> None:
    with pytest.raises(ValueError, match="damaged"):
        read_line(b"hits=1")
    with pytest.raises(UnicodeDecodeError):
        read_line("hïts=1".encode())


def add_and_fold(root: Path, writer: int) -> None:
    for n in range(100):
        add_counts(root, {"hits": 1, f"by{writer}": 1}, now=NOW - (n % 2) * DAY)
        if n % 10 == 0:
            fold_statistics(root, now=NOW)
            read_statistics(root)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_many_processes_count_exactly(root: Path) -> None:
    context: Any = multiprocessing.get_context("fork")
    for day in range(3, 30):
        add_counts(root, {"hits": 1000}, now=NOW - day * DAY)
    writers = [context.Process(target=add_and_fold, args=(root, n)) for n in range(6)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0] * 6
    found = read_statistics(root)
    assert found.total["hits"] == 600 + 27_000 and found.damaged == 0
    assert {found.total[f"by{n}"] for n in range(6)} == {100}


def test_counting_costs_next_to_nothing(root: Path) -> None:
    add_counts(root, {"up_to_date": 1})
    start = time.perf_counter()
    for _ in range(100):
        add_counts(root, {"up_to_date": 1})
    assert (time.perf_counter() - start) / 100 < 0.001 * 10  # 0.05 ms on an idle machine


@pytest.mark.parametrize("unreadable", [".folded", "total"])
def test_what_cannot_be_read_now_is_folded_another_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unreadable: str
) -> None:
    (tmp_path / "v1").mkdir()
    add_counts(tmp_path, {"hits": 3}, now=1_600_000_000)
    fold_statistics(tmp_path)
    add_counts(tmp_path, {"hits": 4}, now=1_600_000_000)

    def read(path: str) -> tuple[bytes, float]:
        if path.endswith(unreadable):
            raise OSError(errno.EIO, "Input/output error", path)
        return read_plain(path)

    with monkeypatch.context() as patch:
        patch.setattr("nativecache.cache.statistics.read_plain", read)
        fold_statistics(tmp_path)
    assert read_statistics(tmp_path).total == {"hits": 7}
    fold_statistics(tmp_path)
    assert read_statistics(tmp_path).total == {"hits": 7}
