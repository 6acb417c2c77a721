"""A build that stands still says what for: after ten seconds, then each minute."""

import os
import stat
import threading
from pathlib import Path

import pytest
from harness import needs_clang
from rules import Build, write

from nativecache.aot.pool import Job, Pool
from nativecache.linker import waiting
from nativecache.linker.output import put
from nativecache.linker.waiting import Waiting, Watch, due


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(waiting, "_clock", made)
    return made


def test_a_line_after_ten_seconds_and_then_each_minute(clock: Clock) -> None:
    said = {}
    with Waiting("the linker"):
        for second in range(200):
            said[second] = due(clock.now + second)
    assert {second: lines for second, lines in said.items() if lines} == {
        10: ["waiting for the linker (10 s)"],
        60: ["waiting for the linker (60 s)"],
        120: ["waiting for the linker (120 s)"],
        180: ["waiting for the linker (180 s)"],
    }
    assert due(clock.now + 1000) == []


def test_waits_are_told_apart_and_end(clock: Clock) -> None:
    with Waiting("one"):
        clock.now += 8
        with Waiting("other"):
            assert due(clock.now + 2) == ["waiting for one (10 s)"]
            assert due(clock.now + 10) == ["waiting for other (10 s)"]
    assert due(clock.now + 1000) == []


def test_workers_tell_what_they_are_at(clock: Clock) -> None:
    """And no one thread has to end for another to say so."""
    seen: list[str] = []
    go_on = threading.Event()
    read, write_end = os.pipe()

    def say(line: str) -> None:
        seen.append(line)
        os.write(write_end, b"x")  # the job may end
        go_on.set()

    with Watch(say, pause=0.001), Pool(1, {"wait": os.read}, describe=lambda job: f"'{job.tag}\x1b'") as pool:
        pool.submit(Job("wait", "f", (read, 1)))
        clock.now += 1
        results = pool.results()
        threading.Timer(0.05, lambda: setattr(clock, "now", 200.0)).start()
        assert next(results).result == b"x"
    assert go_on.is_set()
    assert len(seen) == 1 and seen[0].startswith("waiting for 'f\\x1b' (")


def test_a_pipe_without_a_reader_is_named(tmp_path: Path, clock: Clock) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)

    def say(line: str) -> None:
        seen.append(line)
        fifo.read_bytes()

    seen: list[str] = []
    threading.Timer(0.05, lambda: setattr(clock, "now", 111.0)).start()
    with Watch(say, pause=0.001):
        put(str(fifo), b"data")
    assert seen == [f"waiting for what reads {fifo} (11 s)"]


@needs_clang
@pytest.mark.parametrize("quiet", [False, True])
def test_a_build_names_the_tool_it_waits_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quiet: bool
) -> None:
    """A compiler that is not done before somebody said that it is not, or a second has gone by."""
    write(tmp_path, {"a.c": "int main(void) { return 0; }\n"})
    slow = tmp_path / "clang-slow"
    done = f"grep -q waiting {tmp_path}/log && break; sleep 0.05"
    slow.write_text(
        f'#!/bin/sh\ncase "$*" in *-o*a.c) for i in 1 2 3 4 5 6 7 8 9 10; do {done}; done;; esac\n'
        'exec clang-22 "$@"\n'
    )
    slow.chmod(slow.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setattr(waiting, "FIRST", 0.1)
    monkeypatch.setattr(Watch.__init__, "__defaults__", (0.01,))
    result = Build.start(tmp_path, tmp_path, "a.c", "--clang", slow, *(["-q"] if quiet else [])).result()
    assert ("nativecache: waiting for clang-slow on a.c (0 s)" in result.stdout) is not quiet
